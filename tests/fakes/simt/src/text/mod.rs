//! PTX text read into statements: names resolved, types and opcodes not yet looked at.

mod body;
mod cursor;
mod module;
mod names;
mod token;

use std::fmt;

pub(crate) use body::{Body, Statement};
pub use module::Parameter;
pub(crate) use module::read;
pub(crate) use names::{Class, Term};

/// Text that is not PTX, or PTX that is not supported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// Counted from 1.
    pub line: u32,
    pub message: String,
}

impl ParseError {
    pub(crate) fn new(line: u32, message: impl Into<String>) -> Self {
        Self { line, message: message.into() }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PTX line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for ParseError {}
