// copy: c = a, fp64.
//
// Idea: 16-byte accesses, eight in flight a thread before the first store; persistent blocks (stream.cuh).
// Tile: 512 threads x 8 x 16 bytes = 64 KiB a turn, two blocks a multiprocessor.
// Bound by: DRAM bandwidth, reads and writes in turn (the bus pays for each turnaround).
//
// demands except bytes32: LDG.128 STG.128
// demands in bytes32: LDG.256 STG.256
// config vec4x8: THREADS=512 BLOCKS=2 LOADS=8
// config vec4x4: THREADS=512 BLOCKS=2 LOADS=4
// config vec8x4 from 100: THREADS=512 BLOCKS=2 LOADS=4 WIDE=bytes32
// config slow: THREADS=256 BLOCKS=2 LOADS=1
#include "stream.cuh"

// a[elements] -> c[elements]
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) copy(const double* a, double* c, u64 elements) {
    stream_one(a, c, elements, [](double x) { return x; });
}
