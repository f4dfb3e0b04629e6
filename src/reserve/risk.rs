//! Where the worst scenarios are weighed besides the mean: the same problem under other weights, and the best of those.
//!
//! For every weighing of scenarios that the tail allows, the cheapest plan under it costs no more than the best plan's weighed
//! cost; so each gives a bound, and the greatest is told. The weights sought are those that the best plan itself calls for; they
//! are approached by averaging (fictitious play; Brown, 1951).

use super::{
    evaluator::{Evaluation, Plan, evaluate},
    levels::Levels,
    lp::Failure,
    problem::Problem,
    relax::relax,
    serve::serve,
    solver::{Effort, Solved, by_cuts, near},
};

/// Slots times epochs times scenarios up to which planes are used, and the plan proved.
const PLANES: usize = 600_000;
/// Weighings that are tried.
const ROUNDS: usize = 12;
/// Weighings under which a whole plan is sought.
const PLANS: usize = 3;
/// Periods times scenarios times flexible options that the last improvement looks at, all trials together, for each cell of work
/// that a proof may take; one takes about as long as seven of them.
const TRIALS: usize = 7;
/// Slots that the last improvement adds orders of.
const PARTNERS: usize = 24;

/// The best plan when risk is weighed.
///
/// # Errors
/// As [`super::solve`].
pub fn risky(problem: &Problem, effort: Effort) -> Result<Solved, Failure> {
    let size = problem.slots.len() * (problem.epochs().len() - 1) * problem.scenarios.len();
    if !Levels::fit(problem) || (size <= PLANES && problem.slots.len() <= effort.slots) {
        return by_cuts(problem, effort);
    }
    let mut weights: Vec<f64> = problem.scenarios.iter().map(|scenario| scenario.weight).collect();
    let mut best = (f64::NEG_INFINITY, f64::NEG_INFINITY, Vec::new());
    let mut found: Option<(Evaluation, Plan)> = None;
    for round in 1..=ROUNDS {
        let weighed = problem.weighed(&weights);
        let levels = Levels::of(&weighed);
        let relaxed = relax(&weighed, &levels)?;
        if relaxed.bound > best.0 {
            best = (relaxed.bound, relaxed.primal, relaxed.reduced.clone());
        }
        if round > ROUNDS - PLANS {
            let plan = near(&weighed, &levels, (&relaxed.orders, &relaxed.reduced), effort.starts);
            keep(problem, &mut found, plan);
        }
        let called = problem.weights(&costs(problem, &relaxed.orders));
        let step = 1.0 / (round as f64 + 1.0);
        weights.iter_mut().zip(called).for_each(|(weight, called)| *weight += step * (called - *weight));
    }
    let (bound, fractional, reduced) = best;
    if let Some((_, plan)) = &found {
        let plan = polish(problem, plan.clone(), &reduced, effort);
        keep(problem, &mut found, plan);
    }
    let (evaluation, plan) = found.ok_or_else(|| Failure::Solver("no plan was found".into()))?;
    Ok(Solved { plan, evaluation, bound, relaxed: bound, fractional, proved: false, nodes: 0 })
}

fn keep(problem: &Problem, found: &mut Option<(Evaluation, Plan)>, plan: Plan) {
    let evaluation = evaluate(problem, &plan);
    let better =
        |(so_far, _): &(Evaluation, Plan)| (!evaluation.feasible(), evaluation.objective) < (!so_far.feasible(), so_far.objective);
    if found.as_ref().is_none_or(better) {
        *found = Some((evaluation, plan));
    }
}

/// Cost of recourse and of the scenario's own prices, by scenario, at fractional orders; what is committed alike is left out.
fn costs(problem: &Problem, orders: &[f64]) -> Vec<f64> {
    let used: Vec<usize> = (0..orders.len()).filter(|&slot| orders[slot] > 0.0).collect();
    let mut costs: Vec<f64> = problem
        .scenarios
        .iter()
        .map(|scenario| used.iter().filter_map(|&slot| Some(orders[slot] * scenario.orders.get(slot)?)).sum())
        .collect();
    let forced = vec![false; problem.classes.len()];
    for period in 0..problem.periods {
        let mut units: Vec<f64> = problem.kinds.iter().map(|kind| kind.owned[period]).collect();
        for &slot in used.iter().filter(|slot| problem.slots[**slot].covers(period)) {
            units[problem.slots[slot].kind] += orders[slot] * f64::from(problem.slots[slot].step);
        }
        for (scenario, cost) in costs.iter_mut().enumerate() {
            *cost += serve(problem, period, scenario, &units, &forced).cost;
        }
    }
    costs
}

/// Improves a plan by single orders and exchanges, each reckoned whole under the risk that is weighed.
#[must_use]
pub fn polish(problem: &Problem, plan: Plan, reduced: &[f64], effort: Effort) -> Plan {
    let mut left = TRIALS * effort.work / (problem.periods * problem.scenarios.len() * (problem.flexes.len() + 1)).max(1);
    let share = |slot: usize| reduced.get(slot).map_or(0.0, |reduced| reduced / problem.slots[slot].cost.abs().max(1.0));
    let mut partners: Vec<usize> = (0..plan.len()).collect();
    partners.sort_by(|&a, &b| share(a).total_cmp(&share(b)).then(a.cmp(&b)));
    partners.truncate(PARTNERS);
    let mut best = (evaluate(problem, &plan), plan);
    loop {
        let active: Vec<usize> = (0..best.1.len()).filter(|&slot| best.1[slot] > 0).collect();
        let mut changes: Vec<(Option<usize>, Option<usize>)> = active.iter().map(|&slot| (Some(slot), None)).collect();
        for &more in partners.iter().chain(active.iter().filter(|slot| !partners.contains(slot))) {
            changes.push((None, Some(more)));
            changes.extend(active.iter().filter(|slot| **slot != more).map(|&less| (Some(less), Some(more))));
        }
        let mut improved = false;
        for (less, more) in changes {
            let mut plan = best.1.clone();
            if less.is_some_and(|slot| plan[slot] == 0) || more.is_some_and(|slot| plan[slot] >= problem.slots[slot].most) {
                continue;
            }
            if left == 0 {
                return best.1;
            }
            left -= 1;
            if let Some(slot) = less {
                plan[slot] -= 1;
            }
            if let Some(slot) = more {
                plan[slot] += 1;
            }
            let evaluation = evaluate(problem, &plan);
            if (!evaluation.feasible(), evaluation.objective) < (!best.0.feasible(), best.0.objective * (1.0 - 1e-12)) {
                best = (evaluation, plan);
                improved = true;
            }
        }
        if !improved {
            return best.1;
        }
    }
}
