//! Other tools' output as records, one file a tool.
//!
//! A figure keeps the words of its tool in its id, so that none passes for a measurement of assay's own; where a tool counts otherwise,
//! the figure is converted, and its entry says how. What a tool does not tell stays blank: nothing imported is verified or steady.

mod benchmark;
mod clpeak;
mod dcgm;
mod nccl;
mod nvbandwidth;

use crate::record::{Device, Entry, Interval, Kind, Node, Origin, Outcome, Rate, RateUnit, Status, Work, Workload};
use serde::de::DeserializeOwned;
use serde_json::Value;
use statrs::distribution::{ContinuousCDF, StudentsT};
use thiserror::Error;

/// Output larger than this is refused; that of the tools here is far below a megabyte.
pub const MAX_BYTES: u64 = 16 << 20;
/// More figures than this are no output of these tools: 128 devices by 128, in three ways each.
const MAX_ENTRIES: usize = 50_000;
/// Characters of a foreign name that are kept.
const MAX_NAME: usize = 160;

/// A tool whose output can be read.
pub struct Tool {
    pub name: &'static str,
    /// How its output is had.
    pub command: &'static str,
    /// Where its format is described.
    pub format: &'static str,
    /// Whether JSON is this tool's.
    recognises: fn(&Value) -> bool,
    read: fn(&Value) -> Result<Imported, String>,
    /// Output that is lines for people, where those can be read too: what stands in them, and their reader.
    text: Option<Lines>,
}

type Lines = (&'static str, fn(&str) -> Result<Imported, String>);

/// Every tool, in the order in which its output is recognised.
pub const TOOLS: &[Tool] = &[nvbandwidth::TOOL, nccl::TOOL, dcgm::TOOL, clpeak::TOOL, benchmark::TOOL];

/// What a tool's output holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    pub origin: Origin,
    pub node: Node,
    pub devices: Vec<Device>,
    pub entries: Vec<Entry>,
}

/// Why output cannot be imported.
#[derive(Debug, Error)]
pub enum Unfit {
    #[error("not text: byte {at} is not UTF-8")]
    NotText { at: usize },
    #[error("not JSON: {why}. {}", way_out())]
    NotJson { why: String },
    #[error("output of no tool that is known. {}", way_out())]
    Unknown,
    #[error("not as {tool} writes it: {why}")]
    Malformed { tool: &'static str, why: String },
    #[error("{tool} reports nothing in it")]
    Empty { tool: &'static str },
}

fn way_out() -> String {
    let commands: Vec<String> = TOOLS.iter().map(|tool| format!("`{}`", tool.command)).collect();
    format!("What can be read is the output of {}", commands.join(", "))
}

/// Reads a tool's output: that of the tool named, else of the one that it is recognised as.
///
/// # Errors
/// [`Unfit`], in a sentence to follow the file's name.
pub fn import(bytes: &[u8], from: Option<&str>) -> Result<Imported, Unfit> {
    let text = std::str::from_utf8(bytes).map_err(|error| Unfit::NotText { at: error.valid_up_to() })?;
    let named = |tool: &&Tool| from.is_none_or(|name| tool.name == name);
    let (tool, read) = if text.trim_start().starts_with(['{', '[']) {
        let value = json(text).map_err(|why| Unfit::NotJson { why })?;
        let tool = TOOLS.iter().filter(named).find(|tool| from.is_some() || (tool.recognises)(&value)).ok_or(Unfit::Unknown)?;
        (tool, (tool.read)(&value))
    } else {
        let lines = |tool: &'static Tool| tool.text.filter(|(mark, _)| text.contains(mark)).map(|(_, read)| (tool, read(text)));
        let none = || Unfit::NotJson { why: "it does not begin with { or [".into() };
        TOOLS.iter().filter(named).find_map(lines).ok_or_else(none)?
    };
    let imported = read.map_err(|why| Unfit::Malformed { tool: tool.name, why })?;
    if imported.entries.is_empty() { Err(Unfit::Empty { tool: tool.name }) } else { Ok(imported) }
}

/// JSON, also where figures that are not finite stand as bare words, as some writers leave them; those become null.
fn json(text: &str) -> Result<Value, String> {
    let strict = serde_json::from_str(text);
    strict.or_else(|error| serde_json::from_str(&without_bare_words(text)).map_err(|_| error.to_string()))
}

fn without_bare_words(text: &str) -> String {
    const WORDS: [&str; 4] = ["-NaN", "NaN", "-Infinity", "Infinity"];
    let mut clean = String::with_capacity(text.len());
    let (mut quoted, mut escaped) = (false, false);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let word = WORDS.into_iter().find(|word| !quoted && rest.starts_with(word));
        let (taken, kept) = word.map_or((c.len_utf8(), &rest[..c.len_utf8()]), |word| (word.len(), "null"));
        (quoted, escaped) = (quoted != (c == '"' && !escaped), c == '\\' && !escaped);
        clean.push_str(kept);
        rest = &rest[taken..];
    }
    clean
}

/// JSON as the layout that a tool writes, or where it departs from it.
fn layout<T: DeserializeOwned>(value: &Value) -> Result<T, String> {
    serde_path_to_error::deserialize(value).map_err(|error| format!("{}: {}", error.path(), short(&error.inner().to_string())))
}

/// # Errors
/// When there are more entries than any of these tools has cause to write; looked at while they grow.
fn bounded(entries: &[Entry]) -> Result<(), String> {
    let many = entries.len() > MAX_ENTRIES;
    if many { Err(format!("more than {MAX_ENTRIES} figures")) } else { Ok(()) }
}

/// Foreign text, fit for an id or a message.
fn short(text: &str) -> String {
    let words: Vec<&str> = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
    words.join(" ").chars().take(MAX_NAME).collect()
}

/// A device as another tool names it: `backend:index`.
fn device(backend: &str, index: impl std::fmt::Display, kind: Kind, model: &str) -> Device {
    Device::new(&format!("{backend}:{index}"), backend, kind, &short(model))
}

/// The address of a card as assay writes it, from `domain:bus:device` in hexadecimal with or without a function.
fn address(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split([':', '.']).collect();
    let number = |part: &&str| u32::from_str_radix(part, 16).ok();
    let [domain, bus, slot] = parts.get(..3)?.iter().map(number).collect::<Option<Vec<u32>>>()?[..] else { return None };
    Some(format!("{domain:04x}:{bus:02x}:{slot:02x}.0"))
}

/// What a figure is of.
struct Subject<'a> {
    origin: &'a Origin,
    device: &'a Device,
    operation: &'a str,
    variant: &'a str,
    precision: &'a str,
    shape: &'a str,
}

