// matmul: C[m,n] = A[m,k] * B[k,n], row-major, fp32 or fp64 on the ordinary (SIMT) units.
//
// Idea: a block's tile of C stays in registers while slabs of A and B pass through shared memory: cp.async, STAGES deep, from sm_80
// on, through registers one slab ahead below. A thread owns ROWS x (WIDE * VECTORS) elements, WIDE of them to 16 bytes. It reads A
// WIDE steps of k at once and B WIDE columns at once: for fp32 1024 multiply-adds to 64 shared loads a slab in the 8 x 8 case.
// Lanes: bit 0 of the lane walks along the columns and bit 1 along the rows, so that in every group of four lanes each 16-byte
// address is asked for twice; the hardware then serves half a warp at a time, which halves the cost of a shared load.
// Tile: 128 x 128 x 16, 256 threads, 8 x 8 each, 48 KiB of shared memory, two blocks a multiprocessor; smaller ones for small shapes;
// for fp64 64 x 64 x 8, 128 threads, 8 x 4 each.
// Bound by: multiply-adds issued. Ragged edges take a second path that loads element by element and pads with zeros.
//
// demands: LDS.128 STG.128
// demands from 80: LDGSTS.128
// demands in float: FFMA
// demands in double: DFMA
// config t128x128: REAL=float TILE_M=128 TILE_N=128 WARPS_M=4 WARPS_N=2 ROWS=8 VECTORS=2 STAGES=3 BLOCKS=2 UNROLL=4
// config t64x64: REAL=float TILE_M=64 TILE_N=64 WARPS_M=2 WARPS_N=2 ROWS=8 VECTORS=1 STAGES=3 BLOCKS=4 UNROLL=4
// config slow: REAL=float TILE_M=64 TILE_N=64 WARPS_M=4 WARPS_N=1 ROWS=4 VECTORS=2 STAGES=2 BLOCKS=2 UNROLL=1
// config t64x64_fp64: REAL=double TILE_M=64 TILE_N=64 WARPS_M=2 WARPS_N=2 ROWS=8 VECTORS=2 STAGES=3 BLOCKS=3 UNROLL=4
// config slow_fp64: REAL=double TILE_M=32 TILE_N=32 WARPS_M=2 WARPS_N=1 ROWS=4 VECTORS=2 STAGES=2 BLOCKS=2 UNROLL=1
#include "tiles.cuh"

#if __CUDA_ARCH__ >= 800
constexpr int BUFFERS = STAGES, RESIDENT = BLOCKS;
#else
constexpr int BUFFERS = 2, RESIDENT = BLOCKS / 2; // a slab on its way through registers needs more of them
#endif
constexpr int SLAB = 64 / sizeof(REAL);           // steps of k in a slab
constexpr int THREADS = 32 * WARPS_M * WARPS_N;
constexpr int LANES_M = 4, LANES_N = 8;           // a warp as a grid of threads
constexpr int WIDE = 16 / sizeof(REAL);           // elements of one access
constexpr int A_COUNT = TILE_M * SLAB, B_COUNT = SLAB * TILE_N;
constexpr int BAND = 8;                           // rows of tiles walked together, so that L2 holds what they share
static_assert(TILE_M == WARPS_M * LANES_M * ROWS, "the warps' rows make up the tile");
static_assert(TILE_N == WARPS_N * LANES_N * WIDE * VECTORS, "the warps' columns make up the tile");
static_assert(A_COUNT % (WIDE * THREADS) == 0 && B_COUNT % (WIDE * THREADS) == 0, "every thread loads equally many 16 bytes");

struct alignas(16) Vector {
    REAL part[WIDE];
};

// A row-major matrix as a block's loads see it, from the first element of a tile on; beyond rows and columns it is zero.
struct Window {
    const REAL* origin;
    u32 pitch;
    int rows, columns;
};

// ---- one slab of A and B, from global to shared memory -------------------------------------------------------------------------

// The element at (row, column), or zero outside: the slow way, for edges.
__device__ __forceinline__ REAL element(const Window& from, int row, int column) {
    return row < from.rows && column < from.columns ? from.origin[(i64)row * from.pitch + column] : 0;
}

