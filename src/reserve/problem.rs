//! The problem as the solver sees it: orders that may be placed, flexible use, demand by scenario, and what binds them.
//!
//! Two stages: orders are fixed before scenarios are seen; flexible use, the split of units over classes, and what is left
//! unserved are chosen in each period and scenario. A period is a month; payments are discounted to the first.

use super::{input::Date, terms::Slot};

/// A period or scenario is short when more than this is not served, in CU.
pub const SHORT: f64 = 1e-7;
/// Slack of probabilities and limits against rounding.
pub const ROUNDING: f64 = 1e-9;

/// A type of machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Kind {
    pub id: String,
    pub provider: String,
    pub region: String,
    /// CU that a unit delivers, by class: its firm CU times its availability.
    pub effective: Vec<f64>,
    /// Units that are there already, by period.
    pub owned: Vec<f64>,
}

/// Capacity that is bought as it is used: on demand or spot.
#[derive(Clone, Debug, PartialEq)]
pub struct Flex {
    pub id: String,
    pub kind: usize,
    /// Discounted price of a unit by period; infinite before it can be had.
    pub price: Vec<f64>,
    /// Most units at once; infinite when there is no cap.
    pub most: f64,
}

/// One way in which demand, spot capacity and prices may turn out.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    pub probability: f64,
    /// What its cost counts for: its probability, unless risk is weighed.
    pub weight: f64,
    /// CU by class and period.
    pub demand: Vec<Vec<f64>>,
    /// Multiplies each flexible option's cap, by period; of an option, empty when caps are as planned.
    pub availability: Vec<Vec<f64>>,
    /// Multiplies each flexible option's price, by period; of an option, empty when prices are as planned.
    pub prices: Vec<Vec<f64>>,
    /// What an order costs more than on average, by slot; empty when no order's price hangs on the scenario.
    pub orders: Vec<f64>,
    /// Multiplies what a unit of each kind delivers; empty when units deliver what was measured.
    pub delivered: Vec<f64>,
}

/// A limit on the orders together: the sum of coefficient times units is at most `limit`.
#[derive(Clone, Debug, PartialEq)]
pub struct Side {
    /// What is limited, as a person would say it.
    pub name: String,
    /// What the coefficients are in.
    pub unit: &'static str,
    /// By slot; the others are zero.
    pub coefficients: Vec<(usize, f64)>,
    pub limit: f64,
    /// Scenarios in which it holds; empty when in all.
    pub scenarios: Vec<usize>,
}

impl Side {
    /// By how much orders are over the limit; zero within rounding.
    #[must_use]
    pub fn excess(&self, plan: &[u32]) -> f64 {
        let terms = || self.coefficients.iter().map(|&(slot, coefficient)| coefficient * f64::from(plan[slot]));
        let over = terms().sum::<f64>() - self.limit;
        let scale = terms().map(f64::abs).sum::<f64>() + self.limit.abs();
        if over > ROUNDING * scale { over } else { 0.0 }
    }

    /// How many orders more of a slot it leaves beside a plan; nothing where it does not bind them.
    #[must_use]
    pub fn room(&self, plan: &[u32], slot: usize) -> Option<u32> {
        let (_, each) = self.coefficients.iter().find(|&&(of, each)| of == slot && each > 0.0)?;
        let taken: f64 = self.coefficients.iter().map(|&(slot, coefficient)| coefficient * f64::from(plan[slot])).sum();
        Some(((self.limit - taken) / each * (1.0 + ROUNDING)).floor().max(0.0) as u32)
    }
}

/// How the mean and the worst scenarios are weighed against each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Risk {
    /// The objective is (1 - weight) · mean + weight · mean of the worst scenarios.
    pub weight: f64,
    /// Total probability of the worst scenarios.
    pub tail: f64,
}

/// The whole problem, compiled from a case or a plan file.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    pub id: String,
    pub periods: usize,
    /// The calendar month of the first period, where it is known.
    pub start: Option<Date>,
    /// Hours of a period.
    pub hours: f64,
    pub classes: Vec<String>,
    pub kinds: Vec<Kind>,
    /// Names of the commitments that slots belong to.
    pub options: Vec<String>,
    /// Every order that may be placed: an option in a period.
    pub slots: Vec<Slot>,
    pub flexes: Vec<Flex>,
    pub scenarios: Vec<Scenario>,
    /// What a payment in a period is worth in the first.
    pub discount: Vec<f64>,
    /// Cost of a CU that is not served in a period, undiscounted.
    pub penalty: f64,
    /// In every period and class, scenarios of this total probability at least must be served.
    pub service: Option<f64>,
    pub sides: Vec<Side>,
    pub risk: Option<Risk>,
}

impl Problem {
    /// The kind of a slot.
    #[must_use]
    pub fn kind(&self, slot: usize) -> &Kind {
        &self.kinds[self.slots[slot].kind]
    }

    /// A period, from 1, as a person would say it: the month of the calendar, or its number where none is known.
    #[must_use]
    pub fn month(&self, period: usize) -> String {
        self.start.map_or_else(|| period.to_string(), |start| start.plus(period as i64 - 1).to_string())
    }

    /// Units of a kind in a period, of which `plan` gives the orders.
    #[must_use]
    pub fn units(&self, plan: &[u32], kind: usize, period: usize) -> f64 {
        let active = self.slots.iter().zip(plan).filter(|(slot, _)| slot.kind == kind && slot.covers(period));
        self.kinds[kind].owned[period] + active.map(|(slot, &orders)| f64::from(orders * slot.step)).sum::<f64>()
    }

