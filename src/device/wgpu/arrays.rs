//! The plan's buffers on the device: each spread over pieces that a binding can hold, filled, folded and sampled there.

use super::{
    context::Context,
    limits::Limits,
    split::{Piece, Split},
};
use crate::{
    contract::Fault,
    dtype::Dtype,
    plan::{Buffer as Planned, Fold, Pass, Plan, Role},
};
use wgpu::{BindGroup, Buffer, BufferUsages, CommandEncoderDescriptor, ComputePassDescriptor, ComputePipeline};

/// Byte that outputs are poisoned with, four times.
const POISON: u32 = 0xA5A5_A5A5;
/// Words that a look at the device brings at once.
const LOOK: usize = 4_096;
/// Elements of each thread of the fill and fold shaders, unless there are too many.
const EACH: u64 = 8;
/// Workgroups of a dispatch.
const GROUPS: u64 = 65_535;

/// One buffer of the plan.
struct Array {
    planned: Planned,
    seed: u32,
    pieces: Vec<Buffer>,
}

/// All buffers of a plan, with the shaders that fill and fold them.
pub(super) struct Arrays<'m> {
    context: &'m Context,
    split: Split,
    all: Vec<Array>,
    /// Of a workgroup of the fill and fold shaders: one vector unit where processors run them.
    threads: u64,
    fill: ComputePipeline,
    fold: ComputePipeline,
    sums: Buffer,
    staging: Buffer,
}

impl<'m> Arrays<'m> {
    /// # Errors
    /// [`Fault::OutOfMemory`] above all.
    pub fn new(context: &'m Context, limits: &Limits, plan: &Plan) -> Result<Self, Fault> {
        let split = Split::of(plan, limits).map_err(|why| Fault::failed(plan.key.id(), why))?;
        let usage = BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST;
        let bytes = LOOK as u64 * 4;
        let mut all = Vec::new();
        for (index, planned) in plan.buffers.iter().enumerate() {
            // Whole vectors, so that shaders may load by 16 bytes to the very end.
            let pieces =
                split.pieces(planned.elements).map(|piece| context.buffer("array", piece.elements.div_ceil(4) * 16, usage));
            all.push(Array { planned: *planned, seed: plan.buffer_seed(index), pieces: pieces.collect::<Result<_, _>>()? });
        }
        let threads = if limits.cores.is_some() { 8 } else { 256 };
        let constants = [("THREADS", threads as f64)];
        Ok(Self {
            context,
            threads,
            split,
            all,
            fill: context.pipeline("fill", 0, &constants)?,
            fold: context.pipeline("fold", 1, &constants)?,
            sums: context.buffer("sums", bytes, usage)?,
            staging: context.buffer("staging", bytes, BufferUsages::MAP_READ | BufferUsages::COPY_DST)?,
        })
    }

    pub fn piece(&self, buffer: usize, piece: usize) -> &Buffer {
        &self.all[buffer].pieces[piece]
    }

    fn array(&self, buffer: usize) -> Result<&Array, Fault> {
        self.all.get(buffer).ok_or_else(|| Fault::failed("wgpu", format!("no buffer {buffer} in the plan")))
    }

    /// Fills inputs by the generator and poisons outputs.
    ///
    /// # Errors
    /// What the device reported.
    pub fn fill(&self, pass: Pass) -> Result<(), Fault> {
        let mut work = Vec::new();
        for array in self.all.iter().filter(|array| array.planned.role != Role::Side) {
            let (kind, constant) = fill_kind(&array.planned, pass);
            for piece in self.split.pieces(array.planned.elements) {
                let scalars = [
                    piece.elements as u32,
                    self.chunk(piece),
                    piece.begin as u32,
                    (piece.begin >> 32) as u32,
                    array.seed,
                    kind,
                    constant,
                ];
                work.push((self.context.bind(&[&array.pieces[piece.index]]), scalars.to_vec(), self.groups(piece)));
            }
        }
        self.run(&self.fill, &work, false)?;
        self.context.settle()
    }

    /// Elements that a workgroup covers of a piece.
    fn chunk(&self, piece: Piece) -> u32 {
        (self.threads * EACH).max(piece.elements.div_ceil(GROUPS)) as u32
    }

    fn groups(&self, piece: Piece) -> u32 {
        piece.elements.div_ceil(u64::from(self.chunk(piece))) as u32
    }

    /// Dispatches a helper's work in one pass; `fold` clears the sums before and brings them home after.
    fn run(&self, pipeline: &ComputePipeline, work: &[(BindGroup, Vec<u32>, u32)], fold: bool) -> Result<(), Fault> {
        let mut encoder = self.context.device.create_command_encoder(&CommandEncoderDescriptor::default());
        if fold {
            encoder.clear_buffer(&self.sums, 0, None);
        }
        {
            let mut compute = encoder.begin_compute_pass(&ComputePassDescriptor::default());
            compute.set_pipeline(pipeline);
            for (bind_group, scalars, groups) in work {
                compute.set_bind_group(0, bind_group, &[]);
                compute.set_immediates(0, bytemuck::cast_slice(scalars));
                compute.dispatch_workgroups(*groups, 1, 1);
            }
        }
        if fold {
            encoder.copy_buffer_to_buffer(&self.sums, 0, &self.staging, 0, self.sums.size());
        }
        self.context.queue.submit([encoder.finish()]);
        self.context.check()
    }

