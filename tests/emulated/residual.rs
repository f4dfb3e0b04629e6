//! The jobs of `residual`: a right product has none, and what is damaged shows in its own block and in no other, by how much it is.

use crate::job::{Argument, Contents, Job, equals};
use crate::products::encoded;
use crate::stems::{Macros, constant};
use assay::{dtype::Dtype, plan};
use simt::Geometry;

const ROWS: u64 = 128;
const COLUMNS: u64 = 64;

/// What is damaged and by how much, the first and the last element among them, and two of a row that would cancel without their signs.
const ANYWHERE: &[(u64, u64, i32)] =
    &[(0, 0, 1), (5, 70, -2), (40, 128, 2), (40, 131, -2), (127, 127, 3), (128, 63, 4), (139, 135, -5)];
/// Of the vectors of signs.
const SEED: u32 = 7;
/// Tells signs from the weights of folds (kernels/residual.cu).
const SIGN: u32 = 0x53;

/// Formats of inputs and output by the names of a configuration.
fn formats(macros: &Macros) -> Option<(Dtype, Dtype)> {
    let along_k = constant(macros, "ALONG_K") == 1;
    Some(match (macros["LEFT"].as_str(), along_k) {
        ("Single", false) => (Dtype::Fp32, Dtype::Fp32),
        ("Single", true) => (Dtype::Tf32, Dtype::Fp32),
        ("Double", _) => (Dtype::Fp64, Dtype::Fp64),
        ("Fp16", _) => (Dtype::Fp16, Dtype::Fp16),
        ("Bf16", _) => (Dtype::Bf16, Dtype::Bf16),
        ("E4m3", _) => (Dtype::E4m3, Dtype::Bf16),
        ("E5m2", _) => (Dtype::E5m2, Dtype::Bf16),
        ("Fp4", _) => (Dtype::Fp4, Dtype::Bf16),
        ("Byte", _) => (Dtype::Int8, Dtype::Int32),
        _ => return None,
    })
}

/// Sums of few small integers, so that they are exact in every format.
fn job(macros: &Macros, (m, n, k): (u64, u64, u64), damage: &'static [(u64, u64, i32)]) -> Option<Job> {
    let (input, output) = formats(macros)?;
    let along_k = constant(macros, "ALONG_K") == 1;
    let a = move |row: u64, deep: u64| plan::sparse(1, 8, row * k + deep);
    let b = move |deep: u64, column: u64| plan::small(2, column * k + deep) % 2;
    let c = move |row: u64, column: u64| -> i32 { (0..k).map(|deep| a(row, deep) * b(deep, column)).sum() };
    let by = move |row: u64, column: u64| damage.iter().find(|(r, at, _)| (*r, *at) == (row, column)).map_or(0, |(.., by)| *by);
    let matrix = |dtype: Dtype, rows: u64, columns: u64, value: &dyn Fn(u64, u64) -> i32| {
        let elements = (0..rows * columns).flat_map(|at| encoded(dtype, f64::from(value(at / columns, at % columns))));
        let bytes: Vec<u8> = elements.collect();
        Contents::Filled(if dtype == Dtype::Fp4 {
            bytes.chunks(2).map(|pair| pair[0] | pair.get(1).map_or(0, |high| high << 4)).collect()
        } else {
            bytes
        })
    };
    let right = if along_k { matrix(input, n, k, &|column, deep| b(deep, column)) } else { matrix(input, k, n, &b) };
    let (down, across) = (m.div_ceil(ROWS), n.div_ceil(COLUMNS));
    let worst = move |at: usize| -> f64 {
        let (down, across) = (at as u64 / across, at as u64 % across);
        let signed = |column: u64, by: i32| f64::from(if plan::first(SEED ^ SIGN, column) & 1 == 1 { -by } else { by });
        let of = |row: u64| {
            let here = damage.iter().filter(|(r, column, _)| *r == row && column / COLUMNS == across);
            here.map(|(_, column, by)| signed(*column, *by)).sum::<f64>().abs()
        };
        (down * ROWS..m.min((down + 1) * ROWS)).map(of).fold(0.0, f64::max)
    };
    Some(Job {
        name: format!("{m}x{n}x{k}, {} damaged", damage.len()),
        geometry: Geometry::linear((down * across) as u32, constant(macros, "THREADS") as u32),
        buffers: vec![
            matrix(input, m, k, &a),
            right,
            matrix(output, m, n, &|row, column| c(row, column) + by(row, column)),
            Contents::Poison((down * across) as usize * 8),
        ],
        window: None,
        arguments: (0..4).map(Argument::Buffer).chain([m, n, k, u64::from(SEED)].map(Argument::Word)).collect(),
        expected: vec![(3, equals(worst))],
        claim: None,
    })
}

/// `None` for another stem.
pub fn jobs(stem: &str, macros: &Macros) -> Option<Vec<Job>> {
    if stem != "residual" {
        return None;
    }
    [
        ((140, 136, 64), &[][..]),
        ((140, 136, 64), ANYWHERE),
        ((3, 8, 144), &[(2, 7, 9)]),
        ((129, 72, 16), &[(128, 71, -1)]),
        // Remainders of every length in the loops over columns and over k.
        ((40, 71, 67), &[(39, 70, 3)]),
        ((33, 67, 5), &[(32, 65, 6), (32, 66, -2)]),
        ((40, 133, 70), &[(7, 132, 2)]),
        ((34, 66, 65), &[]),
        ((33, 65, 3), &[(0, 64, 1)]),
    ]
    .into_iter()
    .map(|(shape, damage)| job(macros, shape, damage))
    .collect()
}
