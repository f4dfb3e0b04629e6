// residual: how far a whole product is from A·B, block by block.
//
// Idea: Freivalds' check (1977) in doubles, with a vector for every 64 columns whose entries are 1 or -1 at random: C·x against
// A·(B·x). The error of a right product then grows with the root of 64 alone, so that a wrong block cannot hide behind the rounding
// of a whole row, and it is known where it lies.
// Tile: a block of threads takes 128 rows of one such block of columns, a row a thread; 64 elements of B·x at a time lie in shared memory.
// Bound by: the level that delivers A, which is read once for each 64 columns; it is never timed.
//
// config fp32: THREADS=128 BLOCKS=4 LEFT=Single OUT=Single ALONG_K=0
// config fp64: THREADS=128 BLOCKS=4 LEFT=Double OUT=Double ALONG_K=0
// config tf32: THREADS=128 BLOCKS=4 LEFT=Single OUT=Single ALONG_K=1
// config fp16: THREADS=128 BLOCKS=4 LEFT=Fp16 OUT=Fp16 ALONG_K=1
// config bf16: THREADS=128 BLOCKS=4 LEFT=Bf16 OUT=Bf16 ALONG_K=1
// config e4m3: THREADS=128 BLOCKS=4 LEFT=E4m3 OUT=Bf16 ALONG_K=1
// config e5m2: THREADS=128 BLOCKS=4 LEFT=E5m2 OUT=Bf16 ALONG_K=1
// config int8: THREADS=128 BLOCKS=4 LEFT=Byte OUT=Word ALONG_K=1
// config fp4: THREADS=128 BLOCKS=4 LEFT=Fp4 OUT=Bf16 ALONG_K=1
#include "generator.cuh"

constexpr int SIDE = 64, SLAB = 64, PARTS = THREADS / SLAB;
constexpr u32 SIGN = 0x53;  // 'S': tells signs from the weights of folds

template <class ELEMENT>
struct Plain {
    using Element = ELEMENT;
    static __device__ __forceinline__ double of(ELEMENT v) { return (double)v; }
};
using Single = Plain<float>;
using Double = Plain<double>;
using Byte = Plain<signed char>;
using Word = Plain<i32>;

// A narrow number's fields moved to where those of a float are; its exponent is then too small by a power of two.
template <class ELEMENT, int MANTISSA, int BIAS>
struct Narrow {
    using Element = ELEMENT;
    static __device__ __forceinline__ double of(ELEMENT v) {
        constexpr int BITS = 8 * sizeof(ELEMENT);
        const u32 magnitude = (u32)v & ((1u << (BITS - 1)) - 1), sign = (u32)v >> (BITS - 1) << 31;
        return (double)(__uint_as_float(sign | magnitude << (23 - MANTISSA)) * __uint_as_float((u32)(254 - BIAS) << 23));
    }
};
using Fp16 = Narrow<unsigned short, 10, 15>;
using E4m3 = Narrow<u8, 3, 7>;
using E5m2 = Narrow<u8, 2, 15>;

struct Bf16 {
    using Element = unsigned short;
    static __device__ __forceinline__ double of(unsigned short v) { return (double)__uint_as_float((u32)v << 16); }
};

// e2m1, two to a byte, the first of them in its lower half.
struct Fp4 {
    using Element = u8;
    static __device__ __forceinline__ double of(u32 v) {
        return (double)(__uint_as_float(v >> 3 << 31 | (v & 7) << 22) * __uint_as_float(253u << 23));
    }
};

template <class FORMAT>
__device__ __forceinline__ double number(FORMAT, const typename FORMAT::Element* from, u64 at) { return FORMAT::of(from[at]); }
__device__ __forceinline__ double number(Fp4, const u8* from, u64 at) { return Fp4::of(from[at / 2] >> at % 2 * 4 & 15u); }

__device__ __forceinline__ double signed_by(u32 seed, u64 column, double value) {
    return first_word((u32)column, element_key(seed ^ SIGN, column)) & 1 ? -value : value;
}

// a[m,k], b[k,n] or, along k, b[n,k], c[m,n] -> worst[down, across]: the largest difference in 128 rows of 64 columns
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
    residual(const LEFT::Element* a, const LEFT::Element* b, const OUT::Element* c, double* worst, u64 m, u64 n, u64 k, u64 wide_seed) {
    __shared__ double of_b[PARTS][SLAB];
    __shared__ double of_warp[THREADS / 32];
    const u32 seed = (u32)wide_seed;
    const u64 across = (n + SIDE - 1) / SIDE;
    const u64 first = blockIdx.x % across * SIDE, row = blockIdx.x / across * THREADS + threadIdx.x;
    const int width = n - first < SIDE ? (int)(n - first) : SIDE;
    const int part = threadIdx.x / SLAB, mine = threadIdx.x % SLAB;
    double product = 0;
    for (u64 slab = 0; slab < k; slab += SLAB) {
        const int depth = k - slab < SLAB ? (int)(k - slab) : SLAB;
        double sum = 0;
        if (mine < depth) {
            for (int at = part; at < width; at += PARTS) {
                const u64 column = first + at, deep = slab + mine;
                sum += signed_by(seed, column, number(LEFT{}, b, ALONG_K ? column * k + deep : deep * n + column));
            }
        }
        __syncthreads();  // the slab before may still be read
        of_b[part][mine] = sum;
        __syncthreads();
        if (row < m) {
            for (int at = 0; at < depth; at++) {
                double whole = of_b[0][at];
                for (int other = 1; other < PARTS; other++) {
                    whole += of_b[other][at];
                }
                product += number(LEFT{}, a, row * k + slab + at) * whole;
            }
        }
    }
    double apart = 0;
    if (row < m) {
        double stored = 0;
        for (int at = 0; at < width; at++) {
            stored += signed_by(seed, first + at, number(OUT{}, c, row * n + first + at));
        }
        apart = fabs(stored - product);
        // What is no number is as far away as can be.
        apart = apart == apart ? apart : __longlong_as_double(0x7ff0000000000000ll);
    }
    for (int distance = 16; distance > 0; distance /= 2) {
        const double other = __shfl_xor_sync(0xffffffffu, apart, distance);
        apart = other > apart ? other : apart;
    }
    if (threadIdx.x % 32 == 0) {
        of_warp[threadIdx.x / 32] = apart;
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        for (int warp = 1; warp < THREADS / 32; warp++) {
            apart = of_warp[warp] > apart ? of_warp[warp] : apart;
        }
        worst[blockIdx.x] = apart;
    }
}
