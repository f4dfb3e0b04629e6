//! Where the physical peak went: a sum of named losses from the peak to the sustained rate that closes exactly.
//!
//! In order of attribution, as parts of the peak over the retained window: idle time between launches; over busy time what the clock
//! lacks to its highest, given to the primary reason of the moment; and what then remains, which is the kernel's. For memory-bound
//! work the memory's clock stands in the place of the units'. Where there is no evidence the line is unknown, with its bound, and
//! what it hides is part of the remainder.

use super::kernel;
use crate::{
    chips,
    dtype::DTYPES,
    record::{Device, Entry, Ledger, Limit, Loss, Outcome, RateUnit, State, Sustained},
};
use std::{collections::BTreeSet, fmt::Write};

/// The ledger of a measured entry; blank without a sustained rate or where the physical peak is not known.
#[must_use]
pub fn explain(entry: &Entry) -> Option<Ledger> {
    explain_beside(entry, &[])
}

/// The same, where `others` of its record may hold the same workload measured alone on the same device: what running together
/// with other devices costs is known then.
#[must_use]
pub fn explain_beside(entry: &Entry, others: &[Entry]) -> Option<Ledger> {
    let alone = kernel::alone(entry, others).and_then(|alone| Some(whole(alone, None)?.1));
    whole(entry, alone).map(|(ledger, _)| ledger)
}

/// The ledger, and what of the peak remains for the kernel; `alone` is what remains when it runs alone, where that is another matter
/// and known.
fn whole(entry: &Entry, alone: Option<f64>) -> Option<(Ledger, f64)> {
    let rate = entry.rate.as_ref().filter(|_| entry.outcome == Outcome::Measured)?;
    let Sustained { value: measured, .. } = rate.sustained?;
    let Peak { value: peak, basis } = Peak::of(entry, rate.unit)?;
    let mut losses = Vec::new();
    let mut left = 1.0 - measured / peak;
    let mut take = |loss: Loss| {
        left -= loss.fraction.unwrap_or(0.0);
        losses.push(loss);
    };
    let idle = idle(entry, 1.0 - measured / peak);
    let busy = 1.0 - idle.fraction.unwrap_or(0.0);
    take(idle);
    let clocks = Clocks::of(entry, rate.unit, busy);
    clocks.losses(entry).into_iter().for_each(&mut take);
    if clocks.unread > 0.0 {
        let bound = clocks.unread.min(left.max(0.0));
        let evidence = format!("{} was not read for {:.1} % of the busy time", clocks.name, clocks.unread / busy * 100.0);
        losses.push(unknown("clock", bound, evidence));
    }
    let rest =
        kernel::Rest { left, reached: measured / peak, allowed: clocks.allowed, unread: clocks.unread, alone, unit: rate.unit };
    losses.extend(rest.losses(entry));
    Some((Ledger { peak, basis, measured, losses }, left))
}

pub(super) fn known(cause: &str, fraction: f64, evidence: String) -> Loss {
    Loss { cause: cause.into(), fraction: Some(fraction), at_most: None, evidence }
}

pub(super) fn unknown(cause: &str, at_most: f64, evidence: String) -> Loss {
    Loss { cause: cause.into(), fraction: None, at_most: Some(at_most), evidence }
}

/// The physical peak at the highest clock, and how it was reckoned.
struct Peak {
    value: f64,
    basis: String,
}

impl Peak {
    fn of(entry: &Entry, unit: RateUnit) -> Option<Self> {
        let device = &entry.device;
        match unit {
            RateUnit::Flops => {
                let (units, boost) = (device.units?, device.boost_mhz?);
                let operations = operations(device, &entry.workload.precision)?;
                let basis = format!("{units} units x {operations} operations a clock x {} MHz", boost.0);
                Some(Self { value: chips::units_peak(units, operations, boost), basis })
            }
            // A cache gives more than the bus, a link has its own.
            RateUnit::Bytes if !["cache", "transfer"].contains(&entry.workload.family.as_str()) => {
                let (bits, clock) = (device.bus_bits?, device.memory_mhz?);
                let basis = format!("{bits} bits x {} MHz x {} / 8", clock.0, chips::TRANSFERS_A_CLOCK);
                Some(Self { value: chips::bytes_peak(bits, clock), basis })
            }
            RateUnit::Bytes | RateUnit::Items | RateUnit::Seconds => None,
        }
    }
}

