// issue_mma: C[64, 128] of a batch = A[64, k] * B[128, k]^T, k being 32 bytes, added up 16 * `rounds` times: what tensor cores issue by
// the warp (mma.sync), nothing fetched.
//
// Idea: a warp holds 16 rows of A and all of B in registers, and sixteen chains of products. It is the roof over matmul by the same
// instruction. Tensor cores of some generations keep few bits of a sum in fp8, so that sixteen steps are summed there and the rounds on
// ordinary units: every product is in the output and exact sums stay exact.
// Tile: a batch a block of four warps, two blocks a multiprocessor.
// Bound by: tensor cores.
//
// fp8 is for sm_89 and sm_120 alone, as in matmul_mma.
//
// demands in bf16: HMMA.16816.F32.BF16
// demands in fp16 from 80: HMMA.16816.F32
// demands in tf32: HMMA.1688.F32.TF32
// demands in e4m3: QMMA.16832.F32.E4M3.E4M3
// demands in e5m2: QMMA.16832.F32.E5M2.E5M2
// demands in int8 from 80: IMMA.16832.S8.S8
// config t64x128_bf16 from 80: INPUT=bf16 THREADS=128 FETCH=0
// config slow_bf16 from 80: INPUT=bf16 THREADS=128 FETCH=1
// config t64x128_fp16 from 75: INPUT=fp16 THREADS=128 FETCH=0
// config slow_fp16 from 75: INPUT=fp16 THREADS=128 FETCH=1
// config t64x128_tf32 from 80: INPUT=tf32 THREADS=128 FETCH=0
// config slow_tf32 from 80: INPUT=tf32 THREADS=128 FETCH=1
// config t64x128_e4m3 for 89 120: INPUT=e4m3 THREADS=128 FETCH=0
// config slow_e4m3 for 89 120: INPUT=e4m3 THREADS=128 FETCH=1
// config t64x128_e5m2 for 89 120: INPUT=e5m2 THREADS=128 FETCH=0
// config slow_e5m2 for 89 120: INPUT=e5m2 THREADS=128 FETCH=1
// config t64x128_int8 from 75: INPUT=int8 THREADS=128 FETCH=0
// config slow_int8 from 75: INPUT=int8 THREADS=128 FETCH=1
#include "formats.cuh"

using Sum = INPUT::Sum;

constexpr int ROWS = 64, COLUMNS = 128, GROUPS = COLUMNS / 8;  // of a batch, and its columns by products
constexpr int WORDS = 8;                                        // of a row of A or B
constexpr int STEPS = 16;                                       // of a round

struct Fragments {
    u32 a[4], b[GROUPS][2];

    // Lanes 4 i and up hold row i of a product (PTX ISA, Matrix Fragments for mma). `volatile`: the slow twin fetches at every step.
    __device__ __forceinline__ void load(const volatile u32* left, const volatile u32* right) {
        const u32 lane = threadIdx.x % 32, at = lane / 4 * WORDS + lane % 4;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            a[i] = left[at + i % 2 * 8 * WORDS + i / 2 * 4];
        }
#pragma unroll
        for (int j = 0; j < GROUPS * 2; j++) {
            b[j / 2][j % 2] = right[at + j / 2 * 8 * WORDS + j % 2 * 4];
        }
    }
};

// a[batches, 64, k], b[batches, 128, k] -> c[batches, 64, 128]; rounds is not zero
extern "C" __global__ void __launch_bounds__(THREADS, 2) issue_mma(const u32* a, const u32* b, Sum* c, u64 batches, u64 rounds) {
    const u32 warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const u32* left = a + ((u64)blockIdx.x * ROWS + warp * 16) * WORDS;
    const u32* right = b + (u64)blockIdx.x * COLUMNS * WORDS;
    Fragments with;
    with.load(left, right);
    Sum total[GROUPS][4] = {};
    do {
        Sum sum[GROUPS][4] = {};
#pragma unroll 1
        for (int step = 0; step < STEPS; step++) {
            if (FETCH) {
                with.load(left, right);
            }
#pragma unroll
            for (int j = 0; j < GROUPS; j++) {
                INPUT::multiply(sum[j], with.a, with.b[j][0], with.b[j][1]);
            }
        }
#pragma unroll
        for (int j = 0; j < GROUPS * 4; j++) {
            total[j / 4][j % 4] += sum[j / 4][j % 4];
        }
    } while (--rounds > 0);
    Sum* to = c + ((u64)blockIdx.x * ROWS + warp * 16 + lane / 4) * COLUMNS + lane % 4 * 2;
#pragma unroll
    for (int j = 0; j < GROUPS * 4; j++) {
        to[j % 4 / 2 * 8 * COLUMNS + j / 4 * 8 + j % 2] = total[j / 4][j % 4];
    }
}
