//! The jobs of the kernels that fetch nothing from memory while they are timed: products of small integers, added up exactly, and sums
//! of what shared memory holds.

use crate::job::{Argument, Claim, Contents, Job, equals, filled};
use crate::products::encoded;
use crate::stems::{Macros, constant};
use assay::{dtype::Dtype, plan};
use simt::Geometry;

const SEED: u32 = 0x155e;
/// Bytes along k of a product on tensor cores, and its additions before ordinary units take over.
const K_BYTES: u64 = 32;
const STEPS: u64 = 16;

fn small(buffer: u32, at: u64) -> i32 {
    plan::small(plan::buffer_seed(SEED, buffer), at)
}

fn matrix(buffer: u32, dtype: Dtype, elements: u64) -> Contents {
    Contents::Filled((0..elements).flat_map(|at| encoded(dtype, f64::from(small(buffer, at)))).collect())
}

/// The jobs of a stem; `None` for one that fetches.
pub fn jobs(stem: &str, macros: &Macros) -> Option<Vec<Job>> {
    match stem {
        "issue" => {
            let dtype = if macros["REAL"] == "double" { Dtype::Fp64 } else { Dtype::Fp32 };
            Some([(1, 32), (3, 96)].map(|(batches, steps)| lanes(dtype, macros, batches, steps)).into())
        }
        "issue_dmma" => Some([(1, 1), (2, 3)].map(|(batches, rounds)| doubles(macros, batches, rounds)).into()),
        "issue_mma" | "issue_wgmma" => Some([(1, 1), (2, 3)].map(|(batches, rounds)| tensor(stem, macros, batches, rounds)).into()),
        // Each half of the tensor cores' memory is filled again.
        "issue_tcgen05" => Some([(1, 1), (2, 5)].map(|(batches, rounds)| tensor(stem, macros, batches, rounds)).into()),
        "shared" => Some(shared(macros)),
        _ => None,
    }
}

fn job(
    macros: &Macros,
    buffers: Vec<Contents>,
    (batches, times): (u64, u64),
    sum: impl Fn(u64) -> Vec<u8> + Send + Sync + 'static,
) -> Job {
    let width = sum(0).len();
    let right = move |at: usize| sum((at / width) as u64)[at % width];
    Job {
        name: format!("{batches} batches, {times} times"),
        geometry: Geometry {
            dynamic_shared: constant(macros, "SHARED") as u32,
            ..Geometry::linear(batches as u32, constant(macros, "THREADS") as u32)
        },
        buffers,
        window: None,
        arguments: (0..3).map(Argument::Buffer).chain([batches, times].map(Argument::Word)).collect(),
        expected: vec![(2, equals(right))],
        claim: None,
    }
}

fn lanes(dtype: Dtype, macros: &Macros, batches: u64, steps: u64) -> Job {
    const CHAINS: u64 = 8;
    let (lanes, bytes) = (batches * constant(macros, "THREADS"), dtype.bytes());
    let sums = lanes * CHAINS;
    let buffers = vec![matrix(0, dtype, lanes), matrix(1, dtype, sums), Contents::Poison((sums * bytes) as usize)];
    let sum = move |at: u64| encoded(dtype, f64::from(small(0, at / CHAINS) * small(1, at)) * steps as f64);
    // The slow twin multiplies once more.
    let operations = if macros["ADD"].starts_with("twice") { 3 } else { 2 };
    let claim = Claim { flops: operations * sums * steps, read: (lanes + sums) * bytes, written: sums * bytes, ..Claim::default() };
    Job { claim: Some(claim), ..job(macros, buffers, (batches, steps), sum) }
}

