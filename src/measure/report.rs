//! Folds what was seen of a variant into its entry.

use super::{Contender, Readings, decline, evidence, interval, peak, policy};
use crate::{
    contract::{Fault, Machine, Prepared},
    plan::{DISTRIBUTION, Plan, Role, Variant},
    record::{Block, Entry, Interval, Kind, Latency, Outcome, Pair, Rate, RateUnit, Sampling, Status, Sustained, Telemetry},
    units::Nanos,
};
use std::collections::BTreeMap;

/// Above the peak at the highest clock by this much a rate is impossible.
const IMPOSSIBLE: f64 = 1.02;

/// What is the same for all variants of an attempt.
pub struct Told<'a> {
    pub machine: &'a dyn Machine,
    pub plan: &'a Plan,
    pub prepared: &'a dyn Prepared,
    pub readings: &'a dyn Fn(Nanos, Nanos) -> Readings,
    pub setup: Nanos,
    pub stopped_by: &'static str,
    pub ratios: &'a [f64],
    /// See [`counted`].
    pub counted: BTreeMap<String, f64>,
}

/// What the last launch told of itself, over the items of its work, nothing where several variants took turns, for it is one's alone; and
/// where buffers lie.
///
/// # Errors
/// [`Fault`] when the device refuses.
pub fn counted(plan: &Plan, prepared: &mut dyn Prepared, variants: usize) -> Result<BTreeMap<String, f64>, Fault> {
    let mut counted = BTreeMap::new();
    for (index, buffer) in plan.buffers.iter().enumerate() {
        if let (Role::Counters(names), 1) = (buffer.role, variants) {
            let elements: Vec<u64> = (0..names.len() as u64).collect();
            let told = prepared.sample(index, &elements)?.into_iter().map(|told| told / plan.work.items.max(1) as f64);
            counted.extend(names.iter().map(|name| (*name).to_owned()).zip(told));
        }
    }
    counted.extend(prepared.places().map(|(name, value)| (name.to_owned(), value)));
    Ok(counted)
}

/// An entry of a variant that was not measured.
pub fn without(machine: &dyn Machine, plan: &Plan, variant: &Variant, outcome: Outcome, reason: &str) -> Entry {
    let device = machine.devices()[0].clone();
    Entry { seed: plan.seed, ..Entry::without(device, plan.key.with(variant), plan.work, outcome, reason.to_owned()) }
}

/// The entry of contender `index`.
pub fn entry(told: &Told, contenders: &[Contender], index: usize) -> Entry {
    let contender = &contenders[index];
    let series = &contender.series;
    let mut verified = contender.checked.verified.clone();
    verified.launches = series.launches();
    let readings = series.window().map(|(from, to)| (told.readings)(from, to)).unwrap_or_default();
    let mut window = window(told.plan, contender);
    let discarded = window.as_ref().map_or(0, |window| window.discarded);
    let retained = series.retained(discarded).filter(|_| window.is_some());
    let gate = retained.and_then(|(from, to)| (told.readings)(from, to).gate());
    if let Some(window) = window.as_mut().filter(|_| gate.as_ref().is_some_and(|gate| !gate.against.is_empty())) {
        window.status = Status::NotSteady;
    }
    let skip = series.blocks().get(discarded).filter(|_| discarded > 0).map_or(0.0, |block| block.t);
    let states = evidence::states(series, &readings.readings, Nanos::from_seconds(skip));
    let limiter = evidence::limiter(&states, &readings.readings);
    let rate = rate(told.plan, contender, window.as_ref(), limiter);
    let (outcome, reason) = judge(told, &verified, rate.as_ref());
    Entry {
        rate,
        latency: latency(told, contender),
        pair: pair(told, contenders, index),
        states,
        gap_s: Some(series.gaps_from(discarded).seconds()),
        counters: evidence::counters(&readings.readings).into_iter().chain(told.counted.clone()).collect(),
        series: evidence::with_clocks(series.blocks(), &readings.readings, series.window()),
        telemetry: Telemetry::fold(readings.source, &readings.readings),
        gate,
        declines: decline::declines(series.blocks()),
        sampling: Some(sampling(told, contender, window.map(|window| window.effective), skip)),
        kernel: Some(told.prepared.identity(index)),
        seed: told.plan.seed,
        data: Some(DISTRIBUTION.into()),
        verified: Some(verified),
        reason,
        ..without(told.machine, told.plan, contender.variant, outcome, "")
    }
}

/// The retained part of a series, and what it says of the long run.
struct Window {
    /// Blocks before it.
    discarded: usize,
    /// Launches a second.
    rate: Interval,
    effective: f64,
    status: Status,
    multimodal: Option<bool>,
}

/// Nothing where the plan or the time was too short for a sustained figure.
fn window(plan: &Plan, contender: &Contender) -> Option<Window> {
    let series = &contender.series;
    if !plan.sustained || series.busy() < policy::SHORTEST {
        return None;
    }
    let blocks = series.blocks();
    if let Some(found) = contender.rule.judge(blocks) {
        let (status, multimodal) = (contender.rule.status(&found), Some(found.multimodal));
        return Some(Window { discarded: found.discarded, rate: found.rate, effective: found.effective, status, multimodal });
    }
    // Too few blocks to judge: their mean, with its interval.
    let discarded = blocks.partition_point(|block| block.t < policy::SKIP.seconds());
    let blocks = &blocks[discarded..];
    let times: Vec<f64> = blocks.iter().map(|block| block.seconds / block.launches.max(1) as f64).collect();
    let spread = interval::mean(&times)?;
    let launches: u64 = blocks.iter().map(|block| block.launches).sum();
    let elapsed: f64 = blocks.iter().map(|block| block.seconds).sum();
    let rate = interval::rate(1.0, interval::Estimate { mean: elapsed / launches as f64, ..spread });
    Some(Window { discarded, rate, effective: spread.effective, status: Status::Budget, multimodal: None })
}

