//! The jobs of the shipped kernels: shapes whole and ragged, inputs from the generator, references written independently of them.

use crate::job::{Argument, Claim, Contents, Job, equals, filled};
use crate::products::encoded;
use assay::{dtype::Dtype, plan, plan::Pass};
use simt::Geometry;
use std::collections::BTreeMap;

/// A kernel's compile-time constants.
pub type Macros = BTreeMap<String, String>;

/// A constant that is a number, zero where there is none.
pub fn constant(macros: &Macros, name: &str) -> u64 {
    macros.get(name).and_then(|value| value.parse().ok()).unwrap_or(0)
}

pub const SEED: u32 = 0x5eed;
/// A seed of which all bits matter.
pub const HIGH: u32 = 0xc0de_5eed;

/// The jobs of a stem in one of its configurations; `None` for a stem that is not known here.
pub fn jobs(stem: &str, macros: &Macros) -> Option<Vec<Job>> {
    Some(match stem {
        "copy" => elementwise(macros, 1, 0, |x, _| x),
        "scale" => elementwise(macros, 1, 1, |x, _| 3.25 * x),
        "add" => elementwise(macros, 2, 1, |x, y| x + y),
        "triad" => triad(macros),
        "write" => write(macros),
        "read" => read(macros),
        "dot" => dot(macros),
        "link" => link(macros),
        "fill" => fill(macros),
        "fold" => fold(macros),
        "prune" => prune(macros),
        _ => {
            let elsewhere = [crate::memory::jobs, crate::issue::jobs, crate::residual::jobs, crate::products::jobs];
            return elsewhere.into_iter().find_map(|jobs| jobs(stem, macros));
        }
    })
}

/// Blocks, so that each takes several turns and the last is ragged.
pub const BLOCKS: u32 = 3;

/// Doubles, or pairs of words, of a vector.
fn width(macros: &Macros) -> u64 {
    if macros.contains_key("WIDE") { 4 } else { 2 }
}

/// Vectors of a turn.
fn turn(macros: &Macros, arrays: u64) -> u64 {
    let loads = constant(macros, "LOADS").max(constant(macros, "STORES"));
    constant(macros, "THREADS") * (if arrays > 1 { (loads / 2).max(1) } else { loads })
}

pub fn geometry(macros: &Macros, blocks: u32) -> Geometry {
    let linear = Geometry::linear(blocks, constant(macros, "THREADS") as u32);
    Geometry { dynamic_shared: constant(macros, "SHARED") as u32, ..linear }
}

pub fn double(buffer: u32, at: usize) -> f64 {
    plan::random_f64(plan::buffer_seed(SEED, buffer), at as u64)
}

fn elementwise(macros: &Macros, inputs: u64, flops: u64, value: fn(f64, f64) -> f64) -> Vec<Job> {
    let turns = turn(macros, inputs) * width(macros);
    let job = |elements: u64| {
        let mut buffers: Vec<_> = (0..inputs as u32).map(|buffer| filled(elements as usize, |at| double(buffer, at))).collect();
        buffers.push(Contents::Poison(elements as usize * 8));
        let mut arguments: Vec<_> = (0..=inputs as usize).map(Argument::Buffer).collect();
        arguments.push(Argument::Word(elements));
        // `scale` alone takes a factor; the others have no further parameter.
        arguments.push(Argument::Word(3.25_f64.to_bits()));
        let claim = Claim { flops: flops * elements, read: inputs * elements * 8, written: elements * 8, ..Claim::default() };
        Job {
            name: format!("{elements} elements"),
            geometry: geometry(macros, BLOCKS),
            buffers,
            window: None,
            arguments,
            expected: vec![(inputs as usize, equals(move |at| value(double(0, at), if inputs > 1 { double(1, at) } else { 0.0 })))],
            claim: Some(claim),
        }
    };
    vec![job(turns * 4), job(turns * 3 + 2 * constant(macros, "THREADS") + 79), job(5)]
}

