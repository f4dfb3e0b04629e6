//! Telemetry: one reading of a device's sensors, and the span of them over a measurement.

use crate::units::{Celsius, Joules, Megahertz, Milliwatts, Nanos};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// One look at the sensors. Every field may be blank; a blank is never zero.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Reading {
    /// On the clock of the measurement.
    pub at: Nanos,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sm_mhz: Option<Megahertz>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mhz: Option<Megahertz>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_mw: Option<Milliwatts>,
    /// Running total since the driver was loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub energy_j: Option<Joules>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub celsius: Option<Celsius>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_celsius: Option<Celsius>,
    /// Share of time that the device, or the whole machine for a CPU, was busy; 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub utilisation: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_used_bytes: Option<u64>,
    /// Reasons that hold the clock down, in NVML's terms and lower snake case; an unknown bit is `bit_<n>`. Blank: not readable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<BTreeSet<String>>,
    /// Running totals of the time that each reason held the clock down, in nanoseconds.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub violation_ns: BTreeMap<String, u64>,
}

/// Lowest, mean and highest value seen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Span {
    pub low: f64,
    pub mean: f64,
    pub high: f64,
}

impl Span {
    /// Span of the values that are there, blank when none is.
    #[must_use]
    pub fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let (mut low, mut high, mut sum, mut count) = (f64::INFINITY, f64::NEG_INFINITY, 0.0, 0_u64);
        for value in values {
            low = low.min(value);
            high = high.max(value);
            sum += value;
            count += 1;
        }
        (count > 0).then(|| Self { low, mean: sum / count as f64, high })
    }
}

/// What the sensors said while an entry was measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Telemetry {
    /// Where the readings came from, for example `nvml` or `host`.
    pub source: String,
    pub readings: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sm_mhz: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mhz: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watts: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub celsius: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_celsius: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub utilisation: Option<Span>,
    /// Energy by the device's counter, from one of its ticks to another, ten seconds apart or more; the first second is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub joules: Option<Joules>,
    /// Energy over the same time by the power that was read, with straight lines between readings; beside the counter so that each can be
    /// doubted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub joules_by_power: Option<Joules>,
    /// Seconds of both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub energy_s: Option<f64>,
    /// Every reason seen at least once. Blank: not readable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<BTreeSet<String>>,
}

impl Telemetry {
    /// Folds readings into spans; blank when there is none.
    #[must_use]
    pub fn fold(source: &str, readings: &[Reading]) -> Option<Self> {
        let begin = readings.first()?.at;
        let energy = Energy::of(&readings[readings.partition_point(|reading| reading.at.since(begin) < RAMP)..]);
        let limits: Vec<_> = readings.iter().filter_map(|reading| reading.limits.as_ref()).collect();
        Some(Self {
            source: source.to_owned(),
            readings: readings.len() as u64,
            sm_mhz: Span::of(readings.iter().filter_map(|r| r.sm_mhz).map(|clock| f64::from(clock.0))),
            memory_mhz: Span::of(readings.iter().filter_map(|r| r.memory_mhz).map(|clock| f64::from(clock.0))),
            watts: Span::of(readings.iter().filter_map(|r| r.power_mw).map(|power| power.0 as f64 * 1e-3)),
            celsius: Span::of(readings.iter().filter_map(|r| r.celsius).map(|t| t.0)),
            memory_celsius: Span::of(readings.iter().filter_map(|r| r.memory_celsius).map(|t| t.0)),
            utilisation: Span::of(readings.iter().filter_map(|r| r.utilisation)),
            joules: energy.as_ref().map(|energy| energy.joules),
            joules_by_power: energy.as_ref().and_then(|energy| energy.by_power),
            energy_s: energy.map(|energy| energy.seconds),
            limits: (!limits.is_empty()).then(|| limits.into_iter().flatten().cloned().collect()),
        })
    }
}

/// What passes before power has settled on the load.
const RAMP: Nanos = Nanos(1_000_000_000);
/// Counters move about ten times a second, so that less than ten seconds tell nothing.
const LONG_ENOUGH: f64 = 10.0;

