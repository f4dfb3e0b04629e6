//! A check's figures for those who keep histories: Bencher's metric format, and github-action-benchmark's `customBiggerIsBetter`.

use crate::{
    judge::{Check, Row},
    record::{Interval, RateUnit},
};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Bencher's metric format (bencher.dev/docs/reference/bencher-metric-format): benchmark, measure, value with its bounds. It names no
/// units, so a measure is named by its unit; times are its own `latency`, in nanoseconds.
///
/// # Errors
/// None that a check can cause; serde's own.
pub fn bencher(check: &Check) -> serde_json::Result<String> {
    let mut benchmarks = Map::new();
    for row in &check.rows {
        let (measure, scale) = match known(&row.compared.metric.unit) {
            Some(RateUnit::Flops) => ("flop-per-second".to_owned(), 1.0),
            Some(RateUnit::Bytes) => ("bytes-per-second".to_owned(), 1.0),
            Some(RateUnit::Items) => ("throughput".to_owned(), 1.0),
            Some(RateUnit::Seconds) => ("latency".to_owned(), 1e9),
            None => (row.compared.metric.unit.chars().take(64).collect(), 1.0),
        };
        let Interval { value, low, high } = row.figure;
        let metric = json!({ "value": value * scale, "lower_value": low * scale, "upper_value": high * scale });
        benchmarks.insert(benchmark(row), Value::Object(Map::from_iter([(measure, metric)])));
    }
    serde_json::to_string_pretty(&benchmarks)
}

/// An entry of `customBiggerIsBetter`.
#[derive(Serialize)]
struct Bigger {
    name: String,
    unit: String,
    value: f64,
    range: String,
    extra: String,
}

/// github-action-benchmark's list. A time, of which less is better, becomes its inverse.
///
/// # Errors
/// None that a check can cause; serde's own.
pub fn bigger_is_better(check: &Check) -> serde_json::Result<String> {
    let each = check.rows.iter().map(|row| {
        let (metric, figure) = (&row.compared.metric, row.figure);
        let turned = Interval { value: 1.0 / figure.value, low: 1.0 / figure.high, high: 1.0 / figure.low };
        let (shown, unit) =
            if metric.higher_is_better { (figure, metric.unit.clone()) } else { (turned, format!("1/{}", metric.unit)) };
        Bigger {
            name: benchmark(row),
            unit,
            value: shown.value,
            range: range(shown),
            extra: format!("{} of {}", row.compared.judged.verdict.name(), super::check::quoted(figure, &metric.unit)),
        }
    });
    serde_json::to_string_pretty(&each.collect::<Vec<_>>())
}

/// An interval with an open side has no half.
fn range(of: Interval) -> String {
    let half = (of.high - of.low) / 2.0;
    if half <= of.value.abs() { format!("± {half}") } else { "more than ± 100 %".into() }
}

fn benchmark(row: &Row) -> String {
    format!("{} {}", row.id, row.compared.label()).chars().take(1_024).collect()
}

fn known(unit: &str) -> Option<RateUnit> {
    [RateUnit::Flops, RateUnit::Bytes, RateUnit::Items, RateUnit::Seconds].into_iter().find(|known| known.symbol() == unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_side_is_no_number() {
        assert_eq!(range(Interval { value: 4.0, low: 3.5, high: 4.5 }), "± 0.5");
        for open in [Interval { value: 4.0, low: 2.0, high: f64::MAX }, Interval { value: 4.0, low: 2.0, high: f64::INFINITY }] {
            assert_eq!(range(open), "more than ± 100 %");
        }
    }
}
