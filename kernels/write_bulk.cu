// write_bulk: c[j] = first(seed, j mod 16) + (j div 16) * 0x9E3779B1, uint32, as `write`, leaving shared memory by bulk copies.
//
// Idea: threads write a piece into shared memory, where a store takes no way to L2, and one of them sends it off whole; a stage is written
// anew when what was in it has been read. Pieces before it are on their way meanwhile.
// Tile: 256 threads, pieces of 16 KiB, six stages, two blocks a multiprocessor.
// Bound by: DRAM write bandwidth.
//
// demands: UBLKCP STS.128
// config p16x6 from 90: THREADS=256 BLOCKS=2 STAGES=6 PIECE=16384 SHARED=98304
// config slow from 90: THREADS=256 BLOCKS=2 STAGES=1 PIECE=16384 SHARED=16384
#include "bulk.cuh"
#include "generator.cuh"

constexpr u32 STEP = 0x9e3779b1u, WIDTH = 4, VECTORS_PER_LINE = 16 / WIDTH;
static_assert(STAGES * PIECE == SHARED, "the host grants what the stages take");
static_assert(THREADS % VECTORS_PER_LINE == 0, "a thread keeps its place within the line");

extern __shared__ __align__(128) u8 memory[];

// -> c[words]; seed is the pattern's
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) write_bulk(u32* c, u64 words, u64 seed) {
    const u32 stages = shared_address(memory), place = threadIdx.x % VECTORS_PER_LINE * WIDTH;
    const u32 key = element_key((u32)seed, 0);
    u32 base[WIDTH];
#pragma unroll
    for (u32 i = 0; i < WIDTH; i++) {
        base[i] = first_word(place + i, key);
    }
    const Walk walk(words / WIDTH * 16);
#pragma unroll 1
    for (u64 turn = 0; turn < walk.turns; turn++) {
        const u32 stage = stages + (u32)(turn % STAGES) * PIECE;
        if (threadIdx.x == 0) {
            bulk_wait_read<STAGES - 1>();
        }
        __syncthreads();  // the stage has been read
        const u64 first = walk.at(turn) / 16;
        each_vector(walk.length(turn), [&](u32 vector) {
            const u32 by = (u32)((first + vector) / VECTORS_PER_LINE) * STEP;
            store_shared(stage + vector * 16, base[0] + by, base[1] + by, base[2] + by, base[3] + by);
        });
        proxy_fence();
        __syncthreads();  // the stage is written
        if (threadIdx.x == 0) {
            store_bulk(reinterpret_cast<u8*>(c) + walk.at(turn), stage, walk.length(turn));
            bulk_commit();
        }
    }
    if (threadIdx.x == 0) {
        bulk_wait<0>();
    }
    const u64 left = words / WIDTH * WIDTH + threadIdx.x;
    if (blockIdx.x == 0 && left < words) {
        c[left] = first_word((u32)(left % 16), key) + (u32)(left / 16) * STEP;
    }
}
