//! When a rate is known well enough, and how well: the stopping rule, a pure function of blocks of a quarter second.
//!
//! 1. What still warms up is left out: the cut that minimises the standard error of the rest (MSER, White 1997), kept only where
//!    the head lies clearly to one side of the rest. Two clock levels that come and go are no warm-up: nothing is cut then.
//! 2. The rate is launches over elapsed time of what is retained. Its standard error is that of a ratio, with the spectrum at
//!    frequency zero of an autoregression whose order AIC chooses (Heidelberger and Welch 1981): correlation widens the interval,
//!    oscillation about a fixed mean does not. The interval is moved by the skew (Johnson 1978) and widened by what a drift too
//!    small to be seen may hide.
//! 3. Medians of blocks must not drift, so that a few slow launches do not decide it; nor may a harmful drift be left possible.
//! 4. Looks are few, each a seventh later than the one before, and two in a row must pass: looking often finds luck.

use super::{interval::student, policy};
use crate::record::{Block, Interval, Status};

/// First look, in seconds, and how much later each next one is.
const FIRST_LOOK: f64 = 5.0;
const GROWTH: f64 = 1.15;
/// Looks in a row that must pass.
const PASSES: u32 = 2;
/// Blocks without which nothing is said.
const FEWEST: usize = 12;
/// Effective blocks without which an interval is not believed.
const FEWEST_EFFECTIVE: f64 = 6.0;
/// Highest order of the autoregression, and how many blocks each order needs.
const ORDERS: usize = 10;
const BLOCKS_AN_ORDER: usize = 8;
/// An oscillation may bring the variance of the mean down to this part of that of independent blocks.
const OSCILLATION: f64 = 0.25;
/// Looking more than once costs some confidence: intervals are this much wider.
const LOOKS: f64 = 1.05;
/// Relative error that no look can exclude.
const UNSEEN: f64 = 0.001;
/// Drifts are extended over this many seconds.
const HORIZON: f64 = 30.0;
/// A significant drift by this much within the retained window is no steady state.
const DRIFT: f64 = 0.003;
/// A drift within the horizon that does no harm: this, and this part of the precision; at so many times that it must be excluded.
const HARMLESS: f64 = 0.004;
const HARMLESS_OF_PRECISION: f64 = 0.4;
const HARMFUL: f64 = 5.0;

/// What blocks say of the long run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judgement {
    /// Launches a second over the retained blocks, with the 95 % interval.
    pub rate: Interval,
    /// Blocks left out at the start.
    pub discarded: usize,
    /// Independent blocks that would tell as much.
    pub effective: f64,
    /// The blocks lie on two levels, and come back to each.
    pub multimodal: bool,
    /// The warm-up may be longer than what was seen of it.
    warms_up: bool,
    trend: Trend,
}

impl Judgement {
    /// Half the width of the interval, as a part of the rate.
    #[must_use]
    pub fn precision(&self) -> f64 {
        (self.rate.high - self.rate.low) / 2.0 / self.rate.value
    }
}

/// The looks at one series of blocks.
#[derive(Debug)]
pub struct Rule {
    precision: f64,
    next: f64,
    passed: u32,
}

impl Rule {
    /// A rule satisfied when the interval's half width is at most `precision` of the rate.
    #[must_use]
    pub fn new(precision: f64) -> Self {
        Self { precision, next: FIRST_LOOK, passed: 0 }
    }

    /// Looks at the blocks so far when a look is due; whether the rule is satisfied.
    pub fn look(&mut self, blocks: &[Block]) -> bool {
        let elapsed = blocks.last().map_or(0.0, |block| block.t + block.seconds);
        if elapsed >= self.next {
            while self.next <= elapsed {
                self.next *= GROWTH;
            }
            let passes = judge(blocks).is_some_and(|judgement| self.passes(&judgement));
            self.passed = if passes { self.passed + 1 } else { 0 };
        }
        self.passed >= PASSES
    }

    fn passes(&self, judgement: &Judgement) -> bool {
        !judgement.warms_up
            && judgement.trend.is_excluded(self.precision)
            && judgement.precision() <= self.precision
            && judgement.effective >= FEWEST_EFFECTIVE
    }

    /// The status of a series that ends with this judgement.
    #[must_use]
    pub fn status(&self, judgement: &Judgement) -> Status {
        if self.passed >= PASSES {
            Status::Steady
        } else if judgement.trend.is_seen() {
            Status::NotSteady
        } else {
            Status::Budget
        }
    }
}

