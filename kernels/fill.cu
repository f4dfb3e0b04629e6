// fill: the input generator written into a buffer.
//
// Idea: an element's value is a hash of its index, so any backend and the host can make it anew without a table (generator.cuh).
// Random values are a binomial of 32 fair bits made continuous by a uniform of one step: near normal, full mantissa entropy, no NaN,
// no infinity; mean 0, standard deviation sqrt(8 + 1/12) / 2 = 1.4216. Exact values are the integers -3 to 3.
// Tile: a grid-stride loop, an element a thread.
// Bound by: integer arithmetic for fp64, memory else; it is never timed.
//
// config fp32: THREADS=256 BLOCKS=4 ELEMENT=float
// config fp64: THREADS=256 BLOCKS=4 ELEMENT=double
// config uint32: THREADS=256 BLOCKS=4 ELEMENT=u32
#include "generator.cuh"

constexpr u64 EXACT = 0, RANDOM = 1;  // any other pass is zeros

__device__ __forceinline__ i32 exact_integer(u32 first) {
    return (i32)(((first >> 16) * 7u) >> 16) - 3;
}

__device__ __forceinline__ void generate(float* out, u64 pass, u32 first, u32 key) {
    const i32 v = (i32)((__popc(first) << 19) + (next_word(first, key) >> 13)) - (16 << 19) - (1 << 18);
    *out = pass == EXACT ? (float)exact_integer(first) : (float)v * 0x1p-20f;
}

__device__ __forceinline__ void generate(double* out, u64 pass, u32 first, u32 key) {
    const u32 second = next_word(first, key), third = next_word(second, key);
    const i64 fraction = ((i64)second << 15) | (i64)(third >> 17);
    const i64 v = ((i64)__popc(first) << 47) + fraction - (16ll << 47) - (1ll << 46);
    *out = pass == EXACT ? (double)exact_integer(first) : (double)v * 0x1p-48;
}

__device__ __forceinline__ void generate(u32* out, u64, u32 first, u32) {
    *out = first;
}

// -> out[elements]; seed is the buffer's, pass one of the constants above
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) fill(ELEMENT* out, u64 elements, u64 seed, u64 pass) {
    const u64 stride = (u64)gridDim.x * THREADS;
    for (u64 e = (u64)blockIdx.x * THREADS + threadIdx.x; e < elements; e += stride) {
        if (pass == EXACT || pass == RANDOM) {
            const u32 key = element_key((u32)seed, e);
            generate(out + e, pass, first_word((u32)e, key), key);
        } else {
            out[e] = 0;
        }
    }
}
