//! Folds of outputs as the host expects them, from the inputs' generator alone: no kernel has a part in them.

use crate::plan::{Buffer, COLUMN, Pass, Plan, ROW, drawn, first, kept, small, weight};
use pulp::Arch;
use rayon::prelude::*;

/// Elements that a thread folds at a time.
const CHUNK: u64 = 1 << 16;

/// Wrapping sum of `term` over `0..count`, on all cores.
pub fn sum(count: u64, term: impl Fn(u64) -> u32 + Sync) -> u32 {
    let chunk = |index: u64| stretch(index * CHUNK, ((index + 1) * CHUNK).min(count), &term);
    (0..count.div_ceil(CHUNK)).into_par_iter().map(chunk).reduce(|| 0, u32::wrapping_add)
}

/// Wrapping sum of `term` over `from..to`, by the widest vectors that this machine has: the sum is the same on all.
pub fn stretch(from: u64, to: u64, term: impl Fn(u64) -> u32) -> u32 {
    let mut sum = 0_u32;
    pieces(from, to, |base, first, end| {
        sum = sum.wrapping_add((first..end).fold(0, |sum, low| sum.wrapping_add(term(base | u64::from(low)))));
    });
    sum
}

/// Cuts `from..to` where the low 16 bits of the index begin anew, and calls `work(base, first, end)` with indices `base | low`
/// for `first <= low < end`. Within a piece the upper half of the index is visibly constant, so that what the generator makes of
/// it is computed once and the rest runs in vectors of 32-bit lanes.
fn pieces(from: u64, to: u64, mut work: impl FnMut(u64, u32, u32)) {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            let mut begin = from;
            while begin < to {
                let base = begin & !(CHUNK - 1);
                let end = to.min(base + CHUNK);
                work(base, (begin - base) as u32, (end - base) as u32);
                begin = end;
            }
        },
    );
}

/// [`crate::plan::Fold::Values`] of a vector whose element `e` is `value(e)`.
pub fn vector(count: u64, seed: u32, value: impl Fn(u64) -> u32 + Sync) -> u32 {
    sum(count, |e| value(e).wrapping_mul(weight(seed ^ ROW, e))).wrapping_mul(weight(seed ^ COLUMN, 0))
}

/// Input `buffer` of the exact pass as a wrapping integer, where none is left out.
pub fn integer(plan: &Plan, buffer: usize) -> impl Fn(u64) -> u32 + Sync + Copy {
    let seed = plan.buffer_seed(buffer);
    move |element| small(seed, element) as u32
}

/// Wrapping sum of the random words of `from..to`.
pub fn words(seed: u32, from: u64, to: u64) -> u32 {
    stretch(from, to, |element| first(seed, element))
}

/// [`crate::plan::Fold::Values`] of `A[m,k] B[k,n]`: `Σ_k (Σ_r u_r A[r,k]) (Σ_c B[k,c] v_c)`, in `O(mk + kn)`.
pub fn product(plan: &Plan, (m, n, k): (u64, u64, u64), seed: u32) -> u32 {
    let left = weighted(plan, 0, (m, k), |row| weight(seed ^ ROW, row));
    let b = integer(plan, 1);
    let weights: Vec<u32> = (0..n).map(|c| weight(seed ^ COLUMN, c)).collect();
    let right = |i: u64| {
        let mut sum = 0_u32;
        pieces(i * n, (i + 1) * n, |base, first, end| {
            let column = (base + u64::from(first) - i * n) as usize;
            let terms = (first..end).zip(&weights[column..]).map(|(low, v)| v.wrapping_mul(b(base | u64::from(low))));
            sum = terms.fold(sum, u32::wrapping_add);
        });
        sum
    };
    (0..k).into_par_iter().map(|i| left[i as usize].wrapping_mul(right(i))).reduce(|| 0, u32::wrapping_add)
}

/// The same of `A[m,k] B[n,k]ᵀ`, whose inputs may be sparse.
pub fn product_nt(plan: &Plan, (m, n, k): (u64, u64, u64), seed: u32) -> u32 {
    let left = weighted(plan, 0, (m, k), |row| weight(seed ^ ROW, row));
    let right = weighted(plan, 1, (n, k), |row| weight(seed ^ COLUMN, row));
    left.iter().zip(right).fold(0, |sum: u32, (left, right)| sum.wrapping_add(left.wrapping_mul(right)))
}

