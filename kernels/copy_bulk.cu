// copy_bulk: c = a, fp64, by bulk copies alone: into shared memory and out of it, through no register.
//
// Idea: one thread keeps a ring of pieces on their way in and out (bulk.cuh); a stage is filled anew when what was in it has left.
// Tile: one warp, of which one thread works, pieces of 16 KiB, six stages, two blocks a multiprocessor.
// Bound by: DRAM bandwidth.
//
// demands: UBLKCP
// config p16x6 from 90: THREADS=32 BLOCKS=2 STAGES=6 PIECE=16384 SHARED=98432
// config slow from 90: THREADS=32 BLOCKS=2 STAGES=1 PIECE=16384 SHARED=16512
#include "bulk.cuh"

constexpr u32 LEAVING = STAGES > 1;  // pieces that may be on their way out while the next is waited for

extern __shared__ __align__(128) u8 memory[];

// a[elements] -> c[elements]
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) copy_bulk(const double* a, double* c, u64 elements) {
    const Ring<1> ring(memory);
    const Walk walk(elements / 2 * 16);
    if (threadIdx.x != 0) {
        return;
    }
    const auto fetch = [&](u64 turn) { ring.fetch(turn, {reinterpret_cast<const u8*>(a) + walk.at(turn)}, walk.length(turn)); };
    for (u64 turn = 0; turn < STAGES && turn < walk.turns; turn++) {
        fetch(turn);
    }
#pragma unroll 1
    for (u64 turn = 0; turn < walk.turns; turn++) {
        ring.wait(turn);
        store_bulk(reinterpret_cast<u8*>(c) + walk.at(turn), ring.place(turn, 0), walk.length(turn));
        bulk_commit();
        bulk_wait_read<LEAVING>();
        const u64 free = turn + STAGES - LEAVING;
        if (free >= STAGES && free < walk.turns) {
            fetch(free);
        }
    }
    bulk_wait<0>();
    if (elements % 2 == 1 && blockIdx.x == 0) {
        c[elements - 1] = a[elements - 1];
    }
}
