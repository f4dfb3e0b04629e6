//! nccl-tests, `all_reduce_perf -J FILE` and its like, or the lines that they print.
//!
//! Format: NVIDIA/nccl-tests, src/util.cu of version 2.19.6 (JSON version 2, which writes truth as text); doc/PERFORMANCE.md says what
//! the bandwidths are. The rate kept is the bus bandwidth: what each link carries, whichever the collective and the number of ranks.

use super::{Imported, Subject, Tool, address, bounded, device, layout, short};
use crate::{
    record::{Device, Entry, Kind, Node, Origin, Outcome, RateUnit},
    units::binary,
};
use serde::Deserialize;
use serde_json::Value;

pub const TOOL: Tool = Tool {
    name: "nccl-tests",
    command: "all_reduce_perf -J FILE",
    format: "NVIDIA/nccl-tests: src/util.cu, version 2.19.6; doc/PERFORMANCE.md",
    recognises: |value| value.get("results").is_some() && value.get("average_bus_bandwidth").is_some(),
    read,
    text: Some(("busbw", text)),
};

/// Blanks in place of the columns out of place.
const BLANK: usize = 32;
const NOTE: &str = "bus bandwidth: size over time, times what the collective moves over each link";

#[derive(Deserialize)]
struct Report {
    #[serde(default)]
    args: Vec<String>,
    start_time: Option<String>,
    nccl_version: Option<u64>,
    #[serde(default)]
    config: Config,
    results: Vec<Row>,
}

#[derive(Deserialize, Default)]
struct Config {
    nthreads: Option<usize>,
    ngpus: Option<usize>,
    #[serde(default)]
    devices: Vec<Rank>,
}

#[derive(Deserialize)]
struct Rank {
    hostname: String,
    device: u32,
    device_hex: String,
    device_info: String,
}

#[derive(Deserialize)]
struct Row {
    size: u64,
    #[serde(rename = "type")]
    dtype: String,
    redop: String,
    out_of_place: Option<Timing>,
    in_place: Option<Timing>,
}

#[derive(Deserialize)]
struct Timing {
    /// Microseconds.
    time: Option<f64>,
    cpu_time: Option<f64>,
    alg_bw: f64,
    bus_bw: f64,
    /// Blank where results were not checked.
    nwrong: Option<f64>,
}

/// What all rows share.
struct Run {
    origin: Origin,
    collective: String,
    devices: Vec<Device>,
    ranks: usize,
}

fn read(value: &Value) -> Result<Imported, String> {
    let report: Report = layout(value)?;
    let rank = |rank: &Rank| Device { bus: address(&rank.device_hex), ..device("cuda", rank.device, Kind::Gpu, &rank.device_info) };
    let devices: Vec<Device> = report.config.devices.iter().map(rank).collect();
    // Without MPI only the first rank is listed, however many there are.
    let threads = report.config.nthreads.unwrap_or(1).saturating_mul(report.config.ngpus.unwrap_or(1));
    // NCCL's own number: 22703 is 2.27.3.
    let version = report.nccl_version.map(|v| format!("with NCCL {}.{}.{}", v / 10_000, v % 10_000 / 100, v % 100));
    let run = Run {
        origin: Origin { tool: TOOL.name.into(), version, measured_at: report.start_time.as_deref().map(short) },
        collective: collective(report.args.first().map_or("collective", String::as_str)),
        ranks: devices.len().max(threads),
        devices,
    };
    let hostname = report.config.devices.first().map(|rank| short(&rank.hostname));
    let mut entries = Vec::new();
    for row in &report.results {
        for (place, timing) in [("out-of-place", &row.out_of_place), ("in-place", &row.in_place)] {
            entries.extend(timing.as_ref().map(|timing| run.entry(row.size, (&row.dtype, &row.redop), place, timing)).transpose()?);
            bounded(&entries)?;
        }
    }
    Ok(Imported { origin: run.origin, node: Node { hostname, ..Node::default() }, devices: run.devices, entries })
}

/// `all_reduce` of a path to `all_reduce_perf`: where it lay is nobody's affair.
fn collective(program: &str) -> String {
    let name = program.rsplit(['/', '\\']).next().unwrap_or(program);
    short(name.trim_end_matches("_mpi").trim_end_matches("_perf"))
}

