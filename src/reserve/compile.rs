//! From a case as it is written to a problem as it is solved: every field is checked, and prices become costs of orders.

use super::{
    case::{CASE, Case, Demand, Offer, Sort, Type, Wrong, amount, within, wrong},
    input::Date,
    problem::{Flex, Kind, Problem, Risk, Scenario},
    terms::{Slot, Terms, decline, discount, slots},
};
use std::collections::{BTreeMap, BTreeSet};

/// The worst scenarios where a case does not say how many.
const TAIL: f64 = 0.05;
/// Hours in a month where a case does not say: those of a year over 12.
pub const HOURS: f64 = 730.0;

fn started(text: &str) -> Result<Date, Wrong> {
    let date = Date::parse(text).filter(|_| text.len() == 7);
    date.ok_or_else(|| wrong(text, format!("start is `{text}`, which is no month; write for example 2027-01")))
}

impl Case {
    /// Checks the case and compiles it.
    ///
    /// # Errors
    /// What is wrong, and near which name.
    pub fn problem(&self) -> Result<Problem, Wrong> {
        self.well_formed()?;
        let kinds = self.types.iter().map(|kind| self.kind(kind)).collect::<Result<Vec<_>, _>>()?;
        let flexes = self.offers(Sort::Flex).map(|offer| self.flex(offer)).collect::<Result<Vec<_>, _>>()?;
        let scenarios = self.scenarios()?;
        let mut slots = Vec::new();
        for (option, offer) in self.offers(Sort::Commit).enumerate() {
            slots.extend(self.slots(option, offer, &kinds, &scenarios)?);
        }
        let penalty = &self.constraints.shortfall_penalty_per_cu_period;
        let floor = self.constraints.min_service_probability;
        let mut problem = Problem {
            id: self.id.clone(),
            periods: self.periods,
            start: self.start.as_deref().map(started).transpose()?,
            hours: within("hours_per_period", "hours_per_period", self.hours_per_period.unwrap_or(HOURS), 1.0, 10_000.0)?,
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
            risk: self.risk()?,
            slots,
        };
        let spreads = self.spreads(&mut problem);
        problem.sides = self.sides(&problem, &spreads)?;
        Ok(problem)
    }

    fn well_formed(&self) -> Result<(), Wrong> {
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
        distinct("option", self.options.iter().map(|offer| &offer.id))
    }

    fn risk(&self) -> Result<Option<Risk>, Wrong> {
        let weight = self.constraints.cvar_weight.unwrap_or(0.0);
        let tail = self.constraints.cvar_tail.unwrap_or(TAIL);
        let weight = within("cvar_weight", "cvar_weight", weight, 0.0, 1.0)?;
        let tail = within("cvar_tail", "cvar_tail", tail, 1e-6, 1.0)?;
        Ok((weight > 0.0).then_some(Risk { weight, tail }))
    }

    /// Options of a sort, in the order in which the problem counts them.
    pub fn offers(&self, sort: Sort) -> impl Iterator<Item = &Offer> {
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
        let owned = match kind.owned.as_slice() {
            [] => vec![0.0; self.periods],
            [all] => vec![*all; self.periods],
            path => self.path(&kind.id, &format!("owned of {}", kind.id), path, 1e9)?,
        };
        let owned = self.path(&kind.id, &format!("owned of {}", kind.id), &owned, 1e9)?;
        Ok(Kind { id: kind.id.clone(), provider: kind.provider.clone(), region: kind.region.clone(), effective, owned })
    }

    fn kind_of(&self, offer: &Offer) -> Result<usize, Wrong> {
        let missing = || wrong(&offer.id, format!("option {} is of type {}, which is not among the types", offer.id, offer.of));
        self.types.iter().position(|kind| kind.id == offer.of).ok_or_else(missing)
    }

    /// A value for each period, none negative.
    fn path(&self, near: &str, what: &str, path: &[f64], most: f64) -> Result<Vec<f64>, Wrong> {
        if path.len() != self.periods {
            return Err(wrong(near, format!("{what} has {} periods; the case has {}", path.len(), self.periods)));
        }
        path.iter().map(|&value| within(near, what, value, 0.0, most)).collect()
    }

