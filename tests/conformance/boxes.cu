// Boxes that tensor copies load: inside of the tensor, across each of its edges, and outside of it.
//
// Two boxes a turn on one barrier, whose count of bytes is both boxes'. The dump is shared memory as it is, swizzled.
//
// conformance box_plain arch=90a block=32 cluster=1 shared=0 in=720 out=768 map=2,20,72,8,32,0 over=in define=BOX_BYTES=512
// conformance box_swizzle_32 arch=90a block=32 cluster=1 shared=0 in=720 out=384 map=2,20,72,8,16,32 over=in define=BOX_BYTES=256
// conformance box_swizzle_64 arch=90a block=32 cluster=1 shared=0 in=720 out=768 map=2,20,72,8,32,64 over=in define=BOX_BYTES=512
// conformance box_swizzle_128 arch=90a block=32 cluster=1 shared=0 in=720 out=1536 map=2,20,72,8,64,128 over=in define=BOX_BYTES=1024
// conformance box_words arch=90a block=32 cluster=1 shared=0 in=720 out=1536 map=4,20,36,8,32,128 over=in define=BOX_BYTES=1024
// conformance box_bytes arch=90a block=32 cluster=1 shared=0 in=720 out=1536 map=1,20,144,8,128,128 over=in define=BOX_BYTES=1024
#include "seeded.cuh"

extern "C" __global__ void __launch_bounds__(32) KERNEL(const u32* in, u32* out, const __grid_constant__ TensorMap map) {
    __shared__ __align__(1024) u32 boxes[2 * BOX_BYTES / 4];
    __shared__ __align__(8) u64 barrier;
    const u32 at = shared_address(&barrier);
    if (threadIdx.x == 0) {
        mbarrier_init(at, 1);
        mbarrier_init_fence();
    }
    __syncthreads();
    // Along rows, down: inside and off the right edge; off the left and above; off the lower right corner and outside.
    const i32 places[6][2] = {{8, 5}, {60, 11}, {-8, 2}, {4, -3}, {67, 17}, {-128, 40}};
#pragma unroll
    for (u32 turn = 0; turn < 3; turn++) {
        if (threadIdx.x == 0) {
            mbarrier_expect(at, 2 * BOX_BYTES);
            copy_box(shared_address(boxes), &map, places[2 * turn][0], places[2 * turn][1], at);
            copy_box(shared_address(boxes) + BOX_BYTES, &map, places[2 * turn + 1][0], places[2 * turn + 1][1], at);
        }
        mbarrier_wait(at, turn & 1);
        for (u32 i = threadIdx.x; i < 2 * BOX_BYTES / 4; i += 32) {
            out[turn * (2 * BOX_BYTES / 4) + i] = boxes[i];
        }
        proxy_fence();
        __syncthreads();
    }
}