/// Operations a clock of a unit: what the device itself says, else what its architecture can in the format of the inputs.
fn operations(device: &Device, precision: &str) -> Option<f64> {
    if let Some(fact) = device.facts.get("flop_per_clock") {
        return fact.parse().ok().filter(|operations: &f64| *operations > 0.0);
    }
    let input = precision.split('.').next()?;
    let dtype = DTYPES.iter().find(|row| row.name == input)?.dtype;
    chips::operations_a_clock(device.architecture.as_deref()?, dtype).map(f64::from)
}

/// Idle time between launches at the full peak.
fn idle(entry: &Entry, lost: f64) -> Loss {
    let cause = "launch gaps";
    let discarded = entry.sampling.as_ref().map_or(0.0, |sampling| sampling.discarded);
    let seconds: f64 = entry.series.iter().filter(|block| block.t >= discarded - 1e-6).map(|block| block.seconds).sum();
    match entry.gap_s.filter(|_| seconds > 0.0) {
        Some(gap) => known(cause, (gap / seconds).clamp(0.0, 1.0), format!("idle for {gap:.3} s of {seconds:.2} s")),
        None => unknown(cause, lost.max(0.0), "idle time was not recorded".into()),
    }
}

/// The part of the peak that a state lost to its clock.
struct Lost<'a> {
    state: &'a State,
    clock: f64,
    fraction: f64,
}

/// What clocks cost, over busy time.
struct Clocks<'a> {
    name: &'static str,
    highest: f64,
    lost: Vec<Lost<'a>>,
    /// Part of all time that was busy at a clock nobody read.
    unread: f64,
    /// Part of the peak that the clocks allow where they were read.
    allowed: f64,
    busy_s: f64,
}

impl<'a> Clocks<'a> {
    fn of(entry: &'a Entry, unit: RateUnit, busy: f64) -> Self {
        let device = &entry.device;
        let memory = unit == RateUnit::Bytes;
        let (name, highest) =
            if memory { ("the memory's clock", device.memory_mhz) } else { ("the clock of the units", device.boost_mhz) };
        let highest = highest.map_or(0.0, |clock| f64::from(clock.0));
        let busy_s: f64 = entry.states.iter().map(|state| state.busy_s).sum();
        let (mut lost, mut unread, mut allowed) = (Vec::new(), 0.0, 0.0);
        for state in entry.states.iter().filter(|_| busy_s > 0.0) {
            let share = busy * state.busy_s / busy_s;
            let clock = if memory { state.memory_mhz } else { state.sm_mhz };
            match clock {
                Some(clock) => {
                    let fraction = share * (1.0 - clock / highest).max(0.0);
                    allowed += share - fraction;
                    lost.push(Lost { state, clock, fraction });
                }
                None => unread += share,
            }
        }
        Self { name, highest, lost, unread: if busy_s > 0.0 { unread } else { busy }, allowed, busy_s }
    }

    /// One loss for each cause that cost anything, the gravest first.
    fn losses(&self, entry: &Entry) -> Vec<Loss> {
        let order = [Some(Limit::Brake), Some(Limit::Thermal), Some(Limit::PowerCap), Some(Limit::Setting), None];
        let of_limit = |limit: Option<Limit>| {
            let of_it: Vec<&Lost> = self.lost.iter().filter(|lost| Limit::primary(&lost.state.limits) == limit).collect();
            let fraction: f64 = of_it.iter().map(|lost| lost.fraction).sum();
            // Less is the rounding of a mean clock.
            (fraction > 1e-9).then(|| known(&cause(limit, &entry.device), fraction, self.evidence(limit, &of_it, entry)))
        };
        order.into_iter().filter_map(of_limit).collect()
    }

