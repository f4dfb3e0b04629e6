// chase: one thread follows `hops` links through a footprint: the latency of the level that holds it.
//
// Idea: each load gives the address of the next, so that nothing overlaps. A launch goes on in the cycle where the one before ended:
// so a footprint larger than a cache is never found in it, however few lines a launch visits. Where it should arrive is known without
// the links, and what is written tells how far off it was: seed where it was right. Beside that it tells how many clocks and nanoseconds
// the hops took where they were made, launching left out.
// Tile: one warp, of which one thread works, eight hops a turn.
// Bound by: latency of L1, L2 or memory.
//
// demands: LDG.64
// config pointer: THREADS=32 DETOUR=0
// config slow: THREADS=32 DETOUR=1
#include "cycle.cuh"

constexpr u64 UNROLLED = 8;

// links[lines of 128 bytes], turn[1] goes on by `advance` -> out[1], spent[2]; hops is a multiple of eight
extern "C" __global__ void __launch_bounds__(THREADS)
chase(const u8* links, u64* turn, u32* out, u32* spent, u64 lines, u64 hops, u64 advance, u64 seed) {
    if (threadIdx.x == 0) {
        const u64 before = *turn * hops;
        const u8* at = links + line_after(before, lines) * LINE_BYTES;
        const u64 time = nanoseconds(), clock = clocks_behind((u64)at);
#pragma unroll 1
        for (u64 hop = 0; hop < hops; hop += UNROLLED) {
#pragma unroll
            for (u64 i = 0; i < UNROLLED; i++) {
                at = load_pointer(at);
                // The slow twin reads each link twice, the second time from an address that depends on the first.
                if (DETOUR) {
                    at = load_pointer(links + line_after(before + hop + i, lines) * LINE_BYTES + ((u64)at & 1));
                }
            }
        }
        spent[0] = (u32)(clocks_behind((u64)at) - clock);
        spent[1] = (u32)(nanoseconds() - time);
        *turn += advance;
        const u64 expected = line_after(before + hops, lines);
        out[0] = (u32)((u64)(at - links) - expected * LINE_BYTES) + (u32)seed;
    }
}
