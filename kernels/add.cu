// add: c = a + b, fp64.
//
// Idea: 16-byte accesses, four of each array in flight a thread before the first store; persistent blocks (stream.cuh).
// Tile: 512 threads x 4 x 16 bytes = 32 KiB of each array a turn, two blocks a multiprocessor.
// Bound by: DRAM bandwidth; one addition for 24 bytes moved.
//
// demands except bytes32: LDG.128 STG.128
// demands in bytes32: LDG.256 STG.256
// config vec4x8: THREADS=512 BLOCKS=2 LOADS=8
// config vec4x4: THREADS=512 BLOCKS=2 LOADS=4
// config vec8x4 from 100: THREADS=512 BLOCKS=2 LOADS=4 WIDE=bytes32
// config slow: THREADS=256 BLOCKS=2 LOADS=1
#include "stream.cuh"

// a[elements], b[elements] -> c[elements]
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) add(const double* a, const double* b, double* c, u64 elements) {
    stream_two(a, b, c, elements, [](const Vector* from) { return load_once(from); }, [](double x, double y) { return x + y; });
}
