// A ring of stages in shared memory, into which one thread brings pieces of an array, or of two, by bulk copies ahead of all others.
//
// Bulk copies keep the bytes in flight that memory wants (Little's law) without a register or an address for each: 96 KiB a block here,
// and two blocks a multiprocessor where there is room. A stage has an mbarrier that counts the bytes on their way into it.
#pragma once
#include "ptx.cuh"

template <int ARRAYS>
struct Ring {
    static_assert(STAGES * ARRAYS * PIECE + 128 == SHARED, "the host grants what the stages take");
    u32 barriers, stages;

    // All threads call it.
    __device__ __forceinline__ explicit Ring(const void* memory) : barriers(shared_address(memory)), stages(shared_address(memory) + 128) {
        if (threadIdx.x == 0) {
            for (u32 stage = 0; stage < STAGES; stage++) {
                mbarrier_init(barriers + stage * 8, 1);
            }
            mbarrier_init_fence();
        }
        __syncthreads();
    }

    __device__ __forceinline__ u32 place(u64 turn, u32 array) const { return stages + ((u32)(turn % STAGES) * ARRAYS + array) * PIECE; }

    // One thread calls it; the stage is free.
    __device__ __forceinline__ void fetch(u64 turn, const u8* const (&from)[ARRAYS], u32 bytes) const {
        const u32 barrier = barriers + (u32)(turn % STAGES) * 8;
        mbarrier_expect(barrier, ARRAYS * bytes);
#pragma unroll
        for (u32 array = 0; array < ARRAYS; array++) {
            copy_bulk(place(turn, array), from[array], bytes, barrier);
        }
    }

    // Until the pieces of a turn are there.
    __device__ __forceinline__ void wait(u64 turn) const { mbarrier_wait(barriers + (u32)(turn % STAGES) * 8, (u32)(turn / STAGES) & 1); }
};

// The pieces of whole vectors that a block goes through, gridDim.x pieces apart.
struct Walk {
    u64 bytes, turns;

    __device__ __forceinline__ explicit Walk(u64 bytes) : bytes(bytes), turns(0) {
        const u64 pieces = (bytes + PIECE - 1) / PIECE;
        if (pieces > blockIdx.x) {
            turns = (pieces - blockIdx.x - 1) / gridDim.x + 1;
        }
    }

    __device__ __forceinline__ u64 at(u64 turn) const { return (blockIdx.x + turn * gridDim.x) * PIECE; }

    __device__ __forceinline__ u32 length(u64 turn) const {
        const u64 left = bytes - at(turn);
        return left < PIECE ? (u32)left : PIECE;
    }
};

// Calls `act` for every vector of a piece, with its number.
template <class Act>
__device__ __forceinline__ void each_vector(u32 bytes, Act act) {
    if (bytes == PIECE) {
#pragma unroll
        for (u32 i = 0; i < PIECE / 16 / THREADS; i++) {
            act(threadIdx.x + i * THREADS);
        }
    } else {
#pragma unroll 1
        for (u32 vector = threadIdx.x; vector < bytes / 16; vector += THREADS) {
            act(vector);
        }
    }
}

// c = operation(inputs), element by element. An odd last element is left to one thread.
template <int ARRAYS, class Operation>
__device__ __forceinline__ void stream_bulk(const void* memory, const double* const (&inputs)[ARRAYS], double* c, u64 elements, Operation operation) {
    const Ring<ARRAYS> ring(memory);
    const Walk walk(elements / 2 * 16);
    const auto fetch = [&](u64 turn) {
        const u8* from[ARRAYS];
        for (u32 array = 0; array < ARRAYS; array++) {
            from[array] = reinterpret_cast<const u8*>(inputs[array]) + walk.at(turn);
        }
        ring.fetch(turn, from, walk.length(turn));
    };
    if (threadIdx.x == 0) {
        for (u64 turn = 0; turn < STAGES && turn < walk.turns; turn++) {
            fetch(turn);
        }
    }
#pragma unroll 1
    for (u64 turn = 0; turn < walk.turns; turn++) {
        ring.wait(turn);
        double2* to = reinterpret_cast<double2*>(reinterpret_cast<u8*>(c) + walk.at(turn));
        each_vector(walk.length(turn), [&](u32 vector) {
            const double2 x = load_shared_pair(ring.place(turn, 0) + vector * 16);
            const double2 y = ARRAYS > 1 ? load_shared_pair(ring.place(turn, ARRAYS - 1) + vector * 16) : x;
            store_streamed(to + vector, make_double2(operation(x.x, y.x), operation(x.y, y.y)));
        });
        __syncthreads();
        if (threadIdx.x == 0 && turn + STAGES < walk.turns) {
            fetch(turn + STAGES);
        }
    }
    if (elements % 2 == 1 && blockIdx.x == 0 && threadIdx.x == 0) {
        c[elements - 1] = operation(inputs[0][elements - 1], inputs[ARRAYS - 1][elements - 1]);
    }
}
