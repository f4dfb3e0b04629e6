//! One run of one metric, brought down to where it lies and how well that is known.
//!
//! The run is the unit of evidence (Kalibera and Jones 2013): samples within it are correlated, and a run differs from the next by
//! more than its samples tell.

use super::{
    levels::Levels,
    noise::{Lags, long_run},
    whole::Whole,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What is measured, in whose unit, and which way is good.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Metric {
    pub name: String,
    pub unit: String,
    pub higher_is_better: bool,
}

/// Where a run lies: the logarithm of its performance, where more is always better, with its standard error.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Location {
    pub log: f64,
    /// Standard error of `log` within the run, after correlation; blank when nothing within the run tells it.
    pub error: Option<f64>,
    /// Samples that would tell as much were they independent.
    pub effective: f64,
    /// Samples left out at the start, where they still warmed up.
    pub discarded: usize,
    /// How the samples vary about `log`, so that the correlation can be told from all runs together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<Lags>,
    /// Both levels, where the run jumps between two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub levels: Option<Levels>,
    /// Work over time, with what `log` leaves out; blank where that is the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<Whole>,
}

/// Why samples have no location.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
pub enum Unfit {
    #[error("a run without samples")]
    Empty,
    #[error("sample {} is {value}; samples are positive and finite", at + 1)]
    Value { at: usize, value: f64 },
}

/// Samples further out than this many robust standard deviations count as if they lay there (Huber 1964).
const CLIP: f64 = 2.5;
/// A run shorter than this has no warm-up that could be told.
const SHORTEST: usize = 10;
/// The warm-up is at most this part of a run.
const LONGEST_HEAD: f64 = 0.6;

/// Where a run lies, from its samples in time order.
///
/// # Errors
/// [`Unfit`], when there is no sample or one is not positive and finite.
pub fn locate(samples: &[f64], higher_is_better: bool) -> Result<Location, Unfit> {
    if samples.is_empty() {
        return Err(Unfit::Empty);
    }
    if let Some((at, &value)) = samples.iter().enumerate().find(|(_, value)| !(value.is_finite() && **value > 0.0)) {
        return Err(Unfit::Value { at, value });
    }
    let sign = if higher_is_better { 1.0 } else { -1.0 };
    let logs: Vec<f64> = samples.iter().map(|sample| sign * sample.ln()).collect();
    let discarded = warm_up(&logs);
    let kept = &logs[discarded..];
    let (log, clipped) = huber(kept);
    let about = Lags::of(&clipped);
    let variance = long_run(&[about]);
    let count = kept.len() as f64;
    let effective = if variance > 0.0 { about.products[0] / variance } else { count };
    let error = (kept.len() > 2).then(|| (variance / count).sqrt());
    // Whether samples are of as much work each or of as much time is not told: times are taken to be the former, rates the latter.
    let blocks: Vec<(f64, f64)> =
        samples[discarded..].iter().map(|sample| if higher_is_better { (*sample, 1.0) } else { (1.0, *sample) }).collect();
    let (about, levels, whole) = (Some(about), Levels::of(&logs), Some(Whole::of(&blocks)));
    Ok(Location { log, error, effective, discarded, about, levels, whole })
}

impl Location {
    /// Of a value of which only a 95 % interval is known; blank where it is not positive and finite. A rate whose time may be nearly
    /// nothing is open above, and a time below: one side of the logarithm counts at most three times the other.
    #[must_use]
    pub fn quoted(value: f64, low: f64, high: f64, higher_is_better: bool) -> Option<Self> {
        const NORMAL: f64 = 1.959_964;
        let sign = if higher_is_better { 1.0 } else { -1.0 };
        let positive = |x: f64| x.is_finite() && x > 0.0;
        let sides = (positive(low) && positive(high) && high > low).then(|| ((value / low).ln(), (high / value).ln()));
        let error = sides.map(|(below, above)| f64::midpoint(below, above).min(2.0 * below.min(above).max(0.0)) / NORMAL);
        let whole = Self { log: sign * value.ln(), error, effective: 1.0, discarded: 0, about: None, levels: None, whole: None };
        positive(value).then_some(whole)
    }

    /// The same run in another unit, whose logarithm is smaller by `by`.
    #[must_use]
    pub fn less(self, by: f64) -> Self {
        let levels = self.levels.map(|levels| Levels { low: levels.low - by, high: levels.high - by, ..levels });
        let whole = self.whole.map(|whole| Whole { log: whole.log - by, ..whole });
        Self { log: self.log - by, levels, whole, ..self }
    }
}

