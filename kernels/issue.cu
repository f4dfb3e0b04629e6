// issue: lane l of a batch of 128 adds a[l] * b[l, j] `steps` times to its sum j, of eight: what ordinary units issue, nothing fetched.
//
// Idea: registers and fused multiply-adds alone, eight chains a thread, so that neither memory nor latency can hide what the units do.
// It is the roof over matmul in the same format: what matmul lacks of it is the kernel's loss, what it lacks of the data sheet the
// hardware's. Every addition is in the output: a sum that lacks one is wrong.
// Tile: a batch a block, eight blocks a multiprocessor, 32 steps a turn.
// Bound by: the units that multiply and add.
//
// demands in fused_float: FFMA
// demands in fused_double: DFMA
// config fma_fp32: REAL=float THREADS=128 BLOCKS=8 ADD=fused_float
// config slow_fp32: REAL=float THREADS=128 BLOCKS=8 ADD=twice_float
// config fma_fp64: REAL=double THREADS=128 BLOCKS=8 ADD=fused_double
// config slow_fp64: REAL=double THREADS=128 BLOCKS=8 ADD=twice_double
#include "ptx.cuh"

constexpr int CHAINS = 8, TURN = 32;

__device__ __forceinline__ float fused_float(float a, float b, float sum, float) { return __fmaf_rn(a, b, sum); }
__device__ __forceinline__ double fused_double(double a, double b, double sum, double) { return __fma_rn(a, b, sum); }

// The slow twins multiply each sum by one, which the compiler does not know.
__device__ __forceinline__ float twice_float(float a, float b, float sum, float one) { return __fmul_rn(__fmaf_rn(a, b, sum), one); }
__device__ __forceinline__ double twice_double(double a, double b, double sum, double one) { return __dmul_rn(__fma_rn(a, b, sum), one); }

// a[batches, 128], b[batches, 128, 8] -> c[batches, 128, 8]; steps is a multiple of 32, but not zero
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) issue(const REAL* a, const REAL* b, REAL* c, u64 batches, u64 steps) {
    const u64 lane = (u64)blockIdx.x * THREADS + threadIdx.x;
    const REAL factor = a[lane], one = batches > 0;
    REAL with[CHAINS], sum[CHAINS];
#pragma unroll
    for (int j = 0; j < CHAINS; j++) {
        with[j] = b[lane * CHAINS + j];
        sum[j] = 0;
    }
    do {
#pragma unroll
        for (int i = 0; i < TURN * CHAINS; i++) {
            sum[i % CHAINS] = ADD(factor, with[i % CHAINS], sum[i % CHAINS], one);
        }
        steps -= TURN;
    } while (steps > 0);
#pragma unroll
    for (int j = 0; j < CHAINS; j++) {
        c[lane * CHAINS + j] = sum[j];
    }
}
