//! clpeak, `clpeak -o FILE` (3.0) or `clpeak --json-file FILE` (2.x): a figure a reading, with its unit beside.
//!
//! Format: krrishnarraj/clpeak, docs/format-v3.md (a tree of devices, tests, metrics) and src/common/result_store.cpp of 2.1 (a flat
//! list). Prefixes are decimal, and memory counts what is read plus what is written, as here. What is accumulated in is not told:
//! a half-precision figure may be of sums in half precision.

use super::{Imported, Subject, Tool, bounded, device, layout, short};
use crate::record::{Device, Entry, Kind, Node, Origin, Outcome, RateUnit};
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;

pub const TOOL: Tool = Tool {
    name: "clpeak",
    command: "clpeak -o FILE",
    format: "krrishnarraj/clpeak: docs/format-v3.md; src/common/result_store.cpp, version 2.1",
    recognises: |value| value.get("clpeak_version").is_some(),
    read,
    text: None,
};

#[derive(Deserialize)]
struct Versioned {
    format_version: u32,
}

/// What both versions say of a reading that has none.
#[derive(Deserialize)]
struct Reading {
    value: Option<f64>,
    status: Option<String>,
    reason: Option<String>,
}

#[derive(Deserialize)]
struct Run3 {
    clpeak_version: String,
    generated_at: Option<String>,
    devices: Vec<Device3>,
}

#[derive(Deserialize)]
struct Device3 {
    backend: String,
    name: String,
    driver: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    device_index: Option<u32>,
    tests: Vec<Test3>,
}

#[derive(Deserialize)]
struct Test3 {
    id: String,
    variant: Option<String>,
    quantity: String,
    scale: f64,
    metrics: Vec<Metric3>,
}

#[derive(Deserialize)]
struct Metric3 {
    id: String,
    quantity: Option<String>,
    scale: Option<f64>,
    #[serde(flatten)]
    reading: Reading,
}

#[derive(Deserialize)]
struct Run2 {
    clpeak_version: String,
    entries: Vec<Entry2>,
}

#[derive(Deserialize)]
struct Entry2 {
    backend: String,
    device: String,
    driver: Option<String>,
    test: String,
    metric: String,
    unit: String,
    #[serde(flatten)]
    reading: Reading,
}

/// Quantities of version 3; those of no SI unit (`ratio`, `count`) cannot be rates.
const QUANTITIES: &[(&str, RateUnit)] = &[
    ("flops", RateUnit::Flops),
    ("ops", RateUnit::Flops),
    ("bytes_per_second", RateUnit::Bytes),
    ("items_per_second", RateUnit::Items),
    ("seconds", RateUnit::Seconds),
];

/// Units of version 2, and their size.
const UNITS: &[(&str, RateUnit, f64)] = &[
    ("gflops", RateUnit::Flops, 1e9),
    ("tflops", RateUnit::Flops, 1e12),
    ("gops", RateUnit::Flops, 1e9),
    ("tops", RateUnit::Flops, 1e12),
    ("gbps", RateUnit::Bytes, 1e9),
    ("gtexels", RateUnit::Items, 1e9),
    ("us", RateUnit::Seconds, 1e-6),
    ("ns", RateUnit::Seconds, 1e-9),
];

const NOTE: &str = "inputs are one repeated pattern, which flatters products; counted as clpeak does";

fn read(value: &Value) -> Result<Imported, String> {
    match layout::<Versioned>(value)?.format_version {
        3 => read3(&layout(value)?),
        2 => read2(&layout(value)?),
        other => Err(format!("format_version is {other}; 2 and 3 are read")),
    }
}

fn origin(version: &str, measured_at: Option<&String>) -> Origin {
    Origin { tool: TOOL.name.into(), version: Some(short(version)), measured_at: measured_at.map(|at| short(at)) }
}

