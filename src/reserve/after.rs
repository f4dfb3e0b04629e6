//! What orders that outlive the horizon cost after it: a plan whose cost leaves that out must say so beside it.

use super::{
    case::Case,
    evaluator::evaluate,
    lp::Failure,
    money::Micros,
    problem::Problem,
    solver::{Effort, Solved, solve},
    terms::{Slot, Tail},
};
use serde::Serialize;

/// What is paid for months after the horizon, undiscounted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct After {
    /// Fees that fall due after the horizon.
    pub owed: Micros,
    /// The part of upfronts that is for months after it.
    pub paid_ahead: Micros,
    /// Whether the plan's cost counts both.
    pub counted: bool,
    /// Where it does not: what this plan would cost if it did, and the cheapest plan that was then found; nothing where the case is
    /// too large to be solved once more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_if_counted: Option<Micros>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub least_if_counted: Option<Micros>,
    /// Whether that plan orders the same in the first month, which is all that binds now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_orders_stay: Option<bool>,
}

impl After {
    /// Whether another plan is cheaper once all is counted; nothing where that was not sought.
    #[must_use]
    pub fn otherwise(&self) -> Option<bool> {
        self.cost_if_counted.zip(self.least_if_counted).map(|(own, least)| least < own)
    }
}

/// What a plan's orders cost after the horizon; nothing where none outlives it. With `again`, the case is solved once more with all of
/// it counted.
///
/// # Errors
/// When the linear solver fails.
pub fn after(case: &Case, problem: &Problem, solved: &Solved, again: bool, effort: Effort) -> Result<Option<After>, Failure> {
    let orders = || problem.slots.iter().zip(&solved.plan).filter(|(slot, orders)| **orders > 0 && slot.last > problem.periods);
    if orders().next().is_none() {
        return Ok(None);
    }
    let sum = |of: fn(&Slot) -> f64| Micros::total(orders().map(|(slot, orders)| of(slot) * f64::from(*orders)).sum::<f64>());
    let counted = case.tail == Tail::Full;
    let both = if again && !counted && solved.evaluation.feasible() { whole(case, solved, effort)? } else { None };
    Ok(Some(After {
        owed: sum(|slot| slot.owed),
        paid_ahead: sum(|slot| slot.paid_ahead),
        counted,
        cost_if_counted: both.map(|whole| Micros::total(whole.own)),
        least_if_counted: both.map(|whole| Micros::total(whole.least)),
        first_orders_stay: both.map(|whole| whole.same_first),
    }))
}

/// With everything counted: what a plan comes to, the cheapest that is found, and whether both order the same in the first month.
#[derive(Clone, Copy)]
struct Whole {
    own: f64,
    least: f64,
    same_first: bool,
}

fn whole(case: &Case, solved: &Solved, effort: Effort) -> Result<Option<Whole>, Failure> {
    let Ok(problem) = (Case { tail: Tail::Full, ..case.clone() }).problem() else { return Ok(None) };
    let own = evaluate(&problem, &solved.plan).objective;
    let other = match solve(&problem, Effort { work: effort.work / 10, ..effort }) {
        Ok(other) if other.evaluation.feasible() => other,
        Ok(_) | Err(Failure::Infeasible) => return Ok(None),
        Err(failure) => return Err(failure),
    };
    let least = other.evaluation.objective;
    let pairs = problem.slots.iter().zip(solved.plan.iter().zip(&other.plan));
    let same = pairs.filter(|(slot, _)| slot.period == 0).all(|(_, (own, other))| own == other);
    Ok(Some(Whole { own, least: least.min(own), same_first: same || own <= least }))
}
