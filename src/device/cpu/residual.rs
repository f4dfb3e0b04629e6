//! How far a whole product is from `A·(B·x)`, block by block: Freivalds' check (1977), in doubles, by all cores.

use super::{
    memory::Memory,
    team::{Team, shares},
};
use crate::{
    dtype::Dtype,
    plan::{BLOCK, Product, sign},
};
use bytemuck::Pod;

/// The largest difference in each block of the product in `memory`, row by row of blocks; nothing for formats that are not multiplied here.
pub fn residual(team: &Team, product: &Product, dtype: Dtype, memory: [&Memory; 3], seed: u32) -> Option<Vec<f64>> {
    match dtype {
        _ if product.along_k => None,
        Dtype::Fp64 => Some(blocks(team, product, memory.map(Memory::view::<f64>), seed)),
        Dtype::Fp32 => Some(blocks(team, product, memory.map(Memory::view::<f32>), seed)),
        _ => None,
    }
}

fn blocks<T: Pod + Into<f64> + Sync>(team: &Team, product: &Product, matrices: [&[T]; 3], seed: u32) -> Vec<f64> {
    let (down, across) = product.blocks();
    let columns = team.each(shares(across as usize, team.size(), 1), |share| {
        share.map(|block| column(product, matrices, block as u64, seed)).collect::<Vec<_>>()
    });
    let columns: Vec<Vec<f64>> = columns.into_iter().flatten().collect();
    (0..down as usize).flat_map(|row| columns.iter().map(move |column| column[row])).collect()
}

/// A column of blocks.
fn column<T: Pod + Into<f64>>(product: &Product, [a, b, c]: [&[T]; 3], block: u64, seed: u32) -> Vec<f64> {
    let (n, k) = (product.n as usize, product.k as usize);
    let first = (block * BLOCK.1) as usize;
    let signs: Vec<f64> = (first..n.min(first + BLOCK.1 as usize)).map(|column| sign(seed, column as u64)).collect();
    let across = |line: &[T]| line.iter().zip(&signs).map(|(value, sign)| (*value).into() * sign).sum::<f64>();
    let of_b: Vec<f64> = b.chunks_exact(n).map(|line| across(&line[first..first + signs.len()])).collect();
    let apart = |(row, line): (&[T], &[T])| {
        let wanted: f64 = row.iter().zip(&of_b).map(|(value, sum)| (*value).into() * sum).sum();
        let off = (across(&line[first..first + signs.len()]) - wanted).abs();
        // What is no number is as far away as can be.
        if off.is_nan() { f64::INFINITY } else { off }
    };
    let rows: Vec<f64> = a.chunks_exact(k).zip(c.chunks_exact(n)).map(apart).collect();
    rows.chunks(BLOCK.0 as usize).map(|rows| rows.iter().copied().fold(0.0, f64::max)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_damaged_shows_in_its_own_block_alone() {
        let team = Team::new(vec![0, 0, 0]).expect("three threads");
        let (m, n, k) = (140_usize, 136_usize, 67_usize);
        let product = Product { along_k: false, buffers: [0, 1, 2], m: m as u64, n: n as u64, k: k as u64, halved: false };
        let held = |elements: usize, value: &dyn Fn(usize) -> f64| {
            let mut memory = Memory::new(8 * elements as u64).expect("a few KiB");
            memory.view_mut::<f64>().iter_mut().enumerate().for_each(|(at, element)| *element = value(at));
            memory
        };
        let (a, b) = (|at: usize| (at % 7) as f64 - 3.0, |at: usize| (at % 5) as f64 - 2.0);
        let right = |at: usize| (0..k).map(|i| a(at / n * k + i) * b(i * n + at % n)).sum::<f64>();
        let (left, other) = (held(m * k, &a), held(k * n, &b));
        let found = |damage: &dyn Fn(usize) -> f64| {
            let result = held(m * n, &|at| right(at) + damage(at));
            residual(&team, &product, Dtype::Fp64, [&left, &other, &result], 9).expect("doubles")
        };
        assert_eq!(found(&|_| 0.0), [0.0; 6]);
        // Two of a row that would cancel without their signs, one in the last block, and one that is no number.
        assert_eq!(found(&|at| if at == 5 * n + 70 { 4.0 } else { 0.0 }), [0.0, 4.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(found(&|at| if at == m * n - 1 { -2.5 } else { 0.0 })[5], 2.5);
        assert_eq!(found(&|at| if at == 130 * n { f64::NAN } else { 0.0 })[3], f64::INFINITY);
        let signs: Vec<f64> = (0..64).map(|column| sign(9, column)).collect();
        let pair = signs.iter().skip(1).position(|sign| *sign != signs[0]).expect("both occur") + 1;
        let both = |at: usize| if at == 0 || at == pair { 1.0 } else { 0.0 };
        assert_eq!(found(&both)[0], 0.0, "the same error under other signs");
        let along_k = Product { along_k: true, ..product };
        assert!(residual(&team, &along_k, Dtype::Fp64, [&left, &other, &left], 9).is_none());
    }
}
