//! Replay: a recorded trace of launches and readings as a machine, in virtual time.
//!
//! It is measured by the code that measures hardware, and nothing is waited for. Nothing is computed either: what is told of such a
//! measurement is about time alone, and it never stands for hardware.

mod trace;
mod write;

pub use trace::{BadTrace, Trace, Traced};
pub use write::{Subject, text as trace_text};

use crate::{
    contract::{Clock, Fault, Machine, Prepared, Span, Timer, Unsupported},
    dtype::{Dtype, Precision},
    plan::{Buffer, COLUMN, Check, Fold, Pass, Plan, ROW, Role, Submit, Variant, WorkloadKey, weight},
    record::{Device, RateUnit, Reading, Work},
    units::{Bytes, Nanos},
};
use std::{
    cell::{Cell, RefCell},
    slice,
};

/// Time that launches and waiting move on.
#[derive(Debug, Default)]
struct Virtual(Cell<Nanos>);

impl Clock for Virtual {
    fn now(&self) -> Nanos {
        self.0.get()
    }

    fn wait_until(&self, when: Nanos) {
        self.0.set(self.now().max(when));
    }
}

/// A trace opened as a machine. Its launches are consumed once, by whichever measurement comes first.
#[derive(Debug)]
pub struct Replay {
    trace: Trace,
    clock: Virtual,
    /// Launches that were replayed.
    replayed: RefCell<usize>,
}

impl Replay {
    #[must_use]
    pub fn new(trace: Trace) -> Self {
        let begin = trace.launches.first().map_or(Nanos(0), |(begin, _)| *begin);
        Self { trace, clock: Virtual(Cell::new(begin)), replayed: RefCell::new(0) }
    }

    #[must_use]
    pub fn workload(&self) -> &Traced {
        &self.trace.workload
    }

    /// The plan that the trace's launches carry out: the work that its header tells, and an output of one element, 1.
    #[must_use]
    pub fn plan(&self) -> Plan {
        let Traced { flops, bytes, .. } = self.trace.workload;
        let unit = if flops.0 > 0 { RateUnit::Flops } else { RateUnit::Bytes };
        Plan {
            key: WorkloadKey { family: "replay", operation: "replay", precision: String::new(), shape: String::new() },
            precision: Precision::uniform(Dtype::Fp64),
            work: Work { flops, bytes: Bytes(bytes.0), items: 0 },
            unit,
            places: vec![self.trace.device.id.clone()],
            buffers: vec![Buffer::vector(Dtype::Fp64, 1, Role::Out)],
            program: Vec::new(),
            submit: Submit::Stream,
            check: Check { output: 0, element: |_, _, _| 1.0, fold: |_, seed| one(seed), bound: 1, tolerance: 0.0, relative: 0.0 },
            also: Vec::new(),
            seed: 1,
            sustained: true,
        }
    }

    /// Readings between two times of the trace's clock, and what was last read before them.
    #[must_use]
    pub fn readings(&self, from: Nanos, to: Nanos) -> Vec<Reading> {
        let readings = &self.trace.readings;
        let (first, end) = (readings.partition_point(|r| r.at < from), readings.partition_point(|r| r.at <= to));
        let before = first.checked_sub(1).map(|index| Reading { at: from, ..readings[index].clone() });
        before.into_iter().chain(readings[first..end].iter().cloned()).collect()
    }
}

/// Fold of an output of one element, 1.
fn one(seed: u32) -> u32 {
    weight(seed ^ ROW, 0).wrapping_mul(weight(seed ^ COLUMN, 0))
}

impl Machine for Replay {
    fn devices(&self) -> &[Device] {
        slice::from_ref(&self.trace.device)
    }

    fn supports(&self, plan: &Plan) -> Result<(), Unsupported> {
        let known = plan.key.family == "replay";
        if known { Ok(()) } else { Err(Unsupported::Other("a trace holds one workload only, that of its header".into())) }
    }

    fn variants(&self, _: &Plan) -> Vec<Variant> {
        vec![Variant::own("trace")]
    }

    fn prepare(&self, _: &Plan, _: &[Variant]) -> Result<Box<dyn Prepared + '_>, Fault> {
        Ok(Box::new(Run { machine: self, filled: false, spans: Vec::new() }))
    }

    fn clock(&self) -> &dyn Clock {
        &self.clock
    }
}

/// Launches of the trace, one after the other.
struct Run<'a> {
    machine: &'a Replay,
    /// Inputs are new: the next launch is for verification, of which a trace holds nothing.
    filled: bool,
    spans: Vec<Span>,
}

impl Prepared for Run<'_> {
    fn fill(&mut self, _: Pass) -> Result<(), Fault> {
        self.filled = true;
        Ok(())
    }

    fn start(&mut self, _: usize, launches: u32) -> Result<(), Fault> {
        let Replay { trace, clock, replayed } = self.machine;
        let mut next = replayed.borrow_mut();
        let left = &trace.launches[*next..];
        let span = |&(begin, took): &(Nanos, Nanos)| Span { begin, took, launches: 1, intended: None };
        if std::mem::take(&mut self.filled) {
            // As long as a launch of the trace, and none of its time.
            self.spans.extend(left.iter().take(1).map(|first| Span { launches, ..span(first) }));
            return Ok(());
        }
        self.spans.extend(left.iter().take(launches as usize).map(span));
        *next += left.len().min(launches as usize);
        if let Some(last) = self.spans.last() {
            clock.wait_until(last.end());
        }
        Ok(())
    }

    fn finished(&mut self) -> Result<bool, Fault> {
        Ok(true)
    }

    fn spans(&mut self) -> Result<Vec<Span>, Fault> {
        Ok(std::mem::take(&mut self.spans))
    }

    fn left(&self) -> Option<u64> {
        Some((self.machine.trace.launches.len() - *self.machine.replayed.borrow()) as u64)
    }

    fn sample(&mut self, _: usize, elements: &[u64]) -> Result<Vec<f64>, Fault> {
        Ok(vec![1.0; elements.len()])
    }

    fn fold(&mut self, _: usize, _: Fold, seeds: &[u32]) -> Result<Vec<u32>, Fault> {
        Ok(seeds.iter().map(|seed| one(*seed)).collect())
    }

    fn flip(&mut self, _: usize, _: u64) -> Result<(), Fault> {
        Err(Fault::failed("inverting a bit", "a trace has no memory"))
    }

    fn timer(&self) -> Timer {
        Timer { name: "trace", resolution: Nanos(1), overhead: None, gated: false }
    }

    fn identity(&self, _: usize) -> String {
        "trace".into()
    }
}
