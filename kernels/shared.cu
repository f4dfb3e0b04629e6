// shared: as read, but each segment lies in shared memory while it is summed `passes` times over.
//
// Idea: a segment of 16 KiB is what the block's threads load at once, by 16 bytes and without a conflict of banks, so that a pass is
// four loads a thread and the sums of their words. Nothing else is as near to the units but registers.
// Tile: a segment a block, four blocks a multiprocessor.
// Bound by: bandwidth of shared memory, 128 bytes a clock and multiprocessor.
//
// demands: LDS.128
// config vec4x4: THREADS=256 BLOCKS=4 STRIDE=1
// config slow: THREADS=256 BLOCKS=4 STRIDE=2
#include "reduce.cuh"

constexpr u32 LOADS = 4, VECTORS = THREADS * LOADS;

// a[words] -> partials[segments]; words is 4096 times segments, passes is not zero
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) shared(const u32* a, u32* partials, u64 words, u64 segments, u64 passes) {
    __shared__ uint4 held[VECTORS];
    const uint4* from = reinterpret_cast<const uint4*>(a) + (u64)blockIdx.x * VECTORS;
#pragma unroll
    for (u32 i = 0; i < LOADS; i++) {
        held[threadIdx.x + i * THREADS] = from[threadIdx.x + i * THREADS];
    }
    __syncthreads();
    // The slow twin's threads meet the same banks in pairs.
    const u32 first = threadIdx.x * STRIDE % THREADS + threadIdx.x * STRIDE / THREADS;
    u32 sum = 0;
    do {
        uint4 v[LOADS];
#pragma unroll
        for (u32 i = 0; i < LOADS; i++) {
            v[i] = load_shared(shared_address(held + first + i * THREADS));
        }
#pragma unroll
        for (u32 i = 0; i < LOADS; i++) {
            sum += v[i].x + v[i].y + v[i].z + v[i].w;
        }
    } while (--passes > 0);
    sum = block_sum<THREADS>(sum);
    if (threadIdx.x == 0) {
        partials[blockIdx.x] = sum;
    }
}