fn found(backend: &str, index: impl std::fmt::Display, kind: Kind, name: &str, driver: Option<&String>) -> Device {
    Device { driver: driver.map(|driver| short(driver)), ..device(&short(backend).to_lowercase(), index, kind, name) }
}

fn read3(run: &Run3) -> Result<Imported, String> {
    let origin = origin(&run.clpeak_version, run.generated_at.as_ref());
    let mut devices = Vec::new();
    let mut entries = Vec::new();
    for (place, of) in run.devices.iter().enumerate() {
        let kind = if of.kind.as_deref() == Some("cpu") { Kind::Cpu } else { Kind::Gpu };
        let device = found(&of.backend, of.device_index.unwrap_or(place as u32), kind, &of.name, of.driver.as_ref());
        for test in &of.tests {
            for metric in &test.metrics {
                let subject = Subject {
                    origin: &origin,
                    device: &device,
                    operation: &test.id,
                    variant: test.variant.as_deref().unwrap_or(&device.backend),
                    precision: "",
                    shape: &metric.id,
                };
                let quantity = metric.quantity.as_ref().unwrap_or(&test.quantity);
                let unit = QUANTITIES.iter().find(|(name, _)| name == quantity).map(|(_, unit)| *unit);
                let unit = unit.map(|unit| (unit, metric.scale.unwrap_or(test.scale)));
                entries.push(entry(&subject, unit, quantity, &metric.reading)?);
                bounded(&entries)?;
            }
        }
        devices.push(device);
    }
    Ok(Imported { origin, node: Node::default(), devices, entries })
}

fn read2(run: &Run2) -> Result<Imported, String> {
    let origin = origin(&run.clpeak_version, None);
    let mut devices: Vec<Device> = Vec::new();
    let mut places: HashMap<(&str, &str), usize> = HashMap::new();
    let mut entries = Vec::new();
    for of in &run.entries {
        let backend = short(&of.backend).to_lowercase();
        let at = *places.entry((&of.backend, &of.device)).or_insert_with(|| {
            let kind = if backend == "cpu" { Kind::Cpu } else { Kind::Gpu };
            devices.push(found(&backend, devices.len(), kind, &of.device, of.driver.as_ref()));
            devices.len() - 1
        });
        let subject = Subject {
            origin: &origin,
            device: &devices[at],
            operation: &of.test,
            variant: &backend,
            precision: "",
            shape: &of.metric,
        };
        let unit = UNITS.iter().find(|(name, ..)| *name == of.unit);
        if unit.is_none() && of.reading.value.is_some() {
            let known: Vec<_> = UNITS.iter().map(|(name, ..)| *name).collect();
            return Err(format!(
                "{}: the unit `{}` is not known; there are {}",
                short(&of.test),
                short(&of.unit),
                known.join(", ")
            ));
        }
        entries.push(entry(&subject, unit.map(|(_, unit, scale)| (*unit, *scale)), &of.unit, &of.reading)?);
        bounded(&entries)?;
    }
    Ok(Imported { origin, node: Node::default(), devices, entries })
}

fn entry(subject: &Subject, unit: Option<(RateUnit, f64)>, quantity: &str, reading: &Reading) -> Result<Entry, String> {
    let why = || short(reading.reason.as_deref().unwrap_or("no further word"));
    match (reading.value, unit, reading.status.as_deref()) {
        (Some(value), Some((unit, scale)), _) => subject.single(unit, value, scale, NOTE),
        (Some(_), None, _) => Ok(subject.without(Outcome::Skipped, &format!("`{}` is neither a rate nor a time", short(quantity)))),
        (None, _, Some("error")) => Ok(subject.without(Outcome::Failed, &format!("clpeak reports an error: {}", why()))),
        (None, _, Some("unsupported" | "skipped")) => Ok(subject.without(Outcome::Skipped, &why())),
        (None, ..) => Err(format!("{} {}: no value, and no status that says why", short(subject.operation), short(subject.shape))),
    }
}
