//! Peer: what the link between two devices delivers, one way and both ways at once.
//!
//! Bytes are those delivered, counted once a direction. The copy engine of the device that the bytes come from writes them into the
//! other's memory. Where the two have no link that they reach each other by, the driver takes the bytes through the host's memory, and
//! the variant says so. A pair is measured both ways by the device that comes first; one way, each device leads to every other.

use super::{Choice, copies, footprint};
use crate::{
    dtype::{Dtype, Precision},
    plan::{Buffer, Op, Place, Plan, Role, Step, Submit, WorkloadKey},
    record::{Device, RateUnit, Work},
    units::{Bytes, binary},
};

/// From the first device to each other, and both ways to those that come after it; without another device one plan that says so.
pub fn plans(devices: &[Device], choice: &Choice) -> Vec<Plan> {
    let [lead, others @ ..] = devices else { return Vec::new() };
    let bytes = footprint(lead, choice) / 4;
    if others.is_empty() {
        return vec![plan(lead, None, bytes, false, choice.seed)];
    }
    let both = |other: &&Device| number(&lead.id) < number(&other.id);
    let one_way = others.iter().map(|other| plan(lead, Some(other), bytes, false, choice.seed));
    let both_ways = others.iter().filter(both).map(|other| plan(lead, Some(other), bytes, true, choice.seed));
    one_way.chain(both_ways).collect()
}

/// The driver's number of a device, by its id `cuda:3`.
pub fn number(id: &str) -> u32 {
    id.rsplit(':').next().and_then(|number| number.parse().ok()).unwrap_or(u32::MAX)
}

fn plan(lead: &Device, other: Option<&Device>, bytes: u64, both: bool, seed: u32) -> Plan {
    let words = bytes / Dtype::Uint32.bytes();
    let mut buffers = Vec::new();
    let mut program = Vec::new();
    // Each copy on the stream of the device that it comes from.
    for (from, to) in [(0, 1), (1, 0)].into_iter().take(1 + usize::from(both)) {
        let first = buffers.len();
        buffers.push(Buffer { place: Place::Device(from), ..Buffer::vector(Dtype::Uint32, words, Role::In) });
        buffers.push(Buffer { place: Place::Device(to), ..Buffer::vector(Dtype::Uint32, words, Role::Out) });
        program.push(Step { stream: from as u32, op: Op::Copy { from: first, to: first + 1 } });
    }
    let count = program.len() as u64;
    let to = other.map_or_else(|| "any".into(), |other| number(&other.id).to_string());
    let (check, also) = copies::checks(both);
    Plan {
        key: WorkloadKey {
            family: "peer",
            operation: if both { "both" } else { "to" },
            precision: Dtype::Uint32.to_string(),
            shape: format!("{to}-{}", binary(bytes)),
        },
        precision: Precision::uniform(Dtype::Uint32),
        work: Work { bytes: Bytes(count * bytes), ..Work::default() },
        unit: RateUnit::Bytes,
        places: std::iter::once(lead).chain(other).map(|device| device.id.clone()).collect(),
        buffers,
        program,
        submit: Submit::Stream,
        check,
        also,
        seed,
        sustained: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{record::Kind, workload::SUITES};

    fn ids(leads: &[u32]) -> Vec<String> {
        let devices: Vec<Device> = leads.iter().map(|n| Device::new(&format!("cuda:{n}"), "cuda", Kind::Gpu, "x")).collect();
        let choice = Choice { suite: SUITES[0], footprint: Some(4 << 20), seed: 3 };
        let plans = plans(&devices, &choice);
        assert!(plans.iter().all(|plan| plan.places[0] == devices[0].id && plan.buffers.len() == 2 * plan.program.len()));
        assert!(plans.iter().all(|plan| plan.program.iter().all(|step| {
            let Op::Copy { from, to } = step.op else { return false };
            let place = |buffer: usize| plan.buffers[buffer].place;
            place(from) == Place::Device(plan.device_of(step.stream).min(1)) && place(from) != place(to)
        })));
        plans.iter().map(|plan| plan.key.id()).collect()
    }

    #[test]
    fn every_pair_is_met_one_way_from_each_side_and_both_ways_once() {
        assert_eq!(
            ids(&[0, 1, 10]),
            ["peer/uint32/to/1-1MiB", "peer/uint32/to/10-1MiB", "peer/uint32/both/1-1MiB", "peer/uint32/both/10-1MiB"]
        );
        assert_eq!(ids(&[10, 0, 1]), ["peer/uint32/to/0-1MiB", "peer/uint32/to/1-1MiB"]);
    }

    #[test]
    fn a_device_without_another_still_says_what_it_lacks() {
        assert_eq!(ids(&[0]), ["peer/uint32/to/any-1MiB"]);
    }
}
