// Registers that two warpgroups give and a third takes, between meetings of parts of the block: what they hold stays.
//
// conformance registers arch=90a block=384 cluster=1 shared=0 in=6144 out=6144
#include "seeded.cuh"

extern "C" __global__ void __launch_bounds__(384, 1) KERNEL(const u32* in, u32* out) {
    __shared__ u32 passed[384];
    u32 held[16];
#pragma unroll
    for (int i = 0; i < 16; i++) {
        held[i] = in[i * 384 + threadIdx.x];
    }
    passed[threadIdx.x] = held[0];
    if (threadIdx.x < 128) {
        registers_give<40>();
        meet<1, 128>();
        held[0] += passed[127 - threadIdx.x];
    } else if (threadIdx.x < 256) {
        registers_take<232>();
        meet<2, 128>();
        held[0] ^= passed[383 - threadIdx.x];
    } else {
        registers_give<40>();
        meet<3, 128>();
        held[0] *= passed[639 - threadIdx.x];
    }
#pragma unroll
    for (int i = 0; i < 16; i++) {
        out[i * 384 + threadIdx.x] = held[i] + i;
    }
}
