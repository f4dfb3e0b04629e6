// dot_bulk: partial p = sum over segment p of a * b, fp64, both brought into shared memory by bulk copies.
//
// Idea: see bulk.cuh and read_bulk. A thread adds its vectors in their order, and a block its threads in theirs, so that the result
// repeats bit by bit.
// Tile: 256 threads, pieces of 16 KiB of each array, three stages, two blocks a multiprocessor.
// Bound by: DRAM read bandwidth; one fused multiply-add for 16 bytes moved.
//
// demands: UBLKCP LDS.128 DFMA
// config p16x3 from 90: THREADS=256 BLOCKS=2 STAGES=3 PIECE=16384 SHARED=98432
// config slow from 90: THREADS=256 BLOCKS=2 STAGES=1 PIECE=16384 SHARED=32896
#include "bulk.cuh"
#include "reduce.cuh"

extern __shared__ __align__(128) u8 memory[];

// a[elements], b[elements] -> partials[segments]; a segment is whole vectors
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
dot_bulk(const double* a, const double* b, double* partials, u64 elements, u64 segments) {
    const Ring<2> ring(memory);
    const Segments walk(elements / segments * 8, segments);
    Ahead ahead;
    const auto fetch = [&] {
        if (ahead.segment < segments) {
            const u64 at = walk.at(ahead.segment, ahead.piece);
            ring.fetch(ahead.turn, {reinterpret_cast<const u8*>(a) + at, reinterpret_cast<const u8*>(b) + at}, walk.bytes(ahead.piece));
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
        double sum = 0;
#pragma unroll 1
        for (u32 piece = 0; piece < walk.pieces; piece++, turn++) {
            ring.wait(turn);
            each_vector(walk.bytes(piece), [&](u32 vector) {
                const double2 x = load_shared_pair(ring.place(turn, 0) + vector * 16), y = load_shared_pair(ring.place(turn, 1) + vector * 16);
                sum += x.x * y.x;
                sum += x.y * y.y;
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
