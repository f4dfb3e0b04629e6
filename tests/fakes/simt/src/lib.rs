//! Executes PTX on a CPU, one instruction at a time, under seeded schedules that make synchronisation bugs show.
//!
//! A [`Module`] is parsed from text, a [`Kernel`] of it is [`launch`]ed on a [`Memory`], and the [`Counters`] say what it did, or a
//! [`Fault`] what it did wrong. [`Options`] choose the schedule, and when asynchronous copies and multiplications take place; the same
//! options always give the same execution. [`tensor`] says where the elements of matrices lie.
//!
//! ```
//! use simt::{Geometry, Memory, Module, Options, launch};
//!
//! let module = Module::parse(
//!     ".version 7.0
//!      .target sm_80
//!      .address_size 64
//!      .visible .entry double_all(.param .u64 words) {
//!          .reg .b32 %r<3>;
//!          .reg .b64 %rd<3>;
//!          ld.param.u64 %rd1, [words];
//!          mov.u32 %r1, %tid.x;
//!          mul.wide.u32 %rd2, %r1, 4;
//!          add.s64 %rd2, %rd1, %rd2;
//!          ld.global.u32 %r2, [%rd2];
//!          add.u32 %r2, %r2, %r2;
//!          st.global.u32 [%rd2], %r2;
//!          ret;
//!      }",
//! )?;
//! let kernel = module.kernel("double_all").expect("it is there");
//! let mut memory = Memory::new();
//! let words = memory.allocate(32 * 4);
//! memory.bytes_mut(words, 4)?.copy_from_slice(&21_u32.to_le_bytes());
//! let counters = launch(kernel, &Geometry::linear(1, 32), &words.to_le_bytes(), &mut memory, &Options::default())?;
//! assert_eq!(memory.bytes(words, 4)?, 42_u32.to_le_bytes());
//! assert_eq!((counters.global_read, counters.global_written), (128, 128));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it knows
//!
//! The instructions that the kernels of this tree use, and their near relatives; any other is refused with its name and line when the
//! module is parsed. Blocks that are no cluster run one after another, so that a kernel whose blocks wait for each other never ends.
//! Arithmetic is exact where PTX specifies it; matrix multiplications round after every product, which tensor cores do otherwise.
//! Global memory is sequentially consistent.
//!
//! # What it finds
//!
//! Stray and misaligned accesses, registers and barriers used before they are written, unordered accesses to shared memory,
//! asynchronous reads of what no proxy fence made visible, arrivals and bytes that an mbarrier does not expect, lanes apart where an
//! instruction wants them together, deadlocks with who waits for what, and kernels that never end.

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
