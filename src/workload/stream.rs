//! Stream: what memory sustains when almost nothing is computed.
//!
//! Operations and byte counts follow McCalpin's STREAM (1995): every byte read plus every byte written; a write-allocate that the
//! hardware adds is its own affair and shows as loss. `read` sums 32-bit words and `write` stores a pattern, so that each
//! direction is also had alone. Arrays are double precision where the device has it, else single.

use super::{Choice, footprint, oracle, supports};
use crate::{
    dtype::{Dtype, Precision},
    plan::{Arg, Buffer, Check, Op, Pass, Plan, Role, Step, Submit, WorkloadKey, weyl},
    record::{Device, Kind, RateUnit, Work},
    units::{Bytes, Flops, binary},
};

/// McCalpin's scalar.
pub const SCALE: f64 = 3.0;
/// Pieces that `read` and `dot` reduce apart, at the most.
const MOST_SEGMENTS: u64 = 4096;

/// A row an operation.
pub struct Operation {
    pub name: &'static str,
    /// Arrays read and arrays written; partial sums are too small to count.
    reads: u64,
    writes: u64,
    /// Floating-point operations an element.
    flops: u64,
    /// A decision hangs on it.
    sustained: bool,
    element: fn(&Plan, Pass, u64) -> f64,
    fold: fn(&Plan, u32) -> u32,
}

pub const OPERATIONS: &[Operation] = &[
    Operation { name: "read", reads: 1, writes: 0, flops: 0, sustained: true, element: read_element, fold: read_fold },
    Operation { name: "write", reads: 0, writes: 1, flops: 0, sustained: false, element: write_element, fold: write_fold },
    Operation { name: "copy", reads: 1, writes: 1, flops: 0, sustained: false, element: copy_element, fold: copy_fold },
    Operation { name: "scale", reads: 1, writes: 1, flops: 1, sustained: false, element: scale_element, fold: scale_fold },
    Operation { name: "add", reads: 2, writes: 1, flops: 1, sustained: false, element: add_element, fold: add_fold },
    Operation { name: "triad", reads: 2, writes: 1, flops: 2, sustained: true, element: triad_element, fold: triad_fold },
    Operation { name: "dot", reads: 2, writes: 0, flops: 2, sustained: false, element: dot_element, fold: dot_fold },
];

/// `read` from shared memory, a piece of [`SHARED_PIECE`] bytes a block.
pub const SHARED: Operation =
    Operation { name: "shared", reads: 1, writes: 0, flops: 0, sustained: false, element: read_element, fold: read_fold };
/// Bytes of shared memory that a block of `shared` sums.
pub const SHARED_PIECE: u64 = 16 << 10;

/// Plans for one device: one an operation, each array far past the last cache.
pub fn plans(device: &Device, choice: &Choice) -> Vec<Plan> {
    let bytes = footprint(device, choice);
    OPERATIONS
        .iter()
        .map(|operation| Plan { sustained: operation.sustained, ..plan("stream", operation, bytes, 1, device, choice.seed) })
        .collect()
}

/// The operation of that name.
pub fn operation(name: &str) -> Option<&'static Operation> {
    OPERATIONS.iter().find(|operation| operation.name == name)
}

/// A plan over arrays of `bytes` each, `passes` times over in one launch.
pub fn plan(family: &'static str, operation: &'static Operation, bytes: u64, passes: u64, device: &Device, seed: u32) -> Plan {
    let real = if supports(device, "fp64") { Dtype::Fp64 } else { Dtype::Fp32 };
    let dtype = if matches!(operation.name, "read" | "write" | "shared") { Dtype::Uint32 } else { real };
    let n = bytes / dtype.bytes();
    let segments = if operation.name == SHARED.name { bytes / SHARED_PIECE } else { segments(bytes, device) };
    let inputs = operation.reads as usize;
    let mut buffers = vec![Buffer::vector(dtype, n, Role::In); inputs];
    buffers.push(Buffer::vector(dtype, if operation.writes == 0 { segments } else { n }, Role::Out));
    let mut args: Vec<Arg> = (0..=inputs).map(Arg::Buffer).chain([Arg::Count(n)]).collect();
    args.extend(scalars(operation.name, segments, passes, seed));
    Plan {
        key: WorkloadKey { family, operation: operation.name, precision: dtype.to_string(), shape: binary(bytes) },
        precision: Precision::uniform(dtype),
        work: Work {
            flops: Flops(operation.flops * n * passes),
            bytes: Bytes((operation.reads + operation.writes) * bytes * passes),
            items: 0,
        },
        unit: RateUnit::Bytes,
        places: vec![device.id.clone()],
        program: vec![Step { stream: 0, op: Op::Kernel { stem: operation.name, args } }],
        submit: Submit::Stream,
        check: Check {
            output: inputs,
            element: operation.element,
            fold: operation.fold,
            bound: bound(operation.name, n / segments),
            tolerance: tolerance(operation.name, dtype, n / segments),
            relative: 0.0,
        },
        buffers,
        also: Vec::new(),
        seed,
        sustained: false,
    }
}

