//! What a kernel did wrong, in words that name the place.

use std::fmt;

/// Why a launch ended early. On hardware some of these would be silent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No allocation there.
    IllegalAddress { address: u64, bytes: u64, what: &'static str },
    /// The launch asks for what the kernel or the chip does not allow.
    InvalidLaunch(String),
    /// A rule of the instruction set was broken; the text names instruction, line, warp and operands.
    Broken(String),
    /// Two accesses to shared memory that nothing orders, at least one of them a write.
    Race(String),
    /// Nothing can go on; the text names who waits for what.
    Deadlock(String),
    /// More instructions than allowed: an endless loop.
    StepLimit(u64),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IllegalAddress { address, bytes, what } => write!(f, "illegal address: {what} {bytes} bytes at {address:#x}"),
            Self::InvalidLaunch(why) => write!(f, "invalid launch: {why}"),
            Self::Broken(why) => write!(f, "broken rule: {why}"),
            Self::Race(why) => write!(f, "race: {why}"),
            Self::Deadlock(why) => write!(f, "deadlock: {why}"),
            Self::StepLimit(steps) => write!(f, "still running after {steps} instructions"),
        }
    }
}

impl std::error::Error for Fault {}