/// Energy between two ticks of a counter.
struct Energy {
    joules: Joules,
    by_power: Option<Joules>,
    seconds: f64,
}

impl Energy {
    /// From the first reading at which the counter had moved to the last; blank where they are too close.
    fn of(readings: &[Reading]) -> Option<Self> {
        let moved = |pair: &[Reading]| pair[0].energy_j.zip(pair[1].energy_j).is_some_and(|(a, b)| a.0 < b.0);
        let first = readings.windows(2).position(moved)? + 1;
        let last = readings.windows(2).rposition(moved)? + 1;
        let between = &readings[first..=last];
        let (from, to) = (between.first()?, between.last()?);
        let seconds = to.at.since(from.at).seconds();
        let joules = Joules(to.energy_j?.0 - from.energy_j?.0);
        (seconds >= LONG_ENOUGH).then(|| Self { joules, by_power: by_power(between), seconds })
    }
}

/// Blank where a power is missing in between.
fn by_power(readings: &[Reading]) -> Option<Joules> {
    let each = readings.windows(2).map(|pair| {
        let power = f64::midpoint(pair[0].power_mw?.0 as f64, pair[1].power_mw?.0 as f64);
        Some(power * 1e-3 * pair[1].at.since(pair[0].at).seconds())
    });
    (readings.len() > 1).then(|| each.sum::<Option<f64>>()).flatten().map(Joules)
}

impl Telemetry {
    /// By how much the energy of the counter and that of the power differ, as a part of the counter's.
    #[must_use]
    pub fn energy_gap(&self) -> Option<f64> {
        let (counter, power) = self.joules.zip(self.joules_by_power)?;
        (counter.0 > 0.0).then(|| (power.0 - counter.0) / counter.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn energy_by_counter_and_by_power_are_held_against_each_other() {
        let reading = |second: u64, watts: u64| Reading {
            at: Nanos(second * 1_000_000_000),
            power_mw: Some(Milliwatts(watts * 1000)),
            energy_j: Some(Joules(1000.0 + 500.0 * second as f64)),
            ..Reading::default()
        };
        let readings: Vec<Reading> = (0..=20).map(|second| reading(second, 400)).collect();
        let folded = Telemetry::fold("nvml", &readings).expect("readings");
        // The first second is left out, and the tick after it begins the count.
        assert_eq!((folded.joules, folded.joules_by_power), (Some(Joules(9_000.0)), Some(Joules(7_200.0))));
        assert_eq!((folded.energy_gap(), folded.energy_s), (Some(-0.2), Some(18.0)));
        let short = Telemetry::fold("nvml", &readings[..12]).expect("readings");
        assert_eq!((short.joules, short.energy_gap()), (None, None), "nine seconds tell nothing");
        let stuck: Vec<Reading> = readings.iter().map(|r| Reading { energy_j: Some(Joules(7.0)), ..r.clone() }).collect();
        assert_eq!(Telemetry::fold("nvml", &stuck).and_then(|folded| folded.joules), None, "a counter that stands still is none");
        let mut holes = readings;
        holes[3].power_mw = None;
        assert_eq!(Telemetry::fold("nvml", &holes).and_then(|folded| folded.joules_by_power), None);
    }

    #[test]
    fn blank_stays_blank_and_reasons_are_a_set() {
        let reading = |at, power, limits: Option<&[&str]>| Reading {
            at: Nanos(at),
            power_mw: power,
            limits: limits.map(|names| names.iter().map(ToString::to_string).collect()),
            ..Reading::default()
        };
        let folded = Telemetry::fold(
            "nvml",
            &[reading(0, Some(Milliwatts(200_000)), Some(&["sw_power_cap"])), reading(1, None, Some(&["bit_40"]))],
        )
        .expect("two readings");
        assert_eq!(folded.watts, Some(Span { low: 200.0, mean: 200.0, high: 200.0 }));
        assert_eq!(folded.celsius, None);
        assert_eq!(folded.joules, None);
        assert_eq!(folded.limits.expect("readable").len(), 2);
        assert!(Telemetry::fold("nvml", &[]).is_none());
    }
}