/// What follows buffers and length, by stem (see [`crate::plan`]).
fn scalars(name: &str, segments: u64, passes: u64, seed: u32) -> Vec<Arg> {
    match name {
        "read" | "shared" => vec![Arg::Count(segments), Arg::Count(passes)],
        "write" => vec![Arg::Count(u64::from(seed))],
        "scale" => vec![Arg::Real(SCALE)],
        "triad" => vec![Arg::Count(passes), Arg::Real(SCALE)],
        "dot" => vec![Arg::Count(segments)],
        _ => Vec::new(),
    }
}

/// Pieces of 16 KiB, but enough for every unit to have one, and at most [`MOST_SEGMENTS`]; a power of two.
fn segments(bytes: u64, device: &Device) -> u64 {
    // Where a GPU does not say how many units it has, enough for a middling one.
    const UNKNOWN: u32 = 64;
    let guess = if device.kind == Kind::Gpu { UNKNOWN } else { 1 };
    let units = u64::from(device.units.unwrap_or(guess)).next_power_of_two();
    let pieces = (bytes >> 14).max(1).next_power_of_two();
    pieces.max(units).min(MOST_SEGMENTS).min((bytes >> 8).max(1))
}

/// Largest sum of the exact pass, of inputs up to 3 in magnitude.
fn bound(name: &str, segment: u64) -> u64 {
    match name {
        "copy" => 3,
        "scale" => 9,
        "add" => 6,
        "triad" => 12,
        "dot" => 9 * segment,
        _ => 0,
    }
}

/// Roundings of values below 64 in magnitude, one or two of them; sums by [`oracle::sum_tolerance`].
fn tolerance(name: &str, dtype: Dtype, segment: u64) -> f64 {
    let roundoff = dtype.roundoff();
    match name {
        "scale" | "add" => 64.0 * roundoff,
        "triad" => 2.0 * 64.0 * roundoff,
        "dot" => oracle::sum_tolerance(segment, roundoff),
        _ => 0.0,
    }
}

fn count(plan: &Plan, index: usize) -> u64 {
    let Op::Kernel { args, .. } = &plan.program[0].op else { return 0 };
    let mut counts = args.iter().filter_map(|arg| if let Arg::Count(count) = arg { Some(*count) } else { None });
    counts.nth(index).unwrap_or(0)
}

/// Begin and end of the segment that partial `p` covers.
fn segment(plan: &Plan, p: u64) -> (u64, u64) {
    let length = plan.buffers[0].elements / plan.buffers[plan.check.output].elements;
    (p * length, (p + 1) * length)
}

fn read_partial(plan: &Plan, p: u64) -> u32 {
    let (from, to) = segment(plan, p);
    oracle::words(plan.buffer_seed(0), from, to).wrapping_mul(count(plan, 2) as u32)
}

fn read_element(plan: &Plan, _: Pass, p: u64) -> f64 {
    f64::from(read_partial(plan, p))
}

fn read_fold(plan: &Plan, seed: u32) -> u32 {
    use rayon::prelude::*;
    let partials: Vec<u32> = (0..plan.buffers[1].elements).into_par_iter().map(|p| read_partial(plan, p)).collect();
    oracle::vector(plan.buffers[1].elements, seed, |p| partials[p as usize])
}

fn write_element(plan: &Plan, _: Pass, j: u64) -> f64 {
    f64::from(weyl(plan.seed, j))
}

fn write_fold(plan: &Plan, seed: u32) -> u32 {
    oracle::vector(plan.buffers[0].elements, seed, |j| weyl(plan.seed, j))
}

fn copy_element(plan: &Plan, pass: Pass, e: u64) -> f64 {
    plan.input(0, pass, e)
}

fn copy_fold(plan: &Plan, seed: u32) -> u32 {
    oracle::vector(plan.buffers[1].elements, seed, oracle::integer(plan, 0))
}

