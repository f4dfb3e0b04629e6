//! The whole answer: what the devices of a record, or vectors of rates, are worth of each class.

use super::{
    Wrong,
    basis::{Class, Reference, definition},
    given::Vectors,
    mix::mix,
    node::{Together, nodes, shared},
    rates::{Origin, Rates, rates},
    unit::{Question, Subject, Unit, unit},
};
use crate::record::{Device, Document, Kind};
use serde::Serialize;
use std::collections::BTreeMap;

/// The form of what is printed as JSON, and read again with `--rates`.
pub const SCHEMA: &str = "assay.units/1";

/// A device with its rates, from which the units can be had anew under another definition.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Valued {
    #[serde(flatten)]
    pub subject: Subject,
    pub origin: Origin,
    pub rates: Rates,
    /// As its node has them, while all devices work.
    #[serde(skip)]
    pub together: Rates,
    pub units: Vec<Unit>,
}

/// What a record's devices are worth, or vectors of rates.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Appraisal {
    pub schema: &'static str,
    pub definition: String,
    pub hash: String,
    pub reference: Reference,
    /// Of what: the record's suite, or whose figures the rates are.
    pub of: String,
    pub record: Option<String>,
    pub suite: Option<String>,
    pub method: Option<u32>,
    pub devices: Vec<Valued>,
    pub nodes: Vec<Together>,
    /// Devices that cannot stand for hardware.
    pub refused: Vec<String>,
}

fn classes<'a>(question: &Question<'a>) -> Vec<&'a Class> {
    let mut classes: Vec<&Class> =
        if question.classes.is_empty() && question.mix.is_empty() { definition().classes.iter().collect() } else { Vec::new() };
    for class in question.classes.iter().chain(question.mix.iter().map(|(class, _)| class)) {
        if !classes.iter().any(|other| other.name == class.name) {
            classes.push(class);
        }
    }
    classes
}

fn valued(subject: Subject, origin: Origin, (rates, together): (Rates, Rates), classes: &[&Class], question: &Question) -> Valued {
    let mut units: Vec<Unit> = classes.iter().map(|class| unit(class, &subject, &rates, question)).collect();
    units.extend(mix(&units, &rates, question));
    Valued { subject, origin, rates, together, units }
}

fn blank(of: String) -> Appraisal {
    let definition = definition();
    Appraisal {
        schema: SCHEMA,
        definition: definition.version.clone(),
        hash: definition.hash(),
        reference: definition.reference.clone(),
        of,
        record: None,
        suite: None,
        method: None,
        devices: Vec::new(),
        nodes: Vec::new(),
        refused: Vec::new(),
    }
}

/// # Errors
/// When the record's figures are not of our own kernels, or are of nothing that stands for hardware.
pub fn appraise(document: &Document, question: &Question) -> Result<Appraisal, Wrong> {
    let header = &document.header;
    if header.assay.imported.is_some() {
        return Err(Wrong("an imported record: units come from rates of our own kernels alone; measure with `assay run`".into()));
    }
    let classes = classes(question);
    let seen: BTreeMap<&str, &Device> = document.entries.iter().map(|entry| (&*entry.device.id, &entry.device)).collect();
    let (real, other): (Vec<&Device>, Vec<&Device>) =
        seen.into_values().partition(|device| matches!(device.kind, Kind::Gpu | Kind::Cpu));
    let refused: Vec<String> = other.iter().map(|device| format!("{} is {}", device.id, device.kind.name())).collect();
    if real.is_empty() && !refused.is_empty() {
        return Err(Wrong(format!("{}: that stands for no hardware, and is worth no units", refused.join(", "))));
    }
    let subject = |device: &Device| Subject {
        device: device.id.clone(),
        model: device.model.clone(),
        backend: device.backend.clone(),
        architecture: device.architecture.clone(),
    };
    let of = |device: &&Device| {
        let alone = rates(document, device, false);
        let together = shared(&alone, &rates(document, device, true));
        valued(subject(device), Origin::Measured, (alone, together), &classes, question)
    };
    let devices: Vec<Valued> = real.iter().map(of).collect();
    let nodes = nodes(&devices, question, &classes);
    Ok(Appraisal {
        record: Some(header.id.clone()),
        suite: Some(header.suite.clone()),
        method: Some(header.assay.method),
        devices,
        nodes,
        refused,
        ..blank(format!("a record of suite {}", header.suite))
    })
}

/// What vectors of rates are worth.
#[must_use]
pub fn appraise_rates(vectors: &Vectors, question: &Question) -> Appraisal {
    let classes = classes(question);
    let device = |(subject, origin, rates): &(Subject, Origin, Rates)| {
        valued(subject.clone(), *origin, (rates.clone(), rates.clone()), &classes, question)
    };
    Appraisal { devices: vectors.devices.iter().map(device).collect(), ..blank(vectors.of.clone()) }
}
