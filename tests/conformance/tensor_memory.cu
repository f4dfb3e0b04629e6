// Products of sm_100 from shared memory with the 128-byte swizzle into the tensor cores' memory, and loads from there: each advance along k
// inside a row of 128 bytes alone, then all.
//
// A is 128 x 64 and B 32 x 64, element after element from the input words, of -2 to 2. Behind the four products of 16 along k, a byte
// an element, comes their sum, two bytes an element: row after row, column after column.
//
// conformance tensor_memory arch=100a block=128 cluster=1 shared=22528 in=10240 out=6144
#include "slabs.cuh"
#include "tensor_memory.cuh"

constexpr u32 ROWS = 128, COLUMNS = 32, PLACE = (ROWS + COLUMNS) * ROW_BYTES, OVER = PLACE + 8;

// The row that is this thread's, once the products of the `round`th commit are over.
__device__ __forceinline__ void row(i32 (&d)[32], u32 base, u32 sums, u32 round) {
    u32 words[32];
    mbarrier_wait(base + OVER, round % 2);
    tensor_fence_after_meeting();
    tensor_load(words, sums + (threadIdx.x / 32 * 32 << 16));
    tensor_wait_load(words);
    tensor_fence_before_meeting();
    __syncthreads();
    tensor_fence_after_meeting();
#pragma unroll
    for (int i = 0; i < 32; i++) {
        d[i] = (i32)__uint_as_float(words[i]);
    }
}

extern "C" __global__ void __launch_bounds__(128, 1) KERNEL(const u32* in, u32* out) {
    extern __shared__ unsigned char memory[];
    const u32 base = (shared_address(memory) + 1023) & ~1023u;
    unsigned char* slab = memory + (base - shared_address(memory));
    stage(slab, in, ROWS * 64);
    stage(slab + ROWS * ROW_BYTES, in + ROWS * 64, COLUMNS * 64);
    proxy_fence();
    if (threadIdx.x == 0) {
        mbarrier_init(base + OVER, 1);
        mbarrier_init_fence();
    }
    __syncwarp();
    if (threadIdx.x < 32) {
        tensor_allocate<COLUMNS>(base + PLACE);
        tensor_allocate_no_more();
    }
    __syncthreads();
    tensor_fence_after_meeting();
    const u32 sums = load_shared_word(base + PLACE), right = base + ROWS * ROW_BYTES;
    i32 d[32];
#pragma unroll 1
    for (u32 k = 0; k < 4; k++) {
        if (threadIdx.x == 0) {
            Tensor<bf16>::multiply(sums, tensor_operand(base + k * 32), tensor_operand(right + k * 32), ROWS, COLUMNS, 0);
            tensor_commit(base + OVER);
        }
        __syncwarp();
        row(d, base, sums, k);
#pragma unroll
        for (int i = 0; i < 8; i++) {
            u32 word = 0;
#pragma unroll
            for (int j = 0; j < 4; j++) {
                word |= (d[i * 4 + j] & 0xff) << (8 * j);
            }
            out[(k * 128 + threadIdx.x) * 8 + i] = word;
        }
    }
    if (threadIdx.x == 0) {
#pragma unroll
        for (u32 k = 0; k < 4; k++) {
            Tensor<bf16>::multiply(sums, tensor_operand(base + k * 32), tensor_operand(right + k * 32), ROWS, COLUMNS, k > 0);
        }
        tensor_commit(base + OVER);
    }
    __syncwarp();
    row(d, base, sums, 4);
#pragma unroll
    for (int i = 0; i < 16; i++) {
        out[4096 + threadIdx.x * 16 + i] = (d[i * 2] & 0xffff) | d[i * 2 + 1] << 16;
    }
    if (threadIdx.x < 32) {
        tensor_free<COLUMNS>(sums);
    }
}
