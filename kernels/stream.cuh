// How the element-wise stream kernels walk memory.
//
// A block takes turns of THREADS x (vectors a thread holds) x 16 contiguous bytes, 64 KiB an array or a pair of arrays at full size,
// gridDim.x turns apart: long runs are kind to DRAM pages and to the TLB. Where WIDE is defined vectors have 32 bytes, which sm_100 and
// later move in one instruction. All loads of a turn are issued before its first store, for bandwidth is bytes in flight over latency
// (Little's law). The last turn may be ragged, and what is less than a vector is left to single threads.
#pragma once
#include "ptx.cuh"

#ifdef WIDE
using Vector = double_4;
#else
using Vector = double2;
#endif
constexpr u32 WIDTH = sizeof(Vector) / sizeof(double);

template <class Operation>
__device__ __forceinline__ Vector each(Operation operation, Vector x) {
#ifdef WIDE
    return {operation(x.x), operation(x.y), operation(x.z), operation(x.w)};
#else
    return make_double2(operation(x.x), operation(x.y));
#endif
}

template <class Operation>
__device__ __forceinline__ Vector each(Operation operation, Vector x, Vector y) {
#ifdef WIDE
    return {operation(x.x, y.x), operation(x.y, y.y), operation(x.z, y.z), operation(x.w, y.w)};
#else
    return make_double2(operation(x.x, y.x), operation(x.y, y.y));
#endif
}

// c = operation(a)
template <class Operation>
__device__ __forceinline__ void stream_one(const double* a, double* c, u64 elements, Operation operation) {
    constexpr int HELD = LOADS;
    constexpr u64 TURN = (u64)THREADS * HELD;
    const Vector* from = reinterpret_cast<const Vector*>(a);
    Vector* to = reinterpret_cast<Vector*>(c);
    const u64 vectors = elements / WIDTH;
#pragma unroll 1
    for (u64 turn = blockIdx.x * TURN; turn < vectors; turn += gridDim.x * TURN) {
        const u64 mine = turn + threadIdx.x;
        if (turn + TURN <= vectors) {
            Vector x[HELD];
#pragma unroll
            for (int i = 0; i < HELD; i++) {
                x[i] = load_once(from + mine + i * THREADS);
            }
#pragma unroll
            for (int i = 0; i < HELD; i++) {
                store_streamed(to + mine + i * THREADS, each(operation, x[i]));
            }
        } else {
#pragma unroll 1
            for (u64 v = mine; v < vectors; v += THREADS) {
                const Vector x = load_once(from + v);
                store_streamed(to + v, each(operation, x));
            }
        }
    }
    const u64 rest = vectors * WIDTH + threadIdx.x;
    if (blockIdx.x == 0 && rest < elements) {
        c[rest] = operation(a[rest]);
    }
}

// c = operation(a, b); `load` is one of the wrappers in ptx.cuh.
template <class Load, class Operation>
__device__ __forceinline__ void stream_two(const double* a, const double* b, double* c, u64 elements, Load load, Operation operation) {
    constexpr int HELD = LOADS > 1 ? LOADS / 2 : 1;
    constexpr u64 TURN = (u64)THREADS * HELD;
    const Vector* left = reinterpret_cast<const Vector*>(a);
    const Vector* right = reinterpret_cast<const Vector*>(b);
    Vector* to = reinterpret_cast<Vector*>(c);
    const u64 vectors = elements / WIDTH;
#pragma unroll 1
    for (u64 turn = blockIdx.x * TURN; turn < vectors; turn += gridDim.x * TURN) {
        const u64 mine = turn + threadIdx.x;
        if (turn + TURN <= vectors) {
            Vector x[HELD], y[HELD];
#pragma unroll
            for (int i = 0; i < HELD; i++) {
                x[i] = load(left + mine + i * THREADS);
                y[i] = load(right + mine + i * THREADS);
            }
#pragma unroll
            for (int i = 0; i < HELD; i++) {
                store_streamed(to + mine + i * THREADS, each(operation, x[i], y[i]));
            }
        } else {
#pragma unroll 1
            for (u64 v = mine; v < vectors; v += THREADS) {
                const Vector x = load(left + v), y = load(right + v);
                store_streamed(to + v, each(operation, x, y));
            }
        }
    }
    const u64 rest = vectors * WIDTH + threadIdx.x;
    if (blockIdx.x == 0 && rest < elements) {
        c[rest] = operation(a[rest], b[rest]);
    }
}
