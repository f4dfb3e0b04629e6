//! How fine events resolve, and what a launch costs: in a stream, in a graph, one after the other.

use crate::driver::{Device, Function, function, launch, open};
use anyhow::{Result, anyhow};
use cudarc::driver::{
    CudaEvent, DriverError,
    sys::{CUevent_flags, CUgraphInstantiate_flags, CUstreamCaptureMode},
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The shortest kernel there is; every driver compiles it for its device.
const EMPTY: &str = ".version 6.0\n.target sm_70\n.address_size 64\n.visible .entry empty()\n{\nret;\n}\n\0";
/// Launches of a chain.
const CHAIN: u32 = 1000;
/// Repetitions of each measurement; the middle one is told.
const REPETITIONS: usize = 21;
/// How long the device is kept busy before anything is read: an idle one runs at a fraction of its clocks, and takes a while to leave that.
const WARM: Duration = Duration::from_secs(1);

fn said(error: DriverError) -> anyhow::Error {
    anyhow!("the driver said {:?}", error.0)
}

fn event(device: &Device) -> Result<CudaEvent> {
    device.context.new_event(Some(CUevent_flags::CU_EVENT_DEFAULT)).map_err(said)
}

/// Nanoseconds between two events around the work, on the device's clock.
fn timed(device: &Device, work: impl Fn() -> Result<()>) -> Result<f64> {
    let (begin, end) = (event(device)?, event(device)?);
    begin.record(&device.stream).map_err(said)?;
    work()?;
    end.record(&device.stream).map_err(said)?;
    Ok(f64::from(begin.elapsed_ms(&end).map_err(said)?) * 1e6)
}

/// Sorted.
fn repeated(count: usize, measure: impl Fn() -> Result<f64>) -> Result<Vec<f64>> {
    let mut found = (0..count).map(|_| measure()).collect::<Result<Vec<_>>>()?;
    found.sort_by(f64::total_cmp);
    Ok(found)
}

/// The smallest step between different elapsed times: what an event can tell apart.
fn resolution(sorted: &[f64]) -> Option<f64> {
    let steps = sorted.windows(2).map(|pair| pair[1] - pair[0]).filter(|step| *step > 0.0);
    steps.min_by(f64::total_cmp)
}

fn chain(device: &Device, empty: &Function) -> Result<()> {
    (0..CHAIN).try_for_each(|_| launch(device, empty, (1, 1, 0), &[], None))
}

/// Nanoseconds in which the host enqueues a chain on an idle stream.
fn submitted(device: &Device, empty: &Function) -> Result<f64> {
    let begin = Instant::now();
    chain(device, empty)?;
    let taken = begin.elapsed();
    device.stream.synchronize().map_err(said)?;
    Ok(taken.as_nanos() as f64)
}

pub fn document() -> Result<Value> {
    let device = open()?;
    let empty = function(EMPTY.as_bytes(), "empty")?;
    let begin = Instant::now();
    while begin.elapsed() < WARM {
        chain(&device, &empty)?;
        device.stream.synchronize().map_err(said)?;
    }

    let pairs = repeated(500, || timed(&device, || Ok(())))?;
    let singles = repeated(200, || timed(&device, || launch(&device, &empty, (1, 1, 0), &[], None)))?;
    let streams = repeated(REPETITIONS, || timed(&device, || chain(&device, &empty)))?;
    let submissions = repeated(REPETITIONS, || submitted(&device, &empty))?;

    device.stream.begin_capture(CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL).map_err(said)?;
    chain(&device, &empty)?;
    let flags = CUgraphInstantiate_flags::CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH;
    let graph = device.stream.end_capture(flags).map_err(said)?.ok_or_else(|| anyhow!("nothing was captured"))?;
    graph.launch().map_err(said)?;
    let graphs = repeated(REPETITIONS, || timed(&device, || graph.launch().map_err(said)))?;
    // The same at both ends, or clocks moved in between.
    let again = repeated(500, || timed(&device, || Ok(())))?;

    let all: Vec<f64> = {
        let mut all = [pairs.clone(), singles.clone()].concat();
        all.sort_by(f64::total_cmp);
        all
    };
    let middle = |sorted: &[f64]| sorted[sorted.len() / 2];
    Ok(json!({
        "schema": "assay.launches/1",
        "device": device.name,
        "capability": device.capability,
        "driver": device.driver,
        "unit": "ns",
        "event_resolution": resolution(&all),
        "empty_event_pair": { "min": pairs[0], "p50": middle(&pairs) },
        "empty_event_pair_at_the_end": { "min": again[0], "p50": middle(&again) },
        "single_launch": { "min": singles[0], "p50": middle(&singles) },
        "dependent_launch_in_stream": { "min": streams[0] / f64::from(CHAIN), "p50": middle(&streams) / f64::from(CHAIN) },
        "dependent_launch_in_graph": { "min": graphs[0] / f64::from(CHAIN), "p50": middle(&graphs) / f64::from(CHAIN) },
        "submission_by_host": middle(&submissions) / f64::from(CHAIN),
        "chain": CHAIN,
    }))
}
