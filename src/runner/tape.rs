//! What a measurement sees of its launches, kept to be written as a trace: a machine that passes everything on and listens.
//!
//! Launches of verification are left out, and so is the time in which the harness hashes: the launches after it follow at once, as the
//! measurement counts them.

use crate::{
    chips,
    contract::{Clock, Fault, Machine, Prepared, Span, Tiles, Timer, Unsupported},
    device::{Subject, trace_text},
    dtype::DTYPES,
    plan::{Fold, Pass, Plan, Variant},
    record::{Device, Entry, Outcome, RateUnit, Reading, Work},
    units::{Flops, Nanos},
};
use std::{cell::RefCell, path::Path};

/// Timed launches, as they came.
#[derive(Debug, Default)]
struct Tape {
    spans: Vec<Span>,
    /// Indices of spans before which the harness stood between.
    pauses: Vec<usize>,
}

impl Tape {
    fn pause(&mut self) {
        let at = self.spans.len();
        if at > 0 && self.pauses.last() != Some(&at) {
            self.pauses.push(at);
        }
    }

    /// Begin and length of each launch, and the readings, without the time of the harness.
    fn without_pauses(&self, readings: &[Reading]) -> (Vec<(Nanos, Nanos)>, Vec<Reading>) {
        let between = |index: &usize| Some((self.spans[index - 1].end(), self.spans.get(*index)?.begin));
        let pauses: Vec<(Nanos, Nanos)> = self.pauses.iter().filter_map(between).collect();
        let (mut passed, mut next) = (Nanos(0), 0);
        let launch = |span: &Span| {
            while let Some((from, until)) = pauses.get(next).filter(|(_, until)| *until <= span.begin) {
                passed += until.since(*from);
                next += 1;
            }
            (span.begin.since(passed), span.took)
        };
        let launches = self.spans.iter().map(launch).collect();
        let behind = |at: Nanos| pauses.iter().map(|(from, until)| at.min(*until).since(*from)).sum::<Nanos>();
        let moved = |reading: &Reading| Reading { at: reading.at.since(behind(reading.at)), ..reading.clone() };
        (launches, readings.iter().map(moved).collect())
    }
}

/// A machine whose launches are kept.
pub struct Taped<'a> {
    machine: &'a dyn Machine,
    tape: RefCell<Tape>,
}

impl<'a> Taped<'a> {
    #[must_use]
    pub fn new(machine: &'a dyn Machine) -> Self {
        Self { machine, tape: RefCell::default() }
    }

    /// Writes what was measured last as a trace, with the sensors' readings between two times.
    ///
    /// # Errors
    /// A sentence: why it cannot be a trace, or why it cannot be written.
    pub fn write(&self, path: &Path, entry: &Entry, readings: &dyn Fn(Nanos, Nanos) -> Vec<Reading>) -> Result<(), String> {
        let tape = self.tape.borrow();
        let ends = tape.spans.first().zip(tape.spans.last()).filter(|_| entry.outcome == Outcome::Measured);
        let Some((first, last)) = ends else { return Err(format!("nothing was measured of {}", entry.workload.id)) };
        // The unit of a replay follows from what the header counts.
        let work = match entry.rate.as_ref().map(|rate| rate.unit) {
            Some(RateUnit::Flops) => entry.work,
            Some(RateUnit::Bytes) => Work { flops: Flops(0), ..entry.work },
            _ => return Err(format!("{} counts neither operations nor bytes, and a trace holds nothing else", entry.workload.id)),
        };
        if tape.spans.iter().any(|span| span.launches != 1) {
            return Err(format!(
                "launches of {} are too short to be timed apart, and a trace holds single ones",
                entry.workload.id
            ));
        }
        let (launches, readings) = tape.without_pauses(&readings(first.begin, last.end()));
        let (device, precision) = (&entry.device, &entry.workload.precision);
        let flop_per_clock = operations(device, precision);
        let subject = Subject { device, id: &entry.workload.id, precision, work, flop_per_clock };
        std::fs::write(path, trace_text(&subject, &launches, &readings)).map_err(|error| format!("{}: {error}", path.display()))
    }
}

