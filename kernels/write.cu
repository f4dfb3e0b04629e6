// write: c[j] = first(seed, j mod 16) + (j div 16) * 0x9E3779B1, uint32.
//
// Idea: store and nothing else. Each 64-byte line is a step of a Weyl sequence (0x9E3779B1 is odd, so 2^32 lines differ), never
// zeros, which memory controllers may compress. A thread's place within a line never changes, so a vector costs four additions.
// Tile: 512 threads x 8 x 16 bytes = 64 KiB a turn, two blocks a multiprocessor.
// Bound by: DRAM write bandwidth.
//
// demands except bytes32: STG.128
// demands in bytes32: STG.256
// config vec4x8: THREADS=512 BLOCKS=2 STORES=8
// config vec4x4: THREADS=512 BLOCKS=2 STORES=4
// config vec8x4 from 100: THREADS=512 BLOCKS=2 STORES=4 WIDE=bytes32
// config slow: THREADS=256 BLOCKS=2 STORES=1
#include "generator.cuh"

constexpr u32 STEP = 0x9e3779b1u;
#ifdef WIDE
using Vector = uint_8;
#else
using Vector = uint4;
#endif
constexpr u32 WIDTH = sizeof(Vector) / sizeof(u32), VECTORS_PER_LINE = 16 / WIDTH;
static_assert(THREADS % VECTORS_PER_LINE == 0, "a thread keeps its place within the line");

__device__ __forceinline__ Vector advanced(const u32 (&base)[WIDTH], u32 by) {
#ifdef WIDE
    return {{base[0] + by, base[1] + by, base[2] + by, base[3] + by, base[4] + by, base[5] + by, base[6] + by, base[7] + by}};
#else
    return make_uint4(base[0] + by, base[1] + by, base[2] + by, base[3] + by);
#endif
}

// -> c[words]; seed is the pattern's
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) write(u32* c, u64 words, u64 seed) {
    constexpr u64 TURN = (u64)THREADS * STORES;
    const u32 place = threadIdx.x % VECTORS_PER_LINE * WIDTH;
    const u32 key = element_key((u32)seed, 0);
    u32 base[WIDTH];
#pragma unroll
    for (u32 i = 0; i < WIDTH; i++) {
        base[i] = first_word(place + i, key);
    }
    Vector* to = reinterpret_cast<Vector*>(c);
    const u64 vectors = words / WIDTH;
#pragma unroll 1
    for (u64 turn = blockIdx.x * TURN; turn < vectors; turn += gridDim.x * TURN) {
        const u64 mine = turn + threadIdx.x;
#pragma unroll
        for (int i = 0; i < STORES; i++) {
            const u64 vector = mine + i * THREADS;
            const u32 advance = (u32)(vector / VECTORS_PER_LINE) * STEP;
            if (vector < vectors) {
                store_streamed(to + vector, advanced(base, advance));
            }
        }
    }
    const u64 left = vectors * WIDTH + threadIdx.x;
    if (blockIdx.x == 0 && left < words) {
        c[left] = first_word((u32)(left % 16), key) + (u32)(left / 16) * STEP;
    }
}
