//! Modules and kernels as a driver sees them.

use crate::op::{Instruction, program};
use crate::text::{self, Class, Parameter, ParseError};

/// A PTX module.
#[derive(Clone, Debug)]
pub struct Module {
    /// Of the instruction set: 8.0 is `(8, 0)`.
    pub version: (u32, u32),
    /// `sm_90a`.
    pub target: String,
    kernels: Vec<Kernel>,
}

/// A kernel: what a launch must pass, and its instructions.
#[derive(Clone, Debug)]
pub struct Kernel {
    pub name: String,
    pub parameters: Vec<Parameter>,
    /// Threads of a block at the most, from `.maxntid`.
    pub max_threads: Option<u32>,
    /// The block's shape, from `.reqntid`.
    pub required_block: Option<[u32; 3]>,
    /// Blocks of a cluster, from `.reqnctapercluster`.
    pub required_cluster: Option<[u32; 3]>,
    /// Bytes of shared memory that its variables take.
    pub static_shared: u32,
    pub(crate) registers: Vec<Class>,
    pub(crate) program: Vec<Instruction>,
}

impl Kernel {
    /// Bytes that a launch passes.
    #[must_use]
    pub fn parameter_bytes(&self) -> u32 {
        self.parameters.last().map_or(0, |last| last.offset + last.bytes)
    }
}

impl Module {
    /// Reads a module. Every instruction is looked up here, so that what cannot be executed is known before a launch.
    ///
    /// # Errors
    /// [`ParseError`] with the line, for text that is no PTX and for PTX that is not supported.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let read = text::read(text)?;
        let kernels = read.entries.into_iter().map(|entry| {
            Ok(Kernel {
                program: program(&entry.body)?,
                name: entry.name,
                parameters: entry.parameters,
                max_threads: entry.max_threads,
                required_block: entry.required_block,
                required_cluster: entry.required_cluster,
                static_shared: entry.body.static_shared,
                registers: entry.body.registers,
            })
        });
        Ok(Self { version: read.version, target: read.target, kernels: kernels.collect::<Result<_, _>>()? })
    }

    /// In the order of the text.
    #[must_use]
    pub fn kernels(&self) -> &[Kernel] {
        &self.kernels
    }

    #[must_use]
    pub fn kernel(&self, name: &str) -> Option<&Kernel> {
        self.kernels.iter().find(|kernel| kernel.name == name)
    }
}
