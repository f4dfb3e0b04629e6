//! How long to measure, and when to look: pure functions of times.

use crate::{plan::Plan, units::Nanos};

/// How a suite spends its time on an entry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Profile {
    /// Time for a verified burst.
    pub burst: Nanos,
    /// Time for an entry that a decision hangs on.
    pub sustained: Nanos,
    /// Half width of the 95 % interval, as a part of the rate, at which such an entry may end before its time. Blank: it takes all
    /// of its time.
    pub precision: Option<f64>,
}

/// A launch that takes more than this many times the entry's share is not made at all.
const OVERRUN: u64 = 4;
/// Launches that an entry needs, however long they take.
const FEWEST: u64 = 3;
/// A slice of launches is given to the device at once; between slices it is seen whether to stop.
const SLICE: Nanos = Nanos(250_000_000);
/// Turns of a pair are short, so that both sides see the same clocks.
const TURN: Nanos = Nanos(50_000_000);
/// Slices that a measurement is cut into at the least. The interval of a pair's ratio comes of its turns.
const SLICES: u64 = 3;
const TURNS: u64 = 16;
/// Verification between launches may take this part of the time that the launches take.
const HASH_SHARE: u64 = 200;
/// A sustained figure leaves out the first half second, and none is given below three seconds.
pub const SKIP: Nanos = Nanos(500_000_000);
/// Longest that a precision is waited for.
pub const CAP: Nanos = Nanos(30_000_000_000);
/// The precision by which a rate is called steady where none was asked for.
pub const PRECISION: f64 = 0.005;
/// No sustained figure below this.
pub const SHORTEST: Nanos = Nanos(3_000_000_000);

impl Profile {
    /// The same, until a sustained rate is known to within `precision` of it, or [`CAP`] is over.
    #[must_use]
    pub fn precise(self, precision: f64) -> Self {
        Self { sustained: CAP, precision: Some(precision), ..self }
    }

    /// Time for a plan.
    #[must_use]
    pub fn target(&self, plan: &Plan) -> Nanos {
        if plan.sustained { self.sustained } else { self.burst }
    }

    /// Longest launch that an entry can afford.
    #[must_use]
    pub fn longest_launch(&self, plan: &Plan) -> Nanos {
        Nanos(self.target(plan).0.saturating_mul(OVERRUN))
    }
}

/// The time of each of `variants` that take turns: each has three fifths of what one alone has, so that a pair costs a fifth
/// more and not twice the time.
#[must_use]
pub fn share(target: Nanos, variants: usize) -> Nanos {
    if variants > 1 { Nanos(target.0 / 5 * 3) } else { target }
}

/// Why a measurement ends, or nothing while it goes on.
#[must_use]
pub fn stop(elapsed: Nanos, launches: u64, target: Nanos, interrupted: bool) -> Option<&'static str> {
    if interrupted {
        Some("interrupted")
    } else if elapsed >= target && launches >= FEWEST {
        Some("time")
    } else {
        None
    }
}

/// Launches of the next slice: about a quarter second, a third of the target at most, and no more than what is left; in turns less.
/// `spent` is the variant's own time.
#[must_use]
pub fn slice(launch: Nanos, spent: Nanos, target: Nanos, variants: usize) -> u32 {
    let (most, parts) = if variants > 1 { (TURN, TURNS) } else { (SLICE, SLICES) };
    let part = Nanos((target.0 / parts).max(1));
    let left = Nanos(target.since(spent).0.max(1));
    let time = most.min(part).min(left);
    u32::try_from(time.0.div_ceil(launch.0.max(1))).unwrap_or(u32::MAX).clamp(1, 1 << 20)
}

/// Whether the output should be hashed now, `since` the last hash, which took `hash`.
#[must_use]
pub fn hash_due(since: Nanos, hash: Nanos) -> bool {
    since.0 >= hash.0.saturating_mul(HASH_SHARE)
}

/// How long launches may take that were expected to take `expected`.
#[must_use]
pub fn deadline(expected: Nanos) -> Nanos {
    Nanos(expected.0.saturating_mul(20)) + Nanos(30_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Nanos = Nanos(1_000_000_000);

    #[test]
    fn time_ends_a_measurement_once_there_are_three_launches() {
        assert_eq!(stop(Nanos(2 * SECOND.0), 2, SECOND, false), None);
        assert_eq!(stop(Nanos(2 * SECOND.0), 3, SECOND, false), Some("time"));
        assert_eq!(stop(Nanos(0), 0, SECOND, true), Some("interrupted"));
    }

    #[test]
    fn a_pair_still_has_a_sustained_figure_in_the_quick_suite() {
        assert_eq!(share(Nanos(5 * SECOND.0), 1), Nanos(5 * SECOND.0));
        assert!(share(Nanos(5 * SECOND.0), 2) >= SHORTEST);
    }

    #[test]
    fn a_slice_is_short_and_never_empty() {
        assert_eq!(slice(Nanos(1_000_000), Nanos(0), Nanos(5 * SECOND.0), 1), 250);
        assert_eq!(slice(Nanos(1_000_000), Nanos(0), Nanos(300_000_000), 1), 100);
        assert_eq!(slice(Nanos(1_000_000), Nanos(0), Nanos(5 * SECOND.0), 2), 50);
        assert_eq!(slice(Nanos(1_000_000), Nanos(0), Nanos(160_000_000), 2), 10, "sixteen turns of a short one");
        assert_eq!(slice(Nanos(10 * SECOND.0), Nanos(0), SECOND, 1), 1);
        assert_eq!(slice(Nanos(0), Nanos(0), Nanos(5 * SECOND.0), 1), 1 << 20);
        assert_eq!(slice(SECOND, Nanos(9 * SECOND.0), SECOND, 1), 1);
    }

    #[test]
    fn hashing_stays_below_half_a_percent() {
        assert!(!hash_due(SECOND, Nanos(10_000_000)));
        assert!(hash_due(SECOND, Nanos(5_000_000)));
    }
}
