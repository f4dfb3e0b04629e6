//! What the months ahead may bring, as far as a history tells: for plans that are made anew every month.

use super::{
    generator::normal_quantile,
    input::{COMMON, Method, SEASON, fan, forecast},
};

/// Months of history that the walk looks at.
const LOOKBACK: usize = 36;
/// Scenarios of an outlook.
const SCENARIOS: usize = 9;
/// What is left of the walk's drift from month to month (damped trend; Gardner and McKenzie, 1985).
const DAMPING: f64 = 0.98;
/// How the walk is named.
pub const WALK: &str = "walk";

/// Equally likely paths, and what they were found by.
#[derive(Clone, Debug, PartialEq)]
pub struct Outlook {
    /// `ETS`, `MSTL` or `walk`.
    pub method: &'static str,
    /// Probability and demand by month.
    pub paths: Vec<(f64, Vec<f64>)>,
}

/// The months after `history`, by the models of a plan's own forecasts; where none is asked for or none fits, because months are few
/// or had no demand at all, by the damped walk.
#[must_use]
pub fn outlook(history: &[f64], months: usize, method: Option<Method>) -> Outlook {
    let found = method
        .filter(|_| history.iter().all(|demand| *demand > 0.0))
        .and_then(|method| forecast(history, 0, months, method, SEASON).ok());
    let Some(found) = found else { return Outlook { method: WALK, paths: damped_walk(history, months) } };
    let paths = fan(&found, SCENARIOS, COMMON, history.len() as u64);
    Outlook { method: found.method, paths: paths.into_iter().map(|path| (1.0 / SCENARIOS as f64, path)).collect() }
}

/// A random walk with a damped drift in the logarithm of demand: the drift and the spread of the monthly changes seen in the last
/// 36 months, the drift's own error included; nine equally likely paths, each at its quantile throughout.
#[must_use]
pub fn damped_walk(history: &[f64], months: usize) -> Vec<(f64, Vec<f64>)> {
    let seen = &history[history.len().saturating_sub(LOOKBACK)..];
    let changes: Vec<f64> =
        seen.windows(2).filter(|pair| pair[0] > 0.0 && pair[1] > 0.0).map(|pair| (pair[1] / pair[0]).ln()).collect();
    let count = changes.len().max(1) as f64;
    let drift = changes.iter().sum::<f64>() / count;
    let variance = changes.iter().map(|change| (change - drift).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
    let last = seen.last().copied().unwrap_or(0.0);
    let path = |quantile: f64| {
        let mut mean = 0.0;
        (1..=months)
            .map(|ahead| {
                let steps = ahead as f64;
                mean += drift * DAMPING.powf(steps);
                last * (mean + quantile * (variance * (steps + steps * steps / count)).sqrt()).exp()
            })
            .collect::<Vec<f64>>()
    };
    let share = |at: usize| (at as f64 + 0.5) / SCENARIOS as f64;
    (0..SCENARIOS).map(|at| (1.0 / SCENARIOS as f64, path(normal_quantile(share(at))))).collect()
}