    fn evidence(&self, limit: Option<Limit>, lost: &[&Lost], entry: &Entry) -> String {
        let seconds: f64 = lost.iter().map(|lost| lost.state.busy_s).sum();
        let clock = lost.iter().map(|lost| lost.clock * lost.state.busy_s).sum::<f64>() / seconds;
        let reasons: BTreeSet<&str> = lost.iter().flat_map(|lost| &lost.state.limits).map(String::as_str).collect();
        let named = if !reasons.is_empty() {
            reasons.iter().copied().collect::<Vec<_>>().join(", ")
        } else if readable(entry) {
            "no reason".into()
        } else {
            "reasons could not be read,".into()
        };
        let Self { highest, busy_s, .. } = self;
        let mut said = format!("{named} for {seconds:.2} s of {busy_s:.2} s busy, at {clock:.0} of {highest:.0} MHz");
        if let (Some(Limit::PowerCap), (Some(limit), Some(default))) = (limit, limits(&entry.device)) {
            let _ = write!(said, "; limit {limit:.0} W, default {default:.0} W");
        }
        if limit == Some(Limit::PowerCap) {
            said.push_str(&drawn(entry));
        }
        let totals = reasons.iter().filter_map(|reason| Some((reason, entry.counters.get(&format!("violation_s.{reason}"))?)));
        for (reason, total) in totals {
            let _ = write!(said, "; by the driver's total {reason} held {total:.2} s of the whole measurement");
        }
        said
    }
}

/// Whether anything told why clocks were held down.
fn readable(entry: &Entry) -> bool {
    let seen = entry.telemetry.as_ref().is_some_and(|telemetry| telemetry.limits.is_some());
    seen || !entry.counters.is_empty() || entry.states.iter().any(|state| !state.limits.is_empty())
}

/// Power that was drawn: by its readings, and by the counter of energy.
fn drawn(entry: &Entry) -> String {
    let Some(telemetry) = &entry.telemetry else { return String::new() };
    let mut said = telemetry.watts.map_or_else(String::new, |watts| format!("; {:.0} W drawn on average", watts.mean));
    let seconds = entry.sampling.as_ref().map_or(0.0, |sampling| sampling.seconds);
    if let Some(energy) = telemetry.joules.filter(|energy| energy.0 > 0.0 && seconds > 0.0) {
        let _ = write!(said, "; {:.0} J by the counter over {seconds:.1} s", energy.0);
    }
    said
}

/// Power limit in force and by default, in watts.
fn limits(device: &Device) -> (Option<f64>, Option<f64>) {
    let watts = |name: &str| Some(device.facts.get(name)?.parse::<f64>().ok()? * 1e-3);
    (watts("power_limit_enforced_mw"), watts("power_limit_default_mw"))
}

