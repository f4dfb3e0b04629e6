//! Small plans of every stem, and what the host makes of them.

use assay::{
    dtype::{Dtype, Precision},
    plan::{
        Arg::{self, Buffer as B, Count as N, Real as R},
        Buffer, COLUMN, Check, Fold, Op, Pass, Plan, ROW, Role, Step, Submit, WorkloadKey, weight, weyl,
    },
    record::{RateUnit, Work},
    units::{Bytes, Flops},
};

pub const SEED: u32 = 0x00C0_FFEE;
pub const FACTOR: f64 = 3.0;

pub fn plan(stem: &'static str, buffers: Vec<Buffer>, args: Vec<Arg>) -> Plan {
    let output = buffers.iter().position(|buffer| buffer.role == Role::Out).unwrap_or(0);
    Plan {
        key: WorkloadKey { family: "test", operation: stem, precision: "fp32".into(), shape: "small".into() },
        precision: Precision::uniform(Dtype::Fp32),
        work: Work { flops: Flops(0), bytes: Bytes(0), items: 0 },
        unit: RateUnit::Bytes,
        places: vec!["wgpu:0".into()],
        buffers,
        program: vec![Step { stream: 0, op: Op::Kernel { stem, args } }],
        submit: Submit::Stream,
        check: Check { output, element: |_, _, _| 0.0, fold: |_, _| 0, bound: 0, tolerance: 0.0, relative: 0.0 },
        also: Vec::new(),
        seed: SEED,
        sustained: false,
    }
}

fn vectors(dtype: Dtype, inputs: usize, n: u64, output: u64) -> Vec<Buffer> {
    let mut buffers = vec![Buffer::vector(dtype, n, Role::In); inputs];
    buffers.push(Buffer::vector(dtype, output, Role::Out));
    buffers
}

/// Every stream stem over `n` elements; `n` is a multiple of `segments`.
pub fn streams(n: u64, segments: u64, passes: u64) -> Vec<Plan> {
    let fp32 = |inputs| vectors(Dtype::Fp32, inputs, n, n);
    vec![
        plan("read", vectors(Dtype::Uint32, 1, n, segments), vec![B(0), B(1), N(n), N(segments), N(passes)]),
        plan("write", vectors(Dtype::Uint32, 0, 0, n), vec![B(0), N(n), N(u64::from(SEED))]),
        plan("copy", fp32(1), vec![B(0), B(1), N(n)]),
        plan("scale", fp32(1), vec![B(0), B(1), N(n), R(FACTOR)]),
        plan("add", fp32(2), vec![B(0), B(1), B(2), N(n)]),
        plan("triad", fp32(2), vec![B(0), B(1), B(2), N(n), N(passes), R(FACTOR)]),
        plan("dot", vectors(Dtype::Fp32, 2, n, segments), vec![B(0), B(1), B(2), N(n), N(segments)]),
    ]
}

/// A chain of dispatches that depend on each other.
pub fn chain(length: u64, submit: Submit) -> Plan {
    let link = |index| Step { stream: 0, op: Op::Kernel { stem: "link", args: vec![B(0), B(1), N(index)] } };
    let program = (0..length).map(link).collect();
    Plan { program, submit, ..plan("link", vectors(Dtype::Uint32, 1, 1, length), Vec::new()) }
}

pub fn matmul(m: u64, n: u64, k: u64) -> Plan {
    let buffers = vec![
        Buffer::matrix(Dtype::Fp32, m, k, Role::In),
        Buffer::matrix(Dtype::Fp32, k, n, Role::In),
        Buffer::matrix(Dtype::Fp32, m, n, Role::Out),
    ];
    plan("matmul", buffers, vec![B(0), B(1), B(2), N(m), N(n), N(k)])
}

/// The output as the host computes it, in double precision; words for `uint32`.
pub fn expected(plan: &Plan, pass: Pass) -> Vec<f64> {
    let Op::Kernel { stem, args } = &plan.program[0].op else { panic!("a kernel was planned") };
    let at = |buffer: usize, element: u64| plan.input(buffer, pass, element);
    let output = plan.buffers[plan.check.output].elements;
    let element = |e: u64| match (*stem, args.as_slice()) {
        ("read", &[_, _, N(n), N(segments), N(passes)]) => {
            let sum = segment(n, segments, e).fold(0_u32, |sum, j| sum.wrapping_add(at(0, j) as u32));
            f64::from(sum.wrapping_mul(passes as u32))
        }
        ("link", _) => f64::from((at(0, 0) as u32).wrapping_add(e as u32 + 1)),
        ("write", _) => f64::from(weyl(SEED, e)),
        ("copy", _) => at(0, e),
        ("scale", _) => FACTOR * at(0, e),
        ("add", _) => at(0, e) + at(1, e),
        ("triad", _) => at(0, e) + FACTOR * at(1, e),
        ("dot", &[_, _, _, N(n), N(segments)]) => segment(n, segments, e).map(|j| at(0, j) * at(1, j)).sum(),
        ("matmul", &[_, _, _, N(_), N(n), N(k)]) => (0..k).map(|d| at(0, e / n * k + d) * at(1, d * n + e % n)).sum(),
        other => panic!("no oracle for {other:?}"),
    };
    (0..output).map(element).collect()
}

fn segment(n: u64, segments: u64, index: u64) -> std::ops::Range<u64> {
    let length = n / segments;
    index * length..(index + 1) * length
}

/// The fold of values that are exact in the buffer's format.
pub fn folded(buffer: &Buffer, values: &[f64], fold: Fold, seed: u32) -> u32 {
    let term = |(e, value): (u64, &f64)| match fold {
        Fold::Bits if buffer.dtype == Dtype::Fp32 => (*value as f32).to_bits().wrapping_mul(weight(seed, e)),
        Fold::Bits => (*value as u32).wrapping_mul(weight(seed, e)),
        Fold::Values => (*value as i64 as u32)
            .wrapping_mul(weight(seed ^ ROW, e / buffer.columns))
            .wrapping_mul(weight(seed ^ COLUMN, e % buffer.columns)),
    };
    (0..).zip(values).map(term).fold(0, u32::wrapping_add)
}
