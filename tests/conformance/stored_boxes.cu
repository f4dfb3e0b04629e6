// Boxes that tensor copies store: inside of the tensor, and what lies inside of those that its edges cut.
//
// conformance stored_plain arch=90a block=32 cluster=1 shared=0 in=512 out=720 map=2,20,72,8,32,0 over=out define=BOX_BYTES=512
// conformance stored_swizzle_32 arch=90a block=32 cluster=1 shared=0 in=256 out=720 map=2,20,72,8,16,32 over=out define=BOX_BYTES=256
// conformance stored_swizzle_64 arch=90a block=32 cluster=1 shared=0 in=512 out=720 map=2,20,72,8,32,64 over=out define=BOX_BYTES=512
// conformance stored_swizzle_128 arch=90a block=32 cluster=1 shared=0 in=1024 out=720 map=2,20,72,8,64,128 over=out define=BOX_BYTES=1024
#include "seeded.cuh"

extern "C" __global__ void __launch_bounds__(32) KERNEL(const u32* in, u32* out, const __grid_constant__ TensorMap map) {
    __shared__ __align__(1024) u32 boxes[BOX_BYTES];
    for (u32 i = threadIdx.x; i < BOX_BYTES; i += 32) {
        boxes[i] = in[i];
    }
    proxy_fence();
    __syncthreads();
    if (threadIdx.x == 0) {
        // One after another: they overlap. Once read, a box may be written.
        const i32 places[4][2] = {{8, 5}, {-8, -3}, {61, 2}, {67, 17}};
#pragma unroll
        for (u32 i = 0; i < 4; i++) {
            store_box(&map, places[i][0], places[i][1], shared_address(boxes) + i * BOX_BYTES);
            bulk_commit();
            bulk_wait_read<0>();
            boxes[i * (BOX_BYTES / 4)] = 0;
            proxy_fence();
            bulk_wait<0>();
        }
    }
}
