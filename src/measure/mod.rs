//! A plan and a machine go in, entries come out.
//!
//! The order of things: can it run here; allocate and load; verify; launch in slices until the time is spent, hashing the output
//! between them; fold what was seen. Several variants of one plan take turns on the same memory, so that both sides of a pair see
//! the same clocks.

mod check;
mod decline;
mod evidence;
mod gate;
mod interval;
mod levels;
mod limited;
mod long_run;
mod pace;
mod peak;
mod policy;
mod report;
mod series;
mod steady;
mod tune;
mod wait;
mod warm_up;

pub use policy::{CAP, PRECISION, Profile};
pub use series::Series;
pub use tune::tune;

use crate::{
    contract::{Fault, Machine, Prepared, Span},
    plan::{Plan, Submit, Variant},
    record::{Decline, Entry, Gate, Outcome, Reading},
    units::{Celsius, Nanos},
};
use check::Checked;
use decline::Lookout;
use limited::Limited;
use pace::Pacer;
use steady::Rule;
use wait::Waiter;

/// What surrounds a measurement.
pub struct Context<'a> {
    pub profile: Profile,
    /// Looked at between slices; true ends the measurement with what there is.
    pub interrupted: &'a dyn Fn() -> bool,
    /// What the sensors said between two times of the machine's clock.
    pub readings: &'a dyn Fn(Nanos, Nanos) -> Readings,
    /// What one launch is expected to take, from what was measured before; blank when nothing was.
    pub expected: Option<Nanos>,
    /// Told of the fault that ended a measurement, and of the variant whose launch it was, where it was one's.
    pub ended: &'a dyn Fn(&Fault, Option<&Variant>),
    /// Told of each phase as it begins, so that whoever watches can say where a measurement was lost. May hold it up, as a start gate
    /// does before time is taken.
    pub phase: &'a dyn Fn(Phase),
    pub launching: Launching<'a>,
    /// Told of a lasting fall of the rate while a long measurement goes on, as soon as it is beyond doubt.
    pub fell: &'a dyn Fn(&Variant, &Decline),
}

impl Context<'_> {
    /// Nothing ends the measurement early, no sensor is read, and nobody is told of anything.
    #[must_use]
    pub fn unwatched(profile: Profile) -> Self {
        Self {
            profile,
            interrupted: &|| false,
            readings: &|_, _| Readings::default(),
            expected: None,
            ended: &|_, _| {},
            phase: &|_| {},
            launching: &|_| {},
            fell: &|_, _| {},
        }
    }
}

/// Told of a variant before it is launched, and of nothing once its launches have ended, so that whoever watches knows which one was
/// launched last should this process never speak again.
pub type Launching<'a> = &'a dyn Fn(Option<&Variant>);

/// What a measurement is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Allocating, loading kernels, filling buffers.
    Prepare,
    Verify,
    /// Launching, and hashing between launches.
    Time,
}

impl Phase {
    /// As it stands in a sentence after "while".
    #[must_use]
    pub const fn doing(self) -> &'static str {
        match self {
            Self::Prepare => "preparing",
            Self::Verify => "verifying",
            Self::Time => "timing launches",
        }
    }
}

/// Telemetry of a stretch of time.
#[derive(Debug, Default)]
pub struct Readings {
    pub source: &'static str,
    pub readings: Vec<Reading>,
    /// At which clocks are slowed down, where the source knows it.
    pub slowdown: Option<Celsius>,
}

impl Readings {
    /// What they say of a steady state; blank where they are not of the device itself: a host's sensors tell of all that runs there.
    fn gate(&self) -> Option<Gate> {
        (!self.readings.is_empty() && self.source != "host").then(|| gate::gate(&self.readings, self.slowdown))
    }
}

/// One variant while it is measured.
struct Contender<'a> {
    variant: &'a Variant,
    checked: Checked,
    series: Series,
    limited: Limited,
    rule: Rule,
    lookout: Lookout,
    pacer: Pacer,
    rounds: u64,
    since_hash: Nanos,
    harness: Nanos,
    /// Its output was no longer the one that was verified.
    corrupt: bool,
}

/// A variant by its number, as it is measured.
type Running<'a, 'b> = (usize, &'b mut Contender<'a>);

