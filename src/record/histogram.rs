//! Times of single launches, kept whole: an HDR histogram from 1 ns to 1 h with three significant digits.

use crate::units::Nanos;
use base64::{Engine, prelude::BASE64_STANDARD};
use hdrhistogram::{
    Histogram as Hdr,
    serialization::{Deserializer, Serializer, V2DeflateSerializer},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const HIGHEST: u64 = 3_600_000_000_000;
const DIGITS: u8 = 3;

/// A histogram of nanoseconds. Values past an hour are counted as an hour.
#[derive(Clone, Debug)]
pub struct Histogram(Hdr<u64>);

impl Default for Histogram {
    fn default() -> Self {
        // The bounds are constants that the library accepts; the test below holds it.
        Self(Hdr::new_with_bounds(1, HIGHEST, DIGITS).unwrap_or_else(|_| unreachable!("constant bounds")))
    }
}

impl Histogram {
    pub fn record(&mut self, value: Nanos) {
        self.0.saturating_record(value.0.clamp(1, HIGHEST));
    }

    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    #[must_use]
    pub fn quantile(&self, q: f64) -> Nanos {
        Nanos(self.0.value_at_quantile(q))
    }

    /// `HdrHistogram` V2 deflate, base64: the interchange form that its log viewers read.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut bytes = Vec::new();
        // Writing to memory fails only for lack of it.
        let _ = V2DeflateSerializer::new().serialize(&self.0, &mut bytes);
        BASE64_STANDARD.encode(bytes)
    }

    /// # Errors
    /// A sentence when `text` is not base64 of a V2 deflate histogram.
    pub fn decode(text: &str) -> Result<Self, String> {
        let bytes = BASE64_STANDARD.decode(text).map_err(|e| format!("histogram is not base64: {e}"))?;
        Deserializer::new().deserialize(&mut bytes.as_slice()).map(Self).map_err(|e| format!("histogram cannot be read: {e:?}"))
    }

    /// The numbers that are printed, and the histogram itself.
    #[must_use]
    pub fn summary(&self) -> Option<Summary> {
        (self.count() > 0).then(|| Summary {
            count: self.count(),
            min: Nanos(self.0.min()),
            p50: self.quantile(0.5),
            p90: self.quantile(0.9),
            p99: self.quantile(0.99),
            p99_9: self.quantile(0.999),
            max: Nanos(self.0.max()),
            histogram: self.encode(),
        })
    }
}

/// Quantiles of a histogram in nanoseconds, beside the histogram.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    pub count: u64,
    pub min: Nanos,
    pub p50: Nanos,
    pub p90: Nanos,
    pub p99: Nanos,
    pub p99_9: Nanos,
    pub max: Nanos,
    /// `HdrHistogram` V2 deflate, base64; 1 ns to 1 h, 3 digits.
    pub histogram: String,
}

impl Summary {
    /// A quantile that fewer values than one in its tail tell is the greatest of them under another name; then there is none.
    #[must_use]
    pub fn supported(&self, q: f64, value: Nanos) -> Option<Nanos> {
        (self.count as f64 * (1.0 - q) >= 1.0 - 1e-9).then_some(value)
    }
}

/// Service time of launches, and how it was taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    /// Always `ns`.
    pub unit: String,
    /// `launch`, or `batch of n` where launches were timed together: then no percentile of a launch can be had and they are blank.
    pub per: String,
    /// What took the time: `device events`, `timestamp queries` or `host monotonic clock`.
    pub timer: String,
    /// Smallest difference that the timer tells.
    pub resolution: Nanos,
    /// What the timer tells of a span in which nothing is done, part of every span; blank where it was not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overhead: Option<Nanos>,
    /// Whether the device was held back until the host had enqueued what a span begins with. Elsewhere the first launch of a batch may bear
    /// the time of its own submission.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub start_gate: bool,
    /// From the start of a launch to its end.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Summary>,
    /// Launches that ran under a limit (power, heat, a locked clock), apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limited: Option<Summary>,
    /// From the intended start to the end; only where launches were paced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<Summary>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_survives_the_record() {
        let mut histogram = Histogram::default();
        (1..=1_000).for_each(|value| histogram.record(Nanos(value * 1_000)));
        let back = Histogram::decode(&histogram.encode()).expect("own encoding");
        assert_eq!(back.count(), 1_000);
        assert_eq!(back.quantile(0.5), histogram.quantile(0.5));
        assert!(histogram.quantile(0.5).0.abs_diff(500_000) <= 500, "three digits");
    }

    #[test]
    fn nothing_recorded_is_blank_and_the_extremes_are_kept() {
        let mut histogram = Histogram::default();
        assert!(histogram.summary().is_none());
        histogram.record(Nanos(0));
        histogram.record(Nanos(u64::MAX));
        let summary = histogram.summary().expect("two values");
        assert_eq!((summary.count, summary.min), (2, Nanos(1)));
        assert!(summary.max.0 >= HIGHEST - HIGHEST / 1_000);
    }

    #[test]
    fn garbage_is_an_error_in_words() {
        assert!(Histogram::decode("not base64!").unwrap_err().contains("base64"));
        assert!(Histogram::decode("AAAA").unwrap_err().contains("cannot be read"));
    }
}
