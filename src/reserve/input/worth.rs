//! What a unit of a type is worth, by class: from records, from published rates, or as a firm figure with its source.

use super::{
    file::{Demand, Type},
    losses,
    sources::{Grade, Source},
    text::{Refused, Text},
};
use crate::{
    capacity::{self, Appraisal, Class, Published, Question, Valued, Vector, definition},
    record,
};
use std::{collections::BTreeMap, path::Path};

/// Label of what is made of published rates.
pub const PUBLISHED: &str = "published";
/// Rates of which nobody published a figure; those of the reference stand in.
const BORROWED: [&str; 2] = ["launch.dep", "link.ar_lat"];

/// What a plan file brings along: its text, its folder, and the classes that it may name.
pub struct Given<'a> {
    pub text: &'a Text,
    pub folder: &'a Path,
    pub known: &'a [Class],
    /// File of the classes that are not of the definition.
    pub classes: Option<&'a str>,
}

impl<'a> Given<'a> {
    /// The class of that demand.
    fn class(&self, kind: &Type, wanted: &Demand) -> Result<&'a Class, Refused> {
        let name = wanted.class.get_ref();
        self.known.iter().find(|class| class.name == *name).ok_or_else(|| {
            let known: Vec<&str> = self.known.iter().map(|class| class.name.as_str()).collect();
            let says = format!(
                "class {name} is none of {}; describe it in a file that the plan names, `classes = \"classes.toml\"`, or give type {} `cu = {{ {name} = … }}`",
                known.join(", "),
                kind.id.get_ref()
            );
            self.text.refuse(&wanted.class, says)
        })
    }

    /// What a class is defined by, for a citation.
    fn defined(&self, class: &Class, definition: &str) -> String {
        let own = self.classes.filter(|_| !capacity::definition().classes.iter().any(|shipped| shipped.name == class.name));
        own.map_or_else(|| definition.to_owned(), |file| format!("class of {file}, {definition}"))
    }
}

/// CU of a unit, by class, and where they come from.
#[derive(Debug)]
pub struct Worth {
    pub cu: BTreeMap<String, f64>,
    pub sources: Vec<Source>,
}

/// CU before losses, and how they were found.
struct Found {
    cu: f64,
    grade: Grade,
    how: String,
}

/// # Errors
/// When the type says none of its three ways, or more than one, or a CU is not firm.
pub fn worth(given: &Given, kind: &Type, classes: &[&Demand], devices: Option<u32>) -> Result<Worth, Refused> {
    let (name, text) = (kind.id.get_ref(), given.text);
    let ways = [kind.record.is_some(), kind.published.is_some(), kind.cu.is_some()];
    if ways.iter().filter(|way| **way).count() != 1 {
        let says = format!(
            "type {name} must say its CU in exactly one way: `record = \"run.jsonl\"`, `published = \"h100_sxm\"`, or `cu = {{ … }}` with `source`"
        );
        return Err(text.refuse(&kind.id, says));
    }
    let line = text.line(
        kind.record
            .as_ref()
            .map(toml::Spanned::span)
            .or(kind.published.as_ref().map(toml::Spanned::span))
            .or(kind.cu.as_ref().map(toml::Spanned::span))
            .unwrap_or(kind.id.span())
            .start,
    );
    let read = Records::of(given, kind)?;
    let (mut cu, mut sources) = (BTreeMap::new(), Vec::new());
    for class in classes {
        let found = match &read {
            Some(records) => records.units(given, kind, class, devices)?,
            None if kind.published.is_some() => published(given, kind, class, devices)?,
            None => match stated(text, kind, class, classes)? {
                Some(found) => found,
                None => continue,
            },
        };
        let (share, loss) = losses::kept(text, kind, class)?;
        let how = loss.map_or(found.how.clone(), |loss| format!("{}, {loss}", found.how));
        let class = class.class.get_ref().clone();
        sources.push(Source {
            figure: format!("CU of {name} for {class}"),
            of: name.clone(),
            value: found.cu * share,
            unit: "CU".into(),
            grade: found.grade,
            file: text.name.clone(),
            line: Some(line),
            how,
        });
        cu.insert(class, found.cu * share);
    }
    Ok(Worth { cu, sources })
}

