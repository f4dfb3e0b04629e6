//! What the sensors say against a steady state: a pure function of readings.
//!
//! Times of launches look steady soon after a device has begun to heat up, or has met its power limit; its sensors know better. Judged are
//! the readings of the retained window: the clock must not drift, no limit of power or heat may have come or gone, and the temperature
//! must not be about to reach the one at which clocks are slowed down.

use super::interval;
use crate::{
    record::{Gate, Reading},
    units::Celsius,
};
use std::collections::BTreeSet;

/// Reasons whose coming and going ends a steady state.
const REASONS: &[&str] = &["sw_power_cap", "sw_thermal_slowdown", "hw_thermal_slowdown", "hw_slowdown", "hw_power_brake_slowdown"];
/// Clocks are judged by their medians over so many seconds.
const BLOCK: f64 = 0.25;
/// Medians without which nothing is said of a drift.
const FEWEST: usize = 8;
/// A significant drift of the clock by this part within the window is none of a steady state; launches are held to the same.
const DRIFT: f64 = 0.003;
/// Temperatures are extended over so many seconds.
const AHEAD: f64 = 60.0;
/// A reason that comes and goes so often in each third of the window is part of a steady state: a power limit that is met now and then.
const OFTEN: usize = 2;

/// Judges readings in order of time; `slowdown` is the temperature at which clocks are slowed down, where it is known.
#[must_use]
pub fn gate(readings: &[Reading], slowdown: Option<Celsius>) -> Gate {
    let origin = readings.first().map_or(0.0, |reading| reading.at.seconds());
    let at = |reading: &Reading| reading.at.seconds() - origin;
    let checks = [("clock", clock(readings, at)), ("limits", limits(readings)), ("temperature", heat(readings, at, slowdown))];
    let mut gate = Gate::default();
    for (name, found) in checks {
        let Some(against) = found else { continue };
        gate.checked.insert(name.into());
        gate.against.extend(against);
    }
    gate
}

/// Whether the medians of the clock drift; blank where there are too few.
fn clock(readings: &[Reading], at: impl Fn(&Reading) -> f64) -> Option<Vec<String>> {
    let mut medians: Vec<(f64, f64)> = Vec::new();
    let known: Vec<(f64, f64)> = readings.iter().filter_map(|r| Some((at(r), f64::from(r.sm_mhz?.0)))).collect();
    for block in known.chunk_by(|a, b| (a.0 / BLOCK).floor() == (b.0 / BLOCK).floor()) {
        let mut clocks: Vec<f64> = block.iter().map(|(_, clock)| *clock).collect();
        clocks.sort_by(f64::total_cmp);
        medians.push((block[0].0, interval::quantile(&clocks, 0.5)));
    }
    let Line { mean, change, half, .. } = Line::through(&medians)?;
    let drifts = change.abs() > DRIFT * mean && change.abs() > half;
    let words = || format!("the clock drifts by {change:+.0} MHz within the window, from a mean of {mean:.0} MHz");
    Some(drifts.then(words).into_iter().collect())
}

/// Whether a limit of power or heat came or went; blank where limits are not readable.
fn limits(readings: &[Reading]) -> Option<Vec<String>> {
    let known: Vec<&BTreeSet<String>> = readings.iter().filter_map(|reading| reading.limits.as_ref()).collect();
    if known.len() < FEWEST {
        return None;
    }
    let changed = REASONS.iter().filter_map(|reason| {
        let held: Vec<bool> = known.iter().map(|set| set.contains(*reason)).collect();
        let changes = |part: &[bool]| part.windows(2).filter(|pair| pair[0] != pair[1]).count();
        let all = changes(&held);
        let throughout = held.chunks(held.len().div_ceil(3)).all(|third| changes(third) >= OFTEN);
        let share = held.iter().filter(|held| **held).count() as f64 / held.len() as f64;
        let times = if all == 1 { "once".into() } else { format!("{all} times") };
        (all > 0 && !throughout).then(|| format!("{reason} held for {:.0} % of the window and changed {times}", share * 100.0))
    });
    Some(changed.collect())
}

/// Whether the temperature is about to reach that of slowdown; blank where either is not known.
fn heat(readings: &[Reading], at: impl Fn(&Reading) -> f64, slowdown: Option<Celsius>) -> Option<Vec<String>> {
    let limit = slowdown?.0;
    let known: Vec<(f64, f64)> = readings.iter().filter_map(|r| Some((at(r), r.celsius?.0))).collect();
    let line = Line::through(&known)?;
    let ahead = line.last + line.change / line.span * AHEAD;
    let rises = line.change > line.half && ahead >= limit;
    let words = || {
        let (last, slope) = (line.last, line.change / line.span);
        format!("{last:.0} °C and rising by {slope:.2} °C a second: {limit:.0} °C, where clocks are slowed down, are near")
    };
    Some(rises.then(words).into_iter().collect())
}

/// The straight line through values over time, by least squares.
struct Line {
    mean: f64,
    /// Where it ends.
    last: f64,
    /// From its begin to its end, and half of that change's 95 % interval.
    change: f64,
    half: f64,
    /// Seconds.
    span: f64,
}

