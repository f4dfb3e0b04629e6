// The only inline PTX of the house, with ptx_async.cuh and tensor_memory.cuh, which belong to it: one instruction a wrapper, so that what
// the machine is asked to do can be read here.
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

#if __CUDA_ARCH__ >= 1000
// 32 bytes, which these architectures move in one instruction.
struct alignas(32) double_4 {
    double x, y, z, w;
};

struct alignas(32) uint_8 {
    u32 word[8];
};

__device__ __forceinline__ double_4 load_once(const double_4* from) {
    double_4 v;
    asm volatile("ld.global.nc" STREAM_HINTS ".v4.f64 {%0, %1, %2, %3}, [%4];" : "=d"(v.x), "=d"(v.y), "=d"(v.z), "=d"(v.w) : "l"(from));
    return v;
}

__device__ __forceinline__ double_4 load_again(const double_4* from) {
    double_4 v;
    asm volatile("ld.global" STREAM_HINTS ".v4.f64 {%0, %1, %2, %3}, [%4];" : "=d"(v.x), "=d"(v.y), "=d"(v.z), "=d"(v.w) : "l"(from) : "memory");
    return v;
}

__device__ __forceinline__ uint_8 load_again(const uint_8* from) {
    uint_8 v;
    asm volatile("ld.global" STREAM_HINTS ".v8.u32 {%0, %1, %2, %3, %4, %5, %6, %7}, [%8];"
                 : "=r"(v.word[0]), "=r"(v.word[1]), "=r"(v.word[2]), "=r"(v.word[3]), "=r"(v.word[4]), "=r"(v.word[5]), "=r"(v.word[6]), "=r"(v.word[7])
                 : "l"(from) : "memory");
    return v;
}

__device__ __forceinline__ void store_streamed(double_4* to, double_4 v) {
    asm volatile("st.global.cs.v4.f64 [%0], {%1, %2, %3, %4};" : : "l"(to), "d"(v.x), "d"(v.y), "d"(v.z), "d"(v.w) : "memory");
}

__device__ __forceinline__ void store_streamed(uint_8* to, uint_8 v) {
    asm volatile("st.global.cs.v8.u32 [%0], {%1, %2, %3, %4, %5, %6, %7, %8};"
                 : : "l"(to), "r"(v.word[0]), "r"(v.word[1]), "r"(v.word[2]), "r"(v.word[3]), "r"(v.word[4]), "r"(v.word[5]), "r"(v.word[6]), "r"(v.word[7])
                 : "memory");
}
#endif

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

// The address that lies at an address, kept by every cache that it passes.
__device__ __forceinline__ const u8* load_pointer(const u8* from) {
    u64 d;
    asm volatile("ld.global.u64 %0, [%1];" : "=l"(d) : "l"(from) : "memory");
    return reinterpret_cast<const u8*>(d);
}

// What the host writes meanwhile.
__device__ __forceinline__ u32 load_told(const u32* from) {
    u32 d;
    asm volatile("ld.relaxed.sys.global.u32 %0, [%1];" : "=r"(d) : "l"(from) : "memory");
    return d;
}

// To the host.
__device__ __forceinline__ void tell(u32* to, u32 value) {
    asm volatile("st.relaxed.sys.global.u32 [%0], %1;" : : "l"(to), "r"(value) : "memory");
}

// Output that is not read again: first to leave the caches.
__device__ __forceinline__ void store_streamed(double2* to, double2 v) {
    asm volatile("st.global.cs.v2.f64 [%0], {%1, %2};" : : "l"(to), "d"(v.x), "d"(v.y) : "memory");
}

__device__ __forceinline__ void store_streamed(uint4* to, uint4 v) {
    asm volatile("st.global.cs.v4.u32 [%0], {%1, %2, %3, %4};" : : "l"(to), "r"(v.x), "r"(v.y), "r"(v.z), "r"(v.w) : "memory");
}

// 16 bytes in one store. Left to itself the compiler joins it with the guarded narrow stores of a ragged edge, into narrow ones.
__device__ __forceinline__ void store_whole(float* to, const float (&v)[4]) {
    asm volatile("st.global.v4.f32 [%0], {%1, %2, %3, %4};" : : "l"(to), "f"(v[0]), "f"(v[1]), "f"(v[2]), "f"(v[3]) : "memory");
}

__device__ __forceinline__ void store_whole(double* to, const double (&v)[2]) {
    asm volatile("st.global.v2.f64 [%0], {%1, %2};" : : "l"(to), "d"(v[0]), "d"(v[1]) : "memory");
}

