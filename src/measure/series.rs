//! Launch times as they come, folded at once into a histogram and blocks, so that memory stays flat however long it takes.

use super::interval::{self, Estimate};
use crate::{
    contract::Span,
    record::{Block, Histogram},
    units::Nanos,
};

const BLOCK: Nanos = Nanos(250_000_000);
/// The burst is sought within the first three seconds …
const BURST_WITHIN: Nanos = Nanos(3_000_000_000);
/// … as a stretch of a second or a little more, made of bins fine enough that a tenth of that still has an interval.
const BURST: Nanos = Nanos(1_000_000_000);
const BIN: Nanos = Nanos(10_000_000);
/// Bins without which there is no variance worth the name.
const FEWEST: usize = 3;
/// Busy time is kept this finely, to be joined to readings of the sensors.
const SLOT: Nanos = Nanos(10_000_000);

/// Launches and the time they took together, over some stretch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Bin {
    launches: u64,
    elapsed: Nanos,
}

/// What is known of the launches of one variant.
#[derive(Debug, Default)]
pub struct Series {
    histogram: Histogram,
    response: Histogram,
    /// Launches timed together; one where each is timed.
    batch: u32,
    first: Option<Nanos>,
    last: Nanos,
    busy: Nanos,
    launches: u64,
    bins: Vec<Bin>,
    blocks: Vec<Block>,
    /// Idle time within each block.
    block_gaps: Vec<Nanos>,
    /// Time inside launches, in slots from the first launch on.
    slots: Vec<Nanos>,
    gaps: Nanos,
    open: Vec<Nanos>,
    open_begin: Nanos,
    open_launches: u64,
    open_elapsed: Nanos,
    open_gaps: Nanos,
    /// End of the launch before, while the device was not taken away from the launches.
    before: Option<Nanos>,
}

impl Series {
    /// Adds a span. Spans come in order of time.
    pub fn push(&mut self, span: &Span) {
        let each = Nanos(span.took.0 / u64::from(span.launches.max(1)));
        self.batch = self.batch.max(span.launches);
        self.histogram.record(each);
        if let Some(intended) = span.intended {
            self.response.record(span.end().since(intended));
        }
        let first = *self.first.get_or_insert(span.begin);
        // Time belongs to the launches from the end of the one before, unless the harness stood between.
        let gap = self.before.map_or(Nanos(0), |before| span.begin.since(before));
        self.gaps += gap;
        self.fill_slots(span.begin.since(first), span.end().since(first));
        self.bin(span.end().since(first), u64::from(span.launches), span.took + gap);
        if self.open.is_empty() {
            self.open_begin = span.begin.since(gap);
        }
        self.open.push(each);
        self.open_launches += u64::from(span.launches);
        self.open_elapsed += span.took + gap;
        self.open_gaps += gap;
        self.busy += span.took;
        self.launches += u64::from(span.launches);
        self.last = span.end();
        self.before = Some(span.end());
        if self.open_elapsed >= BLOCK {
            self.close();
        }
    }

    /// The harness takes over: what passes until the next launch is not the launches' time.
    pub fn pause(&mut self) {
        self.before = None;
    }

    fn fill_slots(&mut self, begin: Nanos, end: Nanos) {
        let mut from = begin;
        while from < end {
            let index = from.0 / SLOT.0;
            let to = end.min(Nanos((index + 1) * SLOT.0));
            self.slots.resize(self.slots.len().max(index as usize + 1), Nanos(0));
            self.slots[index as usize] += to.since(from);
            from = to;
        }
    }

    fn bin(&mut self, at: Nanos, launches: u64, elapsed: Nanos) {
        if at > BURST_WITHIN {
            return;
        }
        let index = (at.0 / BIN.0) as usize;
        self.bins.resize(self.bins.len().max(index + 1), Bin::default());
        self.bins[index].launches += launches;
        self.bins[index].elapsed += elapsed;
    }

    fn close(&mut self) {
        let Some(first) = self.first else { return };
        if self.open.is_empty() {
            return;
        }
        self.open.sort_unstable();
        let at = |q: f64| self.open[((self.open.len() - 1) as f64 * q).round() as usize];
        self.blocks.push(Block {
            t: self.open_begin.since(first).seconds(),
            seconds: self.open_elapsed.seconds(),
            launches: self.open_launches,
            mean: Nanos(self.open_elapsed.0 / self.open_launches.max(1)),
            median: at(0.5),
            p95: at(0.95),
            clock: None,
            watts: None,
            celsius: None,
            limits: None,
        });
        self.block_gaps.push(self.open_gaps);
        self.open.clear();
        self.open_gaps = Nanos(0);
        self.open_launches = 0;
        self.open_elapsed = Nanos(0);
    }

