//! Physical rates by architecture: what no kernel can exceed.
//!
//! Operations a clock a streaming multiprocessor follow from the instruction throughput table of the CUDA C++ Programming Guide
//! (arithmetic instructions, results per clock per SM) times two for a fused multiply-add, and for tensor cores from NVIDIA's
//! datasheets (dense rate / (SMs × boost clock)).

use crate::{
    dtype::{Dtype, Precision},
    record::{Device, RateUnit},
};

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

/// The physical peak of a device in the unit of a rate, per second; blank where a fact is missing.
#[must_use]
pub fn peak(device: &Device, precision: Precision, unit: RateUnit) -> Option<f64> {
    match unit {
        RateUnit::Flops => {
            let architecture = device.architecture.as_deref()?;
            let row = ROWS.iter().find(|row| row.architecture == architecture)?;
            let operations = match precision.input {
                Dtype::Fp32 => row.fp32,
                Dtype::Fp64 => row.fp64,
                _ => return None,
            };
            Some(f64::from(operations) * f64::from(device.units?) * f64::from(device.boost_mhz?.0) * 1e6)
        }
        // Two transfers a clock: every memory of these devices is double data rate.
        RateUnit::Bytes => Some(f64::from(device.bus_bits?) / 8.0 * f64::from(device.memory_mhz?.0) * 2e6),
        RateUnit::Items | RateUnit::Seconds => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{record::Kind, units::Megahertz};

    fn h200() -> Device {
        Device {
            architecture: Some("9.0".into()),
            units: Some(132),
            boost_mhz: Some(Megahertz(1_980)),
            memory_mhz: Some(Megahertz(3_201)),
            bus_bits: Some(6_144),
            ..Device::new("cuda:0", "cuda", Kind::Gpu, "H200")
        }
    }

    /// NVIDIA H200 datasheet: 67 TFLOP/s FP32, 67 TFLOP/s FP64 tensor, 4.8 TB/s.
    #[test]
    fn the_datasheet_of_the_h200_is_met() {
        let of = |dtype, unit| peak(&h200(), Precision::uniform(dtype), unit).expect("known") / 1e12;
        assert!((of(Dtype::Fp32, RateUnit::Flops) - 66.9).abs() < 0.1);
        assert!((of(Dtype::Fp64, RateUnit::Flops) - 66.9).abs() < 0.1);
        assert!((of(Dtype::Fp64, RateUnit::Bytes) - 4.917).abs() < 0.01);
    }

    #[test]
    fn a_missing_fact_leaves_the_peak_blank() {
        let unknown = Device { boost_mhz: None, bus_bits: None, ..h200() };
        assert_eq!(peak(&unknown, Precision::uniform(Dtype::Fp32), RateUnit::Flops), None);
        assert_eq!(peak(&unknown, Precision::uniform(Dtype::Fp32), RateUnit::Bytes), None);
    }
}
