// prune: of each four neighbours in a matrix two become zero, as sparse tensor cores take it (2:4).
//
// Idea: which two of the four stay is one of six pairs, by a hash of the four's number, so that the host knows it without a table; what
// stays is what `fill` wrote. Rows are multiples of four elements long, so that no four lies in two of them.
// Tile: a grid-stride loop, four elements a thread, in one access.
// Bound by: memory; it is never timed.
//
// config bytes1: THREADS=256 BLOCKS=4 FOUR=u32
// config bytes2: THREADS=256 BLOCKS=4 FOUR=u64
#include "generator.cuh"

constexpr u32 PAIR = 0x50;         // 'P': tells pairs from values
constexpr u32 PAIRS = 0xca6953u;   // the six, four bits each

// matrix[fours], in place; seed is the buffer's
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) prune(FOUR* matrix, u64 fours, u64 wide_seed) {
    constexpr int BITS = 8 * sizeof(FOUR) / 4;
    const u32 seed = (u32)wide_seed ^ PAIR;
    for (u64 four = (u64)blockIdx.x * THREADS + threadIdx.x; four < fours; four += (u64)gridDim.x * THREADS) {
        const u32 drawn = (first_word((u32)four, element_key(seed, four)) >> 16) * 6u >> 16;
        const u32 pair = PAIRS >> 4 * drawn;
        FOUR kept = 0;
#pragma unroll
        for (int at = 0; at < 4; at++) {
            kept |= pair >> at & 1u ? (((FOUR)1 << BITS) - 1) << at * BITS : (FOUR)0;
        }
        matrix[four] &= kept;
    }
}
