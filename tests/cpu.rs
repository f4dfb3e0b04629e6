//! The CPU backend through the whole of `measure`: planted faults are found, and a slow twin measures slower.

use assay::{
    contract::{Clock, Fault, Machine, Prepared, Span, Timer, Unsupported},
    device::BACKENDS,
    measure::{Context, Profile, measure},
    plan::{Fold, Pass, Plan, Variant, VariantKind, mix},
    record::{self, Device, Entry, Outcome},
    units::Nanos,
    workload::{self, Choice, SUITES},
};
use std::{
    cell::Cell,
    sync::{Mutex, MutexGuard, PoisonError},
};

const MILLISECOND: u64 = 1_000_000;

/// Every test here wants all cores: one at a time.
fn alone() -> MutexGuard<'static, ()> {
    static CORES: Mutex<()> = Mutex::new(());
    CORES.lock().unwrap_or_else(PoisonError::into_inner)
}

fn cpu() -> Box<dyn Machine> {
    let backend = BACKENDS.iter().find(|backend| backend.name == "cpu").expect("the CPU backend is always built");
    (backend.open)(&["cpu:0".into()]).expect("a CPU is always there")
}

/// The plans of the quick suite with arrays of `footprint` bytes.
fn plans(machine: &dyn Machine, footprint: u64) -> Vec<Plan> {
    workload::plans(&machine.devices()[0], &Choice { suite: SUITES[0], footprint: Some(footprint), seed: 5 })
}

fn run(machine: &dyn Machine, plan: &Plan, variants: &[Variant], time: u64) -> Vec<Entry> {
    let plan = Plan { sustained: false, ..plan.clone() };
    let profile = Profile { burst: Nanos(time * MILLISECOND), sustained: Nanos(time * MILLISECOND), precision: None };
    measure(machine, &plan, variants, &Context::unwatched(profile))
}

/// A machine that is sound but for one bit of the output, inverted after certain starts.
struct Flipping<'a> {
    inner: &'a dyn Machine,
    strikes: fn(u32) -> bool,
    bit: u64,
}

struct FlippingRun<'a> {
    inner: Box<dyn Prepared + 'a>,
    output: usize,
    bits: u64,
    starts: Cell<u32>,
    machine: &'a Flipping<'a>,
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
        let output = plan.check.output;
        let bits = plan.buffers[output].bytes() * 8;
        Ok(Box::new(FlippingRun { inner: self.inner.prepare(plan, variants)?, output, bits, starts: Cell::new(0), machine: self }))
    }
    fn clock(&self) -> &dyn Clock {
        self.inner.clock()
    }
}

