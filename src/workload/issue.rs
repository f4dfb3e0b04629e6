//! Issue: what the units of a device do when nothing is fetched, the roof over matmul in the same format.
//!
//! A batch of small products, each added up many times over operands that stay in registers, or on sm_90 in shared memory. What matmul
//! lacks of this rate is lost to fetching; what this rate lacks of the data sheet is lost to clocks, power or the instruction. The
//! shape is that of one product a batch, `batches`x`m`x`n`x`k`, its k counted as often as it is added. Tensor cores that multiply into a
//! memory of their own (sm_100, sm_103) do so in larger pieces, which have a plan beside that of the warp's products.

use super::{Choice, oracle, supports};
use crate::{
    chips,
    dtype::{Dtype, Precision},
    plan::{Arg, Buffer, COLUMN, Check, Op, Pass, Plan, ROW, Role, SPREAD, Step, Submit, WorkloadKey, weight},
    record::{Device, Kind, RateUnit, Work},
    units::{Bytes, Flops},
};
use rayon::prelude::*;

/// Bytes along k of a product that tensor cores add.
const K_BYTES: u64 = 32;
/// Additions of a product before ordinary units take the sum over; see the kernels.
const STEPS: u64 = 16;
/// Blocks to a unit: whole turns for two, three or four at a time.
const BATCHES: u64 = 12;

/// Products of doubles, of which fewer fit the registers: 16 along k, 64 columns.
const DOUBLES: (u64, u64) = (16, 64);
/// Operations on doubles that a unit does in a clock at the least where its tensor cores multiply them.
const DOUBLE_RATE: u32 = 128;

/// What does the products.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    /// Ordinary units: each row has one factor, and columns of its own.
    Lanes,
    /// Tensor cores, by warps and warpgroups.
    Warps,
    /// Tensor cores, by one thread of a block.
    Block,
}

/// Rows and columns of a batch's output, how far k goes, the stem, and how often k is added up: some tenths of a millisecond of a batch,
/// so that beginning and ending are next to nothing. Tensor cores do sixteen times as much in a clock.
struct Shape {
    m: u64,
    n: u64,
    k: u64,
    stem: &'static str,
    rounds: u64,
}

fn shape(input: Dtype, by: By) -> Shape {
    match (by, input) {
        (By::Lanes, _) => Shape { m: 128, n: 8, k: 1, stem: "issue", rounds: 1024 },
        (By::Warps, Dtype::Fp64) => Shape { m: 64, n: DOUBLES.1, k: DOUBLES.0, stem: "issue_nt", rounds: 128 },
        (By::Warps, _) => Shape { m: 64, n: 128, k: K_BYTES / input.bytes(), stem: "issue_nt", rounds: 128 },
        (By::Block, _) => Shape { m: 128, n: 256, k: K_BYTES / input.bytes(), stem: "issue_wide", rounds: 512 },
    }
}

/// Told by its shape.
fn by(plan: &Plan) -> By {
    match (plan.buffers[0].columns, plan.buffers[2].columns) {
        (1, _) => By::Lanes,
        (_, 256) => By::Block,
        _ => By::Warps,
    }
}

const fn of(input: Dtype, accumulate: Dtype) -> Precision {
    Precision { input, accumulate, output: accumulate }
}

const PRECISIONS: &[Precision] = &[
    of(Dtype::Bf16, Dtype::Fp32),
    of(Dtype::Fp16, Dtype::Fp32),
    of(Dtype::E4m3, Dtype::Fp32),
    of(Dtype::E5m2, Dtype::Fp32),
    of(Dtype::Int8, Dtype::Int32),
    of(Dtype::Tf32, Dtype::Fp32),
    of(Dtype::Fp32, Dtype::Fp32),
    of(Dtype::Fp64, Dtype::Fp64),
];

