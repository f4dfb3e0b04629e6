// add_bulk: c = a + b, fp64, what is read brought into shared memory by bulk copies.
//
// Idea: see bulk.cuh.
// Tile: 256 threads, pieces of 16 KiB, 3 stages, two blocks a multiprocessor.
// Bound by: DRAM bandwidth.
//
// demands: UBLKCP STG.128
// config p16x3 from 90: THREADS=256 BLOCKS=2 STAGES=3 PIECE=16384 SHARED=98432
// config slow from 90: THREADS=256 BLOCKS=2 STAGES=1 PIECE=16384 SHARED=32896
#include "bulk.cuh"

extern __shared__ __align__(128) u8 memory[];

// a[elements], b[elements] -> c[elements]
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
add_bulk(const double* a, const double* b, double* c, u64 elements) {
    stream_bulk<2>(memory, {a, b}, c, elements, [](double x, double y) { return x + y; });
}
