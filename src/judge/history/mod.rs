//! Change points in a history of one metric: since when it runs at another level, and by how much.
//!
//! 1. Single points that fall out of their neighbours (Hampel 1974) do not count: one bad run is no level.
//! 2. The series is cut into levels by exact optimal partitioning (Killick et al. 2012), at a price that grows with its noise and
//!    with the noise's own correlation, both estimated about the levels and again until they hold.
//! 3. What is not significant after all is joined again, the weakest first.
//! 4. A point of a looser cut is taken too where a permutation test by energy distance (Matteson and James 2014) agrees on it; its
//!    permutations are seeded, so that the same history has the same answer.

mod divisive;
mod partition;

use super::sample::{quantile, sorted};
use crate::record::Ratio;
use partition::Levels;
use serde::Serialize;

/// A change of level.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The first point of the new level, counted from 0.
    pub index: usize,
    /// Where the change may as well have been, first and last.
    pub first: usize,
    pub last: usize,
    /// New level over the one before as performance, with its interval.
    pub ratio: Ratio,
    /// Two-sided, of a difference at least as great between two such stretches without a change.
    pub p: f64,
    /// Points of the level before, and of the new one.
    pub before: usize,
    pub after: usize,
}

/// How strict a cut is: the price of a change in units of σ² ln n, and the p that it must stay below.
#[derive(Clone, Copy, Debug)]
struct Strictness {
    price: f64,
    p: f64,
}

const STRICT: Strictness = Strictness { price: 3.5, p: 1e-4 };
const LOOSE: Strictness = Strictness { price: 2.5, p: 1e-3 };
/// Points of the two that are as good as the same.
const TOLERANCE: usize = 5;
/// Points further off tell nothing of a place, and cost their square.
const FAR: usize = 200;
/// A smaller change is not called one.
const LEAST: f64 = 0.004;
/// Neighbours that go together by this much about the levels: what is left of more is held down by the levels themselves.
const WANDERS: f64 = 0.6;
/// Points without which nothing is said.
pub const FEWEST: usize = 10;
/// Points to either side, and robust standard deviations, by which a point falls out of its neighbours.
const NEIGHBOURS: usize = 3;
const OUTLYING: f64 = 3.5;

/// A history as it was judged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judged {
    pub changes: Vec<Change>,
    /// Neighbours go together so much that the series wanders: its changes may be none.
    pub wanders: bool,
}

/// The changes of a history of positive values in the order of time; none where it is too short.
#[must_use]
pub fn changes(values: &[f64], higher_is_better: bool) -> Vec<Change> {
    judge(values, higher_is_better).changes
}

/// The changes of a history, and whether they can be relied on.
#[must_use]
pub fn judge(values: &[f64], higher_is_better: bool) -> Judged {
    if values.len() < FEWEST || values.iter().any(|value| !(value.is_finite() && *value > 0.0)) {
        return Judged::default();
    }
    let sign = if higher_is_better { 1.0 } else { -1.0 };
    let logs = hampel(&values.iter().map(|value| sign * value.ln()).collect::<Vec<_>>());
    let strict = cut(&logs, STRICT);
    let mut points = strict.points.clone();
    for point in cut(&logs, LOOSE).points {
        let known = points.iter().any(|other| other.abs_diff(point) <= TOLERANCE);
        if !known && agrees(&logs, &points, point) {
            points.push(point);
            points.sort_unstable();
        }
    }
    let levels = Levels::of(&logs, points).sharpened();
    Judged { changes: (0..levels.points.len()).map(|which| change(&levels, which)).collect(), wanders: levels.phi >= WANDERS }
}

/// Whether the permutation test finds the point, or one close by, between the points on either side.
fn agrees(logs: &[f64], points: &[usize], point: usize) -> bool {
    let from = points.iter().rev().find(|other| **other < point).copied().unwrap_or(0);
    let to = points.iter().find(|other| **other > point).copied().unwrap_or(logs.len());
    let (from, to) = (from.max(point.saturating_sub(FAR)), to.min(point + FAR));
    divisive::points(&logs[from..to]).iter().any(|found| (from + found).abs_diff(point) <= TOLERANCE)
}

/// Cuts at this price, with noise estimated about the levels found, then joins what is not significant.
fn cut(logs: &[f64], Strictness { price, p }: Strictness) -> Levels<'_> {
    const ROUNDS: usize = 3;
    let differences: Vec<f64> = logs.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let mut noise = (deviation(&differences) / std::f64::consts::SQRT_2, 0.0);
    let mut levels = Levels::of(logs, Vec::new());
    for _ in 0..ROUNDS {
        let (sigma, phi) = noise;
        let cost = price * sigma * sigma * (logs.len() as f64).ln() * inflation(phi);
        let found = Levels::of(logs, partition::partition(logs, cost));
        let settled = found.points == levels.points;
        levels = found;
        noise = (levels.sigma.max(1e-9), levels.phi);
        if settled {
            break;
        }
    }
    join(levels, p).sharpened()
}