fn stated(text: &Text, kind: &Type, class: &Demand, classes: &[&Demand]) -> Result<Option<Found>, Refused> {
    let (name, Some(cu)) = (kind.id.get_ref(), &kind.cu) else { return Ok(None) };
    let Some(source) = &kind.source else {
        return Err(text.refuse(cu, format!("type {name}: a figure of CU needs its `source`, in a sentence")));
    };
    if let Some((other, at)) = cu.get_ref().iter().find(|(other, _)| classes.iter().all(|class| class.class.get_ref() != *other)) {
        let known: Vec<&str> = classes.iter().map(|class| class.class.get_ref().as_str()).collect();
        return Err(text.refuse(at, format!("type {name}: no demand is of class {other}; there is demand of {}", known.join(", "))));
    }
    let Some(at) = cu.get_ref().get(class.class.get_ref()) else { return Ok(None) };
    let value = text.within(&format!("cu of {name} for {}", class.class.get_ref()), at, 0.0, 1e9)?;
    Ok(Some(Found { cu: value, grade: Grade::Stated, how: format!("stated: {}", source.get_ref()) }))
}

/// Published rates of a GPU as a vector, with the reference's fixed times.
#[must_use]
pub fn vector(gpu: &Published) -> Vector {
    let borrowed = BORROWED.iter().filter_map(|key| definition().reference.rates.get_key_value(*key));
    gpu.rates().into_iter().chain(borrowed.map(|(key, time)| (key.clone(), *time))).collect()
}

fn published(given: &Given, kind: &Type, wanted: &Demand, devices: Option<u32>) -> Result<Found, Refused> {
    let Some(name) = &kind.published else { unreachable!("asked of types that name published rates alone") };
    let (text, class) = (given.text, given.class(kind, wanted)?);
    let gpu = Published::named(name.get_ref()).map_err(|_| {
        let known: Vec<&str> = Published::all().iter().map(|gpu| gpu.name.as_str()).collect();
        text.refuse(name, format!("no rates of `{}` are published here; there are {}", name.get_ref(), known.join(", ")))
    })?;
    let devices = devices.ok_or_else(|| {
        text.refuse(&kind.id, format!("type {}: say `devices`, or an `instance` of the price card", kind.id.get_ref()))
    })?;
    let borrowed = class.keys().any(|key| BORROWED.contains(&key));
    let each = match capacity::units(class, &vector(gpu)) {
        Ok(units) => units,
        Err(wrong) if wrong.0.starts_with("no-fit") || wrong.0 == "missing: mm.fp8" || wrong.0 == "missing: mm.fp4" => 0.0,
        Err(wrong) => {
            let says = format!(
                "published rates of {} do not suffice for {} ({wrong}); give `cu` with its `source`, or a `record`",
                gpu.name, class.name
            );
            return Err(text.refuse(name, says));
        }
    };
    let also = if borrowed { format!(", fixed times of {}", definition().reference.name) } else { String::new() };
    let how = format!(
        "{PUBLISHED}: {devices} x {each:.4} by rates of {} ({}{also}), {}@{}",
        gpu.name,
        gpu.source(),
        given.defined(class, &definition().version),
        definition().reference.name
    );
    Ok(Found { cu: f64::from(devices) * each, grade: Grade::Published, how })
}

/// Records of a type, valued.
struct Records {
    /// File and what it is worth.
    valued: Vec<(String, Appraisal)>,
}

impl Records {
    fn of(given: &Given, kind: &Type) -> Result<Option<Self>, Refused> {
        let Some(record) = &kind.record else { return Ok(None) };
        let question = Question { classes: given.known.iter().collect(), ..Question::default() };
        let mut valued = Vec::new();
        for file in &record.get_ref().0 {
            let refuse = |error: &dyn std::fmt::Display| given.text.refuse(record, format!("record {file}: {error}"));
            let document = record::read(&given.folder.join(file)).map_err(|error| refuse(&error))?;
            let appraisal = capacity::appraise(&document, &question).map_err(|error| refuse(&error))?;
            valued.push((file.clone(), appraisal));
        }
        if valued.is_empty() {
            return Err(given.text.refuse(record, "an empty list of records; name at least one"));
        }
        Ok(Some(Self { valued }))
    }

