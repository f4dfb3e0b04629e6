// A cycle through all lines of a footprint that needs no table: line i leads to (FACTOR * i + STEP) mod lines, lines a power of two.
//
// Such a generator has the full period where STEP is odd and FACTOR leaves 1 on division by 4 (Hull and Dobell, "Random Number
// Generators", 1962), and n steps of it are one step of another, found by squaring. Neighbours in the cycle lie far apart; the low bits
// of a line's number repeat early, which only a prefetcher that GPUs do not have could use.
#pragma once
#include "ptx.cuh"

constexpr u32 LINE_BYTES = 128;
constexpr u64 FACTOR = 1664525, STEP = 1013904223;

__device__ __forceinline__ u64 next_line(u64 line, u64 lines) { return (FACTOR * line + STEP) & (lines - 1); }

// The line that is `steps` steps behind line 0.
__device__ __forceinline__ u64 line_after(u64 steps, u64 lines) {
    u64 factor = FACTOR, step = STEP, at = 0;
#pragma unroll 1
    for (u64 left = steps & (lines - 1); left > 0; left >>= 1) {
        if (left & 1) {
            at = factor * at + step;
        }
        step *= factor + 1;
        factor *= factor;
    }
    return at & (lines - 1);
}
