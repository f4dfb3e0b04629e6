//! How launches are cut into command buffers and timed passes, and what the ticks of the device then say.

use crate::{contract::Span, units::Nanos};

/// Spans of one start; a query set holds at most 4096 stamps.
pub(super) const MOST_SPANS: usize = 1_024;
/// Launches at least this long get a pass and a pair of stamps each; a pass costs up to 40 µs on some systems.
const APART: f64 = 500_000.0;
/// Length in nanoseconds of a command buffer, well below the 2 s after which Windows resets a driver.
const LONGEST: f64 = 250_000_000.0;

/// Launches of each timed pass, by command buffer. `estimate` is what one launch took before; until it is known each launch is
/// its own pass and its own command buffer.
pub(super) fn cut(launches: u32, estimate: Option<f64>) -> Vec<Vec<u32>> {
    let fewest = launches.div_ceil(MOST_SPANS as u32).max(1);
    let (pass, passes) = match estimate.map(|estimate| estimate.max(1.0)) {
        None => (fewest, 1),
        Some(long) if long >= APART => (fewest, (LONGEST / (long * f64::from(fewest))) as usize),
        Some(short) => (fewest.max((LONGEST / short) as u32), 1),
    };
    let mut sizes = vec![pass; (launches / pass) as usize];
    sizes.extend(Some(launches % pass).filter(|rest| *rest > 0));
    sizes.chunks(passes.max(1)).map(<[u32]>::to_vec).collect()
}

/// Begin and end of each pass in nanoseconds of the device, from its ticks; nothing where a pair is missing (zero), reversed, out
/// of order, or where the passes together outlast what the host waited, for then the ticks are not to be trusted.
pub(super) fn read_ticks(ticks: &[u64], tick: f64, waited: Nanos) -> Option<Vec<(f64, f64)>> {
    let mut last = 0;
    for pair in ticks.chunks_exact(2) {
        if pair[0] == 0 || pair[0] < last || pair[1] <= pair[0] {
            return None;
        }
        last = pair[1];
    }
    let first = *ticks.first()?;
    // Differences before the scale, for whole ticks since power-on exceed what a double holds exactly.
    let pairs: Vec<(f64, f64)> =
        ticks.chunks_exact(2).map(|p| ((p[0] - first) as f64 * tick, (p[1] - first) as f64 * tick)).collect();
    let total: f64 = pairs.iter().map(|(begin, end)| end - begin).sum();
    (total <= waited.0 as f64 * 1.01 + 2.0 * tick).then_some(pairs)
}

/// Spans of passes on the machine's clock, `origin` being the host's time of the first stamp.
pub(super) fn spans(pairs: &[(f64, f64)], launches: &[u32], origin: Nanos) -> Vec<Span> {
    pairs
        .iter()
        .zip(launches)
        .map(|(&(begin, end), &launches)| Span {
            begin: origin + Nanos(begin as u64),
            took: Nanos((end - begin).round() as u64),
            launches,
            intended: None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(cut: &[Vec<u32>]) -> u32 {
        cut.iter().flatten().sum()
    }

    #[test]
    fn long_launches_are_timed_apart_and_short_ones_together() {
        assert_eq!(cut(3, None), [[1], [1], [1]]);
        assert_eq!(cut(5, Some(100e6)), [vec![1, 1], vec![1, 1], vec![1]]);
        assert_eq!(cut(3, Some(1e9)), [[1], [1], [1]]);
        assert_eq!(cut(100, Some(1_000.0)), [[100]]);
        assert_eq!(cut(1_000_000, Some(1_000.0)), [[250_000], [250_000], [250_000], [250_000]]);
    }

    #[test]
    fn no_launch_is_lost_and_the_query_set_is_never_overrun() {
        for launches in [1, 1_023, 1_025, 70_000] {
            for estimate in [None, Some(0.0), Some(400_000.0), Some(600_000.0), Some(3e9)] {
                let cut = cut(launches, estimate);
                assert_eq!(total(&cut), launches);
                assert!(cut.iter().map(Vec::len).sum::<usize>() <= MOST_SPANS, "{launches} {estimate:?}");
            }
        }
    }

    #[test]
    fn ticks_that_are_zero_reversed_or_too_long_are_refused() {
        let waited = Nanos(1_000);
        assert_eq!(read_ticks(&[5, 10, 10, 30], 2.0, waited), Some(vec![(0.0, 10.0), (10.0, 50.0)]));
        assert_eq!(read_ticks(&[0, 0], 2.0, waited), None);
        assert_eq!(read_ticks(&[10, 10], 2.0, waited), None);
        assert_eq!(read_ticks(&[10, 5], 2.0, waited), None);
        assert_eq!(read_ticks(&[10, 20, 15, 30], 2.0, waited), None);
        assert_eq!(read_ticks(&[10, 10_000], 2.0, waited), None);
        assert_eq!(read_ticks(&[], 2.0, waited), None);
    }

    #[test]
    fn spans_stand_on_the_clock_of_the_host() {
        let spans = spans(&[(0.0, 10.0), (20.0, 50.0)], &[1, 4], Nanos(100));
        assert_eq!(spans[1], Span { begin: Nanos(120), took: Nanos(30), launches: 4, intended: None });
        assert_eq!(spans[0].end(), Nanos(110));
    }
}
