// How blocks of clusters go through the tiles of a product, for kernels that stay on their multiprocessors: which tiles are whose, and
// rings of places that are filled and emptied in rounds. CLUSTER, TILE_N and GROUP are those of the kernel's configuration.
#pragma once
#include "ptx.cuh"

constexpr u32 TILE_M = 128;  // rows of a block

// Which of COUNT places, and in which round.
template <u32 COUNT>
struct Ring {
    u32 place = 0, parity = 0;
    __device__ __forceinline__ void advance() {
        if (++place == COUNT) {
            place = 0;
            parity ^= 1;
        }
    }
};

struct Tile {
    u32 row, column;
};

// The tiles of this block: columns of clusters, group after group of their rows.
struct Work {
    u32 m, n, slabs, rank;

    __device__ __forceinline__ u32 tiles_n() const { return (n + TILE_N - 1) / TILE_N; }
    __device__ __forceinline__ u32 heights() const { return (m + TILE_M * CLUSTER - 1) / (TILE_M * CLUSTER); }
    __device__ __forceinline__ u32 turns() const { return heights() * tiles_n(); }
    __device__ __forceinline__ Tile tile(u32 turn) const {
        const u32 group = turn / (GROUP * tiles_n()), within = turn % (GROUP * tiles_n());
        const u32 height = min((u32)GROUP, heights() - group * GROUP);
        return {((group * GROUP + within % height) * CLUSTER + rank) * TILE_M, within / height * TILE_N};
    }
};
