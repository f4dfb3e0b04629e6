//! The vector of rates of a device, from the entries of a record: typical, firm, with intervals, and what speaks against each.

use super::{
    basis::{Source, Vector, definition},
    rules,
    spread::{Spread, spread},
};
use crate::record::{Block, Device, Document, Entry, Header, Outcome, Rate, RateUnit};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Retained blocks below which nothing is promised of the long run.
const BLOCKS: usize = 60;
/// Blocks below which resampling says nothing, and the entry's own interval stands.
const FEW: usize = 10;
/// Share of the vendor's rate below which our kernel, not the device, is what was measured.
const KERNEL: f64 = 0.95;
/// Variant of an entry that the vendor's library ran.
const VENDOR: &str = "vendor";

/// Where a vector of rates comes from; those of different origins are never taken for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// By the entries of a record of ours.
    Measured,
    /// By a person's file.
    Given,
    /// By the best figures that were published of such a device.
    Published,
}

/// A rate of a device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    pub unit: RateUnit,
    /// Median of the retained blocks, with its 95 % interval.
    pub typical: f64,
    pub low: f64,
    pub high: f64,
    /// Lower 95 % bound of the 10 % quantile; of a time the upper of the 90 % quantile.
    pub firm: Option<f64>,
    /// Why nothing firm may be said.
    pub not_firm: Option<String>,
    pub blocks: usize,
    /// `workload id@variant`
    pub from: String,
    pub kernel: Option<String>,
    /// Our own kernels have no figure; the vendor's library gave it.
    pub via_vendor: bool,
    /// Ours over the vendor's, where both ran in turns.
    pub against_vendor: Option<f64>,
    /// Mean power of the board meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watts: Option<f64>,
    /// Nobody is known to have measured it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub estimate: bool,
    /// What makes it no unit's.
    pub invalid: Vec<String>,
}

impl Measured {
    /// Standard deviation of its logarithm, from the interval.
    #[must_use]
    pub fn deviation(&self) -> f64 {
        (self.high / self.low).ln() / (2.0 * 1.96)
    }
}

/// What is known of a device's rates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    pub measured: BTreeMap<String, Measured>,
    /// Why a rate is not there, by key: `no-dtype: …` or `missing: …`.
    pub absent: BTreeMap<String, String>,
    /// Usable bytes.
    #[serde(rename = "mem.free")]
    pub memory: Option<f64>,
}

impl Rates {
    /// Typical rates, and the memory.
    #[must_use]
    pub fn typical(&self) -> Vector {
        self.vector(|rate| Some(rate.typical))
    }

    /// Firm rates, where there are any.
    #[must_use]
    pub fn firm(&self) -> Vector {
        self.vector(|rate| rate.firm)
    }

    fn vector(&self, of: fn(&Measured) -> Option<f64>) -> Vector {
        let rates = self.measured.iter().filter_map(|(key, rate)| Some((key.clone(), of(rate)?)));
        rates.chain(self.memory.map(|bytes| ("mem.free".to_owned(), bytes))).collect()
    }
}

/// Rates of `device` by the entries of its own, measured alone; or `together` with the node's other devices.
#[must_use]
pub fn rates(document: &Document, device: &Device, together: bool) -> Rates {
    let is = |entry: &&Entry| (entry.load != "alone") == together;
    let own: Vec<&Entry> = document.entries.iter().filter(is).filter(|entry| entry.device.id == device.id).collect();
    let every: Vec<&Entry> = document.entries.iter().filter(is).filter(|entry| entry.device.backend == device.backend).collect();
    let (mut measured, mut absent) = (BTreeMap::new(), BTreeMap::new());
    for source in &definition().sources {
        let entries = if source.shared { &every } else { &own };
        match chosen(source, entries).and_then(|entry| read(source, entry, entries, &document.header)) {
            Some(rate) => drop(measured.insert(source.key.clone(), rate)),
            None => drop(absent.insert(source.key.clone(), why_absent(source, entries, device))),
        }
    }
    Rates { measured, absent, memory: device.usable_bytes().map(|bytes| bytes as f64) }
}

