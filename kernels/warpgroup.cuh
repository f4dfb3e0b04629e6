// How a warpgroup is told where the operands of a product lie in shared memory.
#pragma once
#include "ptx.cuh"

constexpr u32 ROW_BYTES = 128;

// A K-major operand with the 128-byte swizzle: rows of 128 bytes, groups of eight rows 1024 bytes apart.
__device__ __forceinline__ u64 descriptor(u32 address) {
    return (u64)(address >> 4) | 1ull << 16 | 64ull << 32 | 1ull << 62;
}
