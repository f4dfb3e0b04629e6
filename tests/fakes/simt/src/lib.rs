//! Executes PTX on a CPU, one instruction at a time, under seeded schedules that make synchronisation bugs show.

mod address;
mod barrier;
mod block;
mod cluster;
mod counters;
pub mod fault;
mod launch;
pub mod memory;
mod module;
mod op;
mod order;
mod random;
pub mod tensor;
mod text;
mod warp;

pub use counters::Counters;
pub use fault::Fault;
pub use launch::{Geometry, Options, Schedule, Timing, launch};
pub use memory::Memory;
pub use module::{Kernel, Module};
pub use text::{Parameter, ParseError};
