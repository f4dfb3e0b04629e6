// read_bulk: partial p = wrapping sum of the words of segment p, uint32, brought into shared memory by bulk copies.
//
// Idea: see bulk_sums.cuh.
// Tile: 256 threads, pieces of 16 KiB, six stages, two blocks a multiprocessor.
// Bound by: DRAM read bandwidth.
//
// demands: UBLKCP LDS.128
// config p16x6 from 90: THREADS=256 BLOCKS=2 STAGES=6 PIECE=16384 SHARED=98432
// config slow from 90: THREADS=256 BLOCKS=2 STAGES=1 PIECE=16384 SHARED=16512
#include "bulk_sums.cuh"

extern __shared__ __align__(128) u8 memory[];

// a[words] -> partials[segments], once; a segment is whole vectors
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) read_bulk(const u32* a, u32* partials, u64 words, u64 segments, u64) {
    const Segments walk(words / segments * 4, segments);
    sum_segments(memory, {reinterpret_cast<const u8*>(a)}, partials, walk, [](u32& sum, const Ring<1>& ring, u64 turn, u32 at) {
        const uint4 v = load_shared(ring.place(turn, 0) + at);
        sum += v.x + v.y + v.z + v.w;
    });
}
