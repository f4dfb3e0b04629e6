//! The vector of rates of a device, from the entries of a record: typical, firm, with intervals, and what speaks against each.

use super::{
    basis::{Source, Vector, definition},
    spread::{Spread, spread},
};
use crate::record::{Block, Device, Document, Entry, Limit, Outcome, Rate, RateUnit, Severity};
use serde::Serialize;
use std::collections::BTreeMap;

/// Retained blocks below which nothing is promised of the long run.
const BLOCKS: usize = 60;
/// Blocks below which resampling says nothing, and the entry's own interval stands.
const FEW: usize = 10;
/// Share of the vendor's rate below which our kernel, not the device, is what was measured.
const KERNEL: f64 = 0.95;
/// Share of the time that a slowdown may last, and of the clock that may drift between the first and the last third.
const HELD: f64 = 0.05;
const DRIFT: f64 = 0.03;
/// Variant of an entry that the vendor's library ran.
const VENDOR: &str = "vendor";

/// A rate of a device.
#[derive(Clone, Debug, PartialEq, Serialize)]
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
    /// What makes it no unit's.
    pub invalid: Vec<String>,
}

/// What is known of a device's rates.
#[derive(Clone, Debug, PartialEq, Serialize)]
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

/// Rates of `device` by the entries of its own, measured alone.
#[must_use]
pub fn rates(document: &Document, device: &Device) -> Rates {
    let entries: Vec<&Entry> =
        document.entries.iter().filter(|entry| entry.device.id == device.id && entry.load == "alone").collect();
    let (mut measured, mut absent) = (BTreeMap::new(), BTreeMap::new());
    for source in &definition().sources {
        match chosen(source, &entries).and_then(|entry| read(source, entry, &entries, &document.header.suite)) {
            Some(rate) => drop(measured.insert(source.key.clone(), rate)),
            None => drop(absent.insert(source.key.clone(), why_absent(source, &entries, device))),
        }
    }
    Rates { measured, absent, memory: device.usable_bytes().map(|bytes| bytes as f64) }
}

fn of<'a>(source: &Source, entries: &[&'a Entry]) -> Vec<&'a Entry> {
    let begins = |begin: &str| entries.iter().copied().filter(|entry| entry.workload.id.starts_with(begin)).collect::<Vec<_>>();
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

fn read(source: &Source, entry: &Entry, entries: &[&Entry], suite: &str) -> Option<Measured> {
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
    } else if suite == "quick" {
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
        invalid: invalid(source, entry, &retained, found.filter(|_| long)),
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

/// What makes a rate no unit's. A power cap is not among it: what a card sustains at its power is what it is worth.
fn invalid(source: &Source, entry: &Entry, retained: &[&Block], found: Option<Spread>) -> Vec<String> {
    let key = &source.key;
    let mut reasons = Vec::new();
    if !entry.verified.as_ref().is_some_and(|verified| verified.passed) {
        reasons.push(format!("unverified: the results behind {key} were not checked"));
    }
    if entry.neighbours.is_some_and(|others| others.before + others.after > 0) {
        reasons.push(format!("shared: other processes held the device around {key}"));
    }
    if entry.faults.as_ref().and_then(|faults| faults.gravest()).is_some_and(|xid| xid.severity >= Severity::Error) {
        reasons.push(format!("fault: the driver reported a grave fault around {key}"));
    }
    if entry.device.uuid.as_deref().is_some_and(|uuid| uuid.starts_with("MIG-")) {
        reasons.push("mig: a part of a card is not the card".to_owned());
    }
    let held = |block: &&&Block| {
        block.limits.as_ref().and_then(Limit::primary).is_some_and(|limit| matches!(limit, Limit::Brake | Limit::Thermal))
    };
    let share = retained.iter().filter(held).count() as f64 / retained.len().max(1) as f64;
    if share > HELD {
        reasons.push(format!("slowed: heat or a power brake held the clock in {:.0} % of the blocks of {key}", 100.0 * share));
    }
    let clock = |blocks: &[&Block]| {
        let clocks: Vec<f64> = blocks.iter().filter_map(|block| block.clock).map(|clock| f64::from(clock.0)).collect();
        (!clocks.is_empty()).then(|| clocks.iter().sum::<f64>() / clocks.len() as f64)
    };
    let third = retained.len() / 3;
    let ends = clock(&retained[..third]).zip(clock(&retained[retained.len() - third..]));
    if let Some(drift) = ends.map(|(first, last)| (last / first - 1.0).abs()).filter(|drift| *drift > DRIFT) {
        reasons.push(format!("drift: the clock moved by {:.0} % while {key} was measured", 100.0 * drift));
    }
    if let Some(varies) = found.map(|found| found.variation).filter(|varies| *varies > source.variation) {
        let allowed = 100.0 * source.variation;
        reasons.push(format!("unsteady: {key} varies by {:.1} %, {allowed:.0} % is allowed", 100.0 * varies));
    }
    reasons
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
