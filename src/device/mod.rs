//! Backends: each in its own folder behind [`crate::contract::Machine`]; this is the table of them.

use crate::contract::Backend;

#[cfg(feature = "wgpu")]
pub mod wgpu;

/// Every backend, in the order that `auto` prefers.
pub const BACKENDS: &[Backend] = &[
    #[cfg(feature = "wgpu")]
    wgpu::BACKEND,
];
