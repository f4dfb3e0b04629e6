//! Verification: nothing is timed that was not right a moment before, and what was timed must stay right.
//!
//! 1. Exact pass: inputs so small that every sum is exact; the output is compared bitwise at sampled positions and as a whole by
//!    an integer fold that the host computes from the inputs alone (two-sided Freivalds for a product).
//! 2. Random pass: sampled elements against double precision on the host, within the plan's tolerance; a product as a whole, block by
//!    block, against `A·(B·x)` where the machine can form it.
//! 3. After rounds of timed launches the output is hashed; it must be the output that was verified. Kernels that hash their own
//!    tiles do so at every launch and name the unit that differs.

use super::wait::Waiter;
use crate::{
    contract::{Fault, Prepared, Tile, Tiles},
    plan::{BLOCK, Check, Fold, Pass, Plan, mix},
    record::Verified,
    units::Nanos,
};
use std::fmt::Write;

/// Elements compared one by one.
const SAMPLES: u64 = 256;
/// Independent folds over the whole output.
const FOLDS: usize = 2;

/// What verification learned of one variant.
#[derive(Debug)]
pub struct Checked {
    pub verified: Verified,
    /// Fold of the verified output; what every later hash must be.
    pub hash: Vec<u32>,
    /// Time of the launch of the random pass.
    pub launch: Nanos,
    /// Time that a hash of the output takes.
    pub hash_time: Nanos,
}

/// Makes both passes for every variant.
///
/// # Errors
/// [`Fault`] of the device; a wrong result is no fault but `passed: false`.
pub fn verify(plan: &Plan, prepared: &mut dyn Prepared, variants: usize, waiter: &Waiter) -> Result<Vec<Checked>, Fault> {
    let mut found = vec![Verified { tolerance: plan.check.tolerance, ..Verified::default() }; variants];
    for (variant, verified) in found.iter_mut().enumerate() {
        verified.method = method(plan);
        bound(plan, verified);
        prepared.fill(Pass::Exact)?;
        waiter.launch(prepared, variant, 1, None)?;
        for check in plan.checks() {
            compare((plan, check), prepared, Pass::Exact, verified)?;
            whole((plan, check), prepared, verified)?;
        }
    }
    let mut checked = Vec::with_capacity(variants);
    for (variant, mut verified) in found.into_iter().enumerate() {
        prepared.fill(Pass::Random)?;
        let spans = waiter.launch(prepared, variant, 1, None)?;
        for check in plan.checks() {
            compare((plan, check), prepared, Pass::Random, &mut verified)?;
        }
        blocks(plan, prepared, &mut verified)?;
        let begin = waiter.now();
        let hash = hash(plan, prepared)?;
        verified.passed = verified.mismatches == 0;
        checked.push(Checked {
            verified,
            hash,
            launch: spans.iter().map(|span| span.took).sum(),
            hash_time: waiter.now().since(begin),
        });
    }
    Ok(checked)
}

/// The fold of each output's bits, by the seeds of the plan.
///
/// # Errors
/// [`Fault`] of the device.
pub fn hash(plan: &Plan, prepared: &mut dyn Prepared) -> Result<Vec<u32>, Fault> {
    let mut folds = Vec::new();
    for check in plan.checks() {
        folds.extend(prepared.fold(check.output, Fold::Bits, &seeds(plan)[..1])?);
    }
    Ok(folds)
}

/// What a kernel found when it hashed its own tiles, in words.
pub fn wrong_tiles(Tiles { wrong, first }: &Tiles, launches: u64) -> String {
    let each: Vec<String> = first.iter().map(|Tile { slot, unit }| format!("part {slot} by multiprocessor {unit}")).collect();
    format!(
        "silent corruption: within {launches} launches {wrong} parts of tiles were stored otherwise than before: {}",
        each.join(", ")
    )
}

fn seeds(plan: &Plan) -> [u32; FOLDS] {
    std::array::from_fn(|index| mix(plan.seed ^ 0x5eed ^ mix(index as u32 + 1)))
}

fn method(plan: &Plan) -> String {
    let samples = SAMPLES.min(plan.buffers[plan.check.output].elements);
    format!(
        "exact: {samples} elements bitwise and {FOLDS} integer folds of the whole; random: {samples} elements in fp64; hash after rounds"
    )
}

