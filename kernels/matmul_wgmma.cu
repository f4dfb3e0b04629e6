// matmul_wgmma: C[m,n] = A[m,k] * B[n,k]^T on the tensor cores of sm_90a by the warpgroup.
//
// Idea: a producer thread keeps tensor copies STAGES slabs of 128 bytes of k ahead; two consumer warpgroups multiply 64 rows each and
// do nothing else. The blocks of a cluster take neighbouring tiles of a column and share its slab of B, of which each copies a part to
// all: a tile of 128 x 256 then takes 32 bytes a clock from L2, which gives about 48. Blocks are persistent; while consumers store a
// tile, the producer already fetches the next. Barriers with byte counts say when a slab is full and, across the cluster, when it is empty.
// Each warp releases a slab for itself, BEHIND products later, so that the tensor cores never wait for the wait.
// Tile: 128 x 256 x 128 bytes, 4 slabs of 48 KiB, 4 of 8 KiB for the result on its way out; 168 registers, of which the producer's
// warps give up most. Tiles are walked in groups of GROUP rows of clusters, so that L2 holds what they share.
// Bound by: tensor cores, and on large products by the power that they draw.
//
// Launch: clusters of CLUSTER blocks of 384 threads. Maps with the 128-byte swizzle over boxes of 128 bytes: A of 128 rows, B of TILE_N /
// CLUSTER rows, C of 64 rows (unused where sums are stored by 32 bits). What lies outside of A and B is read as zeros; k is not zero.
//
// for: 90a
// demands: UTMALDG.2D USETMAXREG
// demands in bf16: HGMMA.F32.BF16 UTMASTG.2D STSM.4
// demands in fp16: HGMMA.F32 UTMASTG.2D STSM.4
// demands in tf32: HGMMA.F32.TF32 STG.64
// demands in e4m3: QGMMA.F32.E4M3.E4M3 UTMASTG.2D STSM.4
// demands in e5m2: QGMMA.F32.E5M2.E5M2 UTMASTG.2D STSM.4
// demands in int8: IGMMA.S8.S8 STG.64
// config t128x256_bf16: INPUT=bf16 TILE_N=256 STAGES=4 CLUSTER=2 BEHIND=1 GROUP=8 SHARED=230464
// config t128x256w0_bf16: INPUT=bf16 TILE_N=256 STAGES=4 CLUSTER=2 BEHIND=0 GROUP=8 SHARED=230464
// config t128x256c1_bf16: INPUT=bf16 TILE_N=256 STAGES=4 CLUSTER=1 BEHIND=1 GROUP=16 SHARED=230464
// config t128x256g4_bf16: INPUT=bf16 TILE_N=256 STAGES=4 CLUSTER=2 BEHIND=1 GROUP=4 SHARED=230464
// config t128x128_bf16: INPUT=bf16 TILE_N=128 STAGES=5 CLUSTER=2 BEHIND=1 GROUP=8 SHARED=197712
// config t128x256_fp16: INPUT=fp16 TILE_N=256 STAGES=4 CLUSTER=2 BEHIND=1 GROUP=8 SHARED=230464
// config t128x128_fp16: INPUT=fp16 TILE_N=128 STAGES=5 CLUSTER=2 BEHIND=1 GROUP=8 SHARED=197712
// config t128x256_tf32: INPUT=tf32 TILE_N=256 STAGES=4 CLUSTER=2 BEHIND=1 GROUP=8 SHARED=230464
// config t128x128_tf32: INPUT=tf32 TILE_N=128 STAGES=5 CLUSTER=2 BEHIND=1 GROUP=8 SHARED=197712
// config t128x256_e4m3: INPUT=e4m3 TILE_N=256 STAGES=4 CLUSTER=2 BEHIND=1 GROUP=8 SHARED=230464
// config t128x256w0_e4m3: INPUT=e4m3 TILE_N=256 STAGES=4 CLUSTER=2 BEHIND=0 GROUP=8 SHARED=230464
// config t128x256c1_e4m3: INPUT=e4m3 TILE_N=256 STAGES=4 CLUSTER=1 BEHIND=1 GROUP=16 SHARED=230464
// config t128x256g4_e4m3: INPUT=e4m3 TILE_N=256 STAGES=4 CLUSTER=2 BEHIND=1 GROUP=4 SHARED=230464
// config t128x128_e4m3: INPUT=e4m3 TILE_N=128 STAGES=5 CLUSTER=2 BEHIND=1 GROUP=8 SHARED=197712
// config t128x256_e5m2: INPUT=e5m2 TILE_N=256 STAGES=4 CLUSTER=2 BEHIND=1 GROUP=8 SHARED=230464
// config t128x128_e5m2: INPUT=e5m2 TILE_N=128 STAGES=5 CLUSTER=2 BEHIND=1 GROUP=8 SHARED=197712
// config t128x256_int8: INPUT=int8 TILE_N=256 STAGES=4 CLUSTER=2 BEHIND=1 GROUP=8 SHARED=230464
// config t128x128_int8: INPUT=int8 TILE_N=128 STAGES=5 CLUSTER=2 BEHIND=1 GROUP=8 SHARED=197712
// config slow_bf16: INPUT=bf16 TILE_N=128 STAGES=1 CLUSTER=1 BEHIND=0 GROUP=1 SHARED=66576
// config slow_fp16: INPUT=fp16 TILE_N=128 STAGES=1 CLUSTER=1 BEHIND=0 GROUP=1 SHARED=66576
// config slow_tf32: INPUT=tf32 TILE_N=128 STAGES=1 CLUSTER=1 BEHIND=0 GROUP=1 SHARED=66576
// config slow_e4m3: INPUT=e4m3 TILE_N=128 STAGES=1 CLUSTER=1 BEHIND=0 GROUP=1 SHARED=66576
// config slow_e5m2: INPUT=e5m2 TILE_N=128 STAGES=1 CLUSTER=1 BEHIND=0 GROUP=1 SHARED=66576
// config slow_int8: INPUT=int8 TILE_N=128 STAGES=1 CLUSTER=1 BEHIND=0 GROUP=1 SHARED=66576
#include "formats.cuh"
#include "tile_walk.cuh"
#include "tiles.cuh"
#include "warpgroup.cuh"

