// Atomic changes of words in shared and in global memory, which give the same in any order; returned words are put where they say.
//
// conformance atomics arch=80 block=128 cluster=1 shared=0 in=128 out=152
#include "seeded.cuh"

extern "C" __global__ void __launch_bounds__(128) KERNEL(const u32* in, u32* out) {
    __shared__ u32 words[12];
    const u32 word = in[threadIdx.x];
    if (threadIdx.x < 12) {
        words[threadIdx.x] = threadIdx.x == 3 || threadIdx.x == 5 ? 0xffffffff : threadIdx.x == 1 ? 0x7fffffff : 0;
        out[threadIdx.x] = words[threadIdx.x];
    }
    __syncthreads();
#pragma unroll
    for (int space = 0; space < 2; space++) {
        u32* at = space == 0 ? words : out;
        atomicAdd(at, word);
        atomicMin((i32*)at + 1, (i32)word);
        atomicMax((i32*)at + 2, (i32)word);
        atomicMin(at + 3, word);
        atomicMax(at + 4, word);
        atomicAnd(at + 5, word | 0xffff << threadIdx.x % 16);
        atomicOr(at + 6, 1u << word % 32 & 0x0fffffff);
        atomicXor(at + 7, word);
        atomicInc(at + 8, 99);
        atomicAdd((float*)at + 9, (float)small(word));
        u32 seen = 0, before;
        do {
            before = seen;
            seen = atomicCAS(at + 10, before, before * 2 + 1 + (word & 0));
        } while (seen != before && seen != 0xffffffff);
        const u32 place = atomicAdd(at + 11, 1);
        if (space == 0) {
            out[24 + place] = place * 3;
        }
    }
    __syncthreads();
    if (threadIdx.x < 12) {
        out[12 + threadIdx.x] = words[threadIdx.x];
    }
}
