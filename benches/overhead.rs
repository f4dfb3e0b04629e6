//! What measuring itself costs: recording a launch, looking at sensors, and generating and folding what outputs are verified against.
//!
//!     cargo bench --bench overhead
//!
//! Fails when a figure is past its bound, so that it can stand in a pipeline.

use assay::{
    contract::{Prepared, Span},
    device::BACKENDS,
    measure::Series,
    plan::{Pass, random_f64, weight},
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

/// How far looking at NVML ten times a second shifts the median launch on the CPU, with the 95 % interval of the median over rounds.
/// Blocks with and without take turns, off on on off, so that a drift falls out of each round; the machine is loaded all the while.
/// So small a shift is far below what a shared host scatters: sensors are looked at ten times as often, and a tenth is told.
/// The library is a fake: what is told is the agent's part.
fn shift() -> Option<(f64, f64, f64)> {
    const ROUNDS: usize = 100;
    const OFTENER: u64 = 10;
    let cpu = BACKENDS.iter().find(|backend| backend.name == "cpu")?;
    let machine = (cpu.open)(&["cpu:0".into()]).ok()?;
    // Small enough for the second cache, so that what other guests do to memory is not what is timed.
    let choice = Choice { suite: SUITES[0], footprint: Some(1 << 20), seed: 1 };
    let plan = workload::plans(&machine.devices()[0], &choice).into_iter().find(|plan| plan.key.operation == "triad")?;
    let variants: Vec<_> = machine.variants(&plan).into_iter().take(1).collect();
    let mut prepared = machine.prepare(&plan, &variants).ok()?;
    prepared.fill(Pass::Random).ok()?;
    let library = std::env::current_exe().ok()?.with_file_name("libfake_nvml.so");
    let sources = Sources::open(Some(&library));
    let card = Device { bus: Some("0000:0a:00.0".into()), ..Device::new("cuda:0", "cuda", Kind::Gpu, "x") };
    let mut block = |watched: bool| {
        let sampler = if watched {
            Some(Sampler::start(sources.probe(&card).ok()?, machine.clock(), Nanos(Sampler::PERIOD.0 / OFTENER)).ok()?)
        } else {
            None
        };
        let time = launches(prepared.as_mut());
        drop(sampler.map(Sampler::stop));
        time
    };
    block(false)?;
    let round = |_| {
        let [off, on, again, back] = [block(false)?, block(true)?, block(true)?, block(false)?];
        Some((on + again) / (off + back) - 1.0)
    };
    let mut rounds = (0..ROUNDS).map(round).collect::<Option<Vec<f64>>>()?;
    rounds.sort_by(f64::total_cmp);
    // Order statistics that hold the median with 95 %: half the count, less or more 0.98 of its root.
    let reach = (0.98 * (ROUNDS as f64).sqrt()).ceil() as usize;
    let told = |at: usize| rounds[at] / OFTENER as f64;
    Some((told(ROUNDS / 2), told(ROUNDS / 2 - reach), told(ROUNDS / 2 + reach)))
}

/// The median launch of a fifth of a second of launches, in seconds, after as many again that forget the pause in which a sampler
/// was begun or ended.
fn launches(prepared: &mut dyn Prepared) -> Option<f64> {
    let mut times = Vec::new();
    let begin = Instant::now();
    while begin.elapsed().as_secs_f64() < 0.4 {
        let warm = begin.elapsed().as_secs_f64() >= 0.2;
        prepared.start(0, 32).ok()?;
        while !prepared.finished().ok()? {}
        let spans = prepared.spans().ok()?;
        times.extend(spans.iter().filter(|_| warm).map(|span| span.took.seconds() / f64::from(span.launches)));
    }
    Some(median(times))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() -> ExitCode {
    let recording = recording();
    let Some((middle, low, high)) = shift() else {
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
    let [middle, low, high] = [middle, low, high].map(|share| share * 100.0);
    println!("sensors shift a median by {middle:7.3} %  ({low:.3} to {high:.3} %; at most {} %)", SHIFT * 100.0);
    println!("generating an fp64 input  {generating:7.2} ns");
    println!("a weight of a fold        {weighing:7.2} ns");
    if recording > RECORDING_NS || high > SHIFT * 100.0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
