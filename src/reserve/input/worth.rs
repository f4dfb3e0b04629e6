//! What a unit of a type is worth, by class: from records, from published rates, or as a firm figure with its source.

use super::{
    file::{Demand, Type},
    losses,
    native::Native,
    records::Records,
    sources::{Grade, Source},
    text::{Refused, Text},
};
use crate::capacity::{self, Class, Gpu, Published, Vector, definition};
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
    /// What demand in tokens is of, by class.
    pub natives: &'a BTreeMap<String, Native>,
}

impl<'a> Given<'a> {
    /// The class of that demand.
    pub(super) fn class(&self, kind: &Type, wanted: &Demand) -> Result<&'a Class, Refused> {
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
    pub(super) fn defined(&self, class: &Class, definition: &str) -> String {
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

/// CU before losses, and how they were found, or why there are none.
pub(super) struct Found {
    pub(super) cu: f64,
    pub(super) grade: Grade,
    pub(super) how: String,
}

impl Found {
    /// By what so many GPUs do of a demand in tokens.
    pub(super) fn native(native: &Native, gpu: &Gpu, devices: u32, (grade, by): (Grade, String)) -> Self {
        match native.worth(gpu, devices) {
            Ok((cu, how)) => Self { cu, grade, how: format!("{by}: {how}") },
            Err(why) => Self { cu: 0.0, grade, how: why.0 },
        }
    }
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
    if cu.values().all(|cu| *cu == 0.0) {
        let why: Vec<&str> = sources.iter().map(|source| &*source.how).collect();
        let says = format!("type {name} is worth nothing of all that is demanded: {}; leave it out", why.join("; "));
        return Err(Refused { file: text.name.clone(), line: Some(line), says });
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
    let text = given.text;
    let gpu = Published::named(name.get_ref()).map_err(|_| {
        let known: Vec<&str> = Published::all().iter().map(|gpu| gpu.name.as_str()).collect();
        text.refuse(name, format!("no rates of `{}` are published here; there are {}", name.get_ref(), known.join(", ")))
    })?;
    let devices = devices.ok_or_else(|| {
        text.refuse(&kind.id, format!("type {}: say `devices`, or an `instance` of the price card", kind.id.get_ref()))
    })?;
    if let Some(native) = given.natives.get(wanted.class.get_ref()) {
        let rates = Gpu::named(&gpu.name).map_err(|wrong| text.refuse(name, wrong.0))?;
        let by = format!("{PUBLISHED}, rates of {} ({})", gpu.name, gpu.source());
        return Ok(Found::native(native, rates, devices, (Grade::Published, by)));
    }
    let class = given.class(kind, wanted)?;
    let grade = Grade::Published;
    let groups = devices as usize / class.width;
    if groups == 0 {
        return Ok(Found { cu: 0.0, grade, how: class.unfilled(devices as usize) });
    }
    let each = match capacity::units(class, &vector(gpu)) {
        Ok(units) => units,
        Err(wrong) if wrong.0.starts_with("no-fit") || wrong.0 == "missing: mm.fp8" || wrong.0 == "missing: mm.fp4" => {
            return Ok(Found {
                cu: 0.0,
                grade,
                how: format!("{} of {} does nothing of {} ({wrong})", gpu.name, kind.id.get_ref(), class.name),
            });
        }
        Err(wrong) => {
            let says = format!(
                "published rates of {} do not suffice for {} ({wrong}); give `cu` with its `source`, or a `record`",
                gpu.name, class.name
            );
            return Err(text.refuse(name, says));
        }
    };
    let also = if class.keys().any(|key| BORROWED.contains(&key)) {
        format!(", fixed times of {}", definition().reference.name)
    } else {
        String::new()
    };
    let number = groups * class.width;
    let how = format!(
        "{PUBLISHED}: {number} x {each:.4} by rates of {} ({}{also}), {}@{}",
        gpu.name,
        gpu.source(),
        given.defined(class, &definition().version),
        definition().reference.name
    );
    Ok(Found { cu: number as f64 * each, grade, how })
}
