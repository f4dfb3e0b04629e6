//! What measuring itself costs: recording a launch, and generating and folding what outputs are verified against.
//!
//!     cargo bench --bench overhead
//!
//! Fails when a figure is past its bound, so that it can stand in a pipeline.

use assay::{
    contract::Span,
    measure::Series,
    plan::{random_f64, weight},
    units::Nanos,
};
use std::{hint::black_box, process::ExitCode, time::Instant};

/// Recording a launch may take this long.
const RECORDING_NS: f64 = 100.0;

/// Median of nine repetitions, in nanoseconds an item.
fn per_item(items: u64, mut work: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..9)
        .map(|_| {
            let begin = Instant::now();
            work();
            begin.elapsed().as_secs_f64() * 1e9 / items as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[4]
}

/// A minute of launches of 50 µs, with times that vary.
fn recording() -> f64 {
    const LAUNCHES: u64 = 1_200_000;
    per_item(LAUNCHES, || {
        let mut series = Series::default();
        let mut now = 0;
        for index in 0..LAUNCHES {
            let took = 50_000 + (index * 7_919) % 1_000;
            series.push(&Span { begin: Nanos(now), took: Nanos(took), launches: 1, intended: None });
            now += took;
        }
        series.end();
        black_box(series.launches());
    })
}

fn main() -> ExitCode {
    let recording = recording();
    let generating = per_item(1 << 22, || {
        black_box((0..1_u64 << 22).fold(0.0, |sum, e| sum + random_f64(black_box(3), e)));
    });
    let weighing = per_item(1 << 22, || {
        let seed = black_box(3);
        black_box(pulp::Arch::new().dispatch(|| (0..1_u64 << 22).fold(0_u32, |sum, e| sum.wrapping_add(weight(seed, e)))));
    });
    println!("recording a launch        {recording:7.2} ns  (at most {RECORDING_NS} ns)");
    println!("generating an fp64 input  {generating:7.2} ns");
    println!("a weight of a fold        {weighing:7.2} ns");
    if recording > RECORDING_NS { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
