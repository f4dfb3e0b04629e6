//! One run of one metric, brought down to where it lies and how well that is known.
//!
//! The run is the unit of evidence (Kalibera and Jones 2013): samples within it are correlated, and a run differs from the next by
//! more than its samples tell.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What is measured, in whose unit, and which way is good.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
}

/// Why samples have no location.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
pub enum Unfit {
    #[error("a run without samples")]
    Empty,
    #[error("sample {at} is {value}; samples are positive and finite")]
    Value { at: usize, value: f64 },
}

/// Parts trimmed off either end.
const TRIM: f64 = 0.2;

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
    let mut sorted = logs.clone();
    sorted.sort_by(f64::total_cmp);
    let cut = (TRIM * sorted.len() as f64) as usize;
    let kept = &sorted[cut..sorted.len() - cut];
    let log = kept.iter().sum::<f64>() / kept.len() as f64;
    let n = logs.len() as f64;
    let (low, high) = (kept[0], kept[kept.len() - 1]);
    let winsorised: Vec<f64> = logs.iter().map(|log| log.clamp(low, high)).collect();
    let mean = winsorised.iter().sum::<f64>() / n;
    let squares: f64 = winsorised.iter().map(|w| (w - mean).powi(2)).sum();
    let lagged: f64 = winsorised.windows(2).map(|w| (w[0] - mean) * (w[1] - mean)).sum();
    let rho = if squares > 0.0 { (lagged / squares).clamp(0.0, 0.9) } else { 0.0 };
    let inflated = (1.0 + rho) / (1.0 - rho);
    let error = (logs.len() > 2).then(|| (squares / (n - 1.0) / n * inflated).sqrt() / (1.0 - 2.0 * TRIM));
    Ok(Location { log, error, effective: n / inflated, discarded: 0 })
}

impl Location {
    /// Of a value of which only a 95 % interval is known; blank where it is not positive and finite.
    #[must_use]
    pub fn quoted(value: f64, low: f64, high: f64, higher_is_better: bool) -> Option<Self> {
        const NORMAL: f64 = 1.959_964;
        let sign = if higher_is_better { 1.0 } else { -1.0 };
        let positive = |x: f64| x.is_finite() && x > 0.0;
        let error = (positive(low) && positive(high) && high > low).then(|| (high / low).ln() / (2.0 * NORMAL));
        positive(value).then(|| Self { log: sign * value.ln(), error, effective: 1.0, discarded: 0 })
    }
}
