// Floating-point instructions, each rounded once, of bounded values.
//
// conformance arithmetic arch=80 block=64 cluster=1 shared=0 in=192 out=1024
#include "seeded.cuh"

extern "C" __global__ void __launch_bounds__(64) KERNEL(const u32* in, u32* out) {
    const u32 x = threadIdx.x;
    const float a = bounded(in[x], 0), b = bounded(in[64 + x], x), c = bounded(in[128 + x], 0);
    const double wide = (double)a * b, narrow = __fma_rn((double)a, wide, (double)c), sum = __dadd_rn(narrow, wide);
    const u64 fused = __double_as_longlong(narrow), added = __double_as_longlong(sum);
    const u64 times = __double_as_longlong(__dmul_rn(narrow, sum));
    const u32 said[16] = {
        __float_as_uint(__fmaf_rn(a, b, c)),
        __float_as_uint(__fadd_rn(a, b)),
        __float_as_uint(__fmul_rn(a, c)),
        __float_as_uint(__fsub_rn(c, a)),
        (u32)fused,
        (u32)(fused >> 32),
        (u32)added,
        (u32)(added >> 32),
        (u32)times,
        (u32)(times >> 32),
        __float_as_uint((float)sum),
        __float_as_uint((float)(i32)in[x]),
        __float_as_uint((float)in[x]),
        (u32)(i32)a,
        __float_as_uint(fmaxf(fminf(a, b), c)),
        __float_as_uint(fabsf(a)),
    };
#pragma unroll
    for (int i = 0; i < 16; i++) {
        out[i * 64 + x] = said[i];
    }
}
