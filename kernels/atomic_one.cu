// atomic_one: out = seed + the sum of what all threads of all blocks added to one word, each `adds` times, uint32.
//
// Idea: everybody adds to the same word of L2, as counters and queues have it at their worst. The word needs no other launch to set it
// back: the last block to end takes what the word has grown by since the launch before, and puts back what was there. What was there in
// the beginning lies beside it. The address differs between lanes as far as the compiler can see, so that it does not add up a warp's
// values before they are sent.
// Tile: 256 threads, four blocks a multiprocessor.
// Bound by: one unit of L2.
//
// demands in leave: RED.ADD|REDG.ADD
// demands in await: ATOM.ADD|ATOMG.ADD
// config word: THREADS=256 BLOCKS=4 ADD=leave
// config slow: THREADS=256 BLOCKS=4 ADD=await
#include "ptx.cuh"

// Words of `state` that matter, a line apart; all hold the same in the beginning, and the last of them no less than `blocks`.
constexpr u32 WORD = 0, BEFORE = 32, ENDED = 64;

__device__ __forceinline__ u32 leave(u32* at, u32 value) {
    add_at(at, value);
    return 0;
}

// The slow twin's: it waits for what was there before it knows where to go on.
__device__ __forceinline__ u32 await(u32* at, u32 value) { return add_and_tell(at, value); }

// state[96] -> out[1]; there are `blocks` blocks
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) atomic_one(u32* state, u32* out, u64 blocks, u64 adds, u64 seed) {
    const u32 value = 2 * ((u32)blockIdx.x * THREADS + threadIdx.x) + 1;
    const u32 none = (u32)(blocks >> 48);  // zero, which the compiler does not know
    u32 place = WORD + threadIdx.x * none;
#pragma unroll 1
    for (u64 i = 0; i < adds; i++) {
        place += ADD(state + place, value) & none;
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        __threadfence();
        // Counts from zero again in every launch: the first to end finds no less than the bound.
        const u32 ended = atomicInc(state + ENDED, (u32)blocks - 1);
        if (blocks == 1 || ended == (u32)blocks - 2) {
            __threadfence();
            const u32 before = state[BEFORE];
            out[0] = atomicExch(state + WORD, before) - before + (u32)seed;
        }
    }
}
