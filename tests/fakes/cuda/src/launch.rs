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

/// Runs a kernel to its end.
///
/// # Errors
/// See [`End`].
pub fn run(
    code: &Code,
    kernel: &str,
    shape: Shape,
    parameters: &[u8],
    memory: &mut simt::Memory,
    chip: &Chip,
) -> Result<Cost, End> {
    let (found, geometry) = found(code, kernel, shape)?;
    let plain = chip.schedule.map_or_else(Options::default, |number| Options::schedule(number, 1));
    let options = Options { multiprocessors: chip.multiprocessors, ..plain };
    interpreted(found, &geometry, parameters, memory, &options)
}

/// Runs a kernel that may wait for the host to its end, or until it is seen to wait.
///
/// # Errors
/// See [`End`]; `Never` where it waits.
pub fn run_beside_the_host(
    code: &Code,
    kernel: &str,
    shape: Shape,
    parameters: &[u8],
    memory: &mut simt::Memory,
    chip: &Chip,
) -> Result<Cost, End> {
    /// Enough for a kernel that does not wait.
    const STEPS: u64 = 1000;
    /// With it the steps are some seconds of the device's time: a kernel that waits no longer has waited in vain.
    const TICK: u64 = 1 << 24;
    let (found, geometry) = found(code, kernel, shape)?;
    let options = Options { steps: STEPS, tick: if chip.blocking { TICK } else { 1 }, ..Options::default() };
    interpreted(found, &geometry, parameters, memory, &options)
}

fn found<'a>(code: &'a Code, kernel: &str, shape: Shape) -> Result<(&'a Kernel, Geometry), End> {
    let found = code.0.kernel(kernel).ok_or_else(|| End::Failed(format!("no kernel {kernel}")))?;
    let Shape { grid, block, cluster, dynamic_shared } = shape;
    Ok((found, Geometry { grid, block, cluster, dynamic_shared }))
}

fn interpreted(
    found: &Kernel,
    geometry: &Geometry,
    parameters: &[u8],
    memory: &mut simt::Memory,
    options: &Options,
) -> Result<Cost, End> {
    let kernel = &found.name;
    let interpreted = std::panic::AssertUnwindSafe(|| simt::launch(found, geometry, parameters, memory, options));
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
