//! Address windows: which memory a generic address means (PTX ISA, State Spaces).

/// Generic addresses of shared memory: this plus the 32-bit shared address.
pub(crate) const SHARED_WINDOW: u64 = 0x5_0000_0000_0000;
/// Generic addresses of parameters: this plus the offset.
pub(crate) const PARAMETER_WINDOW: u64 = 0x6_0000_0000_0000;
/// Bits of a shared address that tell a byte of a block; those above are the block's rank in its cluster.
pub(crate) const RANK_SHIFT: u32 = 24;
/// Shared memory below it belongs to the system, as on sm_80 and up.
pub(crate) const SHARED_RESERVED: u32 = 1024;
