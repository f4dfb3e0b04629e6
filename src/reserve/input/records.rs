//! What a unit of a type is worth by records of `assay run`: firm figures alone, of as many devices as a unit has.

use super::{
    file::{Demand, Type},
    native::Native,
    sources::Grade,
    text::Refused,
    worth::{Found, Given},
};
use crate::{
    capacity::{self, Appraisal, Class, Gpu, Question, Rates, Valued, Vector},
    record,
};

/// Records of a type, valued.
pub struct Records {
    /// File and what it is worth.
    valued: Vec<(String, Appraisal)>,
}

impl Records {
    /// # Errors
    /// When a record cannot be read, or stands for no hardware.
    pub fn of(given: &Given, kind: &Type) -> Result<Option<Self>, Refused> {
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
    ///
    /// # Errors
    /// When a figure is not firm, with the reason.
    pub fn units(&self, given: &Given, kind: &Type, wanted: &Demand, devices: Option<u32>) -> Result<Found, Refused> {
        let text = given.text;
        let Some(record) = &kind.record else { unreachable!("asked of types that name records alone") };
        let mut least: Option<Found> = None;
        for (file, appraisal) in &self.valued {
            let own = chosen(kind, appraisal).map_err(|says| text.refuse(record, format!("record {file}: {says}")))?;
            let refuse = |says| text.refuse(record, format!("type {}: record {file}: {says}", kind.id.get_ref()));
            let node = Node { devices: devices.unwrap_or(own.len() as u32), own };
            let from = format!("{file} (run {})", appraisal.record.as_deref().unwrap_or_default());
            let found = if let Some(native) = given.natives.get(wanted.class.get_ref()) {
                node.native(native, &from).map_err(refuse)?
            } else {
                let class = given.class(kind, wanted)?;
                let (cu, how) = node.firm(class, wanted.synchronous.is_some()).map_err(refuse)?;
                let by = format!("{}@{}", given.defined(class, &appraisal.definition), appraisal.reference.name);
                Found { cu, grade: Grade::Measured, how: format!("{how} of {from}, {by}") }
            };
            if least.as_ref().is_none_or(|least| found.cu < least.cu) {
                least = Some(found);
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

/// A unit: so many devices, like those of a record.
struct Node<'a> {
    own: Vec<&'a Valued>,
    devices: u32,
}

impl Node<'_> {
    /// Rates of the record's devices as those of a unit have them: of one its own, of several those measured while all worked.
    fn rates(&self) -> Result<Vec<&Rates>, String> {
        if self.devices == 1 {
            return Ok(self.own.iter().map(|valued| &valued.rates).collect());
        }
        if self.devices as usize > self.own.len() {
            return Err(format!(
                "alone: {} of its devices worked together at most, and a unit has {}; measure all devices of such a node with `assay run --suite standard`, or state `cu` with its `source`",
                self.own.len(),
                self.devices
            ));
        }
        Ok(self.own.iter().map(|valued| &valued.together).collect())
    }

    /// Firm CU, by whole groups of the class's width.
    fn firm(&self, class: &Class, in_step: bool) -> Result<(f64, String), String> {
        let number = self.devices as usize;
        if number < class.width {
            return Ok((0.0, class.unfilled(number)));
        }
        let rates = self.rates()?;
        let mut least: Option<(f64, Vector)> = None;
        for (valued, rates) in self.own.iter().zip(&rates) {
            let cell = capacity::unit(class, &valued.subject, rates, &Question::default()).firm;
            let reason = cell.reason.unwrap_or_else(|| "withheld".to_owned());
            let device = &valued.subject.device;
            match cell.value {
                Some(cu) if cu > 0.0 => {
                    if least.as_ref().is_none_or(|(most, _)| cu < *most) {
                        least = Some((cu, rates.firm()));
                    }
                }
                Some(_) => return Ok((0.0, format!("{device} does nothing of {} ({reason})", class.name))),
                None => {
                    return Err(format!(
                        "CU of {device} for {} is not firm ({reason}); measure again with `assay run --suite standard`, state `cu` with its `source`, or name `published` rates",
                        class.name
                    ));
                }
            }
        }
        let (each, worst) = least.ok_or("it has no devices")?;
        let vectors: Vec<Vector> = rates.iter().map(|rates| rates.firm()).collect();
        let (vectors, like) = match (number == vectors.len(), in_step) {
            (true, false) => (vectors, format!("firm: sum of {number} measured devices")),
            (true, true) => (vectors, format!("firm: {number} in step with the slowest device")),
            (false, false) => {
                (vec![worst; number], format!("firm: {number} x {each:.6}, the least of {} measured devices", rates.len()))
            }
            (false, true) => (vec![capacity::slowest(&vectors); number], format!("firm: {number} in step with the slowest device")),
        };
        let how = if number > 1 { format!("{like}, while all worked") } else { like };
        Ok((capacity::grouped(class, &vectors, in_step), how))
    }

    /// What a demand in tokens is worth by firm rates of the slowest in every key.
    fn native(&self, native: &Native, from: &str) -> Result<Found, String> {
        let rates = self.rates()?;
        for (valued, rates) in self.own.iter().zip(&rates) {
            let subject = &valued.subject;
            if subject.backend != "cuda" {
                return Err(format!(
                    "backend: rates of {} say nothing of served or trained models; state `cu` with its `source`",
                    subject.backend
                ));
            }
            let used = native.keys(self.devices).into_iter().filter_map(|key| rates.measured.get(key));
            if let Some(reason) = used.flat_map(|rate| rate.invalid.iter().chain(&rate.not_firm)).next() {
                return Err(format!(
                    "rates of {} are not firm ({reason}); measure again with `assay run --suite standard`, state `cu` with its `source`, or name `published` rates",
                    subject.device
                ));
            }
        }
        let firm = |rates: &&Rates| {
            let mut firm = rates.firm();
            // A rate of the best shape that is not firm leaves the one that is sustained.
            firm.retain(|key, _| rates.measured.get(key).is_none_or(|rate| rate.invalid.is_empty() && rate.not_firm.is_none()));
            firm
        };
        let vectors: Vec<Vector> = rates.iter().map(firm).collect();
        let model = self.own.first().map_or("a device", |valued| &valued.subject.model);
        let gpu = Gpu::of_rates(model, &capacity::slowest(&vectors)).map_err(|wrong| wrong.0)?;
        Ok(Found::native(native, &gpu, self.devices, (Grade::Measured, format!("firm, rates of {from}"))))
    }
}
