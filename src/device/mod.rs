//! Backends: each in its own folder behind [`crate::contract::Machine`]; this is the table of them.

mod cpu;
#[cfg(feature = "cuda")]
mod cuda;

use crate::contract::Backend;

/// Every backend, in the order that `auto` prefers.
pub const BACKENDS: &[Backend] = &[
    #[cfg(feature = "cuda")]
    cuda::BACKEND,
    cpu::BACKEND,
];
