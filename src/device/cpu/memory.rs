//! Arrays: anonymous memory in huge pages, touched first by the thread that will use it, so that it lies on that thread's node.

use super::{pool::Pool, topology};
use crate::{
    contract::Fault,
    dtype::Dtype,
    plan::{Buffer, COLUMN, Fold, Pass, ROW, first, random_f32, random_f64, small, weight},
};
use bytemuck::{AnyBitPattern, NoUninit, cast_slice, cast_slice_mut};
use memmap2::{Advice, MmapMut};
use pulp::Arch;
use rayon::prelude::*;
use std::{cell::RefCell, ops::Range};

/// Parts begin at multiples of this many bytes, so that vectors and lines are whole.
const GRAIN: usize = 4096;
/// Memory that is left to others.
const RESERVE: u64 = 64 << 20;

/// A buffer of a plan in memory.
pub struct Array {
    memory: MmapMut,
    pub buffer: Buffer,
}

/// Memory of earlier plans, kept because a first touch costs far more than a launch. It is given again for the same size only, so
/// that every page stays with the thread that touched it first.
#[derive(Default)]
pub struct Spare(RefCell<Vec<MmapMut>>);

impl Spare {
    /// Bytes that are kept; they are free for plans.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.borrow().iter().map(|memory| memory.len() as u64).sum()
    }

    /// Takes back the memory of arrays that are no longer needed.
    pub fn keep(&self, arrays: Vec<Array>) {
        self.0.borrow_mut().extend(arrays.into_iter().map(|array| array.memory));
    }

    /// Arrays for a plan.
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`], before the system has to take memory back by force.
    pub fn arrays(&self, buffers: &[Buffer]) -> Result<Vec<Array>, Fault> {
        let taken: Vec<_> = buffers.iter().map(|buffer| self.take(buffer.bytes())).collect();
        let missing: u64 = buffers.iter().zip(&taken).filter(|(_, taken)| taken.is_none()).map(|(buffer, _)| buffer.bytes()).sum();
        if topology::available().is_some_and(|free| missing > free / 2) {
            self.0.borrow_mut().clear();
        }
        buffers.iter().zip(taken).map(|(buffer, memory)| Array::new(*buffer, memory)).collect()
    }

    fn take(&self, bytes: u64) -> Option<MmapMut> {
        let mut spare = self.0.borrow_mut();
        let index = spare.iter().position(|memory| memory.len() as u64 == bytes)?;
        Some(spare.swap_remove(index))
    }
}

impl Array {
    fn new(buffer: Buffer, memory: Option<MmapMut>) -> Result<Self, Fault> {
        if let Some(memory) = memory {
            return Ok(Self { memory, buffer });
        }
        let needed = buffer.bytes();
        let free = topology::available();
        let refused = Fault::OutOfMemory { needed, free };
        if free.is_some_and(|free| needed > free.saturating_sub(RESERVE)) {
            return Err(refused);
        }
        let bytes = usize::try_from(needed).map_err(|_| refused.clone())?;
        let memory = MmapMut::map_anon(bytes.max(1)).map_err(|_| refused)?;
        // A kernel without huge pages gives small ones; the measurement then shows it.
        #[cfg(target_os = "linux")]
        let _ = memory.advise(Advice::HugePage);
        Ok(Self { memory, buffer })
    }

    #[must_use]
    pub fn view<T: AnyBitPattern>(&self) -> &[T] {
        cast_slice(&self.memory[..self.buffer.bytes() as usize])
    }

    pub fn view_mut<T: AnyBitPattern + NoUninit>(&mut self) -> &mut [T] {
        let bytes = self.buffer.bytes() as usize;
        cast_slice_mut(&mut self.memory[..bytes])
    }

    /// One part a thread, in order, each beginning at a whole page.
    pub fn parts(&mut self, count: usize) -> Vec<(usize, &mut [u8])> {
        let bytes = self.buffer.bytes() as usize;
        let mut rest = &mut self.memory[..bytes];
        let mut begin = 0;
        ranges(bytes, GRAIN, count)
            .into_iter()
            .map(|range| {
                let (part, after) = std::mem::take(&mut rest).split_at_mut(range.len());
                rest = after;
                let at = begin;
                begin += range.len();
                (at, part)
            })
            .collect()
    }

    /// Inputs by the generator.
    pub fn fill(&mut self, pool: &Pool, pass: Pass, seed: u32) {
        let dtype = self.buffer.dtype;
        pool.each(self.parts(pool.size()), |(begin, part)| {
            let from = *begin as u64 / dtype.bytes();
            generate(dtype, pass, seed, from, part);
        });
    }

    /// Every byte 0xA5, by the threads that will write the array.
    pub fn poison(&mut self, pool: &Pool) {
        pool.each(self.parts(pool.size()), |(_, part)| part.fill(0xA5));
    }

    #[must_use]
    pub fn sample(&self, element: u64) -> f64 {
        let element = element as usize;
        match self.buffer.dtype {
            Dtype::Fp64 => self.view::<f64>()[element],
            Dtype::Uint32 => f64::from(self.view::<u32>()[element]),
            _ => f64::from(self.view::<f32>()[element]),
        }
    }

    pub fn flip(&mut self, bit: u64) {
        self.memory[(bit / 8) as usize] ^= 1 << (bit % 8);
    }

    /// See [`Fold`].
    #[must_use]
    pub fn fold(&self, pool: &Pool, fold: Fold, seed: u32) -> u32 {
        match (fold, self.buffer.dtype) {
            (Fold::Bits, _) => sum(pool, self.view::<u32>(), 1, move |word: u32, index, _| word.wrapping_mul(weight(seed, index))),
            (Fold::Values, Dtype::Fp64) => self.values(pool, self.view::<f64>(), seed, |value| value as i64 as u32),
            (Fold::Values, Dtype::Uint32) => self.values(pool, self.view::<u32>(), seed, |value| value),
            (Fold::Values, _) => self.values(pool, self.view::<f32>(), seed, |value| value as i64 as u32),
        }
    }

    fn values<T: Copy + Sync>(&self, pool: &Pool, view: &[T], seed: u32, integer: impl Fn(T) -> u32 + Sync) -> u32 {
        sum(pool, view, self.buffer.columns, |value, row, column| {
            integer(value).wrapping_mul(weight(seed ^ ROW, row)).wrapping_mul(weight(seed ^ COLUMN, column))
        })
    }
}

/// Sum of a term of each element and its row and column, by all threads.
fn sum<T: Copy + Sync>(pool: &Pool, view: &[T], columns: u64, term: impl Fn(T, u64, u64) -> u32 + Sync) -> u32 {
    // A vector is taken in pieces as rows of one column, a matrix row by row.
    let chunk = if columns == 1 { GRAIN } else { columns as usize };
    let each = |(index, part): (usize, &[T])| {
        let from = (index * chunk) as u64;
        // Inlined for the vectors of the dispatch to reach the innermost loop.
        Arch::new().dispatch(
            #[inline(always)]
            || {
                if columns == 1 {
                    (0..part.len()).fold(0_u32, |sum, i| sum.wrapping_add(term(part[i], from + i as u64, 0)))
                } else {
                    (0..part.len()).fold(0_u32, |sum, i| sum.wrapping_add(term(part[i], index as u64, i as u64)))
                }
            },
        )
    };
    pool.threads.install(|| view.par_chunks(chunk).enumerate().map(each).reduce(|| 0, u32::wrapping_add))
}

/// `bytes` in `count` consecutive ranges of whole grains; the last takes what is left.
pub fn ranges(length: usize, grain: usize, count: usize) -> Vec<Range<usize>> {
    let grains = length.div_ceil(grain);
    let at = |index: usize| (grains * index / count * grain).min(length);
    (0..count).map(|index| at(index)..at(index + 1)).collect()
}

/// Fills `part`, which begins at element `from`.
fn generate(dtype: Dtype, pass: Pass, seed: u32, from: u64, part: &mut [u8]) {
    let arch = Arch::new();
    match (pass, dtype) {
        (Pass::Zeros, _) => part.fill(0),
        (_, Dtype::Uint32) => each(arch, cast_slice_mut(part), from, |e| first(seed, e)),
        (Pass::Exact, Dtype::Fp64) => each(arch, cast_slice_mut(part), from, |e| f64::from(small(seed, e))),
        (Pass::Exact, _) => each(arch, cast_slice_mut(part), from, |e| small(seed, e) as f32),
        (Pass::Random, Dtype::Fp64) => each(arch, cast_slice_mut(part), from, |e| random_f64(seed, e)),
        (Pass::Random, _) => each(arch, cast_slice_mut(part), from, |e| random_f32(seed, e)),
    }
}

fn each<T: Send>(arch: Arch, part: &mut [T], from: u64, value: impl Fn(u64) -> T) {
    arch.dispatch(
        #[inline(always)]
        || (0..part.len()).for_each(|i| part[i] = value(from + i as u64)),
    );
}
