// atomic_spread: word j of c = first(seed, j) + what `passes` additions make of it, each by another of its block's warps, uint32.
//
// Idea: additions that nobody waits for, by lanes of a warp to neighbouring words, as histograms and sums of gradients have them where
// they rarely meet. A block sets its 4096 words itself and then adds to all of them in every pass, the warps each time one place
// further, so that a sum is right only if no addition was lost to another. The footprint is a part of L2, where additions are made.
// Tile: 256 threads x 16 words, four blocks a multiprocessor.
// Bound by: the units of L2 that add.
//
// demands in leave: RED.ADD|REDG.ADD
// demands in await: ATOM.ADD|ATOMG.ADD
// config words16: THREADS=256 BLOCKS=4 ADD=leave
// config slow: THREADS=256 BLOCKS=4 ADD=await
#include "generator.cuh"

constexpr u32 HELD = 16, WORDS = THREADS * HELD;

__device__ __forceinline__ u32 leave(u32* at, u32 value) {
    add_at(at, value);
    return 0;
}

// The slow twin's: it waits for what was there before it knows where to go on.
__device__ __forceinline__ u32 await(u32* at, u32 value) { return add_and_tell(at, value); }

// -> c[words]; words is 4096 times the blocks, and below 2^32
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) atomic_spread(u32* c, u64 words, u64 passes, u64 seed) {
    u32* mine = c + (u64)blockIdx.x * WORDS;
    const u32 value = 2 * threadIdx.x + 1;
    const u32 none = (u32)(words >> 48);  // zero, which the compiler does not know
    const u32 key = element_key((u32)seed, 0);
#pragma unroll
    for (u32 i = 0; i < HELD; i++) {
        const u64 word = (u64)blockIdx.x * WORDS + i * THREADS + threadIdx.x;
        c[word] = first_word((u32)word, key);
    }
    __syncthreads();
    u32 place = threadIdx.x;
#pragma unroll 1
    for (u64 pass = 0; pass < passes; pass++) {
#pragma unroll
        for (u32 i = 0; i < HELD; i++) {
            place += ADD(mine + i * THREADS + place, value) & none;
        }
        place = (place + 32) % THREADS;
    }
}
