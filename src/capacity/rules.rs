//! What makes a rate no unit's: the measurement was disturbed, not checked, or cannot be.

use super::{basis::Source, spread::Spread};
use crate::{
    chips,
    dtype::DTYPES,
    record::{Block, Device, Entry, Limit, Node, RateUnit, Severity},
};

/// Share of the time that a slowdown may last, and of a clock that may drift: that of the units between the first and the last third,
/// that of memory between any two states.
const HELD: f64 = 0.05;
const DRIFT: f64 = 0.03;
/// Share of the time in which the device may have been busy before anything of the measurement was.
const BUSY: f64 = 0.02;
/// Above the physical peak by this much a timer is wrong, or work was skipped.
const IMPOSSIBLE: f64 = 1.02;

/// What makes a rate no unit's. A power cap is not among it: what a card sustains at its power is what it is worth.
pub fn invalid(source: &Source, entry: &Entry, node: &Node, retained: &[&Block], found: Option<Spread>) -> Vec<String> {
    let key = &source.key;
    let mut reasons = Vec::new();
    if !entry.verified.as_ref().is_some_and(|verified| verified.passed) {
        reasons.push(format!("unverified: the results behind {key} were not checked"));
    }
    if entry.neighbours.is_some_and(|others| others.before + others.after > 0) {
        reasons.push(format!("shared: other processes held the device around {key}"));
    }
    if let Some(busy) = entry.neighbours.and_then(|others| others.utilisation_before).filter(|busy| *busy > BUSY) {
        reasons.push(format!("busy: the device was {:.0} % busy before {key} was begun", 100.0 * busy));
    }
    if entry.faults.as_ref().and_then(|faults| faults.gravest()).is_some_and(|xid| xid.severity >= Severity::Error) {
        reasons.push(format!("fault: the driver reported a grave fault around {key}"));
    }
    if entry.device.uuid.as_deref().is_some_and(|uuid| uuid.starts_with("MIG-")) {
        reasons.push("mig: a part of a card is not the card".to_owned());
    }
    if is_virtual(&entry.device) {
        reasons.push(format!("vgpu: {} is a part of a card that others share", entry.device.model));
    }
    if let Some(how) = node.mps.as_ref().filter(|_| entry.device.backend == "cuda") {
        reasons.push(format!("mps: clients of CUDA's Multi-Process Service share the card ({how})"));
    }
    reasons.extend(impossible(key, entry));
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
    let memory: Vec<f64> = entry.states.iter().filter_map(|state| state.memory_mhz).filter(|clock| *clock > 0.0).collect();
    let (least, most) = memory.iter().fold((f64::INFINITY, 0.0_f64), |(a, b), clock| (a.min(*clock), b.max(*clock)));
    if most > least * (1.0 + DRIFT) {
        reasons.push(format!("drift: the memory's clock moved from {least:.0} to {most:.0} MHz while {key} was measured"));
    }
    if let Some(varies) = found.map(|found| found.variation).filter(|varies| *varies > source.variation) {
        let allowed = 100.0 * source.variation;
        reasons.push(format!("unsteady: {key} varies by {:.1} %, {allowed:.0} % is allowed", 100.0 * varies));
    }
    reasons
}

/// NVIDIA's virtual GPUs are named by card, gigabytes and series: `GRID T4-16Q`, `NVIDIA A40-48C` (Virtual GPU Software User Guide,
/// "Virtual GPU Types").
fn is_virtual(device: &Device) -> bool {
    let profile = device.model.rsplit('-').next().filter(|last| last.len() < device.model.len());
    let size = profile.and_then(|last| last.strip_suffix(['A', 'B', 'C', 'Q']));
    size.is_some_and(|size| !size.is_empty() && size.chars().all(|c| c.is_ascii_digit()))
}

