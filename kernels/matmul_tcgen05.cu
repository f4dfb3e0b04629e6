// matmul_tcgen05: C[m,n] = A[m,k] * B[n,k]^T on the tensor cores of sm_100a and sm_103a. Unproven on hardware until it ran.
//
// Idea: one thread keeps tensor copies STAGES slabs of 128 bytes of k ahead, one thread multiplies slab by slab into the tensor cores' own
// memory, and four warps take a tile's sums out of it, while the next tile is summed beside them: SUMS tiles have room there. The end of
// products, not a thread, says that a slab is empty or a tile is summed. The blocks of a cluster take neighbouring tiles of a column and
// share its slab of B, of which each copies a part: to itself where the two multiply together (PAIR), else to all. A tile of 128 x 256 then
// takes 64 bytes a clock from L2, where alone it takes 96; and a pair reads and fills 128 bytes a clock of shared memory, which is what there
// is, where each for itself needs 192 (own arithmetic, from NVIDIA's dense rate at boost).
// Tile: 128 x 256 x 128 bytes, 6 slabs of 32 KiB (4 of 48 where B is whole), 8 boxes of 4 KiB for the result on its way out; all 512
// columns of the tensor cores' memory.
// Tiles are walked in groups of GROUP rows of clusters, so that L2 holds what they share.
// Bound by: tensor cores, L2, and on large products the power that they draw.
//
// Launch: clusters of CLUSTER blocks of 192 threads. Maps with the 128-byte swizzle over boxes of 128 bytes: A of 128 rows, B of TILE_N /
// CLUSTER rows, C of 32 rows. What lies outside of A and B is read as zeros; k is not zero.
//
// for: 100a 103a
// demands: UTMALDG.2D UTMASTG.2D UTCATOMSWS UTCBAR LDTM
// demands in bf16: UTCHMMA
// demands in fp16: UTCHMMA
// demands in tf32: UTCHMMA
// demands in e4m3: UTCQMMA
// demands in e5m2: UTCQMMA
// demands in int8: UTCIMMA
// demands in 6: UTCHMMA.2CTA|UTCQMMA.2CTA|UTCIMMA.2CTA UTCBAR.2CTA.MULTICAST
// config t128x256_bf16: INPUT=bf16 TILE_N=256 STAGES=6 SUMS=2 PAIR=1 CLUSTER=2 GROUP=8 SHARED=230544
// config t128x256s_bf16: INPUT=bf16 TILE_N=256 STAGES=4 SUMS=2 PAIR=0 CLUSTER=2 GROUP=8 SHARED=230512
// config t128x256c1_bf16: INPUT=bf16 TILE_N=256 STAGES=4 SUMS=2 PAIR=0 CLUSTER=1 GROUP=16 SHARED=230512
// config t128x128_bf16: INPUT=bf16 TILE_N=128 STAGES=8 SUMS=2 PAIR=1 CLUSTER=2 GROUP=8 SHARED=230576
// config t128x256_fp16: INPUT=fp16 TILE_N=256 STAGES=6 SUMS=2 PAIR=1 CLUSTER=2 GROUP=8 SHARED=230544
// config t128x128_fp16: INPUT=fp16 TILE_N=128 STAGES=8 SUMS=2 PAIR=1 CLUSTER=2 GROUP=8 SHARED=230576
// config t128x256_tf32: INPUT=tf32 TILE_N=256 STAGES=6 SUMS=2 PAIR=1 CLUSTER=2 GROUP=8 SHARED=230544
// config t128x128_tf32: INPUT=tf32 TILE_N=128 STAGES=8 SUMS=2 PAIR=1 CLUSTER=2 GROUP=8 SHARED=230576
// config t128x256_e4m3: INPUT=e4m3 TILE_N=256 STAGES=6 SUMS=2 PAIR=1 CLUSTER=2 GROUP=8 SHARED=230544
// config t128x128_e4m3: INPUT=e4m3 TILE_N=128 STAGES=8 SUMS=2 PAIR=1 CLUSTER=2 GROUP=8 SHARED=230576
// config t128x256_e5m2: INPUT=e5m2 TILE_N=256 STAGES=6 SUMS=2 PAIR=1 CLUSTER=2 GROUP=8 SHARED=230544
// config t128x128_e5m2: INPUT=e5m2 TILE_N=128 STAGES=8 SUMS=2 PAIR=1 CLUSTER=2 GROUP=8 SHARED=230576
// config t128x256_int8 for 100a: INPUT=int8 TILE_N=256 STAGES=6 SUMS=2 PAIR=1 CLUSTER=2 GROUP=8 SHARED=230544
// config t128x128_int8 for 100a: INPUT=int8 TILE_N=128 STAGES=8 SUMS=2 PAIR=1 CLUSTER=2 GROUP=8 SHARED=230576
// config slow_bf16: INPUT=bf16 TILE_N=128 STAGES=1 SUMS=1 PAIR=0 CLUSTER=1 GROUP=1 SHARED=66608
// config slow_fp16: INPUT=fp16 TILE_N=128 STAGES=1 SUMS=1 PAIR=0 CLUSTER=1 GROUP=1 SHARED=66608
// config slow_tf32: INPUT=tf32 TILE_N=128 STAGES=1 SUMS=1 PAIR=0 CLUSTER=1 GROUP=1 SHARED=66608
// config slow_e4m3: INPUT=e4m3 TILE_N=128 STAGES=1 SUMS=1 PAIR=0 CLUSTER=1 GROUP=1 SHARED=66608
// config slow_e5m2: INPUT=e5m2 TILE_N=128 STAGES=1 SUMS=1 PAIR=0 CLUSTER=1 GROUP=1 SHARED=66608
// config slow_int8 for 100a: INPUT=int8 TILE_N=128 STAGES=1 SUMS=1 PAIR=0 CLUSTER=1 GROUP=1 SHARED=66608
#include "tensor_memory.cuh"
#include "tile_walk.cuh"
#include "tiles.cuh"

