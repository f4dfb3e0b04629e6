//! What stands in buffers: generated inputs, poison, samples and folds, by all cores and their widest vectors.

use super::{
    memory::Memory,
    team::{Team, cut, shares},
};
use crate::{
    dtype::Dtype,
    plan::{Buffer, COLUMN, Fold, Pass, ROW, Role, key, keyed_f32, keyed_f64, keyed_small, mix, weight},
};
use bytemuck::Pod;
use pulp::Arch;

/// Elements of a block: all in one stretch of 2³², so that they share a key.
const BLOCK: usize = 1 << 16;

/// What an output holds before it is written: a byte that no kernel writes by accident.
const POISON: u8 = 0xA5;

/// Fills a buffer for a pass by the threads that will use it.
pub fn fill(team: &Team, memory: &mut Memory, buffer: &Buffer, pass: Pass, seed: u32) {
    if buffer.role != Role::In {
        blocks_mut(team, memory.view_mut::<u8>(), |_, block| block.fill(POISON));
        return;
    }
    match (buffer.dtype, pass) {
        (_, Pass::Zeros) => blocks_mut(team, memory.view_mut::<u8>(), |_, block| block.fill(0)),
        (Dtype::Fp64, Pass::Exact) => generate::<f64>(team, memory, seed, |key, low| f64::from(keyed_small(key, low))),
        (Dtype::Fp64, Pass::Random) => generate::<f64>(team, memory, seed, keyed_f64),
        (Dtype::Uint32, _) => generate::<u32>(team, memory, seed, |key, low| mix(low ^ key)),
        (_, Pass::Exact) => generate::<f32>(team, memory, seed, |key, low| keyed_small(key, low) as f32),
        (_, Pass::Random) => generate::<f32>(team, memory, seed, keyed_f32),
    }
}

fn generate<T: Pod + Send>(team: &Team, memory: &mut Memory, seed: u32, value: impl Fn(u32, u32) -> T + Sync) {
    blocks_mut(team, memory.view_mut::<T>(), |first, block| {
        let (key, low) = (key(seed, first), first as u32);
        Arch::new().dispatch(|| {
            for (index, element) in (0..).zip(block.iter_mut()) {
                *element = value(key, low.wrapping_add(index));
            }
        });
    });
}

/// Gives each block, with the index of its first element, to the thread in whose share it lies.
fn blocks_mut<T: Send>(team: &Team, view: &mut [T], work: impl Fn(u64, &mut [T]) + Sync) {
    let shares = shares(view.len(), team.size(), BLOCK);
    let parts = shares.iter().map(|share| share.start).zip(cut(view, &shares)).collect();
    team.each(parts, |(start, piece): (usize, &mut [T])| {
        for (index, block) in piece.chunks_mut(BLOCK).enumerate() {
            work((start + index * BLOCK) as u64, block);
        }
    });
}

/// Sum over blocks of `view`, each with the index of its first element.
fn sum_blocks<T: Sync>(team: &Team, view: &[T], weighted: impl Fn(u64, &[T]) -> u32 + Sync) -> u32 {
    let parts = shares(view.len(), team.size(), BLOCK);
    let totals = team.each(parts, |share| {
        let blocks = view[share.clone()].chunks(BLOCK).enumerate();
        blocks.fold(0_u32, |total, (index, block)| total.wrapping_add(weighted((share.start + index * BLOCK) as u64, block)))
    });
    totals.into_iter().fold(0, u32::wrapping_add)
}

/// A fold of a whole buffer.
pub fn fold(team: &Team, memory: &Memory, buffer: &Buffer, fold: Fold, seed: u32) -> u32 {
    match (fold, buffer.dtype) {
        (Fold::Bits, _) => sum_blocks(team, memory.view::<u32>(), |first, block| weighed(seed, first, block, |word| word)),
        (Fold::Values, Dtype::Fp64) => values(team, memory.view::<f64>(), buffer.columns, seed, |value| value as i64 as u32),
        (Fold::Values, Dtype::Uint32) => values(team, memory.view::<u32>(), buffer.columns, seed, |value| value),
        (Fold::Values, _) => values(team, memory.view::<f32>(), buffer.columns, seed, |value| value as i64 as u32),
    }
}

/// Sum of elements times the weights of their indices, which lie in one block.
fn weighed<T: Copy>(seed: u32, first: u64, block: &[T], word: impl Fn(T) -> u32) -> u32 {
    let (key, low) = (key(seed, first), first as u32);
    Arch::new().dispatch(|| {
        let weighted = |(index, element): (u32, &T)| word(*element).wrapping_mul(mix(low.wrapping_add(index) ^ key) | 1);
        (0..).zip(block).map(weighted).fold(0, u32::wrapping_add)
    })
}

