//! The trace format `assay.trace/1`: JSON Lines, a header and then launches and readings in order of time.

use crate::{
    files,
    record::{Device, Kind, Reading},
    units::{Bytes, Celsius, Flops, Joules, Megahertz, Milliwatts, Nanos},
};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};
use thiserror::Error;

pub(super) const SCHEMA: &str = "assay.trace/1";
const FAMILY: &str = "assay.trace/";

/// A trace ends within this after its clock's zero: time is kept in slots, and memory must stay bounded.
const LONGEST: Nanos = Nanos(24 * 3_600 * 1_000_000_000);
/// More launches than this are no measurement that lasts 30 s.
const MOST_LAUNCHES: usize = 1 << 24;
/// Rounding may put the begin of launches this much before the end of those before.
const ROUNDING: Nanos = Nanos(1_000);

/// Why a trace cannot be replayed; one line.
#[derive(Debug, Error)]
#[error("{place}: {why}; docs/trace.md describes the format {SCHEMA}")]
pub struct BadTrace {
    /// File, and line where there is one.
    pub place: String,
    pub why: String,
}

/// What the trace was taken of.
#[derive(Clone, Debug, PartialEq)]
pub struct Traced {
    pub id: String,
    pub flops: Flops,
    pub bytes: Bytes,
    /// Of the one entry of `flop_per_clock`; blank where there is none.
    pub precision: Option<String>,
}

/// A trace in memory.
#[derive(Clone, Debug)]
pub struct Trace {
    pub device: Device,
    pub workload: Traced,
    /// Begin and length of each launch.
    pub launches: Vec<(Nanos, Nanos)>,
    pub readings: Vec<Reading>,
}

#[derive(Deserialize)]
struct Header {
    device: HeaderDevice,
    workload: HeaderWorkload,
}

#[derive(Deserialize)]
struct HeaderDevice {
    model: String,
    // Named even where they are not known, as null: whoever forgets one would lose the ledger without a word.
    #[serde(deserialize_with = "Option::deserialize")]
    units: Option<u32>,
    #[serde(deserialize_with = "Option::deserialize")]
    boost_mhz: Option<f64>,
    #[serde(deserialize_with = "Option::deserialize")]
    memory_mhz: Option<f64>,
    #[serde(deserialize_with = "Option::deserialize")]
    bus_bits: Option<u32>,
    power_limit_w: Option<f64>,
    default_power_limit_w: Option<f64>,
    #[serde(default)]
    flop_per_clock: BTreeMap<String, Option<f64>>,
}

#[derive(Deserialize)]
struct HeaderWorkload {
    id: String,
    flops: f64,
    bytes: f64,
}

#[derive(Deserialize)]
struct Line {
    t_ns: u64,
    launches: Option<Vec<u64>>,
    reading: Option<LineReading>,
}

#[derive(Deserialize)]
struct LineReading {
    sm_mhz: Option<f64>,
    memory_mhz: Option<f64>,
    power_w: Option<f64>,
    energy_j: Option<f64>,
    temperature_c: Option<f64>,
    limits: Option<BTreeSet<String>>,
    #[serde(default)]
    violation_ns: Option<BTreeMap<String, u64>>,
}

impl Trace {
    /// # Errors
    /// [`BadTrace`] with the line and what is wrong with it.
    pub fn read(path: &Path) -> Result<Self, BadTrace> {
        let place = path.display().to_string();
        let bad = |why: String| BadTrace { place: place.clone(), why };
        Self::parse(&place, &files::text(path).map_err(|error| bad(error.to_string()))?)
    }

    /// A trace from its text; `place` is what errors call it.
    ///
    /// # Errors
    /// [`BadTrace`] with the line and what is wrong with it.
    pub fn parse(place: &str, text: &str) -> Result<Self, BadTrace> {
        let bad = |number: usize, why: String| BadTrace { place: format!("{place}:{}", number + 1), why: one_line(&why) };
        let mut lines = text.lines().enumerate();
        let Some((_, first)) = lines.next() else { return Err(bad(0, "the file is empty".into())) };
        let mut trace = header(first).map_err(|why| bad(0, why))?;
        let mut before = Nanos(0);
        for (number, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
            let line: Line = serde_json::from_str(line).map_err(|error| bad(number, error.to_string()))?;
            let at = Nanos(line.t_ns);
            if at < before {
                return Err(bad(number, format!("t_ns {} lies before {} of a line above", at.0, before.0)));
            }
            before = at;
            trace.add(at, line).map_err(|why| bad(number, why))?;
        }
        if trace.launches.is_empty() {
            return Err(BadTrace { place: place.to_owned(), why: "no launches".into() });
        }
        Ok(trace)
    }

