// The input generator, integers only, so that every backend and the host make the same bits.
//
// mix is "lowbias32" by Chris Wellons (public domain). An element's words depend on the seed and the element's index alone.
#pragma once
#include "ptx.cuh"

__device__ __forceinline__ u32 mix(u32 x) {
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    return x ^ (x >> 16);
}

__device__ __forceinline__ u32 element_key(u32 seed, u64 element) {
    return mix(seed ^ mix((u32)(element >> 32)));
}

__device__ __forceinline__ u32 first_word(u32 element_low, u32 key) {
    return mix(element_low ^ key);
}

__device__ __forceinline__ u32 next_word(u32 word, u32 key) {
    return mix(word + key);
}

// Odd, so that one wrong element or bit always changes a sum of products with it.
__device__ __forceinline__ u32 fold_weight(u32 seed, u64 element) {
    return first_word((u32)element, element_key(seed, element)) | 1u;
}
