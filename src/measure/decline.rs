//! Lasting falls of a rate, with their size and time: a pure function of blocks.
//!
//! A soak does not end when its rate is known, because what it is made for comes later: a fan that gives up, a neighbour that starts, a
//! card that is slowed down after ten minutes. Levels are found by circular binary segmentation (Olshen et al. 2004): the stretch that
//! differs most from the rest is a level of its own if the two differ beyond what correlated noise explains; each part is searched again.

use super::{
    interval::{quantile, student},
    policy,
};
use crate::record::{Block, Decline, Interval};

/// Falls are sought in measurements that last so long, in seconds.
const SHORTEST: f64 = 60.0;
/// What happens before this, in seconds after the first launch, is warming up.
const WARM: f64 = 5.0;
/// Blocks are joined to bins of a second or more, so many at the most.
const BINS: f64 = 512.0;
/// Bins that a level holds at the least.
const LEVEL: usize = 5;
/// How many standard errors two levels must lie apart: with every stretch of hundreds of bins tried, luck reaches five.
const APART: f64 = 6.0;
/// Falls below this part of the rate are left to the interval of the rate.
const SMALLEST: f64 = 0.005;
/// Falls told at the most, the deepest.
const MOST: usize = 8;
/// Seconds from look to look while it is measured: this, or this part of the time so far, which keeps the cost of a look small.
const EVERY: f64 = 5.0;
const EVERY_SHARE: f64 = 0.02;
/// Seconds within which two places are one.
const NEAR: f64 = 5.0;
/// Points of the log likelihood ratio within which another place is as good, 95 % (Wilks 1938).
const AS_GOOD: f64 = 3.84;

/// Falls in order of time.
#[must_use]
pub fn declines(blocks: &[Block]) -> Vec<Decline> {
    let bins = bins(blocks);
    let length = bins.last().map_or(0.0, |bin| bin.end);
    if length < SHORTEST {
        return Vec::new();
    }
    let mut cuts = Vec::new();
    divide(&bins, 0, &mut cuts);
    cuts.sort_by_key(|cut: &Cut| cut.at);
    let mut found: Vec<Decline> = (0..cuts.len()).filter_map(|index| decline(&bins, &cuts, index)).collect();
    found.sort_by(|a, b| a.ratio.value.total_cmp(&b.ratio.value));
    found.truncate(MOST);
    found.sort_by(|a, b| a.at.value.total_cmp(&b.at.value));
    found
}

/// Looks for falls while it is measured, so that nobody waits for the end of a soak to hear of one.
#[derive(Debug, Default)]
pub struct Lookout {
    /// When to look next, in seconds.
    next: f64,
    /// Falls of the last look, and those that were told.
    seen: Vec<Decline>,
    told: Vec<Decline>,
}

impl Lookout {
    /// Falls that were not told before and that two looks in a row found.
    pub fn look(&mut self, blocks: &[Block]) -> Vec<Decline> {
        let elapsed = blocks.last().map_or(0.0, |block| block.t + block.seconds);
        if elapsed < self.next.max(SHORTEST) {
            return Vec::new();
        }
        self.next = elapsed + EVERY.max(elapsed * EVERY_SHARE);
        let found = declines(blocks);
        let known = |of: &[Decline], fall: &Decline| of.iter().any(|other| is_same(other, fall));
        let fresh = found.iter().filter(|fall| known(&self.seen, fall) && !known(&self.told, fall));
        let fresh: Vec<Decline> = fresh.copied().collect();
        self.told.extend_from_slice(&fresh);
        self.seen = found;
        fresh
    }
}

/// Whether two looks mean the same fall, whose place is known the better the longer ago it was.
fn is_same(a: &Decline, b: &Decline) -> bool {
    a.at.low <= b.at.high + NEAR && b.at.low <= a.at.high + NEAR
}

/// A stretch of time and the logarithm of its rate.
struct Bin {
    begin: f64,
    end: f64,
    rate: f64,
}

fn bins(blocks: &[Block]) -> Vec<Bin> {
    let length = blocks.last().map_or(0.0, |block| block.t + block.seconds);
    let width = (length / BINS).max(1.0);
    let warm = policy::SKIP.seconds().max(WARM);
    let rested: Vec<&Block> = blocks.iter().filter(|block| block.t >= warm && block.launches > 0).collect();
    let bin = |blocks: &[&Block]| {
        let (first, last) = (blocks.first()?, blocks.last()?);
        let launches: u64 = blocks.iter().map(|block| block.launches).sum();
        let seconds: f64 = blocks.iter().map(|block| block.seconds).sum();
        let rate = (launches as f64 / seconds).ln();
        rate.is_finite().then_some(Bin { begin: first.t, end: last.t + last.seconds, rate })
    };
    rested.chunk_by(|a, b| (a.t / width).floor() == (b.t / width).floor()).filter_map(bin).collect()
}

