// matmul_mma: C[m,n] = A[m,k] * B[n,k]^T on tensor cores by the warp (mma.sync): every format from the architecture on that has it.
//
// Idea: slabs of 64 bytes of k pass through shared memory: cp.async, STAGES deep, from sm_80 on, through registers one slab ahead
// below. 16-byte chunks change places within pairs of rows so that ldmatrix meets no bank conflict. A warp loads the fragments of the
// next 32 bytes of k before it multiplies those that it has, across slabs too, so that one barrier a slab is all it waits for.
// Tile: 128 x 256 x 64 bytes, 8 warps of 64 x 64, 4 stages of 24 KiB; a 128 x 128 one for shapes that would leave units idle.
// Bound by: tensor cores. Rows outside of A and B are read as their last row and not stored; beyond k zeros are multiplied.
// k is a multiple of 16, but not zero, and n of 8, so that rows begin at 16 bytes.
//
// fp8 is for sm_89 and sm_120 alone: elsewhere the instruction exists but is made of conversions and fp16 products.
//
// demands: LDSM.4 STG.64
// demands from 80: LDGSTS.128
// demands in bf16: HMMA.16816.F32.BF16
// demands in fp16 from 80: HMMA.16816.F32
// demands in tf32: HMMA.1688.F32.TF32
// demands in e4m3: QMMA.16832.F32.E4M3.E4M3
// demands in e5m2: QMMA.16832.F32.E5M2.E5M2
// demands in int8 from 80: IMMA.16832.S8.S8
// config t128x256_bf16 from 80: INPUT=bf16 TILE_M=128 TILE_N=256 WARPS_M=2 WARPS_N=4 STAGES=4 SHARED=98304
// config t128x128_bf16 from 80: INPUT=bf16 TILE_M=128 TILE_N=128 WARPS_M=2 WARPS_N=4 STAGES=4 SHARED=65536
// config slow_bf16 from 80: INPUT=bf16 TILE_M=64 TILE_N=64 WARPS_M=2 WARPS_N=2 STAGES=2 SHARED=16384
// config t128x256_fp16 from 80: INPUT=fp16 TILE_M=128 TILE_N=256 WARPS_M=2 WARPS_N=4 STAGES=4 SHARED=98304
// config t128x128_fp16 from 75: INPUT=fp16 TILE_M=128 TILE_N=128 WARPS_M=2 WARPS_N=4 STAGES=4 SHARED=65536
// config slow_fp16 from 75: INPUT=fp16 TILE_M=64 TILE_N=64 WARPS_M=2 WARPS_N=2 STAGES=2 SHARED=16384
// config t128x256_tf32 from 80: INPUT=tf32 TILE_M=128 TILE_N=256 WARPS_M=2 WARPS_N=4 STAGES=4 SHARED=98304
// config t128x128_tf32 from 80: INPUT=tf32 TILE_M=128 TILE_N=128 WARPS_M=2 WARPS_N=4 STAGES=4 SHARED=65536
// config slow_tf32 from 80: INPUT=tf32 TILE_M=64 TILE_N=64 WARPS_M=2 WARPS_N=2 STAGES=2 SHARED=16384
// config t128x256_e4m3 for 89 120: INPUT=e4m3 TILE_M=128 TILE_N=256 WARPS_M=2 WARPS_N=4 STAGES=4 SHARED=98304
// config t128x128_e4m3 for 89 120: INPUT=e4m3 TILE_M=128 TILE_N=128 WARPS_M=2 WARPS_N=4 STAGES=4 SHARED=65536
// config slow_e4m3 for 89 120: INPUT=e4m3 TILE_M=64 TILE_N=64 WARPS_M=2 WARPS_N=2 STAGES=2 SHARED=16384
// config t128x256_e5m2 for 89 120: INPUT=e5m2 TILE_M=128 TILE_N=256 WARPS_M=2 WARPS_N=4 STAGES=4 SHARED=98304
// config t128x128_e5m2 for 89 120: INPUT=e5m2 TILE_M=128 TILE_N=128 WARPS_M=2 WARPS_N=4 STAGES=4 SHARED=65536
// config slow_e5m2 for 89 120: INPUT=e5m2 TILE_M=64 TILE_N=64 WARPS_M=2 WARPS_N=2 STAGES=2 SHARED=16384
// config t128x256_int8 from 80: INPUT=int8 TILE_M=128 TILE_N=256 WARPS_M=2 WARPS_N=4 STAGES=4 SHARED=98304
// config t128x128_int8 from 75: INPUT=int8 TILE_M=128 TILE_N=128 WARPS_M=2 WARPS_N=4 STAGES=4 SHARED=65536
// config slow_int8 from 75: INPUT=int8 TILE_M=64 TILE_N=64 WARPS_M=2 WARPS_N=2 STAGES=2 SHARED=16384
#include "formats.cuh"
#include "tiles.cuh"

using Sum = INPUT::Sum;

