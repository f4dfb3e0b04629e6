// Sums over segments of arrays that bulk copies bring: a block takes whole segments, one after another, and what it fetches ahead is of
// the next one already.
#pragma once
#include "bulk.cuh"
#include "reduce.cuh"

// Segments of whole vectors, `length` bytes each, of which a block takes every gridDim.x-th, piece by piece.
struct Segments {
    u64 length, count;
    u32 pieces;

    __device__ __forceinline__ Segments(u64 length, u64 count) : length(length), count(count), pieces((u32)((length + PIECE - 1) / PIECE)) {}

    __device__ __forceinline__ u64 at(u64 segment, u32 piece) const { return segment * length + (u64)piece * PIECE; }

    __device__ __forceinline__ u32 bytes(u32 piece) const { return piece + 1 < pieces ? PIECE : (u32)(length - (u64)piece * PIECE); }
};

// Where the thread that fetches is among them.
struct Ahead {
    u64 segment = blockIdx.x, turn = 0;
    u32 piece = 0;

    __device__ __forceinline__ void advance(const Segments& walk) {
        turn++;
        if (++piece == walk.pieces) {
            piece = 0;
            segment += gridDim.x;
        }
    }
};

// partials[segment] = what `add` adds up over the vectors of the segment. A thread adds its vectors in their order, and a block its
// threads in theirs, so that the result repeats bit by bit.
template <class Sum, int ARRAYS, class Add>
__device__ __forceinline__ void sum_segments(const void* memory, const u8* const (&arrays)[ARRAYS], Sum* partials, const Segments& walk, Add add) {
    const Ring<ARRAYS> ring(memory);
    Ahead ahead;
    const auto fetch = [&] {
        if (ahead.segment < walk.count) {
            const u8* from[ARRAYS];
            for (u32 array = 0; array < ARRAYS; array++) {
                from[array] = arrays[array] + walk.at(ahead.segment, ahead.piece);
            }
            ring.fetch(ahead.turn, from, walk.bytes(ahead.piece));
            ahead.advance(walk);
        }
    };
    if (threadIdx.x == 0) {
        for (u32 stage = 0; stage < STAGES; stage++) {
            fetch();
        }
    }
    u64 turn = 0;
#pragma unroll 1
    for (u64 segment = blockIdx.x; segment < walk.count; segment += gridDim.x) {
        Sum sum = 0;
#pragma unroll 1
        for (u32 piece = 0; piece < walk.pieces; piece++, turn++) {
            ring.wait(turn);
            each_vector(walk.bytes(piece), [&](u32 vector) { add(sum, ring, turn, vector * 16); });
            __syncthreads();
            if (threadIdx.x == 0) {
                fetch();
            }
        }
        sum = block_sum<THREADS>(sum);
        if (threadIdx.x == 0) {
            partials[segment] = sum;
        }
    }
}
