//! Capacity units: a class's time by the reference over its time by a device's rates, with an interval, or why there is none.
//!
//! Where the time goes is also how the figure answers to each rate: a share of 0.3 makes 10 % of that rate 3 % of the unit.

use super::{
    Wrong,
    basis::{Class, Definition, Overlap, Vector, definition, is_time},
    rates::{Measured, Rates, rates},
};
use crate::record::{Device, Document, Kind};
use serde::Serialize;
use std::collections::BTreeMap;

/// Seconds of an item, and where they go.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Time {
    pub seconds: f64,
    /// Shares of the time by key; they sum to 1.
    pub shares: BTreeMap<String, f64>,
    /// Items at a time.
    pub batch: f64,
}

/// Time of an item of `class` at `rates`.
///
/// # Errors
/// `no-fit: …` or `missing: …`.
pub fn time(class: &Class, rates: &Vector) -> Result<Time, Wrong> {
    let rate = |key: &str| rates.get(key).copied().ok_or_else(|| Wrong(format!("missing: {key}")));
    let memory = if class.batch.is_some() { rate("mem.free")? } else { 0.0 };
    let fits = || Wrong(format!("no-fit: {} needs more than the {:.0} GB there are", class.name, memory / 1e9));
    let batch = class.batch_in(memory).ok_or_else(fits)?;
    let mut spent: BTreeMap<&str, f64> = BTreeMap::new();
    for phase in &class.phases {
        let mut longest: Option<(&str, f64)> = None;
        let shared = phase.shared.iter().map(|(key, amount)| (key, amount / batch));
        for (key, amount) in phase.amounts.iter().map(|(key, amount)| (key, *amount)).chain(shared) {
            let seconds = if is_time(key) { amount * rate(key)? } else { amount / rate(key)? };
            if is_time(key) || phase.overlap == Overlap::Sum {
                *spent.entry(key).or_default() += seconds;
            } else if longest.is_none_or(|(_, most)| seconds > most) {
                longest = Some((key, seconds));
            }
        }
        if let Some((key, seconds)) = longest {
            *spent.entry(key).or_default() += seconds;
        }
    }
    let seconds: f64 = spent.values().sum();
    let shares = spent.into_iter().map(|(key, part)| (key.to_owned(), part / seconds)).collect();
    Ok(Time { seconds, shares, batch })
}

/// Units of `class` that `rates` are worth.
///
/// # Errors
/// As [`time`].
pub fn units(class: &Class, rates: &Vector) -> Result<f64, Wrong> {
    Ok(time(class, &definition().reference.rates)?.seconds / time(class, rates)?.seconds)
}

/// A figure, or why it is withheld; both where a person asked for it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Cell {
    pub value: Option<f64>,
    pub reason: Option<String>,
}

impl Cell {
    fn without(reason: &str) -> Self {
        Self { value: None, reason: Some(reason.to_owned()) }
    }

    fn of(value: Option<f64>, reason: Option<String>, degraded: bool) -> Self {
        Self { value: value.filter(|_| degraded || reason.is_none()), reason }
    }

    /// The code before the reason's colon.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.reason.as_deref().map(|reason| reason.split(':').next().unwrap_or(reason))
    }
}

/// A class of a device.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Unit {
    pub class: String,
    pub typical: Cell,
    /// 95 % interval of what is typical.
    pub low: Option<f64>,
    pub high: Option<f64>,
    pub firm: Cell,
    /// Price of a firm unit for an hour.
    pub cost: Option<Cell>,
    /// Where the time goes, by key.
    pub shares: BTreeMap<String, f64>,
    pub batch: Option<f64>,
    /// Keys whose rate is of the vendor's library.
    pub via_vendor: Vec<String>,
}

/// A device with its rates, from which the units can be had anew under another definition.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Valued {
    pub device: String,
    pub model: String,
    pub rates: Rates,
    pub units: Vec<Unit>,
}

/// Several devices of a backend together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Together {
    pub backend: String,
    pub devices: usize,
    pub class: String,
    /// Each on its own work: a sum.
    pub replicas: Cell,
    /// In step: as many times the slowest in every key.
    pub synchronous: Cell,
}

