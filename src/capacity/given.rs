//! Vectors of rates that a person gives: key to value, or what `assay units --json` printed, or the shipped ones of published figures.
//!
//! A vector of rates is all that a device's units follow from, so that it is taken exactly or not at all.

use super::{
    Wrong,
    appraise::SCHEMA,
    basis::{Source, definition, is_time},
    gpus::{Figure, Published},
    rates::{Measured, Origin, Rates},
    unit::Subject,
};
use crate::record::RateUnit;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What comes before the name of a shipped vector.
pub const PUBLISHED: &str = "published:";
/// The board's power, for rates that give none of their own.
const POWER: &str = "power.w";
const MEMORY: &str = "mem.free";
/// What a vector may say of itself beside its rates.
const ABOUT: [&str; 5] = ["definition", "name", "model", "architecture", "rates"];

/// Vectors of rates of one origin.
#[derive(Clone, Debug)]
pub struct Vectors {
    /// Whose figures they are, in words.
    pub of: String,
    pub devices: Vec<(Subject, Origin, Rates)>,
}

/// Names of the GPUs whose published rates are shipped.
#[must_use]
pub fn published_names() -> Vec<&'static str> {
    Published::all().iter().map(|gpu| &*gpu.name).collect()
}

/// The shipped vector of that GPU.
///
/// # Errors
/// When there is none.
pub fn published(name: &str) -> Result<Vectors, Wrong> {
    let Ok(Published { name, model, architecture, figures, .. }) = Published::named(name) else {
        let names = published_names().join(&format!(", {PUBLISHED}"));
        return Err(Wrong(format!("{PUBLISHED}{name}: no published rates of that are shipped; there are {PUBLISHED}{names}")));
    };
    let rate = |figure: &Figure| json!({ "typical": figure.typical, "source": figure.source, "estimate": figure.estimate() });
    let rates: Map<String, Value> =
        figures.iter().map(|(key, figure)| (key.clone(), figure.as_ref().map_or(Value::Null, rate))).collect();
    let name = format!("{PUBLISHED}{name}");
    let fields = [("name", name.as_str()), ("model", model), ("architecture", architecture)];
    let mut written: Map<String, Value> = fields.into_iter().map(|(field, text)| (field.to_owned(), text.into())).collect();
    written.insert("rates".into(), rates.into());
    let device = vector(written, &name, Origin::Published)?;
    Ok(Vectors { of: "published best figures, not measured by assay".into(), devices: vec![device] })
}

/// Vectors in `text`, whose name in messages is `place`.
///
/// # Errors
/// What is not a rate, and why, one at a time.
pub fn given(text: &str, place: &str) -> Result<Vectors, Wrong> {
    let at = |wrong: Wrong| Wrong(format!("{place}: {wrong}"));
    let value: Value = serde_json::from_str(text)
        .map_err(|error| at(Wrong(format!("{error}; it needs one JSON object, rates by key (NaN and infinity are no JSON)"))))?;
    let Value::Object(object) = value else { return Err(at(Wrong("it needs one JSON object, rates by key".into()))) };
    let of = format!("rates given in {place}");
    if object.contains_key("schema") {
        let devices = printed(object).map_err(at)?;
        return Ok(Vectors { of, devices });
    }
    Ok(Vectors { of, devices: vec![vector(object, "given", Origin::Given).map_err(at)?] })
}

/// Rates of one definition alone are the same rates.
fn same_definition(version: &str) -> Result<(), Wrong> {
    let ours = &definition().version;
    if version == ours {
        return Ok(());
    }
    Err(Wrong(format!(
        "rates of definition `{version}`, this is {ours}: measure them anew, or use the version of assay that has it"
    )))
}

#[derive(Deserialize)]
struct Printed {
    schema: String,
    definition: String,
    devices: Vec<PrintedDevice>,
}

#[derive(Deserialize)]
struct PrintedDevice {
    #[serde(flatten)]
    subject: Subject,
    origin: Origin,
    rates: Rates,
}

/// What `assay units --json` printed, of one source or of several.
fn printed(object: Map<String, Value>) -> Result<Vec<(Subject, Origin, Rates)>, Wrong> {
    let parts = match object.get("runs") {
        Some(Value::Array(runs)) => runs.clone(),
        _ => vec![Value::Object(object)],
    };
    let mut devices = Vec::new();
    for part in parts {
        let part: Printed = serde_json::from_value(part).map_err(|error| Wrong(format!("{error}; it is not whole")))?;
        if part.schema != SCHEMA {
            return Err(Wrong(format!("schema `{}`, this reads {SCHEMA}", part.schema)));
        }
        same_definition(&part.definition)?;
        for PrintedDevice { subject, origin, rates } in part.devices {
            for (key, rate) in &rates.measured {
                known(key)?;
                let figures = [Some(rate.typical), Some(rate.low), Some(rate.high), rate.firm];
                figures.into_iter().flatten().try_for_each(|figure| positive(key, figure).map(drop))?;
            }
            devices.push((subject, origin, rates));
        }
    }
    Ok(devices)
}

