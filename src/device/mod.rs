//! Backends: each in its own folder behind [`crate::contract::Machine`]; this is the table of those that find devices by
//! themselves. A trace is opened by its file.

mod cpu;
#[cfg(feature = "cuda")]
mod cuda;
mod replay;
#[cfg(feature = "wgpu")]
pub mod wgpu;

pub use replay::{BadTrace, Replay, Subject, Trace, Traced, trace_text};

use crate::contract::Backend;

/// Every backend, in the order that `auto` prefers.
pub const BACKENDS: &[Backend] = &[
    #[cfg(feature = "cuda")]
    cuda::BACKEND,
    #[cfg(feature = "wgpu")]
    wgpu::BACKEND,
    cpu::BACKEND,
];
