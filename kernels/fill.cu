// fill: the input generator written into a buffer.
//
// Idea: an element's value is a hash of its index, so any backend and the host can make it anew without a table (generator.cuh).
// Random values are a binomial of 32 fair bits made continuous by a uniform of one step: near normal, full mantissa entropy, no NaN,
// no infinity; mean 0, standard deviation sqrt(8 + 1/12) / 2 = 1.4216; narrow formats get the nearest, ties to even. Random integers
// are uniform. Exact values are the integers -3 to 3, one in every `gap` elements, the others zero.
// Tile: a grid-stride loop, an element a thread.
// Bound by: integer arithmetic for fp64, memory else; it is never timed.
//
// config fp32: THREADS=256 BLOCKS=4 FORMAT=Single
// config fp64: THREADS=256 BLOCKS=4 FORMAT=Double
// config uint32: THREADS=256 BLOCKS=4 FORMAT=Word
// config int8: THREADS=256 BLOCKS=4 FORMAT=Byte
// config tf32: THREADS=256 BLOCKS=4 FORMAT=Tf32
// config fp16: THREADS=256 BLOCKS=4 FORMAT=Fp16
// config bf16: THREADS=256 BLOCKS=4 FORMAT=Bf16
// config e4m3: THREADS=256 BLOCKS=4 FORMAT=E4m3
// config e5m2: THREADS=256 BLOCKS=4 FORMAT=E5m2
// config fp4: THREADS=256 BLOCKS=4 FORMAT=Fp4 PACKED=2
#include "generator.cuh"

constexpr u64 EXACT = 0, RANDOM = 1;  // any other pass is zeros
constexpr u32 GAP = 0x47;             // 'G': where in its gap an exact element lies

__device__ __forceinline__ i32 exact_integer(u32 first) {
    return (i32)(((first >> 16) * 7u) >> 16) - 3;
}

__device__ __forceinline__ float random_single(u32 first, u32 key) {
    const i32 v = (i32)((__popc(first) << 19) + (next_word(first, key) >> 13)) - (16 << 19) - (1 << 18);
    return (float)v * 0x1p-20f;
}

__device__ __forceinline__ double random_double(u32 first, u32 key) {
    const u32 second = next_word(first, key), third = next_word(second, key);
    const i64 fraction = ((i64)second << 15) | (i64)(third >> 17);
    const i64 v = ((i64)__popc(first) << 47) + fraction - (16ll << 47) - (1ll << 46);
    return (double)v * 0x1p-48;
}

// The pattern of the nearest number with MANTISSA stored bits and an exponent biased by BIAS, ties to even. No value here is too large.
template <int MANTISSA, int BIAS, int BITS>
__device__ __forceinline__ u32 nearest(float value) {
    const u32 bits = __float_as_uint(value), magnitude = bits & 0x7fffffffu, sign = bits >> 31 << (BITS - 1);
    if (BIAS < 127 && magnitude < (u32)(128 - BIAS) << 23) {
        // Below the smallest normal number, which is what the largest rounds up to.
        return sign | __float2uint_rn(fabsf(value) * __uint_as_float((u32)(126 + BIAS + MANTISSA) << 23));
    }
    constexpr int DROPPED = 23 - MANTISSA;
    const u32 rounded = magnitude + ((1u << (DROPPED - 1)) - 1) + (magnitude >> DROPPED & 1);
    return sign | ((rounded >> DROPPED) - ((u32)(127 - BIAS) << MANTISSA));
}

template <class ELEMENT, int MANTISSA, int BIAS>
struct Narrow {
    using Element = ELEMENT;
    static __device__ __forceinline__ ELEMENT of(float value) { return (ELEMENT)nearest<MANTISSA, BIAS, 8 * sizeof(ELEMENT)>(value); }
    static __device__ __forceinline__ ELEMENT exact(i32 v) { return of((float)v); }
    static __device__ __forceinline__ ELEMENT random(u32 first, u32 key) { return of(random_single(first, key)); }
};
using Fp16 = Narrow<unsigned short, 10, 15>;
using Bf16 = Narrow<unsigned short, 7, 127>;
using E4m3 = Narrow<u8, 3, 7>;
using E5m2 = Narrow<u8, 2, 15>;

