//! Devices of a node together: replicas are a sum, what goes in step is as many times the slowest in every key.
//!
//! What a node is worth is by rates measured while all its devices worked, since they share power, heat and links.

use super::{
    appraise::Valued,
    basis::{Class, Vector, definition, is_time},
    mix::harmonic,
    rates::{Origin, Rates},
    unit::{Cell, Question, Unit, unit, units},
};
use serde::Serialize;
use std::collections::BTreeMap;

/// Several devices of a backend together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Together {
    pub backend: String,
    pub devices: usize,
    pub class: String,
    /// Each on its own work, or each group of the class's width: a sum. Devices that fill no group count nothing.
    pub replicas: Cell,
    pub replicas_firm: Cell,
    /// All in step: as many times the slowest in every key.
    pub synchronous: Cell,
    pub synchronous_firm: Cell,
}

/// Rates of a device as its node has them: those measured while all worked, else those alone, marked so.
#[must_use]
pub fn shared(alone: &Rates, together: &Rates) -> Rates {
    let mut rates = alone.clone();
    for (key, rate) in &mut rates.measured {
        let shared = definition().sources.iter().any(|source| source.shared && source.key == *key);
        if let Some(with_others) = together.measured.get(key) {
            *rate = with_others.clone();
        } else if !shared {
            let why = format!("alone: {key} was measured one device at a time; a longer suite measures it on all at once");
            rate.invalid.insert(0, why);
        }
    }
    rates
}

/// Units of devices with these rates, by whole groups of the class's width: each group in step with its slowest, or all in step.
/// What fills no group counts nothing, and so does what lacks the format or the memory.
#[must_use]
pub fn grouped(class: &Class, vectors: &[Vector], in_step: bool) -> f64 {
    let of = |some: &[Vector]| units(class, &slowest(some)).map_or(0.0, |units| some.len() as f64 * units);
    match in_step {
        false => vectors.chunks_exact(class.width).map(of).sum(),
        true if vectors.len().is_multiple_of(class.width) => of(vectors),
        true => 0.0,
    }
}

/// What the devices of each backend, where there are several, are worth of each class.
#[must_use]
pub fn nodes(devices: &[Valued], question: &Question, classes: &[&Class]) -> Vec<Together> {
    let mut backends: BTreeMap<&str, Vec<&Valued>> = BTreeMap::new();
    for device in devices.iter().filter(|device| device.origin == Origin::Measured) {
        backends.entry(&device.subject.backend).or_default().push(device);
    }
    backends.retain(|_, group| group.len() > 1);
    let mut all = Vec::new();
    for (backend, group) in backends {
        let each: Vec<Together> = classes.iter().map(|class| together(backend, &group, class, question)).collect();
        let mixed = mixed(&each, question);
        all.extend(each);
        all.extend(mixed);
    }
    all
}

fn together(backend: &str, group: &[&Valued], class: &Class, question: &Question) -> Together {
    let each: Vec<Unit> = group.iter().map(|device| unit(class, &device.subject, &device.together, question)).collect();
    let n = group.len();
    let cells = |cell: fn(&Unit) -> &Cell, of: fn(&Rates) -> Vector| {
        let reason = each.iter().find_map(|unit| cell(unit).reason.clone());
        let told = each.iter().all(|unit| cell(unit).value.is_some());
        let vectors: Vec<Vector> = group.iter().map(|device| of(&device.together)).collect();
        let of = |in_step: bool| Cell { value: told.then(|| grouped(class, &vectors, in_step)), reason: reason.clone() };
        (of(false), of(true))
    };
    let (replicas, synchronous) = cells(|unit| &unit.typical, Rates::typical);
    let (replicas_firm, synchronous_firm) = cells(|unit| &unit.firm, Rates::firm);
    let (backend, class) = (backend.to_owned(), class.name.clone());
    Together { backend, devices: n, class, replicas, replicas_firm, synchronous, synchronous_firm }
}

