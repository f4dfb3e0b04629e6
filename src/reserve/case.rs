//! A sizing case, `assay-sizing-case/1`: a whole problem in one JSON document, in one unnamed currency.
//!
//! Periods are numbered from 1 there and from 0 here. `docs/sizing.md` says what each field means.

use super::{
    money::Micros,
    problem::{Flex, Kind, Problem, Scenario, Side},
    terms::{Slot, Tail, Terms, decline, discount, slots},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The schema that a case names.
pub const CASE: &str = "assay-sizing-case/1";

/// The document.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Case {
    pub schema: String,
    pub id: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    pub periods: usize,
    #[serde(default)]
    pub discount_rate_annual: f64,
    pub tail: Tail,
    pub classes: Vec<String>,
    pub types: Vec<Type>,
    pub options: Vec<Offer>,
    pub demand: Vec<Demand>,
    pub constraints: Constraints,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Type {
    pub id: String,
    pub provider: String,
    pub cu: BTreeMap<String, f64>,
    #[serde(default = "one")]
    pub availability: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sort {
    Commit,
    Flex,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
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
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Demand {
    pub prob: f64,
    pub cu: BTreeMap<String, Vec<f64>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub flex_factor: BTreeMap<String, f64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Constraints {
    pub shortfall_penalty_per_cu_period: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_service_probability: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upfront_budget: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_provider_share: Option<f64>,
}

fn one() -> f64 {
    1.0
}

/// What is wrong with a case: a sentence, and the name near which it stands in the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{says}")]
pub struct Wrong {
    pub says: String,
    /// A quoted word of the text, by which the line can be found.
    pub near: Option<String>,
}

fn wrong(near: &str, says: String) -> Wrong {
    Wrong { says, near: (!near.is_empty()).then(|| format!("\"{near}\"")) }
}

fn within(near: &str, what: &str, value: f64, low: f64, high: f64) -> Result<f64, Wrong> {
    if value.is_finite() && (low..=high).contains(&value) {
        return Ok(value);
    }
    Err(wrong(near, format!("{what} is {value}; it must lie between {low} and {high}")))
}

fn amount(near: &str, what: &str, value: f64) -> Result<f64, Wrong> {
    let micros = Micros::of(value).map_err(|says| wrong(near, format!("{what}: {says}")))?;
    if micros.0 < 0 {
        return Err(wrong(near, format!("{what} is {value}; prices are not negative")));
    }
    Ok(micros.amount())
}

impl Case {
    /// Checks the case and compiles it.
    ///
    /// # Errors
    /// What is wrong, and near which name.
    pub fn problem(&self) -> Result<Problem, Wrong> {
        if self.schema != CASE {
            return Err(wrong(&self.schema, format!("the schema is `{}`; this version reads {CASE}", self.schema)));
        }
        within("periods", "periods", self.periods as f64, 1.0, 600.0)?;
        within("discount_rate_annual", "discount_rate_annual", self.discount_rate_annual, -0.99, 10.0)?;
        if self.classes.is_empty() {
            return Err(wrong("classes", "there is no class; name at least one".into()));
        }
        distinct("class", self.classes.iter())?;
        distinct("type", self.types.iter().map(|kind| &kind.id))?;
        distinct("option", self.options.iter().map(|offer| &offer.id))?;
        let kinds = self.types.iter().map(|kind| self.kind(kind)).collect::<Result<Vec<_>, _>>()?;
        let flexes = self.offers(Sort::Flex).map(|offer| self.flex(offer)).collect::<Result<Vec<_>, _>>()?;
        let scenarios = self.scenarios()?;
        let mut slots = Vec::new();
        for (option, offer) in self.offers(Sort::Commit).enumerate() {
            slots.extend(self.slots(option, offer, &kinds, &scenarios)?);
        }
        let penalty = &self.constraints.shortfall_penalty_per_cu_period;
        let floor = self.constraints.min_service_probability;
        let problem = Problem {
            id: self.id.clone(),
            periods: self.periods,
            classes: self.classes.clone(),
            kinds,
            options: self.offers(Sort::Commit).map(|offer| offer.id.clone()).collect(),
            flexes,
            scenarios,
            discount: (0..self.periods).map(|period| discount(self.discount_rate_annual, period)).collect(),
            penalty: amount("shortfall_penalty_per_cu_period", "shortfall_penalty_per_cu_period", *penalty)?,
            service: floor
                .map(|floor| within("min_service_probability", "min_service_probability", floor, 0.0, 1.0))
                .transpose()?,
            sides: Vec::new(),
            slots,
        };
        let sides = self.sides(&problem)?;
        Ok(Problem { sides, ..problem })
    }

    fn offers(&self, sort: Sort) -> impl Iterator<Item = &Offer> {
        self.options.iter().filter(move |offer| offer.kind == sort)
    }

    fn kind(&self, kind: &Type) -> Result<Kind, Wrong> {
        let availability = within(&kind.id, &format!("availability of {}", kind.id), kind.availability, f64::MIN_POSITIVE, 1.0)?;
        let mut effective = Vec::new();
        for class in &self.classes {
            let cu = kind.cu.get(class).copied().unwrap_or(0.0);
            effective.push(availability * within(&kind.id, &format!("cu of {} for {class}", kind.id), cu, 0.0, 1e12)?);
        }
        known(&kind.id, "class", kind.cu.keys(), &self.classes)?;
        Ok(Kind { id: kind.id.clone(), provider: kind.provider.clone(), effective, owned: vec![0.0; self.periods] })
    }

    fn kind_of(&self, offer: &Offer) -> Result<usize, Wrong> {
        let missing = || wrong(&offer.id, format!("option {} is of type {}, which is not among the types", offer.id, offer.of));
        self.types.iter().position(|kind| kind.id == offer.of).ok_or_else(missing)
    }

    fn flex(&self, offer: &Offer) -> Result<Flex, Wrong> {
        let near = &offer.id;
        let price = amount(near, &format!("per_period of {near}"), offer.per_period)?;
        let fall = within(near, &format!("price_decline_annual of {near}"), offer.price_decline_annual, -10.0, 0.999)?;
        let from = offer.available_from.unwrap_or(1);
        let at = |period: usize| {
            let usable = period + 1 >= from;
            if usable { price * decline(fall, period) * discount(self.discount_rate_annual, period) } else { f64::INFINITY }
        };
        let most = offer.max_units.map(|most| within(near, &format!("max_units of {near}"), most, 0.0, 1e12)).transpose()?;
        Ok(Flex {
            id: offer.id.clone(),
            kind: self.kind_of(offer)?,
            price: (0..self.periods).map(at).collect(),
            most: most.unwrap_or(f64::INFINITY),
        })
    }

    fn slots(&self, option: usize, offer: &Offer, kinds: &[Kind], scenarios: &[Scenario]) -> Result<Vec<Slot>, Wrong> {
        let near = &offer.id;
        let kind = self.kind_of(offer)?;
        let term = offer.term.filter(|term| *term > 0);
        let term =
            term.ok_or_else(|| wrong(near, format!("option {near} is a commitment and needs a term of at least 1 period")))?;
        let fall = within(near, &format!("price_decline_annual of {near}"), offer.price_decline_annual, -10.0, 0.999)?;
        let most = match offer.max_units {
            Some(most) => within(near, &format!("max_units of {near}"), most, 0.0, f64::from(u32::MAX))?,
            None => self.useful(&kinds[kind], scenarios),
        };
        let from = offer.available_from.unwrap_or(1);
        let mut orders = BTreeSet::new();
        for period in offer.order_periods.clone().unwrap_or_else(|| (1..=self.periods).collect()) {
            within(near, &format!("an order period of {near}"), period as f64, 1.0, self.periods as f64)?;
            orders.extend((period >= from).then_some(period - 1));
        }
        let terms = Terms {
            option,
            kind,
            term,
            lead: offer.lead,
            upfront: amount(near, &format!("upfront of {near}"), offer.upfront)?,
            per_period: amount(near, &format!("per_period of {near}"), offer.per_period)?,
            salvage: 0.0,
            quote: (0..self.periods).map(|period| decline(fall, period)).collect(),
            orders: orders.into_iter().collect(),
            most: most as u32,
            step: 1,
        };
        Ok(slots(&terms, self.periods, self.discount_rate_annual, self.tail))
    }

    /// Units of a kind past which no demand is left to serve, or share of providers to balance.
    fn useful(&self, kind: &Kind, scenarios: &[Scenario]) -> f64 {
        let peak = |class: usize| scenarios.iter().flat_map(|scenario| &scenario.demand[class]).copied().fold(0.0, f64::max);
        let classes = kind.effective.iter().enumerate().filter(|(_, effective)| **effective > 0.0);
        let units: f64 = classes.map(|(class, effective)| (peak(class) / effective).ceil()).sum();
        units * self.constraints.max_provider_share.map_or(1.0, |share| (1.0 / share.max(1e-3)).ceil())
    }

    fn scenarios(&self) -> Result<Vec<Scenario>, Wrong> {
        let total: f64 = self.demand.iter().map(|scenario| scenario.prob).sum();
        if self.demand.is_empty() || (total - 1.0).abs() > 1e-6 {
            return Err(wrong("demand", format!("probabilities of the scenarios sum to {total}; they must sum to 1")));
        }
        let flexes: Vec<String> = self.offers(Sort::Flex).map(|offer| offer.id.clone()).collect();
        let mut scenarios = Vec::new();
        for (number, given) in self.demand.iter().enumerate() {
            let name = format!("scenario {}", number + 1);
            let probability = within("demand", &format!("prob of {name}"), given.prob, 0.0, 1.0)?;
            known("demand", "class", given.cu.keys(), &self.classes)?;
            known("flex_factor", "flexible option", given.flex_factor.keys(), &flexes)?;
            let demand = self.classes.iter().map(|class| self.demand_of(&name, given, class)).collect::<Result<_, _>>()?;
            let factor = |id: &String| given.flex_factor.get(id).copied().unwrap_or(1.0);
            let availability = flexes.iter().map(|id| within(id, &format!("flex_factor of {id} in {name}"), factor(id), 0.0, 1e12));
            scenarios.push(Scenario {
                probability,
                demand,
                availability: availability.collect::<Result<_, _>>()?,
                prices: Vec::new(),
            });
        }
        Ok(scenarios)
    }

    fn demand_of(&self, name: &str, given: &Demand, class: &String) -> Result<Vec<f64>, Wrong> {
        let path = given.cu.get(class).ok_or_else(|| wrong("demand", format!("{name} says nothing of class {class}")))?;
        if path.len() != self.periods {
            let says = format!("demand for {class} in {name} has {} periods; the case has {}", path.len(), self.periods);
            return Err(wrong("demand", says));
        }
        path.iter().map(|&cu| within("demand", &format!("demand for {class} in {name}"), cu, 0.0, 1e12)).collect()
    }

    fn sides(&self, problem: &Problem) -> Result<Vec<Side>, Wrong> {
        let mut sides = Vec::new();
        if let Some(budget) = self.constraints.upfront_budget {
            sides.push(Side::upfront(problem, amount("upfront_budget", "upfront_budget", budget)?));
        }
        if let Some(share) = self.constraints.max_provider_share {
            sides.extend(Side::shares(problem, within("max_provider_share", "max_provider_share", share, 0.0, 1.0)?));
        }
        Ok(sides)
    }
}

impl Side {
    /// Quoted upfronts of all orders together.
    #[must_use]
    pub fn upfront(problem: &Problem, budget: f64) -> Self {
        let coefficients = problem.slots.iter().enumerate().map(|(slot, terms)| (slot, terms.upfront));
        Self { name: "upfront budget".into(), unit: "of the currency", coefficients: coefficients.collect(), limit: budget }
    }

    /// Each provider's share of the committed CU-periods of the first class.
    #[must_use]
    pub fn shares(problem: &Problem, most: f64) -> Vec<Self> {
        let providers: BTreeSet<&str> = problem.kinds.iter().map(|kind| kind.provider.as_str()).collect();
        let delivered = |slot: &Slot| problem.kinds[slot.kind].effective[0] * f64::from(slot.step) * slot.length() as f64;
        let coefficient = |slot: &Slot, provider: &str| {
            delivered(slot) * (f64::from(u8::from(problem.kinds[slot.kind].provider == provider)) - most)
        };
        let side = |provider: &str| Self {
            name: format!("share of provider {provider}"),
            unit: "CU-periods",
            coefficients: problem.slots.iter().map(|slot| coefficient(slot, provider)).enumerate().collect(),
            limit: 0.0,
        };
        providers.into_iter().map(side).collect()
    }
}

fn distinct<'a>(what: &str, names: impl Iterator<Item = &'a String>) -> Result<(), Wrong> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(wrong(name, format!("{what} {name} is there twice")));
        }
    }
    Ok(())
}

fn known<'a>(near: &str, what: &str, names: impl Iterator<Item = &'a String>, all: &[String]) -> Result<(), Wrong> {
    for name in names {
        if !all.contains(name) {
            return Err(wrong(near, format!("{name} is no {what} of this case; there are {}", all.join(", "))));
        }
    }
    Ok(())
}
