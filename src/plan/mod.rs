//! What is to be measured, as data: a workload makes plans, a device carries them out. Sole door to `kernels/` and `shaders/`.
//!
//! # Stems
//! A kernel step names a stem and gives its arguments in one order: inputs, output, scalars.
//!
//! | stem | arguments | output |
//! |---|---|---|
//! | `read` | a, partials, words, segments, passes | partial p = wrapping sum of the `uint32` words of segment p, `passes` times over |
//! | `shared` | a, partials, words, segments, passes | the same, each segment of 4096 words held in shared memory |
//! | `write` | c, words, seed | word j = [`weyl`]`(seed, j)` |
//! | `copy` | a, c, n | c = a |
//! | `scale` | a, c, n, s | c = s·a |
//! | `add` | a, b, c, n | c = a + b |
//! | `triad` | a, b, c, n, passes, s | c = a + s·b, `passes` times over |
//! | `dot` | a, b, partials, n, segments | partial p = sum of a·b over segment p, in the arrays' format |
//! | `chase` | links, turn, out, spent, lines, hops, advance, seed | how many bytes beside its goal the chase ended, plus seed; clocks and nanoseconds spent |
//! | `atomic_spread` | c, words, passes, seed | word j = its random word, plus `2t + 1` for each thread t that added to it, in one pass another |
//! | `atomic_shared` | c, words, passes, seed | the same, each block's 4096 words held in shared memory |
//! | `atomic_one` | state, out, blocks, adds, seed | seed plus `2t + 1` for all threads t, `adds` times |
//! | `issue` | a, b, c, batches, steps | `c[l,j] = steps · a[l] · b[l,j]` for the 128 lanes l of each batch and eight j |
//! | `issue_nt` | a, b, c, batches, rounds | `c[64,128] = 16 · rounds · a[64,k]·b[128,k]ᵀ` of each batch, 32 bytes along k |
//! | `issue_wide` | a, b, c, batches, rounds | the same of `c[128,256]`, from `a[128,k]` and `b[256,k]` |
//! | `all_reduce` | peers, n, devices, own | every output = the sum of all inputs, device by device; a launch does the part of device `own` |
//! | `prune` | matrix, fours, seed | of each four elements two become zero, as [`kept`] says; the harness's own, of elements of one or two bytes |
//! | `link` | first, words, index | word `index` = the word before it, or `first` where there is none, plus one |
//! | `matmul` | a, b, c, m, n, k | `c[m,n] = a[m,k]·b[k,n]`, all row-major |
//! | `matmul_nt` | a, b, c, m, n, k | `c[m,n] = a[m,k]·b[n,k]ᵀ`, all row-major: both operands lie along k, as tensor cores take them |
//!
//! Segments are equal contiguous pieces; `words` and `n` are multiples of `segments`.

mod fill;
mod kernels;
mod product;
mod shaders;
mod tuned;

pub use fill::{
    COLUMN, DISTRIBUTION, Fold, Pass, ROW, SPREAD, buffer_seed, drawn, first, kept, key, keyed_f32, keyed_f64, keyed_small, mix,
    next, random_f32, random_f64, small, sparse, value, weight, weyl,
};
pub use kernels::*;
pub use product::{BLOCK, Product, sign};
pub use shaders::*;
pub use tuned::{Chip, known_chip};

use crate::{
    dtype::{Dtype, Precision},
    record::{RateUnit, Work, Workload},
    units::Nanos,
};

/// The name of a workload before a variant is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadKey {
    pub family: &'static str,
    pub operation: &'static str,
    /// [`Precision`] where something is accumulated, a [`Dtype`] where not, as text.
    pub precision: String,
    pub shape: String,
}

impl WorkloadKey {
    /// `family/precision/operation/shape`, the operation left out where it is the family's name.
    #[must_use]
    pub fn id(&self) -> String {
        let Self { family, operation, precision, shape } = self;
        if family == operation {
            format!("{family}/{precision}/{shape}")
        } else {
            format!("{family}/{precision}/{operation}/{shape}")
        }
    }