impl Run {
    fn entry(&self, size: u64, (dtype, redop): (&str, &str), place: &str, timing: &Timing) -> Result<Entry, String> {
        let unknown = device("cuda", 0, Kind::Gpu, "unknown GPU");
        let operation = if redop == "none" { self.collective.clone() } else { format!("{}-{redop}", self.collective) };
        let subject = Subject {
            origin: &self.origin,
            device: self.devices.first().unwrap_or(&unknown),
            operation: &operation,
            variant: place,
            precision: dtype,
            shape: &binary(size),
        };
        let wrong = timing.nwrong.unwrap_or(0.0);
        let mut entry = if wrong > 0.0 {
            subject.without(Outcome::Invalid, &format!("{wrong} elements were wrong, by nccl-tests' own check"))
        } else {
            let checked = if timing.nwrong.is_some() { "its own check found no fault" } else { "results were not checked" };
            subject.single(RateUnit::Bytes, timing.bus_bw, 1e9, &format!("{NOTE}; {checked}"))?
        };
        entry.load = if self.ranks > 1 { format!("together({})", self.ranks) } else { "alone".into() };
        let times = [("time_us", timing.time.or(timing.cpu_time)), ("algorithm_bandwidth_gb_s", Some(timing.alg_bw))];
        entry.counters = times.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
        Ok(entry)
    }
}

/// The lines for people: comments begin with `#`, a row has five names and two groups of time, two bandwidths and faults.
fn text(text: &str) -> Result<Imported, String> {
    let started = text.lines().find_map(|line| line.strip_prefix("# Collective test starting: "));
    let used: Vec<Device> = text.lines().filter_map(used).collect();
    let origin = |line: &str| line.strip_prefix("# nccl-tests version ").and_then(|rest| rest.split(' ').next()).map(short);
    let run = Run {
        origin: Origin { tool: TOOL.name.into(), version: text.lines().find_map(origin), measured_at: None },
        collective: collective(started.unwrap_or("collective")),
        ranks: used.len(),
        devices: used,
    };
    if run.devices.is_empty() {
        return Err("no line names a rank (`#  Rank 0 … on HOST device 0 [0000:1b:00] NAME`)".into());
    }
    if text.contains("i_min") {
        return Err("it has columns of single iterations; have it written by -J FILE".into());
    }
    let mut entries = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| line.trim_start().starts_with(|c: char| c.is_ascii_digit())) {
        let cells: Vec<&str> = line.split_whitespace().collect();
        let wrong = |what: &str| format!("line {}: {what}", number + 1);
        let &[size, _, dtype, redop, _, ref figures @ ..] = &cells[..] else { return Err(wrong("fewer than five names")) };
        let size = size.parse().map_err(|_| wrong("its size is no number"))?;
        let (places, _) = figures.as_chunks::<4>();
        if places.is_empty() {
            return Err(wrong("no time and bandwidths"));
        }
        // Of a test that works in place alone, the other's columns are blank.
        let blank = places.len() == 1 && line.contains(&" ".repeat(BLANK));
        for (place, cells) in ["out-of-place", "in-place"].into_iter().skip(usize::from(blank)).zip(places) {
            let figure = |at: usize| cells[at].parse::<f64>().map_err(|_| wrong(&format!("`{}` is no figure", short(cells[at]))));
            let nwrong = if cells[3] == "N/A" { None } else { Some(figure(3)?) };
            let timing = Timing { time: Some(figure(0)?), cpu_time: None, alg_bw: figure(1)?, bus_bw: figure(2)?, nwrong };
            entries.push(run.entry(size, (dtype, redop), place, &timing).map_err(|why| wrong(&why))?);
            bounded(&entries)?;
        }
    }
    Ok(Imported { origin: run.origin, node: Node::default(), devices: run.devices, entries })
}

/// `#  Rank  0 Group  0 Pid 1 on host device  0 [0000:1b:00] NVIDIA H100`
fn used(line: &str) -> Option<Device> {
    let rest = line.strip_prefix('#')?.trim_start().strip_prefix("Rank ")?;
    let (place, model) = rest.rsplit_once("] ")?;
    let (before, bus) = place.rsplit_once(" [")?;
    let index: u32 = before.rsplit_once("device")?.1.trim().parse().ok()?;
    Some(Device { bus: address(bus), ..device("cuda", index, Kind::Gpu, model) })
}
