//! Where a warm-up ends.

use super::long_run::{long_run, mean, sum_of_squares};

/// Blocks without which a tail says nothing.
pub const FEWEST: usize = 12;
/// What a fitted warm-up may still hold the retained mean off by, as a part of the precision.
const LEFT: f64 = 0.2;
/// A step may be the first of several: what follows must outlast what went before, so that both make up this many times the head.
const TAIL: f64 = 2.2;
/// Shortest and longest time constant that are sought, as parts of the time that was seen, and the steps in which they are.
const CONSTANTS: [f64; 2] = [0.01, 0.25];
const COARSE: u32 = 12;
const FINE: u32 = 24;

/// The head of a series that does not belong to what follows.
#[derive(Clone, Debug, Default)]
pub struct WarmUp {
    /// Blocks of the head.
    pub cut: usize,
    /// It may be longer than what was seen of it.
    pub unfinished: bool,
    /// What each retained block is still off by, as fitted; empty where nothing was.
    pub left: Vec<f64>,
}

impl WarmUp {
    pub fn of(times: &[f64], medians: &[f64], precision: f64) -> Self {
        if let Some(found) = exponential(times, medians, LEFT * precision) { found } else { step(medians) }
    }
}

fn longest(blocks: usize) -> usize {
    (blocks * 3 / 5).min(blocks - FEWEST)
}

/// Blocks at the start that do not belong to what follows, by a single step.
fn step(medians: &[f64]) -> WarmUp {
    let longest = longest(medians.len());
    let score = |cut: &usize| sum_of_squares(&medians[*cut..]) / (medians.len() - cut).pow(2) as f64;
    let cut = (0..=longest).min_by(|a, b| score(a).total_cmp(&score(b))).unwrap_or(0);
    if cut == 0 {
        return WarmUp::default();
    }
    let (head, tail) = medians.split_at(cut);
    let level = mean(tail);
    let off = mean(head) - level;
    let spread = (sum_of_squares(tail) / (tail.len() - 1) as f64).sqrt();
    let apart = head.iter().filter(|median| (**median - level) * off.signum() > spread).count();
    // What a head of a steady series would differ by.
    let usual = long_run(tail).error * (tail.len() as f64 / cut as f64 + 1.0).sqrt();
    let cut = if off.abs() > 4.0 * usual && apart * 5 >= cut * 4 { cut } else { 0 };
    WarmUp { cut, unfinished: cut > 0 && (medians.len() as f64) < cut as f64 * TAIL, left: Vec::new() }
}

/// A level and an exponential approach to it, by least squares with a given time constant.
struct Fit {
    shape: Vec<f64>,
    /// Sum of squares of the shape, and what the fit leaves of that of the values.
    spread: f64,
    rest: f64,
    height: f64,
    level: f64,
}

impl Fit {
    fn new(times: &[f64], medians: &[f64], constant: f64) -> Self {
        Self::of(times.iter().map(|t| (-(t - times[0]) / constant).exp()).collect(), medians)
    }

    /// A level and so much of a shape.
    fn of(shape: Vec<f64>, medians: &[f64]) -> Self {
        let (middle, level) = (mean(&shape), mean(medians));
        let spread = sum_of_squares(&shape);
        let height = shape.iter().zip(medians).map(|(s, m)| (s - middle) * (m - level)).sum::<f64>() / spread;
        let rest = sum_of_squares(medians) - height * height * spread;
        Self { shape, spread, rest, height, level: level - height * middle }
    }

