//! What assay itself costs, as numbers that `assay check` reads: one run of each metric, in processor time, so that a busy machine
//! disturbs them little.
//!
//!     cargo build --release --bench own_costs; target/release/deps/own_costs-* > run.json
//!
//! `tests/overheads` holds one build against another by it. Built with ASSAY_SLOWED set, recording a launch does more than it has to: the
//! regression that must be found.

use assay::{
    contract::Span,
    measure::Series,
    plan::{random_f64, weight},
    units::Nanos,
};
use nix::time::{ClockId, clock_gettime};
use std::{fmt::Write, hint::black_box, time::Duration};

const SLOWED: bool = option_env!("ASSAY_SLOWED").is_some();
/// Samples of a metric.
const SAMPLES: usize = 15;
/// Launches of a sample.
const LAUNCHES: u64 = 200_000;
/// Elements of a sample.
const ELEMENTS: u64 = 1 << 20;

/// Nanoseconds of processor time an item, sample by sample; the first, which warms up, is not kept.
fn per_item(items: u64, mut work: impl FnMut()) -> Vec<f64> {
    let now = || clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from);
    let sample = |_| {
        let begin = now();
        work();
        now().saturating_sub(begin).as_secs_f64() * 1e9 / items as f64
    };
    (0..=SAMPLES).map(sample).skip(1).collect()
}

fn record() {
    let (mut series, mut idle) = (Series::default(), Series::default());
    let mut now = 0;
    for index in 0..LAUNCHES {
        let took = 50_000 + (index * 7_919) % 1_000;
        let span = Span { begin: Nanos(now), took: Nanos(took), launches: 1, intended: None };
        series.push(&span);
        // Half as much again would not do: neighbours on a shared machine take as much for minutes at a time.
        if SLOWED {
            idle.push(&span);
            idle.push(&span);
        }
        now += took;
    }
    series.end();
    black_box((series.launches(), idle.launches()));
}

fn main() {
    let recording = per_item(LAUNCHES, record);
    let generating = per_item(ELEMENTS, || {
        black_box((0..ELEMENTS).fold(0.0, |sum, e| sum + random_f64(black_box(3), e)));
    });
    let weighing = per_item(ELEMENTS, || {
        let seed = black_box(3);
        black_box(pulp::Arch::new().dispatch(|| (0..ELEMENTS).fold(0_u32, |sum, e| sum.wrapping_add(weight(seed, e)))));
    });
    let metrics = [("recording a launch", recording), ("generating an input", generating), ("a weight of a fold", weighing)];
    let mut text = String::new();
    for (name, samples) in metrics {
        let mark = if text.is_empty() { "[" } else { "," };
        let _ = writeln!(text, r#"{mark}{{"metric": "{name}", "unit": "ns", "higher_is_better": false, "runs": [{samples:?}]}}"#);
    }
    println!("{text}]");
}
