//! Physical rates by architecture: what no kernel can exceed.
//!
//! Operations a clock a streaming multiprocessor, dense: on ordinary units from the instruction throughput table of the CUDA C++
//! Programming Guide (arithmetic instructions, results per clock per SM) times two for a fused multiply-add; on tensor cores from
//! NVIDIA's datasheets (dense rate / (SMs × boost clock)). GeForce products of 8.6, 8.9 and 12.0 sum in fp32 at half of the rates
//! given, which are those of the full chips: an upper bound for all.
//!
//! 10.3 is B300 and GB300: the datasheet of HGX B300 gives B200's rates but for three (bf16 2.25, fp8 4.5, TF32 1.1 PFLOP/s, fp32 75
//! TFLOP/s a GPU). fp4 is 6 times bf16 by that of GB300 (15 and 2.5 PFLOP/s). fp64 is 1.25 TFLOP/s, a sixtieth of fp32, each in two digits
//! at the most: two fused multiply-adds a clock make a 64th, and no whole number of them comes nearer. int8 (0.15 to 0.165 POP/s) is left
//! out: what its digits leave open is more than a bound may be wrong by.

use crate::{dtype::Dtype, units::Megahertz};

/// Operations a clock a unit, by CUDA compute capability; zero where there is no such unit.
struct Row {
    architecture: &'static str,
    /// SIMT single precision.
    fp32: u32,
    /// Best of SIMT and tensor double precision.
    fp64: u32,
    tf32: u32,
    /// fp16 and bf16, where there is bf16.
    half: u32,
    bf16: bool,
    fp8: u32,
    int8: u32,
    fp4: u32,
}

const fn row(architecture: &'static str, [fp32, fp64, tf32, half, fp8, int8, four_bits]: [u32; 7]) -> Row {
    Row { architecture, fp32, fp64, tf32, half, bf16: tf32 > 0, fp8, int8, fp4: four_bits }
}

const ROWS: &[Row] = &[
    row("7.0", [128, 64, 0, 1024, 0, 0, 0]),
    row("7.5", [128, 4, 0, 1024, 0, 2048, 0]),
    row("8.0", [128, 128, 1024, 2048, 0, 4096, 0]),
    row("8.6", [256, 4, 512, 1024, 0, 2048, 0]),
    row("8.9", [256, 4, 512, 1024, 2048, 2048, 0]),
    row("9.0", [256, 256, 2048, 4096, 8192, 8192, 0]),
    row("10.0", [256, 128, 4096, 8192, 16384, 16384, 32768]),
    row("10.3", [256, 4, 4096, 8192, 16384, 0, 49152]),
    row("12.0", [256, 4, 512, 1024, 2048, 2048, 4096]),
];

/// Transfers a clock on each line of a memory bus: every memory of the devices above is double data rate.
pub const TRANSFERS_A_CLOCK: u32 = 2;

/// Bytes that the first cache and shared memory, which are one, give a unit of an architecture in a clock: 64 on 7.5, 128 on all others
/// (Jia et al., "Dissecting the NVIDIA Turing T4 GPU via Microbenchmarking", 2019; CUDA C++ Best Practices Guide); blank where it is not known.
#[must_use]
pub fn near_bytes_a_clock(architecture: &str) -> Option<u32> {
    let known = ROWS.iter().any(|row| row.architecture == architecture);
    known.then_some(if architecture == "7.5" { 64 } else { 128 })
}

/// Operations that one unit of an architecture (`9.0`) can do a clock in a format; blank where it is not known.
#[must_use]
pub fn operations_a_clock(architecture: &str, dtype: Dtype) -> Option<u32> {
    let row = ROWS.iter().find(|row| row.architecture == architecture)?;
    let rate = match dtype {
        Dtype::Fp32 => row.fp32,
        Dtype::Fp64 => row.fp64,
        Dtype::Tf32 => row.tf32,
        Dtype::Bf16 if !row.bf16 => 0,
        Dtype::Fp16 | Dtype::Bf16 => row.half,
        Dtype::E4m3 | Dtype::E5m2 => row.fp8,
        Dtype::Int8 => row.int8,
        Dtype::Fp4 => row.fp4,
        Dtype::Int32 | Dtype::Uint32 => 0,
    };
    (rate > 0).then_some(rate)
}

/// Whether the tensor cores of an architecture have a memory of their own, into which they multiply (tcgen05).
#[must_use]
pub fn has_tensor_memory(architecture: &str) -> bool {
    matches!(architecture, "10.0" | "10.3")
}

/// Peak of `units` units that do `operations` operations a clock, or move as many bytes, per second.
#[must_use]
pub fn units_peak(units: u32, operations: f64, clock: Megahertz) -> f64 {
    f64::from(units) * operations * f64::from(clock.0) * 1e6
}

/// Peak of a memory bus, in bytes per second.
#[must_use]
pub fn bytes_peak(bus_bits: u32, clock: Megahertz) -> f64 {
    f64::from(bus_bits) / 8.0 * f64::from(TRANSFERS_A_CLOCK) * f64::from(clock.0) * 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_is_told() {
        assert_eq!(operations_a_clock("9.0", Dtype::Fp64), Some(256));
        assert_eq!(operations_a_clock("9.0", Dtype::Uint32), None);
        assert_eq!((operations_a_clock("7.5", Dtype::Bf16), operations_a_clock("7.5", Dtype::Fp16)), (None, Some(1024)));
        assert_eq!(operations_a_clock("3.5", Dtype::Fp32), None);
        assert_eq!(operations_a_clock("10.3", Dtype::Int8), None);
        assert_eq!([near_bytes_a_clock("7.5"), near_bytes_a_clock("9.0"), near_bytes_a_clock("avx2")], [Some(64), Some(128), None]);
    }

    /// NVIDIA HGX B300 and B200: 148 units at 1.965 GHz at the most, of which dense rates take about 1.86.
    #[test]
    fn the_datasheet_of_the_b300_is_met() {
        let peak = |dtype| {
            let operations = operations_a_clock("10.3", dtype).expect("known");
            units_peak(148, f64::from(operations), Megahertz(1_857)) / 1e12
        };
        for (dtype, said, digits) in [
            (Dtype::Bf16, 2250.0, 0.01),
            (Dtype::E4m3, 4500.0, 0.01),
            (Dtype::Tf32, 1100.0, 0.03),
            (Dtype::Fp32, 75.0, 0.07),
            (Dtype::Fp64, 1.25, 0.13),
        ] {
            assert!((peak(dtype) / said - 1.0).abs() < digits, "{dtype}: {} of {said}", peak(dtype));
        }
    }
}
