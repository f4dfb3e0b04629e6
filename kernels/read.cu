// read: partial p = wrapping sum of the words of segment p, times `passes`, uint32.
//
// Idea: load and nothing else; the sum of words is the cheapest use of a value that no compiler can drop, and it needs no fp64 units.
// A block sums whole segments. Every pass fetches memory anew: the loads are not declared constant and a barrier lies between passes.
// Tile: 512 threads x 8 x 16 bytes = 64 KiB in flight, two blocks a multiprocessor; `cached` in quarters, so that small footprints
// still occupy every multiprocessor, and through L1.
// Bound by: bandwidth of the level that holds the footprint.
//
// demands except bytes32: LDG.128
// demands in bytes32: LDG.256
// config vec4x8: THREADS=512 BLOCKS=2 LOADS=8 CACHED=0
// config vec4x4: THREADS=512 BLOCKS=2 LOADS=4 CACHED=0
// config vec8x4 from 100: THREADS=512 BLOCKS=2 LOADS=4 WIDE=bytes32 CACHED=0
// config cached: THREADS=256 BLOCKS=4 LOADS=4 CACHED=1
// config slow: THREADS=256 BLOCKS=2 LOADS=1 CACHED=0
#include "reduce.cuh"

#ifdef WIDE
using Vector = uint_8;
#else
using Vector = uint4;
#endif
constexpr u32 WIDTH = sizeof(Vector) / sizeof(u32);

__device__ __forceinline__ u32 fetch(const Vector* from) {
#ifdef WIDE
    const Vector v = load_again(from);
    return v.word[0] + v.word[1] + v.word[2] + v.word[3] + v.word[4] + v.word[5] + v.word[6] + v.word[7];
#else
    const Vector v = CACHED ? load_cached(from) : load_again(from);
    return v.x + v.y + v.z + v.w;
#endif
}

// This thread's share of one pass over `vectors` vectors.
__device__ __forceinline__ u32 sum_vectors(const Vector* from, u64 vectors) {
    constexpr u64 TURN = (u64)THREADS * LOADS;
    u32 sum = 0;
    u64 turn = 0;
#pragma unroll 1
    for (; turn + TURN <= vectors; turn += TURN) {
        u32 x[LOADS];
#pragma unroll
        for (int i = 0; i < LOADS; i++) {
            x[i] = fetch(from + turn + threadIdx.x + i * THREADS);
        }
#pragma unroll
        for (int i = 0; i < LOADS; i++) {
            sum += x[i];
        }
    }
#pragma unroll 1
    for (u64 v = turn + threadIdx.x; v < vectors; v += THREADS) {
        sum += fetch(from + v);
    }
    return sum;
}

// The same where segments are not whole vectors, so that their beginnings are not aligned.
__device__ __forceinline__ u32 sum_words(const volatile u32* from, u64 words) {
    u32 sum = 0;
#pragma unroll 1
    for (u64 j = threadIdx.x; j < words; j += THREADS) {
        sum += from[j];
    }
    return sum;
}

// a[words] -> partials[segments]; words is a multiple of segments
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) read(const u32* a, u32* partials, u64 words, u64 segments, u64 passes) {
    const u64 length = words / segments;
    for (u64 segment = blockIdx.x; segment < segments; segment += gridDim.x) {
        const u32* from = a + segment * length;
        u32 sum = 0;
#pragma unroll 1
        for (u64 pass = 0; pass < passes; pass++) {
            sum += length % WIDTH == 0 ? sum_vectors(reinterpret_cast<const Vector*>(from), length / WIDTH) : sum_words(from, length);
            __syncthreads();
        }
        sum = block_sum<THREADS>(sum);
        if (threadIdx.x == 0) {
            partials[segment] = sum;
        }
    }
}