/// Plans for every precision that the device has; doubles on tensor cores besides, where those multiply them.
pub fn plans(device: &Device, choice: &Choice) -> Vec<Plan> {
    if device.backend != "cuda" {
        return Vec::new();
    }
    let known = PRECISIONS.iter().filter(|precision| supports(device, precision.input.name()));
    let rate = device.architecture.as_deref().and_then(|name| chips::operations_a_clock(name, Dtype::Fp64));
    let doubles = rate.is_some_and(|rate| rate >= DOUBLE_RATE) && supports(device, Dtype::Fp64.name());
    let ordinary = |input| matches!(input, Dtype::Fp32 | Dtype::Fp64);
    let first = |input| if ordinary(input) { By::Lanes } else { By::Warps };
    let each = known.clone().map(|precision| plan(*precision, first(precision.input), device, choice.seed));
    let by_tensor_cores = doubles.then(|| plan(of(Dtype::Fp64, Dtype::Fp64), By::Warps, device, choice.seed));
    let blocks = device.architecture.as_deref().is_some_and(chips::has_tensor_memory);
    let by_blocks = known.filter(|precision| blocks && !ordinary(precision.input));
    let by_blocks = by_blocks.map(|precision| plan(*precision, By::Block, device, choice.seed));
    each.chain(by_tensor_cores).chain(by_blocks).collect()
}

fn plan(precision: Precision, by: By, device: &Device, seed: u32) -> Plan {
    let Shape { m, n, k, stem, rounds } = shape(precision.input, by);
    let ordinary = by == By::Lanes;
    let (batches, rounds) = match device.kind {
        // Every instruction of a fake is interpreted.
        Kind::Fake => (2, 2),
        _ => (u64::from(device.units.unwrap_or(1)) * if by == By::Block { BATCHES / 4 } else { BATCHES }, rounds),
    };
    let steps = rounds * STEPS;
    let columns = if ordinary { m * n } else { n };
    let times = if ordinary { steps } else { rounds };
    let counts = [batches, times].map(Arg::Count);
    let args = [&[Arg::Buffer(0), Arg::Buffer(1), Arg::Buffer(2)], &counts[..]].concat();
    let Precision { input, accumulate, output } = precision;
    let items = batches * m * n;
    Plan {
        key: WorkloadKey {
            family: "issue",
            operation: "issue",
            precision: precision.to_string(),
            shape: format!("{batches}x{m}x{n}x{}", k * steps),
        },
        precision,
        work: Work {
            flops: Flops(2 * items * k * steps),
            bytes: Bytes(batches * (m + columns) * k * input.bytes() + items * output.bytes()),
            items: 0,
        },
        unit: RateUnit::Flops,
        places: vec![device.id.clone()],
        buffers: vec![
            Buffer::matrix(input, batches * m, k, Role::In),
            Buffer::matrix(input, batches * columns, k, Role::In),
            Buffer::matrix(output, batches * m, n, Role::Out),
        ],
        program: vec![Step { stream: 0, op: Op::Kernel { stem, args } }],
        submit: Submit::Stream,
        check: Check {
            output: 2,
            element,
            fold,
            bound: steps * k * (SPREAD * SPREAD) as u64,
            tolerance: tolerance(precision, k, steps),
            // Of adding up rounds, or steps, each of which is the same.
            relative: if output == Dtype::Int32 { 0.0 } else { times as f64 * accumulate.roundoff() },
        },
        also: Vec::new(),
        seed,
        sustained: false,
    }
}

/// Of one round's sum, as often as rounds are added: the error is the same each time.
fn tolerance(Precision { input, accumulate, .. }: Precision, k: u64, steps: u64) -> f64 {
    let rounds = steps as f64 / STEPS as f64;
    match input {
        Dtype::Int8 => 0.0,
        Dtype::E4m3 | Dtype::E5m2 => rounds * oracle::short_tolerance(k * STEPS),
        _ => rounds * oracle::sum_tolerance(k * STEPS, accumulate.roundoff()),
    }
}

/// `(m, n, k, steps)` of a batch.
fn sizes(plan: &Plan) -> (u64, u64, u64, u64) {
    let Shape { m, n, k, .. } = shape(plan.precision.input, by(plan));
    (m, n, k, plan.work.flops.0 / (2 * plan.buffers[2].elements * k).max(1))
}

/// Row of B that a row of the output meets in a column.
fn other(plan: &Plan, row: u64, column: u64) -> u64 {
    let (m, n, ..) = sizes(plan);
    if by(plan) == By::Lanes { row * n + column } else { row / m * n + column }
}

