// dot: partial p = sum over segment p of a * b, fp64.
//
// Idea: 16-byte loads, four of each array in flight a thread, a running sum for each, added in a fixed order at the end, so that the
// result repeats bit by bit. A block sums whole segments, so no partial depends on the size of the grid.
// Tile: 512 threads x 4 x 16 bytes = 32 KiB of each array in flight, two blocks a multiprocessor.
// Bound by: DRAM read bandwidth; one fused multiply-add for 16 bytes moved.
//
// demands except bytes32: LDG.128
// demands in bytes32: LDG.256
// config vec4x8: THREADS=512 BLOCKS=2 LOADS=8
// config vec4x4: THREADS=512 BLOCKS=2 LOADS=4
// config vec8x4 from 100: THREADS=512 BLOCKS=2 LOADS=4 WIDE=bytes32
// config slow: THREADS=256 BLOCKS=2 LOADS=1
#include "reduce.cuh"
#include "stream.cuh"

__device__ __forceinline__ double plus_products(double sum, Vector x, Vector y) {
    sum += x.x * y.x;
    sum += x.y * y.y;
#ifdef WIDE
    sum += x.z * y.z;
    sum += x.w * y.w;
#endif
    return sum;
}

// This thread's share of a segment of `vectors` vectors of each array.
__device__ __forceinline__ double dot_vectors(const Vector* a, const Vector* b, u64 vectors) {
    constexpr int HELD = LOADS > 1 ? LOADS / 2 : 1;
    constexpr u64 TURN = (u64)THREADS * HELD;
    double sum[HELD] = {};
    u64 turn = 0;
#pragma unroll 1
    for (; turn + TURN <= vectors; turn += TURN) {
        const u64 mine = turn + threadIdx.x;
        Vector x[HELD], y[HELD];
#pragma unroll
        for (int i = 0; i < HELD; i++) {
            x[i] = load_once(a + mine + i * THREADS);
            y[i] = load_once(b + mine + i * THREADS);
        }
#pragma unroll
        for (int i = 0; i < HELD; i++) {
            sum[i] = plus_products(sum[i], x[i], y[i]);
        }
    }
#pragma unroll 1
    for (u64 v = turn + threadIdx.x; v < vectors; v += THREADS) {
        const Vector x = load_once(a + v), y = load_once(b + v);
        sum[0] = plus_products(sum[0], x, y);
    }
    double all = sum[0];
#pragma unroll
    for (int i = 1; i < HELD; i++) {
        all += sum[i];
    }
    return all;
}

// The same where segments are not whole vectors, so that their beginnings are not aligned.
__device__ __forceinline__ double dot_elements(const double* a, const double* b, u64 elements) {
    double sum = 0;
#pragma unroll 1
    for (u64 e = threadIdx.x; e < elements; e += THREADS) {
        sum += a[e] * b[e];
    }
    return sum;
}

// a[elements], b[elements] -> partials[segments]; elements is a multiple of segments
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
dot(const double* a, const double* b, double* partials, u64 elements, u64 segments) {
    const u64 length = elements / segments;
    for (u64 segment = blockIdx.x; segment < segments; segment += gridDim.x) {
        const double* left = a + segment * length;
        const double* right = b + segment * length;
        const double mine = length % WIDTH == 0
            ? dot_vectors(reinterpret_cast<const Vector*>(left), reinterpret_cast<const Vector*>(right), length / WIDTH)
            : dot_elements(left, right, length);
        const double sum = block_sum<THREADS>(mine);
        if (threadIdx.x == 0) {
            partials[segment] = sum;
        }
    }
}