// e2m1, two to a byte, the first of them in its lower half; what is beyond its largest number is that number.
struct Fp4 {
    using Element = u8;
    static __device__ __forceinline__ u8 of(float value) {
        constexpr u32 LARGEST = 0x40c00000u;  // 6
        const u32 bits = __float_as_uint(value), magnitude = bits & 0x7fffffffu;
        return (u8)(bits >> 31 << 3 | nearest<1, 1, 4>(__uint_as_float(magnitude < LARGEST ? magnitude : LARGEST)));
    }
    static __device__ __forceinline__ u8 exact(i32 v) { return of((float)v); }
    static __device__ __forceinline__ u8 random(u32 first, u32 key) { return of(random_single(first, key)); }
};

// Stored in 32 bits, of which the lower 13 are zero.
struct Tf32 {
    using Element = u32;
    static __device__ __forceinline__ u32 of(float value) { return nearest<10, 127, 19>(value) << 13; }
    static __device__ __forceinline__ u32 exact(i32 v) { return of((float)v); }
    static __device__ __forceinline__ u32 random(u32 first, u32 key) { return of(random_single(first, key)); }
};

struct Single {
    using Element = float;
    static __device__ __forceinline__ float exact(i32 v) { return (float)v; }
    static __device__ __forceinline__ float random(u32 first, u32 key) { return random_single(first, key); }
};

struct Double {
    using Element = double;
    static __device__ __forceinline__ double exact(i32 v) { return (double)v; }
    static __device__ __forceinline__ double random(u32 first, u32 key) { return random_double(first, key); }
};

struct Byte {
    using Element = u8;
    static __device__ __forceinline__ u8 exact(i32 v) { return (u8)v; }
    static __device__ __forceinline__ u8 random(u32 first, u32) { return (u8)(first >> 24); }
};

// Words are random in both passes: what moves them is exact always.
struct Word {
    using Element = u32;
    static __device__ __forceinline__ u32 random(u32 first, u32) { return first; }
};

template <class FROM>
__device__ __forceinline__ auto exact(FROM, i32 v, u32, bool there) { return FROM::exact(there ? v : 0); }
__device__ __forceinline__ u32 exact(Word, i32, u32 first, bool) { return first; }

// The element of that index.
__device__ __forceinline__ FORMAT::Element element(u64 e, u32 seed, u64 pass, u64 gap, int shift) {
    const u32 key = element_key(seed, e), first = first_word((u32)e, key);
    if (pass == EXACT) {
        // Fewer than 2^32 groups, wherever gaps are wider than one element.
        const u32 place = first_word((u32)(e >> shift), element_key(seed ^ GAP, 0));
        return exact(FORMAT{}, exact_integer(first), first, ((place ^ (u32)e) & (u32)(gap - 1)) == 0);
    }
    return pass == RANDOM ? FORMAT::random(first, key) : (FORMAT::Element)0;
}

// -> out[elements]; seed is the buffer's, pass one of the constants above, gap a power of two
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) fill(FORMAT::Element* out, u64 elements, u64 seed, u64 pass, u64 gap) {
    const u64 stride = (u64)gridDim.x * THREADS;
    const int shift = 63 - __clzll((i64)gap);
#ifdef PACKED
    for (u64 pair = (u64)blockIdx.x * THREADS + threadIdx.x; pair < elements / PACKED; pair += stride) {
        const u8 low = element(pair * PACKED, (u32)seed, pass, gap, shift), high = element(pair * PACKED + 1, (u32)seed, pass, gap, shift);
        out[pair] = low | high << 4;
    }
#else
    for (u64 e = (u64)blockIdx.x * THREADS + threadIdx.x; e < elements; e += stride) {
        out[e] = element(e, (u32)seed, pass, gap, shift);
    }
#endif
}
