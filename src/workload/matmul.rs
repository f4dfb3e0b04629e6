//! Matmul: dense products `C[m,n] = A[m,k] · B`, all row-major, 2mnk operations, named by the formats of inputs, sums and output.
//!
//! B is `[k,n]` where ordinary units multiply, `[n,k]` where tensor cores do: there both operands lie along k, as the hardware takes
//! them. Where the output cannot hold every sum exactly, the inputs of the exact pass are sparse.
//!
//! fp4 has a scale every 16 elements along k, as tensor cores take it; all scales are one. No kernel of ours multiplies it: the vendor's
//! library does, or nobody. Nor do ours multiply matrices of which two of each four neighbours are zero (2:4 sparsity): a library does. Such
//! products are named apart, `sparse-`; of their operations only those are counted that are done, mnk: those by zero are left out.
//! What is sold as sparse rates counts them, and is twice as much.
//!
//! Shapes: small and large squares, and three that transformers are made of (Llama-3 8B: model width 4096, feed-forward width
//! 14336): a decode step of a batch of 16 against a projection, a prefill of 512 tokens against the same, and of 64 tokens
//! against the feed-forward.

use super::{Choice, oracle, supports};
use crate::{
    dtype::{Dtype, Precision},
    plan::{Arg, Buffer, Check, Op, Pass, Plan, Role, SPARSE, SPREAD, Step, Submit, WorkloadKey},
    record::{Device, Kind, RateUnit, Work},
    units::{Bytes, Flops},
};

/// A row a precision.
struct Row {
    precision: Precision,
    stem: &'static str,
}

const fn row(input: Dtype, accumulate: Dtype, output: Dtype) -> Row {
    let stem = if matches!(input, Dtype::Fp32 | Dtype::Fp64) { "matmul" } else { "matmul_nt" };
    Row { precision: Precision { input, accumulate, output }, stem }
}

/// On every backend.
const ORDINARY: &[Row] = &[row(Dtype::Fp32, Dtype::Fp32, Dtype::Fp32), row(Dtype::Fp64, Dtype::Fp64, Dtype::Fp64)];
/// On tensor cores.
const TENSOR: &[Row] = &[
    row(Dtype::Bf16, Dtype::Fp32, Dtype::Bf16),
    row(Dtype::Fp16, Dtype::Fp32, Dtype::Fp16),
    row(Dtype::E4m3, Dtype::Fp32, Dtype::Bf16),
    row(Dtype::E5m2, Dtype::Fp32, Dtype::Bf16),
    row(Dtype::Fp4, Dtype::Fp32, Dtype::Bf16),
    row(Dtype::Int8, Dtype::Int32, Dtype::Int32),
    row(Dtype::Tf32, Dtype::Fp32, Dtype::Fp32),
];
/// A decision hangs on one of each line: the first that the device has. Training and most serving run in 16 bits; serving that was
/// made cheaper in 8; and what tensor cores do not do runs in fp32.
const DECISIVE: &[&[Dtype]] = &[&[Dtype::Bf16, Dtype::Fp16], &[Dtype::E4m3, Dtype::Int8], &[Dtype::Fp32]];
/// Inputs of products with 2:4 sparsity.
const HALVED: [Dtype; 4] = [Dtype::Bf16, Dtype::Fp16, Dtype::E4m3, Dtype::Int8];
const TRANSFORMER: [(u64, u64, u64); 3] = [(16, 4096, 4096), (512, 4096, 4096), (64, 14336, 4096)];
/// The one that capacity units of models are reckoned by: where there is time for figures that must hold, tensor cores sustain this, and
/// the squares, which are ceilings, have their bursts.
const UNIT: (u64, u64, u64) = TRANSFORMER[1];
/// The feed-forward has by far the largest operand: the quick suite leaves it out.
const QUICK: usize = 2;

