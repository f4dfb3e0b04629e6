//! Backends: each in its own folder behind [`crate::contract::Machine`]; this is the table of them.

mod cpu;
#[cfg(feature = "cuda")]
mod cuda;
#[cfg(feature = "wgpu")]
pub mod wgpu;

use crate::contract::Backend;

/// Every backend, in the order that `auto` prefers.
pub const BACKENDS: &[Backend] = &[
    #[cfg(feature = "cuda")]
    cuda::BACKEND,
    #[cfg(feature = "wgpu")]
    wgpu::BACKEND,
    cpu::BACKEND,
];