/// Sums over the rows of an input of the exact pass, each times its weight: one word a column.
fn weighted(plan: &Plan, buffer: usize, (rows, columns): (u64, u64), weight: impl Fn(u64) -> u32 + Sync) -> Vec<u32> {
    let Buffer { gap, halved, .. } = plan.buffers[buffer];
    let (seed, dense) = (plan.buffer_seed(buffer), integer(plan, buffer));
    let stays = |element: u64| !halved || kept(seed, element);
    let add = |mut left: Vec<u32>, right: Vec<u32>| {
        left.iter_mut().zip(right).for_each(|(l, r)| *l = l.wrapping_add(r));
        left
    };
    let zero = || vec![0_u32; columns as usize];
    let row = |mut sums: Vec<u32>, row: u64| {
        let (of, begin, end) = (weight(row), row * columns, (row + 1) * columns);
        if gap > 1 {
            for element in (begin / gap..end.div_ceil(gap)).map(|group| drawn(seed, gap, group)).filter(|element| stays(*element)) {
                if let Some(sum) = element.checked_sub(begin).and_then(|column| sums.get_mut(column as usize)) {
                    *sum = sum.wrapping_add(of.wrapping_mul(dense(element)));
                }
            }
            return sums;
        }
        if halved {
            for element in (begin..end).filter(|element| stays(*element)) {
                let sum = &mut sums[(element - begin) as usize];
                *sum = sum.wrapping_add(of.wrapping_mul(dense(element)));
            }
            return sums;
        }
        pieces(begin, end, |base, first, end| {
            let column = (base + u64::from(first) - begin) as usize;
            let part = &mut sums[column..column + (end - first) as usize];
            (first..end).zip(part).for_each(|(low, sum)| *sum = sum.wrapping_add(of.wrapping_mul(dense(base | u64::from(low)))));
        });
        sums
    };
    (0..rows).into_par_iter().fold(zero, row).reduce(zero, add)
}

/// Probabilistic bound on the error of a sum of `terms` products of our random inputs, accumulated with unit roundoff `u`:
/// `λ √terms · u · Σ|a||b|` with λ = 8 (Higham and Mary, "A New Approach to Probabilistic Rounding Error Analysis", 2019).
pub fn sum_tolerance(terms: u64, roundoff: f64) -> f64 {
    /// Mean of `|a||b|`: the square of the mean magnitude of the random pass, `1.4216 √(2/π)`.
    const MEAN_PRODUCT: f64 = 1.2866;
    8.0 * (terms as f64).sqrt() * roundoff * terms as f64 * MEAN_PRODUCT
}

/// Bound on the error of such a sum on tensor cores that keep no more than 13 bits of it and cut off the rest, for each 32 products
/// anew: fp8 on Hopper (DeepSeek-V3 Technical Report, 2024, 3.3.2). The sum is taken to stay within four standard deviations.
pub fn short_tolerance(terms: u64) -> f64 {
    /// Standard deviation of a product: the square of 1.4216.
    const DEVIATION: f64 = 2.021;
    terms.div_ceil(32) as f64 * 0.5_f64.powi(13) * 4.0 * DEVIATION * (terms as f64).sqrt()
}

/// Sum over `from..to` of the products of inputs 0 and 1.
pub fn dot(plan: &Plan, pass: Pass, from: u64, to: u64) -> f64 {
    (from..to).map(|e| plan.input(0, pass, e) * plan.input(1, pass, e)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_every_element_once() {
        for count in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK + 3] {
            assert_eq!(sum(count, |e| e as u32), (0..count).fold(0_u32, |sum, e| sum.wrapping_add(e as u32)));
        }
    }

    #[test]
    fn pieces_of_a_stretch_join_over_every_boundary() {
        for (from, to) in [(0, 0), (3, 4), (CHUNK - 2, CHUNK + 2), ((1 << 32) - 5, (1 << 32) + 70_000)] {
            let expected = (from..to).fold(0_u32, |sum, e| sum.wrapping_add(first(3, e)));
            assert_eq!(words(3, from, to), expected, "{from}..{to}");
        }
    }

    #[test]
    fn the_tolerance_grows_with_the_sum_and_the_roundoff() {
        assert!(sum_tolerance(4_096, 6e-8) > 8.0 * sum_tolerance(1_024, 6e-8) * 0.99);
        assert_eq!(sum_tolerance(0, 1.0), 0.0);
    }
}
