//! The plan file as it is written: every key, with where it stands. `docs/plan.md` says what each means.
//!
//! Amounts are numbers in the plan's currency, or text with a currency of its own; months are numbers from 1 or `YYYY-MM`.

use super::{
    amount::Amount,
    month::Month,
    text::{At, OneOrMany},
};
use crate::reserve::Tail;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The schema that a plan file names.
pub const PLAN: &str = "assay-plan/1";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    pub schema: At<String>,
    pub name: At<String>,
    pub start: At<Month>,
    pub months: At<usize>,
    pub currency: At<String>,
    pub discount_rate: Option<At<f64>>,
    pub tail: Option<Tail>,
    pub classes: Option<At<String>>,
    pub prices: Option<At<String>>,
    pub prices_as_of: Option<At<String>>,
    pub hours_per_month: Option<At<f64>>,
    pub scenarios: Option<At<usize>>,
    pub seed: Option<u64>,
    pub limits: Limits,
    pub risk: Option<At<Risk>>,
    #[serde(rename = "type", default)]
    pub types: Vec<At<Type>>,
    #[serde(rename = "offer", default)]
    pub offers: Vec<At<Offer>>,
    #[serde(rename = "demand", default)]
    pub demands: Vec<At<Demand>>,
    #[serde(rename = "scenario", default)]
    pub regimes: Vec<At<Regime>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    pub shortfall_per_cu_month: At<Amount>,
    pub service: Option<At<f64>>,
    pub upfront_budget: Option<At<Amount>>,
    pub yearly_budget: Option<At<OneOrMany<Amount>>>,
    pub provider_share: Option<At<f64>>,
    pub region_caps: Option<BTreeMap<String, At<f64>>>,
    pub provider_caps: Option<BTreeMap<String, At<f64>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Risk {
    pub cvar_weight: At<f64>,
    pub cvar_tail: Option<At<f64>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Type {
    pub id: At<String>,
    pub provider: At<String>,
    pub instance: Option<At<String>>,
    pub region: Option<At<String>>,
    pub devices: Option<At<u32>>,
    pub record: Option<At<OneOrMany<String>>>,
    pub device: Option<At<String>>,
    pub published: Option<At<String>>,
    pub cu: Option<At<BTreeMap<String, At<f64>>>>,
    pub source: Option<At<String>>,
    pub availability: Option<At<f64>>,
    pub failures: Option<At<Failures>>,
    pub spares: Option<At<Spares>>,
    pub owned: Option<At<f64>>,
    pub owned_until: Option<At<Month>>,
    pub available_from: Option<At<Month>>,
}

/// How often a node fails, and how long until it is back.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failures {
    pub per_node_day: At<f64>,
    pub repair_days: At<f64>,
}

/// Nodes beyond those needed, for each group of so many.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spares {
    pub nodes: At<u64>,
    pub assurance: At<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    OnDemand,
    Spot,
    Block,
    Commitment,
    Own,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::OnDemand => "on-demand",
            Self::Spot => "spot",
            Self::Block => "block",
            Self::Commitment => "commitment",
            Self::Own => "own",
        }
    }

    /// Bought as it is used, in any amount.
    pub fn flexible(self) -> bool {
        matches!(self, Self::OnDemand | Self::Spot)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    pub id: At<String>,
    #[serde(rename = "type")]
    pub of: At<String>,
    pub kind: At<Kind>,
    pub card: Option<At<String>>,
    pub hourly: Option<At<Amount>>,
    pub monthly: Option<At<Amount>>,
    pub discount: Option<At<f64>>,
    pub source: Option<At<String>>,
    pub upfront: Option<At<Amount>>,
    pub upfront_share: Option<At<f64>>,
    pub term_months: Option<At<usize>>,
    pub lead_months: Option<At<usize>>,
    pub order_months: Option<At<Vec<At<Month>>>>,
    pub order_from: Option<At<Month>>,
    pub order_until: Option<At<Month>>,
    pub order_every: Option<At<usize>>,
    pub max_units: Option<At<f64>>,
    pub min_total: Option<At<f64>>,
    pub max_total: Option<At<f64>>,
    pub step: Option<At<u32>>,
    pub available_from: Option<At<Month>>,
    pub price_decline: Option<At<f64>>,
    pub price_steps: Option<At<Vec<At<Step>>>>,
    pub capex: Option<At<Amount>>,
    pub power_kw: Option<At<f64>>,
    pub pue: Option<At<f64>>,
    pub energy_per_kwh: Option<At<Amount>>,
    pub hosting_monthly: Option<At<Amount>>,
    pub salvage: Option<At<Amount>>,
}

/// From a month on, today's price is multiplied by this.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub month: At<Month>,
    pub times: At<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Demand {
    pub class: At<String>,
    pub unit: Option<At<Unit>>,
    pub serving: Option<At<Serving>>,
    pub training: Option<At<Training>>,
    pub history: Option<At<String>>,
    pub method: Option<At<Method>>,
    pub season: Option<At<usize>>,
    pub growth: Option<At<Growth>>,
    pub path: Option<At<Vec<At<f64>>>>,
    pub common: Option<At<f64>>,
    pub synchronous: Option<At<Synchronous>>,
}

/// What demand is counted in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Unit {
    #[default]
    #[serde(rename = "CU")]
    Units,
    #[serde(rename = "tokens/s")]
    TokensPerSecond,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// By season where the history shows at least two, else without.
    #[default]
    Auto,
    Ets,
    Mstl,
}

/// The served model that tokens per second are of.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Serving {
    pub model: At<String>,
    pub dtype: At<String>,
    pub prompt: At<f64>,
    pub answer: At<f64>,
    pub engine: Option<At<String>>,
    pub devices: Option<At<f64>>,
}

/// A model to be trained by a date.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    pub model: At<String>,
    pub dtype: At<String>,
    pub tokens: At<f64>,
    pub length: At<f64>,
    pub from: Option<At<Month>>,
    pub by: At<Month>,
}

/// Growth a year, as quantiles.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Growth {
    pub start: At<f64>,
    pub p10: At<f64>,
    pub p50: At<f64>,
    pub p90: At<f64>,
}

/// A job whose nodes all wait for the slowest, and stop when one fails.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Synchronous {
    pub nodes: At<u64>,
    pub checkpoint_seconds: At<f64>,
    pub restart_seconds: At<f64>,
}

/// An explicit scenario.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Regime {
    pub name: At<String>,
    pub probability: At<f64>,
    #[serde(default)]
    pub demand: BTreeMap<String, At<Vec<At<f64>>>>,
    #[serde(default)]
    pub demand_times: BTreeMap<String, At<f64>>,
    #[serde(default)]
    pub flex_times: BTreeMap<String, At<f64>>,
    #[serde(default)]
    pub cu_times: BTreeMap<String, At<f64>>,
    #[serde(default)]
    pub price_steps: Vec<At<PriceStep>>,
}

/// In this scenario, from a month on, an offer's price is multiplied by this.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceStep {
    pub offer: At<String>,
    pub month: At<Month>,
    pub times: At<f64>,
}
