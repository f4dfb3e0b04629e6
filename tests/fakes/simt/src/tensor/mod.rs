//! Where the elements of matrices lie in registers and shared memory, and what the narrow number formats mean.
//!
//! Written from the PTX ISA document, whose sections are cited by title, for their numbers change with its version; none of it was compared with hardware yet.

pub mod fragment;
pub mod instruction;
pub mod map;
pub(crate) mod memory;
pub mod number;
pub mod shared;