using Sum = INPUT::Sum;

constexpr u32 WARPS = 4, FETCHING = WARPS, MULTIPLYING = WARPS + 1, THREADS = 32 * (WARPS + 2);
constexpr u32 SLAB = ROW_BYTES / INPUT::BYTES;  // a slab's elements of k
constexpr u32 A_BYTES = TILE_M * ROW_BYTES, B_BYTES = TILE_N * ROW_BYTES, PART_BYTES = B_BYTES / CLUSTER;
constexpr u32 STAGE_BYTES = A_BYTES + (PAIR ? PART_BYTES : B_BYTES);
constexpr u32 BOX_COLUMNS = ROW_BYTES / INPUT::OUT_BYTES, BOX_BYTES = 32 * ROW_BYTES;  // of C, two a warp
constexpr u32 RESULT = STAGES * STAGE_BYTES, FULL = RESULT + 2 * WARPS * BOX_BYTES, EMPTY = FULL + 8 * STAGES;
constexpr u32 SUMMED = EMPTY + 8 * STAGES, DRAINED = SUMMED + 8 * SUMS, PLACE = DRAINED + 8 * SUMS;
constexpr u32 DYNAMIC = PLACE + 16 + 1024;  // 1024 for the alignment of the swizzle's pattern
constexpr u32 COLUMNS = SUMS * TILE_N;      // of the tensor cores' memory
constexpr unsigned short ALL = (1 << CLUSTER) - 1;
static_assert(!PAIR || CLUSTER == 2, "a pair is a cluster");
static_assert(DYNAMIC == SHARED && SHARED <= 227 * 1024, "the host grants what it takes, and a multiprocessor has it");
static_assert(COLUMNS <= 512 && (COLUMNS & (COLUMNS - 1)) == 0, "columns are granted by powers of two");