#if __CUDA_ARCH__ >= 800
// 16 bytes from global to shared memory without a register between.
__device__ __forceinline__ void copy_async_16(void* to, const void* from) {
    asm volatile("cp.async.cg.shared.global" SLAB_HINTS " [%0], [%1], 16;" : : "r"((u32)__cvta_generic_to_shared(to)), "l"(from) : "memory");
}

// The same, or 16 zero bytes where `bytes` is 0 (nothing is read then).
__device__ __forceinline__ void copy_async_16(void* to, const void* from, u32 bytes) {
    asm volatile("cp.async.cg.shared.global" SLAB_HINTS " [%0], [%1], 16, %2;" : : "r"((u32)__cvta_generic_to_shared(to)), "l"(from), "r"(bytes) : "memory");
}

// One element, or zero where it is not `inside` (nothing is read then).
template <class T>
__device__ __forceinline__ void copy_async_one(T* to, const T* from, bool inside) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;"
                 : : "r"((u32)__cvta_generic_to_shared(to)), "l"(from), "n"(sizeof(T)), "r"(inside ? (u32)sizeof(T) : 0) : "memory");
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

// The pattern of a float. The compiler's own way would let it keep sums as integers, and copy them while they are being added to.
__device__ __forceinline__ u32 bits(float value) {
    u32 d;
    asm volatile("mov.b32 %0, %1;" : "=r"(d) : "f"(value));
    return d;
}

// The multiprocessor's clock, read when `known` is: at the end of a chain of loads, not while the last one is under way.
__device__ __forceinline__ u64 clocks_behind(u64 known) {
    u64 d;
    asm volatile("{ .reg .pred p; setp.ne.u64 p, %1, 0; @p mov.u64 %0, %%clock64; @!p mov.u64 %0, 0; }" : "=l"(d) : "l"(known) : "memory");
    return d;
}

// The device's clock in nanoseconds, which goes on in steps.
__device__ __forceinline__ u64 nanoseconds() {
    u64 d;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(d) : : "memory");
    return d;
}

// ---- atomics -----------------------------------------------------------------------------------------------------------------------

// Nobody waits for what was there.
__device__ __forceinline__ void add_at(u32* at, u32 value) {
    asm volatile("red.global.add.u32 [%0], %1;" : : "l"(at), "r"(value) : "memory");
}

__device__ __forceinline__ void add_at_shared(u32 at, u32 value) {
    asm volatile("red.shared.add.u32 [%0], %1;" : : "r"(at), "r"(value) : "memory");
}

// What was there before.
__device__ __forceinline__ u32 add_and_tell(u32* at, u32 value) {
    u32 d;
    asm volatile("atom.global.add.u32 %0, [%1], %2;" : "=r"(d) : "l"(at), "r"(value) : "memory");
    return d;
}

__device__ __forceinline__ u32 add_and_tell_shared(u32 at, u32 value) {
    u32 d;
    asm volatile("atom.shared.add.u32 %0, [%1], %2;" : "=r"(d) : "r"(at), "r"(value) : "memory");
    return d;
}

// The multiprocessor that this runs on.
__device__ __forceinline__ u32 multiprocessor() {
    u32 d;
    asm volatile("mov.u32 %0, %%smid;" : "=r"(d));
    return d;
}

// ---- matrices by the warp: shared memory to registers and back, and their products -------------------------------------------------

__device__ __forceinline__ u32 shared_address(const void* at) { return (u32)__cvta_generic_to_shared(at); }

__device__ __forceinline__ uint4 load_shared(u32 from) {
    uint4 v;
    asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "r"(from) : "memory");
    return v;
}

__device__ __forceinline__ double2 load_shared_pair(u32 from) {
    double2 v;
    asm volatile("ld.shared.v2.f64 {%0, %1}, [%2];" : "=d"(v.x), "=d"(v.y) : "r"(from) : "memory");
    return v;
}

__device__ __forceinline__ u32 load_shared_word(u32 from) {
    u32 d;
    asm volatile("ld.shared.u32 %0, [%1];" : "=r"(d) : "r"(from) : "memory");
    return d;
}

__device__ __forceinline__ void store_shared(u32 to, u32 a, u32 b, u32 c, u32 d) {
    asm volatile("st.shared.v4.u32 [%0], {%1, %2, %3, %4};" : : "r"(to), "r"(a), "r"(b), "r"(c), "r"(d) : "memory");
}

#if __CUDA_ARCH__ >= 750
// Four 8 x 8 matrices of 16-bit elements; lanes 8 i and up give the addresses of matrix i's rows.
__device__ __forceinline__ void load_matrices(u32 (&d)[4], u32 row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3]) : "r"(row) : "memory");
}

__device__ __forceinline__ void load_matrices_transposed(u32 (&d)[4], u32 row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3]) : "r"(row) : "memory");
}
#endif