fn known(key: &str) -> Result<(), Wrong> {
    let definition = definition();
    let mut keys: Vec<&str> = definition.sources.iter().map(|source| source.key.as_str()).collect();
    keys.extend([MEMORY, POWER]);
    if keys.contains(&key) {
        return Ok(());
    }
    Err(Wrong(format!("`{key}` is no key of {}; there are {}", definition.version, keys.join(", "))))
}

fn positive(key: &str, figure: f64) -> Result<f64, Wrong> {
    if figure > 0.0 && figure.is_finite() {
        return Ok(figure);
    }
    let way = "leave out what is not known, and write null for arithmetic that the device does not have";
    Err(Wrong(format!("{key}: {figure} is no rate: rates are above zero; {way}")))
}

/// The unit of a key, its symbol, and the least and most that a figure in it can be without another unit having been meant.
fn unit(key: &str) -> (RateUnit, &'static str, [f64; 2]) {
    match key {
        MEMORY => (RateUnit::Bytes, "B", [1e6, 1e15]),
        POWER => (RateUnit::Items, "W", [1.0, 1e6]),
        key if is_time(key) => (RateUnit::Seconds, "s", [1e-9, 1e-2]),
        key if key.contains("mm.") => (RateUnit::Flops, "FLOP/s", [1e7, 1e19]),
        _ => (RateUnit::Bytes, "B/s", [1e7, 1e16]),
    }
}

/// A figure in the key's unit: a number, or a text with a unit of its own.
fn figure(key: &str, value: &Value, named: Option<&str>) -> Result<f64, Wrong> {
    let (_, symbol, [least, most]) = unit(key);
    let example = format!("a bare number is in {symbol}, and a text says its own, for example \"{}\"", example(symbol));
    let no_unit = |what: &str| Wrong(format!("{key}: {what} has no unit; {example}"));
    let (number, written) = match (value, named) {
        (Value::Number(number), named) => (number.as_f64().unwrap_or(f64::NAN), named.map(str::to_owned)),
        (Value::String(text), None) => {
            let split = text.find(|c: char| c.is_alphabetic() && !matches!(c, 'e' | 'E')).unwrap_or(text.len());
            let number = text[..split].trim().parse().map_err(|_| Wrong(format!("{key}: `{text}` is no number; {example}")))?;
            (positive(key, number)?, Some(text[split..].trim().to_owned()).filter(|unit| !unit.is_empty()))
        }
        _ => return Err(Wrong(format!("{key}: {value} is no rate; {example}"))),
    };
    let number = positive(key, number)?;
    let scaled = match (&written, value) {
        (Some(written), _) => {
            number * scale(written, symbol).ok_or_else(|| Wrong(format!("{key}: `{written}` is no {symbol}; {example}")))?
        }
        (None, Value::Number(_)) => number,
        (None, _) => return Err(no_unit(&format!("`{number}`"))),
    };
    if !(least..=most).contains(&scaled) {
        return Err(if written.is_none() {
            no_unit(&format!("{number}"))
        } else {
            Wrong(format!("{key}: {scaled} {symbol} cannot be"))
        });
    }
    Ok(scaled)
}

fn example(symbol: &str) -> &'static str {
    match symbol {
        "FLOP/s" => "790 TFLOP/s",
        "B/s" => "3.35 TB/s",
        "s" => "1.24 us",
        "W" => "700 W",
        _ => "80 GB",
    }
}

/// How many of `symbol` one of `written` is.
fn scale(written: &str, symbol: &str) -> Option<f64> {
    const PREFIXES: [(&str, f64); 13] = [
        ("", 1.0),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("m", 1e-3),
        ("u", 1e-6),
        ("µ", 1e-6),
        ("n", 1e-9),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
    ];
    let prefix = written.strip_suffix(symbol)?;
    PREFIXES.iter().find(|(name, _)| *name == prefix).map(|(_, factor)| *factor)
}

/// A rate as a person gives it, when it is more than a figure.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    typical: Value,
    firm: Option<Value>,
    low: Option<Value>,
    high: Option<Value>,
    unit: Option<String>,
    watts: Option<f64>,
    source: Option<String>,
    #[serde(default)]
    estimate: bool,
}

