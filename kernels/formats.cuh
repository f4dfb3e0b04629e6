// Number formats of matrix elements, by the names that a config line gives them: bytes of an element, what products are summed in, how a
// warp multiplies 32 bytes of k at once, and what a sum is stored as.
//
// Fragments are the same 32 bytes a row for every format: 16 rows of A in four registers, 8 of B in two (PTX ISA, Matrix Fragments for mma).
#pragma once
#include "ptx.cuh"

// Sums stored by 16 bits, two to a word.
template <u32 (*PACK)(float, float)>
struct Halves {
    static constexpr int OUT_BYTES = 2;
    using Sum = float;
    static __device__ __forceinline__ u32 pack(float low, float high) { return PACK(low, high); }
};

// Sums stored as they are.
template <class SUM>
struct Words {
    static constexpr int OUT_BYTES = 4;
    using Sum = SUM;
};

#if __CUDA_ARCH__ >= 800
struct bf16 : Halves<pack_bf16> {
    static constexpr int BYTES = 2;
    static __device__ __forceinline__ void multiply(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) { multiply_bf16(d, a, b0, b1); }
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    template <int N>
    static __device__ __forceinline__ void multiply(float (&d)[N], u64 a, u64 b, int add) { warpgroup_multiply_bf16(d, a, b, add); }
#endif
};

struct tf32 : Words<float> {
    static constexpr int BYTES = 4;
    static __device__ __forceinline__ void multiply(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) { multiply_tf32(d, a, b0, b1); }
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    template <int N>
    static __device__ __forceinline__ void multiply(float (&d)[N], u64 a, u64 b, int add) { warpgroup_multiply_tf32(d, a, b, add); }
#endif
};
#endif

#if __CUDA_ARCH__ >= 750
struct fp16 : Halves<pack_f16> {
    static constexpr int BYTES = 2;
    static __device__ __forceinline__ void multiply(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
#if __CUDA_ARCH__ >= 800
        multiply_f16(d, a, b0, b1);
#else
        multiply_f16_half(d, a[0], a[1], b0);
        multiply_f16_half(d, a[2], a[3], b1);
#endif
    }
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    template <int N>
    static __device__ __forceinline__ void multiply(float (&d)[N], u64 a, u64 b, int add) { warpgroup_multiply_f16(d, a, b, add); }
#endif
};

struct int8 : Words<i32> {
    static constexpr int BYTES = 1;
    static __device__ __forceinline__ void multiply(i32 (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
#if __CUDA_ARCH__ >= 800
        multiply_s8(d, a, b0, b1);
#else
        multiply_s8_quarter(d[0], d[1], a[0], b0);
        multiply_s8_quarter(d[2], d[3], a[1], b0);
        multiply_s8_quarter(d[0], d[1], a[2], b1);
        multiply_s8_quarter(d[2], d[3], a[3], b1);
#endif
    }
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    template <int N>
    static __device__ __forceinline__ void multiply(i32 (&d)[N], u64 a, u64 b, int add) { warpgroup_multiply_s8(d, a, b, add); }
#endif
};
#endif

#if __CUDA_ARCH__ >= 890
struct e4m3 : Halves<pack_bf16> {
    static constexpr int BYTES = 1;
    static __device__ __forceinline__ void multiply(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) { multiply_e4m3(d, a, b0, b1); }
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    template <int N>
    static __device__ __forceinline__ void multiply(float (&d)[N], u64 a, u64 b, int add) { warpgroup_multiply_e4m3(d, a, b, add); }
#endif
};

struct e5m2 : Halves<pack_bf16> {
    static constexpr int BYTES = 1;
    static __device__ __forceinline__ void multiply(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) { multiply_e5m2(d, a, b0, b1); }
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    template <int N>
    static __device__ __forceinline__ void multiply(float (&d)[N], u64 a, u64 b, int add) { warpgroup_multiply_e5m2(d, a, b, add); }
#endif
};
#endif
