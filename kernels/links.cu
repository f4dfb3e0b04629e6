// links: each 128-byte line of a footprint begins with the address of the line that follows it in the cycle (cycle.cuh).
//
// Idea: addresses, not numbers, so that a chase through them is nothing but loads.
// Tile: a grid-stride loop, a line a thread.
// Bound by: memory; it is never timed.
//
// config lines: THREADS=256 BLOCKS=4
#include "cycle.cuh"

// -> memory[lines]
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) links(u8* memory, u64 lines) {
    for (u64 line = (u64)blockIdx.x * THREADS + threadIdx.x; line < lines; line += (u64)gridDim.x * THREADS) {
        *reinterpret_cast<u64*>(memory + line * LINE_BYTES) = (u64)(memory + next_line(line, lines) * LINE_BYTES);
    }
}
