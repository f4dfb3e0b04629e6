// The sum over a block's threads in a fixed order, so that floating-point results repeat bit by bit.
#pragma once
#include "ptx.cuh"

// Every thread of a block of BLOCK_THREADS calls it; the sum is valid in thread 0.
template <int BLOCK_THREADS, class T>
__device__ __forceinline__ T block_sum(T mine) {
    constexpr int WARPS = BLOCK_THREADS / 32;
    __shared__ T of_warp[WARPS];
    for (int distance = 16; distance > 0; distance /= 2) {
        mine += __shfl_xor_sync(0xffffffffu, mine, distance);
    }
    __syncthreads();  // an earlier call's thread 0 may still be reading
    if (threadIdx.x % 32 == 0) {
        of_warp[threadIdx.x / 32] = mine;
    }
    __syncthreads();
    T sum = 0;
    if (threadIdx.x == 0) {
        for (int warp = 0; warp < WARPS; warp++) {
            sum += of_warp[warp];
        }
    }
    return sum;
}