/// A rate beyond the physical peak at the highest clock, where that is known.
fn impossible(key: &str, entry: &Entry) -> Option<String> {
    let (device, rate) = (&entry.device, entry.rate.as_ref()?);
    let peak = match (rate.unit, entry.workload.family.as_str()) {
        (RateUnit::Flops, "matmul") => {
            let input = entry.workload.precision.split('.').next()?;
            let dtype = DTYPES.iter().find(|row| row.name == input)?.dtype;
            let each = chips::operations_a_clock(device.architecture.as_deref()?, dtype)?;
            chips::units_peak(device.units?, f64::from(each), device.boost_mhz?)
        }
        (RateUnit::Bytes, "stream") => chips::bytes_peak(device.bus_bits?, device.memory_mhz?),
        _ => return None,
    };
    let value = rate.best()?.value;
    (value > IMPOSSIBLE * peak).then(|| format!("impossible: {key} is {:.0} % of the physical peak", 100.0 * value / peak))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        capacity::definition,
        record::{self, Neighbours, Outcome, State},
        units::Megahertz,
    };
    use std::{collections::BTreeSet, path::Path};

    fn triad() -> Entry {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixture/cpu.standard.jsonl");
        let entries = record::read(&path).expect("committed").entries;
        let is = |entry: &Entry| entry.workload.id.starts_with("stream/fp64/triad/") && entry.outcome == Outcome::Measured;
        entries.into_iter().find(is).expect("measured")
    }

    fn said(entry: &Entry) -> Vec<String> {
        said_on(entry, &Node::default())
    }

    fn said_on(entry: &Entry, node: &Node) -> Vec<String> {
        let source = definition().sources.iter().find(|source| source.key == "hbm.triad").expect("shipped");
        let retained: Vec<&Block> = entry.series.iter().collect();
        invalid(source, entry, node, &retained, None)
            .iter()
            .map(|reason| reason.split(':').next().unwrap_or_default().to_owned())
            .collect()
    }

    #[test]
    fn each_disturbance_is_said_and_none_is_made_up() {
        let entry = triad();
        assert_eq!(said(&entry), Vec::<String>::new());
        let busy = Neighbours { before: 0, after: 0, utilisation_before: Some(0.03), utilisation_after: Some(1.0) };
        assert_eq!(said(&Entry { neighbours: Some(busy), ..entry.clone() }), ["busy"]);
        let idle = Neighbours { utilisation_before: Some(0.02), ..busy };
        assert_eq!(said(&Entry { neighbours: Some(idle), ..entry.clone() }), Vec::<String>::new());
        assert_eq!(said(&Entry { neighbours: Some(Neighbours { before: 1, ..idle }), ..entry.clone() }), ["shared"]);
        let state = |memory: f64| State { limits: BTreeSet::new(), busy_s: 1.0, sm_mhz: None, memory_mhz: Some(memory) };
        assert_eq!(said(&Entry { states: vec![state(3201.0), state(3000.0)], ..entry.clone() }), ["drift"]);
        assert_eq!(said(&Entry { states: vec![state(3201.0), state(3190.0)], ..entry.clone() }), Vec::<String>::new());
        assert_eq!(said(&Entry { verified: None, ..entry }), ["unverified"]);
    }

    #[test]
    fn more_than_the_bus_can_carry_is_impossible() {
        let mut entry = triad();
        // 512 bits twice a clock of 400 MHz carry 51.2 GB/s, and 59 were measured; of 480 MHz, 61.4.
        entry.device.bus_bits = Some(512);
        entry.device.memory_mhz = Some(Megahertz(400));
        assert_eq!(said(&entry), ["impossible"]);
        entry.device.memory_mhz = Some(Megahertz(480));
        assert_eq!(said(&entry), Vec::<String>::new());
    }

    #[test]
    fn a_card_of_several_clients_is_no_card_and_other_backends_do_not_share_it() {
        let mut entry = triad();
        let node = Node { mps: Some("pipes in /tmp/nvidia-mps".into()), ..Node::default() };
        assert_eq!(said_on(&entry, &node), Vec::<String>::new(), "a CPU has no such clients");
        entry.device.backend = "cuda".into();
        assert_eq!((said_on(&entry, &node), said(&entry)), (vec!["mps".to_owned()], Vec::new()));
    }

    #[test]
    fn a_virtual_gpu_is_known_by_its_profile() {
        let of = |model: &str| is_virtual(&Device::new("cuda:0", "cuda", record::Kind::Gpu, model));
        assert!(of("GRID T4-16Q") && of("NVIDIA A40-48C") && of("NVIDIA H100-80C"));
        assert!(!of("NVIDIA A100-SXM4-80GB") && !of("NVIDIA H100 80GB HBM3") && !of("NVIDIA L40S") && !of("AMD EPYC"));
    }
}