    /// What today's price of an option is multiplied by, by period.
    fn quote(&self, offer: &Offer) -> Result<Vec<f64>, Wrong> {
        let near = &offer.id;
        let fall = within(near, &format!("price_decline_annual of {near}"), offer.price_decline_annual, -10.0, 0.999)?;
        let path =
            offer.price_path.as_ref().map(|path| self.path(near, &format!("price_path of {near}"), path, 1e6)).transpose()?;
        let at = |period: usize| decline(fall, period) * path.as_ref().map_or(1.0, |path| path[period]);
        Ok((0..self.periods).map(at).collect())
    }

    fn flex(&self, offer: &Offer) -> Result<Flex, Wrong> {
        let near = &offer.id;
        let price = amount(near, &format!("per_period of {near}"), offer.per_period)?;
        let quote = self.quote(offer)?;
        let from = offer.available_from.unwrap_or(1);
        let worth = |period: usize| discount(self.discount_rate_annual, period);
        let at = |period: usize| if period + 1 >= from { price * quote[period] * worth(period) } else { f64::INFINITY };
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
        let step = offer.step.unwrap_or(1);
        within(near, &format!("step of {near}"), f64::from(step), 1.0, 1e6)?;
        let most = match offer.max_units {
            Some(most) => within(near, &format!("max_units of {near}"), most, 0.0, f64::from(u32::MAX))? / f64::from(step),
            None => ((self.useful(&kinds[kind], scenarios) + offer.min_total.unwrap_or(0.0)) / f64::from(step)).ceil(),
        };
        if most > f64::from(u32::MAX) {
            let says = format!(
                "demand would take {most:.0e} orders of option {near}, more than can be counted ({}): reckon demand and the type's cu in larger units, or give max_units",
                u32::MAX
            );
            return Err(wrong(near, says));
        }
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
            salvage: amount(near, &format!("salvage of {near}"), offer.salvage)?,
            quote: self.quote(offer)?,
            orders: orders.into_iter().collect(),
            most: most as u32,
            step,
        };
        Ok(slots(&terms, self.periods, self.discount_rate_annual, self.tail))
    }

    /// Units of a kind past which no demand is left to serve, or share of providers to balance.
    fn useful(&self, kind: &Kind, scenarios: &[Scenario]) -> f64 {
        let peak = |class: usize| scenarios.iter().flat_map(|scenario| &scenario.demand[class]).copied().fold(0.0, f64::max);
        let classes = kind.effective.iter().enumerate().filter(|(_, effective)| **effective > 0.0);
        let units: f64 = classes.map(|(class, effective)| (peak(class) / effective).ceil()).sum();
        let worst = scenarios.iter().flat_map(|scenario| &scenario.delivered).copied().filter(|times| *times > 0.0);
        let worst = worst.fold(1.0, f64::min);
        units / worst * self.constraints.max_provider_share.map_or(1.0, |share| (1.0 / share.max(1e-3)).ceil())
    }

    fn scenarios(&self) -> Result<Vec<Scenario>, Wrong> {
        let total: f64 = self.demand.iter().map(|scenario| scenario.prob).sum();
        if self.demand.is_empty() || (total - 1.0).abs() > 1e-6 {
            return Err(wrong("demand", format!("probabilities of the scenarios sum to {total}; they must sum to 1")));
        }
        let given = self.demand.iter().enumerate();
        given
            .map(|(number, given)| self.scenario(given, &given.name.clone().unwrap_or(format!("scenario {}", number + 1))))
            .collect()
    }

    fn scenario(&self, given: &Demand, name: &str) -> Result<Scenario, Wrong> {
        let flexes: Vec<String> = self.offers(Sort::Flex).map(|offer| offer.id.clone()).collect();
        let options: Vec<String> = self.options.iter().map(|offer| offer.id.clone()).collect();
        let types: Vec<String> = self.types.iter().map(|kind| kind.id.clone()).collect();
        let probability = within("demand", &format!("prob of {name}"), given.prob, 0.0, 1.0)?;
        known("demand", "class", given.cu.keys(), &self.classes)?;
        known("flex_factor", "flexible option", given.flex_factor.keys(), &flexes)?;
        known("flex_path", "flexible option", given.flex_path.keys(), &flexes)?;
        known("price_path", "option", given.price_path.keys(), &options)?;
        known("cu_factor", "type", given.cu_factor.keys(), &types)?;
        let mut demand = Vec::new();
        for class in &self.classes {
            let path = given.cu.get(class).ok_or_else(|| wrong("demand", format!("{name} says nothing of class {class}")))?;
            demand.push(self.path("demand", &format!("demand for {class} in {name}"), path, 1e12)?);
        }
        let path = |of: &BTreeMap<String, Vec<f64>>, id: &String, what: &str| {
            of.get(id).map(|path| self.path(id, &format!("{what} of {id} in {name}"), path, 1e12)).transpose()
        };
        let mut availability = Vec::new();
        for id in &flexes {
            let factor = given.flex_factor.get(id).copied().unwrap_or(1.0);
            let factor = within(id, &format!("flex_factor of {id} in {name}"), factor, 0.0, 1e12)?;
            let path = path(&given.flex_path, id, "flex_path")?;
            availability.push(match path {
                Some(path) => path.into_iter().map(|by| by * factor).collect(),
                None if factor == 1.0 => Vec::new(),
                None => vec![factor; self.periods],
            });
        }
        let priced = self
            .options
            .iter()
            .filter(|offer| offer.kind == Sort::Flex)
            .map(|offer| path(&given.price_path, &offer.id, "price_path"));
        let paths: Vec<Option<Vec<f64>>> = priced.collect::<Result<_, _>>()?;
        for offer in self.offers(Sort::Commit) {
            path(&given.price_path, &offer.id, "price_path")?;
        }
        let delivered = types.iter().map(|id| {
            let factor = given.cu_factor.get(id).copied().unwrap_or(1.0);
            within(id, &format!("cu_factor of {id} in {name}"), factor, 0.0, 1e6)
        });
        let delivered: Vec<f64> = delivered.collect::<Result<_, _>>()?;
        Ok(Scenario {
            probability,
            weight: probability,
            demand,
            availability,
            prices: paths.into_iter().map(Option::unwrap_or_default).collect(),
            orders: Vec::new(),
            delivered: if delivered.iter().all(|factor| *factor == 1.0) { Vec::new() } else { delivered },
        })
    }

    /// Prices of orders that hang on the scenario: what each slot's price is multiplied by, by scenario. The problem then holds the
    /// mean and what each scenario adds to it.
    fn spreads(&self, problem: &mut Problem) -> Vec<Vec<f64>> {
        let commits: Vec<&Offer> = self.offers(Sort::Commit).collect();
        let factor =
            |given: &Demand, slot: &Slot| given.price_path.get(&commits[slot.option].id).map_or(1.0, |path| path[slot.period]);
        let factors: Vec<Vec<f64>> =
            self.demand.iter().map(|given| problem.slots.iter().map(|slot| factor(given, slot)).collect()).collect();
        if factors.iter().flatten().all(|factor| *factor == 1.0) {
            return Vec::new();
        }
        for scenario in &mut problem.scenarios {
            scenario.orders = vec![0.0; problem.slots.len()];
        }
        for (at, slot) in problem.slots.iter_mut().enumerate() {
            let paid = slot.cost + slot.salvage;
            let mean: f64 = factors.iter().zip(&problem.scenarios).map(|(factor, given)| factor[at] * given.probability).sum();
            for (scenario, factor) in problem.scenarios.iter_mut().zip(&factors) {
                scenario.orders[at] = paid * (factor[at] - mean);
            }
            slot.cost = paid * mean - slot.salvage;
            slot.owed *= mean;
            slot.paid_ahead *= mean;
        }
        factors
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
