//! A launch of a kernel in the interpreter, with inputs, and what must come out.

use simt::{Counters, Fault, Geometry, Memory, Module, Options};
use std::fmt;

/// Bytes of a parameter, from the addresses of the buffers.
pub type Structure = Box<dyn Fn(&[u64]) -> Vec<u8> + Send + Sync>;

/// What a buffer holds before a launch.
pub enum Contents {
    Filled(Vec<u8>),
    /// So many bytes that nobody wrote.
    Poison(usize),
    /// So many bytes, from the address at which they will lie.
    Addressed(Box<dyn Fn(u64) -> Vec<u8> + Send + Sync>, usize),
}

impl Contents {
    fn len(&self) -> usize {
        match self {
            Self::Filled(bytes) => bytes.len(),
            Self::Poison(bytes) | Self::Addressed(_, bytes) => *bytes,
        }
    }
}

/// An argument of a launch.
pub enum Argument {
    /// The address of a buffer, by number.
    Buffer(usize),
    Word(u64),
    /// Bytes of a parameter that is a structure, as a function of the buffers' addresses.
    Structure(Structure),
}

/// What a buffer must hold afterwards.
pub type Expected = Box<dyn Fn(&[u8]) -> Result<(), String> + Send + Sync>;

/// A kernel's work: shape, inputs, expected output, and how much work it claims to be.
pub struct Job {
    pub name: String,
    pub geometry: Geometry,
    pub buffers: Vec<Contents>,
    /// Bytes before which the first buffer cannot be reached, and the only blocks that run: the far end of a huge launch.
    pub window: Option<(usize, (u64, u64))>,
    pub arguments: Vec<Argument>,
    /// By buffer.
    pub expected: Vec<(usize, Expected)>,
    /// Arithmetic and bytes that the counters must show, where the shape has no ragged edges.
    pub claim: Option<Claim>,
}

/// Work that a launch claims.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    pub flops: u64,
    pub tensor_flops: u64,
    pub read: u64,
    pub written: u64,
    /// Whether more bytes may be read: how often one looks is the machine's affair.
    pub looks: bool,
    /// Whether no access to shared memory may meet a conflict of banks.
    pub conflict_free: bool,
}

impl Claim {
    /// What the counters say against it.
    fn refuted(&self, counters: &Counters) -> Option<String> {
        let rows = [
            ("operations", self.flops, counters.flops),
            ("matrix operations", self.tensor_flops, counters.tensor_flops),
            ("bytes read", self.read, counters.global_read),
            ("bytes written", self.written, counters.global_written),
        ];
        rows.iter()
            .find(|(what, claimed, done)| claimed != done && !(self.looks && *what == "bytes read" && done > claimed))
            .map(|(what, claimed, done)| format!("{done} {what} where {claimed} are claimed"))
    }
}

/// How a launch ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    Right(Counters),
    Wrong(String),
    /// More or less work than the job claims.
    Work(String),
    /// Conflicts of banks where the job claims none: so many turns, so many without.
    Conflicts(u64, u64),
    Fault(Fault),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Right(counters) => write!(f, "right after {} instructions", counters.instructions),
            Self::Wrong(why) | Self::Work(why) => f.write_str(why),
            Self::Conflicts(turns, ideal) => write!(f, "{turns} turns of the banks where {ideal} would do"),
            Self::Fault(fault) => fault.fmt(f),
        }
    }
}

impl Outcome {
    /// The mechanism that caught a bug; `right` if none did.
    pub fn mechanism(&self) -> &'static str {
        match self {
            Self::Right(_) => "right",
            Self::Wrong(_) => "wrong",
            Self::Work(_) => "work",
            Self::Conflicts(..) => "conflicts",
            Self::Fault(Fault::IllegalAddress { .. }) => "illegal",
            Self::Fault(Fault::InvalidLaunch(_)) => "launch",
            Self::Fault(Fault::Broken(_)) => "broken",
            Self::Fault(Fault::Race(_)) => "race",
            Self::Fault(Fault::Deadlock(_)) => "deadlock",
            Self::Fault(Fault::StepLimit(_)) => "endless",
        }
    }
}

