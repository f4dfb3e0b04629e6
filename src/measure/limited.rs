//! Launches that ran under a limit, kept apart from the others.

use crate::{
    contract::Span,
    record::{Histogram, Limit, Reading, Summary},
};

/// Times of launches at whose end a limit held. A reading holds until the next, and so does a set of limits that it leaves blank.
#[derive(Debug, Default)]
pub struct Limited {
    held: Option<bool>,
    histogram: Histogram,
}

impl Limited {
    /// Adds launches in order of time, with what the sensors said from the begin of the first to the end of the last.
    pub fn add(&mut self, spans: &[Span], readings: &[Reading]) {
        let mut told = readings.iter().filter_map(|reading| Some((reading.at, reading.limits.as_ref()?))).peekable();
        for span in spans {
            while let Some((_, limits)) = told.next_if(|(at, _)| *at <= span.end()) {
                self.held = Some(Limit::primary(limits).is_some());
            }
            // A launch that was timed with others has no time of its own.
            if self.held == Some(true) && span.launches == 1 {
                self.histogram.record(span.took);
            }
        }
    }

    /// Blank where no limit held, or none could be read.
    #[must_use]
    pub fn summary(&self) -> Option<Summary> {
        self.histogram.summary()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Nanos;

    fn spans(from: u64, launches: u32) -> Vec<Span> {
        (0..10).map(|i| Span { begin: Nanos(from + i * 1_000), took: Nanos(1_000 + i), launches, intended: None }).collect()
    }

    fn reading(at: u64, limits: Option<&[&str]>) -> Reading {
        let limits = limits.map(|names| names.iter().map(ToString::to_string).collect());
        Reading { at: Nanos(at), limits, ..Reading::default() }
    }

    #[test]
    fn launches_under_a_limit_are_counted_and_a_blank_changes_nothing() {
        let mut limited = Limited::default();
        limited.add(&spans(0, 1), &[]);
        assert!(limited.summary().is_none(), "nothing could be read");
        limited.add(&spans(10_000, 1), &[reading(15_500, Some(&["sw_power_cap"])), reading(16_000, None)]);
        // Those that end at 16.005 and later.
        assert_eq!(limited.summary().map(|summary| (summary.count, summary.min)), Some((5, Nanos(1_005))));
        limited.add(&spans(20_000, 1), &[reading(20_000, Some(&["bit_40"]))]);
        assert_eq!(limited.summary().map(|summary| summary.count), Some(5), "no limit that is known to hold a clock down");
    }

    #[test]
    fn launches_timed_together_have_no_time_of_their_own() {
        let mut limited = Limited::default();
        limited.add(&spans(0, 16), &[reading(0, Some(&["hw_thermal_slowdown"]))]);
        assert!(limited.summary().is_none());
    }
}