#if __CUDA_ARCH__ >= 800
// Starts the copy of a HEIGHT x WIDTH piece of `from`, beginning at (row, column), to `to`.
template <int HEIGHT, int WIDTH>
__device__ __forceinline__ void start_copy(bool whole, REAL* to, const Window& from, int row, int column) {
    constexpr int ACROSS = WIDTH / WIDE, COUNT = HEIGHT * ACROSS / THREADS;
    if (whole) {
        const int r = row + threadIdx.x / ACROSS, c = column + threadIdx.x % ACROSS * WIDE;
        const REAL* source = from.origin + (i64)r * from.pitch + c;
#pragma unroll
        for (int i = 0; i < COUNT; i++) {
            copy_async_16(to + (threadIdx.x + i * THREADS) * WIDE, source + (i64)i * (THREADS / ACROSS) * from.pitch);
        }
    } else {
#pragma unroll 1
        for (int i = threadIdx.x; i < HEIGHT * WIDTH; i += THREADS) {
            const int r = row + i / WIDTH, c = column + i % WIDTH;
            const bool inside = r < from.rows && c < from.columns;
            copy_async_one(to + i, from.origin + (inside ? (i64)r * from.pitch + c : 0), inside);
        }
    }
}
#else
// A thread's share of a HEIGHT x WIDTH piece on its way through registers.
template <int HEIGHT, int WIDTH>
struct Carried {
    enum { ACROSS = WIDTH / WIDE, COUNT = HEIGHT * ACROSS / THREADS };
    Vector held[COUNT];

    __device__ __forceinline__ void load(bool whole, const Window& from, int row, int column) {
        const int r = row + threadIdx.x / ACROSS, c = column + threadIdx.x % ACROSS * WIDE;
        const REAL* source = from.origin + (i64)r * from.pitch + c;
#pragma unroll
        for (int i = 0; i < COUNT; i++) {
            const int below = i * (THREADS / ACROSS);
            if (whole) {
                held[i] = *reinterpret_cast<const Vector*>(source + (i64)below * from.pitch);
            } else {
#pragma unroll
                for (int l = 0; l < WIDE; l++) {
                    held[i].part[l] = element(from, r + below, c + l);
                }
            }
        }
    }

    __device__ __forceinline__ void store(REAL* to) const {
#pragma unroll
        for (int i = 0; i < COUNT; i++) {
            reinterpret_cast<Vector*>(to)[threadIdx.x + i * THREADS] = held[i];
        }
    }
};
#endif

// ---- one slab's multiply-adds --------------------------------------------------------------------------------------------------

using Tile = REAL[ROWS][WIDE * VECTORS];

__device__ __forceinline__ float fused(float a, float b, float c) { return __fmaf_rn(a, b, c); }
__device__ __forceinline__ double fused(double a, double b, double c) { return __fma_rn(a, b, c); }

// `a` at this thread's first row, `b` at its first column.
__device__ __forceinline__ void multiply_slab(Tile& sum, const REAL* a, const REAL* b) {
#pragma unroll UNROLL
    for (int k = 0; k < SLAB; k += WIDE) {
        Vector left[ROWS];
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            left[r] = *reinterpret_cast<const Vector*>(a + r * LANES_M * SLAB + k);
        }
#pragma unroll
        for (int step = 0; step < WIDE; step++) {
            Vector right[VECTORS];
#pragma unroll
            for (int v = 0; v < VECTORS; v++) {
                right[v] = *reinterpret_cast<const Vector*>(b + (k + step) * TILE_N + v * LANES_N * WIDE);
            }
#pragma unroll
            for (int r = 0; r < ROWS; r++) {
#pragma unroll
                for (int c = 0; c < WIDE * VECTORS; c++) {
                    sum[r][c] = fused(left[r].part[step], right[c / WIDE].part[c % WIDE], sum[r][c]);
                }
            }
        }
    }
}

// ---- all slabs of a tile -------------------------------------------------------------------------------------------------------

struct Place {
    int row, column;  // of this thread's first element within the tile
};

struct Slabs {
    REAL a[BUFFERS][A_COUNT];
    REAL b[BUFFERS][B_COUNT];
};

