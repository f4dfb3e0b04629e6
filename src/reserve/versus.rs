//! Two plans under the same scenarios: what each costs and risks, month by month, and in which share of scenarios each wins.

use super::{
    case::Case,
    economics::{Spread, spread},
    evaluator::{Evaluation, Plan},
    money::Micros,
    outcome::Line,
    problem::Problem,
};
use serde::Serialize;

/// Costs that differ by less than this share are the same.
const SAME: f64 = 1e-9;

/// A plan in the problem it belongs to.
#[derive(Clone, Debug)]
pub struct Contender {
    pub name: String,
    pub problem: Problem,
    pub plan: Plan,
    pub evaluation: Evaluation,
}

/// What two plans come to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Versus {
    pub schema: &'static str,
    pub names: [String; 2],
    pub costs: [Spread; 2],
    pub upfront: [Micros; 2],
    pub feasible: [bool; 2],
    /// Expected cost of the second less that of the first.
    pub difference: Micros,
    /// Total probability of the scenarios in which each is cheaper, and of those in which neither is.
    pub first_wins: f64,
    pub second_wins: f64,
    pub neither_wins: f64,
    pub months: Vec<Pair>,
    /// Cost of the second less that of the first, by scenario.
    pub by_scenario: Vec<Micros>,
}

/// A month of both.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pair {
    pub period: usize,
    pub ordered: [u32; 2],
    /// Of the first class.
    pub committed_cu: [f64; 2],
    pub shortfall_probability: [f64; 2],
    /// Discounted.
    pub expected_recourse: [Micros; 2],
}

/// The schema that a comparison names.
pub const VERSUS: &str = "assay-sizing-compare/1";

/// The case with the scenarios of another, and with the rates and penalties under which those count; options that one of them
/// lacks are left as they are.
#[must_use]
pub fn under(case: &Case, scenarios: &Case) -> Case {
    let mut moved = case.clone();
    moved.demand.clone_from(&scenarios.demand);
    let options: Vec<&String> = case.options.iter().map(|offer| &offer.id).collect();
    let types: Vec<&String> = case.types.iter().map(|kind| &kind.id).collect();
    for given in &mut moved.demand {
        given.flex_factor.retain(|id, _| options.contains(&id));
        given.flex_path.retain(|id, _| options.contains(&id));
        given.price_path.retain(|id, _| options.contains(&id));
        given.cu_factor.retain(|id, _| types.contains(&id));
    }
    moved.discount_rate_annual = scenarios.discount_rate_annual;
    moved.tail = scenarios.tail;
    moved.constraints.shortfall_penalty_per_cu_period = scenarios.constraints.shortfall_penalty_per_cu_period;
    moved
}

/// Orders as they are printed, as a plan of the problem.
///
/// # Errors
/// The first order that the problem does not know.
pub fn plan_of(problem: &Problem, lines: &[Line]) -> Result<Plan, String> {
    let mut plan = vec![0; problem.slots.len()];
    for line in lines {
        let place = problem
            .slots
            .iter()
            .position(|slot| problem.options[slot.option] == line.option && slot.period + 1 == line.order_period);
        let Some(at) = place else {
            return Err(format!("an order of {} in month {} is none that the case allows", line.option, line.order_period));
        };
        let step = problem.slots[at].step;
        if !line.units.is_multiple_of(step) {
            return Err(format!("{} units of {} are no multiple of its step, {step}", line.units, line.option));
        }
        plan[at] += line.units / step;
    }
    Ok(plan)
}

/// Holds two plans against each other; their problems have the same scenarios.
#[must_use]
pub fn versus(first: &Contender, second: &Contender) -> Versus {
    let both = [first, second];
    let gaps: Vec<f64> =
        first.evaluation.by_scenario.iter().zip(&second.evaluation.by_scenario).map(|(first, second)| second - first).collect();
    let size = first.evaluation.cost.abs().max(second.evaluation.cost.abs());
    let share = |wins: &dyn Fn(f64) -> bool| -> f64 {
        gaps.iter()
            .zip(&first.problem.scenarios)
            .filter(|(gap, _)| wins(**gap))
            .fold(0.0, |sum, (_, given)| sum + given.probability)
    };
    let months = 0..first.problem.periods.min(second.problem.periods);
    Versus {
        schema: VERSUS,
        names: both.map(|side| side.name.clone()),
        costs: both.map(|side| spread(&side.problem, &side.evaluation)),
        upfront: both.map(|side| Micros::total(side.evaluation.upfront)),
        feasible: both.map(|side| side.evaluation.feasible()),
        difference: Micros::total(second.evaluation.cost - first.evaluation.cost),
        first_wins: share(&|gap| gap > SAME * size),
        second_wins: share(&|gap| gap < -SAME * size),
        neither_wins: share(&|gap| gap.abs() <= SAME * size),
        months: months.map(|at| pair(both, at)).collect(),
        by_scenario: gaps.iter().map(|gap| Micros::total(*gap)).collect(),
    }
}

fn pair(both: [&Contender; 2], at: usize) -> Pair {
    let ordered = |side: &Contender| {
        side.problem
            .slots
            .iter()
            .zip(&side.plan)
            .filter(|(slot, _)| slot.period == at)
            .map(|(slot, orders)| orders * slot.step)
            .sum()
    };
    let committed = |side: &Contender| {
        let kinds = side.problem.kinds.iter().enumerate();
        kinds.map(|(kind, of)| side.problem.units(&side.plan, kind, at) * of.effective[0]).sum()
    };
    Pair {
        period: at + 1,
        ordered: both.map(ordered),
        committed_cu: both.map(committed),
        shortfall_probability: both.map(|side| side.evaluation.by_period[at].probability.iter().copied().fold(0.0, f64::max)),
        expected_recourse: both.map(|side| Micros::total(side.evaluation.by_period[at].cost)),
    }
}
