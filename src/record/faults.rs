//! Faults that a device's driver reported around a measurement.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How grave a fault is; what is worse is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Info,
    /// Worth a note.
    Warning,
    /// What was measured around it is invalid.
    Error,
    /// The device is unfit until something is done.
    Critical,
}

/// A fault by NVIDIA's number for it, and what the catalogue says of that.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Xid {
    pub xid: u32,
    pub name: String,
    pub severity: Severity,
    /// What helps.
    pub action: String,
    /// Which of the sources saw it: `kernel log`, `nvml`.
    pub seen_by: BTreeSet<String>,
    /// How often the source that saw it most did.
    pub count: u64,
    /// What the kernel's log says of the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What was watched for faults, and what was seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Faults {
    /// Sources that would have told.
    pub watched: BTreeSet<String>,
    /// By number, each once.
    pub xids: Vec<Xid>,
}

impl Faults {
    /// The gravest fault, the one of the lowest number among equals.
    #[must_use]
    pub fn gravest(&self) -> Option<&Xid> {
        self.xids.iter().rev().max_by_key(|xid| xid.severity)
    }
}
