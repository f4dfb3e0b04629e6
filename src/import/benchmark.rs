//! Google Benchmark, `PROGRAM --benchmark_format=json`: a row a repetition, and aggregates of them.
//!
//! Format: google/benchmark, docs/json_format.md (`json_schema_version` 1). Repetitions become a mean with its interval; where only
//! aggregates were kept, their mean and standard deviation do. A benchmark that declares bytes or items is kept as that rate, by wall
//! time, whatever its author counts as a byte; any other as time an iteration. Counters of its own have no unit, and are left out.

use super::{Imported, Subject, Tool, bounded, device, interval, layout, short, spread};
use crate::record::{Device, Entry, Interval, Kind, Node, Origin, Outcome, RateUnit};
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;

pub const TOOL: Tool = Tool {
    name: "google-benchmark",
    command: "PROGRAM --benchmark_format=json",
    format: "google/benchmark: docs/json_format.md, json_schema_version 1",
    recognises: |value| value.get("benchmarks").is_some() && value.get("context").is_some(),
    read,
    text: None,
};

#[derive(Deserialize)]
struct Report {
    context: Context,
    benchmarks: Vec<Row>,
}

#[derive(Deserialize)]
struct Context {
    date: Option<String>,
    host_name: Option<String>,
    num_cpus: Option<u32>,
    library_version: Option<String>,
    json_schema_version: Option<u32>,
}

#[derive(Deserialize)]
struct Row {
    name: String,
    run_name: Option<String>,
    run_type: Option<String>,
    aggregate_name: Option<String>,
    repetitions: Option<usize>,
    real_time: Option<f64>,
    time_unit: Option<String>,
    bytes_per_second: Option<f64>,
    items_per_second: Option<f64>,
    big_o: Option<String>,
    rms: Option<f64>,
    #[serde(default)]
    error_occurred: bool,
    error_message: Option<String>,
    #[serde(default)]
    skipped: bool,
    skip_message: Option<String>,
}

const TIMES: &[(&str, f64)] = &[("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3), ("s", 1.0)];

fn read(value: &Value) -> Result<Imported, String> {
    let Report { context, benchmarks } = layout(value)?;
    if let Some(newer) = context.json_schema_version.filter(|version| *version > 1) {
        return Err(format!("json_schema_version is {newer}; 1 is read"));
    }
    let origin = Origin {
        tool: TOOL.name.into(),
        version: context.library_version.as_deref().map(short),
        measured_at: context.date.as_deref().map(short),
    };
    // What a benchmark runs on is its author's affair; that it was called from this host is all that is told.
    let host = device("host", 0, Kind::Cpu, "host of the benchmark");
    let node = Node { hostname: context.host_name.as_deref().map(short), logical_cores: context.num_cpus, ..Node::default() };
    let mut groups: Vec<(&str, Vec<&Row>)> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for row in &benchmarks {
        let name = row.run_name.as_deref().unwrap_or(&row.name);
        let at = *places.entry(name).or_insert_with(|| {
            groups.push((name, Vec::new()));
            groups.len() - 1
        });
        groups[at].1.push(row);
    }
    let mut entries = Vec::new();
    for (name, rows) in groups {
        entries.extend(entry(&origin, &host, name, &rows).map_err(|why| format!("benchmark {}: {why}", short(name)))?);
        bounded(&entries)?;
    }
    Ok(Imported { origin, node, devices: vec![host], entries })
}

/// One benchmark's rows as an entry; none where they are only fits of a complexity.
fn entry(origin: &Origin, host: &Device, name: &str, rows: &[&Row]) -> Result<Option<Entry>, String> {
    let subject = |counts| Subject { origin, device: host, operation: name, variant: "host", precision: counts, shape: "" };
    if let Some(row) = rows.iter().find(|row| row.error_occurred) {
        let why = short(row.error_message.as_deref().unwrap_or("no message"));
        return Ok(Some(subject("").without(Outcome::Failed, &format!("it reports an error: {why}"))));
    }
    if let Some(row) = rows.iter().find(|row| row.skipped) {
        return Ok(Some(subject("").without(Outcome::Skipped, &short(row.skip_message.as_deref().unwrap_or("no message")))));
    }
    let timed: Vec<&Row> = rows.iter().copied().filter(|row| row.big_o.is_none() && row.rms.is_none()).collect();
    let Some(first) = timed.first() else { return Ok(None) };
    let (counts, unit, of): (_, _, fn(&Row) -> Option<f64>) = if first.bytes_per_second.is_some() {
        ("bytes", RateUnit::Bytes, |row| row.bytes_per_second)
    } else if first.items_per_second.is_some() {
        ("items", RateUnit::Items, |row| row.items_per_second)
    } else {
        ("time", RateUnit::Seconds, |row| row.real_time)
    };
    let scale = if unit == RateUnit::Seconds { time_unit(first)? } else { 1.0 };
    let value = estimate(&timed, of).ok_or("its figures are not finite and positive")?;
    let value = Interval { value: value.value * scale, low: value.low * scale, high: value.high * scale };
    let note = match counts {
        "bytes" => "bytes by wall time, as the benchmark's author counts them",
        "items" => "items by wall time, as the benchmark's author counts them",
        _ => "wall time an iteration",
    };
    Ok(Some(subject(counts).measured(unit, value, note)))
}

/// Of repetitions, else of the aggregates of them.
fn estimate(rows: &[&Row], of: fn(&Row) -> Option<f64>) -> Option<Interval> {
    let is_one = |row: &&&Row| row.run_type.as_deref() != Some("aggregate") && row.aggregate_name.is_none();
    let samples: Vec<&Row> = rows.iter().filter(is_one).copied().collect();
    if !samples.is_empty() {
        return interval(&samples.iter().map(|row| of(row)).collect::<Option<Vec<f64>>>()?);
    }
    let aggregate = |name: &str| rows.iter().find(|row| row.aggregate_name.as_deref() == Some(name));
    let mean = aggregate("mean")?;
    let deviation = aggregate("stddev").and_then(|row| of(row)).unwrap_or(0.0);
    spread(of(mean)?, deviation, if deviation > 0.0 { mean.repetitions.unwrap_or(1) } else { 1 })
}

fn time_unit(row: &Row) -> Result<f64, String> {
    let unit = row.time_unit.as_deref().unwrap_or("none");
    let known = TIMES.iter().find(|(name, _)| *name == unit);
    known.map(|(_, scale)| *scale).ok_or_else(|| format!("the unit `{}` is not known; there are ns, us, ms and s", short(unit)))
}
