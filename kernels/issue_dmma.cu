// issue_dmma: C[64, 64] of a batch = A[64, 16] * B[64, 16]^T, fp64, added up 16 * `rounds` times: what tensor cores issue by the warp,
// nothing fetched.
//
// Idea: as issue_mma; a warp holds 16 rows of A and all of B in registers, and eight chains of products. It is the roof over matmul_dmma.
// Doubles keep every bit of such sums, so that rounds are not apart.
// Tile: a batch a block of four warps, two blocks a multiprocessor.
// Bound by: tensor cores.
//
// for: 80 90a 100a 103a
// demands: DMMA
// config t64x64: REAL=double THREADS=128 FETCH=0
// config slow: REAL=double THREADS=128 FETCH=1
#include "ptx.cuh"

constexpr int ROWS = 64, COLUMNS = 64, DEPTH = 16, GROUPS = COLUMNS / 8;  // of a batch, and its columns by products
constexpr int STEPS = 16;                                                  // of a round

struct Fragments {
    double a[8], b[GROUPS][4];

    // Lanes 4 i and up hold row i of a product (PTX ISA, Matrix Fragments for mma). `volatile`: the slow twin fetches at every step.
    __device__ __forceinline__ void load(const volatile double* left, const volatile double* right) {
        const u32 lane = threadIdx.x % 32, at = lane / 4 * DEPTH + lane % 4;
#pragma unroll
        for (int i = 0; i < 8; i++) {
            a[i] = left[at + i % 2 * 8 * DEPTH + i / 2 * 4];
        }
#pragma unroll
        for (int j = 0; j < GROUPS * 4; j++) {
            b[j / 4][j % 4] = right[at + j / 4 * 8 * DEPTH + j % 4 * 4];
        }
    }
};

// a[batches, 64, 16], b[batches, 64, 16] -> c[batches, 64, 64]; rounds is not zero
extern "C" __global__ void __launch_bounds__(THREADS, 2) issue_dmma(const double* a, const double* b, double* c, u64 batches, u64 rounds) {
    const u32 warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const double* left = a + ((u64)blockIdx.x * ROWS + warp * 16) * DEPTH;
    const double* right = b + (u64)blockIdx.x * COLUMNS * DEPTH;
    Fragments with;
    with.load(left, right);
    double sum[GROUPS][4] = {};
    do {
#pragma unroll 1
        for (int step = 0; step < STEPS; step++) {
            if (FETCH) {
                with.load(left, right);
            }
#pragma unroll
            for (int j = 0; j < GROUPS; j++) {
                multiply_f64(sum[j], with.a, with.b[j]);
            }
        }
    } while (--rounds > 0);
    double* to = c + ((u64)blockIdx.x * ROWS + warp * 16 + lane / 4) * COLUMNS + lane % 4 * 2;
#pragma unroll
    for (int j = 0; j < GROUPS * 4; j++) {
        to[j % 4 / 2 * 8 * COLUMNS + j / 4 * 8 + j % 2] = sum[j / 4][j % 4];
    }
}