fn rate(plan: &Plan, contender: &Contender, window: Option<&Window>, limiter: Option<String>) -> Option<Rate> {
    let series = &contender.series;
    let burst = turned(plan, series.burst()?);
    let status = window.map_or(Status::BurstOnly, |window| window.status);
    Some(Rate {
        unit: plan.unit,
        burst: Some(burst),
        sustained: window.map(|window| sustained(plan, window, &series.blocks()[window.discarded..])),
        status,
        steady: status == Status::Steady,
        multimodal: window.and_then(|window| window.multimodal),
        limiter,
    })
}

/// A rate from a mean time of a launch; for a latency the time of an item.
fn turned(plan: &Plan, time: interval::Estimate) -> Interval {
    if plan.unit == RateUnit::Seconds {
        let per_item = 1.0 / plan.work.items.max(1) as f64;
        let (mean, half) = (time.mean * per_item, time.half * per_item);
        return Interval { value: mean, low: (mean - half).max(0.0), high: mean + half };
    }
    interval::rate(plan.unit.rate(&plan.work, 1, 1.0), time)
}

/// A rate of launches in the unit of the plan.
fn of_launches(plan: &Plan, launches: Interval) -> Interval {
    let bounded = |value: f64| if value.is_finite() { value } else { f64::MAX };
    let turned = |rate: f64| bounded(1.0 / (rate * plan.work.items.max(1) as f64));
    let times = |rate: f64| bounded(rate * plan.unit.rate(&plan.work, 1, 1.0));
    if plan.unit == RateUnit::Seconds {
        Interval { value: turned(launches.value), low: turned(launches.high), high: turned(launches.low) }
    } else {
        Interval { value: times(launches.value), low: times(launches.low), high: times(launches.high) }
    }
}

fn sustained(plan: &Plan, window: &Window, blocks: &[Block]) -> Sustained {
    let Interval { value, low, high } = of_launches(plan, window.rate);
    let mut rates: Vec<f64> = blocks.iter().map(|block| plan.unit.rate(&plan.work, block.launches, block.seconds)).collect();
    rates.sort_by(f64::total_cmp);
    let at = |q| interval::quantile(&rates, q);
    Sustained { value, low, high, p05: at(0.05), p50: at(0.5), p95: at(0.95) }
}

fn judge(told: &Told, verified: &crate::record::Verified, rate: Option<&Rate>) -> (Outcome, Option<String>) {
    if !verified.passed {
        return (Outcome::Invalid, verified.first.clone());
    }
    let device = &told.machine.devices()[0];
    // A trace brings its own facts along: they are no check on it.
    let known = peak::peak(device, told.plan.precision, told.plan.unit, told.plan.key.family);
    let peak = known.filter(|_| device.kind != Kind::Replay);
    let best = rate.and_then(|rate| rate.burst).map(|burst| burst.value);
    if let (Some(peak), Some(best)) = (peak, best)
        && best > peak * IMPOSSIBLE
    {
        let percent = best / peak * 100.0;
        return (
            Outcome::Invalid,
            Some(format!("{percent:.1} % of the physical peak at the highest clock: a timer or a fact is wrong")),
        );
    }
    (Outcome::Measured, (told.stopped_by == "interrupted").then(|| "interrupted".to_owned()))
}

fn latency(told: &Told, contender: &Contender) -> Option<Latency> {
    let series = &contender.series;
    let timer = told.prepared.timer();
    let batch = series.batch();
    (batch > 0).then(|| Latency {
        unit: "ns".into(),
        per: if batch == 1 { "launch".into() } else { format!("batch of {batch}") },
        timer: timer.name.into(),
        resolution: timer.resolution,
        overhead: timer.overhead,
        start_gate: timer.gated,
        service: (batch == 1).then(|| series.histogram().summary()).flatten(),
        limited: contender.limited.summary(),
        response: series.response().summary(),
    })
}

/// The first two variants of a plan are a pair; each is told against the other.
fn pair(told: &Told, contenders: &[Contender], index: usize) -> Option<Pair> {
    let [first, second] = contenders else { return None };
    let (other, ratios) =
        if index == 0 { (second, told.ratios.to_vec()) } else { (first, told.ratios.iter().map(|ratio| 1.0 / ratio).collect()) };
    Some(Pair {
        with: format!("{}@{}", told.plan.key.id(), other.variant.name),
        ratio: interval::ratio(&ratios)?,
        pairs: ratios.len() as u64,
    })
}

fn sampling(told: &Told, contender: &Contender, effective: Option<f64>, discarded: f64) -> Sampling {
    let series = &contender.series;
    let elapsed = series.elapsed().seconds();
    // With two contenders the other's turns lie in between: they are not overhead.
    let alone = told.ratios.is_empty();
    Sampling {
        rounds: contender.rounds,
        launches: series.launches(),
        effective,
        seconds: elapsed,
        discarded,
        outside: if alone && elapsed > 0.0 { (1.0 - series.busy().seconds() / elapsed).max(0.0) } else { 0.0 },
        stopped_by: if contender.corrupt { "corruption" } else { told.stopped_by }.into(),
        setup: told.setup.seconds(),
    }
}
