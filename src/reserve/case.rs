//! A sizing case, `assay-sizing-case/1`: a whole problem in one JSON document, in one unnamed currency.
//!
//! Periods are numbered from 1 there and from 0 here. `docs/sizing.md` says what each field means.

use super::{input::figures, money::Micros, terms::Tail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The schema that a case names.
pub const CASE: &str = "assay-sizing-case/1";

/// The document.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Case {
    pub schema: String,
    pub id: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    pub periods: usize,
    /// The calendar month of period 1, as `2027-01`; answers for a person then name months so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// Hours that the price of a period is of; 730 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours_per_period: Option<f64>,
    #[serde(default)]
    pub discount_rate_annual: f64,
    pub tail: Tail,
    pub classes: Vec<String>,
    pub types: Vec<Type>,
    pub options: Vec<Offer>,
    pub demand: Vec<Demand>,
    pub constraints: Constraints,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Type {
    pub id: String,
    pub provider: String,
    pub cu: BTreeMap<String, f64>,
    #[serde(default = "one")]
    pub availability: f64,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub region: String,
    /// Units that are there already, by period; one number stands for all.
    #[serde(default, deserialize_with = "figures", skip_serializing_if = "Vec::is_empty")]
    pub owned: Vec<f64>,
    /// Where its figures come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sort {
    #[default]
    Commit,
    Flex,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Offer {
    pub id: String,
    #[serde(rename = "type")]
    pub of: String,
    pub kind: Sort,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub term: Option<usize>,
    #[serde(default)]
    pub lead: usize,
    #[serde(default)]
    pub upfront: f64,
    pub per_period: f64,
    #[serde(default)]
    pub price_decline_annual: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_periods: Option<Vec<usize>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available_from: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_units: Option<f64>,
    /// Units are ordered in multiples of this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u32>,
    /// Multiplies today's price, by period, besides the decline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_path: Option<Vec<f64>>,
    /// What a unit fetches once its term is over.
    #[serde(default, skip_serializing_if = "nothing")]
    pub salvage: f64,
    /// Units over all order periods together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_total: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_total: Option<f64>,
    /// Where its prices come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Demand {
    pub prob: f64,
    pub cu: BTreeMap<String, Vec<f64>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub flex_factor: BTreeMap<String, f64>,
    /// Multiplies caps of flexible options besides, by period.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub flex_path: BTreeMap<String, Vec<f64>>,
    /// Multiplies prices of options, by the period of the order or of the use.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub price_path: BTreeMap<String, Vec<f64>>,
    /// Multiplies what units of a type deliver.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cu_factor: BTreeMap<String, f64>,
    /// What this scenario is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Constraints {
    pub shortfall_penalty_per_cu_period: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_service_probability: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upfront_budget: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_provider_share: Option<f64>,
    /// Most that orders may cost in each year of the horizon, undiscounted; one number stands for all years.
    #[serde(default, deserialize_with = "figures", skip_serializing_if = "Vec::is_empty")]
    pub yearly_budget: Vec<f64>,
    /// Most units of orders that are active at once.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub region_caps: BTreeMap<String, f64>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub provider_caps: BTreeMap<String, f64>,
    /// Weight of the mean of the worst scenarios in what is to be least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cvar_weight: Option<f64>,
    /// Total probability of those worst scenarios; 0.05 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cvar_tail: Option<f64>,
}

fn one() -> f64 {
    1.0
}

// Serde hands a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn nothing(amount: &f64) -> bool {
    *amount == 0.0
}

/// What is wrong with a case: a sentence, and the name near which it stands in the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{says}")]
pub struct Wrong {
    pub says: String,
    /// A quoted word of the text, by which the line can be found.
    pub near: Option<String>,
}

/// A complaint about what stands near a word.
#[must_use]
pub fn wrong(near: &str, says: String) -> Wrong {
    Wrong { says, near: (!near.is_empty()).then(|| format!("\"{near}\"")) }
}

/// The value, if it lies in its range.
///
/// # Errors
/// The range, when it does not.
pub fn within(near: &str, what: &str, value: f64, low: f64, high: f64) -> Result<f64, Wrong> {
    if value.is_finite() && (low..=high).contains(&value) {
        return Ok(value);
    }
    Err(wrong(near, format!("{what} is {value}; it must lie between {low} and {high}")))
}

/// An amount in whole micros.
///
/// # Errors
/// When it is negative, or no amount.
pub fn amount(near: &str, what: &str, value: f64) -> Result<f64, Wrong> {
    let micros = Micros::of(value).map_err(|says| wrong(near, format!("{what}: {says}")))?;
    if micros.0 < 0 {
        return Err(wrong(near, format!("{what} is {value}; prices are not negative")));
    }
    Ok(micros.amount())
}