/// Measures a plan; one entry for each variant, in their order.
#[must_use]
pub fn measure(machine: &dyn Machine, plan: &Plan, variants: &[Variant], context: &Context) -> Vec<Entry> {
    let without = |outcome, reason: String| {
        let each = |variant| report::without(machine, plan, variant, outcome, &reason);
        variants.iter().map(each).collect()
    };
    if let Err(unsupported) = machine.supports(plan) {
        return without(Outcome::Skipped, unsupported.to_string());
    }
    if let Some(reason) = too_long(plan, context.expected, &context.profile) {
        return without(Outcome::Skipped, reason);
    }
    let told = |variant: Option<usize>| (context.launching)(variant.and_then(|variant| variants.get(variant)));
    let waiter = Waiter::new(machine.clock(), &told);
    match attempt(machine, plan, variants, &waiter, context) {
        Ok(entries) => entries,
        Err(Stopped::Fault(fault)) => {
            (context.ended)(&fault, waiter.launching().and_then(|variant| variants.get(variant)));
            without(Outcome::Failed, fault.to_string())
        }
        Err(Stopped::TooLong(reason)) => without(Outcome::Skipped, reason),
    }
}

/// Why no entry came of an attempt.
enum Stopped {
    Fault(Fault),
    TooLong(String),
}

impl From<Fault> for Stopped {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

fn too_long(plan: &Plan, launch: Option<Nanos>, profile: &Profile) -> Option<String> {
    let most = profile.longest_launch(plan);
    let launch = launch.filter(|launch| *launch > most)?;
    Some(format!("one launch takes about {launch}, this suite allows {most}. Use --suite standard, or --only with a smaller shape"))
}

fn attempt(
    machine: &dyn Machine,
    plan: &Plan,
    variants: &[Variant],
    waiter: &Waiter,
    context: &Context,
) -> Result<Vec<Entry>, Stopped> {
    let begin = waiter.now();
    (context.phase)(Phase::Prepare);
    let mut prepared = machine.prepare(plan, variants)?;
    (context.phase)(Phase::Verify);
    let checked = check::verify(plan, prepared.as_mut(), variants.len(), waiter)?;
    let slowest = checked.iter().map(|checked| checked.launch).max();
    if let Some(reason) = too_long(plan, slowest, &context.profile) {
        return Err(Stopped::TooLong(reason));
    }
    let contender = |(variant, checked)| Contender {
        variant,
        checked,
        series: Series::default(),
        limited: Limited::default(),
        rule: Rule::new(context.profile.precision.unwrap_or(policy::PRECISION)),
        lookout: Lookout::default(),
        pacer: Pacer::default(),
        rounds: 0,
        since_hash: Nanos(0),
        harness: Nanos(0),
        corrupt: false,
    };
    let mut contenders: Vec<_> = variants.iter().zip(checked).map(contender).collect();
    let setup = waiter.now().since(begin);
    let mut ratios = Vec::new();
    let mut stopped_by = "verification";
    // What is wrong is not timed; that costs the others nothing.
    let right = contenders.iter_mut().enumerate().filter(|(_, contender)| contender.checked.verified.passed);
    let mut running: Vec<Running> = right.collect();
    if !running.is_empty() {
        (context.phase)(Phase::Time);
        (stopped_by, ratios) = time(plan, prepared.as_mut(), &mut running, waiter, context)?;
        for contender in &mut contenders {
            contender.series.end();
        }
    }
    let counted = report::counted(plan, prepared.as_mut(), contenders.len())?;
    let (prepared, readings) = (prepared.as_ref(), context.readings);
    let told = report::Told { machine, plan, prepared, readings, setup, stopped_by, ratios: &ratios, counted };
    Ok((0..contenders.len()).map(|index| report::entry(&told, &contenders, index)).collect())
}

/// Launches in turns until the time is spent. Tells why it stopped and, for a pair, the ratio of rates of each turn.
fn time(
    plan: &Plan,
    prepared: &mut dyn Prepared,
    contenders: &mut Vec<Running>,
    waiter: &Waiter,
    context: &Context,
) -> Result<(&'static str, Vec<f64>), Fault> {
    let count = contenders.len();
    let target = policy::share(context.profile.target(plan), count);
    let mut ratios = Vec::new();
    loop {
        let mut turn = Vec::with_capacity(count);
        for (index, contender) in contenders.iter_mut() {
            let index = *index;
            let most = prepared.left().unwrap_or(u64::MAX);
            let slice = policy::slice(contender.pace(plan), contender.spent(count > 1), target, count);
            let launches = u64::from(slice).min(most) as u32;
            let expected = contender.checked.launch;
            let spans = match plan.submit {
                Submit::Paced(period) => contender.pacer.launch(period, prepared, (index, launches), expected, waiter)?,
                Submit::Stream | Submit::Graph(_) | Submit::RoundTrip { .. } => {
                    waiter.launch(prepared, index, launches, Some(expected))?
                }
            };
            turn.push(spans.iter().map(|span| span.took).sum::<Nanos>().seconds() / f64::from(launches));
            contender.accept(&spans, count > 1);
            contender.lookout.look(contender.series.blocks()).iter().for_each(|fall| (context.fell)(contender.variant, fall));
            if let [first, .., last] | [first @ last] = &spans[..] {
                contender.limited.add(&spans, &(context.readings)(first.begin, last.end()).readings);
            }
            // In turns the output is the other's a moment later: each is hashed at least once, at its first turn.
            let first_turn = count > 1 && contender.rounds == 0;
            contender.corrupt = !contender.still_right(plan, (prepared, index), waiter, first_turn)?;
        }
        contenders.retain(|(_, contender)| !contender.corrupt);
        if contenders.is_empty() {
            return Ok(("corruption", ratios));
        }
        if let [ours, other] = turn[..] {
            ratios.push(other / ours);
        }
        if let Some(reason) = reason_to_stop(plan, prepared, contenders, context) {
            // Whoever launched last is still in the output.
            if let Some((index, last)) = contenders.last_mut() {
                last.corrupt = !last.still_right(plan, (prepared, *index), waiter, true)?;
            }
            return Ok((reason, ratios));
        }
    }
}

/// Why a measurement ends after this turn, or nothing while it goes on.
fn reason_to_stop(plan: &Plan, prepared: &dyn Prepared, contenders: &mut [Running], context: &Context) -> Option<&'static str> {
    let turns = contenders.len() > 1;
    let fewest = contenders.iter().map(|(_, c)| c.series.launches()).min().unwrap_or(0);
    let elapsed = contenders.iter().map(|(_, c)| c.spent(turns)).min().unwrap_or_default();
    // Every contender looks, so that each knows its own status.
    let satisfied = contenders.iter_mut().filter_map(|(_, c)| c.rule.look(c.series.blocks()).then_some(())).count();
    let precise = plan.sustained
        && context.profile.precision.is_some()
        && satisfied == contenders.len()
        && contenders.iter().all(|(_, contender)| contender.is_let_through(context));
    if prepared.left() == Some(0) {
        Some("end of the trace")
    } else {
        policy::stop(elapsed, fewest, policy::share(context.profile.target(plan), contenders.len()), (context.interrupted)())
            .or(precise.then_some("precision"))
    }
}