/// A place where the level changes, and the places that are as good.
struct Cut {
    at: usize,
    from: usize,
    to: usize,
}

/// Divides bins, which begin at number `origin`, wherever their levels differ.
fn divide(bins: &[Bin], origin: usize, cuts: &mut Vec<Cut>) {
    let n = bins.len();
    if n < 2 * LEVEL {
        return;
    }
    let mean = bins.iter().map(|bin| bin.rate).sum::<f64>() / n as f64;
    let sums: Vec<f64> = std::iter::once(0.0)
        .chain(bins.iter().scan(0.0, |sum, bin| {
            *sum += bin.rate - mean;
            Some(*sum)
        }))
        .collect();
    // What a stretch explains that has a level of its own.
    let explained = |from: usize, to: usize| {
        let length = (to - from) as f64;
        (sums[to] - sums[from]).powi(2) * (1.0 / length + 1.0 / (n as f64 - length))
    };
    let may_begin = |from: usize| from == 0 || from >= LEVEL;
    let may_end = |from: usize, to: usize| (to == n || n - to >= LEVEL) && to >= from + LEVEL && to - from + LEVEL <= n;
    let stretches = (0..n).filter(|from| may_begin(*from)).flat_map(|from| (from..=n).map(move |to| (from, to)));
    let best =
        stretches.filter(|(from, to)| may_end(*from, *to)).max_by(|a, b| explained(a.0, a.1).total_cmp(&explained(b.0, b.1)));
    let Some((from, to)) = best else { return };
    let Step { size, error, variance, .. } = Step::between(&[&bins[..from], &bins[to..]], &[&bins[from..to]]);
    if size.abs() < APART * error || size == 0.0 {
        return;
    }
    let most = explained(from, to) - AS_GOOD * variance;
    let moved = |place: usize, of: &dyn Fn(usize) -> bool| {
        let down = (0..=place).rev().take_while(|place| of(*place)).last().unwrap_or(place);
        let up = (place..n).take_while(|place| of(*place)).last().unwrap_or(place);
        Cut { at: origin + place, from: origin + down, to: origin + up }
    };
    if from > 0 {
        cuts.push(moved(from, &|place| may_begin(place) && may_end(place, to) && explained(place, to) >= most));
    }
    if to < n {
        cuts.push(moved(to, &|place| may_end(from, place) && explained(from, place) >= most));
    }
    divide(&bins[..from], origin, cuts);
    divide(&bins[from..to], origin + from, cuts);
    divide(&bins[to..], origin + to, cuts);
}

/// From one level to the next.
struct Step {
    /// Difference of the logarithms of the rates, and its standard error.
    size: f64,
    error: f64,
    /// Degrees of freedom that stand behind the error.
    degrees: f64,
    /// Of a bin about its level, with its correlation in it.
    variance: f64,
}

impl Step {
    /// The variance is that within the levels, raised by the correlation of neighbours, (1+ρ)/(1−ρ), with ρ corrected for its bias
    /// (Kendall 1954).
    fn between(before: &[&[Bin]], after: &[&[Bin]]) -> Self {
        let count = |pieces: &[&[Bin]]| pieces.iter().map(|piece| piece.len()).sum::<usize>() as f64;
        let mean = |pieces: &[&[Bin]]| pieces.iter().copied().flatten().map(|bin| bin.rate).sum::<f64>() / count(pieces);
        let (first, second) = (mean(before), mean(after));
        let off =
            |pieces: &[&[Bin]], level: f64| -> Vec<f64> { pieces.iter().copied().flatten().map(|b| b.rate - level).collect() };
        let residuals = [off(before, first), off(after, second)].concat();
        let n = residuals.len() as f64;
        let squares: f64 = residuals.iter().map(|r| r * r).sum();
        let lagged: f64 = residuals.windows(2).map(|pair| pair[0] * pair[1]).sum();
        let raw = if squares > 0.0 { lagged / squares } else { 0.0 };
        let correlation = (raw + (1.0 + 3.0 * raw) / n).clamp(0.0, 0.9);
        let variance = squares / (n - 2.0) * (1.0 + correlation) / (1.0 - correlation);
        let degrees = (n * (1.0 - correlation) / (1.0 + correlation) - 2.0).max(1.0);
        let error = (variance * (1.0 / count(before) + 1.0 / count(after))).sqrt();
        Self { size: second - first, error, degrees, variance }
    }
}