fn vector(mut object: Map<String, Value>, name: &str, origin: Origin) -> Result<(Subject, Origin, Rates), Wrong> {
    let text = |object: &Map<String, Value>, field: &str| match object.get(field) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(Wrong(format!("{field}: {other} is no text"))),
    };
    if let Some(version) = text(&object, "definition")? {
        same_definition(&version)?;
    }
    let subject = Subject {
        device: text(&object, "name")?.unwrap_or_else(|| name.to_owned()),
        model: text(&object, "model")?.unwrap_or_default(),
        backend: if origin == Origin::Published { "published" } else { "given" }.into(),
        architecture: text(&object, "architecture")?,
    };
    let given: Map<String, Value> = match object.remove("rates") {
        Some(Value::Object(rates)) => rates,
        Some(_) => return Err(Wrong("rates: it needs an object, rates by key".into())),
        None => object.into_iter().filter(|(key, _)| !ABOUT.contains(&key.as_str())).collect(),
    };
    if given.is_empty() {
        return Err(Wrong("no rate in it; write for example {\"mm.bf16\": \"790 TFLOP/s\", \"hbm.read\": \"3 TB/s\"}".into()));
    }
    let mut rates = Rates { measured: BTreeMap::new(), absent: BTreeMap::new(), memory: None };
    let power = given.get(POWER).map(|value| figure(POWER, value, None)).transpose()?;
    for (key, value) in &given {
        known(key)?;
        match (key.as_str(), value) {
            (MEMORY, Value::Object(_)) => rates.memory = Some(rate(key, value, origin, None)?.typical),
            (MEMORY, _) => rates.memory = Some(figure(key, value, None)?),
            (POWER, _) => {}
            (_, Value::Null) => {
                let reason = format!("no-dtype: {} has no such arithmetic as {key}", subject.device);
                rates.absent.insert(key.clone(), reason);
            }
            _ => drop(rates.measured.insert(key.clone(), rate(key, value, origin, power)?)),
        }
    }
    for source in definition().sources.iter().filter(|source| !given.contains_key(&source.key)) {
        rates.absent.insert(source.key.clone(), why_absent(source, &subject));
    }
    Ok((subject, origin, rates))
}

/// Of a key that is not in the vector. What only newer architectures have is taken not to be there, unless the device is one of them.
fn why_absent(source: &Source, subject: &Subject) -> String {
    let (key, architecture) = (&source.key, subject.architecture.as_deref().and_then(|name| name.parse::<f64>().ok()));
    if source.since.is_some_and(|since| architecture.is_none_or(|architecture| architecture < since)) {
        return format!("no-dtype: {} is not said to have {key}", subject.device);
    }
    format!("missing: {key} is not among the rates; `assay run --suite standard --only '{}*'` measures it", source.workloads)
}

fn rate(key: &str, value: &Value, origin: Origin, power: Option<f64>) -> Result<Measured, Wrong> {
    let given: Given = match value {
        Value::Object(_) => serde_json::from_value(value.clone())
            .map_err(|error| Wrong(format!("{key}: {error}; a rate has typical, firm, low, high, unit, watts")))?,
        _ => Given {
            typical: value.clone(),
            firm: None,
            low: None,
            high: None,
            unit: None,
            watts: None,
            source: None,
            estimate: false,
        },
    };
    let named = given.unit.as_deref();
    let typical = figure(key, &given.typical, named)?;
    let or_typical = |value: &Option<Value>| value.as_ref().map_or(Ok(typical), |value| figure(key, value, named));
    let (low, high) = (or_typical(&given.low)?, or_typical(&given.high)?);
    let firm = given.firm.as_ref().map(|value| figure(key, value, named)).transpose()?;
    let worse = firm.is_none_or(|firm| if is_time(key) { firm >= typical } else { firm <= typical });
    if !(low <= typical && typical <= high && worse) {
        return Err(Wrong(format!("{key}: low, typical, high must not fall, and what is firm is no better than what is typical")));
    }
    let not_firm = match (firm, origin) {
        (Some(_), _) => None,
        (None, Origin::Published) => Some(format!("published: of {key} the best figure is known, from which nothing firm follows")),
        (None, _) => Some(format!("not-given: no firm rate of {key} was given")),
    };
    Ok(Measured {
        unit: unit(key).0,
        typical,
        low,
        high,
        firm,
        not_firm,
        blocks: 0,
        from: given.source.unwrap_or_else(|| "given".into()),
        kernel: None,
        via_vendor: false,
        against_vendor: None,
        watts: given.watts.map(|watts| positive(key, watts)).transpose()?.or(power),
        estimate: given.estimate,
        invalid: Vec::new(),
    })
}

#[cfg(test)]
#[path = "given_tests.rs"]
mod tests;
