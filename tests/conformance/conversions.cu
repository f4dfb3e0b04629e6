// Floats rounded to narrow formats: normal, subnormal and beyond the largest, ties among them. Two floats a word of the output.
//
// conformance to_bf16 arch=80 block=128 cluster=1 shared=0 in=1024 out=512 define=CONVERT=pack_bf16
// conformance to_f16 arch=80 block=128 cluster=1 shared=0 in=1024 out=512 define=CONVERT=pack_f16
// conformance to_tf32 arch=80 block=128 cluster=1 shared=0 in=1024 out=512 define=CONVERT=pack_tf32
// conformance to_e4m3 arch=89 block=128 cluster=1 shared=0 in=1024 out=512 define=CONVERT=pack_e4m3
// conformance to_e5m2 arch=89 block=128 cluster=1 shared=0 in=1024 out=512 define=CONVERT=pack_e5m2
#include "seeded.cuh"

// The 19 bits of each are more than a word: the second is turned, and crossed with the first.
__device__ __forceinline__ u32 pack_tf32(float low, float high) {
    const u32 other = round_tf32(high);
    return round_tf32(low) ^ (other << 16 | other >> 16);
}

extern "C" __global__ void __launch_bounds__(128) KERNEL(const u32* in, u32* out) {
    for (u32 i = threadIdx.x; i < 512; i += 128) {
        out[i] = CONVERT(bounded(in[2 * i], 2 * i), bounded(in[2 * i + 1], 2 * i + 1));
    }
}
