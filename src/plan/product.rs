//! A plan that multiplies two matrices, read from its one step; and what blocks of such a product may be off by.

use super::{Arg, Op, Plan, SPARSE, first};
use crate::dtype::Dtype;

/// One product of a plan's buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Product {
    /// Whether B lies along k, `[n,k]`.
    pub along_k: bool,
    /// Buffers of A, B and C.
    pub buffers: [usize; 3],
    pub m: u64,
    pub n: u64,
    pub k: u64,
    /// Two of each four elements of A along k are zero.
    pub halved: bool,
}

/// Columns of a block that are summed with signs, and rows of one figure (kernels/residual.cu).
pub const BLOCK: (u64, u64) = (128, 64);

/// Tells signs from the weights of folds.
const SIGN: u32 = 0x53;

/// The entry of a column in the vector of signs that a seed draws: 1 or -1.
#[must_use]
pub const fn sign(seed: u32, column: u64) -> f64 {
    if first(seed ^ SIGN, column) & 1 == 1 { -1.0 } else { 1.0 }
}

impl Product {
    /// Blocks down and across.
    #[must_use]
    pub fn blocks(&self) -> (u64, u64) {
        (self.m.div_ceil(BLOCK.0), self.n.div_ceil(BLOCK.1))
    }

    /// Products that an element of the result is the sum of, but for those by zero.
    #[must_use]
    pub fn terms(&self) -> u64 {
        if self.halved { self.k / 2 } else { self.k }
    }
}

impl Plan {
    /// The product that this plan is; nothing where it is none.
    #[must_use]
    pub fn product(&self) -> Option<Product> {
        let [step] = &self.program[..] else { return None };
        if step.op == Op::Library(SPARSE) {
            return self.halved_product();
        }
        let Op::Kernel { stem, args } = &step.op else { return None };
        let along_k = match *stem {
            "matmul" => false,
            "matmul_nt" => true,
            _ => return None,
        };
        let [Arg::Buffer(a), Arg::Buffer(b), Arg::Buffer(c), Arg::Count(m), Arg::Count(n), Arg::Count(k)] = args[..] else {
            return None;
        };
        Some(Product { along_k, buffers: [a, b, c], m, n, k, halved: false })
    }

    /// A library's product, whose sides are those of its buffers.
    fn halved_product(&self) -> Option<Product> {
        let [a, b, _] = self.buffers[..] else { return None };
        let k = a.columns.max(1);
        Some(Product { along_k: true, buffers: [0, 1, 2], m: a.elements / k, n: b.elements / k, k, halved: true })
    }

    /// What a sum of 64 neighbours of a row of the product, each with a random sign, may be off by in the random pass.
    ///
    /// Errors of neighbours are independent, so that theirs together is eight times that of one: of the sum over k as the plan allows
    /// it, and eight standard deviations of the rounding to the output's format, which is evenly spread: 0.38 of the unit roundoff
    /// times the root mean square of the elements, for the mean over a binade of `1 / (√3 · 1.52)`.
    #[must_use]
    pub fn block_tolerance(&self, product: &Product) -> f64 {
        /// Standard deviation of a product of two inputs: the square of theirs, 1.4216.
        const DEVIATION: f64 = 2.021;
        const ROUNDING: f64 = 0.38;
        const SIGMAS: f64 = 8.0;
        let root = (BLOCK.1 as f64).sqrt();
        let elements = DEVIATION * (product.terms() as f64).sqrt();
        // Doubles are checked in doubles, whose own rounding is as large.
        let checked = if self.precision.accumulate == Dtype::Fp64 { 2.0 } else { 1.0 };
        root * (checked * self.check.tolerance + SIGMAS * ROUNDING * self.check.relative * elements)
    }
}
