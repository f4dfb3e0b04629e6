// A cluster of two: a box to both blocks from each, and barriers that the other block arrives at.
//
// The cluster's barriers are aligned ones: the lanes of a warp are brought together again before each.
//
// A block's dump: its rank; what its barrier says before the phase ends, after, and in the next; both boxes.
//
// conformance multicast arch=90a block=32 cluster=2 shared=0 in=720 out=1056 map=2,20,72,8,64,128 over=in
#include "seeded.cuh"

constexpr u32 BOX_BYTES = 1024;

extern "C" __global__ void __cluster_dims__(2, 1, 1) __launch_bounds__(32)
KERNEL(const u32* in, u32* out, const __grid_constant__ TensorMap map) {
    __shared__ __align__(1024) u32 boxes[2 * BOX_BYTES / 4];
    __shared__ __align__(8) u64 barriers[2];
    const u32 rank = cluster_rank(), full = shared_address(barriers), met = full + 8;
    out += rank * 528;
    if (threadIdx.x == 0) {
        mbarrier_init(full, 1);
        mbarrier_init(met, 3);
        mbarrier_init_fence();
    }
    __syncwarp();
    cluster_arrive();
    cluster_wait();
    if (threadIdx.x == 0) {
        mbarrier_expect(full, 2 * BOX_BYTES);
        copy_box(shared_address(boxes) + rank * BOX_BYTES, &map, 16 * rank, 9 * rank + 1, full, (unsigned short)3);
    }
    mbarrier_wait(full, 0);
    for (u32 i = threadIdx.x; i < 2 * BOX_BYTES / 4; i += 32) {
        out[16 + i] = boxes[i];
    }
    // Three arrivals end a phase: one of this block's here, and two of lanes of the other block below.
    if (threadIdx.x == 0) {
        out[0] = rank;
        mbarrier_arrive_remote(of_block(met, rank));
        out[1] = mbarrier_try_wait(met, 0);
        out[2] = mbarrier_try_wait(met, 1);
    }
    __syncwarp();
    cluster_arrive();
    cluster_wait();
    if (threadIdx.x < 2) {
        mbarrier_arrive_remote(of_block(met, rank ^ 1));
    }
    mbarrier_wait(met, 0);
    if (threadIdx.x == 0) {
        out[3] = mbarrier_try_wait(met, 0);
        out[4] = mbarrier_try_wait(met, 1);
    }
    if (threadIdx.x >= 5 && threadIdx.x < 16) {
        out[threadIdx.x] = 0;
    }
    __syncwarp();
    cluster_arrive();
    cluster_wait();
}
