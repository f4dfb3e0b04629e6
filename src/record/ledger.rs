//! Where the physical peak went, as it is shown; derived from an entry's evidence and never stored.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// From the physical peak to the measured sustained rate: `measured / peak` and the known fractions add up to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ledger {
    /// Physical peak at the highest clock, in the unit of the entry's rate.
    pub peak: f64,
    /// How the peak was reckoned.
    pub basis: String,
    /// Sustained rate.
    pub measured: f64,
    /// In the order of attribution.
    pub losses: Vec<Loss>,
}

/// One cause of loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Loss {
    pub cause: String,
    /// Part of the physical peak. Blank: unknown for want of evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fraction: Option<f64>,
    /// What an unknown fraction cannot exceed; it is part of the losses that follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<f64>,
    /// What shows it, in words.
    pub evidence: String,
}

impl Ledger {
    /// What is left of 1 after the measured rate and all known losses.
    #[must_use]
    pub fn gap(&self) -> f64 {
        1.0 - self.measured / self.peak - self.losses.iter().filter_map(|loss| loss.fraction).sum::<f64>()
    }
}