fn triad(macros: &Macros) -> Vec<Job> {
    let turns = turn(macros, 2) * width(macros);
    let job = |elements: u64, passes: u64| Job {
        name: format!("{elements} elements, {passes} passes"),
        geometry: geometry(macros, BLOCKS),
        buffers: vec![
            filled(elements as usize, |at| double(0, at)),
            filled(elements as usize, |at| double(1, at)),
            Contents::Poison(elements as usize * 8),
        ],
        window: None,
        arguments: vec![
            Argument::Buffer(0),
            Argument::Buffer(1),
            Argument::Buffer(2),
            Argument::Word(elements),
            Argument::Word(passes),
            Argument::Word(3.25_f64.to_bits()),
        ],
        // The compiler contracts the product and the sum into one rounding.
        expected: vec![(2, equals(|at| 3.25_f64.mul_add(double(1, at), double(0, at))))],
        claim: Some(Claim {
            flops: 2 * elements * passes,
            read: 16 * elements * passes,
            written: 8 * elements * passes,
            ..Claim::default()
        }),
    };
    vec![job(turns * 4, 1), job(turns * 4, 2), job(turns * 2 + 301, 1), job(turns * 3 + 2 * constant(macros, "THREADS") + 8, 1)]
}

fn write(macros: &Macros) -> Vec<Job> {
    let words = turn(macros, 1) * 2 * width(macros);
    let job = |words: u64| Job {
        name: format!("{words} words"),
        geometry: geometry(macros, BLOCKS),
        buffers: vec![Contents::Poison(words as usize * 4)],
        window: None,
        arguments: vec![Argument::Buffer(0), Argument::Word(words), Argument::Word(u64::from(SEED))],
        expected: vec![(0, equals(|at| plan::weyl(SEED, at as u64)))],
        claim: Some(Claim { written: words * 4, ..Claim::default() }),
    };
    vec![job(words * 4), job(words * 3 + 1111), job(7), job(4)]
}

fn read(macros: &Macros) -> Vec<Job> {
    let segment = turn(macros, 1) * 2 * width(macros);
    let job = |length: u64, segments: u64, passes: u64| Job {
        name: format!("{segments} segments of {length} words, {passes} passes"),
        geometry: geometry(macros, BLOCKS),
        buffers: vec![
            filled((length * segments) as usize, |at| plan::first(SEED, at as u64)),
            Contents::Poison(segments as usize * 4),
        ],
        window: None,
        arguments: vec![
            Argument::Buffer(0),
            Argument::Buffer(1),
            Argument::Word(length * segments),
            Argument::Word(segments),
            Argument::Word(passes),
        ],
        expected: vec![(
            1,
            equals(move |at| {
                let words = at as u64 * length..(at as u64 + 1) * length;
                words.fold(0_u32, |sum, word| sum.wrapping_add(plan::first(SEED, word))).wrapping_mul(passes as u32)
            }),
        )],
        claim: Some(Claim { read: length * segments * passes * 4, written: segments * 4, ..Claim::default() }),
    };
    vec![job(segment * 2, 4, 2), job(segment + 4 * 777, 5, 1), job(1021, 4, 3), job(101, 4, 1), job(8, 4, 1)]
}

fn link(macros: &Macros) -> Vec<Job> {
    let job = |index: u64| Job {
        name: format!("link {index}"),
        geometry: geometry(macros, 1),
        buffers: vec![filled(1, |_| 70_u32), filled(4, |at| at as u32 * 11)],
        window: None,
        arguments: vec![Argument::Buffer(0), Argument::Buffer(1), Argument::Word(index)],
        expected: vec![(
            1,
            equals(move |at| match at as u64 {
                at if at != index => at as u32 * 11,
                0 => 71,
                at => (at as u32 - 1) * 11 + 1,
            }),
        )],
        claim: Some(Claim { read: 4 * (1 + constant(macros, "DETOURS")), written: 4, ..Claim::default() }),
    };
    vec![job(0), job(1), job(3)]
}

/// Additions beyond two an element: each thread joins its sums, and a block's threads join theirs.
fn reduction(macros: &Macros, length: u64, segments: u64) -> u64 {
    let threads = constant(macros, "THREADS");
    let held = if length.is_multiple_of(width(macros)) { (constant(macros, "LOADS") / 2).max(1) } else { 1 };
    segments * (threads * (held - 1) + 5 * threads + threads / 32)
}

fn dot(macros: &Macros) -> Vec<Job> {
    let segment = turn(macros, 2) * width(macros);
    let job = |length, segments| products(macros, (length, segments), reduction(macros, length, segments));
    vec![job(segment * 3, 4), job(segment + 2 * 777, 5), job(1021, 4), job(4, 4)]
}