fn values<T: Copy + Sync>(team: &Team, view: &[T], columns: u64, seed: u32, integer: impl Fn(T) -> u32 + Sync + Copy) -> u32 {
    let (rows, across) = (seed ^ ROW, seed ^ COLUMN);
    if columns <= 1 {
        let sum = sum_blocks(team, view, |first, block| weighed(rows, first, block, integer));
        return sum.wrapping_mul(weight(across, 0));
    }
    let weights: Vec<u32> = (0..columns).map(|column| weight(across, column)).collect();
    let parts = shares(view.len(), team.size(), weights.len());
    let sums = team.each(parts, |share| {
        let lines = (share.start / weights.len()..).zip(view[share].chunks(weights.len()));
        let line = |(row, line): (usize, &[T])| {
            let weighted = |(element, weight): (&T, &u32)| integer(*element).wrapping_mul(*weight);
            let sum = Arch::new().dispatch(|| line.iter().zip(&weights).map(weighted).fold(0, u32::wrapping_add));
            sum.wrapping_mul(weight(rows, row as u64))
        };
        lines.map(line).fold(0, u32::wrapping_add)
    });
    sums.into_iter().fold(0, u32::wrapping_add)
}

/// An element as a double; blank past the end.
#[must_use]
pub fn sample(memory: &Memory, dtype: Dtype, element: u64) -> Option<f64> {
    let index = usize::try_from(element).ok()?;
    match dtype {
        Dtype::Fp64 => memory.view::<f64>().get(index).copied(),
        Dtype::Uint32 => memory.view::<u32>().get(index).copied().map(f64::from),
        _ => memory.view::<f32>().get(index).copied().map(f64::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{value, weight};

    /// More than a block, and no whole number of vectors.
    const RAGGED: u64 = 3 * BLOCK as u64 + 77;

    fn filled(team: &Team, dtype: Dtype, role: Role, pass: Pass) -> (Memory, Buffer) {
        let buffer = Buffer::vector(dtype, RAGGED, role);
        let mut memory = Memory::new(buffer.bytes()).expect("a few hundred KiB");
        fill(team, &mut memory, &buffer, pass, 42);
        (memory, buffer)
    }

    #[test]
    fn inputs_are_the_generators() {
        let team = Team::new(vec![0, 0, 0]).expect("three threads");
        for dtype in [Dtype::Fp64, Dtype::Fp32, Dtype::Uint32] {
            for pass in [Pass::Exact, Pass::Random] {
                let (memory, _) = filled(&team, dtype, Role::In, pass);
                let wrong = (0..RAGGED).find(|&e| sample(&memory, dtype, e) != Some(value(dtype, pass, 42, 1, e)));
                assert_eq!(wrong, None, "{dtype} {pass:?}");
                assert_eq!(sample(&memory, dtype, RAGGED), None);
            }
        }
    }

    #[test]
    fn outputs_are_poisoned_to_the_last_byte() {
        let team = Team::new(vec![0, 0]).expect("two threads");
        let (memory, _) = filled(&team, Dtype::Fp32, Role::Out, Pass::Exact);
        assert!(memory.view::<u8>().iter().all(|byte| *byte == POISON));
    }

    #[test]
    fn folds_are_their_definition() {
        let team = Team::new(vec![0, 0, 0]).expect("three threads");
        let (memory, buffer) = filled(&team, Dtype::Fp64, Role::In, Pass::Exact);
        let words = memory.view::<u32>();
        let bits = (0..).zip(words).fold(0_u32, |sum, (j, word)| sum.wrapping_add(word.wrapping_mul(weight(9, j))));
        assert_eq!(fold(&team, &memory, &buffer, Fold::Bits, 9), bits);
        for columns in [1, 7, 1001] {
            let buffer = Buffer { columns, ..buffer };
            let weighted = |(e, value): (u64, &f64)| {
                let weights = weight(9 ^ ROW, e / columns).wrapping_mul(weight(9 ^ COLUMN, e % columns));
                (*value as i64 as u32).wrapping_mul(weights)
            };
            let by_element = (0..).zip(memory.view::<f64>()).map(weighted).fold(0, u32::wrapping_add);
            assert_eq!(fold(&team, &memory, &buffer, Fold::Values, 9), by_element, "{columns} columns");
        }
    }
}