// D[16, 8] += A B^T over 32 bytes of k, rows of A and of B along k.
#define MULTIPLY(NAME, SUM, HOLDS, INSTRUCTION)                                                                                    \
    __device__ __forceinline__ void NAME(SUM (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {                                         \
        asm volatile("mma.sync.aligned." INSTRUCTION " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"            \
                     : HOLDS(d[0]), HOLDS(d[1]), HOLDS(d[2]), HOLDS(d[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1)); \
    }

#if __CUDA_ARCH__ >= 800
MULTIPLY(multiply_bf16, float, "+f", "m16n8k16.row.col.f32.bf16.bf16.f32")
MULTIPLY(multiply_f16, float, "+f", "m16n8k16.row.col.f32.f16.f16.f32")
MULTIPLY(multiply_tf32, float, "+f", "m16n8k8.row.col.f32.tf32.tf32.f32")
MULTIPLY(multiply_s8, i32, "+r", "m16n8k32.row.col.s32.s8.s8.s32")
#elif __CUDA_ARCH__ >= 750
// Half of k.
__device__ __forceinline__ void multiply_f16_half(float (&d)[4], u32 a0, u32 a1, u32 b) {
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a0), "r"(a1), "r"(b));
}

// Half of k and of the rows.
__device__ __forceinline__ void multiply_s8_quarter(i32& d0, i32& d1, u32 a, u32 b) {
    asm volatile("mma.sync.aligned.m8n8k16.row.col.s32.s8.s8.s32 {%0, %1}, {%2}, {%3}, {%0, %1};" : "+r"(d0), "+r"(d1) : "r"(a), "r"(b));
}
#endif

#if __CUDA_ARCH__ >= 800
// D[16, 8] += A[16, 16] B[16, 8].
__device__ __forceinline__ void multiply_f64(double (&d)[4], const double (&a)[8], const double (&b)[4]) {
#if __CUDA_ARCH__ >= 900 && __CUDA_ARCH__ < 1000
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f64.f64.f64.f64 {%0, %1, %2, %3}, {%4, %5, %6, %7, %8, %9, %10, %11}, {%12, %13, %14, %15}, {%0, %1, %2, %3};"
                 : "+d"(d[0]), "+d"(d[1]), "+d"(d[2]), "+d"(d[3])
                 : "d"(a[0]), "d"(a[1]), "d"(a[2]), "d"(a[3]), "d"(a[4]), "d"(a[5]), "d"(a[6]), "d"(a[7]), "d"(b[0]), "d"(b[1]), "d"(b[2]), "d"(b[3]));
#else
#pragma unroll
    for (int i = 0; i < 8; i++) {
        asm volatile("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%0, %1}, {%2}, {%3}, {%0, %1};"
                     : "+d"(d[i % 2 * 2]), "+d"(d[i % 2 * 2 + 1]) : "d"(a[i]), "d"(b[i / 2]));
    }
#endif
}

// Two floats rounded to bf16, `low` in the low half.
__device__ __forceinline__ u32 pack_bf16(float low, float high) {
    u32 d;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(d) : "f"(high), "f"(low));
    return d;
}

// To nearest, ties away from zero.
__device__ __forceinline__ u32 round_tf32(float x) {
    u32 d;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(d) : "f"(x));
    return d;
}
#endif

#if __CUDA_ARCH__ >= 750
__device__ __forceinline__ u32 pack_f16(float low, float high) {
#if __CUDA_ARCH__ >= 800
    u32 d;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(d) : "f"(high), "f"(low));
    return d;
#else
    unsigned short halves[2];
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(halves[0]) : "f"(low));
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(halves[1]) : "f"(high));
    return halves[0] | (u32)halves[1] << 16;
#endif
}
#endif

#if __CUDA_ARCH__ >= 890
MULTIPLY(multiply_e4m3, float, "+f", "m16n8k32.row.col.f32.e4m3.e4m3.f32")
MULTIPLY(multiply_e5m2, float, "+f", "m16n8k32.row.col.f32.e5m2.e5m2.f32")

// Two floats rounded to fp8, `low` in the low byte; beyond the largest, the largest.
__device__ __forceinline__ unsigned short pack_e4m3(float low, float high) {
    unsigned short d;
    asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(d) : "f"(high), "f"(low));
    return d;
}

__device__ __forceinline__ unsigned short pack_e5m2(float low, float high) {
    unsigned short d;
    asm("cvt.rn.satfinite.e5m2x2.f32 %0, %1, %2;" : "=h"(d) : "f"(high), "f"(low));
    return d;
}
#endif

#include "ptx_async.cuh"
