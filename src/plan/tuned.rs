//! Which kernel is the fastest for a workload, chip by chip, as `tests/gpu/run RESULTS tune` found it on hardware: `kernels/tuned.json`.
//!
//! A chip that is not among them is tuned when it is first measured.

use super::WorkloadKey;
use serde::Deserialize;
use std::sync::LazyLock;

const TABLE: &str = include_str!("../../kernels/tuned.json");

static CHIPS: LazyLock<Vec<Chip>> = LazyLock::new(|| serde_json::from_str(TABLE).unwrap_or_default());

/// What was found on one chip.
#[derive(Debug, Deserialize)]
pub struct Chip {
    pub model: String,
    /// Multiprocessors: parts of a card are not the card.
    pub units: Option<u32>,
    /// That it was found under.
    pub driver: Option<String>,
    pub rows: Vec<Row>,
}

#[derive(Debug, Deserialize)]
pub struct Row {
    /// Id of the workload.
    pub workload: String,
    pub variant: String,
}

/// What is known of a chip; nothing where it never was tuned.
#[must_use]
pub fn known_chip(model: &str, units: Option<u32>) -> Option<&'static Chip> {
    CHIPS.iter().find(|chip| chip.model == model && chip.units == units)
}

impl Chip {
    /// The variant for a workload: that of the very shape, else the one on which all shapes of the same operation agree.
    #[must_use]
    pub fn variant(&self, key: &WorkloadKey) -> Option<&str> {
        let id = key.id();
        let operation = |workload: &str| workload.rsplit_once('/').map(|(operation, _)| operation.to_owned());
        if let Some(row) = self.rows.iter().find(|row| row.workload == id) {
            return Some(&row.variant);
        }
        let mut alike = self.rows.iter().filter(|row| operation(&row.workload) == operation(&id)).map(|row| row.variant.as_str());
        let first = alike.next()?;
        alike.all(|variant| variant == first).then_some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(operation: &'static str, shape: &str) -> WorkloadKey {
        WorkloadKey { family: "stream", operation, precision: "fp64".into(), shape: shape.into() }
    }

    #[test]
    fn a_shape_that_was_not_measured_takes_what_all_others_took() {
        let row = |workload: &str, variant: &str| Row { workload: workload.into(), variant: variant.into() };
        let rows = vec![
            row("stream/fp64/copy/1GiB", "vec4x4"),
            row("stream/fp64/copy/2GiB", "vec4x4"),
            row("stream/fp64/add/1GiB", "vec4x4"),
            row("stream/fp64/add/2GiB", "vec4x8"),
        ];
        let chip = Chip { model: "x".into(), units: None, driver: None, rows };
        assert_eq!(chip.variant(&key("copy", "4GiB")), Some("vec4x4"));
        assert_eq!((chip.variant(&key("add", "4GiB")), chip.variant(&key("add", "2GiB"))), (None, Some("vec4x8")));
        assert_eq!(chip.variant(&key("triad", "1GiB")), None);
    }

    #[test]
    fn the_table_is_read_and_names_hardware_with_its_driver() {
        let chips: Vec<Chip> = serde_json::from_str(TABLE).expect("kernels/tuned.json");
        assert!(chips.iter().all(|chip| !chip.rows.is_empty() && chip.driver.is_some() && !chip.model.starts_with("Fake")));
        assert!(known_chip("no such chip", None).is_none());
    }
}
