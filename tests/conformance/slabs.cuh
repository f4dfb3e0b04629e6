// Slabs of bf16 as products by descriptors read them: rows of 128 bytes with the 128-byte swizzle, of -2 to 2.
#pragma once
#include "ptx.cuh"

// -2 to 2.
__device__ __forceinline__ u32 smaller(u32 word) {
    const i32 value = (i32)((word >> 16) * 5 >> 16) - 2;
    const u32 size = value < 0 ? -value : value;
    return (size == 0 ? 0 : size == 1 ? 0x3f80 : 0x4000) | (value < 0 ? 0x8000 : 0);
}

// Rows of 64 elements, their 16-byte chunks exchanged.
__device__ __forceinline__ void stage(unsigned char* to, const u32* in, u32 elements) {
    for (u32 at = threadIdx.x; at < elements; at += 128) {
        const u32 row = at / 64, column = at % 64;
        const u32 place = row * 128 + (column / 8 ^ row % 8) * 16 + column % 8 * 2;
        *reinterpret_cast<unsigned short*>(to + place) = (unsigned short)smaller(in[at]);
    }
}
