//! Physical rates by architecture: what no kernel can exceed.
//!
//! Operations a clock a streaming multiprocessor follow from the instruction throughput table of the CUDA C++ Programming Guide
//! (arithmetic instructions, results per clock per SM) times two for a fused multiply-add, and for double-precision tensor cores
//! from NVIDIA's datasheets (dense rate / (SMs × boost clock)).

use crate::dtype::Dtype;

/// Operations a clock a unit, by CUDA compute capability.
struct Row {
    architecture: &'static str,
    /// SIMT single precision.
    fp32: u32,
    /// Best of SIMT and tensor double precision.
    fp64: u32,
}

const ROWS: &[Row] = &[
    Row { architecture: "7.0", fp32: 128, fp64: 64 },
    Row { architecture: "7.5", fp32: 128, fp64: 4 },
    Row { architecture: "8.0", fp32: 128, fp64: 128 },
    Row { architecture: "8.6", fp32: 256, fp64: 4 },
    Row { architecture: "8.9", fp32: 256, fp64: 4 },
    Row { architecture: "9.0", fp32: 256, fp64: 256 },
    Row { architecture: "10.0", fp32: 256, fp64: 128 },
    Row { architecture: "12.0", fp32: 256, fp64: 4 },
];

/// Transfers a clock on each line of a memory bus: every memory of the devices above is double data rate.
pub const TRANSFERS_A_CLOCK: u32 = 2;

/// Operations that one unit of an architecture (`9.0`) can do a clock in a format; blank where it is not known.
#[must_use]
pub fn operations_a_clock(architecture: &str, dtype: Dtype) -> Option<u32> {
    let row = ROWS.iter().find(|row| row.architecture == architecture)?;
    match dtype {
        Dtype::Fp32 => Some(row.fp32),
        Dtype::Fp64 => Some(row.fp64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_is_told() {
        assert_eq!(operations_a_clock("9.0", Dtype::Fp64), Some(256));
        assert_eq!(operations_a_clock("9.0", Dtype::Int8), None);
        assert_eq!(operations_a_clock("3.5", Dtype::Fp32), None);
    }
}
