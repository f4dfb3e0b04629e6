//! Folds what was seen of a variant into its entry.

use super::{Contender, Readings, interval, peak, policy};
use crate::{
    contract::{Machine, Prepared},
    plan::{DISTRIBUTION, Plan, Variant},
    record::{Block, Entry, Interval, Latency, Outcome, Pair, Rate, RateUnit, Reading, Sampling, Status, Sustained, Telemetry},
    units::Nanos,
};

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
    let rate = rate(told.plan, contender);
    let (outcome, reason) = judge(told, &verified, rate.as_ref());
    let readings = series.window().map(|(from, to)| (told.readings)(from, to)).unwrap_or_default();
    Entry {
        rate,
        latency: latency(told, contender),
        pair: pair(told, contenders, index),
        gap_s: Some(series.gaps().seconds()),
        series: with_clocks(series.blocks(), &readings.readings, series.window()),
        telemetry: Telemetry::fold(readings.source, &readings.readings),
        sampling: Some(sampling(told, contender)),
        kernel: Some(told.prepared.identity(index)),
        seed: told.plan.seed,
        data: Some(DISTRIBUTION.into()),
        verified: Some(verified),
        reason,
        ..without(told.machine, told.plan, contender.variant, outcome, "")
    }
}

fn rate(plan: &Plan, contender: &Contender) -> Option<Rate> {
    let series = &contender.series;
    let burst = turned(plan, series.burst()?);
    let sustained =
        (plan.sustained && series.busy() >= policy::SHORTEST).then(|| sustained(plan, series.retained(policy::SKIP))).flatten();
    let status = if sustained.is_some() { Status::Budget } else { Status::BurstOnly };
    Some(Rate { unit: plan.unit, burst: Some(burst), sustained, status, steady: false, multimodal: None, limiter: None })
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

fn sustained(plan: &Plan, blocks: &[Block]) -> Option<Sustained> {
    let times: Vec<f64> = blocks.iter().map(|block| block.seconds / block.launches.max(1) as f64).collect();
    let spread = interval::mean(&times)?;
    let launches: u64 = blocks.iter().map(|block| block.launches).sum();
    let elapsed: f64 = blocks.iter().map(|block| block.seconds).sum();
    let whole = turned(plan, interval::Estimate { mean: elapsed / launches as f64, ..spread });
    let mut rates: Vec<f64> = blocks.iter().map(|block| plan.unit.rate(&plan.work, block.launches, block.seconds)).collect();
    rates.sort_by(f64::total_cmp);
    let at = |q| interval::quantile(&rates, q);
    Some(Sustained { value: whole.value, low: whole.low, high: whole.high, p05: at(0.05), p50: at(0.5), p95: at(0.95) })
}

fn judge(told: &Told, verified: &crate::record::Verified, rate: Option<&Rate>) -> (Outcome, Option<String>) {
    if !verified.passed {
        return (Outcome::Invalid, verified.first.clone());
    }
    let device = &told.machine.devices()[0];
    let peak = peak::peak(device, told.plan.precision, told.plan.unit, told.plan.key.family);
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
        service: (batch == 1).then(|| series.histogram().summary()).flatten(),
        limited: None,
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

fn sampling(told: &Told, contender: &Contender) -> Sampling {
    let series = &contender.series;
    let elapsed = series.elapsed().seconds();
    let discarded = if told.plan.sustained && series.busy() >= policy::SHORTEST { policy::SKIP.seconds() } else { 0.0 };
    let times: Vec<f64> = series.retained(policy::SKIP).iter().map(|block| block.seconds / block.launches.max(1) as f64).collect();
    // With two contenders the other's turns lie in between: they are not overhead.
    let alone = told.ratios.is_empty();
    Sampling {
        rounds: contender.rounds,
        launches: series.launches(),
        effective: interval::mean(&times).map(|mean| mean.effective),
        seconds: elapsed,
        discarded,
        outside: if alone && elapsed > 0.0 { (1.0 - series.busy().seconds() / elapsed).max(0.0) } else { 0.0 },
        stopped_by: told.stopped_by.into(),
        setup: told.setup.seconds(),
    }
}

/// Blocks with what the sensors said while each lasted.
fn with_clocks(blocks: &[Block], readings: &[Reading], window: Option<(Nanos, Nanos)>) -> Vec<Block> {
    let origin = window.map_or(0.0, |(from, _)| from.seconds());
    let dress = |block: &Block| {
        let within = |reading: &&Reading| {
            let t = reading.at.seconds() - origin;
            t >= block.t && t < block.t + block.seconds
        };
        let reading = readings.iter().rfind(within);
        Block {
            clock: reading.and_then(|r| r.sm_mhz),
            watts: reading.and_then(|r| r.power_mw).map(|power| power.0 as f64 * 1e-3),
            celsius: reading.and_then(|r| r.celsius),
            limits: reading.and_then(|r| r.limits.clone()),
            ..block.clone()
        }
    };
    blocks.iter().map(dress).collect()
}
