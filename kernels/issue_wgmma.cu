// issue_wgmma: as issue_mma, by the warpgroup: C[64, 128] of a batch = A[64, k] * B[128, k]^T, k being 32 bytes, added up 16 * `rounds`
// times: what the tensor cores of sm_90a issue, nothing fetched but what each product takes from shared memory.
//
// Idea: the operands of a product of 64 x 128 stay in shared memory, 6 KiB; sixteen products follow each other without a wait, and while
// one block adds up a round, those of the others go on. Tensor cores keep few bits of a sum in fp8, so that rounds are summed on
// ordinary units: every product is in the output and exact sums stay exact.
// Tile: a batch a block of one warpgroup, three blocks a multiprocessor.
// Bound by: tensor cores.
//
// for: 90a
// demands in bf16: HGMMA.F32.BF16
// demands in fp16: HGMMA.F32
// demands in tf32: HGMMA.F32.TF32
// demands in e4m3: QGMMA.F32.E4M3.E4M3
// demands in e5m2: QGMMA.F32.E5M2.E5M2
// demands in int8: IGMMA.S8.S8
// config t64x128_bf16: INPUT=bf16 THREADS=128 ALONE=0
// config slow_bf16: INPUT=bf16 THREADS=128 ALONE=1
// config t64x128_fp16: INPUT=fp16 THREADS=128 ALONE=0
// config slow_fp16: INPUT=fp16 THREADS=128 ALONE=1
// config t64x128_tf32: INPUT=tf32 THREADS=128 ALONE=0
// config slow_tf32: INPUT=tf32 THREADS=128 ALONE=1
// config t64x128_e4m3: INPUT=e4m3 THREADS=128 ALONE=0
// config slow_e4m3: INPUT=e4m3 THREADS=128 ALONE=1
// config t64x128_e5m2: INPUT=e5m2 THREADS=128 ALONE=0
// config slow_e5m2: INPUT=e5m2 THREADS=128 ALONE=1
// config t64x128_int8: INPUT=int8 THREADS=128 ALONE=0
// config slow_int8: INPUT=int8 THREADS=128 ALONE=1
#include "formats.cuh"
#include "warpgroup.cuh"

using Sum = INPUT::Sum;

constexpr u32 ROWS = 64, COLUMNS = 128, SUMS = COLUMNS / 2;  // of a batch, and of it a thread's sums
constexpr u32 STEPS = 16;                                     // of a round
constexpr u32 K_BYTES = 32, CHUNK = 16;

// HEIGHT rows of 32 bytes to rows of 128 bytes, of which the rest is never read, in the order that the descriptor tells.
template <u32 HEIGHT>
__device__ __forceinline__ void place(u8* to, const u8* from) {
#pragma unroll
    for (u32 turn = 0; turn < HEIGHT * (K_BYTES / CHUNK) / THREADS; turn++) {
        const u32 i = turn * THREADS + threadIdx.x, row = i / 16 * 8 + i % 8, chunk = i / 8 % 2;  // eight rows at once meet eight groups of banks
        *reinterpret_cast<uint4*>(to + row * ROW_BYTES + (chunk ^ row % 8) * CHUNK) = reinterpret_cast<const uint4*>(from)[row * 2 + chunk];
    }
}

__device__ __forceinline__ void add_up(Sum (&total)[SUMS], u32 left, u32 right) {
    Sum sum[SUMS];
#pragma unroll
    for (u32 step = 0; step < STEPS; step++) {
        if (ALONE || step == 0) {
            warpgroup_fence();
        }
        INPUT::multiply(sum, descriptor(left), descriptor(right), step > 0);
        // The slow twin waits for each product.
        if (ALONE || step == STEPS - 1) {
            warpgroup_commit();
            warpgroup_wait<0>();
        }
    }
#pragma unroll
    for (u32 i = 0; i < SUMS; i++) {
        total[i] += sum[i];
    }
}

// a[batches, 64, k], b[batches, 128, k] -> c[batches, 64, 128]; rounds is not zero
extern "C" __global__ void __launch_bounds__(THREADS, 3) issue_wgmma(const u8* a, const u8* b, Sum* c, u64 batches, u64 rounds) {
    alignas(1024) __shared__ u8 left[ROWS * ROW_BYTES];
    alignas(1024) __shared__ u8 right[COLUMNS * ROW_BYTES];
    place<ROWS>(left, a + (u64)blockIdx.x * ROWS * K_BYTES);
    place<COLUMNS>(right, b + (u64)blockIdx.x * COLUMNS * K_BYTES);
    proxy_fence();
    __syncthreads();
    Sum total[SUMS] = {};
    do {
        add_up(total, shared_address(left), shared_address(right));
    } while (--rounds > 0);
    const u32 lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    Sum* to = c + ((u64)blockIdx.x * ROWS + warp * 16 + lane / 4) * COLUMNS + lane % 4 * 2;
#pragma unroll
    for (u32 i = 0; i < SUMS; i++) {
        to[i / 2 % 2 * 8 * COLUMNS + i / 4 * 8 + i % 2] = total[i];
    }
}
