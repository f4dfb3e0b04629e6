//! A plan reckoned anew, from the problem alone: nothing of what a solver believed enters here.

use super::{
    money::Micros,
    problem::{Problem, Scenario},
    serve::{Period, period},
};
use serde::Serialize;

/// Orders of a plan, by slot of the problem.
pub type Plan = Vec<u32>;

/// A constraint that a plan breaks, and by how much.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Broken {
    pub constraint: String,
    pub by: f64,
    pub unit: String,
}

/// What a plan comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Discounted expected cost.
    pub cost: f64,
    /// What is to be least: the expected cost, or where risk is weighed its sum with that of the worst scenarios.
    pub objective: f64,
    /// Discounted cost of the orders.
    pub committed: f64,
    /// Quoted upfronts of the orders, undiscounted and whole.
    pub upfront: f64,
    /// Discounted cost by scenario.
    pub by_scenario: Vec<f64>,
    pub by_period: Vec<Period>,
    pub broken: Vec<Broken>,
}

impl Evaluation {
    #[must_use]
    pub fn feasible(&self) -> bool {
        self.broken.is_empty()
    }

    /// The cost at the edge, in whole micros.
    #[must_use]
    pub fn total(&self) -> Micros {
        Micros::total(self.cost)
    }

    /// The mean of the worst scenarios whose probability sums to `share` (conditional value at risk; Rockafellar and
    /// Uryasev, 2000).
    #[must_use]
    pub fn tail(&self, problem: &Problem, share: f64) -> f64 {
        tail_weights(problem, &self.by_scenario, share).iter().zip(&self.by_scenario).map(|(weight, cost)| weight * cost).sum()
    }
}

/// Weights of the worst scenarios whose probability sums to `share`; they sum to one.
#[must_use]
pub fn tail_weights(problem: &Problem, costs: &[f64], share: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..costs.len()).collect();
    order.sort_by(|&a, &b| costs[b].total_cmp(&costs[a]));
    let mut weights = vec![0.0; costs.len()];
    let mut left = share;
    for scenario in order {
        let taken = problem.scenarios[scenario].probability.min(left);
        weights[scenario] = taken / share;
        left -= taken;
    }
    weights
}

/// Reckons a plan: its cost, what is left short, and which constraints it breaks.
#[must_use]
pub fn evaluate(problem: &Problem, plan: &[u32]) -> Evaluation {
    let orders = || problem.slots.iter().zip(plan).filter(|(_, orders)| **orders > 0);
    let committed: f64 = orders().map(|(slot, &orders)| slot.cost * f64::from(orders)).sum();
    let upfront: f64 = orders().map(|(slot, &orders)| slot.upfront * f64::from(orders)).sum();
    let mut units: Vec<Vec<f64>> =
        (0..problem.periods).map(|period| problem.kinds.iter().map(|kind| kind.owned[period]).collect()).collect();
    for (slot, &orders) in orders() {
        for there in &mut units[slot.first..slot.end] {
            there[slot.kind] += f64::from(orders * slot.step);
        }
    }
    let by_period: Vec<Period> = units.iter().enumerate().map(|(at, units)| period(problem, at, units)).collect();
    let dearer = |scenario: &Scenario| scenario.orders.iter().zip(plan).map(|(by, &orders)| by * f64::from(orders)).sum::<f64>();
    let mut by_scenario: Vec<f64> = problem.scenarios.iter().map(|scenario| committed + dearer(scenario)).collect();
    for period in &by_period {
        for (total, cost) in by_scenario.iter_mut().zip(&period.costs) {
            *total += cost;
        }
    }
    let cost = committed + by_period.iter().map(|period| period.cost).sum::<f64>();
    let weights = problem.weights(&by_scenario);
    let objective = match problem.risk {
        Some(_) => weights.iter().zip(&by_scenario).map(|(weight, cost)| weight * cost).sum(),
        None => cost,
    };
    Evaluation { cost, objective, committed, upfront, by_scenario, broken: broken(problem, plan, &by_period), by_period }
}

fn broken(problem: &Problem, plan: &[u32], by_period: &[Period]) -> Vec<Broken> {
    let over = problem.sides.iter().map(|side| (side.name.clone(), side.excess(plan), side.unit.to_owned()));
    let missed = by_period.iter().enumerate().map(|(period, reckoned)| {
        let name = format!("service floor of {} in period {}", problem.service.unwrap_or(0.0), period + 1);
        (name, reckoned.missed, "CU".to_owned())
    });
    let limits = problem.slots.iter().zip(plan).map(|(slot, &orders)| {
        let name = format!("max_units of {} in period {}", problem.options[slot.option], slot.period + 1);
        (name, f64::from(orders.saturating_sub(slot.most) * slot.step), "units".to_owned())
    });
    over.chain(missed)
        .chain(limits)
        .filter(|(_, by, _)| *by > 0.0)
        .map(|(constraint, by, unit)| Broken { constraint, by, unit })
        .collect()
}