/// By how much correlation inflates the variance of a mean.
fn inflation(phi: f64) -> f64 {
    (1.0 + phi) / (1.0 - phi)
}

/// Takes out the least significant point until all are significant, then what is too small.
fn join(mut levels: Levels<'_>, p: f64) -> Levels<'_> {
    while let Some((weakest, _)) = (0..levels.points.len())
        .map(|which| (which, levels.p(which)))
        .filter(|(_, found)| *found > p)
        .max_by(|a, b| a.1.total_cmp(&b.1))
    {
        levels = levels.without(weakest);
    }
    while let Some(smallest) = (0..levels.points.len())
        .filter(|which| levels.step(*which).abs() < LEAST)
        .min_by(|a, b| levels.step(*a).abs().total_cmp(&levels.step(*b).abs()))
    {
        levels = levels.without(smallest);
    }
    levels
}

fn change(levels: &Levels, which: usize) -> Change {
    let step = levels.step(which);
    let (low, high) = levels.interval(which);
    let (first, last) = levels.place(which);
    let (before, after) = levels.lengths(which);
    let ratio = Ratio { value: step.exp(), low: low.exp(), high: high.exp() };
    Change { index: levels.points[which], first, last, ratio, p: levels.p(which), before, after }
}

/// Replaces points that fall out of their neighbours by the neighbours' median.
fn hampel(logs: &[f64]) -> Vec<f64> {
    let differences: Vec<f64> = logs.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // By what the whole series varies: seven points of which two fall out, or with a change among them, vary by more. A series that
    // hardly ever varies does not tell.
    let usual = deviation(&differences) / std::f64::consts::SQRT_2;
    let each = logs.iter().enumerate().map(|(at, log)| {
        let near = sorted(&logs[at.saturating_sub(NEIGHBOURS)..(at + NEIGHBOURS + 1).min(logs.len())]);
        let middle = quantile(&near, 0.5);
        let around = if usual > 0.0 { usual } else { deviation(&near) };
        if (log - middle).abs() > OUTLYING * around { middle } else { *log }
    });
    each.collect()
}

/// Standard deviation by the median deviation from the median.
fn deviation(values: &[f64]) -> f64 {
    let middle = quantile(&sorted(values), 0.5);
    1.4826 * quantile(&sorted(&values.iter().map(|value| (value - middle).abs()).collect::<Vec<_>>()), 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(levels: &[(usize, f64)]) -> Vec<f64> {
        let each = levels.iter().flat_map(|(count, level)| std::iter::repeat_n(*level, *count));
        each.enumerate().map(|(at, level)| level * (1.0 + 0.004 * ((at * 7_919 % 101) as f64 / 50.0 - 1.0))).collect()
    }

    #[test]
    fn a_step_is_found_with_its_size_and_a_flat_history_has_none() {
        let found = changes(&series(&[(60, 100.0), (60, 97.0)]), true);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].index.abs_diff(60) <= 1 && (found[0].first..=found[0].last).contains(&60), "{found:?}");
        assert!(found[0].ratio.low < 0.97 && found[0].ratio.high > 0.97 && found[0].ratio.high < 0.98, "{found:?}");
        assert!(changes(&series(&[(120, 100.0)]), true).is_empty());
    }

    #[test]
    fn of_times_the_ratio_is_performance_too() {
        let found = changes(&series(&[(60, 100.0), (60, 105.0)]), false);
        assert!(found.len() == 1 && found[0].ratio.high < 0.97, "{found:?}");
    }

    #[test]
    fn dips_are_no_change_and_what_cannot_be_judged_has_none() {
        let mut dipped = series(&[(80, 100.0)]);
        for at in [11, 30, 31, 64] {
            dipped[at] *= 0.85;
        }
        assert!(changes(&dipped, true).is_empty(), "{:?}", changes(&dipped, true));
        assert!(changes(&[1.0; 200], true).is_empty() && changes(&[1.0, 2.0], true).is_empty() && changes(&[], true).is_empty());
        let flat: Vec<f64> = [[5.0; 30], [4.0; 30]].concat();
        assert_eq!(changes(&flat, true).len(), 1, "no noise at all");
    }
}