using Sum = INPUT::Sum;

constexpr u32 CONSUMERS = 2, WARPS = 4 * CONSUMERS, THREADS = 128 * (1 + CONSUMERS);
constexpr u32 SLAB = ROW_BYTES / INPUT::BYTES;  // a slab's elements of k
constexpr u32 A_BYTES = TILE_M * ROW_BYTES, B_BYTES = TILE_N * ROW_BYTES, PART_BYTES = B_BYTES / CLUSTER;
constexpr u32 STAGE_BYTES = A_BYTES + B_BYTES, BOX_BYTES = 64 * ROW_BYTES;  // a box of C: 64 x 64 of 16 bits
constexpr u32 RESULT = STAGES * STAGE_BYTES, FULL = RESULT + 2 * CONSUMERS * BOX_BYTES, EMPTY = FULL + 8 * STAGES;
constexpr u32 DYNAMIC = EMPTY + 8 * STAGES + 1024;  // 1024 for the alignment of the swizzle's pattern
static_assert(DYNAMIC == SHARED && SHARED <= 227 * 1024, "the host grants what it takes, and a multiprocessor has it");

__device__ __forceinline__ void produce(u32 base, const TensorMap* a, const TensorMap* b, const Work& work) {
    Ring<STAGES> ring;
    for (u32 turn = blockIdx.x / CLUSTER; turn < work.turns(); turn += gridDim.x / CLUSTER) {
        const Tile tile = work.tile(turn);
        for (u32 slab = 0; slab < work.slabs; slab++) {
            const u32 stage = base + ring.place * STAGE_BYTES, full = base + FULL + 8 * ring.place;
            mbarrier_wait(base + EMPTY + 8 * ring.place, ring.parity ^ 1);
            mbarrier_expect(full, STAGE_BYTES);
            copy_box(stage, a, slab * SLAB, tile.row, full);
            const u32 part = stage + A_BYTES + work.rank * PART_BYTES;
            if (CLUSTER > 1) {
                copy_box(part, b, slab * SLAB, tile.column + work.rank * (TILE_N / CLUSTER), full, (unsigned short)((1 << CLUSTER) - 1));
            } else {
                copy_box(part, b, slab * SLAB, tile.column, full);
            }
            ring.advance();
        }
    }
    // The peer's consumers still arrive at this block's barriers: the block ends when they have released every slab.
    for (u32 last = 0; CLUSTER > 1 && last < STAGES; last++) {
        mbarrier_wait(base + EMPTY + 8 * ring.place, ring.parity ^ 1);
        ring.advance();
    }
}

