//! Bits turned over in outputs while they are measured: every one of them must make its entry invalid.
//!
//! A machine like the real one in all but this: before the output is hashed for the second time, one of its bits is turned over, as a
//! device would that corrupts silently. The measurement itself knows nothing of it.

use anyhow::{Context as _, Result, anyhow};
use assay::{
    contract::{Clock, Fault, Machine, Prepared, Span, Tiles, Timer, Unsupported},
    device::BACKENDS,
    measure::{Context, Profile, measure},
    plan::{Fold, Pass, Plan, Variant, first},
    record::{Device, Entry, Outcome},
    units::Nanos,
    workload::{self, Choice, SUITES},
};
use serde_json::{Value, json};
use std::{
    cell::Cell,
    time::{Duration, Instant},
};

/// Plans above this are left to the suites: verifying them is what takes the time here.
const LARGEST: u64 = 64 << 20;
const FOOTPRINT: u64 = 1 << 20;
const SEED: u32 = 0xf11b;
/// How long it may take: what was found must be printed before `tests/gpu/run` ends this program.
const WHOLE: Duration = Duration::from_secs(75);

struct Flipping<'a> {
    inner: &'a dyn Machine,
    /// Which bit of the output, and whether it was turned over.
    bit: u64,
    done: Cell<bool>,
}

struct Flipped<'a> {
    inner: Box<dyn Prepared + 'a>,
    hashes: u32,
    bit: u64,
    done: &'a Cell<bool>,
}

impl Machine for Flipping<'_> {
    fn devices(&self) -> &[Device] {
        self.inner.devices()
    }

    fn supports(&self, plan: &Plan) -> Result<(), Unsupported> {
        self.inner.supports(plan)
    }

    fn variants(&self, plan: &Plan) -> Vec<Variant> {
        self.inner.variants(plan)
    }

    fn prepare(&self, plan: &Plan, variants: &[Variant]) -> Result<Box<dyn Prepared + '_>, Fault> {
        let inner = self.inner.prepare(plan, variants)?;
        Ok(Box::new(Flipped { inner, hashes: 0, bit: self.bit, done: &self.done }))
    }

    fn clock(&self) -> &dyn Clock {
        self.inner.clock()
    }
}

impl Prepared for Flipped<'_> {
    fn fill(&mut self, pass: Pass) -> Result<(), Fault> {
        self.inner.fill(pass)
    }

    fn start(&mut self, variant: usize, launches: u32) -> Result<(), Fault> {
        self.inner.start(variant, launches)
    }

    fn finished(&mut self) -> Result<bool, Fault> {
        self.inner.finished()
    }

    fn spans(&mut self) -> Result<Vec<Span>, Fault> {
        self.inner.spans()
    }

    fn sample(&mut self, buffer: usize, elements: &[u64]) -> Result<Vec<f64>, Fault> {
        self.inner.sample(buffer, elements)
    }

    fn fold(&mut self, buffer: usize, fold: Fold, seeds: &[u32]) -> Result<Vec<u32>, Fault> {
        self.hashes += u32::from(fold == Fold::Bits);
        if self.hashes == 2 && !self.done.replace(true) {
            self.inner.flip(buffer, self.bit)?;
        }
        self.inner.fold(buffer, fold, seeds)
    }

    fn residual(&mut self, seed: u32) -> Result<Option<Vec<f64>>, Fault> {
        self.inner.residual(seed)
    }

    fn tiles(&mut self, variant: usize) -> Result<Option<Tiles>, Fault> {
        self.inner.tiles(variant)
    }

    fn flip(&mut self, buffer: usize, bit: u64) -> Result<(), Fault> {
        self.inner.flip(buffer, bit)
    }

    fn timer(&self) -> Timer {
        self.inner.timer()
    }

    fn identity(&self, variant: usize) -> String {
        self.inner.identity(variant)
    }
}

/// Plants so many bits, one a measurement, over all workloads in turn, as far as time goes; what was missed is named. A measurement that
/// fails is named with them and is the last: the device may be of no more use.
pub fn document(count: u32) -> Result<Value> {
    let backend = BACKENDS.iter().find(|backend| backend.name == "cuda").context("this program was built without CUDA")?;
    let listing = (backend.probe)();
    let device = listing.devices.first().ok_or_else(|| anyhow!("{}", listing.absent.clone().unwrap_or_default()))?;
    let machine = (backend.open)(std::slice::from_ref(&device.id)).map_err(|fault| anyhow!("{fault}"))?;
    let choice = Choice { suite: SUITES[0], footprint: Some(FOOTPRINT), seed: SEED };
    let one_output = |plan: &Plan| plan.also.is_empty() && plan.bytes_allocated() <= LARGEST && machine.supports(plan).is_ok();
    let plans: Vec<Plan> = workload::plans(device, &choice).into_iter().filter(one_output).collect();
    anyhow::ensure!(!plans.is_empty(), "no workload fits this device");
    let (begin, mut planted, mut missed) = (Instant::now(), 0, Vec::new());
    for (index, plan) in (0..count).zip(plans.iter().cycle()) {
        let bits = plan.buffers[plan.check.output].bytes() * 8;
        let word = u64::from(first(SEED, u64::from(index))) << 32 | u64::from(first(SEED + 1, u64::from(index)));
        let flipping = Flipping { inner: machine.as_ref(), bit: word % bits, done: Cell::new(false) };
        let Entry { outcome, reason, .. } = one(&flipping, plan)?;
        planted += 1;
        if outcome != Outcome::Invalid || !flipping.done.get() {
            missed.push(json!({ "workload": plan.key.id(), "bit": flipping.bit, "outcome": outcome.name(), "reason": reason }));
        }
        if outcome == Outcome::Failed || begin.elapsed() > WHOLE {
            break;
        }
    }
    let found = planted - missed.len();
    Ok(json!({
        "schema": "assay.flips/1",
        "device": device.model,
        "workloads": plans.len(),
        "wanted": count,
        "planted": planted,
        "found": found,
        "missed": missed,
        "verdict": if missed.is_empty() { "good" } else { "bad" },
    }))
}

fn one(machine: &Flipping, plan: &Plan) -> Result<Entry> {
    let variants: Vec<Variant> = machine.variants(plan).into_iter().take(1).collect();
    let profile = Profile { burst: Nanos(1_000_000), sustained: Nanos(1_000_000), precision: None };
    measure(machine, plan, &variants, &Context::unwatched(profile)).pop().context("no entry")
}
