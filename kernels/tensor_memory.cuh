// The part of ptx.cuh that is sm_100's and sm_103's alone: the memory of the tensor cores, 128 lanes of 512 columns of 32 bits, and products
// from shared memory into it (PTX ISA, TensorCore 5th Generation Family Instructions). Unproven on hardware until it ran.
//
// An address of this memory holds the lane in its upper half and the column in its lower. Products are asynchronous: what a barrier was
// committed to is over when its phase is. Between such a wait and the next access stands the fence for it.
#pragma once
#include "formats.cuh"

constexpr u32 ROW_BYTES = 128;

// PAIR is 1 where two neighbours in a cluster multiply together. One thread of the first begins the products; each has half of the rows of A
// and their sums, and half of the rows of B, at the same places. All instructions of a kernel say whether it is so.
#if PAIR
#define TOGETHER ".cta_group::2"
#else
#define TOGETHER ".cta_group::1"
#endif

// All lanes of a warp, of both blocks of a pair: so many columns, a power of two from 32 on. Where they begin is written to shared memory.
template <u32 COLUMNS>
__device__ __forceinline__ void tensor_allocate(u32 to) {
    asm volatile("tcgen05.alloc" TOGETHER ".sync.aligned.shared::cta.b32 [%0], %1;" : : "r"(to), "n"(COLUMNS) : "memory");
}

// Other blocks on the multiprocessor need not wait for what this one might still want.
__device__ __forceinline__ void tensor_allocate_no_more() {
    asm volatile("tcgen05.relinquish_alloc_permit" TOGETHER ".sync.aligned;" : : : "memory");
}

template <u32 COLUMNS>
__device__ __forceinline__ void tensor_free(u32 at) {
    asm volatile("tcgen05.dealloc" TOGETHER ".sync.aligned.b32 %0, %1;" : : "r"(at), "n"(COLUMNS) : "memory");
}

__device__ __forceinline__ void tensor_fence_before_meeting() {
    asm volatile("tcgen05.fence::before_thread_sync;" : : : "memory");
}

__device__ __forceinline__ void tensor_fence_after_meeting() {
    asm volatile("tcgen05.fence::after_thread_sync;" : : : "memory");
}

// The barrier is arrived at when all products that this thread began are over.
__device__ __forceinline__ void tensor_commit(u32 barrier) {
    asm volatile("tcgen05.commit" TOGETHER ".mbarrier::arrive::one.shared::cluster.b64 [%0];" : : "r"(barrier) : "memory");
}

// And the one at the same place in every block of `blocks`.
__device__ __forceinline__ void tensor_commit(u32 barrier, unsigned short blocks) {
    asm volatile("tcgen05.commit" TOGETHER ".mbarrier::arrive::one.shared::cluster.multicast::cluster.b64 [%0], %1;"
                 : : "r"(barrier), "h"(blocks) : "memory");
}

// D[m, n] (+)= A[m, 32 bytes] B[n, 32 bytes]^T, both operands along k in shared memory; begins anew where `add` is 0. m is 128, or 256 of a
// pair.
#define TENSOR_MULTIPLY(NAME, KIND)                                                                                                \
    __device__ __forceinline__ void NAME(u32 d, u64 a, u64 b, u32 how, int add) {                                                  \
        asm volatile("{ .reg .pred p; setp.ne.b32 p, %4, 0; tcgen05.mma" TOGETHER ".kind::" KIND " [%0], %1, %2, %3, p; }"        \
                     : : "r"(d), "l"(a), "l"(b), "r"(how), "r"(add) : "memory");                                                   \
    }
TENSOR_MULTIPLY(tensor_multiply_f16, "f16")
TENSOR_MULTIPLY(tensor_multiply_tf32, "tf32")
TENSOR_MULTIPLY(tensor_multiply_f8, "f8f6f4")
#ifdef __CUDA_ARCH_FEAT_SM100_ALL
TENSOR_MULTIPLY(tensor_multiply_s8, "i8")
#endif

