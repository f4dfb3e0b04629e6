//! Integer arithmetic (PTX ISA, Integer Arithmetic Instructions).

use super::Lanewise;
use super::decode::{Row, lanewise};

/// The integer instruction that is spelt so.
pub(super) fn find(parts: &[&str]) -> Option<Row> {
    let (kind, rest) = parts.split_last()?;
    let (width, signed) = integer(kind)?;
    let narrow = |run: Lanewise, sources: usize| Some(Row::uniform(run, width, sources));
    match rest {
        ["add"] => narrow(lanewise!(a, b => a.wrapping_add(b)), 2),
        ["sub"] => narrow(lanewise!(a, b => a.wrapping_sub(b)), 2),
        ["mul", "lo"] => narrow(lanewise!(a, b => a.wrapping_mul(b)), 2),
        ["mad", "lo"] => narrow(lanewise!(a, b, c => a.wrapping_mul(b).wrapping_add(c)), 3),
        ["neg"] => narrow(lanewise!(a => a.wrapping_neg()), 1),
        ["mul", "hi"] => narrow(high(width, signed)?, 2),
        ["mul", "wide"] => Some(Row { d: 2 * width, s: vec![width; 2], ..Row::uniform(wide(width, signed)?, width, 2) }),
        ["mad", "wide"] => {
            Some(Row { d: 2 * width, s: vec![width, width, 2 * width], ..Row::uniform(wide_add(width, signed)?, width, 3) })
        }
        ["div"] => narrow(divide(width, signed)?, 2),
        ["rem"] => narrow(remainder(width, signed)?, 2),
        ["min"] => narrow(least(width, signed)?, 2),
        ["max"] => narrow(greatest(width, signed)?, 2),
        ["abs"] => match width {
            32 => narrow(lanewise!(a => u64::from((a as i32).unsigned_abs())), 1),
            64 => narrow(lanewise!(a => (a as i64).unsigned_abs()), 1),
            _ => None,
        },
        _ => None,
    }
}

/// Width and whether signed.
pub(super) fn integer(kind: &str) -> Option<(u32, bool)> {
    let width = match kind.get(1..)? {
        "8" => 8,
        "16" => 16,
        "32" => 32,
        "64" => 64,
        _ => return None,
    };
    match kind.as_bytes()[0] {
        b's' => Some((width, true)),
        b'u' => Some((width, false)),
        _ => None,
    }
}

fn high(width: u32, signed: bool) -> Option<Lanewise> {
    Some(match (width, signed) {
        (16, false) => lanewise!(a, b => (a * b) >> 16),
        (16, true) => lanewise!(a, b => ((i32::from(a as i16) * i32::from(b as i16)) >> 16) as u64),
        (32, false) => lanewise!(a, b => (a * b) >> 32),
        (32, true) => lanewise!(a, b => ((i64::from(a as i32) * i64::from(b as i32)) >> 32) as u64),
        (64, false) => lanewise!(a, b => ((u128::from(a) * u128::from(b)) >> 64) as u64),
        (64, true) => lanewise!(a, b => ((i128::from(a as i64) * i128::from(b as i64)) >> 64) as u64),
        _ => return None,
    })
}

fn wide(width: u32, signed: bool) -> Option<Lanewise> {
    Some(match (width, signed) {
        (16 | 32, false) => lanewise!(a, b => a * b),
        (16, true) => lanewise!(a, b => (i32::from(a as i16) * i32::from(b as i16)) as u64),
        (32, true) => lanewise!(a, b => (i64::from(a as i32) * i64::from(b as i32)) as u64),
        _ => return None,
    })
}

fn wide_add(width: u32, signed: bool) -> Option<Lanewise> {
    Some(match (width, signed) {
        (16 | 32, false) => lanewise!(a, b, c => (a * b).wrapping_add(c)),
        (16, true) => lanewise!(a, b, c => ((i32::from(a as i16) * i32::from(b as i16)) as u64).wrapping_add(c)),
        (32, true) => lanewise!(a, b, c => (i64::from(a as i32) * i64::from(b as i32)).wrapping_add(c as i64) as u64),
        _ => return None,
    })
}

// Division by zero gives no trap on the hardware but a value that is not specified; all ones is what it is seen to give.
fn divide(width: u32, signed: bool) -> Option<Lanewise> {
    Some(match (width, signed) {
        (_, false) => lanewise!(a, b => a.checked_div(b).unwrap_or(u64::MAX)),
        (32, true) => lanewise!(a, b => if b as u32 == 0 { u64::MAX } else { (a as i32).wrapping_div(b as i32) as u64 }),
        (64, true) => lanewise!(a, b => if b == 0 { u64::MAX } else { (a as i64).wrapping_div(b as i64) as u64 }),
        _ => return None,
    })
}

fn remainder(width: u32, signed: bool) -> Option<Lanewise> {
    Some(match (width, signed) {
        (_, false) => lanewise!(a, b => a.checked_rem(b).unwrap_or(a)),
        (32, true) => lanewise!(a, b => if b as u32 == 0 { a } else { (a as i32).wrapping_rem(b as i32) as u64 }),
        (64, true) => lanewise!(a, b => if b == 0 { a } else { (a as i64).wrapping_rem(b as i64) as u64 }),
        _ => return None,
    })
}

fn least(width: u32, signed: bool) -> Option<Lanewise> {
    Some(match (width, signed) {
        (_, false) => lanewise!(a, b => a.min(b)),
        (16, true) => lanewise!(a, b => (a as i16).min(b as i16) as u64),
        (32, true) => lanewise!(a, b => (a as i32).min(b as i32) as u64),
        (64, true) => lanewise!(a, b => (a as i64).min(b as i64) as u64),
        _ => return None,
    })
}

fn greatest(width: u32, signed: bool) -> Option<Lanewise> {
    Some(match (width, signed) {
        (_, false) => lanewise!(a, b => a.max(b)),
        (16, true) => lanewise!(a, b => (a as i16).max(b as i16) as u64),
        (32, true) => lanewise!(a, b => (a as i32).max(b as i32) as u64),
        (64, true) => lanewise!(a, b => (a as i64).max(b as i64) as u64),
        _ => return None,
    })
}