fn scale_element(plan: &Plan, pass: Pass, e: u64) -> f64 {
    SCALE * plan.input(0, pass, e)
}

fn scale_fold(plan: &Plan, seed: u32) -> u32 {
    let a = oracle::integer(plan, 0);
    oracle::vector(plan.buffers[1].elements, seed, |e| a(e).wrapping_mul(SCALE as u32))
}

fn add_element(plan: &Plan, pass: Pass, e: u64) -> f64 {
    plan.input(0, pass, e) + plan.input(1, pass, e)
}

fn add_fold(plan: &Plan, seed: u32) -> u32 {
    let (a, b) = (oracle::integer(plan, 0), oracle::integer(plan, 1));
    oracle::vector(plan.buffers[2].elements, seed, |e| a(e).wrapping_add(b(e)))
}

fn triad_element(plan: &Plan, pass: Pass, e: u64) -> f64 {
    plan.input(0, pass, e) + SCALE * plan.input(1, pass, e)
}

fn triad_fold(plan: &Plan, seed: u32) -> u32 {
    let (a, b) = (oracle::integer(plan, 0), oracle::integer(plan, 1));
    oracle::vector(plan.buffers[2].elements, seed, |e| a(e).wrapping_add(b(e).wrapping_mul(SCALE as u32)))
}

fn dot_element(plan: &Plan, pass: Pass, p: u64) -> f64 {
    let (from, to) = segment(plan, p);
    oracle::dot(plan, pass, from, to)
}

fn dot_fold(plan: &Plan, seed: u32) -> u32 {
    use rayon::prelude::*;
    let (a, b) = (oracle::integer(plan, 0), oracle::integer(plan, 1));
    let partial = |p: u64| {
        let (from, to) = segment(plan, p);
        oracle::stretch(from, to, |e| a(e).wrapping_mul(b(e)))
    };
    let partials: Vec<u32> = (0..plan.buffers[2].elements).into_par_iter().map(partial).collect();
    oracle::vector(plan.buffers[2].elements, seed, |p| partials[p as usize])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{COLUMN, ROW, weight};

    fn device() -> Device {
        Device { precisions: vec!["fp64".into()], units: Some(2), ..Device::new("x:0", "x", Kind::Fake, "x") }
    }

    fn tiny(name: &str) -> Plan {
        plan("stream", operation(name).expect("a row"), 64 << 10, 3, &device(), 7)
    }

    #[test]
    fn triad_counts_three_arrays_a_pass() {
        let plan = tiny("triad");
        assert_eq!(plan.work.bytes, Bytes(3 * 3 * (64 << 10)));
        assert_eq!(plan.work.flops, Flops(3 * 2 * (8 << 10)));
        assert_eq!(plan.key.id(), "stream/fp64/triad/64KiB");
    }

    #[test]
    fn every_fold_agrees_with_its_elements() {
        for operation in OPERATIONS.iter().chain([&SHARED]) {
            let plan = plan("stream", operation, 64 << 10, 3, &device(), 7);
            let output = plan.buffers[plan.check.output];
            let by_element = (0..output.elements).fold(0_u32, |sum, e| {
                let value = (plan.check.element)(&plan, Pass::Exact, e) as i64 as u32;
                sum.wrapping_add(value.wrapping_mul(weight(9 ^ ROW, e)).wrapping_mul(weight(9 ^ COLUMN, 0)))
            });
            assert_eq!((plan.check.fold)(&plan, 9), by_element, "{}", operation.name);
        }
    }

    #[test]
    fn single_precision_serves_where_double_is_missing() {
        let device = Device { precisions: vec!["fp32".into()], ..Device::new("x:0", "x", Kind::Gpu, "x") };
        let plan = plan("stream", operation("copy").expect("a row"), 1 << 20, 1, &device, 7);
        assert_eq!((plan.key.precision.as_str(), plan.buffers[0].elements), ("fp32", 1 << 18));
    }

    #[test]
    fn segments_are_whole_and_enough() {
        let device = Device { units: Some(132), ..Device::new("x:0", "x", Kind::Gpu, "x") };
        for bytes in [16 << 10, 1 << 20, 96 << 20, 1 << 30, 3 << 30] {
            let segments = segments(bytes, &device);
            assert!(segments.is_power_of_two() && bytes % segments == 0 && segments <= MOST_SEGMENTS);
            assert!(segments >= 64, "{bytes}: {segments}");
        }
    }
}
