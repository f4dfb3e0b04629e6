//! What a record of every candidate (`assay run --kernels all`) says: whether each slow twin is slower, and which candidate is the
//! fastest for each workload on this chip.

use anyhow::{Context, Result};
use assay::record::{Entry, Kind, Outcome, RateUnit, read};
use serde_json::{Value, json};
use std::{collections::BTreeMap, path::Path};

/// A slow twin must be slower by this much at least; less could be the clock's own scatter.
const SLOWER: f64 = 1.02;

/// Variants of each workload, and how much each does in a second.
type Speeds = BTreeMap<String, Vec<(String, f64)>>;

/// Measured entries by workload, each with how much it does in a second.
fn measured(path: &Path) -> Result<(Vec<Entry>, Speeds)> {
    let document = read(path).with_context(|| path.display().to_string())?;
    let mut rates: Speeds = BTreeMap::new();
    for entry in document.entries.iter().filter(|entry| entry.outcome == Outcome::Measured) {
        let Some((unit, best)) = entry.rate.as_ref().and_then(|rate| Some((rate.unit, rate.best()?.value))) else { continue };
        let speed = if unit == RateUnit::Seconds { 1.0 / best } else { best };
        rates.entry(entry.workload.id.clone()).or_default().push((entry.workload.variant.clone(), speed));
    }
    Ok((document.entries, rates))
}

fn is_slow(variant: &str) -> bool {
    variant.rsplit('/').next().is_some_and(|name| name.starts_with("slow"))
}

fn is_own(variant: &str) -> bool {
    variant != "vendor" && !is_slow(variant)
}

fn best(rates: &[(String, f64)], which: impl Fn(&str) -> bool) -> Option<&(String, f64)> {
    rates.iter().filter(|(variant, _)| which(variant)).max_by(|a, b| a.1.total_cmp(&b.1))
}

/// For each family, the workload on which its slow twin came off worst: there it must be slower.
pub fn slower(path: &Path) -> Result<Value> {
    let (_, rates) = measured(path)?;
    let mut families: BTreeMap<String, (f64, Value)> = BTreeMap::new();
    for (id, variants) in &rates {
        let Some(((own, fast), (slow, twin))) = best(variants, is_own).zip(best(variants, is_slow)) else { continue };
        let (family, times) = (id.split('/').next().unwrap_or_default(), fast / twin);
        let row = json!({ "workload": id, "own": own, "slow": slow, "times_as_fast": times });
        let known = families.entry(family.into()).or_insert((0.0, Value::Null));
        if times > known.0 {
            *known = (times, row);
        }
    }
    let good = !families.is_empty() && families.values().all(|(times, _)| *times >= SLOWER);
    let rows: BTreeMap<&String, &Value> = families.iter().map(|(family, (_, row))| (family, row)).collect();
    Ok(json!({ "schema": "assay.slower/1", "at_least": SLOWER, "families": rows, "verdict": if good { "good" } else { "bad" } }))
}

/// The rows that the table of a chip gets: `kernels/tuned.json` takes them as they are, where they are of hardware.
pub fn table(path: &Path) -> Result<Value> {
    let (entries, rates) = measured(path)?;
    let device = &entries.first().context("the record has no entry")?.device;
    let row = |(id, variants): (&String, &Vec<(String, f64)>)| {
        let (variant, speed) = best(variants, is_own)?;
        let second = best(variants, |other| is_own(other) && other != variant)?;
        Some(json!({ "workload": id, "variant": variant, "over_the_next": speed / second.1 }))
    };
    Ok(json!({
        "model": device.model,
        "units": device.units,
        "hardware": device.kind == Kind::Gpu,
        "driver": device.driver.clone().or_else(|| device.api.clone()),
        "rows": rates.iter().filter_map(row).collect::<Vec<_>>(),
    }))
}

#[test]
fn variants_are_told_apart() {
    assert!(is_slow("slow") && is_slow("mma/slow_bf16") && !is_slow("t128x128") && !is_slow("vendor"));
    assert!(is_own("wgmma/t128x256") && !is_own("vendor") && !is_own("dmma/slow"));
    let rates = [("a".to_owned(), 1.0), ("slow".to_owned(), 3.0), ("b".to_owned(), 2.0)];
    assert_eq!(best(&rates, is_own).map(|(variant, _)| variant.as_str()), Some("b"));
}
