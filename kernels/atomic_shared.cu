// atomic_shared: as atomic_spread, but the words lie in shared memory while they are added to.
//
// Idea: additions that nobody waits for, without a conflict of banks, as histograms of a block have them at their best.
// Tile: 256 threads x 16 words, four blocks a multiprocessor.
// Bound by: shared memory.
//
// demands: ATOMS.ADD
// config words16: THREADS=256 BLOCKS=4 ADD=leave
// config slow: THREADS=256 BLOCKS=4 ADD=await
#include "generator.cuh"

constexpr u32 HELD = 16, WORDS = THREADS * HELD;

__device__ __forceinline__ u32 leave(u32 at, u32 value) {
    add_at_shared(at, value);
    return 0;
}

// The slow twin's: it waits for what was there before it knows where to go on.
__device__ __forceinline__ u32 await(u32 at, u32 value) { return add_and_tell_shared(at, value); }

// -> c[words]; words is 4096 times the blocks, and below 2^32
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) atomic_shared(u32* c, u64 words, u64 passes, u64 seed) {
    __shared__ u32 held[WORDS];
    const u64 first = (u64)blockIdx.x * WORDS;
    const u32 value = 2 * threadIdx.x + 1;
    const u32 none = (u32)(words >> 48);  // zero, which the compiler does not know
    const u32 key = element_key((u32)seed, 0);
#pragma unroll
    for (u32 i = 0; i < HELD; i++) {
        const u64 word = first + i * THREADS + threadIdx.x;
        held[i * THREADS + threadIdx.x] = first_word((u32)word, key);
    }
    __syncthreads();
    u32 place = threadIdx.x;
#pragma unroll 1
    for (u64 pass = 0; pass < passes; pass++) {
#pragma unroll
        for (u32 i = 0; i < HELD; i++) {
            place += ADD(shared_address(held + i * THREADS + place), value) & none;
        }
        place = (place + 32) % THREADS;
    }
    __syncthreads();
#pragma unroll
    for (u32 i = 0; i < HELD; i++) {
        c[first + i * THREADS + threadIdx.x] = held[i * THREADS + threadIdx.x];
    }
}
