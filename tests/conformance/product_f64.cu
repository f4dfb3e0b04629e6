// The product of a warp in double precision: an element of A and of B a lane, two of the sum.
//
// conformance product_f64 arch=80 block=32 cluster=1 shared=0 in=128 out=128
#include "seeded.cuh"

extern "C" __global__ void __launch_bounds__(32) KERNEL(const u32* in, u32* out) {
    const u32 lane = threadIdx.x;
    // 25 bits a factor, so that no float would hold the products.
    const double a = (i32)in[lane] >> 7, b = (i32)in[32 + lane] >> 7;
    double d[2] = {(double)small(in[64 + lane * 2]), (double)small(in[65 + lane * 2])};
    multiply_f64(d, a, b);
#pragma unroll
    for (int i = 0; i < 2; i++) {
        const u64 bits = __double_as_longlong(d[i]);
        out[lane * 4 + i * 2] = (u32)bits;
        out[lane * 4 + i * 2 + 1] = (u32)(bits >> 32);
    }
}
