//! The physical peak of a device, from its own facts.

use crate::{
    chips,
    dtype::Precision,
    record::{Device, RateUnit},
};

/// Peak in the unit of a rate, per second, at the highest clock; blank where a fact is missing. Footprints of the family `cache`
/// may lie in any level, and so have the peak of the nearest; what crosses a link has none that the device would tell.
#[must_use]
pub fn peak(device: &Device, precision: Precision, unit: RateUnit, family: &str) -> Option<f64> {
    let of_units = |each: u32| Some(chips::units_peak(device.units?, f64::from(each), device.boost_mhz?));
    match (unit, family) {
        (RateUnit::Flops, _) => of_units(chips::operations_a_clock(device.architecture.as_deref()?, precision.input)?),
        (RateUnit::Bytes, "stream") => Some(chips::bytes_peak(device.bus_bits?, device.memory_mhz?)),
        (RateUnit::Bytes, "cache") => of_units(chips::near_bytes_a_clock(device.architecture.as_deref()?)?),
        (RateUnit::Bytes | RateUnit::Items | RateUnit::Seconds, _) => None,
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

    fn of(device: &Device, dtype: Dtype, unit: RateUnit, family: &'static str) -> Option<f64> {
        peak(device, Precision::uniform(dtype), unit, family)
    }

    /// NVIDIA H200 datasheet: 67 TFLOP/s FP32, 67 TFLOP/s FP64 tensor, 4.8 TB/s.
    #[test]
    fn the_datasheet_of_the_h200_is_met() {
        let of = |dtype, unit, family| of(&h200(), dtype, unit, family).expect("known") / 1e12;
        assert!((of(Dtype::Fp32, RateUnit::Flops, "matmul") - 66.9).abs() < 0.1);
        assert!((of(Dtype::Fp64, RateUnit::Flops, "issue") - 66.9).abs() < 0.1);
        assert!((of(Dtype::Fp64, RateUnit::Bytes, "stream") - 4.917).abs() < 0.01);
    }

    #[test]
    fn a_footprint_that_a_cache_may_hold_is_not_held_to_what_memory_gives() {
        let near = of(&h200(), Dtype::Fp64, RateUnit::Bytes, "cache").expect("known") / 1e12;
        assert!((near - 33.45).abs() < 0.01, "{near}");
        assert_eq!(of(&h200(), Dtype::Fp64, RateUnit::Bytes, "transfer"), None);
    }

    #[test]
    fn a_missing_fact_leaves_the_peak_blank() {
        let unknown = Device { boost_mhz: None, bus_bits: None, ..h200() };
        assert_eq!(of(&unknown, Dtype::Fp32, RateUnit::Flops, "matmul"), None);
        assert_eq!(of(&unknown, Dtype::Fp32, RateUnit::Bytes, "stream"), None);
        assert_eq!(of(&unknown, Dtype::Fp32, RateUnit::Bytes, "cache"), None);
    }
}
