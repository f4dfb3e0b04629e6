//! What measuring itself costs: recording a launch, looking at sensors, and generating and folding what outputs are verified against.
//!
//!     cargo bench --bench overhead
//!
//! Fails when a figure is past its bound, so that it can stand in a pipeline.

use assay::{
    contract::Span,
    device::BACKENDS,
    measure::{Context, Profile, Readings, Series, measure},
    plan::{Plan, random_f64, weight},
    record::{Device, Kind},
    telemetry::{Sampler, Sources},
    units::Nanos,
    workload::{self, Choice, SUITES},
};
use std::{hint::black_box, process::ExitCode, time::Instant};

/// Recording a launch may take this long.
const RECORDING_NS: f64 = 100.0;
/// Sensors that are looked at may shift a median by this part.
const SHIFT: f64 = 0.001;

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

/// How far looking at NVML ten times a second shifts the median launch on the CPU: measurements with and without take turns, and each
/// with it stands between two without, so that a drift falls out. The library is a fake: what is told is the agent's part.
fn shift() -> Option<f64> {
    const PAIRS: usize = 15;
    let cpu = BACKENDS.iter().find(|backend| backend.name == "cpu")?;
    let machine = (cpu.open)(&["cpu:0".into()]).ok()?;
    let choice = Choice { suite: SUITES[0], footprint: Some(4 << 20), seed: 1 };
    let plan = workload::plans(&machine.devices()[0], &choice).into_iter().find(|plan| plan.key.operation == "triad")?;
    let plan = Plan { sustained: false, ..plan };
    let variants: Vec<_> = machine.variants(&plan).into_iter().take(1).collect();
    let profile = Profile { burst: Nanos(1_000_000_000), sustained: Nanos(1_000_000_000), precision: None };
    let once = || {
        let (readings, nothing) = (|_: Nanos, _: Nanos| Readings::default(), || false);
        let context = Context {
            profile,
            interrupted: &nothing,
            readings: &readings,
            expected: None,
            ended: &|_| {},
            phase: &|_| {},
            fell: &|_, _| {},
        };
        let entry = measure(machine.as_ref(), &plan, &variants, &context).pop()?;
        Some(median(entry.series.iter().map(|block| block.median.seconds()).collect()))
    };
    let library = std::env::current_exe().ok()?.with_file_name("libfake_nvml.so");
    let sources = Sources::open(Some(&library));
    let card = Device { bus: Some("0000:0a:00.0".into()), ..Device::new("cuda:0", "cuda", Kind::Gpu, "x") };
    let watched = || {
        let sampler = Sampler::start(sources.probe(&card).ok()?, machine.clock(), Sampler::PERIOD).ok()?;
        let time = once();
        drop(sampler.stop());
        time
    };
    let pair = |_| {
        let (before, with, after) = (once()?, watched()?, once()?);
        Some(with / f64::midpoint(before, after) - 1.0)
    };
    (0..PAIRS).map(pair).collect::<Option<Vec<_>>>().map(median)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() -> ExitCode {
    let recording = recording();
    let Some(shift) = shift() else {
        eprintln!("the CPU backend, or the fake of NVML beside this program, cannot be opened");
        return ExitCode::FAILURE;
    };
    let generating = per_item(1 << 22, || {
        black_box((0..1_u64 << 22).fold(0.0, |sum, e| sum + random_f64(black_box(3), e)));
    });
    let weighing = per_item(1 << 22, || {
        let seed = black_box(3);
        black_box(pulp::Arch::new().dispatch(|| (0..1_u64 << 22).fold(0_u32, |sum, e| sum.wrapping_add(weight(seed, e)))));
    });
    println!("recording a launch        {recording:7.2} ns  (at most {RECORDING_NS} ns)");
    println!("sensors shift a median by {:7.3} %  (at most {} %)", shift * 100.0, SHIFT * 100.0);
    println!("generating an fp64 input  {generating:7.2} ns");
    println!("a weight of a fold        {weighing:7.2} ns");
    if recording > RECORDING_NS || shift > SHIFT { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
