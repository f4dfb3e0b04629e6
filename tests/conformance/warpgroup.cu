// Products of a warpgroup from shared memory with the 128-byte swizzle: each advance along k inside a row of 128 bytes alone, then all.
//
// A is 64 x 64 and B 128 x 64, element after element from the input words, of -2 to 2. Behind the four products of 16 along k, a byte
// an element, comes their sum, two bytes an element: thread after thread, register after register.
//
// conformance warpgroup arch=90a block=128 cluster=1 shared=25600 in=12288 out=12288
#include "slabs.cuh"

__device__ __forceinline__ u64 descriptor(u32 address) {
    return (u64)(address >> 4) | 1ull << 16 | 64ull << 32 | 1ull << 62;
}

extern "C" __global__ void __launch_bounds__(128, 1) KERNEL(const u32* in, u32* out) {
    extern __shared__ unsigned char memory[];
    const u32 base = (shared_address(memory) + 1023) & ~1023u;
    unsigned char* slab = memory + (base - shared_address(memory));
    stage(slab, in, 64 * 64);
    stage(slab + 8192, in + 64 * 64, 128 * 64);
    proxy_fence();
    __syncthreads();
    float d[64];
#pragma unroll
    for (int i = 0; i < 64; i++) {
        d[i] = 0;
    }
#pragma unroll 1
    for (u32 k = 0; k < 4; k++) {
        warpgroup_fence();
        warpgroup_multiply_bf16(d, descriptor(base + k * 32), descriptor(base + 8192 + k * 32), 0);
        warpgroup_commit();
        warpgroup_wait<0>();
#pragma unroll
        for (int i = 0; i < 16; i++) {
            u32 word = 0;
#pragma unroll
            for (int j = 0; j < 4; j++) {
                word |= ((i32)d[i * 4 + j] & 0xff) << (8 * j);
            }
            out[(k * 128 + threadIdx.x) * 16 + i] = word;
        }
    }
    warpgroup_fence();
#pragma unroll
    for (u32 k = 0; k < 4; k++) {
        warpgroup_multiply_bf16(d, descriptor(base + k * 32), descriptor(base + 8192 + k * 32), k > 0);
    }
    warpgroup_commit();
    warpgroup_wait<0>();
#pragma unroll
    for (int i = 0; i < 32; i++) {
        out[8192 + threadIdx.x * 32 + i] = ((i32)d[i * 2] & 0xffff) | (i32)d[i * 2 + 1] << 16;
    }
}