/// What a record's devices are worth.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Appraisal {
    pub schema: &'static str,
    pub definition: String,
    pub hash: String,
    pub reference: super::basis::Reference,
    pub record: String,
    pub suite: String,
    pub method: u32,
    pub devices: Vec<Valued>,
    pub nodes: Vec<Together>,
    /// Devices that cannot stand for hardware.
    pub refused: Vec<String>,
}

/// What is asked.
#[derive(Clone, Debug, Default)]
pub struct Question<'a> {
    /// Classes; all where there are none.
    pub classes: Vec<&'a Class>,
    /// Withheld figures, too, beside their reasons.
    pub degraded: bool,
    /// Price of a device for an hour.
    pub price: Option<f64>,
}

/// # Errors
/// When the record's figures are not of our own kernels, or are of nothing that stands for hardware.
pub fn appraise(document: &Document, question: &Question) -> Result<Appraisal, Wrong> {
    let header = &document.header;
    if header.assay.imported.is_some() {
        return Err(Wrong("an imported record: units come from rates of our own kernels alone; measure with `assay run`".into()));
    }
    let definition = definition();
    let classes: Vec<&Class> =
        if question.classes.is_empty() { definition.classes.iter().collect() } else { question.classes.clone() };
    let seen: BTreeMap<&str, &Device> = document.entries.iter().map(|entry| (&*entry.device.id, &entry.device)).collect();
    let (real, other): (Vec<&Device>, Vec<&Device>) =
        seen.into_values().partition(|device| matches!(device.kind, Kind::Gpu | Kind::Cpu));
    let refused: Vec<String> = other.iter().map(|device| format!("{} is {}", device.id, device.kind.name())).collect();
    if real.is_empty() && !refused.is_empty() {
        return Err(Wrong(format!("{}: that stands for no hardware, and is worth no units", refused.join(", "))));
    }
    let devices: Vec<Valued> = real.iter().map(|device| valued(document, device, &classes, question)).collect();
    let nodes = nodes(&real, &devices, &classes);
    Ok(Appraisal {
        schema: "assay.units/1",
        definition: definition.version.clone(),
        hash: definition.hash(),
        reference: definition.reference.clone(),
        record: header.id.clone(),
        suite: header.suite.clone(),
        method: header.assay.method,
        devices,
        nodes,
        refused,
    })
}

fn valued(document: &Document, device: &Device, classes: &[&Class], question: &Question) -> Valued {
    let rates = rates(document, device);
    let units = classes.iter().map(|class| unit(class, device, &rates, question)).collect();
    Valued { device: device.id.clone(), model: device.model.clone(), rates, units }
}

fn unit(class: &Class, device: &Device, rates: &Rates, question: &Question) -> Unit {
    let blank = |value: Option<f64>, reason: &str| Unit {
        class: class.name.clone(),
        typical: Cell { value, reason: Some(reason.to_owned()) },
        low: None,
        high: None,
        firm: Cell { value, reason: Some(reason.to_owned()) },
        cost: question.price.map(|_| Cell::without(reason)),
        shares: BTreeMap::new(),
        batch: None,
        via_vendor: Vec::new(),
    };
    if !class.portable && device.backend != "cuda" {
        return blank(None, &format!("backend: rates of {} count for portable classes alone", device.backend));
    }
    let absent = || class.keys().filter_map(|key| rates.absent.get(key));
    // What cannot be done is worth nothing; what was not measured is not known.
    if let Some(reason) = absent().find(|reason| reason.starts_with("no-dtype")) {
        return blank(Some(0.0), reason);
    }
    if let Some(reason) = absent().next() {
        return blank(None, reason);
    }
    let time = match time(class, &rates.typical()) {
        Ok(time) => time,
        Err(Wrong(reason)) => return blank(reason.starts_with("no-fit").then_some(0.0), &reason),
    };
    let used: BTreeMap<&str, &Measured> =
        class.keys().filter_map(|key| rates.measured.get_key_value(key)).map(|(k, v)| (&**k, v)).collect();
    let invalid = used.values().find_map(|rate| rate.invalid.first()).cloned();
    let typical = Cell::of(units(class, &rates.typical()).ok(), invalid.clone(), question.degraded);
    let limit = invalid.or_else(|| used.values().find_map(|rate| rate.not_firm.clone()));
    let firm = Cell::of(units(class, &rates.firm()).ok(), limit, question.degraded);
    let half = 1.96 * deviation(class, device, &time.shares, &used, definition());
    Unit {
        class: class.name.clone(),
        low: typical.value.map(|value| value * (-half).exp()),
        high: typical.value.map(|value| value * half.exp()),
        typical,
        cost: question.price.map(|price| Cell { value: firm.value.map(|firm| price / firm), reason: firm.reason.clone() }),
        firm,
        via_vendor: used.iter().filter(|(_, rate)| rate.via_vendor).map(|(key, _)| (*key).to_owned()).collect(),
        shares: time.shares,
        batch: class.batch.map(|_| time.batch),
    }
}