    fn add(&mut self, at: Nanos, line: Line) -> Result<(), String> {
        if line.launches.is_none() && line.reading.is_none() {
            return Err("neither launches nor a reading".into());
        }
        let mut begin = at;
        if let Some(end) = self.launches.last().map(|(begin, took)| *begin + *took).filter(|_| line.launches.is_some()) {
            if end.since(at) > ROUNDING {
                return Err(format!("launches begin at {}, before those above end at {}", at.0, end.0));
            }
            begin = at.max(end);
        }
        for took in line.launches.into_iter().flatten().map(Nanos) {
            if took == Nanos(0) {
                return Err("a launch of 0 ns".into());
            }
            if took > LONGEST || begin > LONGEST || begin + took > LONGEST {
                return Err("launches beyond 24 h of the trace's clock".into());
            }
            if self.launches.len() >= MOST_LAUNCHES {
                return Err(format!("more than {MOST_LAUNCHES} launches"));
            }
            self.launches.push((begin, took));
            begin += took;
        }
        if let Some(reading) = line.reading {
            self.readings.push(reading.at(at)?);
        }
        Ok(())
    }
}

impl LineReading {
    fn at(self, at: Nanos) -> Result<Reading, String> {
        let positive = |name: &str, value: Option<f64>| match value {
            Some(value) if !(0.0..=1e12).contains(&value) => Err(format!("{name} of {value}")),
            value => Ok(value),
        };
        let clock = |name, value| Ok::<_, String>(positive(name, value)?.map(|mhz| Megahertz(mhz.round() as u32)));
        Ok(Reading {
            at,
            sm_mhz: clock("sm_mhz", self.sm_mhz)?,
            memory_mhz: clock("memory_mhz", self.memory_mhz)?,
            power_mw: positive("power_w", self.power_w)?.map(|watts| Milliwatts((watts * 1e3).round() as u64)),
            energy_j: positive("energy_j", self.energy_j)?.map(Joules),
            celsius: match self.temperature_c {
                Some(celsius) if !(-273.15..=1_000.0).contains(&celsius) => return Err(format!("temperature_c of {celsius}")),
                celsius => celsius.map(Celsius),
            },
            limits: self.limits,
            violation_ns: self.violation_ns.unwrap_or_default(),
            ..Reading::default()
        })
    }
}

/// A trace without lines, from the first one.
fn header(line: &str) -> Result<Trace, String> {
    #[derive(Deserialize)]
    struct Named {
        schema: String,
    }
    let named: Named = serde_json::from_str(line).map_err(|error| format!("not a header ({error})"))?;
    if named.schema != SCHEMA {
        let newer = named.schema.starts_with(FAMILY);
        let hint = if newer { "use a newer assay" } else { "this is no trace" };
        return Err(format!("schema `{}` instead of `{SCHEMA}`: {hint}", named.schema));
    }
    let Header { device, workload } = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let count = |name: &str, value: f64| match value {
        value if (0.0..=9e18).contains(&value) => Ok(value as u64),
        value => Err(format!("{name} of {value}")),
    };
    let (flops, bytes) = (Flops(count("flops", workload.flops)?), Bytes(count("bytes", workload.bytes)?));
    if flops.0 == 0 && bytes.0 == 0 {
        return Err("a workload without flops and without bytes has no rate".into());
    }
    if device.flop_per_clock.len() > 1 || (flops.0 > 0 && device.flop_per_clock.is_empty()) {
        return Err("flop_per_clock must hold the one precision of the workload".into());
    }
    let precision = device.flop_per_clock.keys().next().cloned();
    let workload = Traced { id: workload.id, flops, bytes, precision };
    Ok(Trace { device: device.described()?, workload, launches: Vec::new(), readings: Vec::new() })
}

