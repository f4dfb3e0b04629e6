//! What copies are checked by: each output is the input before it, whatever it came over.

use super::oracle;
use crate::plan::{Check, Pass, Plan, first};

/// Of buffer 1, the copy of buffer 0; where there are two copies also of buffer 3, that of buffer 2.
pub fn checks(both: bool) -> (Check, Vec<Check>) {
    let one = copied(1, |plan, pass, element| plan.input(0, pass, element), |plan, seed| fold(plan, 0, seed));
    let other = both.then(|| copied(3, |plan, pass, element| plan.input(2, pass, element), |plan, seed| fold(plan, 2, seed)));
    (one, other.into_iter().collect())
}

fn copied(output: usize, element: fn(&Plan, Pass, u64) -> f64, fold: fn(&Plan, u32) -> u32) -> Check {
    Check { output, element, fold, bound: 0, tolerance: 0.0, relative: 0.0 }
}

/// The fold of input `buffer`, which is that of its copy.
fn fold(plan: &Plan, buffer: usize, seed: u32) -> u32 {
    let source = plan.buffer_seed(buffer);
    oracle::vector(plan.buffers[buffer].elements, seed, |element| first(source, element))
}
