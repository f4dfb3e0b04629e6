// wgmma_bf16: C[m,n] = A[m,k] * B[n,k]^T, bf16 with fp32 sums, for sm_90a. A test of the interpreter, not shipped.
//
// Idea: what a fast Hopper kernel consists of, small. A producer thread keeps tensor copies STAGES slabs ahead; two consumer warpgroups
// multiply 64 rows each; the two blocks of a cluster take neighbouring tiles of a column and share its slab of B, of which each copies
// one half to both. Barriers with byte counts say when a slab is full, and, across the cluster, when it is empty.
// Tile: 128 x 128 x 64 a block, 4 slabs of 32 KiB, a slab of 32 KiB for the result; persistent blocks.
// Bound by: nothing; it is never timed.
//
// Launch: clusters of 2 blocks of 384 threads; dynamic shared memory DYNAMIC bytes, aligned by the kernel. Maps: all with the 128-byte
// swizzle; A {k, m} with boxes {64, 128}, B {k, n} with boxes {64, 64}, C {n, m} with boxes {64, 64}; elements of 2 bytes; k > 0. An odd number
// of tiles along m leaves the second block of a cluster with a tile outside of C, which the copies fill with zeros and do not store.
//
// for: 90a
// demands: HGMMA.64x128x16.F32.BF16 UTMALDG.2D.MULTICAST UTMASTG.2D STSM.4 USETMAXREG
// config plain: STAGES=4
#include "ptx.cuh"

constexpr int TILE = 128, SLAB = 64, CONSUMERS = 2, THREADS = 128 * (1 + CONSUMERS);
constexpr u32 A_BYTES = TILE * SLAB * 2, B_BYTES = TILE * SLAB * 2, HALF_BYTES = B_BYTES / 2;
constexpr u32 STAGE_BYTES = A_BYTES + B_BYTES, RESULT_BYTES = TILE * TILE * 2, ROW_BYTES = 128;
constexpr u32 FULL = STAGES * STAGE_BYTES + RESULT_BYTES, EMPTY = FULL + 8 * STAGES;
constexpr u32 DYNAMIC = EMPTY + 8 * STAGES + 1024;  // 1024 for the alignment of the swizzle's pattern
static_assert(DYNAMIC <= 227 * 1024, "fits a multiprocessor");

// A K-major operand with the 128-byte swizzle: rows of 128 bytes, groups of eight rows 1024 bytes apart.
__device__ __forceinline__ u64 descriptor(u32 address) {
    return (u64)(address >> 4) | 1ull << 16 | 64ull << 32 | 1ull << 62;
}

// Which slab, and in which round of the ring.
struct Ring {
    u32 stage = 0, parity = 0;
    __device__ __forceinline__ void advance() {
        if (++stage == STAGES) {
            stage = 0;
            parity ^= 1;
        }
    }
};

struct Work {
    u32 tiles_n, pairs, slabs, rank;
    // The tile of a turn: pairs of rows of tiles, column after column.
    __device__ __forceinline__ i32 row(u32 pair) const { return (i32)(pair / tiles_n * 2 + rank) * TILE; }
    __device__ __forceinline__ i32 column(u32 pair) const { return (i32)(pair % tiles_n) * TILE; }
};

__device__ __forceinline__ void produce(u32 base, const TensorMap* a, const TensorMap* b, const Work& work) {
    Ring ring, last;
    for (u32 pair = blockIdx.x / 2; pair < work.pairs; pair += gridDim.x / 2) {
        for (u32 slab = 0; slab < work.slabs; slab++) {
            const u32 stage = base + ring.stage * STAGE_BYTES, full = base + FULL + 8 * ring.stage;
            mbarrier_wait(base + EMPTY + 8 * ring.stage, ring.parity ^ 1);
            mbarrier_expect(full, STAGE_BYTES);
            copy_box(stage, a, slab * SLAB, work.row(pair), full);
            const u32 half = work.rank * HALF_BYTES;
            copy_box(stage + A_BYTES + half, b, slab * SLAB, work.column(pair) + work.rank * TILE / 2, full, (unsigned short)3);
            last = ring;
            ring.advance();
        }
    }
    // The peer's consumers still arrive at this block's barriers: the block ends when all of them have released its last slab.
    if (blockIdx.x / 2 < work.pairs) {
        mbarrier_wait(base + EMPTY + 8 * last.stage, last.parity);
    }
}

