// matmul_dmma: C[m,n] = A[m,k] * B[k,n], row-major, fp64 on the tensor cores of the architectures that have them for it.
//
// Idea: slabs of 16 steps of k pass through shared memory by cp.async, STAGES deep; 16-byte chunks change places within rows so that the
// loads of single elements, by which fragments are had, meet no bank conflict. A warp holds its slab of B and takes A sixteen rows at a
// time. sm_90 has an instruction for 16 x 8 x 16; elsewhere it is eight of 8 x 8 x 4.
// Tile: 128 x 128 x 16, 8 warps of 64 x 32, 4 stages of 32 KiB.
// Bound by: tensor cores. Elements outside of A and B are multiplied as zeros. k and n are even, so that rows begin at 16 bytes.
//
// for: 80 90a 100a 103a
// demands: DMMA LDGSTS.128 STG.128
// config t128x128: REAL=double TILE_M=128 TILE_N=128 WARPS_M=2 WARPS_N=4 STAGES=4 SHARED=131072
// config slow: REAL=double TILE_M=64 TILE_N=64 WARPS_M=2 WARPS_N=2 STAGES=2 SHARED=32768
#include "tiles.cuh"

constexpr int SLAB = 16, THREADS = 32 * WARPS_M * WARPS_N;
constexpr int ROWS = TILE_M / WARPS_M / 16, COLUMNS = TILE_N / WARPS_N / 8;  // a warp's products
constexpr int A_COUNT = TILE_M * SLAB, STAGE_COUNT = A_COUNT + SLAB * TILE_N;
constexpr int BAND = 8;  // rows of tiles walked together, so that L2 holds what they share
static_assert(STAGES * STAGE_COUNT * 8 == SHARED, "the host grants what the stages take");

// Where an element of a slab lies: four rows, read together, have their chunks of two elements in different banks.
template <int WIDTH>
__device__ __forceinline__ u32 place(u32 row, u32 column) {
    return row * WIDTH + (column ^ row % 4 * 4);
}

// Starts the copy of a HEIGHT x WIDTH piece at (row, column) of a matrix.
template <int HEIGHT, int WIDTH>
__device__ __forceinline__ void start_copy(double* to, const double* from, u32 row, u32 column, u32 rows, u32 columns) {
    constexpr int ACROSS = WIDTH / 2;
#pragma unroll
    for (int i = 0; i < HEIGHT * ACROSS / THREADS; i++) {
        const u32 piece = threadIdx.x + i * THREADS, r = piece / ACROSS, c = piece % ACROSS * 2;
        const bool inside = row + r < rows && column + c < columns;
        copy_async_16(to + place<WIDTH>(r, c), from + (inside ? (u64)(row + r) * columns + column + c : 0), inside ? 16 : 0);
    }
}

struct Matrices {
    const double *a, *b;
    u32 m, n, k, row, column;

    __device__ __forceinline__ void start(double* stage, u32 slab) const {
        if (slab * SLAB < k) {
            start_copy<TILE_M, SLAB>(stage, a, row, slab * SLAB, m, k);
            start_copy<SLAB, TILE_N>(stage + A_COUNT, b, slab * SLAB, column, k, n);
        }
        copy_async_commit();  // empty ones too, so that "all but the newest" always means the same slab
    }
};

// `left` and `right` are this warp's first row and column within the tile.
__device__ __forceinline__ void multiply_slab(double (&sum)[ROWS][COLUMNS][4], const double* stage, u32 left, u32 right) {
    const u32 group = threadIdx.x % 32 / 4, lane = threadIdx.x % 4;
    double b[COLUMNS][4];
#pragma unroll
    for (int j = 0; j < COLUMNS; j++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            b[j][i] = stage[A_COUNT + place<TILE_N>(i * 4 + lane, right + j * 8 + group)];
        }
    }
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        double a[8];
#pragma unroll
        for (int i = 0; i < 8; i++) {
            a[i] = stage[place<SLAB>(left + r * 16 + i % 2 * 8 + group, i / 2 * 4 + lane)];
        }
#pragma unroll
        for (int j = 0; j < COLUMNS; j++) {
            multiply_f64(sum[r][j], a, b[j]);
        }
    }
}

// A[m,k], B[k,n] -> C[m,n]; one block a tile, gridDim.x = ceil(m / TILE_M) * ceil(n / TILE_N); slots as in tiles.cuh, one a warp of a tile
extern "C" __global__ void __launch_bounds__(THREADS, 1)
matmul_dmma(const double* a, const double* b, double* c, u64 rows, u64 columns, u64 inner, Slot* slots) {
    extern __shared__ __align__(128) double memory[];
    const u32 m = (u32)rows, n = (u32)columns, k = (u32)inner;
    const u32 tiles_m = (m + TILE_M - 1) / TILE_M, tiles_n = (n + TILE_N - 1) / TILE_N;
    const u32 band = blockIdx.x / (BAND * tiles_n), in_band = blockIdx.x % (BAND * tiles_n);
    const u32 height = min((u32)BAND, tiles_m - band * BAND);
    const Matrices from = {a, b, m, n, k, (band * BAND + in_band % height) * TILE_M, in_band / height * TILE_N};
    const u32 lane = threadIdx.x % 32, warp = threadIdx.x / 32, slabs = (k + SLAB - 1) / SLAB;
    const u32 left = warp / WARPS_N * (TILE_M / WARPS_M), right = warp % WARPS_N * (TILE_N / WARPS_N);
    double sum[ROWS][COLUMNS][4] = {};
#pragma unroll
    for (u32 slab = 0; slab < STAGES - 1; slab++) {
        from.start(memory + slab * STAGE_COUNT, slab);
    }
#pragma unroll 1
    for (u32 t = 0; t < slabs; t++) {
        copy_async_wait<STAGES - 2>();
        __syncthreads();  // slab t is visible to all, and all are done with slab t - 1, whose place is refilled now
        from.start(memory + (t + STAGES - 1) % STAGES * STAGE_COUNT, t + STAGES - 1);
        multiply_slab(sum, memory + t % STAGES * STAGE_COUNT, left, right);
    }
    TileHash hash;
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
#pragma unroll
        for (int j = 0; j < COLUMNS; j++) {
#pragma unroll
            for (int half = 0; half < 2; half++) {
                const u32 i = from.row + left + r * 16 + half * 8 + lane / 4, at = from.column + right + j * 8 + lane % 4 * 2;
                const double both[2] = {sum[r][j][half * 2], sum[r][j][half * 2 + 1]};
                hash.add(both[0]);
                hash.add(both[1]);
                if (i < m && at < n) {
                    store_whole(c + (u64)i * n + at, both);
                }
            }
        }
    }
    hash.keep(slots, (from.row / TILE_M * tiles_n + from.column / TILE_N) * WARPS_M * WARPS_N + warp);
}
