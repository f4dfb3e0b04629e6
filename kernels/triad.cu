// triad: c = a + s * b, fp64, over the same memory `passes` times.
//
// Idea: 16-byte accesses, four of each array in flight a thread before the first store; persistent blocks (stream.cuh). A block
// returns to its own turns at every pass, so a footprint that fits a cache is served from it; nothing of a pass survives in
// registers, because the loads are not declared constant and a barrier lies between passes.
// Tile: 512 threads x 4 x 16 bytes = 32 KiB of each array a turn, two blocks a multiprocessor; `cached` in quarters, so that small
// footprints still occupy every multiprocessor, and through L1.
// Bound by: bandwidth of the level that holds the footprint; one fused multiply-add for 24 bytes moved.
//
// demands except bytes32: LDG.128 STG.128
// demands in bytes32: LDG.256 STG.256
// config vec4x8: THREADS=512 BLOCKS=2 LOADS=8 CACHED=0
// config vec4x4: THREADS=512 BLOCKS=2 LOADS=4 CACHED=0
// config vec8x4 from 100: THREADS=512 BLOCKS=2 LOADS=4 WIDE=bytes32 CACHED=0
// config cached: THREADS=256 BLOCKS=4 LOADS=4 CACHED=1
// config slow: THREADS=256 BLOCKS=2 LOADS=1 CACHED=0
#include "stream.cuh"

// a[elements], b[elements] -> c[elements]; s is the factor
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
triad(const double* a, const double* b, double* c, u64 elements, u64 passes, double s) {
    const auto load = [](const Vector* from) { 
#if CACHED
        return load_cached(from);
#else
        return load_again(from);
#endif
    };
#pragma unroll 1
    for (u64 pass = 0; pass < passes; pass++) {
        stream_two(a, b, c, elements, load, [s](double x, double y) { return x + s * y; });
        __syncthreads();
    }
}