/// The change at a cut, between the levels beside it, where it is a fall worth telling.
fn decline(bins: &[Bin], cuts: &[Cut], index: usize) -> Option<Decline> {
    let cut = &cuts[index];
    let begin = index.checked_sub(1).map_or(0, |before| cuts[before].at);
    let end = cuts.get(index + 1).map_or(bins.len(), |next| next.at);
    let (before, after) = (&bins[begin..cut.at], &bins[cut.at..end]);
    let Step { size, error, degrees, .. } = Step::between(&[before], &[after]);
    // A single stall moves a mean, and is no level: most of what follows must be lower too.
    let lasts = middle(after) - middle(before) < size / 2.0;
    let half = student(degrees) * error;
    let ratio = Interval { value: size.exp(), low: (size - half).exp(), high: (size + half).exp() };
    let time = |place: usize| bins[place].begin;
    (lasts && ratio.value <= 1.0 - SMALLEST).then(|| Decline {
        at: Interval { value: time(cut.at), low: time(cut.from), high: time(cut.to) },
        ratio,
        lasted: bins[end - 1].end - time(cut.at),
    })
}

fn middle(bins: &[Bin]) -> f64 {
    let mut rates: Vec<f64> = bins.iter().map(|bin| bin.rate).collect();
    rates.sort_unstable_by(f64::total_cmp);
    quantile(&rates, 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Nanos;

    /// Blocks of a quarter second, 100 launches a second at rate 1, with noise correlated by `correlation`.
    fn blocks(seed: u64, seconds: f64, noise: f64, correlation: f64, rate: impl Fn(f64) -> f64) -> Vec<Block> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f64 / f64::from(1_u32 << 31) - 0.5
        };
        let mut drawn = 0.0;
        let mut block = |index: u32| {
            let t = f64::from(index) * 0.25;
            drawn = correlation * drawn + (1.0 - correlation * correlation).sqrt() * noise * uniform() * 12_f64.sqrt();
            let each = Nanos::from_seconds(0.0025 / (rate(t) * (1.0 + drawn)));
            let seconds = each.seconds() * 100.0;
            let (clock, watts, celsius, limits) = (None, None, None, None);
            Block { t, seconds, launches: 100, mean: each, median: each, p95: each, clock, watts, celsius, limits }
        };
        (0..(seconds * 4.0) as u32).map(&mut block).collect()
    }

    #[test]
    fn a_fall_is_found_with_its_size_and_time() {
        let mut covered = 0;
        for seed in 0..200 {
            let found = declines(&blocks(seed, 600.0, 0.01, 0.5, |t| if t < 312.0 { 1.0 } else { 0.97 }));
            assert_eq!(found.len(), 1, "seed {seed}: {found:?}");
            let Decline { at, ratio, lasted } = found[0];
            assert!((at.value - 312.0).abs() < 6.0 && at.low <= at.value && at.value <= at.high, "{at:?}");
            assert!((lasted - 288.0).abs() < 7.0, "{lasted}");
            covered += u32::from(ratio.low <= 0.97 && 0.97 <= ratio.high);
        }
        assert!(covered >= 180, "{covered} of 200 intervals cover the size");
    }

    #[test]
    fn noise_that_does_not_fall_is_left_alone() {
        let alarms = |correlation| {
            let falls = |seed: &u64| !declines(&blocks(*seed, 600.0, 0.02, correlation, |_| 1.0)).is_empty();
            (0..200).filter(falls).count()
        };
        let found = [alarms(0.0), alarms(0.6), alarms(0.9)];
        assert!(found.iter().all(|alarms| *alarms <= 4), "{found:?} of 200");
    }

    #[test]
    fn a_fall_that_is_over_again_says_how_long_it_lasted() {
        let found = declines(&blocks(5, 900.0, 0.002, 0.3, |t| if (200.0..260.0).contains(&t) { 0.9 } else { 1.0 }));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!((found[0].at.value - 200.0).abs() < 3.0 && (found[0].lasted - 60.0).abs() < 4.0, "{found:?}");
        assert!((found[0].ratio.value - 0.9).abs() < 0.005);
    }

    #[test]
    fn two_falls_are_told_in_order() {
        let rate = |t| {
            if t < 100.0 {
                1.0
            } else if t < 400.0 {
                0.98
            } else {
                0.9
            }
        };
        let found = declines(&blocks(9, 600.0, 0.004, 0.3, rate));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!((found[1].ratio.value - 0.9 / 0.98).abs() < 0.005 && found[0].at.value < found[1].at.value, "{found:?}");
    }

    #[test]
    fn warming_up_and_short_measurements_hold_no_fall() {
        let boost = |t: f64| if t < 4.0 { 1.2 } else { 1.0 };
        assert!(declines(&blocks(1, 600.0, 0.002, 0.0, boost)).is_empty());
        assert!(declines(&blocks(1, 55.0, 0.002, 0.0, |t| if t < 30.0 { 1.0 } else { 0.5 })).is_empty());
        assert!(declines(&[]).is_empty());
        let level = declines(&blocks(1, 600.0, 0.0, 0.0, |t| if t < 300.0 { 1.0 } else { 0.99 }));
        assert_eq!(level.len(), 1, "without any noise too: {level:?}");
    }
}
