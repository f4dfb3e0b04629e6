//! Executes PTX on a CPU, one instruction at a time, under seeded schedules that make synchronisation bugs show.

pub mod fault;
pub mod memory;

pub use fault::Fault;
pub use memory::Memory;
