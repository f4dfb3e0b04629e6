//! Latency: how long a load takes that must be waited for, by the level of memory that answers it.
//!
//! One thread follows links through a random-looking cycle of 128-byte lines, so that no load can begin before the one before it ended.
//! A launch goes on where the one before ended: a footprint larger than a cache is not found there, however few of its lines a launch
//! visits. The time is that of a launch over its hops, some microseconds of launching included; the kernel tells clocks and nanoseconds
//! without them.

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

/// What the kernel tells of the last launch, over its loads.
pub const SPENT: &[&str] = &["clocks_per_load", "ns_per_load"];

/// A ladder of footprints, four times larger each, from the first cache to memory; in the quick suite one for the first cache, half of the
/// last, and memory.
pub fn plans(device: &Device, choice: &Choice) -> Vec<Plan> {
    if device.backend != "cuda" {
        return Vec::new();
    }
    let power = |bytes: u64| if bytes > 0 { 1 << bytes.ilog2() } else { 0 };
    let top = power(footprint(device, choice).min(LARGEST)).max(SMALLEST);
    let mut rungs: Vec<u64> = if choice.suite.thorough {
        std::iter::successors(Some(SMALLEST), |bytes| Some(bytes * 4)).take_while(|bytes| *bytes < top).collect()
    } else {
        vec![SMALLEST, power(device.last_cache_bytes() / 2)]
    };
    rungs.retain(|bytes| (SMALLEST..top).contains(bytes));
    rungs.push(top);
    rungs.dedup();
    rungs.into_iter().map(|bytes| plan(bytes, device, choice.seed)).collect()
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
    let args = (0..4).map(Arg::Buffer).chain(counts).collect();
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
            Buffer::vector(Dtype::Uint32, SPENT.len() as u64, Role::Counters(SPENT)),
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
        also: Vec::new(),
        seed,
        sustained: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{record::Cache, workload::SUITES};

    #[test]
    fn the_ladder_climbs_from_the_first_cache_to_memory_by_powers_of_two() {
        let of = |memory, cache, suite, footprint| {
            let caches = vec![Cache { level: 2, bytes: cache, instances: 1 }];
            let device = Device { memory_bytes: Some(memory), caches, ..Device::new("cuda:0", "cuda", Kind::Gpu, "x") };
            let plans = plans(&device, &Choice { suite: SUITES[suite], footprint, seed: 1 });
            assert!(plans.iter().all(|plan| (plan.buffers[0].bytes() / LINE).is_power_of_two()));
            plans.into_iter().map(|plan| plan.key.shape).collect::<Vec<_>>()
        };
        assert_eq!(of(141 << 30, 60 << 20, 0, None), ["16KiB", "16MiB", "1GiB"]);
        assert_eq!(of(141 << 30, 60 << 20, 1, None).len(), 9);
        assert_eq!(of(64 << 20, 256 << 10, 0, Some(1 << 20)), ["16KiB", "128KiB", "1MiB"]);
        assert_eq!(of(64 << 20, 0, 0, Some(3 << 20)), ["16KiB", "2MiB"]);
        assert_eq!(of(64 << 20, 4 << 20, 1, Some(2 << 20)), ["16KiB", "64KiB", "256KiB", "1MiB", "2MiB"]);
    }
}