fn element(plan: &Plan, pass: Pass, element: u64) -> f64 {
    let (_, n, k, steps) = sizes(plan);
    let (row, column) = (element / n, element % n);
    let at = other(plan, row, column);
    let product: f64 = (0..k).map(|i| plan.input(0, pass, row * k + i) * plan.input(1, pass, at * k + i)).sum();
    steps as f64 * product
}

fn fold(plan: &Plan, seed: u32) -> u32 {
    let (_, n, k, steps) = sizes(plan);
    let (a, b) = (oracle::integer(plan, 0), oracle::integer(plan, 1));
    let row = |row: u64| {
        let sums = (0..n).map(|column| {
            let at = other(plan, row, column);
            let product = (0..k).fold(0_u32, |sum, i| sum.wrapping_add(a(row * k + i).wrapping_mul(b(at * k + i))));
            product.wrapping_mul(weight(seed ^ COLUMN, column))
        });
        sums.fold(0, u32::wrapping_add).wrapping_mul(weight(seed ^ ROW, row))
    };
    let rows = plan.buffers[2].elements / n;
    (0..rows).into_par_iter().map(row).reduce(|| 0, u32::wrapping_add).wrapping_mul(steps as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(units: u32) -> Vec<Plan> {
        of_architecture("9.0", units)
    }

    fn of_architecture(name: &str, units: u32) -> Vec<Plan> {
        let precisions = PRECISIONS.iter().map(|precision| precision.input.name().into()).collect();
        let architecture = Some(name.into());
        let device = Device { units: Some(units), precisions, architecture, ..Device::new("cuda:0", "cuda", Kind::Gpu, "x") };
        let choice = Choice { suite: super::super::SUITES[0], footprint: None, seed: 5 };
        plans(&device, &choice)
    }

    #[test]
    fn every_precision_has_a_roof_and_its_sums_are_exact() {
        let (plans, newer) = (on(132), of_architecture("10.0", 148));
        assert_eq!(plans.len(), PRECISIONS.len() + 1, "doubles have two");
        assert_eq!(newer.len(), PRECISIONS.len() + 1 + 6, "and tensor cores with a memory of their own one more each");
        assert_eq!(newer[9].key.id(), "issue/bf16.fp32.fp32/444x128x256x131072");
        for plan in plans.iter().chain(&newer) {
            let accumulate = plan.precision.accumulate.exact_integers();
            assert!(plan.check.bound <= accumulate && plan.check.bound > 1000, "{}", plan.key.id());
            let fp8 = matches!(plan.precision.input, Dtype::E4m3 | Dtype::E5m2);
            // Fourteen bits with their sign are all that some tensor cores keep of a sum of fp8 products.
            assert!(!fp8 || STEPS * K_BYTES * (SPREAD * SPREAD) as u64 <= 1 << 13);
            assert!(plan.work.flops.0 > 50_000_000_000, "{} is over at once", plan.key.id());
        }
        assert_eq!(plans[0].key.id(), "issue/bf16.fp32.fp32/1584x64x128x32768");
        assert_eq!(plans[6].key.id(), "issue/fp32.fp32.fp32/1584x128x8x16384");
        assert_eq!(plans[7].key.id(), "issue/fp64.fp64.fp64/1584x128x8x16384");
        assert_eq!(plans[8].key.id(), "issue/fp64.fp64.fp64/1584x64x64x32768");
    }

    #[test]
    fn the_fold_is_that_of_the_elements() {
        for plan in on(1).into_iter().chain(of_architecture("10.3", 1)) {
            let n = sizes(&plan).1;
            let by_element = (0..plan.buffers[2].elements).fold(0_u32, |sum, e| {
                let value = (plan.check.element)(&plan, Pass::Exact, e) as i64 as u32;
                sum.wrapping_add(value.wrapping_mul(weight(9 ^ ROW, e / n)).wrapping_mul(weight(9 ^ COLUMN, e % n)))
            });
            assert_eq!((plan.check.fold)(&plan, 9), by_element, "{}", plan.key.id());
        }
    }
}