// The box at (x, y), x along rows, counted by a barrier of either block of the pair.
__device__ __forceinline__ void copy_box_of_pair(u32 to, const TensorMap* map, i32 x, i32 y, u32 barrier) {
    asm volatile("cp.async.bulk.tensor.2d.cta_group::2.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];"
                 : : "r"(to), "l"(map), "r"(x), "r"(y), "r"(barrier) : "memory");
}

// 32 columns of the lane that is this thread's: lanes 32 w and up are those of warp w of four. There only after the wait.
__device__ __forceinline__ void tensor_load(u32 (&d)[32], u32 from) {
    asm volatile("tcgen05.ld.sync.aligned.32x32b.x32.b32 {%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, "
                 "%19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, [%32];"
                 : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3]), "=r"(d[4]), "=r"(d[5]), "=r"(d[6]), "=r"(d[7]), "=r"(d[8]), "=r"(d[9]),
                   "=r"(d[10]), "=r"(d[11]), "=r"(d[12]), "=r"(d[13]), "=r"(d[14]), "=r"(d[15]), "=r"(d[16]), "=r"(d[17]), "=r"(d[18]),
                   "=r"(d[19]), "=r"(d[20]), "=r"(d[21]), "=r"(d[22]), "=r"(d[23]), "=r"(d[24]), "=r"(d[25]), "=r"(d[26]), "=r"(d[27]),
                   "=r"(d[28]), "=r"(d[29]), "=r"(d[30]), "=r"(d[31])
                 : "r"(from) : "memory");
}

// Takes what is waited for, so that the compiler cannot use it earlier.
__device__ __forceinline__ void tensor_wait_load(u32 (&d)[32]) {
    asm volatile("tcgen05.wait::ld.sync.aligned;"
                 : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3]), "+r"(d[4]), "+r"(d[5]), "+r"(d[6]), "+r"(d[7]), "+r"(d[8]), "+r"(d[9]),
                   "+r"(d[10]), "+r"(d[11]), "+r"(d[12]), "+r"(d[13]), "+r"(d[14]), "+r"(d[15]), "+r"(d[16]), "+r"(d[17]), "+r"(d[18]),
                   "+r"(d[19]), "+r"(d[20]), "+r"(d[21]), "+r"(d[22]), "+r"(d[23]), "+r"(d[24]), "+r"(d[25]), "+r"(d[26]), "+r"(d[27]),
                   "+r"(d[28]), "+r"(d[29]), "+r"(d[30]), "+r"(d[31])
                 : : "memory");
}

// A K-major operand with the 128-byte swizzle: rows of 128 bytes, groups of eight rows 1024 bytes apart.
__device__ __forceinline__ u64 tensor_operand(u32 address) {
    return (u64)((address & 0x3ffff) >> 4) | 1ull << 16 | 64ull << 32 | 1ull << 46 | 2ull << 61;
}

// What a product is told of its formats: KIND's, the name of both operands' format among those of its kind, and what they are summed in.
constexpr u32 SUM_FLOAT = 1, SUM_INTEGER = 2;

template <u32 SUM, u32 NAME, void (*KIND)(u32, u64, u64, u32, int)>
struct Formats {
    static constexpr u32 SAID = SUM << 4 | NAME << 7 | NAME << 10;
    // Of m rows of A and n rows of B.
    static __device__ __forceinline__ void multiply(u32 d, u64 a, u64 b, u32 m, u32 n, int add) {
        KIND(d, a, b, SAID | n / 8 << 17 | m / 16 << 24, add);
    }
};

template <class FORMAT>
struct Tensor;
template <> struct Tensor<fp16> : Formats<SUM_FLOAT, 0, tensor_multiply_f16> {};
template <> struct Tensor<bf16> : Formats<SUM_FLOAT, 1, tensor_multiply_f16> {};
template <> struct Tensor<tf32> : Formats<SUM_FLOAT, 2, tensor_multiply_tf32> {};
template <> struct Tensor<e4m3> : Formats<SUM_FLOAT, 0, tensor_multiply_f8> {};
template <> struct Tensor<e5m2> : Formats<SUM_FLOAT, 1, tensor_multiply_f8> {};
#ifdef __CUDA_ARCH_FEAT_SM100_ALL
template <> struct Tensor<int8> : Formats<SUM_INTEGER, 1, tensor_multiply_s8> {};
#endif
