//! Floating-point arithmetic (PTX ISA, Floating-Point Instructions), rounded to nearest even.

use super::Lanewise;
use super::decode::{Row, lanewise};

pub(super) fn f32(bits: u64) -> f32 {
    f32::from_bits(bits as u32)
}

fn b32(value: f32) -> u64 {
    u64::from(value.to_bits())
}

/// The instruction that is spelt so. `.ftz` is refused: the house never compiles with it.
pub(super) fn find(parts: &[&str]) -> Option<Row> {
    match parts {
        [rest @ .., "f32"] => single(rest),
        [rest @ .., "f64"] => double(rest),
        _ => None,
    }
}

fn row(run: Lanewise, width: u32, sources: usize, flops: u32) -> Row {
    Row { flops, ..Row::uniform(run, width, sources) }
}

fn single(parts: &[&str]) -> Option<Row> {
    Some(match parts {
        ["add"] | ["add", "rn"] => row(lanewise!(a, b => b32(f32(a) + f32(b))), 32, 2, 1),
        ["sub"] | ["sub", "rn"] => row(lanewise!(a, b => b32(f32(a) - f32(b))), 32, 2, 1),
        ["mul"] | ["mul", "rn"] => row(lanewise!(a, b => b32(f32(a) * f32(b))), 32, 2, 1),
        ["fma", "rn"] => row(lanewise!(a, b, c => b32(f32(a).mul_add(f32(b), f32(c)))), 32, 3, 2),
        ["div", "rn" | "full"] => row(lanewise!(a, b => b32(f32(a) / f32(b))), 32, 2, 1),
        ["rcp", "rn"] => row(lanewise!(a => b32(1.0 / f32(a))), 32, 1, 1),
        ["sqrt", "rn"] => row(lanewise!(a => b32(f32(a).sqrt())), 32, 1, 1),
        ["neg"] => row(lanewise!(a => a ^ 1 << 31), 32, 1, 0),
        ["abs"] => row(lanewise!(a => a & 0x7fff_ffff), 32, 1, 0),
        ["min"] => row(lanewise!(a, b => b32(f32(a).min(f32(b)))), 32, 2, 0),
        ["max"] => row(lanewise!(a, b => b32(f32(a).max(f32(b)))), 32, 2, 0),
        _ => return None,
    })
}

fn double(parts: &[&str]) -> Option<Row> {
    Some(match parts {
        ["add"] | ["add", "rn"] => row(lanewise!(a, b => (f64::from_bits(a) + f64::from_bits(b)).to_bits()), 64, 2, 1),
        ["sub"] | ["sub", "rn"] => row(lanewise!(a, b => (f64::from_bits(a) - f64::from_bits(b)).to_bits()), 64, 2, 1),
        ["mul"] | ["mul", "rn"] => row(lanewise!(a, b => (f64::from_bits(a) * f64::from_bits(b)).to_bits()), 64, 2, 1),
        ["fma", "rn"] => {
            row(lanewise!(a, b, c => f64::from_bits(a).mul_add(f64::from_bits(b), f64::from_bits(c)).to_bits()), 64, 3, 2)
        }
        ["div", "rn"] => row(lanewise!(a, b => (f64::from_bits(a) / f64::from_bits(b)).to_bits()), 64, 2, 1),
        ["rcp", "rn"] => row(lanewise!(a => (1.0 / f64::from_bits(a)).to_bits()), 64, 1, 1),
        ["sqrt", "rn"] => row(lanewise!(a => f64::from_bits(a).sqrt().to_bits()), 64, 1, 1),
        ["neg"] => row(lanewise!(a => a ^ 1 << 63), 64, 1, 0),
        ["abs"] => row(lanewise!(a => a & (u64::MAX >> 1)), 64, 1, 0),
        ["min"] => row(lanewise!(a, b => f64::from_bits(a).min(f64::from_bits(b)).to_bits()), 64, 2, 0),
        ["max"] => row(lanewise!(a, b => f64::from_bits(a).max(f64::from_bits(b)).to_bits()), 64, 2, 0),
        _ => return None,
    })
}
