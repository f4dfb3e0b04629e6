//! Which kernel carries a workload out on this chip: what the binary's table says, else what was found here before, else what is found
//! now, once, within a few seconds of a run.

use crate::{
    contract::{Fault, Machine},
    measure::{self, Launching},
    plan::{Plan, Variant, VariantKind, kernels_hash, known_chip},
    record::{Device, Kind},
    units::Nanos,
};
use directories::ProjectDirs;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf};

/// Time of the device that tuning may take in a run, and for one workload.
const WHOLE: Nanos = Nanos(3_000_000_000);
const EACH: Nanos = Nanos(100_000_000);

/// Whether kernels are chosen on the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tune {
    /// On a chip that neither the table nor an earlier run knows.
    #[default]
    Auto,
    /// Whatever is known.
    Anew,
    /// Never: the kernels that our own rule prefers.
    Off,
}

/// What was found on a chip, as it is kept in the user's cache folder.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Found {
    /// Of the kernels among which it was found.
    kernels: Option<String>,
    /// Variant by workload.
    rows: BTreeMap<String, String>,
}

/// How a kernel was chosen on the device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chosen {
    pub candidates: usize,
    /// Device time that it took; blank where an earlier run had found it.
    pub took: Option<Nanos>,
}

impl Chosen {
    /// In words, where it happened in this run.
    #[must_use]
    pub fn said(&self) -> Option<String> {
        let took = self.took?;
        Some(format!("this kernel was the fastest of {} tried on this device for {took}; kept for later runs", self.candidates))
    }

    /// As evidence of an entry.
    #[must_use]
    pub fn counters(&self) -> [(String, f64); 2] {
        let seconds = self.took.map_or(0.0, Nanos::seconds);
        [("tuning.candidates".into(), self.candidates as f64), ("tuning.seconds".into(), seconds)]
    }
}

/// The choice of kernels on one device.
pub struct Tuning {
    mode: Tune,
    model: String,
    units: Option<u32>,
    /// Only hardware is tuned without being asked to.
    hardware: bool,
    file: Option<PathBuf>,
    found: Found,
    left: Nanos,
    /// One that did not finish when it was tried.
    pub stuck: Option<(Variant, Fault)>,
}

impl Tuning {
    #[must_use]
    pub fn new(device: &Device, mode: Tune) -> Self {
        let file = ProjectDirs::from("", "", "assay").map(|folders| folders.cache_dir().join("tuned").join(name(device)));
        let known = file.as_ref().and_then(|file| serde_json::from_str::<Found>(&std::fs::read_to_string(file).ok()?).ok());
        let kernels = kernels_hash();
        // Of other kernels it says nothing.
        let found = known.filter(|found| found.kernels == kernels && mode != Tune::Anew);
        Self {
            mode,
            model: device.model.clone(),
            units: device.units,
            hardware: device.kind == Kind::Gpu && device.backend == "cuda",
            file,
            found: found.unwrap_or(Found { kernels, rows: BTreeMap::new() }),
            left: WHOLE,
            stuck: None,
        }
    }

    /// The variants with the one to take in front, and how it was chosen where that was on this device. `launching` is told of each that
    /// is tried.
    pub fn prefer(
        &mut self,
        machine: &dyn Machine,
        plan: &Plan,
        mut variants: Vec<Variant>,
        launching: Launching,
    ) -> (Vec<Variant>, Option<Chosen>) {
        let candidates: Vec<Variant> = variants.iter().filter(|variant| variant.kind == VariantKind::Own).cloned().collect();
        if candidates.len() < 2 || self.mode == Tune::Off {
            return (variants, None);
        }
        let table = known_chip(&self.model, self.units).filter(|_| self.mode == Tune::Auto);
        let (wanted, chosen) = if let Some(chip) = table {
            (chip.variant(&plan.key).map(str::to_owned), None)
        } else if let Some(variant) = self.found.rows.get(&plan.key.id()) {
            (Some(variant.clone()), Some(Chosen { candidates: candidates.len(), took: None }))
        } else if self.hardware || self.mode == Tune::Anew {
            self.now(machine, plan, &candidates, launching).map_or((None, None), |(variant, chosen)| (Some(variant), Some(chosen)))
        } else {
            (None, None)
        };
        let place = wanted.and_then(|wanted| variants.iter().position(|variant| variant.name == wanted));
        if let Some(place) = place {
            variants[..=place].rotate_right(1);
        }
        (variants, chosen.filter(|_| place.is_some()))
    }

    /// Tries the candidates, if there is time left for that.
    fn now(
        &mut self,
        machine: &dyn Machine,
        plan: &Plan,
        candidates: &[Variant],
        launching: Launching,
    ) -> Option<(String, Chosen)> {
        let within = EACH.min(self.left);
        if within == Nanos(0) || machine.supports(plan).is_err() {
            return None;
        }
        let begin = machine.clock().now();
        // What cannot be tried fails again where it is measured, and says so there.
        let times = match measure::tune(machine, plan, candidates, within, launching) {
            Ok(times) => times,
            Err((fault @ Fault::Hung(_), Some(variant))) => {
                self.stuck = candidates.get(variant).map(|variant| (variant.clone(), fault));
                return None;
            }
            Err(_) => return None,
        };
        let took = machine.clock().now().since(begin);
        self.left = self.left.since(took);
        let (fastest, _) = candidates.iter().zip(times).min_by_key(|(_, time)| *time)?;
        self.found.rows.insert(plan.key.id(), fastest.name.clone());
        self.keep();
        Some((fastest.name.clone(), Chosen { candidates: candidates.len(), took: Some(took) }))
    }

    /// Writes what was found. Where that is not possible the next run finds it again.
    fn keep(&self) {
        let Some(file) = &self.file else { return };
        let Ok(text) = serde_json::to_string_pretty(&self.found) else { return };
        let whole = file.with_extension(std::process::id().to_string());
        let written = file.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(&whole, text));
        let _ = written.and_then(|()| std::fs::rename(&whole, file));
    }
}

/// A file for a chip: `nvidia-h200-132.json`.
fn name(device: &Device) -> String {
    let plain = |character: char| if character.is_ascii_alphanumeric() { character.to_ascii_lowercase() } else { '-' };
    let model: String = device.model.chars().map(plain).collect();
    format!("{model}-{}.json", device.units.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chip_has_a_file_of_its_own() {
        let device = Device { units: Some(132), ..Device::new("cuda:0", "cuda", Kind::Gpu, "NVIDIA H200/x") };
        assert_eq!(name(&device), "nvidia-h200-x-132.json");
    }

    #[test]
    fn a_choice_is_told_once_and_kept_as_evidence() {
        let now = Chosen { candidates: 3, took: Some(Nanos(20_000_000)) };
        assert!(now.said().is_some_and(|said| said.contains("fastest of 3")));
        assert_eq!((Chosen { took: None, ..now }).said(), None);
        assert_eq!(now.counters()[1], ("tuning.seconds".to_owned(), 0.02));
    }
}
