// Words that lanes of a warp pass to each other, and what they agree on.
//
// conformance shuffles arch=80 block=32 cluster=1 shared=0 in=64 out=512
#include "seeded.cuh"

extern "C" __global__ void __launch_bounds__(32) KERNEL(const u32* in, u32* out) {
    constexpr u32 ALL = 0xffffffff;
    const u32 lane = threadIdx.x, word = in[lane], other = in[32 + lane];
    const u32 said[16] = {
        __shfl_sync(ALL, word, other % 32),
        __shfl_sync(ALL, word, other % 32, 8),
        __shfl_sync(ALL, word, 5),
        __shfl_up_sync(ALL, word, 1),
        __shfl_up_sync(ALL, word, 3, 16),
        __shfl_up_sync(ALL, word, other % 32, 8),
        __shfl_down_sync(ALL, word, 1),
        __shfl_down_sync(ALL, word, 7, 16),
        __shfl_down_sync(ALL, word, other % 32, 8),
        __shfl_xor_sync(ALL, word, 1),
        __shfl_xor_sync(ALL, word, 21),
        __shfl_xor_sync(ALL, word, 12, 8),
        __ballot_sync(ALL, word & 1),
        (u32)__any_sync(ALL, word == in[7]),
        (u32)__all_sync(ALL, word % 2 < 2),
        (u32)__all_sync(ALL, word & 1),
    };
#pragma unroll
    for (int i = 0; i < 16; i++) {
        out[i * 32 + lane] = said[i];
    }
}