/// Squares for a kind of device: smallest, the one that a decision hangs on, largest of the quick and of the standard suite.
fn squares(kind: Kind) -> (u64, u64, u64, u64) {
    match kind {
        Kind::Gpu => (1024, 8192, 8192, 16384),
        Kind::Cpu => (256, 2048, 2048, 4096),
        Kind::Software | Kind::Replay => (128, 512, 1024, 2048),
        // Every instruction is interpreted.
        Kind::Fake => (128, 256, 256, 512),
    }
}

/// Plans for every precision the device has; where it lacks one, the shape that a decision hangs on, so that the record says so.
pub fn plans(device: &Device, choice: &Choice) -> Vec<Plan> {
    let (smallest, mut decisive, quick, standard) = squares(device.kind);
    let (largest, transformer) = match (choice.suite.thorough, device.kind) {
        (_, Kind::Fake) => (quick, 0),
        (true, _) => (standard, TRANSFORMER.len()),
        (false, _) => (quick, QUICK),
    };
    let fits = |plan: &Plan| device.usable_bytes().is_none_or(|usable| plan.bytes_allocated() <= usable / 2);
    while decisive > smallest && !fits(&plan(&ORDINARY[1], (decisive, decisive, decisive), device, choice.seed)) {
        decisive /= 2;
    }
    let shapes = std::iter::successors(Some(smallest), |n| Some(n * 2))
        .take_while(|n| *n <= largest)
        .map(|n| (n, n, n))
        .chain(TRANSFORMER.into_iter().take(transformer));
    let mut shapes: Vec<_> = shapes.collect();
    // What a decision hangs on comes first of each precision, should time run out.
    shapes.sort_by_key(|shape| *shape != (decisive, decisive, decisive));
    let tensor = if device.backend == "cuda" { TENSOR } else { &[] };
    let sustains = &inputs_sustained(device, choice);
    let of = |row: &'static Row| {
        let known = supports(device, row.precision.input.name());
        let tensor = row.stem == "matmul_nt" && choice.suite.thorough && transformer > 0;
        let decides = if tensor { UNIT } else { (decisive, decisive, decisive) };
        let shapes = shapes.iter().filter(move |shape| known || **shape == decides);
        shapes.map(move |&shape| {
            let sustained = sustains.contains(&row.precision.input) && shape == decides;
            Plan { sustained, ..plan(row, shape, device, choice.seed) }
        })
    };
    // Where a device has none of them, the record says so once.
    let halved = tensor.iter().filter(|row| HALVED.contains(&row.precision.input) && supports(device, row.precision.input.name()));
    let asked: Vec<_> = if halved.clone().count() > 0 { halved.collect() } else { tensor.iter().take(1).collect() };
    let sparse = asked.into_iter().map(|row| sparse(row, decisive, device, choice.seed));
    tensor.iter().chain(ORDINARY).flat_map(of).chain(sparse).filter(fits).collect()
}

/// A square product of which half of A is zero. Of A, half is read, and of each four elements four bits that tell the pair.
fn sparse(row: &Row, n: u64, device: &Device, seed: u32) -> Plan {
    let dense = plan(row, (n, n, n), device, seed);
    let Precision { input, output, .. } = dense.precision;
    let bytes = input.bytes_of(n * n / 2) + n * n / 8 + input.bytes_of(n * n) + output.bytes_of(n * n);
    let mut buffers = dense.buffers;
    buffers[0].halved = true;
    Plan {
        key: WorkloadKey { precision: format!("sparse-{}", dense.precision), ..dense.key },
        work: Work { flops: Flops(n * n * n), bytes: Bytes(bytes), items: 0 },
        buffers,
        program: vec![Step { stream: 0, op: Op::Library(SPARSE) }],
        check: Check { tolerance: tolerance(dense.precision, n / 2), ..dense.check },
        ..dense
    }
}