    /// Firm CU of a unit: the least of the records.
    fn units(&self, given: &Given, kind: &Type, wanted: &Demand, devices: Option<u32>) -> Result<Found, Refused> {
        let text = given.text;
        let (Some(record), class) = (&kind.record, given.class(kind, wanted)?) else {
            unreachable!("asked of types that name records alone")
        };
        let mut least: Option<Found> = None;
        for (file, appraisal) in &self.valued {
            let own = chosen(kind, appraisal).map_err(|says| text.refuse(record, format!("record {file}: {says}")))?;
            let (cu, how) = firm(class, &own, wanted.synchronous.is_some(), devices)
                .map_err(|says| text.refuse(record, format!("type {}: record {file}: {says}", kind.id.get_ref())))?;
            if least.as_ref().is_none_or(|least| cu < least.cu) {
                let run = appraisal.record.as_deref().unwrap_or_default();
                let definition = given.defined(class, &appraisal.definition);
                let how = format!("{how} of {file} (run {run}), {definition}@{}", appraisal.reference.name);
                least = Some(Found { cu, grade: Grade::Measured, how });
            }
        }
        least.ok_or_else(|| text.refuse(record, "no record"))
    }
}

/// Devices of a record that a type speaks of: all of one backend, or one.
fn chosen<'a>(kind: &Type, appraisal: &'a Appraisal) -> Result<Vec<&'a Valued>, String> {
    let backend = |valued: &Valued| valued.subject.device.split(':').next().unwrap_or_default().to_owned();
    let all = || appraisal.devices.iter();
    let names = || all().map(|valued| valued.subject.device.as_str()).collect::<Vec<_>>().join(", ");
    let own: Vec<&Valued> = match &kind.device {
        Some(wanted) => all().filter(|own| own.subject.device == *wanted.get_ref() || backend(own) == *wanted.get_ref()).collect(),
        None => all().collect(),
    };
    if own.is_empty() {
        let asked = kind.device.as_ref().map_or("hardware", |wanted| wanted.get_ref());
        return Err(format!("it has no device {asked}; it has {}", names()));
    }
    if own.iter().any(|other| backend(other) != backend(own[0])) {
        return Err(format!("it has devices of several backends, {}; say which with `device`", names()));
    }
    Ok(own)
}

/// Firm CU of `devices` like those of a record, or of all of them.
fn firm(class: &Class, own: &[&Valued], synchronous: bool, devices: Option<u32>) -> Result<(f64, String), String> {
    let mut each = Vec::new();
    for valued in own {
        let unit = valued.units.iter().find(|unit| unit.class == class.name);
        let cell =
            unit.map(|unit| &unit.firm).ok_or_else(|| format!("{} has no figure for {}", valued.subject.device, class.name))?;
        let Some(cu) = cell.value else {
            let reason = cell.reason.as_deref().unwrap_or("withheld");
            return Err(format!(
                "CU of {} for {} is not firm ({reason}); measure again with `assay run --suite standard`, state `cu` with its `source`, or name `published` rates",
                valued.subject.device, class.name
            ));
        };
        each.push(cu);
    }
    let least = each.iter().copied().fold(f64::INFINITY, f64::min);
    let number = devices.map_or(each.len(), |devices| devices as usize);
    if synchronous && least > 0.0 {
        let rates: Vec<Vector> = own.iter().map(|valued| valued.rates.firm()).collect();
        let slowest = capacity::units(class, &capacity::slowest(&rates)).map_err(|wrong| wrong.0)?;
        return Ok((number as f64 * slowest, format!("firm: {number} x {slowest:.6}, in step with the slowest device")));
    }
    if number == each.len() {
        return Ok((each.iter().sum(), format!("firm: sum of {number} measured devices")));
    }
    Ok((number as f64 * least, format!("firm: {number} x {least:.6}, the least of {} measured devices", each.len())))
}