    /// # Errors
    /// What the device reported, or that there is no such buffer.
    pub fn fold(&self, buffer: usize, fold: Fold, seeds: &[u32]) -> Result<Vec<u32>, Fault> {
        let array = self.array(buffer)?;
        let mut folded = Vec::with_capacity(seeds.len());
        for seeds in seeds.chunks(LOOK) {
            let mut work = Vec::new();
            for piece in self.split.pieces(array.planned.elements) {
                let bind_group = self.context.bind(&[&array.pieces[piece.index], &self.sums]);
                let groups = self.groups(piece);
                for (slot, seed) in (0..).zip(seeds) {
                    work.push((
                        bind_group.clone(),
                        fold_scalars(&array.planned, piece, self.chunk(piece), fold, *seed, slot),
                        groups,
                    ));
                }
            }
            self.run(&self.fold, &work, true)?;
            folded.extend(self.context.words(&self.staging, seeds.len())?);
        }
        Ok(folded)
    }

    /// Bits of elements.
    ///
    /// # Errors
    /// What the device reported, or that there is no such element.
    pub fn words(&self, buffer: usize, elements: &[u64]) -> Result<Vec<u32>, Fault> {
        let array = self.array(buffer)?;
        if let Some(beyond) = elements.iter().find(|element| **element >= array.planned.elements) {
            return Err(Fault::failed("wgpu", format!("element {beyond} of a buffer of {}", array.planned.elements)));
        }
        let mut words = Vec::with_capacity(elements.len());
        for elements in elements.chunks(LOOK) {
            let mut encoder = self.context.device.create_command_encoder(&CommandEncoderDescriptor::default());
            for (slot, &element) in (0..).zip(elements) {
                let (piece, place) = self.split.locate(element);
                encoder.copy_buffer_to_buffer(&array.pieces[piece], place * 4, &self.staging, slot * 4, 4);
            }
            self.context.queue.submit([encoder.finish()]);
            words.extend(self.context.words(&self.staging, elements.len())?);
        }
        Ok(words)
    }

    /// Values of elements.
    ///
    /// # Errors
    /// As [`Self::words`].
    pub fn sample(&self, buffer: usize, elements: &[u64]) -> Result<Vec<f64>, Fault> {
        let dtype = self.array(buffer)?.planned.dtype;
        let value = |word: u32| if dtype == Dtype::Fp32 { f64::from(f32::from_bits(word)) } else { f64::from(word) };
        Ok(self.words(buffer, elements)?.into_iter().map(value).collect())
    }

    /// # Errors
    /// As [`Self::words`].
    pub fn flip(&self, buffer: usize, bit: u64) -> Result<(), Fault> {
        let element = bit / 32;
        let word = self.words(buffer, &[element])?[0] ^ (1 << (bit % 32));
        let (piece, place) = self.split.locate(element);
        self.context.queue.write_buffer(self.piece(buffer, piece), place * 4, &word.to_le_bytes());
        self.context.queue.submit([]);
        self.context.settle()
    }
}

/// Kind and constant of the fill shader.
fn fill_kind(planned: &Planned, pass: Pass) -> (u32, u32) {
    const EXACT: u32 = 0;
    const RANDOM: u32 = 1;
    const WORD: u32 = 2;
    const CONSTANT: u32 = 3;
    match (planned.role, pass, planned.dtype) {
        // Shaders know no addresses: plans with links are refused by their stem.
        (Role::Out | Role::Side | Role::Counters(_) | Role::Links, ..) => (CONSTANT, POISON),
        (Role::In, Pass::Zeros, _) => (CONSTANT, 0),
        (Role::In, _, Dtype::Uint32) => (WORD, 0),
        (Role::In, Pass::Exact, _) => (EXACT, 0),
        (Role::In, Pass::Random, _) => (RANDOM, 0),
    }
}

/// Scalars of the fold shader for one piece and one seed.
fn fold_scalars(planned: &Planned, piece: Piece, chunk: u32, fold: Fold, seed: u32, slot: u32) -> Vec<u32> {
    const BITS: u32 = 0;
    const SINGLES: u32 = 1;
    const WORDS: u32 = 2;
    let kind = match (fold, planned.dtype) {
        (Fold::Bits, _) => BITS,
        (Fold::Values, Dtype::Uint32) => WORDS,
        (Fold::Values, _) => SINGLES,
    };
    let (row, column) = (piece.begin / planned.columns, piece.begin % planned.columns);
    let halves = |index: u64| [index as u32, (index >> 32) as u32];
    let ([base, base_high], [row, row_high]) = (halves(piece.begin), halves(row));
    vec![piece.elements as u32, chunk, base, base_high, kind, planned.columns as u32, row, row_high, column as u32, seed, slot]
}
