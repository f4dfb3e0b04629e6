// The only inline PTX of the house: one instruction a wrapper, so that what the machine is asked to do can be read here.
//
// Every access is `asm volatile`: the compiler keeps loads in the order written (all loads of a turn before its stores) and never
// drops a load whose value it could guess. HINTS is 1 for the images built for one architecture and 0 for the base PTX, which must
// stay in an instruction set that old drivers read.
#pragma once

using u8 = unsigned char;
using u32 = unsigned int;
using u64 = unsigned long long;
using i32 = int;
using i64 = long long;

#if !HINTS
#define STREAM_HINTS ""
#define SLAB_HINTS ""
#elif __CUDA_ARCH__ >= 800
#define STREAM_HINTS ".L1::no_allocate.L2::256B"
#define SLAB_HINTS ".L2::128B"
#else
#define STREAM_HINTS ".L1::no_allocate"
#define SLAB_HINTS ""
#endif

// Data that nothing writes during the launch, read once: past L1, prefetched into L2 in large pieces.
__device__ __forceinline__ double2 load_once(const double2* from) {
    double2 v;
    asm volatile("ld.global.nc" STREAM_HINTS ".v2.f64 {%0, %1}, [%2];" : "=d"(v.x), "=d"(v.y) : "l"(from));
    return v;
}

// As load_once, but not declared constant: a later pass over the same memory must fetch it anew, so no load may be merged with it.
__device__ __forceinline__ double2 load_again(const double2* from) {
    double2 v;
    asm volatile("ld.global" STREAM_HINTS ".v2.f64 {%0, %1}, [%2];" : "=d"(v.x), "=d"(v.y) : "l"(from) : "memory");
    return v;
}

__device__ __forceinline__ uint4 load_again(const uint4* from) {
    uint4 v;
    asm volatile("ld.global" STREAM_HINTS ".v4.u32 {%0, %1, %2, %3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(from) : "memory");
    return v;
}

// Kept by every cache it passes: what a footprint ladder needs to see L1 at all.
__device__ __forceinline__ double2 load_cached(const double2* from) {
    double2 v;
    asm volatile("ld.global.v2.f64 {%0, %1}, [%2];" : "=d"(v.x), "=d"(v.y) : "l"(from) : "memory");
    return v;
}

__device__ __forceinline__ uint4 load_cached(const uint4* from) {
    uint4 v;
    asm volatile("ld.global.v4.u32 {%0, %1, %2, %3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(from) : "memory");
    return v;
}

// Output that is not read again: first to leave the caches.
__device__ __forceinline__ void store_streamed(double2* to, double2 v) {
    asm volatile("st.global.cs.v2.f64 [%0], {%1, %2};" : : "l"(to), "d"(v.x), "d"(v.y) : "memory");
}

__device__ __forceinline__ void store_streamed(uint4* to, uint4 v) {
    asm volatile("st.global.cs.v4.u32 [%0], {%1, %2, %3, %4};" : : "l"(to), "r"(v.x), "r"(v.y), "r"(v.z), "r"(v.w) : "memory");
}

#if __CUDA_ARCH__ >= 800
// 16 bytes from global to shared memory without a register between.
__device__ __forceinline__ void copy_async_16(void* to, const void* from) {
    asm volatile("cp.async.cg.shared.global" SLAB_HINTS " [%0], [%1], 16;" : : "r"((u32)__cvta_generic_to_shared(to)), "l"(from) : "memory");
}

// 4 bytes, or 4 zero bytes where `bytes` is 0 (nothing is read then).
__device__ __forceinline__ void copy_async_4(void* to, const void* from, u32 bytes) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" : : "r"((u32)__cvta_generic_to_shared(to)), "l"(from), "r"(bytes) : "memory");
}

__device__ __forceinline__ void copy_async_commit() {
    asm volatile("cp.async.commit_group;" : : : "memory");
}

// Waits until at most PENDING of this thread's groups are under way.
template <int PENDING>
__device__ __forceinline__ void copy_async_wait() {
    asm volatile("cp.async.wait_group %0;" : : "n"(PENDING) : "memory");
}
#endif