fn cause(limit: Option<Limit>, device: &Device) -> String {
    match limit {
        Some(Limit::Brake) => "hardware brake",
        Some(Limit::Thermal) => "thermal",
        Some(Limit::PowerCap) => match limits(device) {
            (Some(limit), Some(default)) if limit < default => "power cap, lowered",
            (Some(_), Some(_)) => "power cap, default",
            _ => "power cap",
        },
        Some(Limit::Setting) => "application or locked clock",
        None => "clock low, no reason given",
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        record::{Block, Interval, Kind, Pair, Rate, Sampling, Status, Work, Workload},
        units::{Megahertz, Nanos},
    };

    fn state(limits: &[&str], busy_s: f64, sm_mhz: Option<f64>) -> State {
        State { limits: limits.iter().map(ToString::to_string).collect(), busy_s, sm_mhz, memory_mhz: Some(1_000.0) }
    }

    /// Ten retained seconds, one of them idle, at 45 of 100 GFLOP/s.
    fn entry(states: Vec<State>) -> Entry {
        let mut device = Device::new("fake:0", "fake", Kind::Fake, "invented");
        (device.units, device.boost_mhz, device.memory_mhz) = (Some(1), Some(Megahertz(1_000)), Some(Megahertz(1_000)));
        device.bus_bits = Some(400);
        device.facts.insert("flop_per_clock".into(), "100".into());
        device.facts.insert("power_limit_enforced_mw".into(), "230000".into());
        device.facts.insert("power_limit_default_mw".into(), "300000".into());
        let name = || String::from("x");
        let workload =
            Workload { id: name(), family: name(), operation: name(), variant: name(), precision: name(), shape: name() };
        let (value, low, high) = (45e9, 45e9, 45e9);
        let sustained = Some(Sustained { value, low, high, p05: low, p50: value, p95: high });
        let unit = RateUnit::Flops;
        let rate =
            Some(Rate { unit, burst: None, sustained, status: Status::Steady, steady: true, multimodal: None, limiter: None });
        let block = |i: u32| Block {
            t: f64::from(i),
            seconds: 1.0,
            launches: 1,
            mean: Nanos(1),
            median: Nanos(1),
            p95: Nanos(1),
            clock: None,
            watts: None,
            celsius: None,
            limits: None,
        };
        let sampling = Some(Sampling { discarded: 2.0, ..Sampling::default() });
        let blank = Entry::without(device, workload, Work::default(), Outcome::Measured, String::new());
        Entry { rate, states, gap_s: Some(1.0), series: (0..12).map(block).collect(), sampling, ..blank }
    }

    fn fraction(ledger: &Ledger, cause: &str) -> f64 {
        ledger.losses.iter().find(|loss| loss.cause == cause).and_then(|loss| loss.fraction).expect(cause)
    }

    #[test]
    fn each_cause_has_its_part_and_the_sum_closes() {
        let states = vec![
            state(&["hw_thermal_slowdown", "sw_power_cap"], 3.0, Some(500.0)),
            state(&["sw_power_cap"], 3.0, Some(800.0)),
            state(&[], 3.0, Some(1_000.0)),
        ];
        let ledger = explain(&entry(states)).expect("a ledger");
        assert!((ledger.peak - 1e11).abs() < 1.0 && ledger.gap().abs() < 1e-12);
        for (cause, part) in [("launch gaps", 0.1), ("thermal", 0.15), ("power cap, lowered", 0.06), ("kernel", 0.24)] {
            assert!((fraction(&ledger, cause) - part).abs() < 1e-12, "{ledger:?}");
        }
        assert_eq!(ledger.losses.len(), 4);
        let power = &ledger.losses[2].evidence;
        assert!(power.contains("3.00 s of 9.00 s") && power.contains("800 of 1000 MHz") && power.contains("230 W"), "{power}");
    }

    #[test]
    fn what_was_not_read_is_unknown_within_a_bound() {
        let ledger = explain(&entry(vec![state(&[], 3.0, None), state(&["sync_boost"], 6.0, Some(900.0))])).expect("a ledger");
        let clock = ledger.losses.iter().find(|loss| loss.cause == "clock").expect("a line");
        assert_eq!(clock.fraction, None);
        assert!((clock.at_most.expect("a bound") - 0.3).abs() < 1e-12 && ledger.gap().abs() < 1e-12, "{ledger:?}");
        assert!((fraction(&ledger, "application or locked clock") - 0.06).abs() < 1e-12);
        let nothing = explain(&Entry { gap_s: None, ..entry(Vec::new()) }).expect("a ledger");
        assert_eq!(nothing.losses.iter().filter(|loss| loss.fraction.is_none()).count(), 2);
        assert!((fraction(&nothing, "kernel") - 0.55).abs() < 1e-12 && nothing.gap().abs() < 1e-12);
    }

    #[test]
    fn memory_bound_work_is_held_by_the_memory_clock() {
        let mut bytes = entry(vec![state(&["sw_power_cap"], 9.0, Some(100.0))]);
        bytes.rate.as_mut().expect("a rate").unit = RateUnit::Bytes;
        let ledger = explain(&bytes).expect("a ledger");
        assert!((ledger.peak - 1e11).abs() < 1.0 && ledger.losses.len() == 2, "{ledger:?}");
        bytes.device.bus_bits = None;
        assert_eq!(explain(&bytes), None);
    }

    #[test]
    fn a_faster_variant_splits_the_kernels_part() {
        let ratio = Interval { value: 0.9, low: 0.9, high: 0.9 };
        let pair = Some(Pair { with: "x@library".into(), ratio, pairs: 9 });
        let ledger = explain(&Entry { pair, ..entry(vec![state(&[], 9.0, Some(1_000.0))]) }).expect("a ledger");
        assert!((fraction(&ledger, "kernel, behind the other variant") - 0.05).abs() < 1e-12 && ledger.gap().abs() < 1e-12);
    }
}
