//! Number formats and the precisions that a workload is named by.
//!
//! Formats: IEEE 754-2019 for fp16, fp32, fp64; bf16 and TF32 as NVIDIA's PTX ISA defines them; e4m3 and e5m2 by the OCP 8-bit
//! floating point specification (2023).

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
}

const fn row(dtype: Dtype, name: &'static str, bits: u32, significand: u32) -> Row {
    Row { dtype, name, bits, significand }
}

/// Every format, in the order of [`Dtype`].
pub const DTYPES: &[Row] = &[
    row(Dtype::Fp64, "fp64", 64, 53),
    row(Dtype::Fp32, "fp32", 32, 24),
    row(Dtype::Tf32, "tf32", 32, 11),
    row(Dtype::Fp16, "fp16", 16, 11),
    row(Dtype::Bf16, "bf16", 16, 8),
    row(Dtype::E4m3, "e4m3", 8, 4),
    row(Dtype::E5m2, "e5m2", 8, 3),
    row(Dtype::Int8, "int8", 8, 7),
    row(Dtype::Int32, "int32", 32, 31),
    row(Dtype::Uint32, "uint32", 32, 32),
];

impl Dtype {
    #[must_use]
    pub fn row(self) -> &'static Row {
        &DTYPES[self as usize]
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Bytes of one element in memory.
    #[must_use]
    pub fn bytes(self) -> u64 {
        u64::from(self.row().bits / 8)
    }

    /// Largest `n` for which every integer in `-n..=n` is exact.
    #[must_use]
    pub fn exact_integers(self) -> u64 {
        1 << self.row().significand
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

    #[test]
    fn the_integer_bound_is_where_fp32_stops_being_exact() {
        let bound = Dtype::Fp32.exact_integers();
        assert_eq!(f64::from(bound as f32), 16_777_216.0);
        assert_eq!(f64::from((bound + 1) as f32), 16_777_216.0);
        assert_eq!(Dtype::Fp32.roundoff(), f64::from(f32::EPSILON) / 2.0);
    }
}
