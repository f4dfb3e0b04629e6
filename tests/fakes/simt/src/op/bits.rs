//! Logic, shifts, bit fields, moves and selection (PTX ISA, Integer Arithmetic; Logic and Shift Instructions).

use super::Lanewise;
use super::decode::{Row, lanewise};

/// The instruction that is spelt so.
pub(super) fn find(parts: &[&str]) -> Option<Row> {
    let (kind, rest) = parts.split_last()?;
    let width = bits(kind)?;
    let plain = |run: Lanewise, sources: usize| Some(Row::uniform(run, width, sources));
    match rest {
        ["and"] => plain(lanewise!(a, b => a & b), 2),
        ["or"] => plain(lanewise!(a, b => a | b), 2),
        ["xor"] => plain(lanewise!(a, b => a ^ b), 2),
        ["not"] if width == 1 => plain(lanewise!(a => a ^ 1), 1),
        ["not"] => plain(lanewise!(a => !a), 1),
        ["mov"] => plain(lanewise!(a => a), 1),
        ["selp"] => {
            Some(Row { s: vec![width, width, 1], ..Row::uniform(lanewise!(a, b, c => if c == 0 { b } else { a }), width, 3) })
        }
        ["popc"] => Some(Row { d: 32, ..Row::uniform(lanewise!(a => u64::from(a.count_ones())), width, 1) }),
        ["brev"] if width == 32 => plain(lanewise!(a => u64::from((a as u32).reverse_bits())), 1),
        ["brev"] if width == 64 => plain(lanewise!(a => a.reverse_bits()), 1),
        ["clz"] if width == 32 => plain(lanewise!(a => u64::from((a as u32).leading_zeros())), 1),
        ["clz"] if width == 64 => Some(Row { d: 32, ..Row::uniform(lanewise!(a => u64::from(a.leading_zeros())), 64, 1) }),
        ["bfind"] => Some(Row { d: 32, ..Row::uniform(highest(width, kind.starts_with('s'), false)?, width, 1) }),
        ["shl"] => Some(Row { s: vec![width, 32], ..Row::uniform(left(width)?, width, 2) }),
        ["shr"] => Some(Row { s: vec![width, 32], ..Row::uniform(right(width, kind.starts_with('s'))?, width, 2) }),
        ["bfe"] => Some(Row { s: vec![width, 32, 32], ..Row::uniform(extract(width, kind.starts_with('s'))?, width, 3) }),
        ["bfi"] => Some(Row { s: vec![width, width, 32, 32], ..Row::uniform(insert(width)?, width, 4) }),
        ["bfind", "shiftamt"] => Some(Row { d: 32, ..Row::uniform(highest(width, kind.starts_with('s'), true)?, width, 1) }),
        ["shf", direction, clamp] if width == 32 => plain(funnel(direction, clamp)?, 3),
        ["lop3"] if width == 32 => plain(lanewise!(a, b, c, table => truth(a, b, c, table)), 4),
        ["prmt"] if width == 32 => plain(lanewise!(a, b, selector => permute(a, b, selector)), 3),
        _ => None,
    }
}

/// Width of a type by its name, 1 for a predicate.
pub(super) fn bits(kind: &str) -> Option<u32> {
    match kind {
        "pred" => Some(1),
        "b8" | "u8" | "s8" => Some(8),
        "b16" | "u16" | "s16" | "f16" | "bf16" => Some(16),
        "b32" | "u32" | "s32" | "f32" | "f16x2" | "bf16x2" => Some(32),
        "b64" | "u64" | "s64" | "f64" => Some(64),
        _ => None,
    }
}

// Amounts beyond the width shift everything out.
fn left(width: u32) -> Option<Lanewise> {
    Some(match width {
        16 => lanewise!(a, b => if b > 15 { 0 } else { a << b }),
        32 => lanewise!(a, b => if b > 31 { 0 } else { a << b }),
        64 => lanewise!(a, b => if b > 63 { 0 } else { a << b }),
        _ => return None,
    })
}

fn right(width: u32, signed: bool) -> Option<Lanewise> {
    Some(match (width, signed) {
        (_, false) => lanewise!(a, b => if b > 63 { 0 } else { a >> b }),
        (16, true) => lanewise!(a, b => ((a as i16) >> b.min(15)) as u64),
        (32, true) => lanewise!(a, b => ((a as i32) >> b.min(31)) as u64),
        (64, true) => lanewise!(a, b => ((a as i64) >> b.min(63)) as u64),
        _ => return None,
    })
}

