// What goes through loads and stores with hints, and through shared memory without a register between.
//
// conformance copies arch=80 block=64 cluster=1 shared=0 in=1792 out=1792
#include "seeded.cuh"

extern "C" __global__ void __launch_bounds__(64) KERNEL(const u32* in, u32* out) {
    __shared__ __align__(16) u32 slab[768];
    const u32 x = threadIdx.x;
    const uint4* quads = reinterpret_cast<const uint4*>(in);
    const double2* pairs = reinterpret_cast<const double2*>(in);
    uint4* to = reinterpret_cast<uint4*>(out);
    double2* to_pairs = reinterpret_cast<double2*>(out);
    // The second group copies every other word only and zeros for the rest; its size decides, not its address.
    copy_async_16(slab + x * 4, in + 1024 + x * 4);
    copy_async_commit();
    for (u32 i = 0; i < 4; i++) {
        copy_async_one(slab + 256 + i * 64 + x, in + 1280 + i * 64 + x, x % 2 == 1);
    }
    copy_async_commit();
    store_streamed(to + x, load_again(quads + 63 - x));
    store_streamed(to + 64 + x, load_cached(quads + 64 + (x ^ 5)));
    to_pairs[128 + x] = load_once(pairs + 128 + x);
    store_streamed(to_pairs + 192 + x, load_again(pairs + 192 + (x ^ 9)));
    copy_async_wait<1>();
    __syncthreads();
    to[256 + x] = reinterpret_cast<uint4*>(slab)[x ^ 33];
    copy_async_wait<0>();
    __syncthreads();
    to[320 + x] = reinterpret_cast<uint4*>(slab + 256)[x ^ 17];
    to_pairs[384 + x] = load_cached(pairs + 384 + x);
}
