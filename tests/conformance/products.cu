// One product of a warp, its fragments straight from the input words, lane after lane and register after register.
//
// conformance product_bf16 arch=80 block=32 cluster=1 shared=0 in=512 out=128 define=PRODUCT=multiply_bf16,SUM=float,HELD=2,BITS=bf16
// conformance product_f16 arch=80 block=32 cluster=1 shared=0 in=512 out=128 define=PRODUCT=multiply_f16,SUM=float,HELD=2,BITS=f16
// conformance product_tf32 arch=80 block=32 cluster=1 shared=0 in=320 out=128 define=PRODUCT=multiply_tf32,SUM=float,HELD=1,BITS=tf32
// conformance product_s8 arch=80 block=32 cluster=1 shared=0 in=320 out=128 define=PRODUCT=multiply_s8,SUM=i32,HELD=1,BITS=whole
// conformance product_e4m3 arch=89 block=32 cluster=1 shared=0 in=896 out=128 define=PRODUCT=multiply_e4m3,SUM=float,HELD=4,BITS=e4m3
#include "seeded.cuh"

__device__ __forceinline__ u32 tf32(u32 word) { return __float_as_uint((float)small(word)); }
__device__ __forceinline__ u32 whole(u32 word) { return word; }
__device__ __forceinline__ u32 bits_of(float x) { return __float_as_uint(x); }
__device__ __forceinline__ u32 bits_of(i32 x) { return x; }

// A register of an operand, from HELD words.
__device__ __forceinline__ u32 operand(const u32* in) {
    u32 d = 0;
#pragma unroll
    for (u32 i = 0; i < HELD; i++) {
        d |= BITS(in[i]) << (i * 32 / HELD);
    }
    return d;
}

extern "C" __global__ void __launch_bounds__(32) KERNEL(const u32* in, u32* out) {
    const u32 lane = threadIdx.x;
    const u32 *left = in + lane * 4 * HELD, *right = in + 128 * HELD + lane * 2 * HELD, *begin = in + 192 * HELD + lane * 4;
    const u32 a[4] = {operand(left), operand(left + HELD), operand(left + 2 * HELD), operand(left + 3 * HELD)};
    SUM d[4] = {(SUM)small(begin[0]), (SUM)small(begin[1]), (SUM)small(begin[2]), (SUM)small(begin[3])};
    PRODUCT(d, a, operand(right), operand(right + HELD));
#pragma unroll
    for (int i = 0; i < 4; i++) {
        out[lane * 4 + i] = bits_of(d[i]);
    }
}