    /// Ends the series: the last, partial block counts when nothing else does or when it is long enough.
    pub fn end(&mut self) {
        if self.blocks.len() < 3 || self.open_elapsed.0 * 2 >= BLOCK.0 {
            self.close();
        }
    }

    #[must_use]
    pub fn launches(&self) -> u64 {
        self.launches
    }

    /// From the begin of the first launch to the end of the last.
    #[must_use]
    pub fn elapsed(&self) -> Nanos {
        self.first.map_or(Nanos(0), |first| self.last.since(first))
    }

    /// Time inside launches.
    #[must_use]
    pub fn busy(&self) -> Nanos {
        self.busy
    }

    /// Time between launches that the device spent idle while launches were due.
    #[must_use]
    pub fn gaps(&self) -> Nanos {
        self.gaps
    }

    /// Idle time within the blocks from `first` on.
    #[must_use]
    pub fn gaps_from(&self, first: usize) -> Nanos {
        self.block_gaps.iter().skip(first).copied().sum()
    }

    /// Time inside launches between two times after the begin of the first launch.
    #[must_use]
    pub fn busy_between(&self, from: Nanos, to: Nanos) -> Nanos {
        if to <= from {
            return Nanos(0);
        }
        let (first, last) = ((from.0 / SLOT.0) as usize, (to.0.div_ceil(SLOT.0) as usize).min(self.slots.len()));
        let share = |index: usize| {
            let begin = index as u64 * SLOT.0;
            let covered = (begin + SLOT.0).min(to.0) - begin.max(from.0);
            Nanos(self.slots[index].0 * covered / SLOT.0)
        };
        (first..last).map(share).sum()
    }

    /// Begin of the first launch and end of the last, on the machine's clock.
    #[must_use]
    pub fn window(&self) -> Option<(Nanos, Nanos)> {
        self.first.map(|first| (first, self.last))
    }

    /// The same without the first `discarded` blocks.
    #[must_use]
    pub fn retained(&self, discarded: usize) -> Option<(Nanos, Nanos)> {
        let skipped = self.blocks.get(discarded).filter(|_| discarded > 0).map_or(0.0, |block| block.t);
        self.window().map(|(from, to)| (from + Nanos::from_seconds(skipped), to))
    }

    #[must_use]
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    #[must_use]
    pub fn histogram(&self) -> &Histogram {
        &self.histogram
    }

    #[must_use]
    pub fn response(&self) -> &Histogram {
        &self.response
    }

    /// Launches timed together.
    #[must_use]
    pub fn batch(&self) -> u32 {
        self.batch
    }

    /// Estimate time of a launch in the best one-second window of the first three seconds, or in all of a shorter measurement.
    #[must_use]
    pub fn burst(&self) -> Option<Estimate> {
        let bins: Vec<Bin> = self.bins.iter().copied().filter(|bin| bin.launches > 0).collect();
        let cost = |stretch: &[Bin]| {
            let launches: u64 = stretch.iter().map(|bin| bin.launches).sum();
            stretch.iter().map(|bin| bin.elapsed).sum::<Nanos>().seconds() / launches as f64
        };
        let stretches = (0..bins.len()).filter_map(|from| second(&bins[from..]));
        let best = stretches.min_by(|a, b| cost(a).total_cmp(&cost(b))).or_else(|| (!bins.is_empty()).then_some(&bins[..]));
        let Some(best) = best else {
            // A single launch outlasted the three seconds.
            return (self.launches > 0).then(|| self.overall());
        };
        let times: Vec<f64> = best.iter().map(|bin| bin.elapsed.seconds() / bin.launches as f64).collect();
        let spread = interval::mean(&times).unwrap_or_else(|| Estimate { half: widest(&times), ..self.overall() });
        Some(Estimate { mean: cost(best), ..spread })
    }

    fn overall(&self) -> Estimate {
        let mean = (self.busy + self.gaps).seconds() / self.launches.max(1) as f64;
        Estimate { mean, half: 0.0, effective: self.launches as f64 }
    }
}

/// The first bins that hold a second of launches; nothing where there is less.
fn second(bins: &[Bin]) -> Option<&[Bin]> {
    let mut elapsed = Nanos(0);
    let end = bins.iter().enumerate().position(|(index, bin)| {
        elapsed += bin.elapsed;
        elapsed >= BURST && index + 1 >= FEWEST
    });
    end.map(|end| &bins[..=end])
}