    #[must_use]
    pub fn with(&self, variant: &Variant) -> Workload {
        Workload {
            id: self.id(),
            family: self.family.into(),
            operation: self.operation.into(),
            variant: variant.name.clone(),
            precision: self.precision.clone(),
            shape: self.shape.clone(),
        }
    }
}

/// Where a buffer lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On device `i` of the plan's places.
    Device(usize),
    /// Host memory that the device can reach by itself, on a NUMA node when one is named.
    Pinned(Option<u32>),
    Pageable,
}

/// What a buffer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Filled by the generator, read by the program.
    In,
    /// Poisoned before a pass, written by the program, verified.
    Out,
    /// Scratch.
    Side,
    /// Words that a launch tells of itself, for the record's counters: the last launch's, each over the items of its work, by these names.
    Counters(&'static [&'static str]),
    /// Lines of 128 bytes, a power of two of them, each beginning with the address of another, so that together they are one cycle.
    Links,
}

/// A buffer of a plan; row-major where it is a matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffer {
    pub place: Place,
    pub dtype: Dtype,
    pub elements: u64,
    /// Elements of a row; 1 for a vector.
    pub columns: u64,
    pub role: Role,
    /// In the exact pass one element in so many, a power of two, is not zero (see [`sparse`]); 1 where all are drawn.
    pub gap: u64,
    /// In every pass two of each four neighbours are zero (see [`kept`]); rows are multiples of four elements long.
    pub halved: bool,
}

impl Buffer {
    /// A vector on the plan's first device.
    #[must_use]
    pub const fn vector(dtype: Dtype, elements: u64, role: Role) -> Self {
        Self { place: Place::Device(0), dtype, elements, columns: 1, role, gap: 1, halved: false }
    }

    /// A row-major matrix on the plan's first device.
    #[must_use]
    pub const fn matrix(dtype: Dtype, rows: u64, columns: u64, role: Role) -> Self {
        Self { place: Place::Device(0), dtype, elements: rows * columns, columns, role, gap: 1, halved: false }
    }

    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.dtype.bytes_of(self.elements)
    }
}

/// An argument of a kernel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Arg {
    Buffer(usize),
    Count(u64),
    Real(f64),
    /// Addresses of the inputs and the outputs of so many devices, buffers `0..n` and `n..2n`, in one parameter.
    Peers(usize),
}

/// A library's product of buffers 0 and 1 into 2, `c[m,n] = a[m,k]·b[n,k]ᵀ`, of which a has at most two elements of each four along k that are
/// not zero.
pub const SPARSE: &str = "sparse product";

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// A kernel of ours; the variant names its configuration, from which the backend derives grid and cluster.
    Kernel { stem: &'static str, args: Vec<Arg> },
    /// An operation of a vendor's library.
    Library(&'static str),
    /// Bytes of one buffer into another.
    Copy { from: usize, to: usize },
}

/// One step of a launch. Steps of one stream follow each other; different streams run at the same time. In a plan of several devices each
/// stream is of the device of its number (see [`Plan::device_of`]).
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub stream: u32,
    pub op: Op,
}

/// How launches reach the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Submit {
    /// One after the other, back to back.
    Stream,
    /// A launch is a captured graph of this many repetitions of the program.
    Graph(u32),
    /// One each period, whether or not the one before is done.
    Paced(Nanos),
    /// One after the other, each as a captured graph or not, and each waited for by the host before the next: what the host's clock says.
    RoundTrip { graph: bool },
}

