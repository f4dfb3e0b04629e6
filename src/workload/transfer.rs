//! Transfer: what the link between host and device delivers, each way and both ways at once.
//!
//! Bytes are those delivered, counted once a direction, as nvbandwidth counts them. Pinned memory is read and written by the copy engines
//! themselves and lies on the NUMA node next to the device, where that is known; pageable memory passes through the driver's own pinned
//! pages, which is what an unprepared program gets.

use super::{Choice, copies, footprint};
use crate::{
    dtype::{Dtype, Precision},
    plan::{Buffer, Op, Place, Plan, Role, Step, Submit, WorkloadKey},
    record::{Device, NUMA_NODE, RateUnit, Work},
    units::{Bytes, binary},
};

/// A row an operation: which ways, and where the host's side lies.
struct Operation {
    name: &'static str,
    to_device: bool,
    to_host: bool,
    place: Place,
}

const OPERATIONS: &[Operation] = &[
    Operation { name: "h2d", to_device: true, to_host: false, place: Place::Pinned(None) },
    Operation { name: "d2h", to_device: false, to_host: true, place: Place::Pinned(None) },
    Operation { name: "both", to_device: true, to_host: true, place: Place::Pinned(None) },
    Operation { name: "h2d-pageable", to_device: true, to_host: false, place: Place::Pageable },
    Operation { name: "d2h-pageable", to_device: false, to_host: true, place: Place::Pageable },
];

/// A quarter of the footprint of `stream`; in the standard suite a sixteenth and the whole as well.
pub fn plans(device: &Device, choice: &Choice) -> Vec<Plan> {
    if device.backend != "cuda" {
        return Vec::new();
    }
    let whole = footprint(device, choice);
    let sizes = if choice.suite.thorough { vec![whole / 16, whole / 4, whole] } else { vec![whole / 4] };
    let of = |operation: &'static Operation| sizes.iter().map(move |bytes| plan(operation, *bytes, device, choice.seed));
    OPERATIONS.iter().flat_map(of).collect()
}

fn plan(operation: &Operation, bytes: u64, device: &Device, seed: u32) -> Plan {
    let words = bytes / Dtype::Uint32.bytes();
    let mut buffers = Vec::new();
    let mut program = Vec::new();
    let node = device.facts.get(NUMA_NODE).and_then(|node| node.parse().ok());
    let host = if matches!(operation.place, Place::Pinned(_)) { Place::Pinned(node) } else { operation.place };
    let ways = [(operation.to_device, host, Place::Device(0)), (operation.to_host, Place::Device(0), host)];
    for (_, from, to) in ways.into_iter().filter(|(wanted, ..)| *wanted) {
        let first = buffers.len();
        buffers.push(Buffer { place: from, ..Buffer::vector(Dtype::Uint32, words, Role::In) });
        buffers.push(Buffer { place: to, ..Buffer::vector(Dtype::Uint32, words, Role::Out) });
        program.push(Step { stream: program.len() as u32, op: Op::Copy { from: first, to: first + 1 } });
    }
    let count = program.len() as u64;
    let (check, also) = copies::checks(count > 1);
    Plan {
        key: WorkloadKey {
            family: "transfer",
            operation: operation.name,
            precision: Dtype::Uint32.to_string(),
            shape: binary(bytes),
        },
        precision: Precision::uniform(Dtype::Uint32),
        work: Work { bytes: Bytes(count * bytes), ..Work::default() },
        unit: RateUnit::Bytes,
        places: vec![device.id.clone()],
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
    use crate::{
        plan::{Check, Pass},
        record::Kind,
        workload::SUITES,
    };

    #[test]
    fn pinned_memory_lies_next_to_the_device() {
        let device = Device { facts: [(NUMA_NODE.into(), "1".into())].into(), ..Device::new("cuda:0", "cuda", Kind::Gpu, "x") };
        let plans = plans(&device, &Choice { suite: SUITES[0], footprint: Some(4 << 20), seed: 3 });
        let hosts = |name: &str| {
            let plan = plans.iter().find(|plan| plan.key.operation == name).expect("planned");
            plan.buffers.iter().map(|buffer| buffer.place).filter(|place| *place != Place::Device(0)).collect::<Vec<_>>()
        };
        assert_eq!((hosts("h2d"), hosts("both")), (vec![Place::Pinned(Some(1))], vec![Place::Pinned(Some(1)); 2]));
        assert_eq!(hosts("d2h-pageable"), [Place::Pageable]);
    }

    #[test]
    fn both_ways_are_two_copies_on_two_streams_and_both_are_checked() {
        let choice = Choice { suite: SUITES[0], footprint: Some(4 << 20), seed: 3 };
        let plans = plans(&Device::new("cuda:0", "cuda", Kind::Gpu, "x"), &choice);
        let both = plans.iter().find(|plan| plan.key.id() == "transfer/uint32/both/1MiB").expect("planned");
        assert_eq!((both.work.bytes, both.buffers.len()), (Bytes(2 << 20), 4));
        assert_eq!(both.program.iter().map(|step| step.stream).collect::<Vec<_>>(), [0, 1]);
        assert_eq!((both.check.output, both.also.first().map(|check| check.output)), (1, Some(3)));
        let differ = |check: &Check| (check.element)(both, Pass::Random, 7);
        assert!((differ(&both.check) - both.also.first().map_or(0.0, differ)).abs() > 0.0, "the two ways carry different words");
        assert_eq!(both.buffers[0].place, Place::Pinned(None), "no node is known");
        assert!(plans.iter().filter(|plan| plan.also.is_empty()).all(|plan| plan.work.bytes == Bytes(1 << 20)));
    }
}
