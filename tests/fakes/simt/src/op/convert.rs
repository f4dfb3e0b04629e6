//! Conversions between two scalar types (PTX ISA, cvt).

use super::arithmetic::integer;

/// A scalar type as a conversion sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scalar {
    Integer {
        bits: u32,
        signed: bool,
    },
    F16,
    Bf16,
    Tf32,
    F32,
    F64,
    /// Two values side by side, the first in the upper half.
    F16x2,
    Bf16x2,
    E4m3x2,
    E5m2x2,
}

/// How a conversion rounds. `Nearest` is to even.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rounding {
    None,
    Nearest,
    NearestAway,
    Zero,
    Down,
    Up,
}

/// A conversion: types, rounding, whether it saturates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Conversion {
    pub to: Scalar,
    pub from: Scalar,
    pub rounding: Rounding,
    pub saturate: bool,
}

impl Scalar {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "f16" => Self::F16,
            "bf16" => Self::Bf16,
            "tf32" => Self::Tf32,
            "f32" => Self::F32,
            "f64" => Self::F64,
            "f16x2" => Self::F16x2,
            "bf16x2" => Self::Bf16x2,
            "e4m3x2" => Self::E4m3x2,
            "e5m2x2" => Self::E5m2x2,
            _ => {
                let (bits, signed) = integer(name)?;
                Self::Integer { bits, signed }
            }
        })
    }

    pub(crate) fn bits(self) -> u32 {
        match self {
            Self::Integer { bits, .. } => bits,
            Self::F16 | Self::Bf16 | Self::E4m3x2 | Self::E5m2x2 => 16,
            Self::Tf32 | Self::F32 | Self::F16x2 | Self::Bf16x2 => 32,
            Self::F64 => 64,
        }
    }

    /// Whether two values lie side by side.
    pub(crate) fn is_pair(self) -> bool {
        matches!(self, Self::F16x2 | Self::Bf16x2 | Self::E4m3x2 | Self::E5m2x2)
    }
}

/// A conversion by the parts of its name after `cvt`.
pub(super) fn find(parts: &[&str]) -> Option<Conversion> {
    let [flags @ .., to, from] = parts else {
        return None;
    };
    let mut found = Conversion { to: Scalar::named(to)?, from: Scalar::named(from)?, rounding: Rounding::None, saturate: false };
    for flag in flags {
        match *flag {
            "rn" | "rni" => found.rounding = Rounding::Nearest,
            "rna" => found.rounding = Rounding::NearestAway,
            "rz" | "rzi" => found.rounding = Rounding::Zero,
            "rm" | "rmi" => found.rounding = Rounding::Down,
            "rp" | "rpi" => found.rounding = Rounding::Up,
            "sat" | "satfinite" => found.saturate = true,
            _ => return None,
        }
    }
    supported(found).then_some(found)
}

fn supported(conversion: Conversion) -> bool {
    let Conversion { to, from, rounding, saturate } = conversion;
    match (to, from) {
        (Scalar::Integer { .. }, Scalar::Integer { .. }) => rounding == Rounding::None && !saturate,
        (Scalar::Integer { .. }, Scalar::F32 | Scalar::F64) => {
            !matches!(rounding, Rounding::None | Rounding::NearestAway) && !saturate
        }
        (Scalar::F32 | Scalar::F64, Scalar::Integer { .. })
        | (Scalar::F32, Scalar::F64)
        | (Scalar::F16x2, Scalar::E4m3x2 | Scalar::E5m2x2) => rounding == Rounding::Nearest,
        (Scalar::F64, Scalar::F32) | (Scalar::F32, Scalar::F16 | Scalar::Bf16) => rounding == Rounding::None,
        (Scalar::F16 | Scalar::Bf16 | Scalar::F16x2 | Scalar::Bf16x2, Scalar::F32) => rounding == Rounding::Nearest && !saturate,
        (Scalar::E4m3x2 | Scalar::E5m2x2, Scalar::F32) => rounding == Rounding::Nearest && saturate,
        (Scalar::Tf32, Scalar::F32) => matches!(rounding, Rounding::NearestAway | Rounding::Nearest) && !saturate,
        _ => false,
    }
}

/// An integer of so many bits, in 128.
fn widened(value: u64, bits: u32, signed: bool) -> i128 {
    let unused = 64 - bits;
    if signed { i128::from((value << unused) as i64 >> unused) } else { i128::from(value << unused >> unused) }
}

fn rounded(value: f64, rounding: Rounding) -> f64 {
    match rounding {
        Rounding::Zero => value.trunc(),
        Rounding::Down => value.floor(),
        Rounding::Up => value.ceil(),
        _ => value.round_ties_even(),
    }
}

/// A float as an integer of so many bits: out of range becomes the nearest there is, NaN becomes 0 for narrow types and the
/// smallest pattern with the top bit for 64-bit ones.
fn clamped(value: f64, bits: u32, signed: bool) -> u64 {
    let (low, high) = if signed { (-(1_i128 << (bits - 1)), (1_i128 << (bits - 1)) - 1) } else { (0, (1_i128 << bits) - 1) };
    if value.is_nan() {
        return if bits == 64 { 1 << 63 } else { 0 };
    }
    (value as i128).clamp(low, high) as u64
}

/// A conversion between scalars that are not narrow floats; those are the caller's.
pub(crate) fn plain(value: u64, conversion: Conversion) -> Option<u64> {
    let Conversion { to, from, rounding, .. } = conversion;
    Some(match (to, from) {
        (Scalar::Integer { .. }, Scalar::Integer { bits, signed }) => widened(value, bits, signed) as u64,
        (Scalar::Integer { bits, signed }, Scalar::F32) => {
            clamped(rounded(f64::from(f32::from_bits(value as u32)), rounding), bits, signed)
        }
        (Scalar::Integer { bits, signed }, Scalar::F64) => clamped(rounded(f64::from_bits(value), rounding), bits, signed),
        (Scalar::F32, Scalar::Integer { bits, signed }) => u64::from((widened(value, bits, signed) as f32).to_bits()),
        (Scalar::F64, Scalar::Integer { bits, signed }) => (widened(value, bits, signed) as f64).to_bits(),
        (Scalar::F32, Scalar::F64) => u64::from((f64::from_bits(value) as f32).to_bits()),
        (Scalar::F64, Scalar::F32) => f64::from(f32::from_bits(value as u32)).to_bits(),
        _ => return None,
    })
}

#[test]
fn conversions_follow_the_manual() {
    let cvt = |name: &str, value: u64| plain(value, find(&name.split('.').collect::<Vec<_>>()).unwrap()).unwrap();
    assert_eq!(cvt("s64.s32", 0xffff_ffff), u64::MAX);
    assert_eq!(cvt("u64.u32", 0xffff_ffff), 0xffff_ffff);
    assert_eq!(cvt("rn.f32.s32", 0xffff_ffff) as u32, (-1_f32).to_bits());
    assert_eq!(cvt("rn.f32.u64", (1 << 24) + 1) as u32, 16_777_216_f32.to_bits());
    assert_eq!(cvt("rzi.s64.f32", u64::from((-2.75_f32).to_bits())) as i64, -2);
    assert_eq!(cvt("rni.s32.f32", u64::from(2.5_f32.to_bits())), 2);
    assert_eq!(cvt("rzi.u32.f32", u64::from((-1_f32).to_bits())), 0);
    assert_eq!(cvt("rzi.s32.f64", 1e20_f64.to_bits()), i32::MAX as u64);
    assert!(find(&["f32", "s32"]).is_none() && find(&["rn", "ftz", "f32", "s32"]).is_none());
}