__device__ __forceinline__ void fetch(u32 base, const TensorMap* a, const TensorMap* b, const Work& work) {
    Ring<STAGES> ring;
    for (u32 turn = blockIdx.x / CLUSTER; turn < work.turns(); turn += gridDim.x / CLUSTER) {
        const Tile tile = work.tile(turn);
        for (u32 slab = 0; slab < work.slabs; slab++) {
            const u32 stage = base + ring.place * STAGE_BYTES, full = base + FULL + 8 * ring.place;
            const u32 part = stage + A_BYTES + work.rank * PART_BYTES, column = tile.column + work.rank * (TILE_N / CLUSTER);
            mbarrier_wait(base + EMPTY + 8 * ring.place, ring.parity ^ 1);
            if (PAIR) {
                // The first block of the pair hears of both.
                if (work.rank == 0) {
                    mbarrier_expect(full, 2 * STAGE_BYTES);
                }
                const u32 first = of_block(full, 0);
                copy_box_of_pair(stage, a, slab * SLAB, tile.row, first);
                copy_box_of_pair(stage + A_BYTES, b, slab * SLAB, column, first);
            } else {
                mbarrier_expect(full, STAGE_BYTES);
                copy_box(stage, a, slab * SLAB, tile.row, full);
                CLUSTER > 1 ? copy_box(part, b, slab * SLAB, column, full, ALL) : copy_box(part, b, slab * SLAB, column, full);
            }
            ring.advance();
        }
    }
    // The peer's products still arrive at this block's barriers: the block ends when it has released every slab.
    for (u32 last = 0; CLUSTER > 1 && last < STAGES; last++) {
        mbarrier_wait(base + EMPTY + 8 * ring.place, ring.parity ^ 1);
        ring.advance();
    }
}

__device__ __forceinline__ void multiply(u32 base, u32 sums, const Work& work) {
    Ring<STAGES> ring;
    Ring<SUMS> of_sums;
    for (u32 turn = blockIdx.x / CLUSTER; turn < work.turns(); turn += gridDim.x / CLUSTER) {
        mbarrier_wait(base + DRAINED + 8 * of_sums.place, of_sums.parity ^ 1);
        const u32 to = sums + of_sums.place * TILE_N;
        for (u32 slab = 0; slab < work.slabs; slab++) {
            const u32 stage = base + ring.place * STAGE_BYTES;
            mbarrier_wait(base + FULL + 8 * ring.place, ring.parity);
            tensor_fence_after_meeting();
#pragma unroll
            for (u32 k = 0; k < 4; k++) {
                const u64 left = tensor_operand(stage + k * 32), right = tensor_operand(stage + A_BYTES + k * 32);
                Tensor<INPUT>::multiply(to, left, right, PAIR ? 2 * TILE_M : TILE_M, TILE_N, slab > 0 || k > 0);
            }
            CLUSTER > 1 ? tensor_commit(base + EMPTY + 8 * ring.place, ALL) : tensor_commit(base + EMPTY + 8 * ring.place);
            ring.advance();
        }
        PAIR ? tensor_commit(base + SUMMED + 8 * of_sums.place, ALL) : tensor_commit(base + SUMMED + 8 * of_sums.place);
        of_sums.advance();
    }
}

// The 32 words of a row of a box: as many columns, or twice as many by 16 bits.
template <class FORMAT>
__device__ __forceinline__ void load_row(FORMAT, u32 (&words)[32], u32 from) {
    if constexpr (FORMAT::OUT_BYTES == 4) {
        tensor_load(words, from);
        tensor_wait_load(words);
    } else {
        u32 left[32], right[32];
        tensor_load(left, from);
        tensor_load(right, from + 32);
        tensor_wait_load(left);
        tensor_wait_load(right);
#pragma unroll
        for (u32 i = 0; i < 16; i++) {
            words[i] = FORMAT::pack(__uint_as_float(left[2 * i]), __uint_as_float(left[2 * i + 1]));
            words[16 + i] = FORMAT::pack(__uint_as_float(right[2 * i]), __uint_as_float(right[2 * i + 1]));
        }
    }
}

