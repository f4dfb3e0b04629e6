//! The constants of each engine, from measured times per output token.
//!
//! Least squares of the logarithm of measured over predicted, pseudo-Huber so that a few odd rows do not rule, by Levenberg and
//! Marquardt. A pull towards round figures decides what the rows leave open; it grows with the square of the rows' own scatter, so that
//! exact rows give exact constants. Shares are of the hardware and one for all engines; the three times are each engine's own.

use super::{Constants, Serving, linear};
use std::collections::BTreeMap;

/// A measured time per output token, in seconds.
#[derive(Clone, Debug)]
pub struct Observed {
    pub serving: Serving,
    pub batch: f64,
    pub engine: String,
    pub seconds: f64,
    /// Rows of one group, such as a model on a number of a GPU, err together.
    pub group: String,
}

/// Constants of an engine with the bounds that the rows alone put on each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fitted {
    pub constants: Constants,
    pub low: Constants,
    pub high: Constants,
}

const COMMON: usize = 4;
/// gemm, attention, prefill, narrow; then layer, all-reduce and request in seconds.
const START: [f64; 7] = [0.9, 0.9, 0.76, 0.8, 45e-6, 3e-6, 0.5e-6];
/// Weight of the pull, against one row's residual, where rows scatter by [`USUAL`]; chosen among 0.1 to 3 by leaving out models.
const PULL: f64 = 3.0;
const USUAL: f64 = 0.1;
/// Residual from which a row counts linearly.
const ODD: f64 = 0.15;
const ROUNDS: usize = 60;
/// The same in the fit that only asks how the rows scatter.
const FREE: f64 = 0.03;
/// Two-sided, 95 %.
const NORMAL: f64 = 1.96;

struct Problem<'a> {
    rows: &'a [Observed],
    engines: &'a [String],
    start: Vec<f64>,
    pull: f64,
}

/// Constants of each engine, in the engines' order.
#[must_use]
pub fn fit(rows: &[Observed], engines: &[String]) -> Vec<Constants> {
    let (problem, at, _) = solved(rows, engines);
    (0..problem.engines.len()).map(|engine| constants(&at, engine)).collect()
}

/// The same with bounds of 95 %: what the rows alone say, no more being known before than a factor of e, and errors taken to be of whole
/// groups (a sandwich of slopes by group, Liang and Zeger 1986). A bound far off says that the rows leave that constant open.
#[must_use]
pub fn fit_bounded(rows: &[Observed], engines: &[String]) -> Vec<Fitted> {
    let (problem, at, free) = solved(rows, engines);
    let deviations = problem.deviations(&free);
    let moved = |sign: f64| free.iter().zip(&deviations).map(|(free, by)| free + sign * NORMAL * by).collect::<Vec<f64>>();
    let (low, high) = (moved(-1.0), moved(1.0));
    (0..problem.engines.len())
        .map(|engine| Fitted { constants: constants(&at, engine), low: open(&low, engine), high: open(&high, engine) })
        .collect()
}

/// Where the fit ends, and where it would with next to no pull.
fn solved<'a>(rows: &'a [Observed], engines: &'a [String]) -> (Problem<'a>, Vec<f64>, Vec<f64>) {
    let start: Vec<f64> = (0..COMMON + 3 * engines.len()).map(|at| START[place(at)].ln()).collect();
    let mut problem = Problem { rows, engines, start, pull: FREE };
    let free = problem.least(problem.start.clone());
    problem.pull = PULL * (scatter(&problem.residuals(&free)[..rows.len()]) / USUAL).powi(2).min(1.0);
    let at = problem.least(problem.start.clone());
    (problem, at, free)
}

/// Robust standard deviation: median of what is left, by the normal distribution's 0.6745.
fn scatter(residuals: &[f64]) -> f64 {
    let mut off: Vec<f64> = residuals.iter().map(|residual| residual.abs()).collect();
    off.sort_by(f64::total_cmp);
    off.get(off.len() / 2).map_or(USUAL, |median| median / 0.6745)
}

