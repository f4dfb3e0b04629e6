//! Launch: how soon one kernel follows another that it depends on, in a stream and in a graph, and how soon the host has an answer.
//!
//! Inference of small batches is a long chain of short kernels, so that this time, not the hardware's rates, decides. Each kernel of the
//! chain adds one to what the one before it wrote; the time is that of the whole chain over its length, launching included. A round trip
//! is one kernel, or a graph of one, that the host asks for and waits for, by the host's clock: a figure of the host as much as of the device.
//!
//! Elsewhere than on CUDA a graph is what is handed over at once: to wgpu one submission that holds all dispatches, to the CPU's cores a list
//! of kernels that they go through from one barrier to the next. In wgpu's stream each dispatch is a submission of its own.

use super::{Choice, oracle};
use crate::{
    dtype::{Dtype, Precision},
    plan::{Arg, Buffer, Check, Op, Pass, Plan, Role, Step, Submit, WorkloadKey},
    record::{Device, Kind, RateUnit, Work},
};

/// A row an operation.
struct Operation {
    name: &'static str,
    submit: Submit,
    /// Backends that have such a way.
    on: &'static [&'static str],
    /// Kernels in it; blank for as many as a chain has here.
    length: Option<u64>,
    /// A decision hangs on it where kernels decide, on cards.
    sustained: bool,
}

const OPERATIONS: &[Operation] = &[
    // One launch of a graph that holds the chain.
    Operation { name: "graph", on: &["cuda", "wgpu", "cpu"], submit: Submit::Graph(1), length: None, sustained: true },
    // The same kernels one by one, as fast as the host can ask for them.
    Operation { name: "stream", on: &["cuda", "wgpu"], submit: Submit::Stream, length: None, sustained: false },
    Operation { name: "round-trip", on: &["cuda"], submit: Submit::RoundTrip { graph: false }, length: Some(1), sustained: false },
    Operation {
        name: "graph-round-trip",
        on: &["cuda"],
        submit: Submit::RoundTrip { graph: true },
        length: Some(1),
        sustained: false,
    },
];

/// Chains on one device.
pub fn plans(device: &Device, choice: &Choice) -> Vec<Plan> {
    let length = if device.kind == Kind::Fake { 16 } else { 1000 };
    let own = OPERATIONS.iter().filter(|operation| operation.on.contains(&&*device.backend));
    own.map(|operation| plan(operation, operation.length.unwrap_or(length), device, choice.seed)).collect()
}

fn plan(operation: &Operation, length: u64, device: &Device, seed: u32) -> Plan {
    let link = |index| Op::Kernel { stem: "link", args: vec![Arg::Buffer(0), Arg::Buffer(1), Arg::Count(index)] };
    Plan {
        key: WorkloadKey {
            family: "launch",
            operation: operation.name,
            precision: Dtype::Uint32.to_string(),
            shape: format!("{length}"),
        },
        precision: Precision::uniform(Dtype::Uint32),
        work: Work { items: length, ..Work::default() },
        unit: RateUnit::Seconds,
        places: vec![device.id.clone()],
        buffers: vec![Buffer::vector(Dtype::Uint32, 1, Role::In), Buffer::vector(Dtype::Uint32, length, Role::Out)],
        program: (0..length).map(|index| Step { stream: 0, op: link(index) }).collect(),
        submit: operation.submit,
        check: Check {
            output: 1,
            element: |plan, pass, element| f64::from(word(plan, pass, element)),
            fold: |plan, seed| oracle::vector(plan.buffers[1].elements, seed, |element| word(plan, Pass::Exact, element)),
            bound: 0,
            tolerance: 0.0,
            relative: 0.0,
        },
        also: Vec::new(),
        seed,
        sustained: operation.sustained && device.backend == "cuda",
    }
}

/// What the chain leaves at `element`. Words wrap.
fn word(plan: &Plan, pass: Pass, element: u64) -> u32 {
    (plan.input(0, pass, 0) as u32).wrapping_add(element as u32 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::SUITES;

    fn choice() -> Choice {
        Choice { suite: SUITES[0], footprint: None, seed: 3 }
    }

    #[test]
    fn a_chain_counts_its_kernels_and_each_depends_on_the_one_before() {
        let plans = plans(&Device::new("cuda:0", "cuda", Kind::Gpu, "x"), &choice());
        let ids: Vec<_> = plans.iter().map(|plan| plan.key.id()).collect();
        assert_eq!(ids[..2], ["launch/uint32/graph/1000", "launch/uint32/stream/1000"]);
        assert_eq!(ids[2..], ["launch/uint32/round-trip/1", "launch/uint32/graph-round-trip/1"]);
        assert!(plans[2..].iter().all(|plan| plan.work.items == 1 && matches!(plan.submit, Submit::RoundTrip { .. })));
        for plan in &plans[..2] {
            assert_eq!((plan.work.items, plan.program.len()), (1000, 1000));
            let first = (plan.check.element)(plan, Pass::Random, 0);
            assert_eq!((plan.check.element)(plan, Pass::Random, 999), f64::from((first as u32).wrapping_add(999)));
        }
    }

    #[test]
    fn other_backends_have_the_chains_that_they_can_submit() {
        let of = |backend: &str| {
            let plans = plans(&Device::new("x:0", backend, Kind::Gpu, "x"), &choice());
            plans.iter().map(|plan| format!("{} {}", plan.key.operation, plan.sustained)).collect::<Vec<_>>()
        };
        assert_eq!((of("cpu"), of("wgpu")), (vec!["graph false".to_owned()], vec!["graph false".into(), "stream false".into()]));
        assert_eq!((of("cuda").len(), of("cuda")[0].as_str(), of("replay").len()), (4, "graph true", 0));
    }
}
