//! Comparisons (PTX ISA, Comparison and Selection Instructions).

use super::arithmetic::integer;
use super::bits::bits;
use super::float::f32;

/// The test of that name on that type.
pub(super) fn test(name: &str, kind: &str) -> Option<fn(u64, u64) -> bool> {
    match kind {
        "f32" => single(name),
        "f64" => double(name),
        _ => match integer(kind) {
            Some((_, false)) => unsigned(name),
            Some((16, true)) => signed16(name),
            Some((32, true)) => signed32(name),
            Some((64, true)) => signed64(name),
            _ if kind.starts_with('b') && bits(kind).is_some() => match name {
                "eq" => Some(|a, b| a == b),
                "ne" => Some(|a, b| a != b),
                _ => None,
            },
            _ => None,
        },
    }
}

/// A function that answers with the test of a name, on what `$view` makes of both sides.
macro_rules! ordered {
    ($name:ident, $view:expr) => {
        fn $name(name: &str) -> Option<fn(u64, u64) -> bool> {
            Some(match name {
                "eq" => |a, b| $view(a) == $view(b),
                "ne" => |a, b| $view(a) != $view(b),
                "lt" | "lo" => |a, b| $view(a) < $view(b),
                "le" | "ls" => |a, b| $view(a) <= $view(b),
                "gt" | "hi" => |a, b| $view(a) > $view(b),
                "ge" | "hs" => |a, b| $view(a) >= $view(b),
                _ => return None,
            })
        }
    };
}

/// The same for floats: an ordered test fails on NaN, `ne` too, and the unordered ones hold.
macro_rules! floats {
    ($name:ident, $view:expr) => {
        #[allow(clippy::neg_cmp_op_on_partial_ord, reason = "an unordered test holds exactly where its opposite fails")]
        fn $name(name: &str) -> Option<fn(u64, u64) -> bool> {
            Some(match name {
                "eq" => |a, b| $view(a) == $view(b),
                "ne" => |a, b| $view(a) < $view(b) || $view(a) > $view(b),
                "lt" => |a, b| $view(a) < $view(b),
                "le" => |a, b| $view(a) <= $view(b),
                "gt" => |a, b| $view(a) > $view(b),
                "ge" => |a, b| $view(a) >= $view(b),
                "equ" => |a, b| !($view(a) < $view(b) || $view(a) > $view(b)),
                "neu" => |a, b| $view(a) != $view(b),
                "ltu" => |a, b| !($view(a) >= $view(b)),
                "leu" => |a, b| !($view(a) > $view(b)),
                "gtu" => |a, b| !($view(a) <= $view(b)),
                "geu" => |a, b| !($view(a) < $view(b)),
                "num" => |a, b| !$view(a).is_nan() && !$view(b).is_nan(),
                "nan" => |a, b| $view(a).is_nan() || $view(b).is_nan(),
                _ => return None,
            })
        }
    };
}

fn s16(bits: u64) -> i16 {
    bits as i16
}

fn s32(bits: u64) -> i32 {
    bits as i32
}

fn s64(bits: u64) -> i64 {
    bits as i64
}

ordered!(unsigned, std::convert::identity);
ordered!(signed16, s16);
ordered!(signed32, s32);
ordered!(signed64, s64);
floats!(single, f32);
floats!(double, f64::from_bits);

#[test]
fn nan_fails_ordered_tests_and_passes_unordered_ones() {
    let (nan, one) = (u64::from(f32::NAN.to_bits()), u64::from(1_f32.to_bits()));
    for (name, holds) in [("eq", false), ("ne", false), ("lt", false), ("neu", true), ("equ", true), ("ltu", true), ("nan", true)] {
        assert_eq!(test(name, "f32").unwrap()(nan, one), holds, "{name}");
    }
    assert!(test("lt", "s32").unwrap()(0xffff_ffff, 0) && !test("lt", "u32").unwrap()(0xffff_ffff, 0));
    assert!(test("lt", "b32").is_none());
}
