//! Capacity units: a class's time by the reference over its time by a device's rates, with an interval, or why there is none.
//!
//! Where the time goes is also how the figure answers to each rate: a share of 0.3 makes 10 % of that rate 3 % of the unit.

use super::{
    Wrong,
    basis::{Class, Definition, Overlap, Vector, definition, is_time},
    rates::{Measured, Rates},
};
use serde::{Deserialize, Serialize};
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
    let class = class.fallen_back(|key| !rates.contains_key(key));
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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    pub value: Option<f64>,
    pub reason: Option<String>,
}

impl Cell {
    pub(super) fn without(reason: &str) -> Self {
        Self { value: None, reason: Some(reason.to_owned()) }
    }

    pub(super) fn of(value: Option<f64>, reason: Option<String>, degraded: bool) -> Self {
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
    /// SHA-256 of the class, shapes of models included.
    pub hash: String,
    pub typical: Cell,
    /// 95 % interval of what is typical.
    pub low: Option<f64>,
    pub high: Option<f64>,
    pub firm: Cell,
    /// Price of a firm unit for an hour.
    pub cost: Option<Cell>,
    /// Firm units a kilowatt of the board, or of the package of a CPU: nothing of the host is in it.
    pub per_kw: Cell,
    /// Where the time goes, by key.
    pub shares: BTreeMap<String, f64>,
    pub batch: Option<f64>,
    /// Keys whose rate is of the vendor's library.
    pub via_vendor: Vec<String>,
    /// Keys whose rate nobody is known to have measured.
    pub estimates: Vec<String>,
    /// Keys that the device cannot have, and what stands in for each.
    pub instead: BTreeMap<String, String>,
    /// Standard deviation of the model behind the class, in the logarithm.
    #[serde(skip)]
    pub structural: f64,
}

/// Whose rates they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    pub device: String,
    pub model: String,
    pub backend: String,
    pub architecture: Option<String>,
}

/// What is asked.
#[derive(Clone, Debug, Default)]
pub struct Question<'a> {
    /// Classes; all that are shipped where there are none.
    pub classes: Vec<&'a Class>,
    /// Shares of the reference's time, by class; they sum to 1.
    pub mix: Vec<(&'a Class, f64)>,
    /// Withheld figures, too, beside their reasons.
    pub degraded: bool,
    /// Price of a device for an hour.
    pub price: Option<f64>,
}

/// What `rates` are worth of `class`.
#[must_use]
pub fn unit(class: &Class, subject: &Subject, rates: &Rates, question: &Question) -> Unit {
    let blank = |value: Option<f64>, reason: &str| Unit {
        class: class.name.clone(),
        hash: class.hash(),
        typical: Cell { value, reason: Some(reason.to_owned()) },
        low: None,
        high: None,
        firm: Cell { value, reason: Some(reason.to_owned()) },
        cost: question.price.map(|_| Cell::without(reason)),
        per_kw: Cell::without(reason),
        shares: BTreeMap::new(),
        batch: None,
        via_vendor: Vec::new(),
        estimates: Vec::new(),
        instead: BTreeMap::new(),
        structural: 0.0,
    };
    if !class.portable && !COUNTED.contains(&subject.backend.as_str()) {
        return blank(None, &format!("backend: rates of {} count for portable classes alone", subject.backend));
    }
    let lacks = |key: &str| rates.absent.get(key).is_some_and(|reason| reason.starts_with("no-dtype"));
    let own = class.fallen_back(lacks);
    let absent = || own.keys().filter_map(|key| rates.absent.get(key));
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
    let used: Used = own.keys().filter_map(|key| rates.measured.get_key_value(key)).map(|(k, v)| (&**k, v)).collect();
    let invalid = used.values().find_map(|rate| rate.invalid.first()).cloned();
    let typical = Cell::of(units(class, &rates.typical()).ok(), invalid.clone(), question.degraded);
    let limit = invalid.or_else(|| used.values().find_map(|rate| rate.not_firm.clone()));
    let firm = Cell::of(units(class, &rates.firm()).ok(), limit, question.degraded);
    let structural = structural(class, subject, definition());
    let half = 1.96 * deviation(&time.shares, &used, structural);
    let keys = |of: fn(&Measured) -> bool| used.iter().filter(|(_, rate)| of(rate)).map(|(key, _)| (*key).to_owned()).collect();
    Unit {
        low: typical.value.map(|value| value * (-half).exp()),
        high: typical.value.map(|value| value * half.exp()),
        typical,
        cost: question.price.map(|price| Cell { value: firm.value.map(|firm| price / firm), reason: firm.reason.clone() }),
        per_kw: per_kw(&firm, &time.shares, &used),
        firm,
        via_vendor: keys(|rate| rate.via_vendor),
        estimates: keys(|rate| rate.estimate),
        instead: class.instead.iter().filter(|(key, _)| lacks(key)).map(|(a, b)| (a.clone(), b.clone())).collect(),
        shares: time.shares,
        batch: class.batch.map(|_| time.batch),
        structural,
        ..blank(None, "")
    }
}

/// Backends whose rates count for all classes: our CUDA kernels, and vectors of which a person says what they are.
const COUNTED: [&str; 3] = ["cuda", "given", "published"];

/// Rates that a class uses.
type Used<'a> = BTreeMap<&'a str, &'a Measured>;

/// Firm units a kilowatt: the power while each rate was measured counts by its share of the time.
fn per_kw(firm: &Cell, shares: &BTreeMap<String, f64>, used: &Used) -> Cell {
    if firm.value.is_none() {
        return Cell { value: None, reason: firm.reason.clone() };
    }
    let mut watts = 0.0;
    for (key, share) in shares.iter().filter(|(_, share)| **share > 0.0) {
        let Some(read) = used.get(key.as_str()).and_then(|rate| rate.watts) else {
            return Cell::without(&format!("no-power: the power is not known at which {key} was reached"));
        };
        watts += share * read;
    }
    Cell { value: firm.value.map(|firm| firm / (watts / 1e3)), reason: firm.reason.clone() }
}

/// Of the model behind a class: by whether the device is of the reference's generation.
fn structural(class: &Class, subject: &Subject, by: &Definition) -> f64 {
    let same = subject.architecture.as_deref() == Some(&by.structural.generation);
    match (class.modelled, same) {
        (false, _) => 0.0,
        (true, true) => by.structural.same,
        (true, false) => by.structural.other,
    }
}

/// Standard deviation of the logarithm: of the rates by their shares, and of the model where one stands behind the class.
fn deviation(shares: &BTreeMap<String, f64>, used: &Used, structural: f64) -> f64 {
    let rate = |(key, share): (&String, &f64)| used.get(key.as_str()).map_or(0.0, |rate| (share * rate.deviation()).powi(2));
    (shares.iter().map(rate).sum::<f64>() + structural.powi(2)).sqrt()
}

#[cfg(test)]
#[path = "unit_tests.rs"]
mod tests;
