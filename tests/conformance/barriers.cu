// What a barrier's count of bytes and of arrivals decides, seen from both parities.
//
// conformance barriers arch=90a block=32 cluster=1 shared=0 in=720 out=264 map=2,20,72,8,64,128 over=in
#include "seeded.cuh"

constexpr u32 BOX_BYTES = 1024;

extern "C" __global__ void __launch_bounds__(32) KERNEL(const u32* in, u32* out, const __grid_constant__ TensorMap map) {
    __shared__ __align__(1024) u32 box[BOX_BYTES / 4];
    __shared__ __align__(8) u64 barrier;
    const u32 at = shared_address(&barrier);
    if (threadIdx.x == 0) {
        mbarrier_init(at, 2);
        mbarrier_init_fence();
        out[0] = mbarrier_try_wait(at, 0);
        out[1] = mbarrier_try_wait(at, 1);
        mbarrier_expect(at, BOX_BYTES);
        out[2] = mbarrier_try_wait(at, 0);
        // The last arrival, while no byte has come.
        mbarrier_arrive_remote(of_block(at, cluster_rank()));
        out[3] = mbarrier_try_wait(at, 0);
        copy_box(shared_address(box), &map, 2, 1, at);
        mbarrier_wait(at, 0);
        out[4] = mbarrier_try_wait(at, 1);
        // All bytes come before the last arrival.
        mbarrier_expect(at, BOX_BYTES / 2);
        mbarrier_expect(at, BOX_BYTES / 2);
        proxy_fence();
        copy_box(shared_address(box), &map, 4, 6, at);
        mbarrier_wait(at, 1);
        out[5] = mbarrier_try_wait(at, 0);
        out[6] = mbarrier_try_wait(at, 1);
        out[7] = BOX_BYTES;
    }
    // A barrier that was not made yet would let the others through at once.
    __syncwarp();
    mbarrier_wait(at, 1);
    for (u32 i = threadIdx.x; i < BOX_BYTES / 4; i += 32) {
        out[8 + i] = box[i];
    }
}
