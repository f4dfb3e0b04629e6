//! When a rate is known well enough, and how well: the stopping rule, a pure function of blocks of a quarter second.
//!
//! 1. What still warms up is left out (`warm_up`): up to a step, or until a fitted exponential approach holds the rest off by little.
//!    Two clock levels that come and go are no warm-up (`levels`): nothing is cut then, how long either lasts widens the interval, and
//!    the rule waits until they changed often.
//! 2. The rate is launches over elapsed time of what is retained. Its standard error is that of a ratio in the long run
//!    (`long_run`): correlation widens the interval, oscillation about a fixed mean does not, and a variance that a few blocks make up
//!    is told by fewer degrees of freedom. The interval is moved by the skew (Johnson 1978), and widened by what a drift too small to be
//!    seen may hide and, downwards, by slow launches too rare to be seen.
//! 3. Medians of blocks must not drift, so that a few slow launches do not decide it; nor may a harmful drift be left possible.
//! 4. Looks are few, each a seventh later than the one before, and two in a row must pass: looking often finds luck.

use super::{
    interval::{quantile, student},
    levels::Levels,
    long_run::{LongRun, long_run, mean, moment, sum_of_squares},
    policy,
    warm_up::{FEWEST, WarmUp},
};
use crate::record::{Block, Interval, Status};