/// Operations that a unit does a clock, in the format of the inputs.
fn operations(device: &Device, precision: &str) -> Option<f64> {
    let input = precision.split('.').next()?;
    let dtype = DTYPES.iter().find(|row| row.name == input)?.dtype;
    chips::operations_a_clock(device.architecture.as_deref()?, dtype).map(f64::from)
}

impl Machine for Taped<'_> {
    fn devices(&self) -> &[Device] {
        self.machine.devices()
    }

    fn supports(&self, plan: &Plan) -> Result<(), Unsupported> {
        self.machine.supports(plan)
    }

    fn variants(&self, plan: &Plan) -> Vec<Variant> {
        self.machine.variants(plan)
    }

    fn prepare(&self, plan: &Plan, variants: &[Variant]) -> Result<Box<dyn Prepared + '_>, Fault> {
        let prepared = self.machine.prepare(plan, variants)?;
        Ok(Box::new(Listening { prepared, tape: &self.tape, filled: false }))
    }

    fn clock(&self) -> &dyn Clock {
        self.machine.clock()
    }
}

struct Listening<'a> {
    prepared: Box<dyn Prepared + 'a>,
    tape: &'a RefCell<Tape>,
    /// Inputs are new: the next launch is for verification.
    filled: bool,
}

impl Prepared for Listening<'_> {
    fn fill(&mut self, pass: Pass) -> Result<(), Fault> {
        self.filled = true;
        *self.tape.borrow_mut() = Tape::default();
        self.prepared.fill(pass)
    }

    fn start(&mut self, variant: usize, launches: u32) -> Result<(), Fault> {
        self.prepared.start(variant, launches)
    }

    fn finished(&mut self) -> Result<bool, Fault> {
        self.prepared.finished()
    }

    fn spans(&mut self) -> Result<Vec<Span>, Fault> {
        let spans = self.prepared.spans()?;
        if !spans.is_empty() && !std::mem::take(&mut self.filled) {
            self.tape.borrow_mut().spans.extend_from_slice(&spans);
        }
        Ok(spans)
    }

    fn left(&self) -> Option<u64> {
        self.prepared.left()
    }

    fn sample(&mut self, buffer: usize, elements: &[u64]) -> Result<Vec<f64>, Fault> {
        self.prepared.sample(buffer, elements)
    }

    fn fold(&mut self, buffer: usize, fold: Fold, seeds: &[u32]) -> Result<Vec<u32>, Fault> {
        self.tape.borrow_mut().pause();
        self.prepared.fold(buffer, fold, seeds)
    }

    fn tiles(&mut self, variant: usize) -> Result<Option<Tiles>, Fault> {
        self.prepared.tiles(variant)
    }

    fn flip(&mut self, buffer: usize, bit: u64) -> Result<(), Fault> {
        self.prepared.flip(buffer, bit)
    }

    fn timer(&self) -> Timer {
        self.prepared.timer()
    }

    fn identity(&self, variant: usize) -> String {
        self.prepared.identity(variant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_of_the_harness_is_taken_out_of_launches_and_readings() {
        let span = |begin, took| Span { begin: Nanos(begin), took: Nanos(took), launches: 1, intended: None };
        let mut tape = Tape::default();
        tape.pause();
        tape.spans.extend([span(100, 10), span(115, 10)]);
        tape.pause();
        tape.pause();
        tape.spans.push(span(225, 10));
        tape.pause();
        let reading = |at| Reading { at: Nanos(at), ..Reading::default() };
        let (launches, readings) = tape.without_pauses(&[90, 120, 175, 230].map(reading));
        // The gap between the first two is the launches' own.
        assert_eq!(launches, [(100, 10), (115, 10), (125, 10)].map(|(begin, took)| (Nanos(begin), Nanos(took))));
        assert_eq!(readings.iter().map(|reading| reading.at.0).collect::<Vec<_>>(), [90, 120, 125, 130]);
    }
}
