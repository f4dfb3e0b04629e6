//! What a launch did, counted.

/// Sums over all threads of a launch. They let a test hold what a workload claims against what its kernel does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Instructions, one for a warp's active lanes together.
    pub instructions: u64,
    /// Floating-point operations of ordinary arithmetic; a fused multiply-add is two.
    pub flops: u64,
    /// Operations of matrix instructions, 2 m n k each, integer ones included.
    pub tensor_flops: u64,
    /// Bytes that loads and copies read from global memory.
    pub global_read: u64,
    /// Bytes that stores and copies wrote to global memory.
    pub global_written: u64,
    /// Bytes that bulk copies moved, out-of-bounds parts included and a multicast once.
    pub bulk_bytes: u64,
    /// Turns of the shared-memory banks that accesses took: 32 banks of 4 bytes a turn.
    pub bank_turns: u64,
    /// Turns that they would have taken without a conflict.
    pub bank_turns_ideal: u64,
    /// Barriers passed, one for a warp.
    pub barriers: u64,
}

impl Counters {
    pub(crate) fn add(&mut self, more: &Self) {
        self.instructions += more.instructions;
        self.flops += more.flops;
        self.tensor_flops += more.tensor_flops;
        self.global_read += more.global_read;
        self.global_written += more.global_written;
        self.bulk_bytes += more.bulk_bytes;
        self.bank_turns += more.bank_turns;
        self.bank_turns_ideal += more.bank_turns_ideal;
        self.barriers += more.barriers;
    }
}