/// Inputs of the products that a decision hangs on. The quick suite has six sustained figures to give, so that on a device with tensor
/// cores fp64 is left to the longer ones. Where a device has none of a line, the first is asked for, and the record says that it lacks it.
fn inputs_sustained(device: &Device, choice: &Choice) -> Vec<Dtype> {
    let tensor = device.backend == "cuda";
    let lines = DECISIVE.iter().filter(|line| tensor || line[0] == Dtype::Fp32);
    let first = |line: &&[Dtype]| line.iter().copied().find(|input| supports(device, input.name())).unwrap_or(line[0]);
    let double = !tensor || choice.suite.name != "quick";
    lines.map(first).chain(double.then_some(Dtype::Fp64)).collect()
}

/// One product.
fn plan(row: &Row, (m, n, k): (u64, u64, u64), device: &Device, seed: u32) -> Plan {
    let Row { precision, stem, .. } = *row;
    let args = [Arg::Buffer(0), Arg::Buffer(1), Arg::Buffer(2), Arg::Count(m), Arg::Count(n), Arg::Count(k)];
    let transposed = stem == "matmul_nt";
    let (gap, bound) = sparsity(precision, k);
    let input = |rows, columns| Buffer { gap, ..Buffer::matrix(precision.input, rows, columns, Role::In) };
    let Precision { input: of, output, .. } = precision;
    Plan {
        key: WorkloadKey { family: "matmul", operation: "matmul", precision: precision.to_string(), shape: format!("{m}x{n}x{k}") },
        precision,
        work: Work {
            flops: Flops(2 * m * n * k),
            bytes: Bytes(of.bytes_of(m * k) + of.bytes_of(k * n) + output.bytes_of(m * n)),
            items: 0,
        },
        unit: RateUnit::Flops,
        places: vec![device.id.clone()],
        buffers: vec![input(m, k), if transposed { input(n, k) } else { input(k, n) }, Buffer::matrix(output, m, n, Role::Out)],
        program: vec![Step { stream: 0, op: Op::Kernel { stem, args: args.to_vec() } }],
        submit: Submit::Stream,
        check: Check {
            output: 2,
            element: if transposed { element_nt } else { element },
            fold: if transposed {
                |plan, seed| oracle::product_nt(plan, shape_nt(plan), seed)
            } else {
                |plan, seed| oracle::product(plan, shape(plan), seed)
            },
            bound,
            tolerance: tolerance(precision, k),
            relative: if output == precision.accumulate { 0.0 } else { output.roundoff() },
        },
        also: Vec::new(),
        seed,
        sustained: false,
    }
}

/// The smallest gap of the exact pass with which every sum over k is an exact number of the output, and the largest such sum.
fn sparsity(precision: Precision, k: u64) -> (u64, u64) {
    let exact = precision.output.exact_integers().min(precision.accumulate.exact_integers());
    // A row that does not begin with a group shares its first and last with its neighbours.
    let groups = |gap: u64| if k.is_multiple_of(gap) { k / gap } else { k / gap + 2 };
    let bound = |gap: u64| groups(gap) * (SPREAD * SPREAD) as u64;
    let gap = (0..32).map(|shift| 1 << shift).find(|gap| bound(*gap) <= exact).unwrap_or(1);
    (gap, bound(gap))
}

fn tolerance(Precision { input, accumulate, .. }: Precision, k: u64) -> f64 {
    match input {
        Dtype::Int8 => 0.0,
        Dtype::E4m3 | Dtype::E5m2 | Dtype::Fp4 => oracle::short_tolerance(k),
        _ => oracle::sum_tolerance(k, accumulate.roundoff()),
    }
}

/// `(m, n, k)` from the buffers.
fn shape(plan: &Plan) -> (u64, u64, u64) {
    let [a, b, ..] = plan.buffers[..] else { return (0, 0, 0) };
    (a.elements / a.columns, b.columns, a.columns)
}

/// The same where B lies along k.
fn shape_nt(plan: &Plan) -> (u64, u64, u64) {
    let [a, b, ..] = plan.buffers[..] else { return (0, 0, 0) };
    (a.elements / a.columns, b.elements / b.columns, a.columns)
}