/// A plan whose exact pass is not exact proves nothing.
fn bound(plan: &Plan, verified: &mut Verified) {
    let exact = plan.buffers[plan.check.output].dtype.exact_integers().min(plan.precision.accumulate.exact_integers());
    if plan.check.bound > exact {
        mismatch(verified, || {
            format!("the exact pass can reach {}, above the exact integers {exact} of the output", plan.check.bound)
        });
    }
}

fn mismatch(verified: &mut Verified, text: impl FnOnce() -> String) {
    verified.mismatches += 1;
    if verified.first.is_none() {
        verified.first = Some(text());
    }
}

/// Positions to compare: all of a small output, else first, last and a seeded choice.
fn positions(plan: &Plan, output: usize) -> Vec<u64> {
    let elements = plan.buffers[output].elements;
    if elements <= SAMPLES {
        return (0..elements).collect();
    }
    let chosen = (0..SAMPLES - 2).map(|i| {
        let word = u64::from(mix(plan.seed ^ mix(i as u32))) << 32 | u64::from(mix(plan.seed.wrapping_add(i as u32)));
        word % elements
    });
    [0, elements - 1].into_iter().chain(chosen).collect()
}

fn compare((plan, check): (&Plan, &Check), prepared: &mut dyn Prepared, pass: Pass, verified: &mut Verified) -> Result<(), Fault> {
    let positions = positions(plan, check.output);
    let found = prepared.sample(check.output, &positions)?;
    if found.len() != positions.len() {
        return Err(Fault::failed("sampling the output", format!("{} of {} elements came back", found.len(), positions.len())));
    }
    let tolerance = if pass == Pass::Exact { 0.0 } else { check.tolerance };
    for (&element, &got) in positions.iter().zip(&found) {
        let want = (check.element)(plan, pass, element);
        let rounding = if pass == Pass::Exact { 0.0 } else { check.relative * want.abs() };
        // What rounding of the output explains is no error. NaN stays NaN.
        let error = ((got - want).abs() - rounding).clamp(0.0, f64::INFINITY);
        verified.checked += 1;
        if pass == Pass::Random && error > verified.worst_error {
            verified.worst_error = error;
        }
        // Written so that NaN is a mismatch.
        if !matches!(error.partial_cmp(&tolerance), Some(std::cmp::Ordering::Less | std::cmp::Ordering::Equal)) {
            mismatch(verified, || format!("{pass:?} pass: element {element} is {got}, not {want} (tolerance {tolerance})"));
        }
    }
    Ok(())
}

/// Freivalds' check of every block of a product, within what rounding explains.
fn blocks(plan: &Plan, prepared: &mut dyn Prepared, verified: &mut Verified) -> Result<(), Fault> {
    let Some(product) = plan.product() else { return Ok(()) };
    let Some(found) = prepared.residual(seeds(plan)[0])? else { return Ok(()) };
    let ((down, across), (rows, columns)) = (product.blocks(), BLOCK);
    if found.len() as u64 != down * across {
        return Err(Fault::failed("checking blocks", format!("{} of {} came back", found.len(), down * across)));
    }
    let tolerance = plan.block_tolerance(&product);
    let _ = write!(verified.method, "; random: all {} blocks of {rows} x {columns} against A(Bx)", found.len());
    verified.checked += found.len() as u64;
    for (block, off) in (0..).zip(found) {
        // Written so that NaN is a mismatch.
        if !matches!(off.partial_cmp(&tolerance), Some(std::cmp::Ordering::Less | std::cmp::Ordering::Equal)) {
            let (row, column) = (block / across * rows, block % across * columns);
            mismatch(verified, || {
                format!("Random pass: the block at row {row}, column {column} is off by {off:e} (tolerance {tolerance:e})")
            });
        }
    }
    Ok(())
}

fn whole((plan, check): (&Plan, &Check), prepared: &mut dyn Prepared, verified: &mut Verified) -> Result<(), Fault> {
    let seeds = seeds(plan);
    let found = prepared.fold(check.output, Fold::Values, &seeds)?;
    let wanted = seeds.map(|seed| (check.fold)(plan, seed));
    verified.checked += FOLDS as u64;
    if found != wanted {
        mismatch(verified, || format!("Exact pass: the fold of the whole output is {found:08x?}, not {wanted:08x?}"));
    }
    Ok(())
}
