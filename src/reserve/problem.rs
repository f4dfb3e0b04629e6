//! The problem as the solver sees it: orders that may be placed, flexible use, demand by scenario, and what binds them.
//!
//! Two stages: orders are fixed before scenarios are seen; flexible use, the split of units over classes, and what is left
//! unserved are chosen in each period and scenario. A period is a month; payments are discounted to the first.

use super::terms::Slot;

/// A period or scenario is short when more than this is not served, in CU.
pub const SHORT: f64 = 1e-7;
/// Slack of probabilities and limits against rounding.
pub const ROUNDING: f64 = 1e-9;

/// A type of machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Kind {
    pub id: String,
    pub provider: String,
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
    /// CU by class and period.
    pub demand: Vec<Vec<f64>>,
    /// Multiplies each flexible option's cap.
    pub availability: Vec<f64>,
    /// Multiplies each flexible option's price, by period; empty when prices are as planned.
    pub prices: Vec<Vec<f64>>,
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
}

/// The whole problem, compiled from a case or a plan file.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    pub id: String,
    pub periods: usize,
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
}

impl Problem {
    /// The kind of a slot.
    #[must_use]
    pub fn kind(&self, slot: usize) -> &Kind {
        &self.kinds[self.slots[slot].kind]
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
        let factor = self.scenarios[scenario].availability[flex];
        if price[period].is_infinite() || factor == 0.0 { 0.0 } else { most * factor }
    }

    /// Discounted cost of leaving a CU unserved.
    #[must_use]
    pub fn missing(&self, period: usize) -> f64 {
        self.penalty * self.discount[period]
    }

    /// The same problem when it is known that this scenario comes; without the floor of service, which speaks of many.
    #[must_use]
    pub fn foreseen(&self, scenario: usize) -> Self {
        let known = Scenario { probability: 1.0, ..self.scenarios[scenario].clone() };
        Self { scenarios: vec![known], service: None, ..self.clone() }
    }

    /// Scenarios that may never be short: each is likelier than all that may be.
    #[must_use]
    pub fn must_serve(&self, scenario: usize) -> bool {
        self.service.is_some_and(|floor| self.scenarios[scenario].probability > 1.0 - floor + ROUNDING)
    }
}
