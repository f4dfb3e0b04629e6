//! What a device allows, and what it can be asked for at once.

/// What a device allows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Bytes of a binding, and of a buffer.
    pub binding: u64,
    /// Threads of a workgroup.
    pub threads: u32,
    /// Bytes of workgroup memory.
    pub memory: u32,
    /// Cores behind a software adapter; blank for a GPU.
    pub cores: Option<u32>,
}

/// Larger bindings are allowed in places, but drivers have failed silently beyond 2 GiB.
pub(super) const LARGEST_BINDING: u64 = 1 << 30;
/// Iterations of all loops together after which a thread is cut short: llvmpipe breaks out of every loop, without a word, after 65,535
/// (`LP_MAX_TGSI_LOOP_ITERATIONS` in Mesa's `lp_bld_limits.h`); some are left for the loops that are not counted.
pub(super) const MOST_ITERATIONS: u64 = 60_000;
/// Workgroups of 256 threads that even a small GPU holds at once, so that a pass inside a dispatch covers the whole footprint.
pub(super) const RESIDENT: u64 = 128;

impl Limits {
    /// Operations of one dispatch that stay under a second, whatever runs them.
    pub fn operations(&self) -> u64 {
        if self.cores.is_some() { 2_000_000_000 } else { 500_000_000_000 }
    }

    /// Iterations that a thread may make.
    pub fn iterations(&self) -> u64 {
        if self.cores.is_some() { MOST_ITERATIONS } else { u64::from(u32::MAX) }
    }

    /// Workgroups that run at the same time.
    pub fn resident(&self) -> u64 {
        self.cores.map_or(RESIDENT, u64::from)
    }
}
