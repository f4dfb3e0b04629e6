//! A launch: its shape, how it is scheduled, and the walk over its clusters.

use crate::cluster::Cluster;
use crate::{Counters, Fault, Kernel, Memory};

/// The shape of a launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Blocks.
    pub grid: [u32; 3],
    /// Threads of a block.
    pub block: [u32; 3],
    /// Blocks of a cluster.
    pub cluster: [u32; 3],
    /// Bytes of dynamic shared memory.
    pub dynamic_shared: u32,
}

impl Geometry {
    /// One-dimensional, without clusters and dynamic shared memory.
    #[must_use]
    pub fn linear(blocks: u32, threads: u32) -> Self {
        Self { grid: [blocks, 1, 1], block: [threads, 1, 1], cluster: [1; 3], dynamic_shared: 0 }
    }

    pub(crate) fn threads(&self) -> u32 {
        volume(self.block)
    }

    pub(crate) fn blocks_of_cluster(&self) -> u32 {
        volume(self.cluster)
    }
}

fn volume(shape: [u32; 3]) -> u32 {
    shape.iter().fold(1, |all, one| all.saturating_mul(*one))
}

/// In which order warps run. All are fair in the end, none is in the short run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// One after another, long turns.
    RoundRobin,
    /// Any, short turns.
    Random,
    /// The most important one that can run, always; importance is drawn anew now and then. Shows orders that fairness hides
    /// (Burckhardt et al., A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs, 2010).
    Priorities,
    /// As `Priorities`, and the block of that rank in its cluster runs only where no other can.
    Starved(u32),
}

/// When an asynchronous operation takes place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timing {
    AtIssue,
    /// Where it is waited for, or where nothing else can go on.
    Late,
    /// Anywhere between.
    Random,
}

/// How a launch is executed.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub schedule: Schedule,
    /// Of asynchronous copies.
    pub copies: Timing,
    /// Of asynchronous matrix multiplications.
    pub matrices: Timing,
    pub seed: u64,
    /// Bytes by which dynamic shared memory begins later: a kernel must align its slabs itself.
    pub shared_shift: u32,
    /// Waits that may time out do so now and then.
    pub spurious: bool,
    /// Unordered accesses to shared memory end the launch.
    pub races: bool,
    /// Warp instructions of a cluster after which it is taken to run for ever.
    pub steps: u64,
    pub multiprocessors: u32,
    /// Nanoseconds by which the device's timer goes on with each warp instruction.
    pub tick: u64,
    /// The only clusters to execute, by number; all by default. So the far end of a launch that is too large can be tested.
    pub clusters: (u64, u64),
}

impl Default for Options {
    fn default() -> Self {
        Self {
            schedule: Schedule::RoundRobin,
            copies: Timing::Late,
            matrices: Timing::Late,
            seed: 0,
            shared_shift: 0,
            spurious: false,
            races: true,
            steps: 200_000_000,
            multiprocessors: 4,
            tick: 1,
            clusters: (0, u64::MAX),
        }
    }
}

impl Options {
    /// The `n`th of a family in which every timing meets every schedule within twelve, repeated from `seed`.
    #[must_use]
    pub fn schedule(n: u32, seed: u64) -> Self {
        let schedule = match n / 4 % 3 {
            0 => Schedule::RoundRobin,
            1 => Schedule::Priorities,
            _ if n.is_multiple_of(2) => Schedule::Starved(n / 2 % 2),
            _ => Schedule::Random,
        };
        let (copies, matrices) = match n % 4 {
            0 => (Timing::Late, Timing::Late),
            1 => (Timing::AtIssue, Timing::Late),
            2 => (Timing::Random, Timing::AtIssue),
            _ => (Timing::Random, Timing::Random),
        };
        let shared_shift = [0, 128, 256][(n % 3) as usize];
        Self {
            schedule,
            copies,
            matrices,
            seed: seed ^ u64::from(n) << 32,
            shared_shift,
            spurious: n % 4 != 1 && !n.is_multiple_of(12),
            ..Self::default()
        }
    }
}

/// Executes a kernel: all its clusters, one after another.
///
/// # Errors
/// [`Fault`]: the first thing that went wrong. Memory keeps what was written until then.
pub fn launch(
    kernel: &Kernel,
    geometry: &Geometry,
    parameters: &[u8],
    memory: &mut Memory,
    options: &Options,
) -> Result<Counters, Fault> {
    check(kernel, geometry, parameters)?;
    let mut counters = Counters::default();
    let [x, y, z] = [0, 1, 2].map(|axis| geometry.grid[axis] / geometry.cluster[axis]);
    let (first, end) = options.clusters;
    for number in first..end.min(u64::from(x) * u64::from(y) * u64::from(z)) {
        let place = [number % u64::from(x), number / u64::from(x) % u64::from(y), number / u64::from(x) / u64::from(y)];
        Cluster::new(kernel, geometry, parameters, memory, options, place.map(|one| one as u32)).run(&mut counters)?;
    }
    Ok(counters)
}

fn check(kernel: &Kernel, geometry: &Geometry, parameters: &[u8]) -> Result<(), Fault> {
    let refuse = |why: String| Err(Fault::InvalidLaunch(format!("kernel `{}`: {why}", kernel.name)));
    let threads = geometry.threads();
    if threads == 0 || threads > 1024 || geometry.grid.contains(&0) {
        return refuse(format!("a grid of {:?} with blocks of {:?}", geometry.grid, geometry.block));
    }
    if kernel.max_threads.is_some_and(|most| threads > most) {
        return refuse(format!("{threads} threads a block where it is made for {:?} at the most", kernel.max_threads));
    }
    if kernel.required_block.is_some_and(|block| block != geometry.block) {
        return refuse(format!("blocks of {:?} where it requires {:?}", geometry.block, kernel.required_block));
    }
    if kernel.required_cluster.is_some_and(|cluster| cluster != geometry.cluster) {
        return refuse(format!("clusters of {:?} where it requires {:?}", geometry.cluster, kernel.required_cluster));
    }
    let whole = (0..3).all(|axis| geometry.cluster[axis] != 0 && geometry.grid[axis].is_multiple_of(geometry.cluster[axis]));
    if !whole || geometry.blocks_of_cluster() > 16 {
        return refuse(format!("a grid of {:?} in clusters of {:?}", geometry.grid, geometry.cluster));
    }
    if parameters.len() != kernel.parameter_bytes() as usize {
        return refuse(format!("{} bytes of parameters where it takes {}", parameters.len(), kernel.parameter_bytes()));
    }
    Ok(())
}