constexpr int THREADS = 32 * WARPS_M * WARPS_N;
constexpr int SLAB = 64, CHUNK = 16;              // bytes of k in a slab, and in one copy
constexpr int ROWS = TILE_M / WARPS_M / 16, COLUMNS = TILE_N / WARPS_N / 8;  // a warp's products
constexpr int A_BYTES = TILE_M * SLAB, B_BYTES = TILE_N * SLAB, STAGE_BYTES = A_BYTES + B_BYTES;
constexpr int BAND = 8;                           // rows of tiles walked together, so that L2 holds what they share
static_assert(STAGES * STAGE_BYTES == SHARED, "the host grants what the stages take");
static_assert(COLUMNS % 2 == 0, "B is loaded and C stored by sixteen columns");

// Where a chunk of a row lies in a slab. Two rows share a line of the banks, so the exchange follows pairs of rows.
__device__ __forceinline__ u32 place(u32 row, u32 chunk) {
    return row * SLAB + (chunk ^ row / 2 % 4) * CHUNK;
}

// A thread's share of the slabs of one operand: HEIGHT rows from a tile's first on.
template <int HEIGHT>
struct Share {
    static constexpr int COUNT = HEIGHT * (SLAB / CHUNK) / THREADS, APART = THREADS / (SLAB / CHUNK);
    const u8* origin;
    u32 offset[COUNT];  // in bytes, of this thread's rows; the last row stands for those outside
#if __CUDA_ARCH__ < 800
    uint4 held[COUNT];
#endif

    __device__ __forceinline__ Share(const u8* first, u32 rows, u32 pitch) : origin(first + threadIdx.x % 4 * CHUNK) {
#pragma unroll
        for (int i = 0; i < COUNT; i++) {
            offset[i] = min(threadIdx.x / 4 + i * APART, rows - 1) * pitch;
        }
    }

    // Starts the way of the slab that begins `from` bytes along k to shared memory.
    __device__ __forceinline__ void start(u8* slab, u32 from, u32 pitch) {
        const bool inside = from + threadIdx.x % 4 * CHUNK < pitch;
#pragma unroll
        for (int i = 0; i < COUNT; i++) {
            const u8* source = origin + (inside ? offset[i] + from : 0);
#if __CUDA_ARCH__ >= 800
            copy_async_16(slab + place(threadIdx.x / 4 + i * APART, threadIdx.x % 4), source, inside ? CHUNK : 0);
#else
            held[i] = inside ? *reinterpret_cast<const uint4*>(source) : make_uint4(0, 0, 0, 0);
#endif
        }
    }

    // Ends it, where it led through registers.
    __device__ __forceinline__ void arrive(u8* slab) const {
#if __CUDA_ARCH__ < 800
#pragma unroll
        for (int i = 0; i < COUNT; i++) {
            *reinterpret_cast<uint4*>(slab + place(threadIdx.x / 4 + i * APART, threadIdx.x % 4)) = held[i];
        }
#endif
    }
};

struct Fragments {
    u32 a[ROWS][4], b[COLUMNS / 2][4];

    // Half `step` of a slab, from this warp's first row of A and of B on. Registers 0 and 2 of B belong to the first eight columns of
    // C, 1 and 3 to the next.
    __device__ __forceinline__ void load(u32 left, u32 right, u32 step) {
        const u32 lane = threadIdx.x % 32, from = place(lane % 16, step * 2 + lane / 16);
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
            load_matrices(a[i], left + i * 16 * SLAB + from);
        }
#pragma unroll
        for (int j = 0; j < COLUMNS / 2; j++) {
            load_matrices(b[j], right + j * 16 * SLAB + from);
        }
    }
};

__device__ __forceinline__ void multiply(Sum (&sum)[ROWS][COLUMNS][4], const Fragments& with) {
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
#pragma unroll
        for (int j = 0; j < COLUMNS; j++) {
            INPUT::multiply(sum[i][j], with.a[i], with.b[j / 2][j % 2], with.b[j / 2][j % 2 + 2]);
        }
    }
}