impl Prepared for FlippingRun<'_> {
    fn fill(&mut self, pass: Pass) -> Result<(), Fault> {
        self.inner.fill(pass)
    }
    fn start(&mut self, variant: usize, launches: u32) -> Result<(), Fault> {
        self.starts.set(self.starts.get() + 1);
        self.inner.start(variant, launches)
    }
    fn finished(&mut self) -> Result<bool, Fault> {
        let done = self.inner.finished()?;
        if done && (self.machine.strikes)(self.starts.get()) {
            self.inner.flip(self.output, self.machine.bit % self.bits)?;
        }
        Ok(done)
    }
    fn spans(&mut self) -> Result<Vec<Span>, Fault> {
        self.inner.spans()
    }
    fn sample(&mut self, buffer: usize, elements: &[u64]) -> Result<Vec<f64>, Fault> {
        self.inner.sample(buffer, elements)
    }
    fn fold(&mut self, buffer: usize, fold: Fold, seeds: &[u32]) -> Result<Vec<u32>, Fault> {
        self.inner.fold(buffer, fold, seeds)
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

/// One small plan of each operation and precision.
fn small(machine: &dyn Machine) -> Vec<Plan> {
    let mut seen = Vec::new();
    plans(machine, 1 << 20)
        .into_iter()
        .filter(|plan| plan.bytes_allocated() <= 8 << 20)
        .filter(|plan| {
            let key = (plan.key.family, plan.key.operation, plan.key.precision.clone());
            let new = !seen.contains(&key);
            seen.push(key);
            new
        })
        .collect()
}

#[test]
fn every_operation_is_right_in_every_variant() {
    let _alone = alone();
    let machine = cpu();
    let plans = small(machine.as_ref());
    assert!(plans.len() >= 11, "seven of stream, two of cache, two of matmul: {}", plans.len());
    for plan in &plans {
        let variants = machine.variants(plan);
        assert!(variants.iter().any(|variant| variant.kind == VariantKind::Slow), "{} has no slow twin", plan.key.id());
        for entry in run(machine.as_ref(), plan, &variants, 60) {
            assert_eq!(entry.outcome, Outcome::Measured, "{}@{}: {:?}", plan.key.id(), entry.workload.variant, entry.reason);
        }
    }
}

#[test]
fn a_bit_flipped_in_any_output_makes_the_entry_invalid() {
    let _alone = alone();
    let machine = cpu();
    let (mut flips, mut found) = (0, 0);
    for (index, plan) in (0..).zip(small(machine.as_ref())) {
        for trial in 0..10_u32 {
            // The second start is the random pass, those after it are timed. A flip in the pass is in the hash that later launches
            // are held against, and these are right; a flip that stays is in the hash of the last launch.
            let strikes: fn(u32) -> bool = if trial % 2 == 0 { |start| start == 2 } else { |start| start > 2 };
            let flipping = Flipping { inner: machine.as_ref(), strikes, bit: u64::from(mix(trial * 97 + index)) };
            let entry = run(&flipping, &plan, &machine.variants(&plan)[..1], 10).remove(0);
            flips += 1;
            found += u32::from(entry.outcome == Outcome::Invalid);
            assert_eq!(entry.outcome, Outcome::Invalid, "{} bit {} of trial {trial}", plan.key.id(), flipping.bit);
            assert!(entry.verified.is_some_and(|verified| !verified.passed), "the evidence is kept");
        }
    }
    assert_eq!((flips, found), (flips, flips));
}

#[test]
fn a_slow_twin_measures_slower() {
    let _alone = alone();
    let machine = cpu();
    let decisive =
        |plan: &&Plan| matches!(plan.key.id().as_str(), "matmul/fp32.fp32.fp32/256x256x256" | "matmul/fp64.fp64.fp64/256x256x256");
    let big = plans(machine.as_ref(), 64 << 20);
    let triad = big.iter().filter(|plan| plan.key.family == "stream" && matches!(plan.key.operation, "triad" | "read"));
    let mut checked = 0;
    for plan in big.iter().filter(decisive).chain(triad) {
        let variants = machine.variants(plan);
        let slow = variants.iter().find(|variant| variant.kind == VariantKind::Slow).expect("a slow twin").clone();
        // A machine that is taken away for a while tells nothing in several turns; a clock that is wrong is so each time, for each plan.
        let mut tries: Vec<record::Ratio> = Vec::new();
        while tries.len() < 6 && tries.last().is_none_or(|ratio| ratio.low <= 1.0) {
            let entries = run(machine.as_ref(), plan, &[variants[0].clone(), slow.clone()], 300);
            tries.push(entries[0].pair.as_ref().expect("a pair").ratio);
        }
        assert!(tries.last().is_some_and(|ratio| ratio.low > 1.0), "{}: {tries:?}", plan.key.id());
        checked += 1;
    }
    assert_eq!(checked, 4);
}

#[test]
fn absurd_plans_are_refused_and_not_died_of() {
    let _alone = alone();
    let machine = cpu();
    let mut plan = plans(machine.as_ref(), 1 << 20).remove(0);
    plan.buffers[0].elements = u64::MAX / 16;
    assert!(matches!(machine.supports(&plan), Err(Unsupported::Memory { .. })));
    let variants = machine.variants(&plan);
    assert!(machine.prepare(&plan, &variants[..1]).is_err());
    assert_eq!(run(machine.as_ref(), &plan, &variants[..1], 5)[0].outcome, Outcome::Skipped);
}

#[test]
fn unknown_devices_are_refused() {
    let backend = BACKENDS.iter().find(|backend| backend.name == "cpu").expect("the CPU backend");
    assert!((backend.open)(&["cpu:7".into()]).is_err());
}

#[test]
fn time_outside_kernels_stays_below_a_percent() {
    let _alone = alone();
    let machine = cpu();
    let plans = plans(machine.as_ref(), 64 << 20);
    let triad = plans.iter().find(|plan| plan.key.family == "stream" && plan.key.operation == "triad").expect("triad");
    let variants = machine.variants(triad);
    // The best of five: another process may take the cores for a while.
    let outside =
        |_| run(machine.as_ref(), triad, &variants[..1], 1_000)[0].sampling.as_ref().map_or(1.0, |sampling| sampling.outside);
    let best = (0..5).map(outside).fold(1.0, f64::min);
    assert!(best <= 0.01, "{best}");
}