/// Samples at the start to leave out: the cut that minimises the standard error of the rest (MSER, White 1997), only where what it
/// cuts off lies outside of nine tenths of the rest.
fn warm_up(logs: &[f64]) -> usize {
    if logs.len() < SHORTEST {
        return 0;
    }
    let longest = (LONGEST_HEAD * logs.len() as f64) as usize;
    let (mut sum, mut squares, mut best, mut cut) = (0.0, 0.0, f64::INFINITY, 0);
    let middle = logs[logs.len() - 1];
    for (at, log) in logs.iter().enumerate().rev() {
        let count = (logs.len() - at) as f64;
        sum += log - middle;
        squares += (log - middle).powi(2);
        let error = (squares - sum * sum / count) / (count * count);
        if at <= longest && error <= best {
            (best, cut) = (error, at);
        }
    }
    let head = quantile(&sorted(&logs[..cut]), 0.5);
    let tail = sorted(&logs[cut..]);
    if cut > 0 && (head < quantile(&tail, 0.05) || head > quantile(&tail, 0.95)) { cut } else { 0 }
}

/// The location of Huber (1964), and the samples clipped about it. The scale is the greater of two robust ones: the median deviation
/// alone would clip off the rarer of two levels.
fn huber(logs: &[f64]) -> (f64, Vec<f64>) {
    const ROUNDS: usize = 30;
    let ordered = sorted(logs);
    let mut middle = quantile(&ordered, 0.5);
    let deviations = sorted(&logs.iter().map(|log| (log - middle).abs()).collect::<Vec<_>>());
    // Of a normal distribution: 1 / Φ⁻¹(0.75), and Φ⁻¹(0.9) − Φ⁻¹(0.1).
    let scale = (1.4826 * quantile(&deviations, 0.5)).max((quantile(&ordered, 0.9) - quantile(&ordered, 0.1)) / 2.563);
    let bound = CLIP * scale;
    let clipped = |middle: f64| logs.iter().map(move |log| log.clamp(middle - bound, middle + bound));
    for _ in 0..ROUNDS {
        let inside = logs.iter().filter(|log| (**log - middle).abs() < bound).count() as f64 / logs.len() as f64;
        let step = (clipped(middle).sum::<f64>() / logs.len() as f64 - middle) / inside.max(0.3);
        middle += step;
        if step.abs() < 1e-10 {
            break;
        }
    }
    (middle, clipped(middle).collect())
}

pub fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// Value at quantile `q` of sorted values, linear between neighbours; not a number of none.
pub fn quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let position = q * last as f64;
    let below = position as usize;
    let above = (below + 1).min(last);
    sorted[below] + (sorted[above] - sorted[below]) * (position - below as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(count: usize) -> Vec<f64> {
        (0..count).map(|at| 100.0 + (at * 7 % 11) as f64 * 0.1).collect()
    }

    #[test]
    fn times_and_rates_of_one_run_are_opposites() {
        let rates = wave(40);
        let times: Vec<f64> = rates.iter().map(|rate| 1.0 / rate).collect();
        let (rate, time) = (locate(&rates, true).expect("rates"), locate(&times, false).expect("times"));
        assert!((rate.log - time.log).abs() < 1e-12 && rate.effective > 1.0);
    }

    #[test]
    fn spikes_and_warm_up_do_not_move_a_run() {
        let quiet = locate(&wave(40), true).expect("samples");
        let mut disturbed = wave(40);
        for at in [9, 21, 30] {
            disturbed[at] *= 0.7;
        }
        let spiked = locate(&disturbed, true).expect("samples");
        assert!((spiked.log - quiet.log).abs() < 0.002, "{} {}", spiked.log, quiet.log);
        let mut warming = wave(40);
        for (at, sample) in warming.iter_mut().enumerate().take(6) {
            *sample *= 1.0 + 0.06 * (-(at as f64) / 2.0).exp();
        }
        let warmed = locate(&warming, true).expect("samples");
        assert!(warmed.discarded > 0 && (warmed.log - quiet.log).abs() < 0.001, "{warmed:?}");
    }

    #[test]
    fn an_interval_that_is_open_to_one_side_tells_by_the_other() {
        let error = |low: f64, high: f64| Location::quoted(100.0, low, high, true).expect("a value").error.expect("an interval");
        assert!((error(98.0, 102.0) - 0.02 / 1.96).abs() < 1e-5);
        assert!(
            (error(90.0, 150.0) - f64::midpoint((10.0_f64 / 9.0).ln(), 1.5_f64.ln()).min(2.0 * (10.0_f64 / 9.0).ln()) / 1.96).abs()
                < 1e-4
        );
        assert!((error(50.0, f64::MAX) - 2.0 * 2.0_f64.ln() / 1.96).abs() < 1e-4);
        assert_eq!(Location::quoted(100.0, 0.0, 200.0, true).expect("a value").error, None);
    }

    #[test]
    fn what_is_no_sample_is_named() {
        assert_eq!(locate(&[], true), Err(Unfit::Empty));
        for bad in [0.0, -1.0, f64::INFINITY, f64::NAN] {
            let Err(Unfit::Value { at: 1, .. }) = locate(&[1.0, bad], true) else { panic!("{bad} passes") };
        }
        assert!(locate(&[5.0; 30], true).expect("constant").error.expect("of thirty") < 1e-12);
        assert_eq!(locate(&[5.0], true).expect("one").error, None);
        assert!(Location::quoted(0.0, 1.0, 2.0, true).is_none());
    }
}
