//! Matrix products: a rectangle of the output for each core, computed by `faer` on that core alone.
//!
//! The rectangles are cut once and alike, so that a launch needs no queue of tasks and no thread is woken within it; each core
//! packs what it reads into its own caches. On two cores that is faster than the library's own threads, whose tasks are finer
//! than a product needs.

use super::team::shares;
use faer::{Accum, MatMut, MatRef, Par, linalg::matmul::matmul, prelude::ReborrowMut, traits::ComplexField};

/// Library and version, and whose kernels it calls, for the record.
pub const LIBRARY: &str = "faer 0.24.4 by gemm 0.19.0";

/// Edges of rectangles lie on multiples of this, or a core would compute a sliver of a register tile.
const GRAIN: usize = 16;
/// Rows that the slow twin computes at a time: so few that packing the right matrix is not paid back.
const STRIP: usize = 8;

/// A core's rectangle and what it is made of.
pub struct Part<'a, T> {
    c: MatMut<'a, T>,
    a: MatRef<'a, T>,
    b: MatRef<'a, T>,
}

/// Cuts `c[m,n] = a[m,k] · b[k,n]`, all row-major and exactly of that size, into at most `members` parts.
pub fn parts<'a, T>(members: usize, (m, n, k): (usize, usize, usize), a: &'a [T], b: &'a [T], c: &'a mut [T]) -> Vec<Part<'a, T>> {
    let a = MatRef::from_row_major_slice(a, m, k);
    let b = MatRef::from_row_major_slice(b, k, n);
    let (down, across) = grid(members, m, n);
    let mut parts = Vec::with_capacity(members);
    let mut below = MatMut::from_row_major_slice_mut(c, m, n);
    for rows in shares(m, down, GRAIN) {
        let (mut band, rest) = below.split_at_row_mut(rows.len());
        below = rest;
        for columns in shares(n, across, GRAIN) {
            let (c, rest) = band.split_at_col_mut(columns.len());
            band = rest;
            parts.push(Part { c, a: a.subrows(rows.start, rows.len()), b: b.subcols(columns.start, columns.len()) });
        }
    }
    parts
}

/// Rows and columns of rectangles: the division of `members` whose rectangles have the shortest edges, as that is what is read.
fn grid(members: usize, m: usize, n: usize) -> (usize, usize) {
    let useful = |&down: &usize| members.is_multiple_of(down);
    let edges = |down: usize| {
        let across = members / down;
        m.div_ceil(GRAIN).div_ceil(down) + n.div_ceil(GRAIN).div_ceil(across)
    };
    let down = (1..=members).filter(useful).min_by_key(|&down| edges(down)).unwrap_or(1);
    (down, members / down.max(1))
}

impl<T: ComplexField> Part<'_, T> {
    /// Computes the rectangle; `one` is that of the format.
    pub fn compute(&mut self, one: T, slow: bool) {
        if !slow {
            matmul(self.c.rb_mut(), Accum::Replace, self.a, self.b, one, Par::Seq);
            return;
        }
        for row in (0..self.c.nrows()).step_by(STRIP) {
            let rows = STRIP.min(self.c.nrows() - row);
            let (strip, a) = (self.c.rb_mut().subrows_mut(row, rows), self.a.subrows(row, rows));
            matmul(strip, Accum::Replace, a, self.b, one.clone(), Par::Seq);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rectangles_are_as_square_as_they_can_be() {
        assert_eq!(grid(64, 4096, 4096), (8, 8));
        assert_eq!(grid(2, 2048, 1024), (2, 1));
        assert_eq!(grid(8, 16, 4096), (1, 8));
        assert_eq!(grid(7, 4096, 4096).0 * grid(7, 4096, 4096).1, 7);
        assert_eq!(grid(1, 1, 1), (1, 1));
    }

    #[test]
    fn products_of_every_shape_are_exact_in_every_cut() {
        for (m, n, k) in [(1, 1, 1), (5, 7, 11), (16, 64, 32), (33, 130, 65), (100, 17, 1)] {
            let a: Vec<f64> = (0..m * k).map(|i| (i % 7) as f64 - 3.0).collect();
            let b: Vec<f64> = (0..k * n).map(|i| (i % 5) as f64 - 2.0).collect();
            let element = |e: usize| (0..k).map(|i| a[e / n * k + i] * b[i * n + e % n]).sum::<f64>();
            for (members, slow) in [(1, false), (2, false), (6, false), (1, true), (3, true)] {
                let mut c = vec![f64::NAN; m * n];
                for mut part in parts(members, (m, n, k), &a, &b, &mut c) {
                    part.compute(1.0, slow);
                }
                let wrong = (0..m * n).find(|&e| c[e] != element(e));
                assert_eq!(wrong, None, "{m}x{n}x{k} by {members}, slow: {slow}");
            }
        }
    }

    #[test]
    fn the_named_version_is_the_one_that_is_built() {
        let lock = include_str!("../../../Cargo.lock");
        for library in LIBRARY.split(" by ") {
            let (name, version) = library.split_once(' ').expect("a name and a version");
            assert!(lock.contains(&format!("name = \"{name}\"\nversion = \"{version}\"")), "{library} is not in Cargo.lock");
        }
    }
}
