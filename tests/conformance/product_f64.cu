// The product of a warp in double precision: eight elements of A a lane, four of B, four of the sum.
//
// conformance product_f64 arch=80 block=32 cluster=1 shared=0 in=512 out=256
#include "seeded.cuh"

extern "C" __global__ void __launch_bounds__(32) KERNEL(const u32* in, u32* out) {
    const u32 group = threadIdx.x / 4, place = threadIdx.x % 4;
    double a[8], b[4], d[4];
    // 25 bits a factor, so that no float would hold the products.
#pragma unroll
    for (u32 i = 0; i < 8; i++) {
        a[i] = (i32)in[(group + i % 2 * 8) * 16 + i / 2 * 4 + place] >> 7;
    }
#pragma unroll
    for (u32 i = 0; i < 4; i++) {
        b[i] = (i32)in[256 + group * 16 + i * 4 + place] >> 7;
        d[i] = small(in[384 + (group + i / 2 * 8) * 8 + place * 2 + i % 2]);
    }
    multiply_f64(d, a, b);
#pragma unroll
    for (u32 i = 0; i < 4; i++) {
        const u64 bits = __double_as_longlong(d[i]);
        const u32 at = (group + i / 2 * 8) * 8 + place * 2 + i % 2;
        out[at * 2] = (u32)bits;
        out[at * 2 + 1] = (u32)(bits >> 32);
    }
}
