//! From a plan's steps to dispatches: arrays are spread over pieces that a binding can hold, long kernels over several dispatches,
//! and every count is held against the buffers it will index, since the shaders run without checks.

use super::kernels::{Config, Shape, configs};
use crate::{
    contract::Unsupported,
    dtype::Dtype,
    plan::{Arg, Op, Place, Plan, Submit},
};

/// What a device allows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Bytes of a binding, and of a buffer.
    pub binding: u64,
    /// Threads of a workgroup.
    pub threads: u32,
    /// Bytes of workgroup memory.
    pub memory: u32,
    /// Cores behind a software adapter; blank for a GPU.
    pub cores: Option<u32>,
}

/// Larger bindings are allowed in places, but drivers have failed silently beyond 2 GiB.
pub(super) const LARGEST_BINDING: u64 = 1 << 30;
/// Workgroups of a dimension.
const MOST_GROUPS: u64 = 65_535;
/// Pieces begin at multiples of this many elements: whole vectors, whole lines of the `write` pattern.
const GRAIN: u64 = 64;
/// Bytes of one pass above which a pass is a dispatch: a dispatch costs some microseconds, which such a pass outweighs.
const LARGE_PASS: u64 = 16 << 20;
/// More would be hours of work, and a list of dispatches that fills the memory.
const MOST_DISPATCHED_PASSES: u64 = 10_000;
/// Workgroups of 256 threads that even a small GPU holds at once, so that a pass inside a dispatch covers the whole footprint.
const RESIDENT: u64 = 128;

impl Limits {
    /// Operations of one dispatch that stay under a second, whatever runs them.
    fn operations(&self) -> u64 {
        if self.cores.is_some() { 2_000_000_000 } else { 500_000_000_000 }
    }

    /// Workgroups that run at the same time.
    fn resident(&self) -> u64 {
        self.cores.map_or(RESIDENT, u64::from)
    }
}

/// How arrays are spread: piece `i` of an array holds elements from `i * piece`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Split {
    piece: u64,
}

/// A contiguous part of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub index: usize,
    pub begin: u64,
    /// Below 2^28.
    pub elements: u64,
}

impl Split {
    /// Pieces as large as a binding allows, such that no segment of a plan's steps lies in two.
    ///
    /// # Errors
    /// [`Unsupported::Other`] when a segment is larger than a binding.
    pub fn of(plan: &Plan, limits: &Limits) -> Result<Self, Unsupported> {
        let most = limits.binding.min(LARGEST_BINDING) / 4 / GRAIN * GRAIN;
        let longest = plan.buffers.iter().map(|buffer| buffer.elements).max().unwrap_or(0);
        if longest <= most {
            return Ok(Self { piece: most.max(1) });
        }
        let grain = plan.program.iter().filter_map(|step| segment(&step.op)).fold(GRAIN, lcm);
        if most < grain {
            return Err(Unsupported::Other(format!("segments of {} bytes do not fit a binding of {} bytes", grain * 4, most * 4)));
        }
        Ok(Self { piece: most / grain * grain })
    }

    pub fn pieces(self, elements: u64) -> impl Iterator<Item = Piece> {
        (0..elements.div_ceil(self.piece)).map(move |index| Piece {
            index: index as usize,
            begin: index * self.piece,
            elements: self.piece.min(elements - index * self.piece),
        })
    }

    /// Piece and place in it of an element.
    pub fn locate(self, element: u64) -> (usize, u64) {
        ((element / self.piece) as usize, element % self.piece)
    }
}

/// Elements of a segment, where a step has segments.
fn segment(op: &Op) -> Option<u64> {
    let Op::Kernel { stem, args } = op else { return None };
    let (length, segments) = match (*stem, args.as_slice()) {
        ("read", [_, _, Arg::Count(words), Arg::Count(segments), _]) => (*words, *segments),
        ("dot", [_, _, _, Arg::Count(n), Arg::Count(segments)]) => (*n, *segments),
        _ => return None,
    };
    length.checked_div(segments).filter(|length| *length > 0)
}