// The products of all slabs of a tile; rows and columns of B's and A's that exist are counted from the tile's first.
__device__ __forceinline__ void multiply_slabs(Sum (&sum)[ROWS][COLUMNS][4], u8* memory, const u8* a, const u8* b, u32 rows, u32 columns, u32 pitch) {
#if __CUDA_ARCH__ >= 800
    constexpr int AHEAD = STAGES - 1, RING = STAGES;
#else
    constexpr int AHEAD = 1, RING = 2;
#endif
    const u32 slabs = (pitch + SLAB - 1) / SLAB, warp = threadIdx.x / 32;
    const u32 left = shared_address(memory) + warp / WARPS_N * (TILE_M / WARPS_M) * SLAB;
    const u32 right = shared_address(memory) + A_BYTES + warp % WARPS_N * (TILE_N / WARPS_N) * SLAB;
    Share<TILE_M> a_share(a, rows, pitch);
    Share<TILE_N> b_share(b, columns, pitch);
    const auto start = [&](u32 slab) {
        u8* stage = memory + slab % RING * STAGE_BYTES;
        if (slab < slabs) {
            a_share.start(stage, slab * SLAB, pitch);
            b_share.start(stage + A_BYTES, slab * SLAB, pitch);
        }
#if __CUDA_ARCH__ >= 800
        copy_async_commit();  // empty ones too, so that "all but the newest" always means the same slab
#endif
    };
    // After it slab `slab` is visible to all, and all are done with the one before.
    const auto arrive = [&](u32 slab) {
#if __CUDA_ARCH__ >= 800
        copy_async_wait<STAGES - 2>();
#else
        u8* stage = memory + slab % RING * STAGE_BYTES;
        if (slab < slabs) {
            a_share.arrive(stage);
            b_share.arrive(stage + A_BYTES);
        }
#endif
        __syncthreads();
    };
#pragma unroll
    for (u32 slab = 0; slab < AHEAD; slab++) {
        start(slab);
    }
    Fragments held[2];
    arrive(0);
    held[0].load(left, right, 0);
#pragma unroll 1
    for (u32 t = 0; t < slabs; t++) {
        const u32 now = t % RING * STAGE_BYTES, next = (t + 1) % RING * STAGE_BYTES;
        held[1].load(left + now, right + now, 1);
        start(t + AHEAD);
        multiply(sum, held[0]);
        arrive(t + 1);
        if (t + 1 < slabs) {
            held[0].load(left + next, right + next, 0);
        }
        multiply(sum, held[1]);
    }
}

// Four columns of one row by 16 bits: neighbouring lanes exchange halves of two products' rows, so that each stores 8 bytes and a group
// of four lanes 32 that lie together.
__device__ __forceinline__ uint2 exchanged(u32 first, u32 second) {
    const bool odd = threadIdx.x % 2 == 1;
    const u32 theirs = __shfl_xor_sync(~0u, odd ? first : second, 1);
    return odd ? make_uint2(theirs, second) : make_uint2(first, theirs);
}

template <class FORMAT>
__device__ __forceinline__ void store(FORMAT, Sum (&sum)[COLUMNS][4], int half, u8* row, u32 column, u32 columns, bool inside, TileHash& hash) {
    const u32 lane = threadIdx.x % 4;
    if constexpr (FORMAT::OUT_BYTES == 2) {
#pragma unroll
        for (int j = 0; j < COLUMNS; j += 2) {
            const uint2 words = exchanged(FORMAT::pack(sum[j][half * 2], sum[j][half * 2 + 1]), FORMAT::pack(sum[j + 1][half * 2], sum[j + 1][half * 2 + 1]));
            hash.add(words.x);
            hash.add(words.y);
            const u32 at = column + (j + lane % 2) * 8 + lane / 2 * 4;
            if (inside && at < columns) {
                *reinterpret_cast<uint2*>(row + (u64)at * 2) = words;
            }
        }
    } else {
#pragma unroll
        for (int j = 0; j < COLUMNS; j++) {
            hash.add(sum[j][half * 2]);
            hash.add(sum[j][half * 2 + 1]);
            const u32 at = column + j * 8 + lane * 2;
            if (inside && at < columns) {
                const Sum both[2] = {sum[j][half * 2], sum[j][half * 2 + 1]};
                *reinterpret_cast<uint2*>(row + (u64)at * 4) = *reinterpret_cast<const uint2*>(both);
            }
        }
    }
}

// A[m,k], B[n,k] -> C[m,n]; one block a tile, gridDim.x = ceil(m / TILE_M) * ceil(n / TILE_N); slots as in tiles.cuh, one a warp of a tile
extern "C" __global__ void __launch_bounds__(THREADS, 1)
matmul_mma(const u8* a, const u8* b, u8* c, u64 rows, u64 columns, u64 inner, Slot* slots) {
    extern __shared__ __align__(128) u8 memory[];
    const u32 m = (u32)rows, n = (u32)columns, pitch = (u32)inner * INPUT::BYTES;
    const u32 tiles_m = (m + TILE_M - 1) / TILE_M, tiles_n = (n + TILE_N - 1) / TILE_N;
    const u32 band = blockIdx.x / (BAND * tiles_n), in_band = blockIdx.x % (BAND * tiles_n);
    const u32 height = min((u32)BAND, tiles_m - band * BAND);
    const u32 row = (band * BAND + in_band % height) * TILE_M, column = in_band / height * TILE_N;
    Sum sum[ROWS][COLUMNS][4] = {};
    multiply_slabs(sum, memory, a + (u64)row * pitch, b + (u64)column * pitch, m - row, n - column, pitch);

    const u32 lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    TileHash hash;
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const u32 at = row + warp / WARPS_N * (TILE_M / WARPS_M) + i * 16 + half * 8 + lane / 4;
            u8* to = c + (u64)at * n * INPUT::OUT_BYTES;
            store(INPUT{}, sum[i], half, to, column + warp % WARPS_N * (TILE_N / WARPS_N), n, at < m, hash);
        }
    }
    hash.keep(slots, (row / TILE_M * tiles_n + column / TILE_N) * WARPS_M * WARPS_N + warp);
}
