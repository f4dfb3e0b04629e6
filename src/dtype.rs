//! Number formats and the precisions that a workload is named by.
//!
//! Formats: IEEE 754-2019 for fp16, fp32, fp64; bf16 and TF32 as NVIDIA's PTX ISA defines them; e4m3 and e5m2 by the OCP 8-bit
//! floating point specification (2023), e2m1 by that of microscaling formats (2023).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A number format. Rows of [`DTYPES`] carry the facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    Fp64,
    Fp32,
    Tf32,
    Fp16,
    Bf16,
    E4m3,
    E5m2,
    /// e2m1, two elements to a byte.
    Fp4,
    Int8,
    Int32,
    Uint32,
}

/// What is known of a format.
#[derive(Debug)]
pub struct Row {
    pub dtype: Dtype,
    pub name: &'static str,
    /// Bits of an element in memory; TF32 is stored in 32.
    pub bits: u32,
    /// Digits of the significand, the hidden one included; every integer up to `2^significand` is exact. For integers: value bits.
    pub significand: u32,
    /// Bits of the exponent; zero for integers.
    pub exponent: u32,
}

const fn row(dtype: Dtype, name: &'static str, bits: u32, significand: u32, exponent: u32) -> Row {
    Row { dtype, name, bits, significand, exponent }
}

/// Every format, in the order of [`Dtype`].
pub const DTYPES: &[Row] = &[
    row(Dtype::Fp64, "fp64", 64, 53, 11),
    row(Dtype::Fp32, "fp32", 32, 24, 8),
    row(Dtype::Tf32, "tf32", 32, 11, 8),
    row(Dtype::Fp16, "fp16", 16, 11, 5),
    row(Dtype::Bf16, "bf16", 16, 8, 8),
    row(Dtype::E4m3, "e4m3", 8, 4, 4),
    row(Dtype::E5m2, "e5m2", 8, 3, 5),
    row(Dtype::Fp4, "fp4", 4, 2, 2),
    row(Dtype::Int8, "int8", 8, 7, 0),
    row(Dtype::Int32, "int32", 32, 31, 0),
    row(Dtype::Uint32, "uint32", 32, 32, 0),
];

const FP4_LARGEST: f64 = 6.0;

impl Dtype {
    #[must_use]
    pub fn row(self) -> &'static Row {
        &DTYPES[self as usize]
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Bytes of one element in memory; where two share a byte, that byte.
    #[must_use]
    pub fn bytes(self) -> u64 {
        u64::from(self.row().bits.div_ceil(8))
    }

    /// Bytes of so many elements.
    #[must_use]
    pub fn bytes_of(self, elements: u64) -> u64 {
        match self.row().bits {
            bits @ 8.. => elements.saturating_mul(u64::from(bits / 8)),
            bits => elements.div_ceil(u64::from(8 / bits)),
        }
    }

    /// Largest `n` for which every integer in `-n..=n` is exact.
    #[must_use]
    pub fn exact_integers(self) -> u64 {
        1 << self.row().significand
    }

    /// The number nearest to `value`, ties to even; `value` lies within the format's range, but that of fp4, whose largest number stands
    /// for all beyond it.
    #[must_use]
    pub fn round(self, value: f64) -> f64 {
        let Row { significand, exponent, .. } = *self.row();
        if exponent == 0 {
            return value.round_ties_even();
        }
        let value = if self == Self::Fp4 { value.clamp(-FP4_LARGEST, FP4_LARGEST) } else { value };
        // Below the smallest normal number the gaps no longer shrink.
        let least = 2 - (1 << (exponent - 1));
        let binade = if value == 0.0 { least } else { (value.abs().to_bits() >> 52) as i32 - 1023 };
        let gap = 2.0_f64.powi(binade.max(least) + 1 - significand as i32);
        (value / gap).round_ties_even() * gap
    }

    /// The value of an element from its bytes, the lowest first, of the first of two in a byte; blank where there are too few of them.
    #[must_use]
    pub fn decode(self, bytes: &[u8]) -> Option<f64> {
        let bytes = bytes.get(..self.bytes() as usize)?;
        let bits = bytes.iter().rev().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        Some(match self {
            Self::Fp64 => f64::from_bits(bits),
            Self::Fp32 | Self::Tf32 => f64::from(f32::from_bits(bits as u32)),
            Self::Fp16 | Self::Bf16 | Self::E4m3 | Self::E5m2 => self.narrow(bits as u32),
            Self::Fp4 => self.narrow(bits as u32 & 0xf),
            Self::Int8 => f64::from(bits as u8 as i8),
            Self::Int32 => f64::from(bits as u32 as i32),
            Self::Uint32 => f64::from(bits as u32),
        })
    }

    /// The value of a pattern of up to 16 bits. e4m3 has no infinities, and one pattern that is no number; fp4 has neither.
    fn narrow(self, bits: u32) -> f64 {
        let Row { bits: width, significand, exponent, .. } = *self.row();
        let stored = significand - 1;
        let (fraction, field) = (bits & ((1 << stored) - 1), bits >> stored & ((1 << exponent) - 1));
        let sign = if bits >> (width - 1) & 1 == 1 { -1.0 } else { 1.0 };
        let top = field + 1 == 1 << exponent && self != Self::Fp4;
        let not_a_number = if self == Self::E4m3 { fraction + 1 == 1 << stored } else { fraction != 0 };
        if top && not_a_number {
            return f64::NAN;
        }
        if top && self != Self::E4m3 {
            return sign * f64::INFINITY;
        }
        let offset = (1 << (exponent - 1)) - 1;
        let whole = if field == 0 { fraction } else { fraction + (1 << stored) };
        sign * f64::from(whole) * 2.0_f64.powi(field.max(1) as i32 - offset - stored as i32)
    }

