// scale_bulk: c = s * a, fp64, what is read brought into shared memory by bulk copies.
//
// Idea: see bulk.cuh.
// Tile: 256 threads, pieces of 16 KiB, 6 stages, two blocks a multiprocessor.
// Bound by: DRAM bandwidth.
//
// demands: UBLKCP STG.128
// config p16x6 from 90: THREADS=256 BLOCKS=2 STAGES=6 PIECE=16384 SHARED=98432
// config slow from 90: THREADS=256 BLOCKS=2 STAGES=1 PIECE=16384 SHARED=16512
#include "bulk.cuh"

extern __shared__ __align__(128) u8 memory[];

// a[elements] -> c[elements]; s is the factor
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
scale_bulk(const double* a, double* c, u64 elements, double s) {
    stream_bulk<1>(memory, {a}, c, elements, [s](double x, double) { return s * x; });
}
