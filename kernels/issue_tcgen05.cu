// issue_tcgen05: as issue_wgmma, by the tensor cores of sm_100a and sm_103a, in larger pieces: C[128, 256] of a batch = A[128, k] * B[256, k]^T,
// k being 32 bytes, added up 16 * `rounds` times: what they issue, nothing fetched but what each product takes from shared memory. Unproven
// on hardware until it ran.
//
// Idea: the operands of a product of 128 x 256, the largest that a block has alone, stay in shared memory, 12 KiB: 96 of its 128 bytes a clock
// (own arithmetic, from NVIDIA's dense rate at boost). One thread begins sixteen products of a round after each other, into one half of the
// tensor cores' memory, while eight warps add up the round before out of the other half. Tensor cores of other generations keep few bits
// of a sum in fp8, so that rounds are summed on ordinary units: every product is in the output and exact sums stay exact.
// Tile: a batch a block, of eight warps that add up and one that multiplies; a block a multiprocessor, for it takes all 512 columns.
// Bound by: tensor cores.
//
// for: 100a 103a
// demands: UTCATOMSWS UTCBAR LDTM
// demands in bf16: UTCHMMA
// demands in fp16: UTCHMMA
// demands in tf32: UTCHMMA
// demands in e4m3: UTCQMMA
// demands in e5m2: UTCQMMA
// demands in int8: UTCIMMA
// config t128x256_bf16: INPUT=bf16 THREADS=288 PAIR=0 ALONE=0 SHARED=50232
// config slow_bf16: INPUT=bf16 THREADS=288 PAIR=0 ALONE=1 SHARED=50232
// config t128x256_fp16: INPUT=fp16 THREADS=288 PAIR=0 ALONE=0 SHARED=50232
// config slow_fp16: INPUT=fp16 THREADS=288 PAIR=0 ALONE=1 SHARED=50232
// config t128x256_tf32: INPUT=tf32 THREADS=288 PAIR=0 ALONE=0 SHARED=50232
// config slow_tf32: INPUT=tf32 THREADS=288 PAIR=0 ALONE=1 SHARED=50232
// config t128x256_e4m3: INPUT=e4m3 THREADS=288 PAIR=0 ALONE=0 SHARED=50232
// config slow_e4m3: INPUT=e4m3 THREADS=288 PAIR=0 ALONE=1 SHARED=50232
// config t128x256_e5m2: INPUT=e5m2 THREADS=288 PAIR=0 ALONE=0 SHARED=50232
// config slow_e5m2: INPUT=e5m2 THREADS=288 PAIR=0 ALONE=1 SHARED=50232
// config t128x256_int8 for 100a: INPUT=int8 THREADS=288 PAIR=0 ALONE=0 SHARED=50232
// config slow_int8 for 100a: INPUT=int8 THREADS=288 PAIR=0 ALONE=1 SHARED=50232
#include "tensor_memory.cuh"

using Sum = INPUT::Sum;

constexpr u32 ROWS = 128, COLUMNS = 256, HALVES = 2;  // of a batch, and of the tensor cores' memory
constexpr u32 WARPS = 8, MULTIPLYING = WARPS;         // that add up: two for each 32 rows, each with half of the columns
constexpr u32 SUMS = COLUMNS / 2;                     // a thread's
constexpr u32 STEPS = 16;                             // of a round
constexpr u32 K_BYTES = 32, CHUNK = 16;
constexpr u32 RIGHT = ROWS * ROW_BYTES, SUMMED = RIGHT + COLUMNS * ROW_BYTES, ADDED = SUMMED + 8 * HALVES;
constexpr u32 ONE = ADDED + 8 * HALVES, PLACE = ONE + 8;
constexpr u32 DYNAMIC = PLACE + 16 + 1024;  // 1024 for the alignment of the swizzle's pattern
static_assert(DYNAMIC == SHARED && THREADS == 32 * (WARPS + 1), "the host grants what it takes");

// HEIGHT rows of 32 bytes to rows of 128 bytes, of which the rest is never read, in the order that the descriptor tells.
template <u32 HEIGHT>
__device__ __forceinline__ void place(u32 to, const u8* from) {
    for (u32 i = threadIdx.x; i < HEIGHT * (K_BYTES / CHUNK); i += THREADS) {
        const u32 row = i / 16 * 8 + i % 8, chunk = i / 8 % 2;  // eight rows at once meet eight groups of banks
        const uint4 v = reinterpret_cast<const uint4*>(from)[row * 2 + chunk];
        store_shared(to + row * ROW_BYTES + (chunk ^ row % 8) * CHUNK, v.x, v.y, v.z, v.w);
    }
}