// Two floats of a thread's row as bf16 pairs, matrix by matrix, to the result's slab, swizzled as the tensor store expects.
__device__ __forceinline__ void stage_result(const float (&sum)[64], u32 result) {
    const u32 lane = threadIdx.x % 32, warp = threadIdx.x / 32 % 4;
    // Lane l gives row l % 16 of the matrices' rows; lanes 16 and up the eight columns to the right.
    const u32 row = warp * 16 + lane % 16;
#pragma unroll
    for (int quad = 0; quad < 8; quad++) {
        const u32 column = quad * 16 + lane / 16 * 8;
        const u32 slab = result + column / 64 * (64 * ROW_BYTES);
        const u32 chunk = column % 64 / 8;
        const u32 to = slab + row * ROW_BYTES + (chunk ^ row % 8) * 16;
        const u32 packed[4] = {
            pack_bf16(sum[8 * quad], sum[8 * quad + 1]),
            pack_bf16(sum[8 * quad + 2], sum[8 * quad + 3]),
            pack_bf16(sum[8 * quad + 4], sum[8 * quad + 5]),
            pack_bf16(sum[8 * quad + 6], sum[8 * quad + 7]),
        };
        store_matrices(to, packed);
    }
}

__device__ __forceinline__ void consume(u32 base, const TensorMap* c, const Work& work) {
    const u32 consumer = threadIdx.x / 128 - 1;
    const u32 result = base + STAGES * STAGE_BYTES + consumer * (RESULT_BYTES / 2);
    const bool leads = threadIdx.x % 128 == 0;
    Ring ring;
    for (u32 pair = blockIdx.x / 2; pair < work.pairs; pair += gridDim.x / 2) {
        float sum[64];  // the first product overwrites it
        for (u32 slab = 0; slab < work.slabs; slab++) {
            const u32 stage = base + ring.stage * STAGE_BYTES;
            mbarrier_wait(base + FULL + 8 * ring.stage, ring.parity);
            warpgroup_fence();
#pragma unroll
            for (u32 k = 0; k < SLAB / 16; k++) {
                const u64 left = descriptor(stage + consumer * (A_BYTES / 2) + k * 32);
                warpgroup_multiply_bf16(sum, left, descriptor(stage + A_BYTES + k * 32), slab > 0 || k > 0);
            }
            warpgroup_commit();
            warpgroup_wait<0>();
            // Each warp for itself: its wait says nothing of what the other three still read.
            if (threadIdx.x % 32 < 2) {
                mbarrier_arrive_remote(of_block(base + EMPTY + 8 * ring.stage, threadIdx.x % 32));
            }
            ring.advance();
        }
        if (leads) {
            bulk_wait_read<0>();
        }
        consumer == 0 ? meet<1, 128>() : meet<2, 128>();  // the slab's last store has been read
        stage_result(sum, result);
        proxy_fence();
        consumer == 0 ? meet<1, 128>() : meet<2, 128>();
        if (leads) {
            const i32 row = work.row(pair) + (i32)consumer * 64;
            store_box(c, work.column(pair), row, result);
            store_box(c, work.column(pair) + 64, row, result + 64 * ROW_BYTES);
            bulk_commit();
        }
    }
    if (leads) {
        bulk_wait<0>();
    }
}

// A, B, C as maps; m, n, k
extern "C" __global__ void __cluster_dims__(2, 1, 1) __launch_bounds__(THREADS, 1)
wgmma_bf16(const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap b, const __grid_constant__ TensorMap c,
           u64 rows, u64 columns, u64 inner) {
    extern __shared__ unsigned char memory[];
    const u32 base = (shared_address(memory) + 1023) & ~1023u;
    const u32 tiles_m = ((u32)rows + TILE - 1) / TILE, tiles_n = ((u32)columns + TILE - 1) / TILE;
    const Work work = {tiles_n, (tiles_m + 1) / 2 * tiles_n, ((u32)inner + SLAB - 1) / SLAB, cluster_rank()};
    if (threadIdx.x == 0) {
        for (int i = 0; i < STAGES; i++) {
            mbarrier_init(base + FULL + 8 * i, 1);
            mbarrier_init(base + EMPTY + 8 * i, 2 * CONSUMERS * 4);  // warps of both blocks
        }
        mbarrier_init_fence();
    }
    cluster_arrive();
    cluster_wait();
    if (threadIdx.x < 128) {
        registers_give<40>();
        if (threadIdx.x == 0) {
            produce(base, &a, &b, work);
        }
    } else {
        registers_take<232>();
        consume(base, &c, work);
    }
}
