//! When no plan meets every constraint: which one stands in the way, and by how much it must give.
//!
//! The problem is solved anew for feasibility alone: recourse and orders cost nothing, and what a limit is exceeded by is what is
//! to be least. First with every limit allowed to give, which tells the plan that comes nearest; then each on its own.

use super::{
    evaluator::{Broken, Plan, evaluate},
    lp::Failure,
    problem::{Kind, Problem, Side},
    solver::{Effort, Solved, solve},
    terms::Slot,
};

/// Steps in which a limit gives while all may, as a share of what it speaks of.
const STEP: f64 = 1e-3;
/// Halvings in the search for a floor of service that can be kept.
const HALVINGS: usize = 14;
/// Possible orders past which each limit is not loosened on its own.
const SLOTS: usize = 600;

/// The plan that exceeds limits the least, each as a share of what it speaks of, with the floor of service kept where any orders
/// keep it.
///
/// # Errors
/// When the linear solver fails.
pub fn nearest(problem: &Problem, effort: Effort) -> Result<Solved, Failure> {
    let mut elastic = bare(problem, &vec![0.0; problem.slots.len()]);
    elastic.kinds.push(Kind {
        id: String::new(),
        provider: String::new(),
        region: String::new(),
        effective: vec![0.0; problem.classes.len()],
        owned: vec![0.0; problem.periods],
    });
    for (at, side) in problem.sides.iter().enumerate() {
        let parts = side.coefficients.iter().map(|(_, part)| part.abs());
        let scale = if side.limit == 0.0 { parts.fold(0.0, f64::max) } else { side.limit.abs() };
        let slot = elastic.slots.len();
        elastic.slots.push(giving(problem));
        elastic.sides[at].coefficients.push((slot, -STEP * scale));
    }
    let solved = solve(&elastic, effort)?;
    let plan: Plan = solved.plan[..problem.slots.len()].to_vec();
    let evaluation = evaluate(problem, &plan);
    Ok(Solved { plan, evaluation, ..solved })
}

/// An order of nothing that lets a limit give by a step.
fn giving(problem: &Problem) -> Slot {
    Slot {
        option: 0,
        kind: problem.kinds.len(),
        period: 0,
        first: 0,
        end: problem.periods,
        last: problem.periods,
        most: 10_000_000,
        step: 1,
        cost: 1.0,
        salvage: 0.0,
        upfront: 0.0,
        owed: 0.0,
        paid_ahead: 0.0,
        spend: Vec::new(),
    }
}

/// The problem with these costs of orders, and nothing else that costs.
fn bare(problem: &Problem, costs: &[f64]) -> Problem {
    let mut bare = Problem { penalty: 0.0, risk: None, ..problem.clone() };
    for (slot, cost) in bare.slots.iter_mut().zip(costs) {
        slot.cost = *cost;
    }
    for price in bare.flexes.iter_mut().flat_map(|flex| &mut flex.price).filter(|price| price.is_finite()) {
        *price = 0.0;
    }
    for scenario in &mut bare.scenarios {
        scenario.orders.clear();
        scenario.prices = Vec::new();
    }
    bare
}

/// Each constraint that, loosened alone by so much, lets a plan be.
///
/// # Errors
/// When the linear solver fails.
pub fn relief(problem: &Problem, effort: Effort) -> Result<Vec<Broken>, Failure> {
    let mut relief = Vec::new();
    if problem.slots.len() > SLOTS {
        return Ok(relief);
    }
    for (at, side) in problem.sides.iter().enumerate() {
        relief.extend(limit(problem, at, side, effort)?);
    }
    for option in 0..problem.options.len() {
        relief.extend(units(problem, option, effort)?);
    }
    relief.extend(floor(problem, effort)?);
    Ok(relief)
}

/// The least that a limit must give when every other holds.
fn limit(problem: &Problem, at: usize, side: &Side, effort: Effort) -> Result<Option<Broken>, Failure> {
    let scale = side.coefficients.iter().map(|(_, part)| part.abs()).fold(f64::MIN_POSITIVE, f64::max);
    let mut costs = vec![0.0; problem.slots.len()];
    for &(slot, part) in &side.coefficients {
        costs[slot] = part / scale;
    }
    let mut without = bare(problem, &costs);
    without.sides.remove(at);
    let solved = feasible(&without, effort)?;
    let by = solved.map_or(0.0, |solved| side.excess(&solved.plan));
    Ok((by > 0.0).then(|| Broken { constraint: side.name.clone(), by, unit: side.unit.to_owned() }))
}

/// The fewest units past its `max_units` that an option must be given.
fn units(problem: &Problem, option: usize, effort: Effort) -> Result<Option<Broken>, Failure> {
    let mut more = bare(problem, &vec![0.0; problem.slots.len()]);
    for at in 0..problem.slots.len() {
        if problem.slots[at].option == option {
            let slot = Slot { cost: f64::from(problem.slots[at].step), most: 100_000, ..problem.slots[at].clone() };
            let added = more.slots.len();
            more.slots.push(slot);
            for side in &mut more.sides {
                let part = side.coefficients.iter().find(|(of, _)| *of == at).map(|(_, part)| *part);
                side.coefficients.extend(part.map(|part| (added, part)));
            }
        }
    }
    let by = feasible(&more, effort)?.map_or(0.0, |solved| solved.evaluation.committed);
    let constraint = format!("max_units of {}", problem.options[option]);
    Ok((by > 0.5).then(|| Broken { constraint, by: by.round(), unit: "units".to_owned() }))
}

/// By how much the floor of service must be lowered.
fn floor(problem: &Problem, effort: Effort) -> Result<Option<Broken>, Failure> {
    let Some(asked) = problem.service else { return Ok(None) };
    let mut bare = bare(problem, &vec![0.0; problem.slots.len()]);
    bare.service = Some(0.0);
    if feasible(&bare, effort)?.is_none() {
        return Ok(None);
    }
    let (mut kept, mut broken) = (0.0, asked);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(kept, broken);
        bare.service = Some(middle);
        if feasible(&bare, effort)?.is_some() { kept = middle } else { broken = middle }
    }
    let constraint = format!("min_service_probability of {asked}");
    Ok(Some(Broken { constraint, by: asked - kept, unit: "of probability".to_owned() }))
}

fn feasible(problem: &Problem, effort: Effort) -> Result<Option<Solved>, Failure> {
    match solve(problem, effort) {
        Ok(solved) => Ok(solved.evaluation.feasible().then_some(solved)),
        Err(Failure::Infeasible) => Ok(None),
        Err(failure) => Err(failure),
    }
}