impl Contender<'_> {
    /// Whether the sensors have nothing against calling the retained window steady.
    fn is_let_through(&self, context: &Context) -> bool {
        let retained = self.rule.judge(self.series.blocks()).and_then(|found| self.series.retained(found.discarded));
        let gate = retained.and_then(|(from, to)| (context.readings)(from, to).gate());
        gate.is_none_or(|gate| gate.against.is_empty())
    }

    /// Time that it has had: in turns the other's lies in between, and is not its own.
    fn spent(&self, turns: bool) -> Nanos {
        if turns { self.series.busy() } else { self.series.elapsed() }
    }

    /// From the begin of a launch to the begin of the next.
    fn pace(&self, plan: &Plan) -> Nanos {
        let launches = self.series.launches();
        let mean = self.series.busy().0.checked_div(launches).map_or(self.checked.launch, Nanos);
        if let Submit::Paced(period) = plan.submit { mean.max(period) } else { mean }
    }

    fn accept(&mut self, spans: &[Span], turns: bool) {
        for span in spans {
            self.series.push(span);
            self.since_hash += span.took;
            if span.intended.is_some() {
                // Between paced launches the device is idle on purpose.
                self.series.pause();
            }
        }
        if turns {
            self.series.pause();
        }
    }

    /// Hashes the output when it is due and holds it against the verified one.
    fn still_right(
        &mut self,
        plan: &Plan,
        (prepared, variant): (&mut dyn Prepared, usize),
        waiter: &Waiter,
        at_end: bool,
    ) -> Result<bool, Fault> {
        if !at_end && !policy::hash_due(self.since_hash, self.checked.hash_time) {
            return Ok(true);
        }
        if at_end && self.since_hash == Nanos(0) {
            return Ok(true);
        }
        let begin = waiter.now();
        let found = check::hash(plan, prepared)?;
        let tiles = prepared.tiles(variant)?;
        let took = waiter.now().since(begin);
        if took > Nanos(0) {
            self.series.pause();
        }
        self.since_hash = Nanos(0);
        self.rounds += 1;
        self.harness += took;
        let (verified, launches) = (&mut self.checked.verified, self.series.launches());
        // A kernel that hashes its own tiles has hashed every launch.
        verified.hashed = if tiles.is_some() { launches } else { verified.hashed + 1 };
        verified.checked += 1;
        let wrong = if let Some(tiles) = tiles.filter(|tiles| tiles.wrong > 0) {
            check::wrong_tiles(&tiles, launches)
        } else if found == self.checked.hash {
            return Ok(true);
        } else {
            let hash = &self.checked.hash;
            format!("silent corruption: after {launches} launches the output's hash is {found:08x?}, not {hash:08x?}")
        };
        verified.passed = false;
        verified.mismatches += 1;
        verified.first = Some(wrong);
        Ok(false)
    }
}
