//! The jobs of the shipped kernels: shapes whole and ragged, inputs from the generator, references written independently of them.

use crate::job::{Argument, Claim, Contents, Expected, Job, equals, filled};
use assay::plan;
use simt::Geometry;
use std::collections::BTreeMap;

/// A kernel's compile-time constants.
pub type Macros = BTreeMap<String, String>;

fn constant(macros: &Macros, name: &str) -> u64 {
    macros.get(name).and_then(|value| value.parse().ok()).unwrap_or(0)
}

const SEED: u32 = 0x5eed;

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
        "fill" => fill(macros),
        "fold" => fold(macros),
        "matmul" => matmul(macros),
        _ => return crate::tensor::jobs(stem),
    })
}

/// Blocks, so that each takes several turns and the last is ragged.
const BLOCKS: u32 = 3;

fn turn(macros: &Macros, arrays: u64) -> u64 {
    let loads = constant(macros, "LOADS").max(constant(macros, "STORES"));
    constant(macros, "THREADS") * (if arrays > 1 { (loads / 2).max(1) } else { loads })
}

fn geometry(macros: &Macros, blocks: u32) -> Geometry {
    Geometry::linear(blocks, constant(macros, "THREADS") as u32)
}

fn double(buffer: u32, at: usize) -> f64 {
    plan::random_f64(plan::buffer_seed(SEED, buffer), at as u64)
}

fn elementwise(macros: &Macros, inputs: u64, flops: u64, value: fn(f64, f64) -> f64) -> Vec<Job> {
    let turns = turn(macros, inputs) * 2;
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
    vec![job(turns * 4), job(turns * 3 + 2 * constant(macros, "THREADS") + 77), job(5)]
}

