//! Limits on the orders together, each a row: what is limited, by how much of it an order adds, and how much there may be.

use super::{
    case::{Case, Sort, Wrong, amount, within, wrong},
    problem::{Problem, Side},
    terms::Slot,
};
use std::collections::BTreeSet;

impl Case {
    /// The limits of the case. `spreads` is what each slot's price is multiplied by, by scenario; a budget holds in every one.
    ///
    /// # Errors
    /// What is wrong, and near which name.
    pub fn sides(&self, problem: &Problem, spreads: &[Vec<f64>]) -> Result<Vec<Side>, Wrong> {
        let limits = &self.constraints;
        let mut sides = Vec::new();
        if let Some(budget) = limits.upfront_budget {
            let budget = amount("upfront_budget", "upfront_budget", budget)?;
            sides.extend(budgets(problem, spreads, "upfront budget", budget, |slot| slot.upfront));
        }
        sides.extend(self.yearly(problem, spreads)?);
        if let Some(share) = limits.max_provider_share {
            sides.extend(Side::shares(problem, within("max_provider_share", "max_provider_share", share, 0.0, 1.0)?));
        }
        for (region, &most) in &limits.region_caps {
            known("region_caps", region, self.types.iter().map(|kind| kind.region.as_str()))?;
            let most = within("region_caps", &format!("region_caps of {region}"), most, 0.0, 1e12)?;
            let here = |slot: &Slot| problem.kinds[slot.kind].region == *region;
            sides.extend(Side::at_once(problem, &format!("units in region {region}"), most, here));
        }
        for (provider, &most) in &limits.provider_caps {
            known("provider_caps", provider, self.types.iter().map(|kind| kind.provider.as_str()))?;
            let most = within("provider_caps", &format!("provider_caps of {provider}"), most, 0.0, 1e12)?;
            let here = |slot: &Slot| problem.kinds[slot.kind].provider == *provider;
            sides.extend(Side::at_once(problem, &format!("units of provider {provider}"), most, here));
        }
        sides.extend(self.totals(problem)?);
        Ok(sides)
    }

    fn yearly(&self, problem: &Problem, spreads: &[Vec<f64>]) -> Result<Vec<Side>, Wrong> {
        let budgets_given = &self.constraints.yearly_budget;
        let years = self.periods.div_ceil(12);
        let given = match budgets_given.as_slice() {
            [] => return Ok(Vec::new()),
            [all] => vec![*all; years],
            each if each.len() == years => each.to_vec(),
            each => {
                let says = format!("yearly_budget has {} years; the case has {years}", each.len());
                return Err(wrong("yearly_budget", says));
            }
        };
        let mut sides = Vec::new();
        for (year, budget) in given.into_iter().enumerate() {
            let budget = amount("yearly_budget", &format!("yearly_budget of year {}", year + 1), budget)?;
            sides.extend(budgets(problem, spreads, &format!("budget of year {}", year + 1), budget, |slot| slot.spend[year]));
        }
        Ok(sides)
    }

    /// Units of an option over all its order periods.
    fn totals(&self, problem: &Problem) -> Result<Vec<Side>, Wrong> {
        let mut sides = Vec::new();
        for (option, offer) in self.offers(Sort::Commit).enumerate() {
            let id = &offer.id;
            let side = |name: String, sign: f64, limit: f64| {
                let mine = problem.slots.iter().enumerate().filter(|(_, slot)| slot.option == option);
                Side {
                    name,
                    unit: "units",
                    coefficients: mine.map(|(at, slot)| (at, sign * f64::from(slot.step))).collect(),
                    limit: sign * limit,
                    scenarios: Vec::new(),
                }
            };
            if let Some(most) = offer.max_total {
                let most = within(id, &format!("max_total of {id}"), most, 0.0, 1e12)?;
                sides.push(side(format!("max_total of {id}"), 1.0, most));
            }
            if let Some(least) = offer.min_total {
                let least = within(id, &format!("min_total of {id}"), least, 0.0, 1e12)?;
                sides.push(side(format!("min_total of {id}"), -1.0, least));
            }
        }
        Ok(sides)
    }
}

fn known<'a>(near: &str, name: &str, mut all: impl Iterator<Item = &'a str>) -> Result<(), Wrong> {
    let there = all.any(|known| known == name);
    there.then_some(()).ok_or_else(|| wrong(near, format!("{near} speaks of {name}, where no type is")))
}

/// A limit of money: one row, or where prices hang on the scenario one for each that differs.
fn budgets(problem: &Problem, spreads: &[Vec<f64>], name: &str, limit: f64, of: impl Fn(&Slot) -> f64) -> Vec<Side> {
    let plain = vec![vec![1.0; problem.slots.len()]];
    let spreads = if spreads.is_empty() { &plain } else { spreads };
    let mut sides: Vec<Side> = Vec::new();
    for (scenario, factors) in spreads.iter().enumerate() {
        let slots = problem.slots.iter().zip(factors).enumerate();
        let coefficients: Vec<(usize, f64)> = slots.map(|(at, (slot, factor))| (at, of(slot) * factor)).collect();
        if let Some(same) = sides.iter_mut().find(|side| side.coefficients == coefficients) {
            same.scenarios.push(scenario);
            continue;
        }
        let name = if spreads.len() > 1 { format!("{name} in scenario {}", scenario + 1) } else { name.to_owned() };
        let scenarios = if spreads.len() > 1 { vec![scenario] } else { Vec::new() };
        sides.push(Side { name, unit: "of the currency", coefficients, limit, scenarios });
    }
    sides
}

impl Side {
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
            scenarios: Vec::new(),
        };
        providers.into_iter().map(side).collect()
    }

    /// Units of some orders that are active at once; one row for each set of orders that may be.
    #[must_use]
    pub fn at_once(problem: &Problem, name: &str, most: f64, counts: impl Fn(&Slot) -> bool) -> Vec<Self> {
        let mut sides: Vec<Self> = Vec::new();
        for start in problem.epochs() {
            let mine = problem.slots.iter().enumerate().filter(|(_, slot)| counts(slot) && slot.covers(start));
            let coefficients: Vec<(usize, f64)> = mine.map(|(at, slot)| (at, f64::from(slot.step))).collect();
            if !coefficients.is_empty() && sides.iter().all(|side| side.coefficients != coefficients) {
                let name = format!("{name} from period {}", start + 1);
                sides.push(Self { name, unit: "units", coefficients, limit: most, scenarios: Vec::new() });
            }
        }
        sides
    }
}
