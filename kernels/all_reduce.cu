// all_reduce: every output = the sum of all inputs, fp32, each input and output on a device of its own; one launch a device.
//
// Idea: devices reach each other's memory, so that no message is needed. Shared out, a device sums its part out of every input and writes
// it into every output: each link carries what a ring carries, and nothing is waited for in between. At once, a device sums everything
// for itself: more bytes, but no store crosses a link, which is faster where little is summed. Inputs are added in the order of the
// devices, so that all outputs are the same bits.
// Tile: 256 threads x 4 x 16 bytes = 16 KiB an input and turn, two blocks a multiprocessor.
// Bound by: the links between the devices; where little is summed, by launching and by how long a load over a link takes.
//
// demands: LDG.128 STG.128
// config shares: THREADS=256 BLOCKS=2 LOADS=4 ONCE=0
// config once: THREADS=256 BLOCKS=2 LOADS=4 ONCE=1
// config slow: THREADS=64 BLOCKS=1 LOADS=1 ONCE=0
#include "ptx.cuh"

constexpr u32 MOST = 8, WIDTH = 4;

// Inputs and outputs in the order of the devices, as the host packs them.
struct alignas(64) Peers {
    const uint4* in[MOST];
    uint4* out[MOST];
};

__device__ __forceinline__ u32 added(u32 left, u32 right) {
    return __float_as_uint(__uint_as_float(left) + __uint_as_float(right));
}

// The vectors at `mine` and THREADS apart, of which those before `end` exist.
template <bool WHOLE>
__device__ __forceinline__ void sum(const Peers& peers, u64 mine, u64 end, u32 devices, u32 own) {
    uint4 whole[LOADS] = {};
#pragma unroll
    for (u32 device = 0; device < MOST; device++) {
        if (device >= devices) {
            break;
        }
        uint4 x[LOADS] = {};
#pragma unroll
        for (u32 i = 0; i < LOADS; i++) {
            if (WHOLE || mine + i * THREADS < end) {
                x[i] = load_again(peers.in[device] + mine + i * THREADS);
            }
        }
#pragma unroll
        for (u32 i = 0; i < LOADS; i++) {
            if (WHOLE || mine + i * THREADS < end) {
                whole[i] = device == 0 ? x[i]
                                       : make_uint4(added(whole[i].x, x[i].x), added(whole[i].y, x[i].y), added(whole[i].z, x[i].z), added(whole[i].w, x[i].w));
            }
        }
    }
#pragma unroll
    for (u32 device = 0; device < MOST; device++) {
        if (device >= devices) {
            break;
        }
#pragma unroll
        for (u32 i = 0; i < LOADS; i++) {
            if ((!ONCE || device == own) && (WHOLE || mine + i * THREADS < end)) {
                store_streamed(peers.out[device] + mine + i * THREADS, whole[i]);
            }
        }
    }
}

// in[devices][elements] -> out[devices][elements], of which this launch does the part of device `own`; elements are multiples of four
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
    all_reduce(const __grid_constant__ Peers peers, u64 elements, u64 wide_devices, u64 wide_own) {
    constexpr u64 TURN = (u64)THREADS * LOADS;
    const u32 devices = (u32)wide_devices, own = (u32)wide_own;
    const u64 vectors = elements / WIDTH;
    const u64 share = ONCE ? vectors : (vectors + devices - 1) / devices;
    const u64 begin = ONCE ? 0 : own * share, end = begin + share < vectors ? begin + share : vectors;
#pragma unroll 1
    for (u64 turn = begin + blockIdx.x * TURN; turn < end; turn += gridDim.x * TURN) {
        if (turn + TURN <= end) {
            sum<true>(peers, turn + threadIdx.x, end, devices, own);
        } else {
            sum<false>(peers, turn + threadIdx.x, end, devices, own);
        }
    }
}
