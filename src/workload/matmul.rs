//! Matmul: dense products `C[m,n] = A[m,k] · B[k,n]`, all row-major, 2mnk operations.
//!
//! Shapes: small and large squares, and three that transformers are made of (Llama-3 8B: model width 4096, feed-forward width
//! 14336): a decode step of a batch of 16 against a projection, a prefill of 512 tokens against the same, and of 64 tokens
//! against the feed-forward.

use super::{Choice, oracle, supports};
use crate::{
    dtype::{Dtype, Precision},
    plan::{Arg, Buffer, Check, Op, Pass, Plan, Role, SPREAD, Step, Submit, WorkloadKey},
    record::{Device, Kind, RateUnit, Work},
    units::{Bytes, Flops},
};

const DTYPES: [Dtype; 2] = [Dtype::Fp32, Dtype::Fp64];
const TRANSFORMER: [(u64, u64, u64); 3] = [(16, 4096, 4096), (512, 4096, 4096), (64, 14336, 4096)];
/// The feed-forward has by far the largest operand: the quick suite leaves it out.
const QUICK: usize = 2;

/// Squares for a kind of device: smallest, the one that a decision hangs on, largest of the quick and of the standard suite.
fn squares(kind: Kind) -> (u64, u64, u64, u64) {
    match kind {
        Kind::Gpu => (1024, 8192, 8192, 16384),
        Kind::Cpu => (256, 2048, 2048, 4096),
        Kind::Software | Kind::Replay | Kind::Fake => (128, 512, 1024, 2048),
    }
}

/// Plans for every precision the device has; where it lacks one, the shape that a decision hangs on, so that the record says so.
pub fn plans(device: &Device, choice: &Choice) -> Vec<Plan> {
    let (smallest, mut decisive, quick, standard) = squares(device.kind);
    let (largest, transformer) = if choice.suite.thorough { (standard, TRANSFORMER.len()) } else { (quick, QUICK) };
    let fits = |plan: &Plan| device.usable_bytes().is_none_or(|usable| plan.bytes_allocated() <= usable / 2);
    while decisive > smallest && !fits(&plan(Dtype::Fp64, (decisive, decisive, decisive), device, choice.seed)) {
        decisive /= 2;
    }
    let shapes = std::iter::successors(Some(smallest), |n| Some(n * 2))
        .take_while(|n| *n <= largest)
        .map(|n| (n, n, n))
        .chain(TRANSFORMER.into_iter().take(transformer));
    let shapes: Vec<_> = shapes.collect();
    let of = |dtype: Dtype| {
        let known = supports(device, dtype.name());
        let shapes = shapes.iter().filter(move |shape| known || **shape == (decisive, decisive, decisive));
        shapes.map(move |&shape| {
            let sustained = shape == (decisive, decisive, decisive);
            Plan { sustained, ..plan(dtype, shape, device, choice.seed) }
        })
    };
    DTYPES.into_iter().flat_map(of).filter(fits).collect()
}

/// One product.
fn plan(dtype: Dtype, (m, n, k): (u64, u64, u64), device: &Device, seed: u32) -> Plan {
    let precision = Precision::uniform(dtype);
    let args = [Arg::Buffer(0), Arg::Buffer(1), Arg::Buffer(2), Arg::Count(m), Arg::Count(n), Arg::Count(k)];
    Plan {
        key: WorkloadKey { family: "matmul", operation: "matmul", precision: precision.to_string(), shape: format!("{m}x{n}x{k}") },
        precision,
        work: Work { flops: Flops(2 * m * n * k), bytes: Bytes((m * k + k * n + m * n) * dtype.bytes()), items: 0 },
        unit: RateUnit::Flops,
        places: vec![device.id.clone()],
        buffers: vec![
            Buffer::matrix(dtype, m, k, Role::In),
            Buffer::matrix(dtype, k, n, Role::In),
            Buffer::matrix(dtype, m, n, Role::Out),
        ],
        program: vec![Step { stream: 0, op: Op::Kernel { stem: "matmul", args: args.to_vec() } }],
        submit: Submit::Stream,
        check: Check {
            output: 2,
            element,
            fold: |plan, seed| oracle::product(plan, shape(plan), seed),
            bound: k * (SPREAD * SPREAD) as u64,
            tolerance: oracle::sum_tolerance(k, dtype.roundoff()),
        },
        seed,
        sustained: false,
    }
}

/// `(m, n, k)` from the buffers.
fn shape(plan: &Plan) -> (u64, u64, u64) {
    let [a, b, ..] = plan.buffers[..] else { return (0, 0, 0) };
    (a.elements / a.columns, b.columns, a.columns)
}

/// An element of the product, in double precision.
fn element(plan: &Plan, pass: Pass, element: u64) -> f64 {
    let (_, n, k) = shape(plan);
    let (row, column) = (element / n, element % n);
    (0..k).map(|i| plan.input(0, pass, row * k + i) * plan.input(1, pass, i * n + column)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        plan::{COLUMN, ROW, weight},
        workload::SUITES,
    };

    fn device(kind: Kind, memory: u64, precisions: &[&str]) -> Device {
        let precisions = precisions.iter().map(ToString::to_string).collect();
        Device { memory_bytes: Some(memory), precisions, ..Device::new("x:0", "x", kind, "x") }
    }

    fn choice() -> Choice {
        Choice { suite: SUITES[0], footprint: None, seed: 3 }
    }

    #[test]
    fn the_fold_of_a_product_is_the_fold_of_its_elements() {
        let plan = plan(Dtype::Fp64, (5, 7, 11), &device(Kind::Fake, 1 << 30, &["fp64"]), 3);
        let by_element = (0..35).fold(0_u32, |sum, e| {
            let value = element(&plan, Pass::Exact, e) as i64 as u32;
            sum.wrapping_add(value.wrapping_mul(weight(9 ^ ROW, e / 7)).wrapping_mul(weight(9 ^ COLUMN, e % 7)))
        });
        assert_eq!((plan.check.fold)(&plan, 9), by_element);
    }

    #[test]
    fn work_is_two_mnk() {
        let plan = plan(Dtype::Fp32, (2, 3, 4), &device(Kind::Cpu, 1 << 30, &["fp32"]), 3);
        assert_eq!((plan.work.flops, plan.work.bytes), (Flops(48), Bytes((8 + 12 + 6) * 4)));
        assert_eq!(plan.key.id(), "matmul/fp32.fp32.fp32/2x3x4");
    }

    #[test]
    fn a_precision_that_is_missing_is_asked_for_once() {
        let plans = plans(&device(Kind::Software, 1 << 34, &["fp32"]), &choice());
        let double: Vec<_> = plans.iter().filter(|plan| plan.precision.input == Dtype::Fp64).collect();
        assert_eq!(double.len(), 1);
        assert!(double[0].sustained);
    }

    #[test]
    fn a_small_memory_still_has_something_to_decide_by() {
        let plans = plans(&device(Kind::Gpu, 64 << 20, &["fp32", "fp64"]), &choice());
        assert!(plans.iter().any(|plan| plan.sustained), "{:?}", plans.iter().map(|p| p.key.id()).collect::<Vec<_>>());
    }
}
