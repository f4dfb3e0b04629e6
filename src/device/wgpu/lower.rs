//! From a plan's steps to dispatches: arrays are spread over pieces that a binding can hold, long kernels over several dispatches,
//! and every count is held against the buffers it will index, since the shaders run without checks.

use super::{
    kernels::{Config, Shape, configs},
    limits::Limits,
    split::{LINE, Piece, Split},
};
use crate::{
    contract::Unsupported,
    dtype::Dtype,
    plan::{Arg, Op, Place, Plan, Submit},
};

/// Workgroups of a dimension.
const MOST_GROUPS: u64 = 65_535;
/// Bytes of one pass above which a pass is a dispatch: a dispatch costs some microseconds, which such a pass outweighs.
const LARGE_PASS: u64 = 16 << 20;
/// More would be hours of work, and a list of dispatches that fills the memory.
const MOST_DISPATCHED_PASSES: u64 = 10_000;
/// Reads of the slow twin of a link: some microseconds on any processor, below what a software adapter cuts short.
const DETOURS: u64 = 20_000;
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
        Submit::RoundTrip { .. } => return Err(Unsupported::Other("wgpu does not time launches by the host's clock".into())),
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
            ("write", &[B(c), N(words), N(seed)]) => self
                .elementwise(&[c], words, Some(Dtype::Uint32), MOST_GROUPS, |piece| vec![seed as u32, (piece.begin / LINE) as u32]),
            ("copy", &[B(a), B(c), N(n)]) => self.elementwise(&[a, c], n, None, MOST_GROUPS, |_| vec![]),
            ("scale", &[B(a), B(c), N(n), R(s)]) => {
                self.elementwise(&[a, c], n, Some(Dtype::Fp32), MOST_GROUPS, |_| vec![(s as f32).to_bits()])
            }
            ("add", &[B(a), B(b), B(c), N(n)]) => self.elementwise(&[a, b, c], n, Some(Dtype::Fp32), MOST_GROUPS, |_| vec![]),
            ("triad", &[B(a), B(b), B(c), N(n), N(passes), R(s)]) => self.triad([a, b, c], n, passes, s),
            ("link", &[B(first), B(words), N(index)]) => self.link(first, words, index),
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

    /// Vectors that a workgroup covers, whole turns of them, and workgroups, no more than `most`, that cover `vectors`.
    fn chunks(&self, vectors: u64, most: u64) -> (u64, u64) {
        let Shape::Stream { threads, words, groups } = self.config.shape else { return (vectors, 1) };
        let turn = u64::from(threads * words).div_ceil(4);
        let chunk = vectors.div_ceil(u64::from(groups).min(most)).div_ceil(turn) * turn;
        (chunk, vectors.div_ceil(chunk))
    }

    /// Dispatches over the pieces of equally long arrays; at most `most` workgroups each; scalars are vectors, chunk, and what `rest` adds.
    fn elementwise(
        &self,
        buffers: &[usize],
        n: u64,
        dtype: Option<Dtype>,
        most: u64,
        rest: impl Fn(Piece) -> Vec<u32>,
    ) -> Result<Vec<Dispatch>, Unsupported> {
        for &buffer in buffers {
            self.holds(buffer, n, dtype)?;
        }
        let dispatch = |piece: Piece| {
            let vectors = piece.elements.div_ceil(4);
            let (chunk, groups) = self.chunks(vectors, most);
            self.ends(self.turns(chunk * 4))?;
            Ok(Dispatch {
                bindings: buffers.iter().map(|&buffer| (buffer, piece.index)).collect(),
                scalars: [vec![vectors as u32, chunk as u32], rest(piece)].concat(),
                groups: [groups as u32, 1, 1],
            })
        };
        self.split.pieces(n).map(dispatch).collect()
    }

    /// Passes that run inside one dispatch; 1 where each is its own. Inside, only as many workgroups may run as fit at once, or the
    /// first would be through with their passes before the last begin, and the footprint would seem smaller than it is.
    /// `iterations` is what a thread makes in a pass of so few workgroups.
    fn passes_inside(&self, passes: u64, elements: u64, bytes: u64, iterations: u64) -> Result<u64, Unsupported> {
        let one_piece = self.split.pieces(elements).nth(1).is_none();
        // A software adapter runs the vectors of a workgroup one after the other, so that only one fits "at once".
        let together = if self.limits.cores.is_some() { self.config.threads() <= 8 } else { bytes < LARGE_PASS };
        let worthwhile = passes > 1 && one_piece && together;
        let most = if worthwhile { (self.limits.iterations() / iterations.max(1)).max(1) } else { 1 };
        let inside = passes.div_ceil(passes.div_ceil(most).max(1));
        if passes == 0 || passes / inside > MOST_DISPATCHED_PASSES {
            return Err(Unsupported::Other(format!("{passes} passes over {bytes} bytes in one launch")));
        }
        Ok(inside)
    }

    /// Refuses loops that the device would cut short.
    fn ends(&self, iterations: u64) -> Result<(), Unsupported> {
        let most = self.limits.iterations();
        if iterations > most {
            return Err(Unsupported::Other(format!("{iterations} iterations of a thread, where this adapter makes {most}")));
        }
        Ok(())
    }

    fn triad(&self, buffers: [usize; 3], n: u64, passes: u64, s: f64) -> Result<Vec<Dispatch>, Unsupported> {
        let resident = self.limits.resident();
        let (chunk, _) = self.chunks(n.div_ceil(4), resident);
        let inside = self.passes_inside(passes, n, n.saturating_mul(12), self.turns(chunk * 4))?;
        let most = if inside > 1 { resident } else { MOST_GROUPS };
        let mut dispatches = Vec::new();
        let mut left = passes;
        while left > 0 {
            let now = inside.min(left);
            let scalars = vec![now as u32, (s as f32).to_bits(), 0];
            dispatches.extend(self.elementwise(&buffers, n, Some(Dtype::Fp32), most, |_| scalars.clone())?);
            left -= now;
        }
        Ok(dispatches)
    }

    /// Iterations of a workgroup's loop over so many words.
    fn turns(&self, words: u64) -> u64 {
        match self.config.shape {
            Shape::Stream { threads, words: held, .. } => words.div_ceil(u64::from(threads * held)) + u64::from(held),
            Shape::Tile { .. } => 0,
        }
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
        if !n.is_multiple_of(segments) || self.split.pieces(segments).nth(1).is_some() {
            return Err(Unsupported::Other(format!("{n} elements in {segments} segments")));
        }
        let length = n / segments;
        // Besides its turns a segment takes the sum over the workgroup: sixteen columns, and each as long as there are sixteens.
        let one = self.turns(length) + 16 + u64::from(self.config.threads() / 16);
        self.ends(one)?;
        let resident = self.limits.resident();
        let inside = self.passes_inside(passes.unwrap_or(1), n, n.saturating_mul(4), one * segments.div_ceil(resident))?;
        let most = if inside > 1 { resident } else { MOST_GROUPS };
        let (mut dispatches, mut done) = (Vec::new(), 0);
        while done < passes.unwrap_or(1) {
            let now = inside.min(passes.unwrap_or(1) - done);
            for piece in self.split.pieces(n) {
                let (count, first) = ((piece.elements / length) as u32, (piece.begin / length) as u32);
                let scalars = match passes {
                    Some(_) => vec![count, length as u32, now as u32, first, u32::from(done > 0), 0],
                    None => vec![count, length as u32, first],
                };
                let bindings = inputs.iter().map(|&input| (input, piece.index)).chain([(partials, 0)]).collect();
                dispatches.push(Dispatch { bindings, scalars, groups: [u64::from(count).min(most) as u32, 1, 1] });
            }
            done += now;
        }
        Ok(dispatches)
    }

    /// One of a chain: its word and the one before it.
    fn link(&self, first: usize, words: usize, index: u64) -> Result<Vec<Dispatch>, Unsupported> {
        self.holds(first, 1, Some(Dtype::Uint32))?;
        self.holds(words, index.saturating_add(1), Some(Dtype::Uint32))?;
        if self.split.pieces(index + 1).nth(1).is_some() {
            return Err(Unsupported::Other(format!("a chain of {} words does not fit a binding", index + 1)));
        }
        self.ends(DETOURS)?;
        let scalars = vec![index as u32, DETOURS as u32, 0];
        Ok(vec![Dispatch { bindings: vec![(first, 0), (words, 0)], scalars, groups: [1; 3] }])
    }

    /// Bands of rows, each few enough operations for one dispatch.
    fn matmul(&self, [a, b, c]: [usize; 3], [m, n, k]: [u64; 3]) -> Result<Vec<Dispatch>, Unsupported> {
        for (buffer, rows, columns) in [(a, m, k), (b, k, n), (c, m, n)] {
            let elements = rows.saturating_mul(columns);
            self.holds(buffer, elements, Some(Dtype::Fp32))?;
            if self.split.pieces(elements).nth(1).is_some() {
                let (matrix, binding) = (elements * 4, self.split.bytes());
                return Err(Unsupported::Other(format!("a matrix of {matrix} bytes exceeds a binding of {binding} bytes")));
            }
        }
        let Shape::Tile { columns: tile_columns, .. } = self.config.shape else { return Ok(Vec::new()) };
        // Every kernel's loops along k together make fewer than two iterations a step.
        self.ends(2 * k)?;
        let (tile_rows, across) = (u64::from(self.config.rows()), n.div_ceil(u64::from(tile_columns)));
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

#[cfg(test)]
#[path = "lower_tests.rs"]
mod tests;
