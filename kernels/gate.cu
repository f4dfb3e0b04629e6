// gate: holds back what is enqueued behind it until the host says that all of it is there.
//
// Idea: without it a device that idles begins with the first launch of a batch as soon as it has it, and the time until the next call of
// the host arrives lies between two events. Each batch has a number of its own, so that nothing needs to be taken back. A host that
// does not come in time, because its calls wait for the device (CUDA_LAUNCH_BLOCKING, a profiler), is told so, and not waited for.
// Tile: one thread.
// Bound by: the host; it is never timed.
//
// config host: THREADS=1
#include "ptx.cuh"

// opened[2] in the host's memory: the number of the batch that may begin, and of the last one that was not waited for
extern "C" __global__ void __launch_bounds__(THREADS) gate(u32* opened, u64 number, u64 patience) {
    const u64 begin = nanoseconds();
    while (load_told(opened) != (u32)number) {
        if (nanoseconds() - begin > patience) {
            tell(opened + 1, (u32)number);
            break;
        }
    }
}
