//! Latency: how long a load takes that must be waited for, by the level of memory that answers it.
//!
//! One thread follows links through a random-looking cycle of 128-byte lines, so that no load can begin before the one before it ended.
//! A launch goes on where the one before ended: a footprint larger than a cache is not found there, however few of its lines a launch
//! visits. The time is that of a launch over its hops, some microseconds of launching included.

use super::{Choice, footprint, oracle};
use crate::{
    dtype::{Dtype, Precision},
    plan::{Arg, Buffer, Check, Op, Plan, Role, Step, Submit, WorkloadKey},
    record::{Device, Kind, RateUnit, Work},
    units::binary,
};

/// Bytes of a line, which every GPU's caches fill at once.
const LINE: u64 = 128;
const SMALLEST: u64 = 16 << 10;
const LARGEST: u64 = 4 << 30;

/// A ladder of footprints, four times larger each in the standard suite, sixty-four times in the quick one.
pub fn plans(device: &Device, choice: &Choice) -> Vec<Plan> {
    if device.backend != "cuda" {
        return Vec::new();
    }
    let top = footprint(device, choice).min(LARGEST);
    let times = if choice.suite.thorough { 4 } else { 64 };
    let rungs = std::iter::successors(Some(SMALLEST), |bytes| Some(bytes * times)).take_while(|bytes| *bytes <= top);
    rungs.map(|bytes| plan(bytes, device, choice.seed)).collect()
}

fn plan(bytes: u64, device: &Device, seed: u32) -> Plan {
    let hops = match device.kind {
        Kind::Fake => 256,
        // Long enough that launching is a few thousandths of it.
        _ if bytes <= 1 << 20 => 1 << 16,
        _ => 1 << 14,
    };
    // A fake remembers what a launch did, as long as the next finds the same memory.
    let advance = u64::from(device.kind != Kind::Fake);
    let counts = [bytes / LINE, hops, advance, u64::from(seed)].map(Arg::Count);
    let args = [&[Arg::Buffer(0), Arg::Buffer(1), Arg::Buffer(2)], &counts[..]].concat();
    Plan {
        key: WorkloadKey { family: "latency", operation: "chase", precision: Dtype::Uint32.to_string(), shape: binary(bytes) },
        precision: Precision::uniform(Dtype::Uint32),
        work: Work { items: hops, ..Work::default() },
        unit: RateUnit::Seconds,
        places: vec![device.id.clone()],
        buffers: vec![
            Buffer::vector(Dtype::Uint32, bytes / Dtype::Uint32.bytes(), Role::Links),
            // How often it was launched.
            Buffer::vector(Dtype::Uint32, 2, Role::Side),
            Buffer::vector(Dtype::Uint32, 1, Role::Out),
        ],
        program: vec![Step { stream: 0, op: Op::Kernel { stem: "chase", args } }],
        submit: Submit::Stream,
        check: Check {
            output: 2,
            element: |plan, _, _| f64::from(plan.seed),
            fold: |plan, seed| oracle::vector(1, seed, |_| plan.seed),
            bound: 0,
            tolerance: 0.0,
            relative: 0.0,
        },
        also: None,
        seed,
        sustained: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::SUITES;

    #[test]
    fn the_ladder_climbs_from_the_first_cache_to_memory_by_powers_of_two() {
        let device = Device { memory_bytes: Some(141 << 30), ..Device::new("cuda:0", "cuda", Kind::Gpu, "x") };
        let ladder = |suite| plans(&device, &Choice { suite: SUITES[suite], footprint: None, seed: 1 });
        let shapes: Vec<_> = ladder(0).iter().map(|plan| plan.key.shape.clone()).collect();
        assert_eq!(shapes, ["16KiB", "1MiB", "64MiB"]);
        assert_eq!(ladder(1).len(), 9);
        assert!(ladder(1).iter().all(|plan| (plan.buffers[0].bytes() / LINE).is_power_of_two()));
    }
}
