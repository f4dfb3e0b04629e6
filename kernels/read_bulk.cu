// read_bulk: partial p = wrapping sum of the words of segment p, uint32, brought into shared memory by bulk copies.
//
// Idea: see bulk.cuh. A block sums whole segments, one after another, and what it fetches ahead is of the next one already.
// Tile: 256 threads, pieces of 16 KiB, six stages, two blocks a multiprocessor.
// Bound by: DRAM read bandwidth.
//
// demands: UBLKCP LDS.128
// config p16x6 from 90: THREADS=256 BLOCKS=2 STAGES=6 PIECE=16384 SHARED=98432
// config slow from 90: THREADS=256 BLOCKS=2 STAGES=1 PIECE=16384 SHARED=16512
#include "bulk.cuh"
#include "reduce.cuh"

extern __shared__ __align__(128) u8 memory[];

// a[words] -> partials[segments], once; a segment is whole vectors
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) read_bulk(const u32* a, u32* partials, u64 words, u64 segments, u64) {
    const Ring<1> ring(memory);
    const Segments walk(words / segments * 4, segments);
    Ahead ahead;
    const auto fetch = [&] {
        if (ahead.segment < segments) {
            ring.fetch(ahead.turn, {reinterpret_cast<const u8*>(a) + walk.at(ahead.segment, ahead.piece)}, walk.bytes(ahead.piece));
            ahead.advance(walk);
        }
    };
    if (threadIdx.x == 0) {
        for (u32 stage = 0; stage < STAGES; stage++) {
            fetch();
        }
    }
    u64 turn = 0;
#pragma unroll 1
    for (u64 segment = blockIdx.x; segment < segments; segment += gridDim.x) {
        u32 sum = 0;
#pragma unroll 1
        for (u32 piece = 0; piece < walk.pieces; piece++, turn++) {
            ring.wait(turn);
            each_vector(walk.bytes(piece), [&](u32 vector) {
                const uint4 v = load_shared(ring.place(turn, 0) + vector * 16);
                sum += v.x + v.y + v.z + v.w;
            });
            __syncthreads();
            if (threadIdx.x == 0) {
                fetch();
            }
        }
        sum = block_sum<THREADS>(sum);
        if (threadIdx.x == 0) {
            partials[segment] = sum;
        }
    }
}