fn tensor(stem: &str, macros: &Macros, batches: u64, rounds: u64) -> Job {
    let (m, n) = if stem == "issue_tcgen05" { (128, 256) } else { (64, 128) };
    let row = assay::dtype::DTYPES.iter().find(|row| row.name == macros["INPUT"]).expect("a known format");
    let (dtype, output) = (row.dtype, if row.dtype == Dtype::Int8 { Dtype::Int32 } else { Dtype::Fp32 });
    let k = K_BYTES / dtype.bytes();
    let sums = batches * m * n;
    let buffers = vec![matrix(0, dtype, batches * m * k), matrix(1, dtype, batches * n * k), Contents::Poison(sums as usize * 4)];
    let times = (rounds * STEPS) as i32;
    let sum = move |at: u64| {
        let (row, other) = (at / n, at / n / m * n + at % n);
        let product: i32 = (0..k).map(|i| small(0, row * k + i) * small(1, other * k + i)).sum();
        encoded(output, f64::from(product * times))
    };
    // By the warp each reads its rows of A and all of B.
    let operands = if stem == "issue_mma" { (m + 4 * n) * K_BYTES } else { (m + n) * K_BYTES };
    let fetches = 1 + constant(macros, "FETCH") * rounds * STEPS;
    let claim = Claim {
        // Each round's sums are added to the total; integers are not counted.
        flops: if output == Dtype::Int32 { 0 } else { sums * rounds },
        tensor_flops: 2 * sums * k * rounds * STEPS,
        read: batches * operands * fetches,
        written: sums * 4,
        looks: false,
        conflict_free: stem != "issue_mma",
    };
    Job { claim: Some(claim), ..job(macros, buffers, (batches, rounds), sum) }
}

/// Products of doubles: 64 rows and columns, 16 along k.
fn doubles(macros: &Macros, batches: u64, rounds: u64) -> Job {
    const SIDE: u64 = 64;
    const K: u64 = 16;
    let (sums, operand) = (batches * SIDE * SIDE, batches * SIDE * K);
    let buffers = vec![matrix(0, Dtype::Fp64, operand), matrix(1, Dtype::Fp64, operand), Contents::Poison(sums as usize * 8)];
    let times = (rounds * STEPS) as i32;
    let sum = move |at: u64| {
        let (row, other) = (at / SIDE, at / SIDE / SIDE * SIDE + at % SIDE);
        let product: i32 = (0..K).map(|i| small(0, row * K + i) * small(1, other * K + i)).sum();
        encoded(Dtype::Fp64, f64::from(product * times))
    };
    let fetches = 1 + constant(macros, "FETCH") * rounds * STEPS;
    let claim = Claim {
        tensor_flops: 2 * sums * K * rounds * STEPS,
        // Each of four warps reads its rows of A and all of B.
        read: batches * 5 * SIDE * K * 8 * fetches,
        written: sums * 8,
        ..Claim::default()
    };
    Job { claim: Some(claim), ..job(macros, buffers, (batches, rounds), sum) }
}

fn shared(macros: &Macros) -> Vec<Job> {
    const SEGMENT: u64 = 4096;
    let job = |segments: u64, passes: u64| {
        let words = segments * SEGMENT;
        let sum = move |at: usize| {
            let words = at as u64 * SEGMENT..(at as u64 + 1) * SEGMENT;
            words.fold(0_u32, |sum, word| sum.wrapping_add(plan::first(SEED, word))).wrapping_mul(passes as u32)
        };
        Job {
            name: format!("{segments} segments, {passes} passes"),
            geometry: Geometry::linear(segments as u32, constant(macros, "THREADS") as u32),
            buffers: vec![filled(words as usize, |at| plan::first(SEED, at as u64)), Contents::Poison(segments as usize * 4)],
            window: None,
            arguments: (0..2).map(Argument::Buffer).chain([words, segments, passes].map(Argument::Word)).collect(),
            expected: vec![(1, equals(sum))],
            claim: Some(Claim {
                read: words * 4,
                written: segments * 4,
                looks: false,
                conflict_free: constant(macros, "STRIDE") == 1,
                ..Claim::default()
            }),
        }
    };
    vec![job(1, 1), job(3, 5)]
}
