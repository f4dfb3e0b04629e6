// What ldmatrix and stmatrix move: rows of 16 bytes at addresses that lanes give out of order, against registers.
//
// conformance ldmatrix arch=80 block=32 cluster=1 shared=0 in=128 out=128 define=LOAD
// conformance ldmatrix_transposed arch=80 block=32 cluster=1 shared=0 in=128 out=128 define=LOAD_TRANSPOSED
// conformance stmatrix arch=90a block=32 cluster=1 shared=0 in=128 out=128 define=STORE
#include "seeded.cuh"

extern "C" __global__ void __launch_bounds__(32) KERNEL(const u32* in, u32* out) {
    __shared__ __align__(128) u32 rows[128];
    const u32 lane = threadIdx.x;
    const u32 row = shared_address(rows + (lane * 5 + 3) % 32 * 4);
    u32 held[4];
#ifdef STORE
#pragma unroll
    for (int i = 0; i < 4; i++) {
        held[i] = in[lane * 4 + i];
    }
    store_matrices(row, held);
    __syncthreads();
#pragma unroll
    for (int i = 0; i < 4; i++) {
        held[i] = rows[lane * 4 + i];
    }
#else
#pragma unroll
    for (int i = 0; i < 4; i++) {
        rows[lane * 4 + i] = in[lane * 4 + i];
    }
    __syncthreads();
#ifdef LOAD
    load_matrices(held, row);
#else
    load_matrices_transposed(held, row);
#endif
#endif
#pragma unroll
    for (int i = 0; i < 4; i++) {
        out[lane * 4 + i] = held[i];
    }
}