/// The mix of a node, of the classes' own figures.
fn mixed(each: &[Together], question: &Question) -> Option<Together> {
    let parts: Vec<(&Together, f64)> = question
        .mix
        .iter()
        .filter_map(|(class, share)| Some((each.iter().find(|node| node.class == class.name)?, *share)))
        .collect();
    let first = parts.first()?.0;
    let of = |cell: fn(&Together) -> &Cell| harmonic(parts.iter().map(|(node, share)| (cell(node), *share)));
    let names: Vec<String> = question.mix.iter().map(|(class, share)| format!("{}={share}", class.name)).collect();
    Some(Together {
        backend: first.backend.clone(),
        devices: first.devices,
        class: format!("mix {}", names.join(",")),
        replicas: of(|node| &node.replicas),
        replicas_firm: of(|node| &node.replicas_firm),
        synchronous: of(|node| &node.synchronous),
        synchronous_firm: of(|node| &node.synchronous_firm),
    })
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
mod tests {
    use super::*;
    use crate::{
        capacity::{Appraisal, appraise},
        record::{self, Document, Entry},
    };
    use std::path::Path;

    /// The committed record as if there were two such devices, the second by `factor` faster, each also measured together.
    fn two(factor: f64, together: bool) -> Document {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixture/cpu.standard.jsonl");
        let mut document = record::read(&path).expect("committed");
        let slower = |entry: &Entry, by: f64| {
            let mut entry = entry.clone();
            entry.series.iter_mut().for_each(|block| block.seconds *= by);
            entry
        };
        let alone = document.entries.clone();
        document.entries.clear();
        for (id, by) in [("cpu:0", 1.0), ("cpu:1", 1.0 / factor)] {
            for entry in &alone {
                let mut entry = slower(entry, by);
                entry.device.id = id.into();
                if together {
                    // While both work each has four fifths of what it has alone.
                    let mut both = slower(&entry, 1.25);
                    both.load = "together(2)".into();
                    document.entries.push(both);
                }
                document.entries.push(entry);
            }
        }
        document
    }

    fn appraised(document: &Document, degraded: bool) -> Appraisal {
        let class = |name: &str| definition().class(name).expect("shipped");
        let mix = vec![(class("stream"), 0.5), (class("portable-fp64"), 0.5)];
        appraise(document, &Question { mix, degraded, ..Question::default() }).expect("hardware")
    }

    #[test]
    fn a_node_is_worth_what_its_devices_reach_while_all_work() {
        let appraisal = appraised(&two(1.5, true), true);
        let alone: Vec<f64> = appraisal.devices.iter().map(|device| device.units[0].typical.value.expect("degraded")).collect();
        let node = &appraisal.nodes[0];
        assert_eq!((node.class.as_str(), node.devices, appraisal.nodes.len()), ("stream", 2, 3));
        let value = |cell: &Cell| cell.value.expect("degraded");
        assert!((alone[1] / alone[0] - 1.5).abs() < 1e-9);
        assert!((value(&node.replicas) / (0.8 * 2.5 * alone[0]) - 1.0).abs() < 1e-9, "the sum");
        assert!((value(&node.synchronous) / (0.8 * 2.0 * alone[0]) - 1.0).abs() < 1e-9, "twice the slowest");
        assert!(value(&node.replicas_firm) < value(&node.replicas) && value(&node.synchronous_firm) < value(&node.synchronous));
        let [stream, double, mix] = &appraisal.nodes[..] else { panic!("three") };
        let blend = 1.0 / (0.5 / value(&stream.replicas) + 0.5 / value(&double.replicas));
        assert!((value(&mix.replicas) / blend - 1.0).abs() < 1e-12 && mix.class.starts_with("mix "));
    }

    #[test]
    fn what_was_measured_one_at_a_time_says_so_instead_of_a_figure() {
        let strict = appraised(&two(1.5, false), false);
        let double = &strict.nodes[1];
        assert_eq!((double.replicas.value, double.replicas_firm.value), (None, None));
        assert!(appraised(&two(1.5, false), true).nodes[1].replicas.value.is_some());
        let reasons: Vec<_> = strict.nodes.iter().filter_map(|node| node.replicas.code()).collect();
        assert_eq!(reasons, ["alone", "alone", "alone"]);
    }

    #[test]
    fn devices_that_fill_no_group_count_nothing() {
        let class = definition().class("serve-70b-fp8-tp2").expect("shipped");
        let reference = definition().reference.rates.clone();
        let in_groups = |n: usize| grouped(class, &vec![reference.clone(); n], false);
        assert_eq!((in_groups(1), in_groups(2), in_groups(5)), (0.0, 2.0, 4.0));
    }
}