    /// With the best time constant: coarsely, then by halves around it.
    fn best(times: &[f64], medians: &[f64]) -> Self {
        let seen = times[times.len() - 1] - times[0];
        let [low, high] = CONSTANTS.map(|part: f64| (part * seen).ln());
        let mut step = (high - low) / f64::from(COARSE - 1);
        let at = |constant: f64| Self::new(times, medians, constant.exp());
        let tried = (0..COARSE).map(|i| low + step * f64::from(i)).map(|constant| (constant, at(constant)));
        let (mut constant, mut best) = tried.min_by(|a, b| a.1.rest.total_cmp(&b.1.rest)).unwrap_or((low, at(low)));
        for _ in 0..FINE / 2 {
            step /= 2.0;
            for near in [constant - step, constant + step] {
                let fit = at(near.min(high));
                if fit.rest < best.rest {
                    (constant, best) = (near.min(high), fit);
                }
            }
        }
        best
    }
}

/// An exponential approach to a level, where it explains the series better than any step does.
fn exponential(times: &[f64], medians: &[f64], allowed: f64) -> Option<WarmUp> {
    let longest = longest(medians.len());
    let Fit { shape, spread, rest, height, level } = Fit::best(times, medians);
    let residuals: Vec<f64> = medians.iter().zip(&shape).map(|(m, s)| m - height * s).collect();
    let error = long_run(&residuals).error * (medians.len() as f64 / spread).sqrt();
    let line = Fit::of(times.to_vec(), medians).rest;
    let step = |cut: usize| sum_of_squares(&medians[..cut]) + sum_of_squares(&medians[cut..]);
    if height.abs() < 5.0 * error || rest >= line || (1..=longest).any(|cut| step(cut) <= rest) {
        return None;
    }
    let left: Vec<f64> = shape.iter().map(|s| height * s / level).collect();
    let found = (0..=longest).find(|cut| mean(&left[*cut..]).abs() <= allowed);
    let cut = found.unwrap_or(longest);
    Some(WarmUp { cut, unfinished: found.is_none(), left: left[cut..].to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn approach(height: f64, constant: f64, count: usize) -> (Vec<f64>, Vec<f64>) {
        let noise = |i: usize| [0.0, 3e-3, -3e-3, 1e-3, -1e-3][i * 7 % 5];
        let times: Vec<f64> = (0..count).map(|i| 0.25 * i as f64).collect();
        let values = times.iter().enumerate().map(|(i, t)| 1.0 + height * (-t / constant).exp() + noise(i)).collect();
        (times, values)
    }

    #[test]
    fn an_exponential_approach_is_cut_where_little_of_it_is_left() {
        let (times, values) = approach(0.2, 2.0, 80);
        let found = WarmUp::of(&times, &values, 0.005);
        let truth = |from: usize| times[from..].iter().map(|t| 0.2 * (-t / 2.0).exp()).sum::<f64>() / (times.len() - from) as f64;
        assert!(!found.unfinished && truth(found.cut) < 0.0013 && truth(found.cut - 2) > 0.0009, "{found:?}");
        assert!((mean(&found.left) - truth(found.cut)).abs() < 2e-4);
        let (times, values) = approach(0.2, 2.4, 40);
        assert!(WarmUp::of(&times, &values, 0.005).unfinished);
    }

    #[test]
    fn a_step_is_cut_once_what_follows_outlasts_it() {
        let step = |count: usize| approach(0.0, 1.0, count);
        let (times, mut values) = step(60);
        for value in &mut values[..20] {
            *value *= 0.9;
        }
        let found = WarmUp::of(&times, &values, 0.005);
        assert!(found.cut == 20 && !found.unfinished && found.left.is_empty(), "{found:?}");
        assert!(WarmUp::of(&times[..40], &values[..40], 0.005).unfinished);
        let (times, values) = step(60);
        assert_eq!(WarmUp::of(&times, &values, 0.005).cut, 0);
    }

    #[test]
    fn a_straight_line_is_no_approach() {
        let (times, values) = approach(0.0, 1.0, 80);
        let drifting: Vec<f64> = values.iter().zip(&times).map(|(value, t)| value + 0.001 * t).collect();
        assert!(WarmUp::of(&times, &drifting, 0.005).left.is_empty());
    }
}
