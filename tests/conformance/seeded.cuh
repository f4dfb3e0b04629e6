// Values that bounded patterns of the input words stand for: no NaN, and sums that are exact in any order.
#pragma once
#include "ptx.cuh"

// -3 to 3, as `small` of src/plan/fill.rs makes them of a word.
__device__ __forceinline__ i32 small(u32 word) { return (i32)((word >> 16) * 7 >> 16) - 3; }

// Patterns of 0, 1, 2 and 3 in the low bits, the sign in bit SIGN.
template <u32 ONE, u32 TWO, u32 THREE, u32 SIGN>
__device__ __forceinline__ u32 pattern(u32 word) {
    const i32 value = small(word);
    const u32 size = value < 0 ? -value : value;
    return (size == 0 ? 0 : size == 1 ? ONE : size == 2 ? TWO : THREE) | (value < 0 ? 1u << SIGN : 0);
}

__device__ __forceinline__ u32 bf16(u32 word) { return pattern<0x3f80, 0x4000, 0x4040, 15>(word); }
__device__ __forceinline__ u32 f16(u32 word) { return pattern<0x3c00, 0x4000, 0x4200, 15>(word); }
__device__ __forceinline__ u32 e4m3(u32 word) { return pattern<0x38, 0x40, 0x44, 7>(word); }

// A float from 2^-15 up to 2^17; in four of five places with so few bits that narrow formats meet ties.
__device__ __forceinline__ float bounded(u32 word, u32 place) {
    const u32 which = place % 5;
    const u32 kept = which == 0 ? 0x7fffff : which == 1 ? 0x7f8000 : which == 2 ? 0x7ff000 : which == 3 ? 0x780000 : 0x700000;
    const u32 exponent = 112 + (word >> 23 & 31);
    return __uint_as_float((word & 0x80000000) | exponent << 23 | (word & kept));
}
