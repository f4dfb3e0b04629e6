//! The six constants of each engine, from measured times per output token.
//!
//! Least squares of the logarithm of measured over predicted, pseudo-Huber so that a few odd rows do not rule, by Levenberg and
//! Marquardt. A weak pull towards round figures decides what the rows leave open. Shares are of the hardware and one for all engines;
//! the three times are each engine's own.

use super::{Constants, Serving};

/// A measured time per output token, in seconds.
#[derive(Clone, Debug)]
pub struct Observed<'a> {
    pub serving: Serving<'a>,
    pub batch: f64,
    pub engine: String,
    pub seconds: f64,
}

const COMMON: usize = 3;
/// gemm, attention, prefill; then layer, all-reduce and request in seconds.
const START: [f64; 6] = [0.9, 0.9, 0.76, 45e-6, 3e-6, 36e-6];
/// Weight of the pull, against one row's residual.
const PULL: f64 = 3.0;
/// Residual from which a row counts linearly.
const ODD: f64 = 0.15;
const ROUNDS: usize = 60;

/// Constants of each engine, in the engines' order.
#[must_use]
pub fn fit(rows: &[Observed], engines: &[String]) -> Vec<Constants> {
    let start: Vec<f64> = (0..COMMON + 3 * engines.len()).map(|at| START[place(at)].ln()).collect();
    let residuals = |at: &[f64]| residuals(rows, engines, &start, at);
    let (mut best, mut damping) = (start.clone(), 1e-2);
    let mut now = residuals(&best);
    let mut cost = square(&now);
    for _ in 0..ROUNDS {
        let slopes: Vec<Vec<f64>> = (0..best.len())
            .map(|parameter| {
                let mut moved = best.clone();
                moved[parameter] += 1e-4;
                residuals(&moved).iter().zip(&now).map(|(there, here)| (there - here) / 1e-4).collect()
            })
            .collect();
        let Some((next, there, less)) = (0..8).find_map(|_| {
            let next = stepped(&best, &slopes, &now, damping);
            let there = residuals(&next);
            let less = square(&there);
            damping = if less < cost { damping / 3.0 } else { damping * 4.0 };
            (less < cost).then_some((next, there, less))
        }) else {
            break;
        };
        let done = cost - less < 1e-12 * cost;
        (best, now, cost) = (next, there, less);
        if done {
            break;
        }
    }
    (0..engines.len()).map(|engine| constants(&best, engine)).collect()
}

fn place(parameter: usize) -> usize {
    if parameter < COMMON { parameter } else { COMMON + (parameter - COMMON) % 3 }
}

/// Shares are at most 1: what was measured is the ceiling.
fn constants(at: &[f64], engine: usize) -> Constants {
    let share = |parameter: usize| at[parameter].exp().clamp(0.1, 1.0);
    let time = |which: usize| at[COMMON + 3 * engine + which].exp().clamp(1e-7, 3e-4);
    Constants { gemm: share(0), attention: share(1), prefill: share(2), layer: time(0), all_reduce: time(1), request: time(2) }
}

fn residuals(rows: &[Observed], engines: &[String], start: &[f64], at: &[f64]) -> Vec<f64> {
    let constants: Vec<Constants> = (0..engines.len()).map(|engine| constants(at, engine)).collect();
    let row = |row: &Observed| {
        let engine = engines.iter().position(|name| *name == row.engine).unwrap_or(0);
        let off = (row.seconds / row.serving.per_token(&constants[engine], row.batch)).ln() / ODD;
        (2.0 * ((1.0 + off * off).sqrt() - 1.0)).sqrt() * ODD * off.signum()
    };
    rows.iter().map(row).chain(at.iter().zip(start).map(|(at, start)| PULL * (at - start))).collect()
}

fn square(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Where a damped step of Gauss and Newton leads, by at most a factor of e in any constant.
fn stepped(from: &[f64], slopes: &[Vec<f64>], now: &[f64], damping: f64) -> Vec<f64> {
    let n = from.len();
    let mut system: Vec<Vec<f64>> =
        slopes.iter().map(|a| slopes.iter().map(|b| dot(a, b)).chain([-dot(a, now)]).collect()).collect();
    for (at, row) in system.iter_mut().enumerate() {
        row[at] += damping * (row[at] + 1e-6);
    }
    // Positive definite by the damping, so that no pivoting is needed.
    for pivot in 0..n {
        let head = system[pivot].clone();
        for row in &mut system[pivot + 1..] {
            let factor = row[pivot] / head[pivot];
            row.iter_mut().zip(&head).for_each(|(value, head)| *value -= factor * head);
        }
    }
    let mut step = vec![0.0; n];
    for at in (0..n).rev() {
        let known: f64 = (at + 1..n).map(|other| system[at][other] * step[other]).sum();
        step[at] = (system[at][n] - known) / system[at][at];
    }
    from.iter().zip(&step).map(|(from, step)| from + step.clamp(-1.0, 1.0)).collect()
}
