//! What the sensors said, joined to what the launches did: evidence for whoever explains the rate later.

use super::series::Series;
use crate::{
    record::{Block, Limit, Reading, State},
    units::Nanos,
};
use std::collections::{BTreeMap, BTreeSet};

/// Blocks with what the sensors said while each lasted.
pub fn with_clocks(blocks: &[Block], readings: &[Reading], window: Option<(Nanos, Nanos)>) -> Vec<Block> {
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

/// A time-weighted mean of what is known.
#[derive(Clone, Copy, Default)]
struct Mean {
    sum: f64,
    weight: f64,
}

impl Mean {
    fn add(&mut self, value: Option<f64>, weight: f64) {
        if let Some(value) = value {
            self.sum += value * weight;
            self.weight += weight;
        }
    }

    fn value(self) -> Option<f64> {
        (self.weight > 0.0).then(|| self.sum / self.weight)
    }
}

/// Busy time and mean clocks by set of limits, from `skip` after the first launch on. A reading holds until the next; a field that
/// it leaves blank stays as it was last read.
pub fn states(series: &Series, readings: &[Reading], skip: Nanos) -> Vec<State> {
    let Some((origin, end)) = series.window() else { return Vec::new() };
    let mut rows: BTreeMap<BTreeSet<String>, (f64, Mean, Mean)> = BTreeMap::new();
    let mut held = Reading::default();
    for (index, reading) in readings.iter().enumerate() {
        let next = readings.get(index + 1);
        held.sm_mhz = reading.sm_mhz.or(held.sm_mhz);
        held.memory_mhz = reading.memory_mhz.or(held.memory_mhz);
        held.limits = reading.limits.clone().or_else(|| next.and_then(|next| counted(reading, next))).or(held.limits);
        let from = if index == 0 { skip } else { reading.at.since(origin).max(skip) };
        let to = next.map_or(end, |next| next.at).since(origin);
        let busy = series.busy_between(from, to).seconds();
        if busy > 0.0 {
            let row = rows.entry(held.limits.clone().unwrap_or_default()).or_default();
            row.0 += busy;
            row.1.add(held.sm_mhz.map(|clock| f64::from(clock.0)), busy);
            row.2.add(held.memory_mhz.map(|clock| f64::from(clock.0)), busy);
        }
    }
    let state = |(limits, (busy_s, sm, memory)): (_, (f64, Mean, Mean))| State {
        limits,
        busy_s,
        sm_mhz: sm.value(),
        memory_mhz: memory.value(),
    };
    rows.into_iter().map(state).collect()
}

/// The reasons that held for most of the time between two readings, by their running totals; blank where there are none.
fn counted(reading: &Reading, next: &Reading) -> Option<BTreeSet<String>> {
    let apart = next.at.since(reading.at).0;
    let grown = |(reason, before): (&String, &u64)| {
        let after = next.violation_ns.get(reason)?;
        (after.saturating_sub(*before).saturating_mul(2) > apart).then(|| reason.clone())
    };
    let both = !reading.violation_ns.is_empty() && !next.violation_ns.is_empty();
    both.then(|| reading.violation_ns.iter().filter_map(grown).collect())
}

/// What running totals grew by over the readings: `violation_s.<reason>` in seconds.
pub fn counters(readings: &[Reading]) -> BTreeMap<String, f64> {
    let mut ends: BTreeMap<&String, (u64, u64)> = BTreeMap::new();
    for (reason, total) in readings.iter().flat_map(|reading| &reading.violation_ns) {
        ends.entry(reason).or_insert((*total, *total)).1 = *total;
    }
    let seconds = |(from, to): (u64, u64)| Nanos(to.saturating_sub(from)).seconds();
    ends.into_iter().map(|(reason, ends)| (format!("violation_s.{reason}"), seconds(ends))).collect()
}

/// What held the device down for most of the busy time: `none`, `power`, `thermal` or `other`. Blank where no limit was readable.
pub fn limiter(states: &[State], readings: &[Reading]) -> Option<String> {
    if readings.iter().all(|reading| reading.limits.is_none() && reading.violation_ns.is_empty()) {
        return None;
    }
    let mut times: BTreeMap<&str, f64> = BTreeMap::new();
    for state in states {
        *times.entry(Limit::primary(&state.limits).map_or("none", Limit::limiter)).or_default() += state.busy_s;
    }
    times.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).map(|(name, _)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{contract::Span, units::Megahertz};

    /// A second of launches of which nine tenths are busy.
    fn second() -> Series {
        let mut series = Series::default();
        for begin in (0..1_000).map(|i| 5_000_000_000 + i * 1_000_000) {
            series.push(&Span { begin: Nanos(begin), took: Nanos(900_000), launches: 1, intended: None });
        }
        series.end();
        series
    }

    fn at(milliseconds: u64, clock: u32, limits: Option<&[&str]>) -> Reading {
        Reading {
            at: Nanos(5_000_000_000 + milliseconds * 1_000_000),
            sm_mhz: Some(Megahertz(clock)),
            limits: limits.map(|names| names.iter().map(ToString::to_string).collect()),
            ..Reading::default()
        }
    }

    #[test]
    fn a_row_holds_the_busy_time_and_mean_clock_of_its_limits() {
        let capped: Option<&[&str]> = Some(&["sw_power_cap"]);
        let readings = [at(0, 1_000, Some(&[])), at(500, 800, capped), at(750, 600, None)];
        let rows = states(&second(), &readings, Nanos(0));
        assert_eq!(rows.len(), 2);
        assert!((rows[0].busy_s - 0.45).abs() < 1e-3 && rows[0].sm_mhz == Some(1_000.0), "{rows:?}");
        // Limits that a reading leaves blank are those last read.
        assert!((rows[1].busy_s - 0.45).abs() < 1e-3 && (rows[1].sm_mhz.expect("read") - 700.0).abs() < 0.1, "{rows:?}");
        assert_eq!((rows[1].memory_mhz, limiter(&rows, &readings)), (None, Some("none".into())));
        let later = states(&second(), &readings, Nanos(500_000_000));
        assert_eq!((later.len(), limiter(&later, &readings).as_deref()), (1, Some("power")));
        assert_eq!((states(&second(), &[], Nanos(0)), limiter(&[], &[])), (Vec::new(), None));
    }

    #[test]
    fn running_totals_stand_in_for_limits_that_cannot_be_read() {
        let totals = |reading: Reading, total| Reading { violation_ns: [("sw_power_cap".to_owned(), total)].into(), ..reading };
        let readings = [totals(at(0, 1_000, None), 7), totals(at(500, 800, None), 7), totals(at(900, 800, None), 300_000_007)];
        let rows = states(&second(), &readings, Nanos(0));
        assert_eq!((rows[0].limits.len(), rows[1].limits.len()), (0, 1));
        assert!((rows[0].busy_s - 0.45).abs() < 1e-3);
        assert!((counters(&readings)["violation_s.sw_power_cap"] - 0.3).abs() < 1e-9);
    }
}