// A warp's 32 rows of a tile, box by box through shared memory, swizzled as the tensor store expects.
__device__ __forceinline__ void store(u32 sums, u32 result, u32 drained, const TensorMap* c, Tile tile, TileHash& hash) {
    const u32 lane = threadIdx.x % 32;
#pragma unroll 1
    for (u32 box = 0; box < TILE_N / BOX_COLUMNS; box++) {
        const u32 at = result + box % 2 * BOX_BYTES;
        u32 words[32];
        load_row(INPUT{}, words, sums + box * BOX_COLUMNS);
        if (box == TILE_N / BOX_COLUMNS - 1) {
            tensor_fence_before_meeting();
            __syncwarp();
            if (lane == 0) {
                PAIR ? mbarrier_arrive_remote(of_block(drained, 0)) : mbarrier_arrive(drained);
            }
        }
        if (lane == 0) {
            bulk_wait_read<1>();
        }
        __syncwarp();  // the store before the last has read this box
#pragma unroll
        for (u32 chunk = 0; chunk < 8; chunk++) {
            const u32* from = words + chunk * 4;
            store_shared(at + lane * ROW_BYTES + (chunk ^ lane % 8) * 16, from[0], from[1], from[2], from[3]);
#pragma unroll
            for (u32 i = 0; i < 4; i++) {
                hash.add(from[i]);
            }
        }
        proxy_fence();
        __syncwarp();
        if (lane == 0) {
            store_box(c, tile.column + box * BOX_COLUMNS, tile.row + threadIdx.x / 32 * 32, at);
            bulk_commit();
        }
    }
}

__device__ __forceinline__ void drain(u32 base, u32 sums, const TensorMap* c, const Work& work, Slot* slots) {
    const u32 warp = threadIdx.x / 32;
    Ring<SUMS> ring;
    for (u32 turn = blockIdx.x / CLUSTER; turn < work.turns(); turn += gridDim.x / CLUSTER) {
        const Tile tile = work.tile(turn);
        mbarrier_wait(base + SUMMED + 8 * ring.place, ring.parity);
        tensor_fence_after_meeting();
        TileHash hash;
        const u32 from = sums + ring.place * TILE_N + (warp * 32 << 16);
        store(from, base + RESULT + warp * 2 * BOX_BYTES, base + DRAINED + 8 * ring.place, c, tile, hash);
        if (tile.row < work.m) {
            hash.keep(slots, (tile.row / TILE_M * work.tiles_n() + tile.column / TILE_N) * WARPS + warp);
        }
        ring.advance();
    }
    if (threadIdx.x % 32 == 0) {
        bulk_wait<0>();
    }
}

// A, B, C as maps; C[m,n]; m, n, k; slots as in tiles.cuh, one a warp of a tile
extern "C" __global__ void __cluster_dims__(CLUSTER, 1, 1) __launch_bounds__(THREADS, 1)
matmul_tcgen05(const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap b, const __grid_constant__ TensorMap c, Sum* out,
               u64 rows, u64 columns, u64 inner, Slot* slots) {
    extern __shared__ u8 memory[];
    const u32 base = (shared_address(memory) + 1023) & ~1023u, warp = threadIdx.x / 32;
    const Work work = {(u32)rows, (u32)columns, ((u32)inner + SLAB - 1) / SLAB, CLUSTER > 1 ? cluster_rank() : 0};
    if (threadIdx.x == 0) {
        for (u32 i = 0; i < STAGES; i++) {
            mbarrier_init(base + FULL + 8 * i, 1);
            mbarrier_init(base + EMPTY + 8 * i, PAIR ? 1 : CLUSTER);
        }
        for (u32 i = 0; i < SUMS; i++) {
            mbarrier_init(base + SUMMED + 8 * i, 1);
            mbarrier_init(base + DRAINED + 8 * i, PAIR ? 2 * WARPS : WARPS);
        }
        mbarrier_init_fence();
    }
    __syncwarp();
    if (warp == MULTIPLYING) {
        tensor_allocate<COLUMNS>(base + PLACE);
        tensor_allocate_no_more();
    }
    cluster_arrive();
    cluster_wait();
    const u32 sums = load_shared_word(base + PLACE);
    if (warp == FETCHING) {
        if (elected()) {
            fetch(base, &a, &b, work);
        }
    } else if (warp == MULTIPLYING) {
        if ((!PAIR || work.rank == 0) && elected()) {
            multiply(base, sums, work);
        }
    } else {
        drain(base, sums, &c, work, slots);
    }
    __syncwarp();
    if (PAIR) {
        // Both blocks have stored their last tile.
        cluster_arrive();
        cluster_wait();
    } else {
        __syncthreads();
    }
    if (warp == MULTIPLYING) {
        tensor_free<COLUMNS>(sums);
    }
}
