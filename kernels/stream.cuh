// How the element-wise stream kernels walk memory.
//
// A block takes turns of THREADS x (vectors a thread holds) x 16 contiguous bytes, 64 KiB an array or a pair of arrays at full size,
// gridDim.x turns apart: long runs are kind to DRAM pages and to the TLB. All loads of a turn are issued before its first store, for
// bandwidth is bytes in flight over latency (Little's law). The last turn may be ragged, and an odd element is left to one thread.
#pragma once
#include "ptx.cuh"

// c = operation(a)
template <class Operation>
__device__ __forceinline__ void stream_one(const double* a, double* c, u64 elements, Operation operation) {
    constexpr int HELD = LOADS;
    constexpr u64 TURN = (u64)THREADS * HELD;
    const double2* from = reinterpret_cast<const double2*>(a);
    double2* to = reinterpret_cast<double2*>(c);
    const u64 vectors = elements / 2;
#pragma unroll 1
    for (u64 turn = blockIdx.x * TURN; turn < vectors; turn += gridDim.x * TURN) {
        const u64 mine = turn + threadIdx.x;
        if (turn + TURN <= vectors) {
            double2 x[HELD];
#pragma unroll
            for (int i = 0; i < HELD; i++) {
                x[i] = load_once(from + mine + i * THREADS);
            }
#pragma unroll
            for (int i = 0; i < HELD; i++) {
                store_streamed(to + mine + i * THREADS, make_double2(operation(x[i].x), operation(x[i].y)));
            }
        } else {
#pragma unroll 1
            for (u64 v = mine; v < vectors; v += THREADS) {
                const double2 x = load_once(from + v);
                store_streamed(to + v, make_double2(operation(x.x), operation(x.y)));
            }
        }
    }
    if (elements % 2 == 1 && blockIdx.x == 0 && threadIdx.x == 0) {
        c[elements - 1] = operation(a[elements - 1]);
    }
}

// c = operation(a, b); `load` is one of the wrappers in ptx.cuh.
template <class Load, class Operation>
__device__ __forceinline__ void stream_two(const double* a, const double* b, double* c, u64 elements, Load load, Operation operation) {
    constexpr int HELD = LOADS > 1 ? LOADS / 2 : 1;
    constexpr u64 TURN = (u64)THREADS * HELD;
    const double2* left = reinterpret_cast<const double2*>(a);
    const double2* right = reinterpret_cast<const double2*>(b);
    double2* to = reinterpret_cast<double2*>(c);
    const u64 vectors = elements / 2;
#pragma unroll 1
    for (u64 turn = blockIdx.x * TURN; turn < vectors; turn += gridDim.x * TURN) {
        const u64 mine = turn + threadIdx.x;
        if (turn + TURN <= vectors) {
            double2 x[HELD], y[HELD];
#pragma unroll
            for (int i = 0; i < HELD; i++) {
                x[i] = load(left + mine + i * THREADS);
                y[i] = load(right + mine + i * THREADS);
            }
#pragma unroll
            for (int i = 0; i < HELD; i++) {
                store_streamed(to + mine + i * THREADS, make_double2(operation(x[i].x, y[i].x), operation(x[i].y, y[i].y)));
            }
        } else {
#pragma unroll 1
            for (u64 v = mine; v < vectors; v += THREADS) {
                const double2 x = load(left + v), y = load(right + v);
                store_streamed(to + v, make_double2(operation(x.x, y.x), operation(x.y, y.y)));
            }
        }
    }
    if (elements % 2 == 1 && blockIdx.x == 0 && threadIdx.x == 0) {
        c[elements - 1] = operation(a[elements - 1], b[elements - 1]);
    }
}
