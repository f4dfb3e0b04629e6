//! Two levels within a run, as of a clock that jumps between two steps.
//!
//! How long a run stays at either level is chance, and by far the most of what such runs differ by. Where both sides stay at each
//! level for as long as the other, level is compared with level, and chance is out of it.

use super::noise::Lags;
use serde::{Deserialize, Serialize};

/// Levels lie this many standard deviations of what varies about them apart.
const APART: f64 = 3.5;
/// Each level holds at least this part of the samples, and as many as these.
const PART: f64 = 0.15;
const FEWEST: usize = 5;
/// A run goes from level to level at least so often.
const CHANGES: usize = 3;

/// Both levels of one run, as logarithms of performance.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Levels {
    pub low: f64,
    pub high: f64,
    pub at_low: f64,
    pub at_high: f64,
    /// What varies about the levels.
    pub about: Lags,
}

impl Levels {
    /// The levels of a run in time order; nothing where there is one level, or where the run does not come back to each.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        if values.len() < 2 * FEWEST {
            return None;
        }
        let bound = split(values);
        let is_high: Vec<bool> = values.iter().map(|value| *value > bound).collect();
        let at_high = is_high.iter().filter(|high| **high).count();
        let at_low = values.len() - at_high;
        let needed = FEWEST.max((PART * values.len() as f64).ceil() as usize);
        let changes = is_high.windows(2).filter(|pair| pair[0] != pair[1]).count();
        if at_high.min(at_low) < needed || changes < CHANGES {
            return None;
        }
        let mean = |level: bool, count: usize| {
            let own = values.iter().zip(&is_high).filter(|(_, high)| **high == level);
            own.map(|(value, _)| value).sum::<f64>() / count as f64
        };
        let (low, high) = (mean(false, at_low), mean(true, at_high));
        let about: Vec<f64> = values.iter().zip(&is_high).map(|(value, up)| value - if *up { high } else { low }).collect();
        let spread = (about.iter().map(|rest| rest * rest).sum::<f64>() / (values.len() - 2) as f64).sqrt();
        let levels = Self { low, high, at_low: at_low as f64, at_high: at_high as f64, about: Lags::of(&about) };
        (high - low > APART * spread).then_some(levels)
    }

    /// The middle between both, however long the run stayed at either.
    #[must_use]
    pub fn middle(&self) -> f64 {
        f64::midpoint(self.low, self.high)
    }

    /// Squared standard error of the middle, when what varies about the levels has this long-run variance.
    #[must_use]
    pub fn error(&self, long_run: f64) -> f64 {
        long_run / 4.0 * (1.0 / self.at_low + 1.0 / self.at_high)
    }
}

/// The bound between two groups that leaves the least squares within both.
fn split(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let total: f64 = sorted.iter().sum();
    let (mut below, mut best, mut bound) = (0.0, f64::NEG_INFINITY, sorted[0]);
    for at in 1..sorted.len() {
        below += sorted[at - 1];
        let (few, many) = (at as f64, (sorted.len() - at) as f64);
        let between = few * many * ((total - below) / many - below / few).powi(2);
        if between > best {
            (best, bound) = (between, f64::midpoint(sorted[at - 1], sorted[at]));
        }
    }
    bound
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stay(levels: &[(f64, usize)]) -> Vec<f64> {
        let each = levels.iter().flat_map(|(level, count)| std::iter::repeat_n(*level, *count));
        each.enumerate().map(|(at, level)| level + 0.001 * ((at * 7 % 5) as f64 - 2.0)).collect()
    }

    #[test]
    fn levels_are_found_whatever_time_is_spent_at_each() {
        for (low, high) in [(6, 14), (14, 6)] {
            let levels = Levels::of(&stay(&[(1.0, low), (1.02, high), (1.0, low), (1.02, high)])).expect("two levels");
            assert!((levels.middle() - 1.01).abs() < 3e-4, "{levels:?}");
            assert_eq!((levels.at_low, levels.at_high), (2.0 * low as f64, 2.0 * high as f64));
        }
    }

    #[test]
    fn a_step_a_spike_and_noise_are_no_levels() {
        assert_eq!(Levels::of(&stay(&[(1.0, 20), (1.02, 20)])), None, "never comes back");
        assert_eq!(Levels::of(&stay(&[(1.0, 20), (0.8, 1), (1.0, 20), (0.8, 1), (1.0, 9)])), None, "spikes");
        assert_eq!(Levels::of(&stay(&[(1.0, 40)])), None, "noise");
        assert_eq!(Levels::of(&[1.0; 40]), None, "nothing");
    }
}