impl Line {
    fn through(points: &[(f64, f64)]) -> Option<Self> {
        if points.len() < FEWEST {
            return None;
        }
        let n = points.len() as f64;
        let mean_of = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / n;
        let (middle, mean) = (mean_of(|point| point.0), mean_of(|point| point.1));
        let spread: f64 = points.iter().map(|(t, _)| (t - middle).powi(2)).sum();
        let span = points.last()?.0 - points.first()?.0;
        if spread <= 0.0 {
            return None;
        }
        let slope = points.iter().map(|(t, value)| (t - middle) * (value - mean)).sum::<f64>() / spread;
        let residuals: Vec<f64> = points.iter().map(|(t, value)| value - mean - slope * (t - middle)).collect();
        // The error of a mean, corrected for correlation, times what a slope over the span adds.
        let half = interval::mean(&residuals)?.half * span * (n / spread).sqrt();
        let last = mean + slope * (points.last()?.0 - middle);
        Some(Self { mean, last, change: slope * span, half, span })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{Megahertz, Nanos};

    /// Ten seconds of readings, ten a second; clock, temperature and whether the power cap holds, by the reading's number.
    fn readings(clock: impl Fn(u32) -> u32, celsius: impl Fn(u32) -> f64, capped: impl Fn(u32) -> bool) -> Vec<Reading> {
        let reading = |index: u32| Reading {
            at: Nanos(7_000_000_000 + u64::from(index) * 100_000_000),
            sm_mhz: Some(Megahertz(clock(index))),
            celsius: Some(Celsius(celsius(index))),
            limits: Some(capped(index).then(|| "sw_power_cap".to_owned()).into_iter().collect()),
            ..Reading::default()
        };
        (0..100).map(reading).collect()
    }

    const LIMIT: Option<Celsius> = Some(Celsius(87.0));

    fn against(readings: &[Reading]) -> Vec<String> {
        let gate = gate(readings, LIMIT);
        assert_eq!(gate.checked.len(), 3, "{gate:?}");
        gate.against
    }

    /// Noise in steps of a clock's 15 MHz, without a drift.
    fn noisy(index: u32) -> u32 {
        1_500 + 15 * (index * 7_919 % 5)
    }

    #[test]
    fn a_steady_card_is_not_spoken_against() {
        assert_eq!(against(&readings(|_| 1_500, |_| 60.0, |_| false)), Vec::<String>::new());
        assert_eq!(against(&readings(noisy, |index| 60.0 + f64::from(index % 2), |_| true)), Vec::<String>::new());
    }

    #[test]
    fn a_clock_that_sinks_is_seen_through_noise() {
        let found = against(&readings(|index| noisy(index) - index / 4, |_| 60.0, |_| false));
        assert!(found.len() == 1 && found[0].contains("drifts by -26 MHz"), "{found:?}");
        // A quarter of a percent does no harm.
        assert!(against(&readings(|index| 1_500 - index / 30, |_| 60.0, |_| false)).is_empty());
    }

    #[test]
    fn a_limit_that_comes_or_goes_is_seen_and_one_that_flickers_throughout_is_steady() {
        let found = against(&readings(|_| 1_500, |_| 60.0, |index| index > 70));
        assert!(found.len() == 1 && found[0].contains("sw_power_cap") && found[0].contains("changed once"), "{found:?}");
        assert_eq!(against(&readings(|_| 1_500, |_| 60.0, |index| (40..60).contains(&index))).len(), 1);
        assert!(against(&readings(|_| 1_500, |_| 60.0, |index| index % 7 < 2)).is_empty());
        // It flickers only from the middle on.
        assert_eq!(against(&readings(|_| 1_500, |_| 60.0, |index| index > 50 && index % 7 < 2)).len(), 1);
        let idle = |mut reading: Reading| {
            reading.limits =
                Some(BTreeSet::from([if reading.at.0.is_multiple_of(200_000_000) { "gpu_idle" } else { "bit_40" }.to_owned()]));
            reading
        };
        let others: Vec<_> = readings(|_| 1_500, |_| 60.0, |_| false).into_iter().map(idle).collect();
        assert!(against(&others).is_empty(), "other reasons are none of power or heat");
    }

    #[test]
    fn heat_that_will_reach_the_limit_within_a_minute_is_seen() {
        // Half a degree a second from 60 °C: 65 + 30 is above 87.
        let found = against(&readings(|_| 1_500, |index| (60.0 + 0.05 * f64::from(index)).floor(), |_| false));
        assert!(found.len() == 1 && found[0].contains("87 °C"), "{found:?}");
        assert!(against(&readings(|_| 1_500, |index| (60.0 + 0.02 * f64::from(index)).floor(), |_| false)).is_empty());
    }

    #[test]
    fn what_was_not_read_is_not_checked() {
        let mut blind = readings(|_| 1_500, |_| 60.0, |_| false);
        for reading in &mut blind {
            (reading.sm_mhz, reading.limits) = (None, None);
        }
        assert_eq!(gate(&blind, LIMIT).checked, BTreeSet::from(["temperature".to_owned()]));
        assert_eq!(gate(&blind, None), Gate::default());
        assert_eq!(gate(&[], LIMIT), Gate::default());
    }
}