/// Judges the blocks after the first half second; nothing where they are too few.
#[must_use]
pub fn judge(blocks: &[Block]) -> Option<Judgement> {
    let skipped = blocks.partition_point(|block| block.t < policy::SKIP.seconds());
    let blocks = &blocks[skipped..];
    if blocks.len() < FEWEST {
        return None;
    }
    let medians: Vec<f64> = blocks.iter().map(|block| block.median.seconds()).collect();
    let multimodal = two_levels(&medians);
    let cut = if multimodal { 0 } else { warm_up(&medians) };
    let trend = Trend::of(&blocks[cut..], &medians[cut..]);
    let (rate, effective) = rate(&blocks[cut..], trend.hidden());
    let warms_up = cut > 0 && cut >= longest_warm_up(medians.len());
    Some(Judgement { rate, discarded: skipped + cut, effective, multimodal, warms_up, trend })
}

/// Launches over seconds with its interval, widened by `hidden`, and the effective number of blocks.
fn rate(blocks: &[Block], hidden: f64) -> (Interval, f64) {
    let count = blocks.len() as f64;
    let launches: f64 = blocks.iter().map(|block| block.launches as f64).sum();
    let seconds: f64 = blocks.iter().map(|block| block.seconds).sum();
    let rate = launches / seconds;
    // Of a ratio: what each block has too many, as a part of a mean block.
    let residual = |block: &Block| (block.launches as f64 / rate - block.seconds) * count / seconds;
    let residuals: Vec<f64> = blocks.iter().map(residual).collect();
    let LongRun { error, effective } = long_run(&residuals);
    let quantile = LOOKS * student((effective - 1.0).max(1.0));
    let moment = |power| residuals.iter().map(|r: &f64| r.powi(power)).sum::<f64>() / count;
    let variance = moment(2);
    let skew = if variance > 0.0 { moment(3) / (variance * count) * (1.0 / 6.0 + quantile.powi(2) / 3.0) } else { 0.0 };
    let half = quantile * error + hidden;
    let bound = |relative: f64| rate * (1.0 + relative).max(0.0);
    (Interval { value: rate, low: bound(skew - half), high: bound(skew + half) }, effective)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn sum_of_squares(values: &[f64]) -> f64 {
    let mean = mean(values);
    values.iter().map(|value| (value - mean).powi(2)).sum()
}

/// Standard error of a mean of correlated values, and how many independent ones would tell as much.
struct LongRun {
    error: f64,
    effective: f64,
}

/// By the spectrum at frequency zero of an autoregression: v / (1 − Σφ)², over n. Σφ is raised by the bias (1+3ρ)/n of an
/// autocorrelation (Kendall 1954) and held below 0.95.
fn long_run(values: &[f64]) -> LongRun {
    let n = values.len() as f64;
    let variance = sum_of_squares(values) / (n - 1.0);
    // Rounding of equal values is no variance.
    if variance <= (1e-12 * mean(values)).powi(2) {
        return LongRun { error: 0.0, effective: n };
    }
    let Autoregression { sum, rest, order } = autoregression(values);
    let sum = (sum + (1.0 + 3.0 * sum.max(0.0)) / n).min(0.95);
    let unexplained = rest * n / (n - 1.0 - order as f64);
    let spectrum = (unexplained / (1.0 - sum).powi(2)).max(OSCILLATION * variance);
    LongRun { error: (spectrum / n).sqrt(), effective: (n * variance / spectrum).clamp(1.0, n) }
}

struct Autoregression {
    /// Of the coefficients.
    sum: f64,
    /// Variance that it leaves unexplained.
    rest: f64,
    order: usize,
}

/// Levinson's recursion over the autocovariances; the order with the least AIC.
fn autoregression(values: &[f64]) -> Autoregression {
    let (n, mean) = (values.len() as f64, mean(values));
    let orders = (values.len() / BLOCKS_AN_ORDER).clamp(1, ORDERS);
    let covariance = |lag: usize| values[lag..].iter().zip(values).map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>() / n;
    let covariances: Vec<f64> = (0..=orders).map(covariance).collect();
    let mut rest = covariances[0];
    let mut best = Autoregression { sum: 0.0, rest, order: 0 };
    let mut least = n * rest.ln();
    let mut coefficients: Vec<f64> = Vec::with_capacity(orders);
    for order in 1..=orders {
        let known: f64 = coefficients.iter().zip(covariances[1..order].iter().rev()).map(|(f, c)| f * c).sum();
        let reflection = (covariances[order] - known) / rest;
        let turned: Vec<f64> = coefficients.iter().rev().map(|f| reflection * f).collect();
        coefficients.iter_mut().zip(turned).for_each(|(f, t)| *f -= t);
        coefficients.push(reflection);
        rest *= 1.0 - reflection.powi(2);
        if rest <= covariances[0] * 1e-12 {
            break;
        }
        let criterion = n * rest.ln() + 2.0 * order as f64;
        if criterion < least {
            least = criterion;
            best = Autoregression { sum: coefficients.iter().sum(), rest, order };
        }
    }
    best
}

fn longest_warm_up(blocks: usize) -> usize {
    (blocks * 3 / 5).min(blocks - FEWEST)
}

/// Blocks at the start that do not belong to what follows.
fn warm_up(medians: &[f64]) -> usize {
    let score = |cut: &usize| sum_of_squares(&medians[*cut..]) / (medians.len() - cut).pow(2) as f64;
    let cut = (0..=longest_warm_up(medians.len())).min_by(|a, b| score(a).total_cmp(&score(b))).unwrap_or(0);
    if cut == 0 {
        return 0;
    }
    let (head, tail) = medians.split_at(cut);
    let level = mean(tail);
    let off = mean(head) - level;
    let spread = (sum_of_squares(tail) / (tail.len() - 1) as f64).sqrt();
    let apart = head.iter().filter(|median| (**median - level) * off.signum() > spread).count();
    // What a head of a steady series would differ by.
    let usual = long_run(tail).error * (tail.len() as f64 / cut as f64 + 1.0).sqrt();
    if off.abs() > 4.0 * usual && apart * 5 >= cut * 4 { cut } else { 0 }
}

/// Whether values lie on two levels, a tenth of them at least on either, and change between them more than once: the best
/// division in two explains nearly all of the variance. Of normal values it explains 64 %, of a sine 81 %.
fn two_levels(values: &[f64]) -> bool {
    let total = sum_of_squares(values);
    if total <= (1e-9 * mean(values)).powi(2) * values.len() as f64 {
        return false;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (n, mean) = (sorted.len(), mean(values));
    let (mut below, mut most, mut division) = (0.0, 0.0, 0);
    for count in 1..n {
        below += sorted[count - 1] - mean;
        let between = below * below * (1.0 / count as f64 + 1.0 / (n - count) as f64);
        if between > most {
            (most, division) = (between, count);
        }
    }
    let threshold = f64::midpoint(sorted[division.saturating_sub(1)], sorted[division]);
    let changes = values.windows(2).filter(|pair| (pair[0] > threshold) != (pair[1] > threshold)).count();
    division.min(n - division) * 10 >= n && most > 0.82 * total && changes >= 3
}

/// The straight line through medians, all as parts of their mean.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Trend {
    /// Change within the horizon, and its standard error.
    change: f64,
    error: f64,
    /// Part of the horizon that the blocks span.
    span: f64,
    /// Between the first and the last third, and its standard error.
    apart: f64,
    apart_error: f64,
}

impl Trend {
    fn of(blocks: &[Block], medians: &[f64]) -> Self {
        let level = mean(medians);
        let times: Vec<f64> = blocks.iter().map(|block| block.t + block.seconds / 2.0).collect();
        let middle = mean(&times);
        let spread = sum_of_squares(&times);
        let pairs = || times.iter().zip(medians);
        let slope = pairs().map(|(t, median)| (t - middle) * (median - level)).sum::<f64>() / spread;
        let residuals: Vec<f64> = pairs().map(|(t, median)| median - slope * (t - middle)).collect();
        let error = long_run(&residuals).error / level;
        let third = medians.len() / 3;
        let last = &medians[medians.len() - third..];
        Self {
            change: (slope / level * HORIZON).abs(),
            error: error * (medians.len() as f64 / spread).sqrt() * HORIZON,
            span: (times[times.len() - 1] - times[0]) / HORIZON,
            apart: (mean(&medians[..third]) - mean(last)).abs() / level,
            apart_error: error * 6.0_f64.sqrt(),
        }
    }

    fn is_seen(&self) -> bool {
        self.change * self.span > DRIFT && self.change > 2.0 * self.error
    }

    /// Whether there is no drift that matters to a precision.
    fn is_excluded(&self, precision: f64) -> bool {
        let harmless = HARMLESS + HARMLESS_OF_PRECISION * precision;
        let suspected = self.change > harmless && self.change > 0.7 * self.error;
        !self.is_seen() && !suspected && self.change + self.error <= HARMFUL * harmless
    }

    /// What a drift within the window may put the rate off by.
    fn hidden(&self) -> f64 {
        if self.apart > self.apart_error { UNSEEN.max(self.apart / 2.0) } else { UNSEEN }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Nanos;

    /// Blocks of a hundred launches each, with these times of a launch.
    fn blocks(times: impl IntoIterator<Item = f64>) -> Vec<Block> {
        let mut t = 0.0;
        let mut block = |time: f64| {
            let median = Nanos::from_seconds(time);
            let seconds = 100.0 * time;
            t += seconds;
            let (clock, watts, celsius, limits) = (None, None, None, None);
            Block { t: t - seconds, seconds, launches: 100, mean: median, median, p95: median, clock, watts, celsius, limits }
        };
        times.into_iter().map(&mut block).collect()
    }

    #[test]
    fn equal_blocks_leave_only_what_no_look_excludes() {
        let found = judge(&blocks([0.0025; 40])).expect("forty blocks");
        assert_eq!((found.discarded, found.multimodal, found.warms_up), (2, false, false));
        assert!((found.rate.value - 400.0).abs() < 1e-9 && (found.precision() - 0.001).abs() < 1e-9, "{found:?}");
        assert!(judge(&blocks([0.0025; 13])).is_none(), "eleven blocks after half a second");
    }

    #[test]
    fn the_rate_is_launches_over_time_and_not_a_mean_of_rates() {
        let found = judge(&blocks((0..42).map(|i| if i % 2 == 0 { 0.002 } else { 0.004 }))).expect("blocks");
        assert!((found.rate.value - 1.0 / 0.003).abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn a_second_order_autoregression_is_found_by_its_coefficients() {
        // x[t] = 1.2 x[t-1] - 0.6 x[t-2] + e, with e of SplitMix64's kind of noise.
        let mut seed = 1_u64;
        let mut noise = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as f64 / f64::from(1_u32 << 31) - 0.5
        };
        let mut values = vec![0.0, 0.0];
        for t in 2..4_000 {
            values.push(1.2 * values[t - 1] - 0.6 * values[t - 2] + noise());
        }
        let found = autoregression(&values);
        assert!((found.sum - 0.6).abs() < 0.08 && (found.rest - 1.0 / 12.0).abs() < 0.01, "{} {}", found.sum, found.rest);
    }

    #[test]
    fn a_warm_up_is_cut_where_it_ends_and_levels_that_return_are_not() {
        let noise = |i: usize| [0.0, 3e-6, -3e-6, 1e-6, -1e-6][i * 7 % 5];
        let step = (0..80).map(|i| if i < 22 { 0.0024 } else { 0.0025 } + noise(i));
        assert_eq!(judge(&blocks(step)).expect("blocks").discarded, 22);
        let levels = (0..80).map(|i| if i / 8 % 2 == 0 { 0.0024 } else { 0.0025 } + noise(i));
        let found = judge(&blocks(levels)).expect("blocks");
        assert!(found.multimodal && found.precision() > 0.005, "{found:?}");
    }

    #[test]
    fn drift_is_seen_and_two_looks_must_pass() {
        let drifting = blocks((0..120).map(|i| 0.0025 * (1.0 + 0.0003 * f64::from(i))));
        let mut rule = Rule::new(0.01);
        assert!((0..=120).all(|count| !rule.look(&drifting[..count])));
        assert_eq!(rule.status(&judge(&drifting).expect("blocks")), Status::NotSteady);
        let equal = blocks([0.0025; 60]);
        let mut rule = Rule::new(0.005);
        let first = (0..=60).find(|count| rule.look(&equal[..*count]));
        // Looks are due at 5.00 s and at 5.75 s.
        assert_eq!((first, rule.status(&judge(&equal).expect("blocks"))), (Some(23), Status::Steady));
    }
}
