//! One measurement with its evidence, whatever came of it.

use super::{Decline, Device, Faults, Gate, Latency, Ledger, Telemetry, Work, Workload};
use crate::units::{Celsius, Megahertz, Nanos};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How an entry ended. Failed and invalid ones keep their evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Verified and timed.
    Measured,
    /// Not possible here, with the reason; no fault.
    Skipped,
    /// Something broke on the way.
    Failed,
    /// It ran, and its result was wrong or its rate impossible.
    Invalid,
}

impl Outcome {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Invalid => "invalid",
        }
    }
}

/// What a rate counts, per second; `s` is a time per item (latency), where lower is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RateUnit {
    #[serde(rename = "FLOP/s")]
    Flops,
    #[serde(rename = "B/s")]
    Bytes,
    #[serde(rename = "op/s")]
    Items,
    #[serde(rename = "s")]
    Seconds,
}

impl RateUnit {
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Flops => "FLOP/s",
            Self::Bytes => "B/s",
            Self::Items => "op/s",
            Self::Seconds => "s",
        }
    }

    /// The rate of `launches` launches of `work` in `seconds`, in this unit.
    #[must_use]
    pub fn rate(self, work: &Work, launches: u64, seconds: f64) -> f64 {
        let launches = launches as f64;
        match self {
            Self::Flops => work.flops.0 as f64 * launches / seconds,
            Self::Bytes => work.bytes.0 as f64 * launches / seconds,
            Self::Items => work.items as f64 * launches / seconds,
            Self::Seconds => seconds / (work.items as f64 * launches),
        }
    }
}

/// A value with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Interval {
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

/// A rate over a retained window, with quantiles of the rates of its 0.25 s blocks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sustained {
    pub value: f64,
    pub low: f64,
    pub high: f64,
    pub p05: f64,
    pub p50: f64,
    pub p95: f64,
}

/// How far a rate may be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The stopping rule was satisfied.
    Steady,
    /// The time ran out first; the interval is as wide as it is.
    Budget,
    /// It still drifted when the time ran out.
    NotSteady,
    /// Too short to say anything of the long run.
    BurstOnly,
}

impl Status {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Budget => "budget",
            Self::NotSteady => "not_steady",
            Self::BurstOnly => "burst_only",
        }
    }
}

/// Rates of an entry: burst and sustained apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rate {
    pub unit: RateUnit,
    /// Best 1 s window within the first 3 s, or the whole where less was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<Interval>,
    /// Work over elapsed time of the retained window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sustained: Option<Sustained>,
    pub status: Status,
    pub steady: bool,
    /// Two clock levels were seen. Blank: not judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multimodal: Option<bool>,
    /// What held the device down, when telemetry says: none, power, thermal, other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limiter: Option<String>,
}

impl Rate {
    /// The figure to quote: sustained where there is one, else burst.
    #[must_use]
    pub fn best(&self) -> Option<Interval> {
        self.sustained.map(|s| Interval { value: s.value, low: s.low, high: s.high }).or(self.burst)
    }
}

/// What verification found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Verified {
    /// The passes that were made, in words.
    pub method: String,
    pub passed: bool,
    /// Output elements compared one by one, and folds over whole outputs.
    pub checked: u64,
    pub mismatches: u64,
    /// Largest absolute error of the random pass.
    pub worst_error: f64,
    /// Absolute error that the random pass allows.
    pub tolerance: f64,
    /// Launches whose output was hashed, of all timed launches.
    pub hashed: u64,
    pub launches: u64,
    /// First mismatch in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<String>,
}

/// A ratio of rates with its 95 % interval.
pub type Ratio = Interval;

/// This variant against another, launches interleaved in the same run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pair {
    /// `workload id@variant` of the other.
    pub with: String,
    /// This rate over the other's; above 1 is faster.
    pub ratio: Ratio,
    pub pairs: u64,
}

/// Time spent under one set of limits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct State {
    pub limits: BTreeSet<String>,
    pub busy_s: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sm_mhz: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mhz: Option<f64>,
}