__device__ __forceinline__ void multiply(bool whole, Tile& sum, Slabs& shared, const Window& a, const Window& b, Place place) {
    const int slabs = (a.columns + SLAB - 1) / SLAB;
    const int a_offset = place.row * SLAB, b_offset = place.column;
#if __CUDA_ARCH__ >= 800
    // A group is committed for every turn, empty ones too, so that "all but the newest STAGES - 2" always means "slab t is here".
#pragma unroll
    for (int s = 0; s < STAGES - 1; s++) {
        if (s < slabs) {
            start_copy<TILE_M, SLAB>(whole, shared.a[s], a, 0, s * SLAB);
            start_copy<SLAB, TILE_N>(whole, shared.b[s], b, s * SLAB, 0);
        }
        copy_async_commit();
    }
    int now = 0, next = STAGES - 1;
#pragma unroll 1
    for (int t = 0; t < slabs; t++) {
        copy_async_wait<STAGES - 2>();
        __syncthreads();  // slab t is visible to all, and all are done with slab t - 1, whose place is refilled now
        const int ahead = t + STAGES - 1;
        if (ahead < slabs) {
            start_copy<TILE_M, SLAB>(whole, shared.a[next], a, 0, ahead * SLAB);
            start_copy<SLAB, TILE_N>(whole, shared.b[next], b, ahead * SLAB, 0);
        }
        copy_async_commit();
        multiply_slab(sum, shared.a[now] + a_offset, shared.b[now] + b_offset);
        now = now + 1 == STAGES ? 0 : now + 1;
        next = next + 1 == STAGES ? 0 : next + 1;
    }
#else
    Carried<TILE_M, SLAB> a_carried;
    Carried<SLAB, TILE_N> b_carried;
    a_carried.load(whole, a, 0, 0);
    b_carried.load(whole, b, 0, 0);
    a_carried.store(shared.a[0]);
    b_carried.store(shared.b[0]);
    __syncthreads();
#pragma unroll 1
    for (int t = 0; t < slabs; t++) {
        const int ahead = (t + 1) * SLAB;
        if (t + 1 < slabs) {
            a_carried.load(whole, a, 0, ahead);
            b_carried.load(whole, b, ahead, 0);
        }
        multiply_slab(sum, shared.a[t % 2] + a_offset, shared.b[t % 2] + b_offset);
        if (t + 1 < slabs) {
            a_carried.store(shared.a[(t + 1) % 2]);  // read last in turn t - 1, and all have passed its barrier
            b_carried.store(shared.b[(t + 1) % 2]);
        }
        __syncthreads();
    }
#endif
}

// A[m,k], B[k,n] -> C[m,n]; one block a tile, gridDim.x = ceil(m / TILE_M) * ceil(n / TILE_N); slots as in tiles.cuh, one a warp of a tile
extern "C" __global__ void __launch_bounds__(THREADS, RESIDENT)
matmul(const REAL* __restrict__ a, const REAL* __restrict__ b, REAL* __restrict__ c, u64 rows, u64 columns, u64 inner, Slot* slots) {
    const u32 m = (u32)rows, n = (u32)columns, k = (u32)inner;  // the host sees to it that they fit in 31 bits
    const u32 tiles_m = (m + TILE_M - 1) / TILE_M, tiles_n = (n + TILE_N - 1) / TILE_N;
    const u32 band = blockIdx.x / (BAND * tiles_n), in_band = blockIdx.x % (BAND * tiles_n);
    const u32 height = min((u32)BAND, tiles_m - band * BAND);
    const i64 row = (i64)(band * BAND + in_band % height) * TILE_M, column = (i64)(in_band / height) * TILE_N;

    const u32 lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const u32 lane_row = (lane >> 1 & 1) | (lane >> 4) << 1;
    const u32 lane_column = (lane & 1) | (lane >> 2 & 3) << 1;
    const Place place = {
        (int)(warp / WARPS_N * LANES_M * ROWS + lane_row),
        (int)(warp % WARPS_N * LANES_N * WIDE * VECTORS + lane_column * WIDE),
    };
    const Window left = {a + row * k, k, (int)(m - row), (int)k};
    const Window right = {b + column, n, (int)k, (int)(n - column)};

    __shared__ __align__(16) Slabs shared;
    Tile sum = {};
    const bool whole = row + TILE_M <= m && column + TILE_N <= n && k > 0 && k % SLAB == 0 && n % WIDE == 0;
    multiply(whole, sum, shared, left, right, place);
    TileHash hash;
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        const i64 i = row + place.row + r * LANES_M;
#pragma unroll
        for (int v = 0; v < VECTORS; v++) {
            const i64 j = column + place.column + v * LANES_N * WIDE;
            REAL* to = c + i * n + j;
            const REAL(&of)[WIDE] = reinterpret_cast<const REAL(&)[WIDE]>(sum[r][WIDE * v]);
#pragma unroll
            for (int l = 0; l < WIDE; l++) {
                hash.add(of[l]);
            }
            if (whole) {
                store_whole(to, of);
            } else if (i < m) {
#pragma unroll
                for (int l = 0; l < WIDE; l++) {
                    if (j + l < n) {
                        to[l] = of[l];
                    }
                }
            }
        }
    }
    hash.keep(slots, (u32)(row / TILE_M * tiles_n + column / TILE_N) * WARPS_M * WARPS_N + warp);
}
