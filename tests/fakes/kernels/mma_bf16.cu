// mma_bf16: C[m,n] = A[m,k] * B[n,k]^T, bf16 with fp32 sums and results, for sm_80 and up. A test of the interpreter, not shipped.
//
// Idea: slabs of A and B pass through shared memory by cp.async, STAGES deep, in rows of 64 bytes whose 16-byte chunks are exchanged so
// that ldmatrix meets no bank conflict; each warp multiplies 32 x 32 by mma.sync.
// Tile: 64 x 64 x 32, 4 warps. m, n are multiples of 64 and k of 32.
// Bound by: nothing; it is never timed.
//
// for: 80 86 89 90a 120
// demands: HMMA.16816.F32.BF16 LDSM.4 LDGSTS.128
// config plain: STAGES=3
#include "ptx.cuh"

constexpr int TILE = 64, SLAB = 32, THREADS = 128, ROW_BYTES = SLAB * 2;
constexpr int SLAB_BYTES = TILE * ROW_BYTES;

// Rows are half as long as the banks are wide, so that two rows share a line and the exchange follows pairs of rows.
__device__ __forceinline__ u32 place(u32 row, u32 chunk) {
    return row * ROW_BYTES + (chunk ^ row / 2 % 4) * 16;
}

// 64 rows of 64 bytes: two 16-byte pieces a thread.
__device__ __forceinline__ void start_copy(unsigned char* to, const unsigned short* from, u32 pitch, u32 first) {
#pragma unroll
    for (int i = 0; i < 2; i++) {
        const u32 piece = threadIdx.x + i * THREADS, row = piece / 4, chunk = piece % 4;
        copy_async_16(to + place(row, chunk), from + (u64)row * pitch + first + chunk * 8);
    }
}

// A[m,k], B[n,k] -> C[m,n]; one block a tile
extern "C" __global__ void __launch_bounds__(THREADS, 2)
mma_bf16(const unsigned short* a, const unsigned short* b, float* c, u64 rows, u64 columns, u64 inner) {
    __shared__ __align__(128) unsigned char left[STAGES][SLAB_BYTES], right[STAGES][SLAB_BYTES];
    const u32 n = (u32)columns, k = (u32)inner, slabs = k / SLAB;
    const u32 row = blockIdx.x / (n / TILE) * TILE, column = blockIdx.x % (n / TILE) * TILE;
    const u32 lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const u32 warp_row = warp / 2 * 32, warp_column = warp % 2 * 32;
    a += (u64)row * k;
    b += (u64)column * k;
    float sum[2][4][4] = {};
#pragma unroll
    for (int s = 0; s < STAGES - 1; s++) {
        if (s < slabs) {
            start_copy(left[s], a, k, s * SLAB);
            start_copy(right[s], b, k, s * SLAB);
        }
        copy_async_commit();
    }
#pragma unroll 1
    for (u32 t = 0; t < slabs; t++) {
        copy_async_wait<STAGES - 2>();
        __syncthreads();
        const u32 ahead = t + STAGES - 1;
        if (ahead < slabs) {
            start_copy(left[ahead % STAGES], a, k, ahead * SLAB);
            start_copy(right[ahead % STAGES], b, k, ahead * SLAB);
        }
        copy_async_commit();
        const u32 l = shared_address(left[t % STAGES]), r = shared_address(right[t % STAGES]);
#pragma unroll
        for (u32 step = 0; step < 2; step++) {
            u32 x[2][4], y[2][4];
#pragma unroll
            for (u32 i = 0; i < 2; i++) {
                // A: rows by lane % 16, the right eight columns of k by lane / 16. B: rows of n in the same way, so that registers 0 and 2
                // belong to the first eight columns of C, 1 and 3 to the next.
                load_matrices(x[i], l + place(warp_row + i * 16 + lane % 16, step * 2 + lane / 16));
                load_matrices(y[i], r + place(warp_column + i * 16 + lane % 16, step * 2 + lane / 16));
            }
#pragma unroll
            for (u32 i = 0; i < 2; i++) {
#pragma unroll
                for (u32 j = 0; j < 4; j++) {
                    multiply_bf16(sum[i][j], x[i], y[j / 2][j % 2], y[j / 2][j % 2 + 2]);
                }
            }
        }
    }
#pragma unroll
    for (u32 i = 0; i < 2; i++) {
#pragma unroll
        for (u32 j = 0; j < 4; j++) {
            float* to = c + (u64)(row + warp_row + i * 16 + lane / 4) * n + column + warp_column + j * 8 + lane % 4 * 2;
            *reinterpret_cast<float2*>(to) = make_float2(sum[i][j][0], sum[i][j][1]);
            *reinterpret_cast<float2*>(to + 8 * (u64)n) = make_float2(sum[i][j][2], sum[i][j][3]);
        }
    }
}