/// With fewer than three bins the interval is the range seen.
fn widest(times: &[f64]) -> f64 {
    let (low, high) = times.iter().fold((f64::INFINITY, 0.0_f64), |(low, high), &t| (low.min(t), high.max(t)));
    (high - low).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(times: impl IntoIterator<Item = u64>) -> Series {
        let mut series = Series::default();
        let mut now = Nanos(1_000);
        for took in times {
            series.push(&Span { begin: now, took: Nanos(took), launches: 1, intended: None });
            now += Nanos(took);
        }
        series.end();
        series
    }

    #[test]
    fn blocks_hold_all_launches_of_a_quarter_second() {
        let series = series((0..1_000).map(|_| 1_000_000));
        assert_eq!(series.blocks().len(), 4);
        assert_eq!(series.blocks().iter().map(|b| b.launches).sum::<u64>(), 1_000);
        assert_eq!(series.blocks()[1].mean, Nanos(1_000_000));
        assert!((series.blocks()[2].t - 0.5).abs() < 1e-9);
    }

    #[test]
    fn the_burst_is_the_best_second_of_the_first_three() {
        // One second slow, one second fast, eight seconds in between.
        let times = (0..500).map(|_| 2_000_000).chain((0..1_000).map(|_| 1_000_000)).chain((0..5_000).map(|_| 1_600_000));
        let burst = series(times).burst().expect("launches");
        assert!((burst.mean - 1e-3).abs() < 1e-5, "{burst:?}");
    }

    #[test]
    fn a_short_burst_is_all_of_it() {
        let burst = series([2_000_000, 4_000_000]).burst().expect("launches");
        assert!((burst.mean - 3e-3).abs() < 1e-9);
        assert!(series([]).burst().is_none());
        assert!((series([4_000_000_000]).burst().expect("one launch").mean - 4.0).abs() < 1e-9);
    }

    #[test]
    fn a_tenth_of_a_second_has_an_interval_and_long_launches_have_a_best_second() {
        let short = series((0..150).map(|i| 1_000_000 + i % 7 * 1_000)).burst().expect("launches");
        assert!(short.effective > 10.0 && short.half < 1e-2 * short.mean, "{short:?}");
        // Launches of 0.2 s: a second holds five of them, and the best five are not all fifteen.
        let long = series((0..15).map(|i| if (5..10).contains(&i) { 190_000_000 } else { 200_000_000 })).burst().expect("launches");
        assert!(long.mean > 0.189 && long.mean < 0.1925, "{long:?}");
    }

    #[test]
    fn idle_time_between_launches_is_theirs_and_the_harness_is_not() {
        let mut series = Series::default();
        let push = |series: &mut Series, begin| {
            series.push(&Span { begin: Nanos(begin), took: Nanos(1_000), launches: 1, intended: None });
        };
        push(&mut series, 0);
        push(&mut series, 1_500);
        series.pause();
        push(&mut series, 900_000);
        series.end();
        assert_eq!((series.gaps(), series.busy(), series.launches()), (Nanos(500), Nanos(3_000), 3));
    }

    #[test]
    fn busy_time_is_known_between_any_two_times() {
        let mut series = Series::default();
        for begin in (0..100).map(|i| i * 10_000_000) {
            series.push(&Span { begin: Nanos(begin), took: Nanos(6_000_000), launches: 1, intended: None });
        }
        series.end();
        assert_eq!(series.busy_between(Nanos(0), Nanos(1_000_000_000)), Nanos(600_000_000));
        assert_eq!(series.busy_between(Nanos(100_000_000), Nanos(205_000_000)), Nanos(63_000_000));
        assert_eq!(series.busy_between(Nanos(5), Nanos(5)), Nanos(0));
        assert_eq!(series.gaps_from(0), series.gaps());
        assert!(series.gaps_from(1) < series.gaps() && series.gaps_from(9) == Nanos(0));
    }

    #[test]
    fn a_paced_launch_is_also_counted_from_its_intended_start() {
        let mut series = Series::default();
        series.push(&Span { begin: Nanos(5_000), took: Nanos(1_000), launches: 1, intended: Some(Nanos(2_000)) });
        assert_eq!(series.response().count(), 1);
        assert!(series.response().quantile(0.5).0.abs_diff(4_000) < 8);
    }
}
