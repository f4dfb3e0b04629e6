// Every launch of a matmul verifies itself: each warp hashes what it is about to store of a tile and holds it against the same of the
// launch before, so that a unit that errs once in a million launches is seen, and named.
//
// The slots are zero before the first launch, which leaves its hashes there (and is itself verified by other means); later launches on
// the same inputs must find the same. slots[0] counts differences; the next LOGGED name the slot and the unit of the first ones.
#pragma once
#include "ptx.cuh"

constexpr u32 LOGGED = 7;

struct Slot {
    u32 hash, unit;
};

// A thread's words in a fixed order: the odd factor can be inverted, so that one wrong word always shows.
struct TileHash {
    u32 sum = 0;
    __device__ __forceinline__ void add(u32 word) { sum = (sum + word) * 0x9e3779b1u; }
    __device__ __forceinline__ void add(float value) { add(bits(value)); }
    __device__ __forceinline__ void add(i32 value) { add((u32)value); }
    __device__ __forceinline__ void add(double value) {
        add((u32)__double2loint(value));
        add((u32)__double2hiint(value));
    }

    // All lanes of the warp together; `index` counts warps of tiles.
    __device__ __forceinline__ void keep(Slot* slots, u32 index) {
        u32 whole = sum * (threadIdx.x % 32 * 2 + 1);
#pragma unroll
        for (int apart = 16; apart > 0; apart /= 2) {
            whole += __shfl_xor_sync(~0u, whole, apart);
        }
        whole = whole == 0 ? 1 : whole;  // zero is for slots that no launch has written
        if (threadIdx.x % 32 == 0) {
            Slot* mine = slots + 1 + LOGGED + index;
            const u32 before = mine->hash;
            if (before == 0) {
                *mine = {whole, multiprocessor()};
            } else if (before != whole) {
                const u32 number = atomicAdd(&slots->hash, 1u);
                if (number < LOGGED) {
                    slots[1 + number] = {index, multiprocessor()};
                }
            }
        }
    }
};
