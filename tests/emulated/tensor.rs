//! The jobs of the test kernels that use tensor cores.

use crate::job::{Argument, Claim, Contents, Expected, Job, equals, filled};
use assay::plan;
use simt::Geometry;
use simt::tensor::map::TensorMap;
use simt::tensor::number::BF16;
use simt::tensor::shared::Swizzle;

/// The jobs of a stem; `None` for a stem that is not known here.
pub fn jobs(stem: &str) -> Option<Vec<Job>> {
    match stem {
        "mma_bf16" => Some(vec![mma(128, 192, 96), mma(64, 64, 32), mma(64, 128, 160), mma(64, 64, 0)]),
        // Tile counts even, odd and one; edges that the copies cut; one slab to more than the ring holds, ending anywhere in it; several
        // turns a block, several clusters, and one without work.
        "wgmma_bf16" => Some(vec![
            wgmma(384, 256, 128, 2),
            wgmma(200, 136, 72, 1),
            wgmma(128, 384, 384, 1),
            wgmma(256, 128, 192, 1),
            wgmma(128, 128, 64, 2),
        ]),
        _ => None,
    }
}

const SEED: u32 = 0x7e50;

fn small(buffer: u32, at: u64) -> f32 {
    plan::small(plan::buffer_seed(SEED, buffer), at) as f32
}

fn bf16(value: f32) -> u16 {
    BF16.encode(value, false) as u16
}

/// C = A B^T of small integers, exact in fp32.
fn product(m: u64, n: u64, k: u64) -> Vec<f32> {
    let a: Vec<f32> = (0..m * k).map(|at| small(0, at)).collect();
    let b: Vec<f32> = (0..n * k).map(|at| small(1, at)).collect();
    let row = |matrix: &[f32], row: u64| matrix[(row * k) as usize..][..k as usize].to_vec();
    (0..m * n).map(|at| row(&a, at / n).iter().zip(&row(&b, at % n)).map(|(a, b)| a * b).sum()).collect()
}

fn inputs(m: u64, n: u64, k: u64) -> [Contents; 2] {
    [filled((m * k) as usize, |at| bf16(small(0, at as u64))), filled((n * k) as usize, |at| bf16(small(1, at as u64)))]
}

fn mma(m: u64, n: u64, k: u64) -> Job {
    const TILE: u64 = 64;
    let [a, b] = inputs(m, n, k);
    let right = product(m, n, k);
    Job {
        name: format!("{m}x{n}x{k}"),
        geometry: Geometry::linear((m / TILE * n / TILE) as u32, 128),
        buffers: vec![a, b, Contents::Poison((m * n) as usize * 4)],
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
        claim: Some(Claim {
            flops: 0,
            tensor_flops: 2 * m * n * k,
            read: 2 * (m * k * n / TILE + n * k * m / TILE),
            written: 4 * m * n,
            conflict_free: true,
        }),
    }
}

/// A row-major matrix of bf16 in boxes of 64 columns with the 128-byte swizzle.
fn map(buffer: usize, rows: u64, columns: u64, box_rows: u32) -> Argument {
    Argument::Structure(Box::new(move |addresses| {
        let map = TensorMap {
            element: 2,
            address: addresses[buffer],
            dimensions: vec![columns, rows],
            strides: vec![columns * 2],
            sides: vec![64, box_rows],
            swizzle: Swizzle::B128,
        };
        map.encode().expect("a valid map").to_vec()
    }))
}

#[test]
fn the_test_kernels_are_exact_at_256_within_two_seconds() {
    use crate::job::Outcome;
    let index = crate::planted::index();
    for (stem, job) in
        [("mma_bf16", mma(256, 256, 256)), ("wgmma_bf16", wgmma(256, 256, 256, 1)), ("wgmma_bf16", wgmma(384, 128, 256, 1))]
    {
        let text = index.mutants.iter().find(|mutant| mutant.stem == stem).map(|mutant| crate::planted::read(&mutant.right));
        let module = simt::Module::parse(&text.expect("a mutant of it").expect("just written")).expect("a kernel");
        let begin = std::time::Instant::now();
        let outcome = job.run(&module, &simt::Options::default());
        let taken = begin.elapsed();
        println!("{stem} {}: {taken:.3?}", job.name);
        assert!(matches!(outcome, Outcome::Right(_)), "{stem} {}: {outcome}", job.name);
        assert!(taken.as_secs_f64() < 2.0, "{stem} {}: {taken:?}", job.name);
    }
}

fn wgmma(m: u64, n: u64, k: u64, clusters: u32) -> Job {
    const TILE: u64 = 128;
    const SLAB: u64 = 64;
    /// Four slabs of 32 KiB, the result, the barriers and 1 KiB to align.
    const DYNAMIC: u32 = 4 * 32 * 1024 + 32 * 1024 + 64 + 1024;
    let [a, b] = inputs(m, n, k);
    let right = product(m, n, k);
    let (tiles_m, tiles_n, slabs) = (m.div_ceil(TILE).next_multiple_of(2), n.div_ceil(TILE), k.div_ceil(SLAB));
    let expected: Expected = equals(move |at| bf16(right[at]));
    Job {
        name: format!("{m}x{n}x{k}"),
        geometry: Geometry { cluster: [2, 1, 1], dynamic_shared: DYNAMIC, ..Geometry::linear(2 * clusters, 384) },
        buffers: vec![a, b, Contents::Poison((m * n) as usize * 2)],
        window: None,
        arguments: vec![
            map(0, m, k, 128),
            map(1, n, k, 64),
            map(2, m, n, 64),
            Argument::Word(m),
            Argument::Word(n),
            Argument::Word(k),
        ],
        expected: vec![(2, expected)],
        claim: Some(Claim {
            flops: 0,
            tensor_flops: 2 * tiles_m * tiles_n * TILE * TILE * slabs * SLAB,
            // The part of A outside of the matrix is not read; each half of B once for both blocks.
            read: 2 * (m * k * tiles_n + n * k * tiles_m / 2),
            written: 2 * m * n,
            conflict_free: true,
        }),
    }
}
