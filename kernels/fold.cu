// fold: one word that a wrong element or bit of an output must change.
//
// Idea: a wrapping sum of products with odd weights, in any order the same. `bits` hashes the output's 32-bit words; the others are
// Freivalds' check in integers: the weight of an element is that of its row times that of its column, so the host can compute the
// same from the inputs alone (R. Freivalds, 1977).
// Tile: a grid-stride loop, an element a thread; row and column advance by addition, one division a thread.
// Bound by: memory, about; it is never timed.
//
// config bits: THREADS=256 BLOCKS=4 ELEMENT=u32 BITS=1
// config fp32: THREADS=256 BLOCKS=4 ELEMENT=float BITS=0
// config fp64: THREADS=256 BLOCKS=4 ELEMENT=double BITS=0
// config uint32: THREADS=256 BLOCKS=4 ELEMENT=u32 BITS=0
// config int32: THREADS=256 BLOCKS=4 ELEMENT=i32 BITS=0
// config fp16: THREADS=256 BLOCKS=4 ELEMENT=Fp16 BITS=0
// config bf16: THREADS=256 BLOCKS=4 ELEMENT=Bf16 BITS=0
#include "generator.cuh"
#include "reduce.cuh"

constexpr u32 ROW = 0x52, COLUMN = 0x43;  // 'R' and 'C': the two weights of an element must differ

struct Fp16 {
    unsigned short bits;
};

struct Bf16 {
    unsigned short bits;
};

__device__ __forceinline__ u32 as_integer(Bf16 v) { return (u32)(i64)__uint_as_float((u32)v.bits << 16); }
// Its exponent, moved to where that of a float is, is too small by 2^112; infinities become large finite numbers, which is wrong enough.
__device__ __forceinline__ u32 as_integer(Fp16 v) {
    return (u32)(i64)(__uint_as_float((u32)(v.bits & 0x8000) << 16 | (u32)(v.bits & 0x7fff) << 13) * 0x1p112f);
}
__device__ __forceinline__ u32 as_integer(i32 v) { return (u32)v; }
__device__ __forceinline__ u32 as_integer(u32 v) { return v; }
__device__ __forceinline__ u32 as_integer(float v) { return (u32)(i64)v; }
__device__ __forceinline__ u32 as_integer(double v) { return (u32)(i64)v; }

// out[elements], rows of `columns` -> result[1], to which the sum is added; `bits` takes words and has no use for columns
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) fold(const ELEMENT* out, u32* result, u64 elements, u64 columns, u64 wide_seed) {
    const u64 stride = (u64)gridDim.x * THREADS;
    const u64 begin = (u64)blockIdx.x * THREADS + threadIdx.x;
    const u32 seed = (u32)wide_seed;
    u32 sum = 0;
    if (BITS) {
        for (u64 e = begin; e < elements; e += stride) {
            sum += as_integer(out[e]) * fold_weight(seed, e);
        }
    } else {
        const u64 rows_apart = stride / columns, columns_apart = stride % columns;
        u64 row = begin / columns, column = begin % columns;
        for (u64 e = begin; e < elements; e += stride) {
            sum += as_integer(out[e]) * fold_weight(seed ^ ROW, row) * fold_weight(seed ^ COLUMN, column);
            row += rows_apart;
            column += columns_apart;
            if (column >= columns) {
                column -= columns;
                row++;
            }
        }
    }
    sum = block_sum<THREADS>(sum);
    if (threadIdx.x == 0) {
        atomicAdd(result, sum);
    }
}