/// How the output is verified.
#[derive(Clone, Copy)]
pub struct Check {
    /// Buffer that is verified.
    pub output: usize,
    /// Value of an element of the output in a pass.
    pub element: fn(&Plan, Pass, u64) -> f64,
    /// [`Fold::Values`] of the whole output of the exact pass, by arithmetic on the inputs that is independent of the kernel.
    pub fold: fn(&Plan, u32) -> u32,
    /// Largest magnitude of any sum in the exact pass; must be within [`Dtype::exact_integers`] of the output and the accumulator.
    pub bound: u64,
    /// Absolute error that the random pass allows, zero for bit movers.
    pub tolerance: f64,
    /// Error that it allows beside that, relative to the value: what rounding the output to its format may add.
    pub relative: f64,
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Check")
            .field("output", &self.output)
            .field("bound", &self.bound)
            .field("tolerance", &self.tolerance)
            .field("relative", &self.relative)
            .finish_non_exhaustive()
    }
}

/// Which kernel carries a plan out: the stem's named configuration, or a library. Part of a number's identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    pub name: String,
    pub kind: VariantKind,
}

/// What a variant stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VariantKind {
    /// Ours.
    Own,
    /// A vendor's library, for comparison; never the oracle.
    Vendor,
    /// Slow on purpose: wherever speed is measured it must measure slower, so that a broken clock cannot pass.
    Slow,
}

impl Variant {
    #[must_use]
    pub fn own(name: &str) -> Self {
        Self { name: name.into(), kind: VariantKind::Own }
    }

    #[must_use]
    pub fn slow(name: &str) -> Self {
        Self { name: name.into(), kind: VariantKind::Slow }
    }
}

/// One thing to measure.
#[derive(Clone, Debug)]
pub struct Plan {
    pub key: WorkloadKey,
    pub precision: Precision,
    pub work: Work,
    /// What the rate counts.
    pub unit: RateUnit,
    /// Devices by id, in the order that [`Place::Device`] counts.
    pub places: Vec<String>,
    pub buffers: Vec<Buffer>,
    /// What one launch does.
    pub program: Vec<Step>,
    pub submit: Submit,
    pub check: Check,
    /// How further outputs are verified.
    pub also: Vec<Check>,
    pub seed: u32,
    /// A suite measures these long enough for a sustained figure.
    pub sustained: bool,
}

impl Plan {
    /// Bytes of all buffers, by place on the plan's first device or anywhere.
    #[must_use]
    pub fn bytes_allocated(&self) -> u64 {
        self.buffers.iter().map(Buffer::bytes).fold(0, u64::saturating_add)
    }

    /// The device that a stream is of, by its place.
    #[must_use]
    pub fn device_of(&self, stream: u32) -> usize {
        stream as usize % self.places.len().max(1)
    }

    /// Every check, one an output.
    pub fn checks(&self) -> impl Iterator<Item = &Check> + '_ {
        std::iter::once(&self.check).chain(&self.also)
    }

    /// Seed of a buffer's contents.
    #[must_use]
    pub fn buffer_seed(&self, buffer: usize) -> u32 {
        buffer_seed(self.seed, u32::try_from(buffer).unwrap_or(u32::MAX))
    }

    /// Value of element `element` of input `buffer`.
    #[must_use]
    pub fn input(&self, buffer: usize, pass: Pass, element: u64) -> f64 {
        let Buffer { dtype, gap, halved, .. } = self.buffers[buffer];
        let seed = self.buffer_seed(buffer);
        if halved && !kept(seed, element) { 0.0 } else { value(dtype, pass, seed, gap, element) }
    }

    /// Stems of the program, in order.
    pub fn stems(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.program.iter().filter_map(|step| match step.op {
            Op::Kernel { stem, .. } => Some(stem),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_names_the_operation_only_where_it_tells_something() {
        let key = |family, operation| WorkloadKey { family, operation, precision: "fp64".into(), shape: "1GiB".into() };
        assert_eq!(key("stream", "triad").id(), "stream/fp64/triad/1GiB");
        assert_eq!(key("matmul", "matmul").id(), "matmul/fp64/1GiB");
    }

    #[test]
    fn absurd_sizes_do_not_wrap() {
        let huge = Buffer::vector(Dtype::Fp64, u64::MAX / 2, Role::In);
        assert_eq!(huge.bytes(), u64::MAX);
    }
}
