//! The one place that speaks to the interpreter: code, kernels, and a launch with what it cost.

use crate::chip::Chip;
use simt::{Counters, Geometry, Kernel, Module, Options};

/// Compiled code.
pub struct Code(Module);

impl Code {
    /// # Errors
    /// The line that is not understood, and why.
    pub fn parse(text: &str) -> Result<Self, (u32, String)> {
        Module::parse(text).map(Self).map_err(|error| (error.line, error.message))
    }

    /// `sm_90a`.
    pub fn target(&self) -> &str {
        &self.0.target
    }

    /// Of the PTX.
    pub fn version(&self) -> (u32, u32) {
        self.0.version
    }

    pub fn facts(&self, kernel: &str) -> Option<Facts> {
        let kernel: &Kernel = self.0.kernel(kernel)?;
        Some(Facts {
            parameters: kernel.parameters.iter().map(|one| (one.offset as usize, one.bytes as usize)).collect(),
            max_threads: kernel.max_threads.unwrap_or(1024),
            cluster: kernel.required_cluster,
            static_shared: kernel.static_shared,
        })
    }
}

/// What a launch must know of its kernel.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Offset and length of each parameter.
    pub parameters: Vec<(usize, usize)>,
    pub max_threads: u32,
    pub cluster: Option<[u32; 3]>,
    pub static_shared: u32,
}

/// The shape of a launch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shape {
    pub grid: [u32; 3],
    pub block: [u32; 3],
    pub cluster: [u32; 3],
    pub dynamic_shared: u32,
}

/// What a launch did, for the clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    pub flops: u64,
    pub read: u64,
    pub written: u64,
    /// Turns of the banks of shared memory.
    pub turns: u64,
}

/// How a kernel ends that does not end well, with words.
#[derive(Debug)]
pub enum End {
    Illegal(String),
    Failed(String),
    Never(String),
}

/// How kernels run on a chip.
pub fn options(chip: &Chip) -> Options {
    let plain = chip.schedule.map_or_else(Options::default, |number| Options::schedule(number, 1));
    Options { multiprocessors: chip.multiprocessors, ..plain }
}

/// How one runs that may wait for the host: until it is seen to wait. Where the host's calls wait themselves, the few steps are some
/// seconds of the device's time, so that a kernel that waits no longer has waited in vain.
pub fn beside_the_host(chip: &Chip) -> Options {
    /// Enough for a kernel that does not wait.
    const STEPS: u64 = 1000;
    const TICK: u64 = 1 << 24;
    Options { steps: STEPS, tick: if chip.blocking { TICK } else { 1 }, ..options(chip) }
}

/// Runs a kernel to its end.
///
/// # Errors
/// See [`End`]; `Never` also where it takes more steps than it may.
pub fn run(
    code: &Code,
    kernel: &str,
    shape: Shape,
    parameters: &[u8],
    memory: &mut simt::Memory,
    options: &Options,
) -> Result<Cost, End> {
    let found = code.0.kernel(kernel).ok_or_else(|| End::Failed(format!("no kernel {kernel}")))?;
    let Shape { grid, block, cluster, dynamic_shared } = shape;
    let geometry = Geometry { grid, block, cluster, dynamic_shared };
    let interpreted = std::panic::AssertUnwindSafe(|| simt::launch(found, &geometry, parameters, memory, options));
    let outcome = std::panic::catch_unwind(interpreted).map_err(|_| End::Failed(format!("{kernel}: the interpreter panicked")))?;
    let cost = |counters: Counters| Cost {
        flops: counters.flops + counters.tensor_flops,
        turns: counters.bank_turns,
        read: counters.global_read,
        written: counters.global_written,
    };
    outcome.map(cost).map_err(|fault| {
        let words = format!("{kernel}: {fault}");
        match fault {
            simt::Fault::IllegalAddress { .. } => End::Illegal(words),
            simt::Fault::Deadlock(_) | simt::Fault::StepLimit(_) => End::Never(words),
            simt::Fault::InvalidLaunch(_) | simt::Fault::Broken(_) | simt::Fault::Race(_) => End::Failed(words),
        }
    })
}