/// A quarter second of the measurement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Block {
    /// Seconds from the first launch to the block's begin.
    pub t: f64,
    pub seconds: f64,
    pub launches: u64,
    /// Mean time of a launch.
    pub mean: Nanos,
    /// Median time of a launch.
    pub median: Nanos,
    pub p95: Nanos,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<Megahertz>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watts: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub celsius: Option<Celsius>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<BTreeSet<String>>,
}

/// How the time was spent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Sampling {
    pub rounds: u64,
    pub launches: u64,
    /// Effective sample size: blocks, after correction for their autocorrelation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effective: Option<f64>,
    /// From the first launch to the end of the last.
    pub seconds: f64,
    /// Seconds at the start that the sustained rate leaves out.
    pub discarded: f64,
    /// Share of the time between first and last launch that was spent outside kernels.
    pub outside: f64,
    pub stopped_by: String,
    /// Seconds spent preparing and verifying before the first timed launch.
    pub setup: f64,
}

/// What others did on the device. Never looked at in between: that is slow, and disturbs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Neighbours {
    /// Processes other than the measuring one that held the device.
    pub before: u64,
    pub after: u64,
    /// Share of the last second or less in which some kernel ran, before anything of the measurement did; 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub utilisation_before: Option<f64>,
    /// The same after its last launch: it still holds some of the measurement itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub utilisation_after: Option<f64>,
}

/// One measurement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    pub device: Device,
    pub workload: Workload,
    pub outcome: Outcome,
    /// Why it is not `measured`, or what to know though it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// `alone`, or `together(n)` with the node's other devices.
    pub load: String,
    pub work: Work,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<Verified>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pair: Option<Pair>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<State>,
    /// Idle seconds between launches inside the retained window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap_s: Option<f64>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counters: BTreeMap<String, f64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub series: Vec<Block>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telemetry: Option<Telemetry>,
    /// Faults that the driver reported from the end of the entry before to the end of this one. Blank: nothing could be watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub faults: Option<Faults>,
    /// Other processes that held the device. Blank: not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub neighbours: Option<Neighbours>,
    /// What the sensors said of a steady state. Blank: there is no sustained figure, or there are no sensors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// Lasting falls of the rate, in order of time; sought in measurements of a minute or more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub declines: Vec<Decline>,
    /// Where the peak went: filled in when a record is printed, never stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger: Option<Ledger>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling: Option<Sampling>,
    /// Identity of the bits that ran: a hash of the kernel, or name and version of the library.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// Seed of the inputs.
    #[serde(default)]
    pub seed: u32,
    /// Distribution of the inputs, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
}

impl Entry {
    /// Why no measurement gives this, or nothing: a rate is above zero.
    #[must_use]
    pub fn impossible(&self) -> Option<String> {
        let rate = self.rate.as_ref()?;
        let values = [rate.burst.map(|burst| burst.value), rate.sustained.map(|sustained| sustained.value)];
        let wrong = values.into_iter().flatten().find(|value| !(*value > 0.0 && value.is_finite()))?;
        Some(format!("a rate of {wrong:e}, which nothing has"))
    }

    /// An entry without a measurement.
    #[must_use]
    pub fn without(device: Device, workload: Workload, work: Work, outcome: Outcome, reason: String) -> Self {
        Self {
            device,
            workload,
            outcome,
            reason: Some(reason),
            load: "alone".into(),
            work,
            rate: None,
            latency: None,
            verified: None,
            pair: None,
            states: Vec::new(),
            gap_s: None,
            counters: BTreeMap::new(),
            series: Vec::new(),
            telemetry: None,
            faults: None,
            neighbours: None,
            gate: None,
            declines: Vec::new(),
            ledger: None,
            sampling: None,
            kernel: None,
            seed: 0,
            data: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{Bytes, Flops};

    #[test]
    fn rates_are_work_over_time() {
        let work = Work { flops: Flops(200), bytes: Bytes(24), items: 4 };
        assert_eq!(RateUnit::Flops.rate(&work, 3, 2.0), 300.0);
        assert_eq!(RateUnit::Bytes.rate(&work, 1, 0.5), 48.0);
        assert_eq!(RateUnit::Items.rate(&work, 1, 2.0), 2.0);
        assert_eq!(RateUnit::Seconds.rate(&work, 2, 16.0), 2.0);
    }
}