__device__ __forceinline__ void multiply(u32 base, u32 sums, u64 rounds) {
    const u64 left = tensor_operand(base), right = tensor_operand(base + RIGHT);
    u32 alone = 0;
    for (u64 round = 0; round < rounds; round++) {
        const u32 half = (u32)round % HALVES, parity = (u32)(round / HALVES) % 2;
        mbarrier_wait(base + ADDED + 8 * half, parity ^ 1);
        tensor_fence_after_meeting();
#pragma unroll 1
        for (u32 step = 0; step < STEPS; step++) {
            Tensor<INPUT>::multiply(sums + half * COLUMNS, left, right, ROWS, COLUMNS, step > 0);
            // The slow twin waits for each product.
            if (ALONE) {
                tensor_commit(base + ONE);
                mbarrier_wait(base + ONE, alone);
                alone ^= 1;
            }
        }
        tensor_commit(base + SUMMED + 8 * half);
    }
}

__device__ __forceinline__ void add(float& total, u32 word) { total += __uint_as_float(word); }
__device__ __forceinline__ void add(i32& total, u32 word) { total += (i32)word; }

__device__ __forceinline__ void add_up(Sum (&total)[SUMS], u32 base, u32 from, u64 rounds) {
    for (u64 round = 0; round < rounds; round++) {
        const u32 half = (u32)round % HALVES, parity = (u32)(round / HALVES) % 2;
        mbarrier_wait(base + SUMMED + 8 * half, parity);
        tensor_fence_after_meeting();
#pragma unroll
        for (u32 part = 0; part < SUMS; part += 32) {
            u32 words[32];
            tensor_load(words, from + half * COLUMNS + part);
            tensor_wait_load(words);
#pragma unroll
            for (u32 i = 0; i < 32; i++) {
                add(total[part + i], words[i]);
            }
        }
        tensor_fence_before_meeting();
        __syncwarp();
        if (threadIdx.x % 32 == 0) {
            mbarrier_arrive(base + ADDED + 8 * half);
        }
    }
}

// a[batches, 128, k], b[batches, 256, k] -> c[batches, 128, 256]; rounds is not zero
extern "C" __global__ void __launch_bounds__(THREADS, 1) issue_tcgen05(const u8* a, const u8* b, Sum* c, u64 batches, u64 rounds) {
    extern __shared__ u8 memory[];
    const u32 base = (shared_address(memory) + 1023) & ~1023u, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    place<ROWS>(base, a + (u64)blockIdx.x * ROWS * K_BYTES);
    place<COLUMNS>(base + RIGHT, b + (u64)blockIdx.x * COLUMNS * K_BYTES);
    proxy_fence();
    if (threadIdx.x == 0) {
        for (u32 half = 0; half < HALVES; half++) {
            mbarrier_init(base + SUMMED + 8 * half, 1);
            mbarrier_init(base + ADDED + 8 * half, WARPS);
        }
        mbarrier_init(base + ONE, 1);
        mbarrier_init_fence();
    }
    __syncwarp();
    if (warp == MULTIPLYING) {
        tensor_allocate<HALVES * COLUMNS>(base + PLACE);
        tensor_allocate_no_more();
    }
    __syncthreads();
    const u32 sums = load_shared_word(base + PLACE);
    if (warp == MULTIPLYING) {
        if (elected()) {
            multiply(base, sums, rounds);
        }
    } else {
        const u32 row = warp % 4 * 32, column = warp / 4 * SUMS;
        Sum total[SUMS] = {};
        add_up(total, base, sums + column + (row << 16), rounds);
        Sum* to = c + ((u64)blockIdx.x * ROWS + row + lane) * COLUMNS + column;
#pragma unroll
        for (u32 i = 0; i < SUMS; i++) {
            to[i] = total[i];
        }
    }
    __syncthreads();
    if (warp == MULTIPLYING) {
        tensor_free<HALVES * COLUMNS>(sums);
    }
}