    /// Unit roundoff: half the gap between 1 and the next number; relative error of one rounding to nearest.
    #[must_use]
    pub fn roundoff(self) -> f64 {
        0.5_f64.powi(i32::try_from(self.row().significand).unwrap_or(0))
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Formats of inputs, accumulator and output; printed `input.accumulate.output`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Precision {
    pub input: Dtype,
    pub accumulate: Dtype,
    pub output: Dtype,
}

impl Precision {
    /// One format throughout.
    #[must_use]
    pub const fn uniform(dtype: Dtype) -> Self {
        Self { input: dtype, accumulate: dtype, output: dtype }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.input, self.accumulate, self.output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_in_the_order_of_the_enum() {
        assert!(DTYPES.iter().enumerate().all(|(index, row)| row.dtype as usize == index));
    }

    #[test]
    fn a_precision_is_named_by_all_three_formats() {
        let mixed = Precision { input: Dtype::Bf16, accumulate: Dtype::Fp32, output: Dtype::Bf16 };
        assert_eq!(mixed.to_string(), "bf16.fp32.bf16");
        assert_eq!(Precision::uniform(Dtype::Fp32).to_string(), "fp32.fp32.fp32");
    }

    /// OCP 8-bit floating point specification: e4m3 reaches 448, e5m2 57344; the least are 2^-9 and 2^-16.
    #[test]
    fn patterns_have_the_values_of_their_format() {
        let of = |dtype: Dtype, bits: u16| dtype.decode(&bits.to_le_bytes()).expect("enough bytes");
        assert_eq!([of(Dtype::E4m3, 0x7e), of(Dtype::E4m3, 0x01), of(Dtype::E4m3, 0xb8)], [448.0, 2.0_f64.powi(-9), -1.0]);
        assert_eq!(
            [of(Dtype::E5m2, 0x7b), of(Dtype::E5m2, 0x01), of(Dtype::E5m2, 0xfc)],
            [57_344.0, 2.0_f64.powi(-16), -f64::INFINITY]
        );
        assert_eq!([of(Dtype::Bf16, 0x3f80), of(Dtype::Fp16, 0x3c00), of(Dtype::Fp16, 0x0001)], [1.0, 1.0, 2.0_f64.powi(-24)]);
        assert!(of(Dtype::E4m3, 0x7f).is_nan() && of(Dtype::E5m2, 0x7d).is_nan() && of(Dtype::Bf16, 0x7fc0).is_nan());
        assert_eq!(
            (Dtype::Int8.decode(&[0x80]), Dtype::Int32.decode(&[0xff; 4]), Dtype::Fp32.decode(&[0; 3])),
            (Some(-128.0), Some(-1.0), None)
        );
    }

    #[test]
    fn rounding_leaves_every_number_of_the_format_and_finds_the_nearest() {
        for dtype in [Dtype::E4m3, Dtype::E5m2, Dtype::Bf16, Dtype::Fp16] {
            let largest = if dtype.bytes() == 1 { 0x7a_u16 } else { 0x4fff };
            let values: Vec<f64> = (0..largest).filter_map(|bits| dtype.decode(&bits.to_le_bytes())).collect();
            for pair in values.windows(2) {
                assert_eq!(dtype.round(pair[0]), pair[0], "{dtype}");
                let middle = f64::midpoint(pair[0], pair[1]);
                assert_eq!(dtype.round(-middle * (1.0 - 1e-9)), -pair[0], "{dtype}");
                assert_eq!(dtype.round(middle * (1.0 + 1e-9)), pair[1], "{dtype}");
            }
        }
        assert_eq!([Dtype::E4m3.round(17.0), Dtype::E4m3.round(19.0), Dtype::Int8.round(2.5)], [16.0, 20.0, 2.0]);
    }

    /// OCP microscaling formats: e2m1 has eight magnitudes.
    #[test]
    fn two_elements_of_fp4_share_a_byte_and_nothing_is_beyond_six() {
        let values = (0..16).map(|bits| Dtype::Fp4.decode(&[bits | 0x50]).expect("a byte"));
        let magnitudes = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];
        assert_eq!(values.collect::<Vec<_>>(), magnitudes.iter().copied().chain(magnitudes.map(|v| -v)).collect::<Vec<_>>());
        assert_eq!(
            [0.2, 0.3, 1.25, 2.5, 5.0, 5.1, 8.0, -7.9].map(|v| Dtype::Fp4.round(v)),
            [0.0, 0.5, 1.0, 2.0, 4.0, 6.0, 6.0, -6.0]
        );
        assert_eq!((Dtype::Fp4.bytes_of(5), Dtype::Bf16.bytes_of(5), Dtype::Fp4.bytes()), (3, 10, 1));
    }

    #[test]
    fn the_integer_bound_is_where_fp32_stops_being_exact() {
        let bound = Dtype::Fp32.exact_integers();
        assert_eq!(f64::from(bound as f32), 16_777_216.0);
        assert_eq!(f64::from((bound + 1) as f32), 16_777_216.0);
        assert_eq!(Dtype::Fp32.roundoff(), f64::from(f32::EPSILON) / 2.0);
    }
}
