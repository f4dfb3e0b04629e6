// The part of ptx.cuh that begins with sm_90: barriers with byte counts, bulk copies, clusters, products by the warpgroup.
#pragma once
#include "ptx.cuh"

#if __CUDA_ARCH__ >= 900
__device__ __forceinline__ void store_matrices(u32 row, const u32 (&s)[4]) {
    asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};"
                 : : "r"(row), "r"(s[0]), "r"(s[1]), "r"(s[2]), "r"(s[3]) : "memory");
}

__device__ __forceinline__ void mbarrier_init(u32 barrier, u32 arrivals) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" : : "r"(barrier), "r"(arrivals) : "memory");
}

__device__ __forceinline__ void mbarrier_init_fence() {
    asm volatile("fence.mbarrier_init.release.cluster;" : : : "memory");
}

__device__ __forceinline__ void mbarrier_expect(u32 barrier, u32 bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" : : "r"(barrier), "r"(bytes) : "memory");
}

// True in one lane of a warp whose lanes are together. Unlike a comparison it tells the assembler that what follows is one thread's, so
// that it need not ask for every operand whether lanes differ.
__device__ __forceinline__ bool elected() {
    u32 d;
    asm volatile("{ .reg .pred p; elect.sync _|p, 0xffffffff; selp.u32 %0, 1, 0, p; }" : "=r"(d));
    return d != 0;
}

// At a barrier of this block.
__device__ __forceinline__ void mbarrier_arrive(u32 barrier) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" : : "r"(barrier) : "memory");
}

// At the barrier of any block of the cluster; `barrier` comes from of_block. Released to this block only: what is handed over was read,
// not written, and a release to the cluster costs a fence of the whole GPU every time.
__device__ __forceinline__ void mbarrier_arrive_remote(u32 barrier) {
    asm volatile("mbarrier.arrive.shared::cluster.b64 _, [%0];" : : "r"(barrier) : "memory");
}

__device__ __forceinline__ bool mbarrier_try_wait(u32 barrier, u32 parity) {
    u32 done;
    asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
                 : "=r"(done) : "r"(barrier), "r"(parity) : "memory");
    return done != 0;
}

__device__ __forceinline__ void mbarrier_wait(u32 barrier, u32 parity) {
    while (!mbarrier_try_wait(barrier, parity)) {
    }
}

__device__ __forceinline__ u32 of_block(u32 address, u32 rank) {
    u32 d;
    asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(d) : "r"(address), "r"(rank));
    return d;
}

__device__ __forceinline__ u32 cluster_rank() {
    u32 d;
    asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(d));
    return d;
}

__device__ __forceinline__ void cluster_arrive() {
    asm volatile("barrier.cluster.arrive.release.aligned;" : : : "memory");
}

__device__ __forceinline__ void cluster_wait() {
    asm volatile("barrier.cluster.wait.acquire.aligned;" : : : "memory");
}

// Ordinary stores to shared memory become visible to bulk copies.
__device__ __forceinline__ void proxy_fence() {
    asm volatile("fence.proxy.async.shared::cta;" : : : "memory");
}

// Threads of a part of the block meet: COUNT of them, a multiple of 32.
template <int ID, int COUNT>
__device__ __forceinline__ void meet() {
    asm volatile("bar.sync %0, %1;" : : "n"(ID), "n"(COUNT) : "memory");
}

// Contiguous bytes to shared memory of this block, counted by its barrier; they and both addresses are multiples of 16.
__device__ __forceinline__ void copy_bulk(u32 to, const void* from, u32 bytes, u32 barrier) {
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];"
                 : : "r"(to), "l"(from), "r"(bytes), "r"(barrier) : "memory");
}

// And from there, in a group of the thread's.
__device__ __forceinline__ void store_bulk(void* to, u32 from, u32 bytes) {
    asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" : : "l"(to), "r"(from), "r"(bytes) : "memory");
}

// An encoded tensor map, passed by value as a __grid_constant__ parameter.
struct alignas(64) TensorMap {
    u64 opaque[16];
};

// The box at (x, y), x along rows, to the same place in every block of `blocks`, each counted by its barrier at that place.
__device__ __forceinline__ void copy_box(u32 to, const TensorMap* map, i32 x, i32 y, u32 barrier, unsigned short blocks) {
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1, {%2, %3}], [%4], %5;"
                 : : "r"(to), "l"(map), "r"(x), "r"(y), "r"(barrier), "h"(blocks) : "memory");
}

__device__ __forceinline__ void copy_box(u32 to, const TensorMap* map, i32 x, i32 y, u32 barrier) {
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];"
                 : : "r"(to), "l"(map), "r"(x), "r"(y), "r"(barrier) : "memory");
}