/// The sum of products over each of so many segments, with the additions that join what threads hold.
pub fn products(macros: &Macros, (length, segments): (u64, u64), joins: u64) -> Job {
    // Small integers, so that the order of summation does not matter.
    let small = |buffer: u32, at: u64| f64::from(plan::small(plan::buffer_seed(SEED, buffer), at));
    Job {
        name: format!("{segments} segments of {length} elements"),
        geometry: geometry(macros, BLOCKS),
        buffers: vec![
            filled((length * segments) as usize, |at| small(0, at as u64)),
            filled((length * segments) as usize, |at| small(1, at as u64)),
            Contents::Poison(segments as usize * 8),
        ],
        window: None,
        arguments: (0..3).map(Argument::Buffer).chain([length * segments, segments].map(Argument::Word)).collect(),
        expected: vec![(
            2,
            equals(move |at| {
                (at as u64 * length..(at as u64 + 1) * length).map(|element| small(0, element) * small(1, element)).sum::<f64>()
            }),
        )],
        claim: Some(Claim {
            flops: 2 * length * segments + joins,
            read: length * segments * 16,
            written: segments * 8,
            ..Claim::default()
        }),
    }
}

/// Elements that do not fit 32 bits, and the number of blocks of 256 threads before them.
const BEYOND: u64 = 1 << 32;
const FAR_BLOCKS: u32 = 1 << 24;

/// A value of the generator as the bytes of its format; the passes are numbered as for the kernel.
fn generated(dtype: Dtype, pass: u64, gap: u64, element: u64) -> Vec<u8> {
    let pass = [Pass::Exact, Pass::Random, Pass::Zeros][pass as usize];
    match dtype {
        Dtype::Uint32 if pass != Pass::Zeros => plan::first(SEED, element).to_le_bytes().to_vec(),
        _ => encoded(dtype, plan::value(dtype, pass, SEED, gap, element)),
    }
}

fn fill(macros: &Macros) -> Vec<Job> {
    let formats = [
        ("Single", Dtype::Fp32),
        ("Double", Dtype::Fp64),
        ("Word", Dtype::Uint32),
        ("Byte", Dtype::Int8),
        ("Tf32", Dtype::Tf32),
        ("Fp16", Dtype::Fp16),
        ("Bf16", Dtype::Bf16),
        ("E4m3", Dtype::E4m3),
        ("E5m2", Dtype::E5m2),
        ("Fp4", Dtype::Fp4),
    ];
    let dtype = formats.into_iter().find(|(name, _)| *name == macros["FORMAT"]).map(|(_, dtype)| dtype).expect("a known format");
    if dtype == Dtype::Fp4 {
        return fill_halves(macros);
    }
    let bytes = dtype.bytes() as usize;
    let job = |from: u64, elements: u64, (pass, gap): (u64, u64)| {
        let far = from > 0;
        let words = [from + elements, u64::from(SEED), pass, gap].map(Argument::Word);
        let right = move |at: usize| generated(dtype, pass, gap, from + (at / bytes) as u64)[at % bytes];
        Job {
            name: format!("{elements} elements from {from}, pass {pass}, gap {gap}"),
            geometry: geometry(macros, if far { FAR_BLOCKS + 3 } else { BLOCKS }),
            buffers: vec![Contents::Poison(elements as usize * bytes)],
            window: far.then_some((from as usize * bytes, (u64::from(FAR_BLOCKS), u64::MAX))),
            arguments: [Argument::Buffer(0)].into_iter().chain(words).collect(),
            expected: vec![(0, equals(right))],
            claim: Some(Claim { written: elements * bytes as u64, ..Claim::default() }).filter(|_| dtype == Dtype::Uint32),
        }
    };
    vec![
        job(0, 4000, (0, 1)),
        job(0, 4000, (0, 16)),
        job(0, 4001, (1, 1)),
        job(0, 333, (2, 1)),
        job(BEYOND, 600, (0, 1)),
        job(BEYOND, 600, (0, 64)),
        job(BEYOND, 600, (1, 1)),
    ]
}