fn lcm(a: u64, b: u64) -> u64 {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    (a / x).saturating_mul(b)
}

/// One dispatch of a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dispatch {
    /// Buffer and piece of each binding: inputs, then the output.
    pub bindings: Vec<(usize, usize)>,
    /// Bits of the shader's scalars.
    pub scalars: Vec<u32>,
    pub groups: [u32; 3],
}

/// A step made ready: a shader, its constants, and its dispatches in order.
#[derive(Debug)]
pub(super) struct Kernel {
    pub config: &'static Config,
    pub constants: Vec<(&'static str, f64)>,
    pub dispatches: Vec<Dispatch>,
}

/// Kernels of one launch, in order, by the configuration named `variant`, or a step's preferred one where it has none of that name.
///
/// # Errors
/// [`Unsupported`] with what stands in the way.
pub(super) fn lower(plan: &Plan, limits: &Limits, variant: &str) -> Result<Vec<Kernel>, Unsupported> {
    let split = Split::of(plan, limits)?;
    check_buffers(plan)?;
    let repeats = match plan.submit {
        Submit::Stream => 1,
        Submit::Graph(repeats) => repeats as usize,
        Submit::Paced(_) => return Err(Unsupported::Other("wgpu cannot pace launches on the device".into())),
    };
    let mut kernels = Vec::new();
    for step in std::iter::repeat_n(&plan.program, repeats).flatten() {
        let Op::Kernel { stem, args } = &step.op else {
            return Err(Unsupported::Other("wgpu runs kernels only, no library and no copies".into()));
        };
        let found = configs(stem, limits);
        let config = *found
            .iter()
            .find(|config| config.name == variant)
            .or(found.first())
            .ok_or_else(|| Unsupported::Stem((*stem).into()))?;
        kernels.push(Lowering { plan, limits, split, config }.kernel(args)?);
    }
    Ok(kernels)
}

fn check_buffers(plan: &Plan) -> Result<(), Unsupported> {
    for buffer in &plan.buffers {
        if buffer.place != Place::Device(0) {
            return Err(Unsupported::Other("wgpu keeps all buffers on its one device".into()));
        }
        if !matches!(buffer.dtype, Dtype::Fp32 | Dtype::Uint32) {
            return Err(Unsupported::Precision(buffer.dtype.to_string()));
        }
        if buffer.elements == 0 || buffer.columns == 0 || buffer.columns > 1 << 31 {
            return Err(Unsupported::Other(format!("a buffer of {} elements in rows of {}", buffer.elements, buffer.columns)));
        }
    }
    Ok(())
}

/// One step on its way.
struct Lowering<'a> {
    plan: &'a Plan,
    limits: &'a Limits,
    split: Split,
    config: &'static Config,
}