impl Subject<'_> {
    fn workload(&self) -> Workload {
        let family = self.origin.tool.clone();
        let [precision, operation, shape] = [self.precision, self.operation, self.shape].map(short);
        let parts = [&family, &precision, &operation, &shape];
        let id = parts.into_iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join("/");
        Workload { id, family, operation, variant: short(self.variant), precision, shape }
    }

    /// A figure, with how it was counted.
    fn measured(&self, unit: RateUnit, value: Interval, note: &str) -> Entry {
        let rate = Rate {
            unit,
            burst: Some(value),
            sustained: None,
            status: Status::BurstOnly,
            steady: false,
            multimodal: None,
            limiter: None,
        };
        Entry { rate: Some(rate), ..self.without(Outcome::Measured, &short(note)) }
    }

    /// No figure, with why. Of another tool's failure there may be much to say.
    fn without(&self, outcome: Outcome, why: &str) -> Entry {
        let kernel = self.origin.version.as_ref().map_or_else(|| self.origin.tool.clone(), |v| format!("{} {v}", self.origin.tool));
        let entry = Entry::without(self.device.clone(), self.workload(), Work::default(), outcome, why.to_owned());
        Entry { kernel: Some(kernel), ..entry }
    }

    /// A rate or time as the tool gives it, times what makes it SI; zero means that nothing was measured.
    fn single(&self, unit: RateUnit, value: f64, scale: f64, note: &str) -> Result<Entry, String> {
        match value * scale {
            si if si.is_finite() && si > 0.0 => Ok(self.measured(unit, Interval { value: si, low: si, high: si }, note)),
            0.0 => Ok(self.without(Outcome::Failed, &format!("{} reports 0 {}", self.origin.tool, unit.symbol()))),
            _ => Err(format!("{}: {value} is no rate and no time", self.workload().id)),
        }
    }
}

/// The mean of repetitions with its 95 % interval by Student's t; of one, itself.
fn interval(samples: &[f64]) -> Option<Interval> {
    let n = samples.len() as f64;
    let value = samples.iter().sum::<f64>() / n;
    let variance = samples.iter().map(|sample| (sample - value).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    spread(value, variance.sqrt(), samples.len())
}

/// A mean of `count` repetitions with its 95 % interval, from their standard deviation.
fn spread(value: f64, deviation: f64, count: usize) -> Option<Interval> {
    let half = match count {
        0 => return None,
        1 => 0.0,
        count => {
            let t = StudentsT::new(0.0, 1.0, (count - 1) as f64).ok()?.inverse_cdf(0.975);
            t * deviation / (count as f64).sqrt()
        }
    };
    // A mean of positive figures is positive, however few they are.
    (value.is_finite() && value > 0.0 && half.is_finite()).then(|| Interval {
        value,
        low: (value - half).max(0.0),
        high: value + half,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_words_outside_strings_become_null() {
        let value = json(r#"{"a": NaN, "b": [-Infinity, 1.5], "NaN \" Infinity": "-NaN"}"#).expect("mended");
        assert_eq!(value, serde_json::json!({"a": null, "b": [null, 1.5], "NaN \" Infinity": "-NaN"}));
        assert!(json(r#"{"a": NaN"#).unwrap_err().contains("line 1"), "the first fault is told");
    }

    #[test]
    fn repetitions_make_an_interval_by_student() {
        let three = interval(&[9.0, 10.0, 11.0]).expect("samples");
        // t(0.975, 2) = 4.3027; the deviation is 1.
        assert!((three.high - 10.0 - 4.302_653 / 3_f64.sqrt()).abs() < 1e-5, "{three:?}");
        assert_eq!(interval(&[5.0]), Some(Interval { value: 5.0, low: 5.0, high: 5.0 }));
        assert_eq!((interval(&[]), interval(&[f64::NAN, 1.0]), interval(&[-1.0])), (None, None, None));
    }

    #[test]
    fn addresses_are_written_as_assay_does() {
        assert_eq!(address("00000000:1B:00").as_deref(), Some("0000:1b:00.0"));
        assert_eq!(address("0001:c3:00.0").as_deref(), Some("0001:c3:00.0"));
        assert_eq!((address("nowhere"), address("0:1")), (None, None));
    }

    #[test]
    fn foreign_text_loses_its_controls_and_its_length() {
        assert_eq!(short("a\u{1b}[2J\n\tb"), "a [2J b");
        assert_eq!(short(&"x".repeat(10_000)).len(), MAX_NAME);
    }
}