// This warp has read a slab: each warp tells every block of the cluster for itself, for its wait says nothing of what others still read.
__device__ __forceinline__ void release(u32 base, u32 stage) {
    if (threadIdx.x % 32 < CLUSTER) {
        mbarrier_arrive_remote(of_block(base + EMPTY + 8 * stage, threadIdx.x % 32));
    }
}

__device__ __forceinline__ void multiply_slabs(Sum (&sum)[TILE_N / 2], u32 base, u32 consumer, u32 slabs, Ring<STAGES>& ring) {
    Ring<STAGES> behind = ring;
    for (u32 slab = 0; slab < slabs; slab++) {
        const u32 stage = base + ring.place * STAGE_BYTES;
        mbarrier_wait(base + FULL + 8 * ring.place, ring.parity);
        warpgroup_fence();
#pragma unroll
        for (u32 k = 0; k < 4; k++) {
            const u64 left = descriptor(stage + consumer * (A_BYTES / CONSUMERS) + k * 32);
            INPUT::multiply(sum, left, descriptor(stage + A_BYTES + k * 32), slab > 0 || k > 0);
        }
        warpgroup_commit();
        warpgroup_wait<BEHIND>();
        if (BEHIND == 0 || slab > 0) {
            release(base, behind.place);
            behind.advance();
        }
        ring.advance();
    }
    if (BEHIND > 0) {
        warpgroup_wait<0>();
        release(base, behind.place);
    }
}

// The warpgroup's threads meet. Barriers by immediate numbers: a number in a register would reserve all sixteen.
__device__ __forceinline__ void meet_consumers(u32 consumer) {
    consumer == 0 ? meet<1, 128>() : meet<2, 128>();
}

// Sixteen-bit results: matrix by matrix to a box in shared memory, swizzled as the tensor store expects, and out by that.
template <class FORMAT>
__device__ __forceinline__ void store_halves(FORMAT, const Sum (&sum)[TILE_N / 2], u32 result, u32 consumer, const TensorMap* c, Tile tile, TileHash& hash) {
    const u32 lane = threadIdx.x % 32;
    // Lane l gives row l % 16 of the matrices' rows; lanes 16 and up the eight columns to the right.
    const u32 row = threadIdx.x / 32 % 4 * 16 + lane % 16;
#pragma unroll
    for (u32 box = 0; box < TILE_N / 64; box++) {
        const u32 at = result + box % 2 * BOX_BYTES;
        if (threadIdx.x % 128 == 0) {
            bulk_wait_read<1>();
        }
        meet_consumers(consumer);  // the store before the last has read this box
#pragma unroll
        for (u32 quad = 0; quad < 4; quad++) {
            const Sum* from = sum + box * 32 + quad * 8;
            const u32 packed[4] = {FORMAT::pack(from[0], from[1]), FORMAT::pack(from[2], from[3]), FORMAT::pack(from[4], from[5]),
                                   FORMAT::pack(from[6], from[7])};
            store_matrices(at + row * ROW_BYTES + ((quad * 2 + lane / 16) ^ row % 8) * 16, packed);
#pragma unroll
            for (u32 i = 0; i < 4; i++) {
                hash.add(packed[i]);
            }
        }
        proxy_fence();
        meet_consumers(consumer);
        if (threadIdx.x % 128 == 0) {
            store_box(c, tile.column + box * 64, tile.row + consumer * 64, at);
            bulk_commit();
        }
    }
}

