// Integer instructions that kernels are compiled to: bytes and fields, shifts across words, counts, wide products.
//
// conformance bits arch=80 block=64 cluster=1 shared=0 in=192 out=1536
#include "seeded.cuh"

extern "C" __global__ void __launch_bounds__(64) KERNEL(const u32* in, u32* out) {
    const u32 a = in[threadIdx.x], b = in[64 + threadIdx.x], c = in[128 + threadIdx.x];
    const u64 both = (u64)a << 32 | b, wide = (u64)a * b + both, product = both * ((u64)c << 32 | a);
    const i64 sign = (i64)(i32)a * (i32)b + (i64)both;
    const u32 said[24] = {
        __byte_perm(a, b, c),
        __byte_perm(a, b, 0x5410),
        a >> 5 & 0x7ff,
        (u32)((i32)(a << 7) >> 20),
        (a & ~0xff00u) | (b & 0xff) << 8,
        __funnelshift_l(a, b, c),
        __funnelshift_r(a, b, c),
        __funnelshift_lc(a, b, c % 64),
        __funnelshift_rc(a, b, c % 64),
        (u32)__popc(a),
        (u32)__popcll(both),
        (u32)__clz(a >> c % 32),
        __brev(a),
        (u32)__ffs(a << c % 32),
        __umulhi(a, b),
        (u32)__mulhi((i32)a, (i32)b),
        (u32)wide,
        (u32)(wide >> 32),
        (u32)sign,
        (u32)((u64)sign >> 32),
        (u32)(product >> 32),
        (u32)(__umul64hi(both, product) >> 32),
        a / (c | 1),
        (a & b) | (~a & c),
    };
#pragma unroll
    for (int i = 0; i < 24; i++) {
        out[i * 64 + threadIdx.x] = said[i];
    }
}