impl Lowering<'_> {
    fn kernel(&self, args: &[Arg]) -> Result<Kernel, Unsupported> {
        use Arg::{Buffer as B, Count as N, Real as R};
        let dispatches = match (self.config.stem, args) {
            ("read", &[B(a), B(partials), N(words), N(segments), N(passes)]) => {
                self.segments(&[a], partials, words, segments, Some(passes), Dtype::Uint32)
            }
            ("dot", &[B(a), B(b), B(partials), N(n), N(segments)]) => {
                self.segments(&[a, b], partials, n, segments, None, Dtype::Fp32)
            }
            ("write", &[B(c), N(words), N(seed)]) => {
                self.elementwise(&[c], words, Some(Dtype::Uint32), |piece| vec![seed as u32, (piece.begin / 16) as u32])
            }
            ("copy", &[B(a), B(c), N(n)]) => self.elementwise(&[a, c], n, None, |_| vec![]),
            ("scale", &[B(a), B(c), N(n), R(s)]) => {
                self.elementwise(&[a, c], n, Some(Dtype::Fp32), |_| vec![(s as f32).to_bits()])
            }
            ("add", &[B(a), B(b), B(c), N(n)]) => self.elementwise(&[a, b, c], n, Some(Dtype::Fp32), |_| vec![]),
            ("triad", &[B(a), B(b), B(c), N(n), N(passes), R(s)]) => self.triad([a, b, c], n, passes, s),
            ("matmul", &[B(a), B(b), B(c), N(m), N(n), N(k)]) => self.matmul([a, b, c], [m, n, k]),
            (stem, _) => Err(Unsupported::Other(format!("arguments of `{stem}` are not inputs, output, scalars"))),
        }?;
        Ok(Kernel { config: self.config, constants: self.constants(args), dispatches })
    }

    /// Values of the shader's `override` constants.
    fn constants(&self, args: &[Arg]) -> Vec<(&'static str, f64)> {
        match self.config.shape {
            Shape::Stream { threads, words, .. } => {
                vec![("THREADS", f64::from(threads)), ("UNROLLED", f64::from(u8::from(words > 1)))]
            }
            Shape::Tile { whole: [1, 1, 1], .. } => Vec::new(),
            Shape::Tile { whole, .. } => {
                let sizes = args.iter().filter_map(|arg| if let Arg::Count(size) = arg { Some(*size) } else { None });
                vec![("WHOLE", f64::from(u8::from(sizes.zip(whole).all(|(size, multiple)| size % multiple == 0))))]
            }
        }
    }

    /// Refuses a count that a buffer does not hold, or a format that the shader would misread.
    fn holds(&self, buffer: usize, elements: u64, dtype: Option<Dtype>) -> Result<(), Unsupported> {
        let held = self.plan.buffers.get(buffer).ok_or_else(|| Unsupported::Other(format!("no buffer {buffer} in the plan")))?;
        if dtype.is_some_and(|dtype| dtype != held.dtype) {
            return Err(Unsupported::Precision(held.dtype.to_string()));
        }
        if elements == 0 || elements > held.elements {
            return Err(Unsupported::Other(format!("{elements} elements of a buffer of {}", held.elements)));
        }
        Ok(())
    }

    /// Workgroups that cover `words`, no more than `most`.
    fn groups(&self, words: u64, most: u64) -> [u32; 3] {
        let Shape::Stream { threads, words: held, groups } = self.config.shape else { return [1, 1, 1] };
        let turn = u64::from(threads * held);
        [words.div_ceil(turn).clamp(1, u64::from(groups).min(most)) as u32, 1, 1]
    }

    /// Dispatches over the pieces of equally long arrays; scalars are the vectors of the piece and what `rest` adds.
    fn elementwise(
        &self,
        buffers: &[usize],
        n: u64,
        dtype: Option<Dtype>,
        rest: impl Fn(Piece) -> Vec<u32>,
    ) -> Result<Vec<Dispatch>, Unsupported> {
        for &buffer in buffers {
            self.holds(buffer, n, dtype)?;
        }
        let dispatch = |piece: Piece| Dispatch {
            bindings: buffers.iter().map(|&buffer| (buffer, piece.index)).collect(),
            scalars: [vec![piece.elements.div_ceil(4) as u32], rest(piece)].concat(),
            groups: self.groups(piece.elements, MOST_GROUPS),
        };
        Ok(self.split.pieces(n).map(dispatch).collect())
    }

    /// Whether passes run inside a dispatch; if not, each is a dispatch. Inside, only as many workgroups may run as fit at once,
    /// or the first would be through with their passes before the last begin, and the footprint would seem smaller than it is.
    fn passes_inside(&self, passes: u64, elements: u64, bytes: u64) -> Result<bool, Unsupported> {
        if passes == 0 || passes >= u64::from(u32::MAX) {
            return Err(Unsupported::Other(format!("{passes} passes")));
        }
        let one_piece = self.split.pieces(elements).nth(1).is_none();
        let inside = passes > 1 && one_piece && (self.limits.cores.is_some() || bytes < LARGE_PASS);
        if !inside && passes > MOST_DISPATCHED_PASSES {
            return Err(Unsupported::Other(format!("{passes} passes over {bytes} bytes in one launch")));
        }
        Ok(inside)
    }

    fn triad(&self, buffers: [usize; 3], n: u64, passes: u64, s: f64) -> Result<Vec<Dispatch>, Unsupported> {
        let inside = self.passes_inside(passes, n, n.saturating_mul(12))?;
        let scalars = |passes: u32| vec![passes, (s as f32).to_bits(), 0];
        let once = self.elementwise(&buffers, n, Some(Dtype::Fp32), |_| scalars(if inside { passes as u32 } else { 1 }))?;
        if inside {
            let groups = self.groups(n, self.limits.resident());
            return Ok(once.into_iter().map(|dispatch| Dispatch { groups, ..dispatch }).collect());
        }
        Ok(std::iter::repeat_n(once, passes as usize).flatten().collect())
    }

    /// Dispatches of `read` (with passes) and `dot` (without), a workgroup a segment at a time.
    fn segments(
        &self,
        inputs: &[usize],
        partials: usize,
        n: u64,
        segments: u64,
        passes: Option<u64>,
        dtype: Dtype,
    ) -> Result<Vec<Dispatch>, Unsupported> {
        for &input in inputs {
            self.holds(input, n, Some(dtype))?;
        }
        self.holds(partials, segments, Some(dtype))?;
        if n % segments != 0 || self.split.pieces(segments).nth(1).is_some() {
            return Err(Unsupported::Other(format!("{n} elements in {segments} segments")));
        }
        let length = n / segments;
        let repeats = passes.unwrap_or(1);
        let inside = self.passes_inside(repeats, n, n.saturating_mul(4))?;
        let most = if inside { self.limits.resident() } else { u64::from(self.most_groups()) };
        let (outer, inner) = if inside { (1, repeats) } else { (repeats, 1) };
        let mut dispatches = Vec::new();
        for pass in 0..outer {
            for piece in self.split.pieces(n) {
                let (count, first) = ((piece.elements / length) as u32, (piece.begin / length) as u32);
                let scalars = match passes {
                    Some(_) => vec![count, length as u32, inner as u32, first, u32::from(pass > 0), 0],
                    None => vec![count, length as u32, first],
                };
                let bindings = inputs.iter().map(|&input| (input, piece.index)).chain([(partials, 0)]).collect();
                dispatches.push(Dispatch { bindings, scalars, groups: [u64::from(count).min(most) as u32, 1, 1] });
            }
        }
        Ok(dispatches)
    }

    fn most_groups(&self) -> u32 {
        match self.config.shape {
            Shape::Stream { groups, .. } => groups,
            Shape::Tile { .. } => 1,
        }
    }

    /// Bands of rows, each few enough operations for one dispatch.
    fn matmul(&self, [a, b, c]: [usize; 3], [m, n, k]: [u64; 3]) -> Result<Vec<Dispatch>, Unsupported> {
        for (buffer, rows, columns) in [(a, m, k), (b, k, n), (c, m, n)] {
            let elements = rows.saturating_mul(columns);
            self.holds(buffer, elements, Some(Dtype::Fp32))?;
            if self.split.pieces(elements).nth(1).is_some() {
                let (matrix, binding) = (elements * 4, self.split.piece * 4);
                return Err(Unsupported::Other(format!("a matrix of {matrix} bytes exceeds a binding of {binding} bytes")));
            }
        }
        let Shape::Tile { rows: tile_rows, columns: tile_columns, .. } = self.config.shape else { return Ok(Vec::new()) };
        let (tile_rows, across) = (u64::from(tile_rows), n.div_ceil(u64::from(tile_columns)));
        let tall = (self.limits.operations() / (2 * n * k) / tile_rows).clamp(1, MOST_GROUPS);
        if across > MOST_GROUPS {
            return Err(Unsupported::Other(format!("{n} columns are too many for one dispatch")));
        }
        let band = |row: u64| Dispatch {
            bindings: vec![(a, 0), (b, 0), (c, 0)],
            scalars: vec![m as u32, n as u32, k as u32, row as u32],
            groups: [across as u32, (m - row).div_ceil(tile_rows).min(tall) as u32, 1],
        };
        Ok((0..m).step_by((tall * tile_rows) as usize).map(band).collect())
    }
}
