// Products of sm_100 from shared memory with the 128-byte swizzle into the tensor cores' memory, and loads from there: each advance along k
// inside a row of 128 bytes alone, then all. By one block, and by a pair, each with half of the rows of A, of B and of the sums.
//
// A has 128 rows of 64 a block, and B 32, element after element from the input words, of -2 to 2. Behind the four products of 16 along k, a
// byte an element, comes their sum, two bytes an element: row after row, column after column.
//
// conformance tensor_memory arch=100a block=128 cluster=1 shared=22528 in=10240 out=6144 define=PAIR=0
// conformance tensor_pair arch=100a block=128 cluster=2 shared=22528 in=18432 out=12288 define=PAIR=1
#include "slabs.cuh"
#include "tensor_memory.cuh"

constexpr u32 BLOCKS = PAIR ? 2 : 1, ROWS = 128, COLUMNS = 32, HELD = COLUMNS / BLOCKS;  // of B
constexpr u32 PLACE = (ROWS + HELD) * ROW_BYTES, OVER = PLACE + 8;

// One product of 16 along k into the sums of all blocks.
__device__ __forceinline__ void multiply(u32 sums, u32 base, u32 k, int add) {
    const u64 left = tensor_operand(base + k * 32), right = tensor_operand(base + ROWS * ROW_BYTES + k * 32);
    Tensor<bf16>::multiply(sums, left, right, BLOCKS * ROWS, COLUMNS, add);
}

__device__ __forceinline__ void commit(u32 base) { PAIR ? tensor_commit(base + OVER, (unsigned short)3) : tensor_commit(base + OVER); }

// All blocks have come here, and what was loaded may be overwritten.
__device__ __forceinline__ void meet_all() {
    tensor_fence_before_meeting();
    cluster_arrive();
    cluster_wait();
    tensor_fence_after_meeting();
}

// The row that is this thread's, once the products of the `round`th commit are over.
__device__ __forceinline__ void row(i32 (&d)[32], u32 base, u32 sums, u32 round) {
    u32 words[32];
    mbarrier_wait(base + OVER, round % 2);
    tensor_fence_after_meeting();
    tensor_load(words, sums + (threadIdx.x / 32 * 32 << 16));
    tensor_wait_load(words);
    meet_all();
#pragma unroll
    for (int i = 0; i < 32; i++) {
        d[i] = (i32)__uint_as_float(words[i]);
    }
}

extern "C" __global__ void __cluster_dims__(BLOCKS, 1, 1) __launch_bounds__(128, 1) KERNEL(const u32* in, u32* out) {
    extern __shared__ unsigned char memory[];
    const u32 base = (shared_address(memory) + 1023) & ~1023u, rank = blockIdx.x, mine = rank * ROWS + threadIdx.x;
    unsigned char* slab = memory + (base - shared_address(memory));
    stage(slab, in + rank * ROWS * 64, ROWS * 64);
    stage(slab + ROWS * ROW_BYTES, in + (BLOCKS * ROWS + rank * HELD) * 64, HELD * 64);
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
    meet_all();
    const u32 sums = load_shared_word(base + PLACE);
    i32 d[32];
#pragma unroll 1
    for (u32 k = 0; k < 4; k++) {
        if (rank == 0 && threadIdx.x == 0) {
            multiply(sums, base, k, 0);
            commit(base);
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
            out[(k * BLOCKS * ROWS + mine) * 8 + i] = word;
        }
    }
    if (rank == 0 && threadIdx.x == 0) {
#pragma unroll
        for (u32 k = 0; k < 4; k++) {
            multiply(sums, base, k, k > 0);
        }
        commit(base);
    }
    __syncwarp();
    row(d, base, sums, 4);
#pragma unroll
    for (int i = 0; i < 16; i++) {
        out[BLOCKS * 4096 + mine * 16 + i] = (d[i * 2] & 0xffff) | d[i * 2 + 1] << 16;
    }
    if (threadIdx.x < 32) {
        tensor_free<COLUMNS>(sums);
    }
}
