//! What beside the times of launches speaks for or against a lasting rate: the sensors, and lasting falls.

use super::Interval;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What the sensors were asked about a steady state, and what they said against it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Gate {
    /// Checks that could be made: `clock`, `limits`, `temperature`. Empty: the sensors told nothing of these.
    pub checked: BTreeSet<String>,
    /// What speaks against a steady state, in words; empty where nothing does.
    pub against: Vec<String>,
}

/// A lasting fall of the rate within a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Decline {
    /// Seconds from the first launch to the fall, and the times between which it lies.
    pub at: Interval,
    /// Rate after it over the rate before, with the 95 % interval.
    pub ratio: Interval,
    /// Seconds for which the lower rate held.
    pub lasted: f64,
}
