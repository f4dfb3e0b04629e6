//! The physical peak of a device, from its own facts.

use crate::{
    chips,
    dtype::Precision,
    record::{Device, RateUnit},
};

/// Peak in the unit of a rate, per second, at the highest clock; blank where a fact is missing.
#[must_use]
pub fn peak(device: &Device, precision: Precision, unit: RateUnit) -> Option<f64> {
    match unit {
        RateUnit::Flops => {
            let operations = chips::operations_a_clock(device.architecture.as_deref()?, precision.input)?;
            Some(chips::flops_peak(device.units?, f64::from(operations), device.boost_mhz?))
        }
        RateUnit::Bytes => Some(chips::bytes_peak(device.bus_bits?, device.memory_mhz?)),
        RateUnit::Items | RateUnit::Seconds => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dtype::Dtype, record::Kind, units::Megahertz};

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