impl Job {
    /// Executes it once.
    pub fn run(&self, module: &Module, options: &Options) -> Outcome {
        self.launched(self.geometry, &self.arguments, module, options)
    }

    /// The same as another shape and other arguments say.
    pub fn launched(&self, geometry: Geometry, arguments: &[Argument], module: &Module, options: &Options) -> Outcome {
        let kernel = &module.kernels()[0];
        let mut memory = Memory::new();
        let far = |number: usize| self.window.filter(|_| number == 0).map_or(0, |(from, _)| from);
        let clusters = self.window.map_or(options.clusters, |(_, blocks)| blocks);
        let options = Options { clusters, ..*options };
        let addresses: Vec<u64> = self
            .buffers
            .iter()
            .enumerate()
            .map(|(number, contents)| match contents {
                Contents::Poison(bytes) => memory.allocate_window(far(number), *bytes),
                Contents::Addressed(make, bytes) => {
                    let at = memory.allocate_window(far(number), *bytes);
                    memory.bytes_mut(at, *bytes).expect("just allocated").copy_from_slice(&make(at));
                    at
                }
                Contents::Filled(bytes) => {
                    let at = memory.allocate_window(far(number), bytes.len());
                    memory.bytes_mut(at + far(number) as u64, bytes.len()).expect("just allocated").copy_from_slice(bytes);
                    at
                }
            })
            .collect();
        let mut parameters = Vec::new();
        for (argument, parameter) in arguments.iter().zip(&kernel.parameters) {
            parameters.resize(parameter.offset as usize, 0);
            let bytes = match argument {
                Argument::Buffer(number) => addresses[*number].to_le_bytes().to_vec(),
                Argument::Word(word) => word.to_le_bytes().to_vec(),
                Argument::Structure(make) => make(&addresses),
            };
            parameters.extend_from_slice(&bytes[..bytes.len().min(parameter.bytes as usize)]);
        }
        match simt::launch(kernel, &geometry, &parameters, &mut memory, &options) {
            Err(fault) => Outcome::Fault(fault),
            Ok(counters) => {
                let wrong = self.expected.iter().find_map(|(buffer, expected)| {
                    let bytes = self.buffers[*buffer].len();
                    let found = memory.bytes(addresses[*buffer] + far(*buffer) as u64, bytes).map_err(|fault| fault.to_string());
                    found.and_then(expected).err()
                });
                match (wrong, self.claim.and_then(|claim| claim.refuted(&counters))) {
                    (Some(wrong), _) => Outcome::Wrong(wrong),
                    (None, Some(work)) => Outcome::Work(work),
                    (None, None)
                        if self.claim.is_some_and(|claim| claim.conflict_free)
                            && counters.bank_turns > counters.bank_turns_ideal =>
                    {
                        Outcome::Conflicts(counters.bank_turns, counters.bank_turns_ideal)
                    }
                    (None, None) => Outcome::Right(counters),
                }
            }
        }
    }
}

/// Holds a buffer against values by index.
pub fn equals<T: bytemuck::Pod + PartialEq + std::fmt::Debug>(value: impl Fn(usize) -> T + Send + Sync + 'static) -> Expected {
    Box::new(move |bytes| {
        let found = bytes.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned::<T>).enumerate();
        let mut wrong = found.filter(|(at, found)| value(*at) != *found);
        match wrong.next() {
            None => Ok(()),
            Some((at, found)) => Err(format!("element {at} is {found:?} where {:?} is right; {} more", value(at), wrong.count())),
        }
    })
}

/// A buffer's contents from values by index.
pub fn filled<T: bytemuck::Pod>(count: usize, value: impl Fn(usize) -> T) -> Contents {
    Contents::Filled((0..count).flat_map(|at| bytemuck::bytes_of(&value(at)).to_vec()).collect())
}
