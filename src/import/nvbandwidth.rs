//! nvbandwidth, `nvbandwidth -j`: a matrix of rates a test case.
//!
//! Format: NVIDIA/nvbandwidth, json_output.cpp and testcases_{ce,sm}.cpp of version 0.8. Decimal GB/s, or ns where a pointer is chased.
//! A copy within a device is counted once there; assay counts what is read and what is written. Bytes that cross a link are counted
//! once by both.

use super::{Imported, MAX_ENTRIES, Subject, Tool, address, bounded, device, layout};
use crate::record::{Device, Entry, Kind, Node, Origin, Outcome, RateUnit};
use serde::Deserialize;
use serde_json::Value;

pub const TOOL: Tool = Tool {
    name: "nvbandwidth",
    command: "nvbandwidth -j",
    format: "NVIDIA/nvbandwidth: json_output.cpp, version 0.8",
    recognises: |value| value.get("nvbandwidth").is_some(),
    read,
    text: None,
};

#[derive(Deserialize)]
struct Report {
    nvbandwidth: Body,
}

#[derive(Deserialize)]
struct Body {
    version: Option<String>,
    #[serde(rename = "Driver Version")]
    driver: Option<String>,
    #[serde(rename = "CUDA Runtime Version")]
    cuda: Option<u32>,
    #[serde(rename = "Hostname")]
    hostname: Option<String>,
    #[serde(rename = "GPU Device list")]
    devices: Option<Vec<String>>,
    error: Option<String>,
    testcases: Option<Vec<Case>>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    status: String,
    error: Option<String>,
    bandwidth_description: Option<String>,
    bandwidth_matrix: Option<Vec<Vec<Cell>>>,
}

/// Figures are written as text, `N/A` where there is no such pair.
#[derive(Deserialize)]
#[serde(untagged)]
enum Cell {
    Number(f64),
    Text(String),
}

impl Cell {
    fn number(&self) -> Result<Option<f64>, String> {
        match self {
            Self::Number(value) => Ok(Some(*value)),
            Self::Text(text) if text.trim() == "N/A" => Ok(None),
            Self::Text(text) => text.trim().parse().map(Some).map_err(|_| format!("`{}` is no figure", super::short(text))),
        }
    }
}

fn read(value: &Value) -> Result<Imported, String> {
    let Body { version, driver, cuda, hostname, devices, error, testcases } = layout::<Report>(value)?.nvbandwidth;
    let cases = testcases.unwrap_or_default();
    if let Some(error) = error.filter(|_| cases.is_empty()) {
        return Err(format!("it ended by an error: {}", super::short(&error)));
    }
    let devices = Devices { list: devices.unwrap_or_default(), driver, cuda };
    let origin = Origin { tool: TOOL.name.into(), version: version.map(|v| super::short(&v)), measured_at: None };
    let mut entries = Vec::new();
    for case in &cases {
        let of = case.entries(&origin, &devices);
        entries.extend(of.map_err(|why| format!("test case {}: {why}", super::short(&case.name)))?);
        bounded(&entries)?;
    }
    let devices = (0..devices.list.len()).map(|index| devices.device(index)).collect();
    Ok(Imported { origin, node: Node { hostname: hostname.map(|name| super::short(&name)), ..Node::default() }, devices, entries })
}

/// The devices of a report, by their index in CUDA's order.
struct Devices {
    list: Vec<String>,
    driver: Option<String>,
    cuda: Option<u32>,
}

impl Devices {
    /// `0: NVIDIA H100 80GB HBM3 (00000000:1b:00): (host)`
    fn device(&self, index: usize) -> Device {
        let line = self.list.get(index).and_then(|line| line.strip_prefix(&format!("{index}: ")));
        let (model, bus) =
            line.and_then(|line| line.split("): (").next()?.rsplit_once(" (")).unwrap_or((line.unwrap_or("unknown GPU"), ""));
        Device {
            bus: address(bus.trim_end_matches(')')),
            driver: self.driver.as_deref().map(super::short),
            api: self.cuda.map(|version| format!("CUDA {}.{}", version / 1_000, version % 1_000 / 10)),
            ..device("cuda", index, Kind::Gpu, model)
        }
    }
}

/// How a test case counts, against bytes read plus bytes written.
fn counting(name: &str) -> (f64, &'static str) {
    if name == "device_local_copy" {
        (2.0, "counted twice, as read and as written in the same memory; nvbandwidth counts a local copy once")
    } else if name.contains("bidirectional") && name.ends_with("_ce") {
        (1.0, "one way of the two while both are busy, each byte once, as nvbandwidth counts")
    } else {
        (1.0, "bytes that arrive, each once, as nvbandwidth counts")
    }
}

impl Case {
    fn entries(&self, origin: &Origin, devices: &Devices) -> Result<Vec<Entry>, String> {
        let variant = if self.name.ends_with("_sm") { "kernel" } else { "copy-engine" };
        let first = devices.device(0);
        let whole = Subject { origin, device: &first, operation: &self.name, variant, precision: "", shape: "" };
        let rows = match (self.status.as_str(), &self.bandwidth_matrix) {
            ("Passed", Some(rows)) => rows,
            ("Waived", _) => return Ok(vec![whole.without(Outcome::Skipped, "waived: not possible there")]),
            (status, _) => {
                let why = super::short(self.error.as_deref().unwrap_or("no further word"));
                let why = format!("nvbandwidth says {}: {why}", super::short(status));
                return Ok(vec![whole.without(Outcome::Failed, &why)]);
            }
        };
        let (unit, scale) = self.unit()?;
        let (times, note) = if unit == RateUnit::Bytes { counting(&self.name) } else { (1.0, "a load that must be waited for") };
        if rows.iter().map(Vec::len).sum::<usize>() > MAX_ENTRIES {
            return Err("its matrix is larger than any machine".into());
        }
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        let mut entries = Vec::new();
        for (row, cells) in rows.iter().enumerate() {
            for (column, cell) in cells.iter().enumerate() {
                let Some(value) = cell.number()? else { continue };
                let (part, row) = if columns > 0 && rows.len() == 3 * columns { (row / columns, row % columns) } else { (3, row) };
                let one = rows.len() == 1;
                let device = devices.device(if one { column } else { row });
                let shape = if one { format!("gpu{column}") } else { format!("gpu{row}-gpu{column}") };
                // A bidirectional case writes both ways and their sum below each other.
                let operation = format!("{}{}", self.name, ["-first", "-second", "-total", ""][part]);
                let subject = Subject { device: &device, operation: &operation, shape: &shape, ..whole };
                entries.push(subject.single(unit, value, scale * times, note)?);
            }
        }
        Ok(entries)
    }

    /// The unit stands at the end of the description, with or without parentheses.
    fn unit(&self) -> Result<(RateUnit, f64), String> {
        let description = self.bandwidth_description.as_deref().unwrap_or_default();
        match description.trim().trim_end_matches(')').rsplit([' ', '(']).next() {
            Some("GB/s") => Ok((RateUnit::Bytes, 1e9)),
            Some("ns") => Ok((RateUnit::Seconds, 1e-9)),
            _ => Err(format!("the unit of `{}` is not known; GB/s and ns are", super::short(description))),
        }
    }
}