/// Standard deviation of the logarithm: of the rates by their shares, and of the model where one stands behind the class.
fn deviation(
    class: &Class,
    device: &Device,
    shares: &BTreeMap<String, f64>,
    used: &BTreeMap<&str, &Measured>,
    by: &Definition,
) -> f64 {
    let rate = |(key, share): (&String, &f64)| {
        used.get(key.as_str()).map_or(0.0, |rate| (share * (rate.high / rate.low).ln() / (2.0 * 1.96)).powi(2))
    };
    let same = device.architecture.as_deref() == Some(&by.structural.generation);
    let structural = if !class.modelled {
        0.0
    } else if same {
        by.structural.same
    } else {
        by.structural.other
    };
    (shares.iter().map(rate).sum::<f64>() + structural.powi(2)).sqrt()
}

fn nodes(devices: &[&Device], valued: &[Valued], classes: &[&Class]) -> Vec<Together> {
    let mut backends: BTreeMap<&str, Vec<&Valued>> = BTreeMap::new();
    for (device, valued) in devices.iter().zip(valued) {
        backends.entry(&device.backend).or_default().push(valued);
    }
    backends.retain(|_, group| group.len() > 1);
    let of = |(backend, group): (&&str, &Vec<&Valued>)| {
        let (backend, n) = ((*backend).to_owned(), group.len());
        let each = |(at, class): (usize, &&Class)| {
            let units = group.iter().map(|valued| &valued.units[at].typical);
            let reason = units.clone().find_map(|cell| cell.reason.clone());
            let replicas = units.map(|cell| cell.value).sum::<Option<f64>>();
            let slowest = slowest(&group.iter().map(|valued| valued.rates.typical()).collect::<Vec<_>>());
            let synchronous = replicas.and_then(|_| units_of(class, &slowest)).map(|units| n as f64 * units);
            Together {
                backend: backend.clone(),
                devices: n,
                class: class.name.clone(),
                replicas: Cell { value: replicas, reason: reason.clone() },
                synchronous: Cell { value: synchronous, reason },
            }
        };
        classes.iter().enumerate().map(each).collect::<Vec<_>>()
    };
    backends.iter().flat_map(of).collect()
}

fn units_of(class: &Class, rates: &Vector) -> Option<f64> {
    units(class, rates).ok()
}

/// The worst of each key that all have.
#[must_use]
pub fn slowest(vectors: &[Vector]) -> Vector {
    let Some((first, rest)) = vectors.split_first() else { return Vector::new() };
    let worst = |key: &str, a: f64, b: f64| if is_time(key) { a.max(b) } else { a.min(b) };
    let each = |(key, rate): (&String, &f64)| {
        let all = rest.iter().try_fold(*rate, |so_far, other| Some(worst(key, so_far, *other.get(key)?)));
        all.map(|rate| (key.clone(), rate))
    };
    first.iter().filter_map(each).collect()
}

#[cfg(test)]
#[path = "unit_tests.rs"]
mod tests;
