//! What a problem comes to: the plan and the figures beside it, as one document.

use super::{
    elastic,
    evaluator::{Broken, Evaluation, evaluate},
    lp::{self, Failure},
    money::Micros,
    problem::Problem,
    solver::{Effort, Solved, solve},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Orders of an option in a period, which counts from 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub option: String,
    pub order_period: usize,
    pub units: u32,
}

/// The document.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    pub schema: &'static str,
    pub id: String,
    pub feasible: bool,
    /// Expected.
    pub optimal_cost: Micros,
    /// What is least: `optimal_cost`, unless the worst scenarios are weighed besides.
    pub objective: Micros,
    pub plan: Vec<Line>,
    /// By period, then by class.
    pub shortfall_probability_by_period: Vec<BTreeMap<String, f64>>,
    pub upfront_total: Micros,
    pub flex_only_cost: Micros,
    pub flex_only_feasible: bool,
    pub saving_vs_flex_only: Micros,
    /// Expected cost if the scenario were known beforehand, floor of service left out; where that is not proved, a bound from below.
    pub wait_and_see_cost: Option<Micros>,
    pub evpi: Option<Micros>,
    /// No plan costs less.
    pub lower_bound: Micros,
    /// What the linear relaxation alone proves.
    pub lp_bound: Micros,
    /// (cost - lower bound) / lower bound.
    pub gap: f64,
    /// Whether it is proved that no plan is cheaper.
    pub proved: bool,
    pub nodes: usize,
    /// Library whose simplex solved the linear programmes.
    pub solver: &'static str,
    /// What the plan that comes nearest breaks, where none is feasible.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub broken: Vec<Broken>,
    /// What would be enough: each limit that, loosened alone by this much, lets a plan be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub relief: Vec<Broken>,
}

/// The schema that an answer names.
pub const ANSWER: &str = "assay-sizing-answer/1";
/// Scenarios times slots beyond which no scenario is solved on its own.
const FORESEEN: usize = 20_000;

/// Orders of a plan as lines, in the order of options and periods.
#[must_use]
pub fn lines(problem: &Problem, plan: &[u32]) -> Vec<Line> {
    let ordered = problem.slots.iter().zip(plan).filter(|(_, orders)| **orders > 0);
    let line = |(slot, orders): (&super::terms::Slot, &u32)| Line {
        option: problem.options[slot.option].clone(),
        order_period: slot.period + 1,
        units: orders * slot.step,
    };
    ordered.map(line).collect()
}

/// Solves the problem and puts the figures together.
///
/// # Errors
/// When the linear solver fails, or limits leave no plan at all.
pub fn answer(problem: &Problem, effort: Effort) -> Result<(Answer, Solved), Failure> {
    let (answer, solved, _) = answer_with(problem, effort)?;
    Ok((answer, solved))
}

/// The same, with what each scenario's own best plan costs where that was sought.
///
/// # Errors
/// As [`answer`].
pub fn answer_with(problem: &Problem, effort: Effort) -> Result<(Answer, Solved, Option<Vec<f64>>), Failure> {
    let mut solved = match solve(problem, effort) {
        Ok(solved) => solved,
        // Limits contradict each other: only a plan that breaks some can be told.
        Err(Failure::Infeasible) => Solved { proved: true, ..elastic::nearest(problem, effort)? },
        Err(failure) => return Err(failure),
    };
    if !solved.evaluation.feasible() && !problem.sides.is_empty() {
        let nearest = elastic::nearest(problem, effort)?;
        if served(&nearest.evaluation) {
            solved = Solved { plan: nearest.plan, evaluation: nearest.evaluation, ..solved };
        }
    }
    let solved = solved;
    let flex_only = evaluate(&Problem { service: None, sides: Vec::new(), ..problem.clone() }, &vec![0; problem.slots.len()]);
    let flex_feasible = evaluate(problem, &vec![0; problem.slots.len()]).feasible();
    let known = foreseen(problem, effort)?;
    let mean = |known: &Vec<f64>| known.iter().zip(&problem.scenarios).map(|(cost, given)| cost * given.probability).sum::<f64>();
    let foreseen = known.as_ref().map(|known| Micros::total(mean(known)));
    let cost = solved.evaluation.total();
    let answer = Answer {
        schema: ANSWER,
        id: problem.id.clone(),
        feasible: solved.evaluation.feasible(),
        optimal_cost: cost,
        objective: Micros::total(solved.evaluation.objective),
        plan: lines(problem, &solved.plan),
        shortfall_probability_by_period: shortfall(problem, &solved.evaluation),
        upfront_total: Micros::total(solved.evaluation.upfront),
        flex_only_cost: flex_only.total(),
        flex_only_feasible: flex_feasible,
        saving_vs_flex_only: Micros(flex_only.total().0 - cost.0),
        wait_and_see_cost: foreseen,
        evpi: foreseen.map(|known| Micros(cost.0 - known.0)),
        lower_bound: Micros::total(solved.bound),
        lp_bound: Micros::total(solved.relaxed),
        gap: solved.gap(),
        proved: solved.proved,
        nodes: solved.nodes,
        solver: lp::SOLVER,
        broken: solved.evaluation.broken.clone(),
        relief: if solved.evaluation.feasible() { Vec::new() } else { elastic::relief(problem, effort)? },
    };
    Ok((answer, solved, known))
}

/// Whether the floor of service is kept.
fn served(evaluation: &Evaluation) -> bool {
    evaluation.by_period.iter().all(|period| period.missed == 0.0)
}

fn shortfall(problem: &Problem, evaluation: &Evaluation) -> Vec<BTreeMap<String, f64>> {
    let by_class = |probability: &Vec<f64>| problem.classes.iter().cloned().zip(probability.iter().copied()).collect();
    evaluation.by_period.iter().map(|period| by_class(&period.probability)).collect()
}

/// Cost of the best plan of each scenario on its own; where that is not proved, a bound from below.
fn foreseen(problem: &Problem, effort: Effort) -> Result<Option<Vec<f64>>, Failure> {
    if problem.scenarios.len() * problem.slots.len() > FORESEEN {
        return Ok(None);
    }
    let mut known = Vec::new();
    // All of them together take about as much as the plan itself.
    let effort = Effort { work: effort.work / problem.scenarios.len().max(1), ..effort };
    for scenario in 0..problem.scenarios.len() {
        known.push(match solve(&problem.foreseen(scenario), effort) {
            Ok(solved) => solved.bound,
            Err(Failure::Infeasible) => return Ok(None),
            Err(failure) => return Err(failure),
        });
    }
    Ok(Some(known))
}