fn of<'a>(source: &Source, entries: &[&'a Entry]) -> Vec<&'a Entry> {
    let begins = |begin: &str| {
        entries
            .iter()
            .filter(|_| !begin.is_empty())
            .copied()
            .filter(|entry| entry.workload.id.starts_with(begin))
            .collect::<Vec<_>>()
    };
    let first = begins(&source.workloads);
    match &source.instead {
        Some(instead) if first.is_empty() => begins(instead),
        _ => first,
    }
}

/// The entry that a rate is read from: ours before the vendor's, sustained before a burst, more work before less.
fn chosen<'a>(source: &Source, entries: &[&'a Entry]) -> Option<&'a Entry> {
    let rated =
        |entry: &&Entry| entry.outcome == Outcome::Measured && entry.rate.as_ref().is_some_and(|rate| rate.best().is_some());
    let candidates = of(source, entries).into_iter().filter(rated);
    let best =
        |entry: &Entry| if source.best { entry.rate.as_ref().and_then(Rate::best).map_or(0.0, |rate| rate.value) } else { 0.0 };
    let rank = |entry: &Entry| {
        let sustained = entry.rate.as_ref().is_some_and(|rate| rate.sustained.is_some());
        (entry.workload.variant != VENDOR, sustained, entry.work.flops.0 + entry.work.bytes.0)
    };
    candidates.max_by(|a, b| best(a).total_cmp(&best(b)).then_with(|| rank(a).cmp(&rank(b))))
}

fn read(source: &Source, entry: &Entry, entries: &[&Entry], header: &Header) -> Option<Measured> {
    let rate = entry.rate.as_ref()?;
    let own = rate.best()?;
    let retained = retained(entry, rate);
    // More is better in `values`, whatever the unit.
    let turned = |value: f64| if rate.unit == RateUnit::Seconds { 1.0 / value } else { value };
    let values: Vec<f64> =
        retained.iter().map(|block| turned(rate.unit.rate(&entry.work, block.launches, block.seconds))).collect();
    let seconds = retained.iter().map(|block| block.seconds).sum::<f64>() / retained.len().max(1) as f64;
    let found = spread(&values, seconds.max(1e-3));
    let long = values.len() >= FEW;
    let (typical, low, high) = match found {
        Some(Spread { median, low, high, .. }) if long => (turned(median), turned(low), turned(high)),
        Some(Spread { median, .. }) => {
            (turned(median), own.low * turned(median) / own.value, own.high * turned(median) / own.value)
        }
        None => (own.value, own.low, own.high),
    };
    let enough = values.len() >= BLOCKS;
    let against_vendor = against(entry, entries);
    let not_firm = if !enough {
        Some(format!("too-short: {} has {} of {BLOCKS} blocks; a longer suite gives more", source.key, values.len()))
    } else if header.suite == "quick" {
        Some(format!("too-short: {} is of the quick suite; run --suite standard", source.key))
    } else {
        against_vendor
            .filter(|ratio| *ratio < KERNEL)
            .map(|ratio| format!("kernel-limited: {} is {:.0} % of what the vendor's library reaches", source.key, 100.0 * ratio))
    };
    Some(Measured {
        unit: rate.unit,
        typical,
        low: low.min(high),
        high: high.max(low),
        firm: found.filter(|_| enough).map(|found| turned(found.firm)),
        not_firm,
        blocks: values.len(),
        from: format!("{}@{}", entry.workload.id, entry.workload.variant),
        kernel: entry.kernel.clone(),
        via_vendor: entry.workload.variant == VENDOR,
        against_vendor,
        watts: watts(entry, &retained),
        estimate: false,
        invalid: rules::invalid(source, entry, &header.node, &retained, found.filter(|_| long)),
    })
}

fn retained<'a>(entry: &'a Entry, rate: &Rate) -> Vec<&'a Block> {
    let from = entry.sampling.as_ref().filter(|_| rate.sustained.is_some()).map_or(0.0, |sampling| sampling.discarded);
    entry.series.iter().filter(|block| block.t + 1e-9 >= from && block.seconds > 0.0 && block.launches > 0).collect()
}