fn triad(macros: &Macros) -> Vec<Job> {
    let turns = turn(macros, 2) * 2;
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
    let words = turn(macros, 1) * 4;
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
    let segment = turn(macros, 1) * 4;
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

/// Additions beyond two an element: each thread joins its sums, and a block's threads join theirs.
fn reduction(macros: &Macros, length: u64, segments: u64) -> u64 {
    let threads = constant(macros, "THREADS");
    let held = if length.is_multiple_of(2) { (constant(macros, "LOADS") / 2).max(1) } else { 1 };
    segments * (threads * (held - 1) + 5 * threads + threads / 32)
}

fn dot(macros: &Macros) -> Vec<Job> {
    let segment = turn(macros, 2) * 2;
    // Small integers, so that the order of summation does not matter.
    let small = |buffer: u32, at: u64| f64::from(plan::small(plan::buffer_seed(SEED, buffer), at));
    let job = |length: u64, segments: u64| Job {
        name: format!("{segments} segments of {length} elements"),
        geometry: geometry(macros, BLOCKS),
        buffers: vec![
            filled((length * segments) as usize, |at| small(0, at as u64)),
            filled((length * segments) as usize, |at| small(1, at as u64)),
            Contents::Poison(segments as usize * 8),
        ],
        window: None,
        arguments: vec![
            Argument::Buffer(0),
            Argument::Buffer(1),
            Argument::Buffer(2),
            Argument::Word(length * segments),
            Argument::Word(segments),
        ],
        expected: vec![(
            2,
            equals(move |at| {
                (at as u64 * length..(at as u64 + 1) * length).map(|element| small(0, element) * small(1, element)).sum::<f64>()
            }),
        )],
        claim: Some(Claim {
            flops: 2 * length * segments + reduction(macros, length, segments),
            read: length * segments * 16,
            written: segments * 8,
            ..Claim::default()
        }),
    };
    vec![job(segment * 3, 4), job(segment + 2 * 777, 5), job(1021, 4), job(4, 4)]
}

/// Elements that do not fit 32 bits, and the number of blocks of 256 threads before them.
const BEYOND: u64 = 1 << 32;
const FAR_BLOCKS: u32 = 1 << 24;

fn fill_expected(element: &str, pass: u64, from: u64) -> Expected {
    match element {
        "float" => equals(move |at| match pass {
            0 => plan::small(SEED, from + at as u64) as f32,
            1 => plan::random_f32(SEED, from + at as u64),
            _ => 0.0,
        }),
        "double" => equals(move |at| match pass {
            0 => f64::from(plan::small(SEED, from + at as u64)),
            1 => plan::random_f64(SEED, from + at as u64),
            _ => 0.0,
        }),
        _ => equals(move |at| if pass > 1 { 0 } else { plan::first(SEED, from + at as u64) }),
    }
}

fn fill(macros: &Macros) -> Vec<Job> {
    let element = macros["ELEMENT"].clone();
    let bytes = if element == "double" { 8 } else { 4 };
    let job = |elements: u64, pass: u64| Job {
        name: format!("{elements} elements, pass {pass}"),
        geometry: geometry(macros, BLOCKS),
        buffers: vec![Contents::Poison(elements as usize * bytes)],
        window: None,
        arguments: vec![Argument::Buffer(0), Argument::Word(elements), Argument::Word(u64::from(SEED)), Argument::Word(pass)],
        expected: vec![(0, fill_expected(&element, pass, 0))],
        claim: Some(Claim { written: elements * bytes as u64, ..Claim::default() }).filter(|_| element == "u32"),
    };
    let far = |pass: u64| Job {
        name: format!("elements beyond 2^32, pass {pass}"),
        geometry: geometry(macros, FAR_BLOCKS + 3),
        window: Some((BEYOND as usize * bytes, (u64::from(FAR_BLOCKS), u64::MAX))),
        expected: vec![(0, fill_expected(&element, pass, BEYOND))],
        arguments: vec![Argument::Buffer(0), Argument::Word(BEYOND + 600), Argument::Word(u64::from(SEED)), Argument::Word(pass)],
        claim: None,
        ..job(600, pass)
    };
    vec![job(4000, 0), job(4001, 1), job(333, 2), far(0), far(1)]
}

fn fold(macros: &Macros) -> Vec<Job> {
    let element = macros["ELEMENT"].clone();
    let bytes = if element == "double" { 8 } else { 4 };
    let hashes = constant(macros, "BITS") == 1;
    let job = |from: u64, elements: u64, columns: u64| {
        let integer = move |at: usize| plan::small(SEED, at as u64) as u32;
        let contents = match element.as_str() {
            "float" => filled(elements as usize, |at| plan::small(SEED, at as u64) as f32),
            "double" => filled(elements as usize, |at| f64::from(plan::small(SEED, at as u64))),
            _ => filled(elements as usize, integer),
        };
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
            buffers: vec![contents, filled(1, |_| 11_u32)],
            window: far.then_some((from as usize * bytes, (u64::from(FAR_BLOCKS), u64::MAX))),
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

/// Steps of k that pass through shared memory together.
const SLAB: u64 = 16;

fn matmul(macros: &Macros) -> Vec<Job> {
    let (tile_m, tile_n) = (constant(macros, "TILE_M"), constant(macros, "TILE_N"));
    let threads = 32 * constant(macros, "WARPS_M") * constant(macros, "WARPS_N");
    let small = |buffer: u32, at: u64| plan::small(plan::buffer_seed(SEED, buffer), at) as f32;
    let job = |m: u64, n: u64, k: u64| {
        let product = move |at: u64| (0..k).map(|l| small(0, at / n * k + l) * small(1, l * n + at % n)).sum::<f32>();
        let right: Vec<f32> = (0..m * n).map(product).collect();
        // Lanes that leave a ragged edge one by one ask for less at once.
        let whole = m % tile_m + n % tile_n + k % SLAB == 0;
        // Ragged edges are padded with zeros, in shared memory only.
        let flops = 2 * m.next_multiple_of(tile_m) * n.next_multiple_of(tile_n) * k.next_multiple_of(SLAB);
        // Each tile reads its rows of A and its columns of B once.
        let read = 4 * (m * k * n.div_ceil(tile_n) + k * n * m.div_ceil(tile_m));
        Job {
            name: format!("{m}x{n}x{k}"),
            geometry: Geometry::linear((m.div_ceil(tile_m) * n.div_ceil(tile_n)) as u32, threads as u32),
            buffers: vec![
                filled((m * k) as usize, |at| small(0, at as u64)),
                filled((k * n) as usize, |at| small(1, at as u64)),
                Contents::Poison((m * n) as usize * 4),
            ],
            window: None,
            arguments: vec![
                Argument::Buffer(0),
                Argument::Buffer(1),
                Argument::Buffer(2),
                Argument::Word(m),
                Argument::Word(n),
                Argument::Word(k),
            ],
            expected: vec![(2, equals(move |at| right[at]))],
            claim: Some(Claim { flops, read, written: 4 * m * n, conflict_free: whole, ..Claim::default() }),
        }
    };
    // More than one band of tiles, ragged in every direction, and whole.
    let mut jobs = vec![
        job(tile_m * 9, tile_n * 2, 16),
        job(2 * tile_m, tile_n, 96),
        job(tile_m + 3, tile_n * 2 + 5, 70),
        job(tile_m - 5, tile_n - 4, 16),
        job(1, 1, 1),
        job(tile_m, tile_n, 0),
        // Whole but for one side: rows that 16 bytes do not divide, a slab that is cut.
        job(tile_m, tile_n + 1, 16),
        job(tile_m, tile_n, 24),
    ];
    // An edge through each of the rows and columns that a thread holds.
    jobs.extend([29, 30, 31, 33, 34, 35].map(|n| job(tile_m, n, 5)));
    jobs.extend([2, 7, 11, 14, 19, 22, 26, 31, 98].map(|m| job(m, 9, 23)));
    jobs
}
