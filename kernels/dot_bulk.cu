// dot_bulk: partial p = sum over segment p of a * b, fp64, both brought into shared memory by bulk copies.
//
// Idea: see bulk_sums.cuh.
// Tile: 256 threads, pieces of 16 KiB of each array, three stages, two blocks a multiprocessor.
// Bound by: DRAM read bandwidth; one fused multiply-add for 16 bytes moved.
//
// demands: UBLKCP LDS.128 DFMA
// config p16x3 from 90: THREADS=256 BLOCKS=2 STAGES=3 PIECE=16384 SHARED=98432
// config slow from 90: THREADS=256 BLOCKS=2 STAGES=1 PIECE=16384 SHARED=32896
#include "bulk_sums.cuh"

extern __shared__ __align__(128) u8 memory[];

// a[elements], b[elements] -> partials[segments]; a segment is whole vectors
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
dot_bulk(const double* a, const double* b, double* partials, u64 elements, u64 segments) {
    const Segments walk(elements / segments * 8, segments);
    sum_segments(memory, {reinterpret_cast<const u8*>(a), reinterpret_cast<const u8*>(b)}, partials, walk, [](double& sum, const Ring<2>& ring, u64 turn, u32 at) {
        const double2 x = load_shared_pair(ring.place(turn, 0) + at), y = load_shared_pair(ring.place(turn, 1) + at);
        sum += x.x * y.x;
        sum += x.y * y.y;
    });
}
