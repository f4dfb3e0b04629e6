//! A mix of classes: a device's units of demand that takes shares of the reference's time. Shares add as times, so that units add
//! harmonically and never otherwise.

use super::{
    rates::Rates,
    unit::{Cell, Question, Unit},
};
use std::collections::BTreeMap;

/// The mix of `question` by what each of its classes is worth; none where none is asked for.
#[must_use]
pub fn mix(units: &[Unit], rates: &Rates, question: &Question) -> Option<Unit> {
    let parts: Vec<(&Unit, f64)> = question
        .mix
        .iter()
        .filter_map(|(class, share)| Some((units.iter().find(|unit| unit.class == class.name)?, *share)))
        .collect();
    let first = parts.first()?.0;
    let names: Vec<String> = question.mix.iter().map(|(class, share)| format!("{}={share}", class.name)).collect();
    let typical = harmonic(parts.iter().map(|(unit, share)| (&unit.typical, *share)));
    let firm = harmonic(parts.iter().map(|(unit, share)| (&unit.firm, *share)));
    let weights = weights(&parts, typical.value);
    let mut shares: BTreeMap<String, f64> = BTreeMap::new();
    let mut structural = 0.0;
    for ((unit, _), weight) in parts.iter().zip(&weights) {
        // Errors of the models are taken to go together: nothing is known of how they differ.
        structural += weight * unit.structural;
        for (key, share) in &unit.shares {
            *shares.entry(key.clone()).or_default() += weight * share;
        }
    }
    let rate = |(key, share): (&String, &f64)| rates.measured.get(key).map_or(0.0, |rate| (share * rate.deviation()).powi(2));
    let half = 1.96 * (shares.iter().map(rate).sum::<f64>() + structural.powi(2)).sqrt();
    let certain = typical.value.filter(|value| *value > 0.0);
    let per_kw = parts.iter().find_map(|(unit, _)| unit.per_kw.value.is_none().then(|| unit.per_kw.clone()));
    // Energy adds as time does: watts of each class over its part of the time.
    let watts = || parts.iter().zip(&weights).map(|((unit, _), weight)| Some(weight * unit.firm.value? / unit.per_kw.value?)).sum();
    let kilowatts: Option<f64> = if per_kw.is_none() { watts() } else { None };
    let of_kilowatts = firm.value.zip(kilowatts).map(|(firm, kilowatts)| firm / kilowatts);
    Some(Unit {
        class: format!("mix {}", names.join(",")),
        low: certain.map(|value| value * (-half).exp()),
        high: certain.map(|value| value * half.exp()),
        cost: question.price.map(|price| Cell { value: firm.value.map(|firm| price / firm), reason: firm.reason.clone() }),
        per_kw: per_kw.unwrap_or(Cell { value: of_kilowatts, reason: firm.reason.clone() }),
        typical,
        firm,
        shares,
        batch: None,
        via_vendor: union(&parts, |unit| &unit.via_vendor),
        estimates: union(&parts, |unit| &unit.estimates),
        instead: parts.iter().flat_map(|(unit, _)| unit.instead.clone()).collect(),
        structural,
        ..first.clone()
    })
}

/// `1 / sum of share / units`; withheld with the first reason of any.
#[must_use]
pub fn harmonic<'a>(parts: impl Iterator<Item = (&'a Cell, f64)> + Clone) -> Cell {
    let reason = parts.clone().find_map(|(cell, _)| cell.reason.clone());
    let time: Option<f64> = parts.map(|(cell, share)| cell.value.map(|value| share / value)).sum();
    Cell { value: time.map(|time| 1.0 / time), reason }
}

/// Parts of the mix's own time by class.
fn weights(parts: &[(&Unit, f64)], whole: Option<f64>) -> Vec<f64> {
    let part = |(unit, share): &(&Unit, f64)| Some(share / unit.typical.value? * whole?);
    parts.iter().map(|each| part(each).filter(|part| part.is_finite()).unwrap_or(0.0)).collect()
}

fn union(parts: &[(&Unit, f64)], of: impl Fn(&Unit) -> &Vec<String>) -> Vec<String> {
    let mut all: Vec<String> = parts.iter().flat_map(|(unit, _)| of(unit).clone()).collect();
    all.sort();
    all.dedup();
    all
}