fn extract(width: u32, signed: bool) -> Option<Lanewise> {
    Some(match (width, signed) {
        (32 | 64, false) => lanewise!(a, at, length => field(a, at, length)),
        (32, true) => lanewise!(a, at, length => signed_field(u64::from(a as u32), at, length, 31)),
        (64, true) => lanewise!(a, at, length => signed_field(a, at, length, 63)),
        _ => return None,
    })
}

/// Where the highest bit lies that differs from the sign, all ones where there is none; or how far it is from the top.
fn highest(width: u32, signed: bool, from_top: bool) -> Option<Lanewise> {
    Some(match (width, signed, from_top) {
        (32, false, false) => lanewise!(a => u64::from(31_u32.wrapping_sub((a as u32).leading_zeros()))),
        (32, true, false) => lanewise!(a => u64::from(31_u32.wrapping_sub((a as i32 ^ a as i32 >> 31).leading_zeros()))),
        (32, false, true) => lanewise!(a => if a == 0 { u64::from(u32::MAX) } else { u64::from((a as u32).leading_zeros()) }),
        (64, false, false) => lanewise!(a => u64::from(63_u32.wrapping_sub(a.leading_zeros()))),
        _ => return None,
    })
}

fn ones(length: u64) -> u64 {
    if length >= 64 { u64::MAX } else { (1 << length) - 1 }
}

fn field(a: u64, at: u64, length: u64) -> u64 {
    let (at, length) = (at & 0xff, length & 0xff);
    if at > 63 { 0 } else { a >> at & ones(length) }
}

/// The field's sign is its top bit, or the source's where the field reaches beyond it.
fn signed_field(a: u64, at: u64, length: u64, top: u64) -> u64 {
    let (at, length) = (at & 0xff, length & 0xff);
    if length == 0 {
        return 0;
    }
    let sign = a >> (at + length - 1).min(top) & 1;
    let value = field(a, at, length);
    let kept = length.min((top + 1).saturating_sub(at));
    if sign == 1 { value | !ones(kept) } else { value }
}

fn insert(width: u32) -> Option<Lanewise> {
    Some(match width {
        32 | 64 => lanewise!(a, b, at, length => {
            let (at, length) = (at & 0xff, length & 0xff);
            if at > 63 { b } else { b & !(ones(length) << at) | (a & ones(length)) << at }
        }),
        _ => return None,
    })
}

/// `a` holds the low word, `b` the high one.
fn funnel(direction: &str, clamp: &str) -> Option<Lanewise> {
    Some(match (direction, clamp) {
        ("l", "wrap") => lanewise!(a, b, c => ((b << 32 | a) << (c & 31)) >> 32),
        ("l", "clamp") => lanewise!(a, b, c => ((u128::from(b << 32 | a) << c.min(32)) >> 32) as u64),
        ("r", "wrap") => lanewise!(a, b, c => (b << 32 | a) >> (c & 31)),
        ("r", "clamp") => lanewise!(a, b, c => (b << 32 | a) >> c.min(32)),
        _ => return None,
    })
}

fn truth(a: u64, b: u64, c: u64, table: u64) -> u64 {
    let each = (0..8_u64).filter(|row| table >> row & 1 == 1).map(|row| {
        let pick = |value: u64, bit: u64| if row >> bit & 1 == 1 { value } else { !value };
        pick(a, 2) & pick(b, 1) & pick(c, 0)
    });
    each.fold(0, |all, one| all | one)
}

/// The default mode: each nibble of the selector names a byte of `b:a`, its top bit asks for that byte's sign.
fn permute(a: u64, b: u64, selector: u64) -> u64 {
    let both = (b & 0xffff_ffff) << 32 | a & 0xffff_ffff;
    (0..4).fold(0, |all, place| {
        let nibble = selector >> (4 * place) & 0xf;
        let byte = both >> (8 * (nibble & 7)) & 0xff;
        let byte = if nibble & 8 == 0 { byte } else { 0xff * (byte >> 7) };
        all | byte << (8 * place)
    })
}

#[test]
fn fields_follow_the_manual() {
    assert_eq!(field(0xabcd, 4, 8), 0xbc);
    assert_eq!(signed_field(0xabcd, 4, 8, 31) as u32, 0xffff_ffbc);
    assert_eq!(signed_field(0x8000_0000, 24, 16, 31) as u32, 0xffff_ff80);
    assert_eq!(permute(0x3322_1100, 0x7766_5544, 0x5410), 0x5544_1100);
    assert_eq!(permute(0x80, 0, 0x0008), 0x8080_80ff);
    assert_eq!(truth(0xf0, 0xcc, 0xaa, 0xe8) & 0xff, 0xe8);
}
