//! Collective: the sum over all devices of what each holds, of which every device ends with the whole (all-reduce).
//!
//! Bytes are what each link carries at the least, `2(n-1)/n` of an array, as nccl-tests counts its bus bandwidth; a small one is told as
//! the time that it takes. A launch is one kernel a device, between events that all of them wait for: it begins when the slowest device
//! is ready and ends when every device has its result. Two of them a layer is what a model that is split over devices pays.

use super::{Choice, footprint, oracle, peer::number};
use crate::{
    dtype::{Dtype, Precision},
    plan::{Arg, Buffer, Check, Op, Pass, Place, Plan, Role, SPREAD, Step, Submit, WorkloadKey},
    record::{Device, RateUnit, Work},
    units::{Bytes, binary},
};

/// Bytes of what a decode step of a small batch sums.
const SMALL: u64 = 8 << 10;
/// Devices that are summed over at the most.
const MOST: usize = 8;

/// What is summed in an element, device by device; each output of a plan has a row of this.
macro_rules! checks {
    ($($output:literal)*) => {
        &[$(|plan| Check {
            // Outputs follow the inputs, one a device.
            output: plan.buffers.len() / 2 + $output,
            element,
            fold: folded,
            bound: (plan.buffers.len() / 2) as u64 * SPREAD as u64,
            tolerance: tolerance(plan.buffers.len() / 2),
            relative: 0.0,
        }),*]
    };
}

const CHECKS: &[fn(&Plan) -> Check] = checks!(0 1 2 3 4 5 6 7);

/// The ladder of sizes, from the device that comes first; without another device one plan that says so.
pub fn plans(devices: &[Device], choice: &Choice) -> Vec<Plan> {
    let Some(lead) = devices.first().filter(|lead| devices.iter().all(|other| number(&lead.id) <= number(&other.id))) else {
        return Vec::new();
    };
    let large = footprint(lead, choice) / 4;
    let places = &devices[..devices.len().min(MOST)];
    if places.len() < 2 {
        return vec![plan(places, large, choice.seed)];
    }
    let thorough = [1 << 20, 16 << 20].into_iter().filter(|bytes| choice.suite.thorough && *bytes < large);
    let sizes = [SMALL, 64 << 10].into_iter().chain(thorough).chain([large]);
    sizes.map(|bytes| plan(places, bytes, choice.seed)).collect()
}

fn plan(devices: &[Device], bytes: u64, seed: u32) -> Plan {
    // A device alone is told that it lacks another.
    let count = devices.len().max(2);
    let elements = bytes / Dtype::Fp32.bytes();
    let buffer = |role| move |place| Buffer { place: Place::Device(place), ..Buffer::vector(Dtype::Fp32, elements, role) };
    let part = |own: usize| Step {
        stream: own as u32,
        op: Op::Kernel {
            stem: "all_reduce",
            args: vec![Arg::Peers(count), Arg::Count(elements), Arg::Count(count as u64), Arg::Count(own as u64)],
        },
    };
    let waits = bytes <= SMALL;
    let mut plan = Plan {
        key: WorkloadKey {
            family: "collective",
            operation: if waits { "all-reduce-time" } else { "all-reduce" },
            precision: Dtype::Fp32.to_string(),
            shape: format!("{count}x{}", binary(bytes)),
        },
        precision: Precision::uniform(Dtype::Fp32),
        work: Work { bytes: Bytes(2 * (count as u64 - 1) * bytes / count as u64), items: u64::from(waits), ..Work::default() },
        unit: if waits { RateUnit::Seconds } else { RateUnit::Bytes },
        places: devices.iter().map(|device| device.id.clone()).collect(),
        buffers: (0..count).map(buffer(Role::In)).chain((0..count).map(buffer(Role::Out))).collect(),
        program: (0..count).map(part).collect(),
        submit: Submit::Stream,
        check: Check { output: count, element, fold: folded, bound: 0, tolerance: 0.0, relative: 0.0 },
        also: Vec::new(),
        seed,
        sustained: false,
    };
    let mut checks = CHECKS[..count].iter().map(|check| check(&plan)).collect::<Vec<_>>();
    plan.check = checks.remove(0);
    plan.also = checks;
    plan
}

/// An element of every output.
fn element(plan: &Plan, pass: Pass, element: u64) -> f64 {
    (0..plan.buffers.len() / 2).map(|input| plan.input(input, pass, element)).sum()
}

/// The fold of an output: fold and sum may be exchanged.
fn folded(plan: &Plan, seed: u32) -> u32 {
    let inputs = 0..plan.buffers.len() / 2;
    inputs.map(|input| oracle::vector(plan.buffers[input].elements, seed, oracle::integer(plan, input))).fold(0, u32::wrapping_add)
}

/// Each addition rounds once, a sum of so many inputs within 8.25.
fn tolerance(devices: usize) -> f64 {
    const LARGEST: f64 = 8.25;
    let devices = devices as f64;
    devices * devices * LARGEST * Dtype::Fp32.roundoff()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{record::Kind, workload::SUITES};

    fn of(numbers: &[u32], suite: usize) -> Vec<Plan> {
        let devices: Vec<Device> = numbers.iter().map(|n| Device::new(&format!("cuda:{n}"), "cuda", Kind::Gpu, "x")).collect();
        plans(&devices, &Choice { suite: SUITES[suite], footprint: Some(4 << 20), seed: 3 })
    }

    #[test]
    fn the_first_device_leads_a_ladder_of_sizes() {
        let ids = |plans: Vec<Plan>| plans.iter().map(|plan| plan.key.id()).collect::<Vec<_>>();
        let quick =
            ["collective/fp32/all-reduce-time/2x8KiB", "collective/fp32/all-reduce/2x64KiB", "collective/fp32/all-reduce/2x1MiB"];
        assert_eq!(ids(of(&[0, 1], 0)), quick);
        assert!(of(&[1, 0], 0).is_empty());
        assert_eq!(of(&[0], 0)[0].places.len(), 1);
    }

    #[test]
    fn every_output_is_checked_and_bytes_are_those_of_a_link() {
        let plan = of(&[0, 1, 2, 3], 0).remove(2);
        assert_eq!(plan.checks().map(|check| check.output).collect::<Vec<_>>(), [4, 5, 6, 7]);
        assert_eq!((plan.work.bytes, plan.unit), (Bytes(2 * 3 * (1 << 20) / 4), RateUnit::Bytes));
        assert!(plan.buffers.iter().enumerate().all(|(index, buffer)| buffer.place == Place::Device(index % 4)));
        let sum = (0..4).map(|input| plan.input(input, Pass::Exact, 9)).sum::<f64>();
        assert_eq!((plan.check.element)(&plan, Pass::Exact, 9), sum);
        let by_element = (0..plan.buffers[0].elements).map(|e| (element(&plan, Pass::Exact, e) as i64 as u32, e));
        let folded = oracle_of(by_element);
        assert_eq!((plan.check.fold)(&plan, 9), folded);
    }

    fn oracle_of(values: impl Iterator<Item = (u32, u64)>) -> u32 {
        use crate::plan::{COLUMN, ROW, weight};
        let sum = values.fold(0_u32, |sum, (value, e)| sum.wrapping_add(value.wrapping_mul(weight(9 ^ ROW, e))));
        sum.wrapping_mul(weight(9 ^ COLUMN, 0))
    }

    #[test]
    fn a_small_one_is_told_as_its_time() {
        let small = of(&[0, 1], 0).remove(0);
        assert_eq!((small.unit, small.work.items, small.buffers[0].bytes()), (RateUnit::Seconds, 1, SMALL));
    }
}