/// Elements that are told apart by their bits, of which two of each four stay as they are.
fn prune(macros: &Macros) -> Vec<Job> {
    let size = if macros["FOUR"] == "u32" { 1 } else { 2 };
    let value = move |at: usize| plan::first(!SEED, at as u64) | 1;
    let job = |from: u64, fours: u64| {
        let (far, first) = (from > 0, from * 4);
        let element = move |at: usize| if plan::kept(HIGH, first + at as u64) { value(at) } else { 0 };
        Job {
            name: format!("{fours} times four from {from}"),
            geometry: geometry(macros, if far { FAR_BLOCKS + 3 } else { BLOCKS }),
            buffers: vec![Contents::Filled(
                (0..fours as usize * 4).flat_map(|at| value(at).to_le_bytes().into_iter().take(size)).collect(),
            )],
            window: far.then_some(((first as usize) * size, (u64::from(FAR_BLOCKS), u64::MAX))),
            arguments: vec![Argument::Buffer(0), Argument::Word(from + fours), Argument::Word(u64::from(HIGH))],
            expected: vec![(0, equals(move |at| element(at / size).to_le_bytes()[at % size]))],
            claim: Some(Claim { read: fours * 4 * size as u64, written: fours * 4 * size as u64, ..Claim::default() }),
        }
    };
    vec![job(0, 2000), job(0, 769), job(0, 3), job(BEYOND, 600)]
}

/// The same where two elements share a byte.
fn fill_halves(macros: &Macros) -> Vec<Job> {
    let job = |elements: u64, (pass, gap): (u64, u64)| {
        let half = move |at: u64| {
            let pass = [Pass::Exact, Pass::Random, Pass::Zeros][pass as usize];
            let value = plan::value(Dtype::Fp4, pass, SEED, gap, at);
            // A number too small for the format keeps its sign.
            let sign = pass == Pass::Random && plan::random_f32(SEED, at) < 0.0;
            encoded(Dtype::Fp4, value)[0] | u8::from(sign) << 3
        };
        Job {
            name: format!("{elements} elements of four bits, pass {pass}, gap {gap}"),
            geometry: geometry(macros, BLOCKS),
            buffers: vec![Contents::Poison(elements as usize / 2)],
            window: None,
            arguments: [Argument::Buffer(0)]
                .into_iter()
                .chain([elements, u64::from(SEED), pass, gap].map(Argument::Word))
                .collect(),
            expected: vec![(0, equals(move |at| half(at as u64 * 2) | half(at as u64 * 2 + 1) << 4))],
            claim: None,
        }
    };
    vec![job(4000, (0, 1)), job(4000, (0, 16)), job(6002, (1, 1)), job(334, (2, 1))]
}

fn fold(macros: &Macros) -> Vec<Job> {
    let dtype = match macros["ELEMENT"].as_str() {
        "float" => Dtype::Fp32,
        "double" => Dtype::Fp64,
        "Fp16" => Dtype::Fp16,
        "Bf16" => Dtype::Bf16,
        _ => Dtype::Int32,
    };
    let bytes = dtype.bytes();
    let hashes = constant(macros, "BITS") == 1;
    let job = |from: u64, elements: u64, columns: u64| {
        let integer = move |at: usize| (plan::small(SEED, at as u64) * 85) as u32;
        // Larger than the generator's, so that every bit of a narrow format is used.
        let contents = (0..elements).flat_map(|at| encoded(dtype, f64::from(integer(at as usize) as i32))).collect();
        let weight = move |at: u64| {
            if hashes {
                plan::weight(7, at)
            } else {
                plan::weight(7 ^ plan::ROW, at / columns).wrapping_mul(plan::weight(7 ^ plan::COLUMN, at % columns))
            }
        };
        let sum = (0..elements).fold(0_u32, |sum, at| sum.wrapping_add(integer(at as usize).wrapping_mul(weight(from + at))));
        let far = from > 0;
        Job {
            name: format!("{elements} elements from {from} in rows of {columns}"),
            geometry: geometry(macros, if far { FAR_BLOCKS + 3 } else { BLOCKS }),
            buffers: vec![Contents::Filled(contents), filled(1, |_| 11_u32)],
            window: far.then_some(((from * bytes) as usize, (u64::from(FAR_BLOCKS), u64::MAX))),
            arguments: vec![
                Argument::Buffer(0),
                Argument::Buffer(1),
                Argument::Word(from + elements),
                Argument::Word(columns),
                Argument::Word(7),
            ],
            expected: vec![(1, equals(move |_| sum.wrapping_add(11)))],
            claim: None,
        }
    };
    vec![
        job(0, 5000, 50),
        job(0, 3001, 3001),
        job(0, 4096, 7),
        job(BEYOND, 600, 77),
        // Rows and columns that do not fit 32 bits themselves.
        job(BEYOND, 600, 1),
        job(BEYOND, 600, BEYOND * 2),
    ]
}