/// An element of the product, in double precision.
fn element(plan: &Plan, pass: Pass, element: u64) -> f64 {
    let (_, n, k) = shape(plan);
    let (row, column) = (element / n, element % n);
    (0..k).map(|i| plan.input(0, pass, row * k + i) * plan.input(1, pass, i * n + column)).sum()
}

fn element_nt(plan: &Plan, pass: Pass, element: u64) -> f64 {
    let (_, n, k) = shape_nt(plan);
    let (row, column) = (element / n, element % n);
    (0..k).map(|i| plan.input(0, pass, row * k + i) * plan.input(1, pass, column * k + i)).sum()
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
        for row in ORDINARY.iter().chain(TENSOR) {
            for k in [11, 640, 1024] {
                let plan = plan(row, (5, 7, k), &device(Kind::Fake, 1 << 30, &["fp64"]), 3);
                let by_element = (0..35).fold(0_u32, |sum, e| {
                    let value = (plan.check.element)(&plan, Pass::Exact, e) as i64 as u32;
                    sum.wrapping_add(value.wrapping_mul(weight(9 ^ ROW, e / 7)).wrapping_mul(weight(9 ^ COLUMN, e % 7)))
                });
                assert_eq!((plan.check.fold)(&plan, 9), by_element, "{} k={k}", row.precision);
            }
        }
    }

    #[test]
    fn every_sum_of_the_exact_pass_is_a_number_of_the_output() {
        for row in TENSOR {
            for k in [64, 1000, 4096, 16384] {
                let plan = plan(row, (3, 40, k), &device(Kind::Fake, 1 << 30, &[]), 3);
                let output = row.precision.output;
                let sums = (0..120).map(|e| (plan.check.element)(&plan, Pass::Exact, e));
                let largest =
                    sums.inspect(|sum| assert_eq!(output.round(*sum), *sum)).fold(0.0, |most: f64, sum| most.max(sum.abs()));
                assert!(largest <= plan.check.bound as f64 && plan.check.bound <= output.exact_integers(), "{}", row.precision);
                assert!(largest > 0.0, "{} k={k}", row.precision);
            }
        }
    }

    #[test]
    fn work_is_two_mnk() {
        let plan = plan(&ORDINARY[0], (2, 3, 4), &device(Kind::Cpu, 1 << 30, &["fp32"]), 3);
        assert_eq!((plan.work.flops, plan.work.bytes), (Flops(48), Bytes((8 + 12 + 6) * 4)));
        assert_eq!(plan.key.id(), "matmul/fp32.fp32.fp32/2x3x4");
    }

    fn sparse_of(card: &Device) -> Vec<Plan> {
        let plans = plans(card, &choice()).into_iter();
        plans.filter(|plan| plan.program[0].op == Op::Library(SPARSE)).collect()
    }

    #[test]
    fn a_sparse_product_bears_a_name_of_its_own_and_counts_what_is_done() {
        let card = |precisions: &[&str]| Device { backend: "cuda".into(), ..device(Kind::Gpu, 80 << 30, precisions) };
        let ids = |precisions: &[&str]| sparse_of(&card(precisions)).iter().map(|plan| plan.key.id()).collect::<Vec<_>>();
        let named = |precision: &str| format!("matmul/sparse-{precision}/8192x8192x8192");
        let wanted = ["bf16.fp32.bf16", "fp16.fp32.fp16", "e4m3.fp32.bf16", "int8.int32.int32"].map(named);
        assert_eq!(ids(&["bf16", "fp16", "int8", "e4m3", "fp4", "tf32"]), wanted);
        assert_eq!(ids(&["fp32"]), [named("bf16.fp32.bf16")], "asked for once where there is none");
        let plan = &sparse_of(&card(&["bf16"]))[0];
        let n = 8192_u64;
        assert_eq!((plan.work.flops, plan.work.bytes), (Flops(n * n * n), Bytes(n * n * (1 + 2 + 2) + n * n / 8)));
        let product = plan.product().expect("a product");
        assert!(product.halved && product.terms() == n / 2 && !plan.sustained);
        assert!(
            plans(&card(&["bf16"]), &choice())
                .iter()
                .all(|other| other.key.precision != plan.key.precision || other.product() == Some(product))
        );
    }

    #[test]
    fn the_fold_of_a_sparse_product_is_the_fold_of_its_elements() {
        for row in TENSOR.iter().filter(|row| HALVED.contains(&row.precision.input)) {
            let plan = sparse(row, 64, &device(Kind::Fake, 1 << 30, &[]), 3);
            let by_element = (0..64 * 64).fold(0_u32, |sum, e| {
                let value = (plan.check.element)(&plan, Pass::Exact, e) as i64 as u32;
                sum.wrapping_add(value.wrapping_mul(weight(9 ^ ROW, e / 64)).wrapping_mul(weight(9 ^ COLUMN, e % 64)))
            });
            assert_eq!((plan.check.fold)(&plan, 9), by_element, "{}", row.precision);
            let zeros = (0..64 * 64).filter(|at| plan.input(0, Pass::Random, *at) == 0.0).count();
            assert!((64 * 32..64 * 34).contains(&zeros), "{zeros} of {}", 64 * 64);
        }
    }

    #[test]
    fn four_bits_an_element_are_half_a_byte() {
        let card = Device { backend: "cuda".into(), ..device(Kind::Gpu, 80 << 30, &["bf16", "fp4"]) };
        let plans = plans(&card, &choice());
        let narrow = plans.iter().find(|plan| plan.key.id() == "matmul/fp4.fp32.bf16/1024x1024x1024").expect("planned");
        assert_eq!(narrow.work.bytes, Bytes(2 * 1024 * 512 + 2 * 1024 * 1024));
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

    #[test]
    fn the_quick_suite_sustains_what_a_decision_hangs_on_and_no_more() {
        let sustained = |suite: usize, precisions: &[&str]| -> Vec<Dtype> {
            let card = Device { backend: "cuda".into(), ..device(Kind::Gpu, 80 << 30, precisions) };
            let choice = Choice { suite: SUITES[suite], ..choice() };
            let all = super::super::plans(&card, &choice);
            assert!(suite > 0 || all.iter().filter(|plan| plan.sustained).count() <= 6);
            plans(&card, &choice).iter().filter(|plan| plan.sustained).map(|plan| plan.precision.input).collect()
        };
        let hopper = ["bf16", "fp16", "e4m3", "e5m2", "int8", "tf32", "fp32", "fp64"];
        assert_eq!(sustained(0, &hopper), [Dtype::Bf16, Dtype::E4m3, Dtype::Fp32]);
        assert_eq!(sustained(1, &hopper), [Dtype::Bf16, Dtype::E4m3, Dtype::Fp32, Dtype::Fp64]);
        let shapes = |suite: usize| -> Vec<String> {
            let card = Device { backend: "cuda".into(), ..device(Kind::Gpu, 80 << 30, &hopper) };
            let choice = Choice { suite: SUITES[suite], ..choice() };
            plans(&card, &choice).into_iter().filter(|plan| plan.sustained).map(|plan| plan.key.shape).collect()
        };
        assert_eq!(shapes(0), ["8192x8192x8192"; 3]);
        // What units of models are reckoned by, in the suite whose figures may be firm.
        assert_eq!(shapes(1), ["512x4096x4096", "512x4096x4096", "8192x8192x8192", "8192x8192x8192"]);
        assert_eq!(sustained(0, &["bf16", "fp16", "int8", "tf32", "fp32", "fp64"]), [Dtype::Bf16, Dtype::Int8, Dtype::Fp32]);
        assert_eq!(sustained(0, &["fp16", "int8", "fp32", "fp64"]), [Dtype::Fp16, Dtype::Int8, Dtype::Fp32]);
        // What is missing altogether is asked for, so that the record says so.
        assert_eq!(sustained(0, &["fp32", "fp64"]), [Dtype::Bf16, Dtype::E4m3, Dtype::Fp32]);
    }
}
