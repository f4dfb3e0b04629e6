// link: word i = word i - 1, plus one; word 0 = the input, plus one. One of a chain of launches that depend on each other.
//
// Idea: next to nothing, so that what is timed is how soon one launch follows another; but something, so that a launch left out, done
// twice or done before its predecessor is seen in every word behind it.
// Tile: one warp, of which one thread works.
// Bound by: launching.
//
// config warp: THREADS=32 DETOURS=0
// config slow: THREADS=32 DETOURS=512
#include "ptx.cuh"

// first[1] -> words[index], which depends on the word before it
extern "C" __global__ void __launch_bounds__(THREADS) link(const u32* first, u32* words, u64 index) {
    if (threadIdx.x == 0) {
        const volatile u32* from = index == 0 ? first : words + index - 1;
        u32 word = *from;
        // The slow twin reads it anew, each time from an address that depends on what was read before.
#pragma unroll 1
        for (int i = 0; i < DETOURS; i++) {
            word = from[word == 0 && i < 0];
        }
        words[index] = word + 1;
    }
}