    /// Where epochs begin, and the end: periods between which no order begins or ends have the same units, whatever is ordered.
    #[must_use]
    pub fn epochs(&self) -> Vec<usize> {
        let mut starts: Vec<usize> = self.slots.iter().flat_map(|slot| [slot.first, slot.end]).chain([0, self.periods]).collect();
        // What is owned may change within a window, and then so do units.
        let changes = |period: &usize| self.kinds.iter().any(|kind| kind.owned[*period] != kind.owned[period - 1]);
        starts.extend((1..self.periods).filter(changes));
        starts.sort_unstable();
        starts.dedup();
        starts
    }

    /// Epochs that each slot covers, from the first to before the second.
    #[must_use]
    pub fn windows(&self, starts: &[usize]) -> Vec<(usize, usize)> {
        let at = |period: usize| starts.partition_point(|start| *start < period);
        self.slots.iter().map(|slot| (at(slot.first), at(slot.end))).collect()
    }

    /// Discounted price of a unit of a flexible option in a scenario.
    #[must_use]
    pub fn price(&self, flex: usize, period: usize, scenario: usize) -> f64 {
        let factors = &self.scenarios[scenario].prices;
        let factor = factors.get(flex).and_then(|by_period| by_period.get(period)).copied().unwrap_or(1.0);
        self.flexes[flex].price[period] * factor
    }

    /// Units of a flexible option that can be had at once in a scenario.
    #[must_use]
    pub fn most(&self, flex: usize, period: usize, scenario: usize) -> f64 {
        let Flex { most, ref price, .. } = self.flexes[flex];
        let factor = self.scenarios[scenario].availability[flex].get(period).copied().unwrap_or(1.0);
        if price[period].is_infinite() || factor == 0.0 { 0.0 } else { most * factor }
    }

    /// CU that a unit of a kind delivers in a scenario.
    #[must_use]
    pub fn effective(&self, kind: usize, class: usize, scenario: usize) -> f64 {
        self.kinds[kind].effective[class] * self.scenarios[scenario].delivered.get(kind).copied().unwrap_or(1.0)
    }

    /// What the cost of each scenario counts for when the mean and the tail are weighed: with the worst of `costs` once more.
    #[must_use]
    pub fn weights(&self, costs: &[f64]) -> Vec<f64> {
        let mean = self.scenarios.iter().map(|scenario| scenario.probability);
        let Some(risk) = self.risk else { return mean.collect() };
        let tail = super::evaluator::tail_weights(self, costs, risk.tail);
        mean.zip(tail).map(|(mean, tail)| (1.0 - risk.weight) * mean + risk.weight * tail).collect()
    }

    /// The same problem with the costs of scenarios counted so; for the weights of some plan its cost is below every plan's
    /// risk-weighed cost.
    #[must_use]
    pub fn weighed(&self, weights: &[f64]) -> Self {
        let mut problem = Self { risk: None, ..self.clone() };
        for (scenario, weight) in problem.scenarios.iter_mut().zip(weights) {
            scenario.weight = *weight;
        }
        for (at, slot) in problem.slots.iter_mut().enumerate() {
            slot.cost += self.dearer(at, weights);
        }
        for scenario in &mut problem.scenarios {
            scenario.orders.clear();
        }
        problem
    }

    /// What an order of a slot costs more when scenarios are counted so.
    #[must_use]
    pub fn dearer(&self, slot: usize, weights: &[f64]) -> f64 {
        self.scenarios.iter().zip(weights).filter_map(|(scenario, weight)| Some(weight * scenario.orders.get(slot)?)).sum()
    }

    /// Discounted cost of leaving a CU unserved.
    #[must_use]
    pub fn missing(&self, period: usize) -> f64 {
        self.penalty * self.discount[period]
    }

    /// The same problem when it is known that this scenario comes; without the floor of service, which speaks of many.
    #[must_use]
    pub fn foreseen(&self, scenario: usize) -> Self {
        let mut known = Scenario { probability: 1.0, weight: 1.0, ..self.scenarios[scenario].clone() };
        let mut slots = self.slots.clone();
        for (slot, dearer) in slots.iter_mut().zip(std::mem::take(&mut known.orders)) {
            slot.cost += dearer;
        }
        let sides = self.sides.iter().filter(|side| side.scenarios.is_empty() || side.scenarios.contains(&scenario));
        Self { scenarios: vec![known], service: None, risk: None, slots, sides: sides.cloned().collect(), ..self.clone() }
    }

    /// The same problem with the orders of the first period as they are in a plan.
    #[must_use]
    pub fn keeping(&self, plan: &[u32]) -> Self {
        let mut kept = self.clone();
        for (at, slot) in kept.slots.iter_mut().enumerate().filter(|(_, slot)| slot.period == 0) {
            slot.most = slot.most.min(plan[at]);
            if plan[at] > 0 {
                let least = -f64::from(plan[at]);
                let name = format!("orders of {} that stay", self.options[slot.option]);
                let coefficients = vec![(at, -1.0)];
                kept.sides.push(Side { name, unit: "orders", coefficients, limit: least, scenarios: Vec::new() });
            }
        }
        kept
    }

    /// Scenarios that may never be short: each is likelier than all that may be.
    #[must_use]
    pub fn must_serve(&self, scenario: usize) -> bool {
        self.service.is_some_and(|floor| self.scenarios[scenario].probability > 1.0 - floor + ROUNDING)
    }
}