__device__ __forceinline__ void store_box(const TensorMap* map, i32 x, i32 y, u32 from) {
    asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group [%0, {%1, %2}], [%3];"
                 : : "l"(map), "r"(x), "r"(y), "r"(from) : "memory");
}

__device__ __forceinline__ void bulk_commit() {
    asm volatile("cp.async.bulk.commit_group;" : : : "memory");
}

// Until at most PENDING of this thread's groups may still read shared memory.
template <int PENDING>
__device__ __forceinline__ void bulk_wait_read() {
    asm volatile("cp.async.bulk.wait_group.read %0;" : : "n"(PENDING) : "memory");
}

template <int PENDING>
__device__ __forceinline__ void bulk_wait() {
    asm volatile("cp.async.bulk.wait_group %0;" : : "n"(PENDING) : "memory");
}
#endif

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
template <int COUNT>
__device__ __forceinline__ void registers_give() {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" : : "n"(COUNT));
}

template <int COUNT>
__device__ __forceinline__ void registers_take() {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" : : "n"(COUNT));
}

__device__ __forceinline__ void warpgroup_fence() {
    asm volatile("wgmma.fence.sync.aligned;" : : : "memory");
}

__device__ __forceinline__ void warpgroup_commit() {
    asm volatile("wgmma.commit_group.sync.aligned;" : : : "memory");
}

template <int PENDING>
__device__ __forceinline__ void warpgroup_wait() {
    asm volatile("wgmma.wait_group.sync.aligned %0;" : : "n"(PENDING) : "memory");
}

// D[64, 2 COUNT] (+)= A[64, 32 bytes] B[2 COUNT, 32 bytes]^T, both operands along k in shared memory; begins anew where `add` is 0.
#define LIST_64                                                                                                                    \
    "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, " \
    "%27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, " \
    "%52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define LIST_128                                                                                                                   \
    LIST_64 ", %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, %80, %81, %82, %83, %84, %85, %86, " \
    "%87, %88, %89, %90, %91, %92, %93, %94, %95, %96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, " \
    "%110, %111, %112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
#define HELD_8(H, i) H(d[i]), H(d[i + 1]), H(d[i + 2]), H(d[i + 3]), H(d[i + 4]), H(d[i + 5]), H(d[i + 6]), H(d[i + 7])
#define HELD_64(H, i)                                                                                                              \
    HELD_8(H, i), HELD_8(H, i + 8), HELD_8(H, i + 16), HELD_8(H, i + 24), HELD_8(H, i + 32), HELD_8(H, i + 40), HELD_8(H, i + 48), \
        HELD_8(H, i + 56)
#define WARPGROUP_MULTIPLY(NAME, SUM, HOLDS, SHAPE, TYPES, REST)                                                                   \
    __device__ __forceinline__ void NAME(SUM (&d)[64], u64 a, u64 b, int add) {                                                    \
        asm volatile("{ .reg .pred p; setp.ne.b32 p, %66, 0; wgmma.mma_async.sync.aligned.m64n128" SHAPE TYPES " {" LIST_64        \
                     "}, %64, %65, p" REST "; }" : HELD_64(HOLDS, 0) : "l"(a), "l"(b), "r"(add));                                  \
    }                                                                                                                              \
    __device__ __forceinline__ void NAME(SUM (&d)[128], u64 a, u64 b, int add) {                                                   \
        asm volatile("{ .reg .pred p; setp.ne.b32 p, %130, 0; wgmma.mma_async.sync.aligned.m64n256" SHAPE TYPES " {" LIST_128      \
                     "}, %128, %129, p" REST "; }" : HELD_64(HOLDS, 0), HELD_64(HOLDS, 64) : "l"(a), "l"(b), "r"(add));            \
    }
WARPGROUP_MULTIPLY(warpgroup_multiply_bf16, float, "+f", "k16", ".f32.bf16.bf16", ", 1, 1, 0, 0")
WARPGROUP_MULTIPLY(warpgroup_multiply_f16, float, "+f", "k16", ".f32.f16.f16", ", 1, 1, 0, 0")
WARPGROUP_MULTIPLY(warpgroup_multiply_tf32, float, "+f", "k8", ".f32.tf32.tf32", ", 1, 1")
WARPGROUP_MULTIPLY(warpgroup_multiply_e4m3, float, "+f", "k32", ".f32.e4m3.e4m3", ", 1, 1")
WARPGROUP_MULTIPLY(warpgroup_multiply_e5m2, float, "+f", "k32", ".f32.e5m2.e5m2", ", 1, 1")
WARPGROUP_MULTIPLY(warpgroup_multiply_s8, i32, "+r", "k32", ".s32.s8.s8", "")
#endif