/// First look, in seconds: this, and two for a precision of 1 %, four for 0.5 %. And how much later each next one is.
const FIRST_LOOK: f64 = 5.5;
const FIRST_LOOK_BY_PRECISION: f64 = 0.02;
const GROWTH: f64 = 1.15;
/// Looks in a row that must pass.
const PASSES: u32 = 2;
/// Effective blocks without which an interval is not believed.
const FEWEST_EFFECTIVE: f64 = 6.0;
/// Looking more than once costs some confidence: intervals are this much wider.
const LOOKS: f64 = 1.05;
/// Shift of an interval by the skew, by Johnson (1978): 1/6 + q²/3 at the normal quantile.
const SKEW: f64 = 1.447;
/// None of n launches was slow: by the rule of three fewer than 3 / n of all are, and half as long again is what slow may mean.
const SLOW: f64 = 1.5;
/// Relative error that no look can exclude.
const UNSEEN: f64 = 0.001;
/// Drifts are extended over this many seconds.
const HORIZON: f64 = 30.0;
/// Blocks further off than this many times the median distance are held there where drift is sought; of normal values few are.
const OUTLYING: f64 = 4.0;
/// A significant drift by this much within the retained window is no steady state.
const DRIFT: f64 = 0.003;
/// A drift within the horizon that does no harm: this, and this part of the precision; so many times that must be excluded.
const HARMLESS: f64 = 0.004;
const HARMLESS_OF_PRECISION: f64 = 0.4;
const HARMFUL: f64 = 8.0;
/// Standard errors at which a drift that might do harm is suspected.
const SUSPECTED: f64 = 1.4;

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
        Self { precision, next: FIRST_LOOK + FIRST_LOOK_BY_PRECISION / precision, passed: 0 }
    }

    /// What the blocks say, to within this rule's precision; nothing where they are too few.
    #[must_use]
    pub fn judge(&self, blocks: &[Block]) -> Option<Judgement> {
        judge(blocks, self.precision)
    }

    /// Looks at the blocks so far when a look is due; whether the rule is satisfied.
    pub fn look(&mut self, blocks: &[Block]) -> bool {
        let elapsed = blocks.last().map_or(0.0, |block| block.t + block.seconds);
        if elapsed >= self.next {
            while self.next <= elapsed {
                self.next *= GROWTH;
            }
            let passes = self.judge(blocks).is_some_and(|judgement| self.passes(&judgement));
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

/// Judges the blocks after the first half second.
fn judge(blocks: &[Block], precision: f64) -> Option<Judgement> {
    let skipped = blocks.partition_point(|block| block.t < policy::SKIP.seconds());
    let blocks = &blocks[skipped..];
    if blocks.len() < FEWEST {
        return None;
    }
    let mut medians: Vec<f64> = blocks.iter().map(|block| block.median.seconds()).collect();
    let times: Vec<f64> = blocks.iter().map(|block| block.t + block.seconds / 2.0).collect();
    let levels = Levels::of(&medians);
    let WarmUp { cut, unfinished, left } =
        if levels.is_some() { WarmUp::default() } else { WarmUp::of(&times, &medians, precision) };
    let off = mean(&left).abs();
    medians.drain(..cut);
    medians.iter_mut().zip(&left).for_each(|(median, left)| *median /= 1.0 + left);
    let trend = Trend::of(&times[cut..], &held(medians));
    let (rate, effective) = rate(&blocks[cut..], &left, trend.hidden() + off, levels);
    let unfinished = unfinished || levels.is_some_and(|levels| !levels.is_known());
    Some(Judgement { rate, discarded: skipped + cut, effective, multimodal: levels.is_some(), warms_up: unfinished, trend })
}

/// Values with the few that lie far off brought closer, so that a disturbance now and then is no drift: within so many times the median
/// distance from the median.
fn held(mut values: Vec<f64>) -> Vec<f64> {
    let middle = |values: &mut [f64]| {
        values.sort_unstable_by(f64::total_cmp);
        quantile(values, 0.5)
    };
    let median = middle(&mut values.clone());
    let distance = OUTLYING * middle(&mut values.iter().map(|value| (value - median).abs()).collect::<Vec<_>>());
    for value in &mut values {
        *value = value.clamp(median - distance, median + distance);
    }
    values
}

/// Launches over seconds with its interval, widened by `hidden`, and the effective number of blocks.
fn rate(blocks: &[Block], left: &[f64], hidden: f64, levels: Option<Levels>) -> (Interval, f64) {
    let count = blocks.len() as f64;
    let launches: f64 = blocks.iter().map(|block| block.launches as f64).sum();
    let seconds: f64 = blocks.iter().map(|block| block.seconds).sum();
    let rate = launches / seconds;
    // Of a ratio: what each block has too many, as a part of a mean block.
    let residual = |block: &Block| (block.launches as f64 / rate - block.seconds) * count / seconds;
    let mut residuals: Vec<f64> = blocks.iter().map(residual).collect();
    // What is fitted is no noise.
    let off = mean(left);
    residuals.iter_mut().zip(left).for_each(|(residual, left)| *residual += left - off);
    let LongRun { error, effective, degrees } = long_run(&residuals);
    let mut half = LOOKS * student(degrees.max(1.0)) * error;
    if let Some(levels) = levels {
        half = half.max(LOOKS * student(levels.degrees()) * levels.error());
    }
    let variance = moment(&residuals, 2);
    let skew = if variance > 0.0 { moment(&residuals, 3) / (variance * count) * SKEW } else { 0.0 };
    let half = half + hidden;
    let unseen = SLOW / launches;
    let bound = |relative: f64| rate * (1.0 + relative).max(0.0);
    (Interval { value: rate, low: bound(skew - half - unseen), high: bound(skew + half) }, effective)
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
    fn of(times: &[f64], medians: &[f64]) -> Self {
        let level = mean(medians);
        let middle = mean(times);
        let spread = sum_of_squares(times);
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
        let suspected = self.change > harmless && self.change > SUSPECTED * self.error;
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
        let found = judge(&blocks([0.0025; 40]), 0.005).expect("forty blocks");
        assert_eq!((found.discarded, found.multimodal, found.warms_up), (2, false, false));
        assert!((found.rate.value - 400.0).abs() < 1e-9 && (found.precision() - 0.001 - 0.75 / 3_800.0).abs() < 1e-9, "{found:?}");
        assert!(judge(&blocks([0.0025; 13]), 0.005).is_none(), "eleven blocks after half a second");
    }

    #[test]
    fn the_rate_is_launches_over_time_and_not_a_mean_of_rates() {
        let found = judge(&blocks((0..42).map(|i| if i % 2 == 0 { 0.002 } else { 0.004 })), 0.005).expect("blocks");
        assert!((found.rate.value - 1.0 / 0.003).abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn a_warm_up_is_cut_where_it_ends_and_levels_that_return_are_not() {
        let noise = |i: usize| [0.0, 3e-6, -3e-6, 1e-6, -1e-6][i * 7 % 5];
        let step = (0..80).map(|i| if i < 22 { 0.0024 } else { 0.0025 } + noise(i));
        assert_eq!(judge(&blocks(step), 0.005).expect("blocks").discarded, 22);
        let levels = (0..80).map(|i| if i / 8 % 2 == 0 { 0.0024 } else { 0.0025 } + noise(i));
        let found = judge(&blocks(levels), 0.005).expect("blocks");
        assert!(found.multimodal && found.precision() > 0.005, "{found:?}");
    }

    #[test]
    fn drift_is_seen_and_two_looks_must_pass() {
        let drifting = blocks((0..120).map(|i| 0.0025 * (1.0 + 0.0003 * f64::from(i))));
        let mut rule = Rule::new(0.01);
        assert!((0..=120).all(|count| !rule.look(&drifting[..count])));
        assert_eq!(rule.status(&judge(&drifting, 0.01).expect("blocks")), Status::NotSteady);
        let equal = blocks([0.0025; 60]);
        let mut rule = Rule::new(0.005);
        let first = (0..=60).find(|count| rule.look(&equal[..*count]));
        // Looks are due at 9.5 s and at 10.925 s.
        assert_eq!((first, rule.status(&judge(&equal, 0.005).expect("blocks"))), (Some(44), Status::Steady));
    }
}