impl Problem<'_> {
    /// The least of the cost that is found from `best` on.
    fn least(&self, mut best: Vec<f64>) -> Vec<f64> {
        let mut damping = 1e-2;
        let mut now = self.residuals(&best);
        let mut cost = square(&now);
        for _ in 0..ROUNDS {
            let slopes = self.slopes(&best, &now);
            let Some((next, there, less)) = (0..8).find_map(|_| {
                let next = stepped(&best, &slopes, &now, damping);
                let there = self.residuals(&next);
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
        best
    }

    /// How each residual answers to each constant's logarithm.
    fn slopes(&self, at: &[f64], now: &[f64]) -> Vec<Vec<f64>> {
        let slope = |parameter: usize| {
            let mut moved = at.to_vec();
            moved[parameter] += 1e-4;
            self.residuals(&moved).iter().zip(now).map(|(there, here)| (there - here) / 1e-4).collect()
        };
        (0..at.len()).map(slope).collect()
    }

    fn residuals(&self, at: &[f64]) -> Vec<f64> {
        let constants: Vec<Constants> = (0..self.engines.len()).map(|engine| constants(at, engine)).collect();
        let row = |row: &Observed| {
            let engine = self.engines.iter().position(|name| *name == row.engine).unwrap_or(0);
            let off = (row.seconds / row.serving.per_token(&constants[engine], row.batch)).ln() / ODD;
            (2.0 * ((1.0 + off * off).sqrt() - 1.0)).sqrt() * ODD * off.signum()
        };
        self.rows.iter().map(row).chain(at.iter().zip(&self.start).map(|(at, start)| self.pull * (at - start))).collect()
    }

    /// Standard deviation of each constant's logarithm.
    fn deviations(&self, at: &[f64]) -> Vec<f64> {
        let (n, rows) = (at.len(), self.rows.len());
        let now = self.residuals(at);
        let slopes = self.slopes(at, &now);
        let mut groups: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for (index, row) in self.rows.iter().enumerate() {
            let sum = groups.entry(&row.group).or_insert_with(|| vec![0.0; n]);
            sum.iter_mut().zip(&slopes).for_each(|(sum, slope)| *sum += slope[index] * now[index]);
        }
        let count = groups.len() as f64;
        let few = count / (count - 1.0).max(1.0);
        let scale = scatter(&now[..rows]).max(1e-4).powi(2);
        let within = |a: usize, b: usize| dot(&slopes[a][..rows], &slopes[b][..rows]);
        let bread: Vec<Vec<f64>> =
            (0..n).map(|a| (0..n).map(|b| within(a, b) + if a == b { scale } else { 0.0 }).collect()).collect();
        let meat = |a: usize, b: usize| {
            let own = if a == b { scale * scale } else { 0.0 };
            few * groups.values().map(|sum| sum[a] * sum[b]).sum::<f64>() + own
        };
        let column = |which: usize| {
            let unit: Vec<f64> = (0..n).map(|at| if at == which { 1.0 } else { 0.0 }).collect();
            let half = linear::solved(bread.clone(), &unit);
            (0..n).map(|a| (0..n).map(|b| half[a] * meat(a, b) * half[b]).sum::<f64>()).sum::<f64>().max(0.0).sqrt()
        };
        (0..n).map(column).collect()
    }
}

fn place(parameter: usize) -> usize {
    if parameter < COMMON { parameter } else { COMMON + (parameter - COMMON) % 3 }
}

/// Shares are at most 1: what was measured is the ceiling.
fn constants(at: &[f64], engine: usize) -> Constants {
    let Constants { gemm, attention, prefill, narrow, layer, all_reduce, request } = open(at, engine);
    let share = |value: f64| value.clamp(0.1, 1.0);
    let time = |value: f64| value.clamp(1e-9, 3e-4);
    Constants {
        gemm: share(gemm),
        attention: share(attention),
        prefill: share(prefill),
        narrow: share(narrow),
        layer: time(layer),
        all_reduce: time(all_reduce),
        request: time(request),
    }
}

fn open(at: &[f64], engine: usize) -> Constants {
    let share = |parameter: usize| at[parameter].exp();
    let time = |which: usize| at[COMMON + 3 * engine + which].exp();
    Constants {
        gemm: share(0),
        attention: share(1),
        prefill: share(2),
        narrow: share(3),
        layer: time(0),
        all_reduce: time(1),
        request: time(2),
    }
}

fn square(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Where a damped step of Gauss and Newton leads, by at most a factor of e in any constant.
fn stepped(from: &[f64], slopes: &[Vec<f64>], now: &[f64], damping: f64) -> Vec<f64> {
    let mut system: Vec<Vec<f64>> = slopes.iter().map(|a| slopes.iter().map(|b| dot(a, b)).collect()).collect();
    for (at, row) in system.iter_mut().enumerate() {
        row[at] += damping * (row[at] + 1e-6);
    }
    let down: Vec<f64> = slopes.iter().map(|a| -dot(a, now)).collect();
    let step = linear::solved(system, &down);
    from.iter().zip(&step).map(|(from, step)| from + step.clamp(-1.0, 1.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capacity::{Gpu, Model, Weights};

    /// Times that an engine with `planted` constants would take, over models, widths and batches, with no error but a factor each.
    fn planted(planted: &Constants, error: fn(usize) -> f64) -> Vec<Observed> {
        let mut rows = Vec::new();
        for (model, gpu, weights) in [
            ("llama-3-8b", "h100_sxm", Weights::Bf16),
            ("llama-3-70b", "h200_sxm", Weights::Fp8),
            ("qwen3-32b", "h100_sxm", Weights::Fp8),
            ("llama-3-70b", "b200_sxm", Weights::Fp4),
        ] {
            for width in [1.0, 2.0, 4.0, 8.0] {
                for (prompt, answer) in [(1024.0, 256.0), (4096.0, 1024.0), (8192.0, 128.0)] {
                    for batch in [1.0, 8.0, 64.0] {
                        let (model, gpu) = (Model::named(model).expect("known").clone(), Gpu::named(gpu).expect("known").clone());
                        let group = format!("{}{width}", model.name);
                        let serving = Serving { model, gpu, weights, engine: "vllm", cache: 1.0, width, prompt, answer };
                        let seconds = serving.per_token(planted, batch) * error(rows.len());
                        rows.push(Observed { serving, batch, engine: "mine".into(), seconds, group });
                    }
                }
            }
        }
        rows
    }

    const PLANTED: Constants =
        Constants { gemm: 0.71, attention: 0.62, layer: 21e-6, all_reduce: 9e-6, request: 1.4e-6, prefill: 0.53, narrow: 0.6 };

    fn each(of: &Constants) -> [f64; 7] {
        [of.gemm, of.attention, of.prefill, of.narrow, of.layer, of.all_reduce, of.request]
    }

    #[test]
    fn planted_constants_are_found_again() {
        let found = fit(&planted(&PLANTED, |_| 1.0), &["mine".to_owned()]);
        for (found, planted) in each(&found[0]).into_iter().zip(each(&PLANTED)) {
            assert!((found / planted - 1.0).abs() < 0.01, "{found} {planted}");
        }
    }

    #[test]
    fn bounds_hold_planted_constants_and_widen_with_the_error() {
        // Errors of whole groups of three batches, up to 3 %, and up to 12 %.
        let [small, large] =
            [|at: usize| 1.0 + 0.03 * ((at / 3) as f64 * 2.4).sin(), |at: usize| 1.0 + 0.12 * ((at / 3) as f64 * 2.4).sin()]
                .map(|error: fn(usize) -> f64| fit_bounded(&planted(&PLANTED, error), &["mine".to_owned()])[0]);
        let width = |of: &Fitted| each(&of.high).into_iter().zip(each(&of.low)).map(|(high, low)| (high / low).ln()).sum::<f64>();
        assert!(width(&large) > 2.0 * width(&small), "{small:?} {large:?}");
        let held = each(&PLANTED).into_iter().zip(each(&small.low).into_iter().zip(each(&small.high)));
        assert!(held.filter(|(planted, (low, high))| (low..=high).contains(&planted)).count() >= 6, "{small:?}");
    }

    #[test]
    fn what_no_row_tells_of_has_bounds_that_say_so() {
        let alone: Vec<Observed> =
            planted(&PLANTED, |at| 1.0 + 0.02 * (at as f64).sin()).into_iter().filter(|row| row.serving.width < 2.0).collect();
        let found = fit_bounded(&alone, &["mine".to_owned()])[0];
        let factor = |of: fn(&Constants) -> f64| of(&found.high) / of(&found.low);
        assert!(factor(|of| of.all_reduce) > 20.0 && factor(|of| of.layer) < 3.0 && factor(|of| of.gemm) < 1.2, "{found:?}");
    }
}