/// Ours over the vendor's, whichever of the two entries holds the pair.
fn against(entry: &Entry, entries: &[&Entry]) -> Option<f64> {
    let name = |entry: &Entry| format!("{}@{}", entry.workload.id, entry.workload.variant);
    let vendor = format!("{}@{VENDOR}", entry.workload.id);
    if entry.workload.variant == VENDOR {
        return None;
    }
    let own = entry.pair.as_ref().filter(|pair| pair.with == vendor).map(|pair| pair.ratio.value);
    own.or_else(|| {
        let other = entries.iter().find(|other| name(other) == vendor)?;
        other.pair.as_ref().filter(|pair| pair.with == name(entry)).map(|pair| 1.0 / pair.ratio.value)
    })
}

/// Mean power of the board: by its counter of energy, else by the power that was read over the retained blocks.
fn watts(entry: &Entry, retained: &[&Block]) -> Option<f64> {
    let counter = entry.telemetry.as_ref().and_then(|told| Some(told.joules?.0 / told.energy_s.filter(|seconds| *seconds > 0.0)?));
    let read = || {
        let read: Vec<(f64, f64)> =
            retained.iter().filter_map(|block| Some((block.watts? * block.seconds, block.seconds))).collect();
        let seconds: f64 = read.iter().map(|(_, seconds)| seconds).sum();
        (seconds > 0.0).then(|| read.iter().map(|(joules, _)| joules).sum::<f64>() / seconds)
    };
    counter.or_else(read).filter(|watts| *watts > 0.0)
}

fn why_absent(source: &Source, entries: &[&Entry], device: &Device) -> String {
    let key = &source.key;
    if let Some(dtype) = source.dtype.as_ref().filter(|dtype| !device.precisions.contains(dtype)) {
        return format!("no-dtype: {} has no {dtype} arithmetic here", device.id);
    }
    if let Some(reason) = of(source, entries).iter().find_map(|entry| entry.reason.as_deref()) {
        return format!("missing: {key}: {reason}");
    }
    format!("missing: {key}; `assay run --suite standard --only '{}*'` measures it", source.workloads)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        record::{self, Reading, Telemetry},
        units::{Joules, Milliwatts, Nanos},
    };
    use std::path::Path;

    fn committed() -> Document {
        record::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixture/cpu.standard.jsonl")).expect("committed")
    }

    #[test]
    fn what_all_devices_do_at_once_is_a_rate_of_each() {
        let mut document = committed();
        let mut sum =
            document.entries.iter().find(|entry| entry.workload.id.starts_with("stream/fp64/triad")).expect("there").clone();
        sum.workload.id = "collective/fp32/all-reduce/2x1GiB".into();
        let other = Device { id: "cpu:1".into(), ..sum.device.clone() };
        document.entries.push(sum);
        let of = |device: &Device| rates(&document, device, false);
        assert!(of(&other).measured["link.ar_bw"].typical > 1e9 && !of(&other).measured.contains_key("hbm.triad"));
        assert!(of(&other).absent["link.ar_lat"].contains("'collective/fp32/all-reduce-time/*'"));
        let elsewhere = Device { backend: "cuda".into(), ..other };
        assert!(!of(&elsewhere).measured.contains_key("link.ar_bw"));
    }

    #[test]
    fn power_is_that_of_the_counter_else_that_of_the_blocks() {
        let mut entry = committed().entries.remove(0);
        let blocks: Vec<Block> = entry.series.iter().take(4).cloned().collect();
        let read: Vec<&Block> = blocks.iter().collect();
        assert_eq!(watts(&entry, &read), None, "nothing was read");
        let told: Vec<Block> = blocks.iter().map(|block| Block { watts: Some(300.0), ..block.clone() }).collect();
        let told: Vec<&Block> = told.iter().collect();
        assert!(watts(&entry, &told).is_some_and(|watts| (watts - 300.0).abs() < 1e-9));
        let reading = |second: u64| Reading {
            at: Nanos(second * 1_000_000_000),
            power_mw: Some(Milliwatts(400_000)),
            energy_j: Some(Joules(500.0 * second as f64)),
            ..Reading::default()
        };
        entry.telemetry = Telemetry::fold("nvml", &(0..=20).map(reading).collect::<Vec<_>>());
        assert_eq!(watts(&entry, &told), Some(500.0));
    }
}