impl HeaderDevice {
    fn described(self) -> Result<Device, String> {
        let within = |name: &str, value: Option<f64>, low: f64, high: f64| match value {
            Some(value) if !(low..=high).contains(&value) => Err(format!("{name} of {value}")),
            value => Ok(value),
        };
        let clock =
            |name: &str, mhz: Option<f64>| Ok::<_, String>(within(name, mhz, 1.0, 1e6)?.map(|mhz| Megahertz(mhz.round() as u32)));
        let operations = self.flop_per_clock.into_values().next().flatten();
        if self.units == Some(0) || self.bus_bits == Some(0) || operations.is_some_and(|n| n <= 0.0) {
            return Err("units, bus_bits and flop_per_clock must be above zero".into());
        }
        let operations = within("flop_per_clock", operations, 0.0, 1e9)?;
        let (limit, default) = (self.power_limit_w, self.default_power_limit_w);
        let limit = within("power_limit_w", limit, 1e-3, 1e6)?;
        let default = within("default_power_limit_w", default, 1e-3, 1e6)?;
        // Under the names that a driver's facts have.
        let milliwatts = |watts: Option<f64>| watts.map(|watts| format!("{:.0}", watts * 1e3));
        let facts = [
            ("flop_per_clock", operations.map(|n| n.to_string())),
            ("power_limit_enforced_mw", milliwatts(limit)),
            ("power_limit_default_mw", milliwatts(default)),
        ];
        Ok(Device {
            units: self.units,
            boost_mhz: clock("boost_mhz", self.boost_mhz)?,
            memory_mhz: clock("memory_mhz", self.memory_mhz)?,
            bus_bits: self.bus_bits,
            facts: facts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect(),
            ..Device::new("replay:0", "replay", Kind::Replay, &self.model)
        })
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = r#"{"schema":"assay.trace/1","device":{"model":"G","units":10,"boost_mhz":1000,"memory_mhz":500,"bus_bits":64,"power_limit_w":230,"default_power_limit_w":300,"flop_per_clock":{"fp32":256}},"workload":{"id":"any thing","flops":1000,"bytes":0}}"#;

    #[test]
    fn launches_follow_each_other_and_readings_keep_blanks() {
        let text = format!(
            "{HEADER}\n{}\n{}\n{}\n",
            r#"{"t_ns":5,"launches":[10,20]}"#,
            r#"{"t_ns":20,"reading":{"sm_mhz":900.4,"limits":["sw_power_cap"],"violation_ns":{"sw_power_cap":7}}}"#,
            r#"{"t_ns":40,"launches":[30]}"#
        );
        let trace = Trace::parse("t", &text).expect("sound");
        assert_eq!(trace.launches, [(5, 10), (15, 20), (40, 30)].map(|(begin, took)| (Nanos(begin), Nanos(took))));
        let reading = &trace.readings[0];
        assert_eq!((reading.sm_mhz, reading.memory_mhz, reading.power_mw), (Some(Megahertz(900)), None, None));
        assert_eq!(trace.device.facts["power_limit_enforced_mw"], "230000");
        assert_eq!(trace.workload.precision.as_deref(), Some("fp32"));
    }

    #[test]
    fn every_bad_line_is_named() {
        let with = |lines: &str| format!("{HEADER}\n{lines}");
        let launches = r#"{"t_ns":5000,"launches":[10000]}"#;
        for (text, place, word) in [
            (String::new(), "t:1", "empty"),
            ("{".into(), "t:1", "header"),
            (HEADER.replace("trace/1", "trace/2"), "t:1", "newer"),
            (HEADER.replace("assay.trace/1", "assay.run/1"), "t:1", "no trace"),
            (HEADER.replace("\"units\":10,", ""), "t:1", "units"),
            (HEADER.replace("\"units\":10", "\"units\":0"), "t:1", "above zero"),
            (HEADER.replace("\"flops\":1000", "\"flops\":0"), "t:1", "no rate"),
            (HEADER.replace("\"flops\":1000", "\"flops\":-1"), "t:1", "flops"),
            (HEADER.replace("{\"fp32\":256}", "{}"), "t:1", "one precision"),
            (with(""), "t", "no launches"),
            (with("{\"t_ns\":1}"), "t:2", "neither"),
            (with("{\"t_ns\":-1,\"launches\":[1]}"), "t:2", "-1"),
            (with("{\"t_ns\":1,\"launches\":[0]}"), "t:2", "0 ns"),
            (with("{\"t_ns\":1,\"launches\":[18446744073709551615]}"), "t:2", "24 h"),
            (with("{\"t_ns\":1,\"launches\":[1"), "t:2", "EOF"),
            (with(&format!("{launches}\n{{\"t_ns\":4999,\"reading\":{{}}}}")), "t:3", "before 5000"),
            (with(&format!("{launches}\n{{\"t_ns\":6000,\"launches\":[1]}}")), "t:3", "before those above"),
            (with("{\"t_ns\":1,\"reading\":{\"sm_mhz\":-5}}"), "t:2", "sm_mhz"),
            (with("{\"t_ns\":1,\"reading\":{\"temperature_c\":-400}}"), "t:2", "temperature_c"),
            (with("{\"t_ns\":1,\"reading\":{\"limits\":[1]}}"), "t:2", "string"),
            (with("{\"t_ns\":1.5,\"launches\":[1]}"), "t:2", "1.5"),
            (with("{\"t_ns\":1,\"launches\":[1],\"launches\":[1]}"), "t:2", "duplicate"),
            (with("{\"t_ns\":1,\"launches\":[86400000000001]}"), "t:2", "24 h"),
            (HEADER.replace("\"boost_mhz\":1000", "\"boost_mhz\":0"), "t:1", "boost_mhz"),
            (HEADER.replace("\"power_limit_w\":230", "\"power_limit_w\":-1"), "t:1", "power_limit_w"),
        ] {
            let bad = Trace::parse("t", &text).expect_err(&text);
            assert!(bad.place == place && bad.why.contains(word) && !bad.to_string().contains('\n'), "{text}: {bad}");
        }
    }

    #[test]
    fn foreign_fields_blank_lines_and_line_ends_do_no_harm() {
        let lines = [
            HEADER,
            "",
            r#"{"t_ns":1,"reading":{"fan_percent":30,"sm_mhz":null}}"#,
            r#"{"t_ns":5,"launches":[],"note":"none yet"}"#,
            "   ",
            r#"{"t_ns":9,"launches":[10],"reading":{"limits":[]}}"#,
        ];
        let trace = Trace::parse("t", &lines.join("\r\n")).expect("sound");
        assert_eq!((trace.launches.len(), trace.readings.len()), (1, 2));
        assert_eq!(trace.readings[0].sm_mhz, None);
        let unknown = HEADER.replace("\"units\":10", "\"units\":null").replace(":256}", ":null}");
        let trace = Trace::parse("t", &format!("{unknown}\n{}", lines[5])).expect("what is not known may be null");
        assert_eq!((trace.device.units, trace.device.facts.get("flop_per_clock")), (None, None));
    }

    /// Whatever is cut off, doubled or replaced, the answer is a trace or one line.
    #[test]
    fn a_damaged_trace_is_never_a_panic() {
        const MARKS: &[u8] = b"0123456789-.eE{}[]\",:x\n";
        let reading = r#"{"t_ns":20,"reading":{"sm_mhz":900.4,"limits":["sw_power_cap"],"violation_ns":{"sw_power_cap":7}}}"#;
        let sound = format!("{HEADER}\n{{\"t_ns\":5,\"launches\":[10,20]}}\n{reading}\n{{\"t_ns\":40,\"launches\":[30]}}\n");
        let (mut seed, mut refused) = (1_u64, 0);
        let mut random = |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % below
        };
        for _ in 0..20_000 {
            let mut bytes = sound.clone().into_bytes();
            for _ in 0..=random(3) {
                let at = random(bytes.len());
                match random(4) {
                    0 => bytes.truncate(at.max(1)),
                    1 => bytes[at] = MARKS[random(MARKS.len())],
                    2 => drop(bytes.remove(at)),
                    _ => bytes.insert(at, MARKS[random(MARKS.len())]),
                }
                bytes.push(b'\n');
            }
            if let Err(bad) = Trace::parse("t", &String::from_utf8_lossy(&bytes)) {
                refused += 1;
                assert!(!bad.to_string().contains('\n'), "{bad}");
            }
        }
        assert!(refused > 10_000, "{refused}");
    }
}
