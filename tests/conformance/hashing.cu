// The generator of the inputs, on the device.
//
// conformance hashing arch=80 block=128 cluster=1 shared=0 in=1024 out=3072
#include "seeded.cuh"

__device__ __forceinline__ u32 mix(u32 x) {
    x ^= x >> 16;
    x *= 0x7feb352d;
    x ^= x >> 15;
    x *= 0x846ca68b;
    return x ^ x >> 16;
}

extern "C" __global__ void __launch_bounds__(128) KERNEL(const u32* in, u32* out) {
    for (u32 i = threadIdx.x; i < 1024; i += 128) {
        const u32 key = mix(in[0] ^ mix(i / 512)), word = mix(i ^ key);
        out[i] = word ^ in[i];
        out[1024 + i] = (u32)small(word);
        const i32 fixed = (i32)((u32)__popc(word) << 19) + (i32)(mix(word + key) >> 13) - (16 << 19) - (1 << 18);
        out[2048 + i] = __float_as_uint((float)fixed * (1.0f / (1 << 20)));
    }
}
