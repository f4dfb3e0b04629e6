// Registers that one warpgroup gives and another takes, between meetings of parts of the block: what they hold stays.
//
// conformance registers arch=90a block=256 cluster=1 shared=0 in=4096 out=4096
#include "seeded.cuh"

extern "C" __global__ void __launch_bounds__(256, 1) KERNEL(const u32* in, u32* out) {
    __shared__ u32 passed[256];
    u32 held[16];
#pragma unroll
    for (int i = 0; i < 16; i++) {
        held[i] = in[i * 256 + threadIdx.x];
    }
    passed[threadIdx.x] = held[0];
    if (threadIdx.x < 128) {
        registers_give<40>();
        meet<1, 128>();
        held[0] += passed[127 - threadIdx.x];
    } else {
        registers_take<232>();
        meet<2, 128>();
        held[0] ^= passed[383 - threadIdx.x];
    }
#pragma unroll
    for (int i = 0; i < 16; i++) {
        out[i * 256 + threadIdx.x] = held[i] + i;
    }
}