struct alignas(2 * sizeof(Sum)) Two {
    Sum left, right;
};

// Results of 32 bits: a group of four lanes stores 32 bytes that lie together.
__device__ __forceinline__ void store_words(const Sum (&sum)[TILE_N / 2], Sum* c, u32 consumer, const Work& work, Tile tile, TileHash& hash) {
    const u32 lane = threadIdx.x % 32, row = tile.row + consumer * 64 + threadIdx.x / 32 % 4 * 16 + lane / 4;
    Sum* to = c + (u64)row * work.n + tile.column + lane % 4 * 2;
#pragma unroll
    for (u32 i = 0; i < TILE_N / 2; i += 2) {
        hash.add(sum[i]);
        hash.add(sum[i + 1]);
        const u32 below = i / 2 % 2 * 8, right = i / 4 * 8;
        if (row + below < work.m && tile.column + right < work.n) {
            *reinterpret_cast<Two*>(to + (u64)below * work.n + right) = {sum[i], sum[i + 1]};
        }
    }
}

__device__ __forceinline__ void consume(u32 base, const TensorMap* map, Sum* c, const Work& work, Slot* slots) {
    const u32 consumer = threadIdx.x / 128 - 1;
    Ring<STAGES> ring;
    for (u32 turn = blockIdx.x / CLUSTER; turn < work.turns(); turn += gridDim.x / CLUSTER) {
        const Tile tile = work.tile(turn);
        Sum sum[TILE_N / 2];  // the first product overwrites it
        multiply_slabs(sum, base, consumer, work.slabs, ring);
        TileHash hash;
        if constexpr (INPUT::OUT_BYTES == 2) {
            store_halves(INPUT{}, sum, base + RESULT + consumer * 2 * BOX_BYTES, consumer, map, tile, hash);
        } else {
            store_words(sum, c, consumer, work, tile, hash);
        }
        if (tile.row < work.m) {
            hash.keep(slots, (tile.row / TILE_M * work.tiles_n() + tile.column / TILE_N) * WARPS + threadIdx.x / 32 - 4);
        }
    }
    if (INPUT::OUT_BYTES == 2 && threadIdx.x % 128 == 0) {
        bulk_wait<0>();
    }
}

// A, B, C as maps; C[m,n]; m, n, k; slots as in tiles.cuh, one a warp of a tile
extern "C" __global__ void __cluster_dims__(CLUSTER, 1, 1) __launch_bounds__(THREADS, 1)
matmul_wgmma(const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap b, const __grid_constant__ TensorMap c, Sum* out,
             u64 rows, u64 columns, u64 inner, Slot* slots) {
    extern __shared__ u8 memory[];
    const u32 base = (shared_address(memory) + 1023) & ~1023u;
    const Work work = {(u32)rows, (u32)columns, ((u32)inner + SLAB - 1) / SLAB, CLUSTER > 1 ? cluster_rank() : 0};
    if (threadIdx.x == 0) {
        for (u32 i = 0; i < STAGES; i++) {
            mbarrier_init(base + FULL + 8 * i, 1);
            mbarrier_init(base + EMPTY + 8 * i, CLUSTER * WARPS);
        }
        mbarrier_init_fence();
    }
    __syncwarp();
    cluster_arrive();
    cluster_wait();
    if (threadIdx.x < 128) {
        registers_give<40>();
        if (threadIdx.x == 0) {
            produce(base, &a, &b, work);
        }
    } else {
        registers_take<232>();
        consume(base, &c, out, work, slots);
    }
}
