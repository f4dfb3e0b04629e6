//! From a problem to a plan with its bound: relaxation, construction, local search, and proof where that is affordable.

use super::{
    cuts::{Cuts, Point},
    evaluator::{Evaluation, Plan},
    exact::{Relaxation, prove},
    levels::Levels,
    lp::Failure,
    problem::Problem,
    recourse::{Recourse, Shared},
    relax::{Fractional, relax},
    risk::{polish, risky},
    search::Search,
};

/// How much is spent on a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Work of branch and bound, in cells of the tables of its programmes; nothing is proved past it.
    pub work: usize,
    /// Slots beyond which no proof is tried.
    pub slots: usize,
    /// Roundings of the relaxation that a search begins with, at most three.
    pub starts: usize,
}

impl Default for Effort {
    fn default() -> Self {
        Self { work: 20_000_000, slots: 400, starts: 3 }
    }
}

/// A plan, what it comes to, and how good it is at least.
#[derive(Clone, Debug, PartialEq)]
pub struct Solved {
    pub plan: Plan,
    pub evaluation: Evaluation,
    /// No plan costs less; the plan's own cost where it is proved cheapest.
    pub bound: f64,
    /// What the relaxation alone proves.
    pub relaxed: f64,
    /// Cost of the relaxation's fractional orders; what it is above `relaxed` is the duality gap of the linear solver.
    pub fractional: f64,
    /// Whether no other plan is cheaper, or none is feasible.
    pub proved: bool,
    pub nodes: usize,
}

impl Solved {
    /// By how much the plan may be too dear at most, as a share of the bound.
    #[must_use]
    pub fn gap(&self) -> f64 {
        let over = self.evaluation.objective - self.bound;
        if over <= 0.0 { 0.0 } else { over / self.bound.abs().max(f64::MIN_POSITIVE) }
    }
}

/// Finds the cheapest plan, or one that is known to be near it.
///
/// # Errors
/// When the linear solver fails, or the limits leave no plan at all.
pub fn solve(problem: &Problem, effort: Effort) -> Result<Solved, Failure> {
    if problem.risk.is_some_and(|risk| risk.weight > 0.0) {
        return match risky(problem, effort) {
            // What is short of every plan is so whatever is weighed how, and the nearest plan is told without.
            Err(Failure::Infeasible) => solve(&Problem { risk: None, ..problem.clone() }, effort),
            other => other,
        };
    }
    if Levels::fit(problem) { by_levels(problem, effort) } else { by_cuts(problem, effort) }
}

fn by_levels(problem: &Problem, effort: Effort) -> Result<Solved, Failure> {
    let levels = Levels::of(problem);
    let relaxed = relax(problem, &levels)?;
    let plan = near(problem, &levels, (&relaxed.orders, &relaxed.reduced), effort.starts);
    let all: Vec<usize> = (0..problem.slots.len()).collect();
    let work = if all.len() <= effort.slots { effort.work } else { 0 };
    let mut relaxation = Fractional::of(problem, &levels, &all);
    Ok(finish(problem, &mut relaxation, plan, (relaxed.bound, relaxed.primal, &relaxed.reduced), work))
}

pub fn by_cuts(problem: &Problem, effort: Effort) -> Result<Solved, Failure> {
    let shared = Shared::of(problem);
    let mut cuts = Cuts::of(problem);
    let bounds: Vec<(f64, f64)> = problem.slots.iter().map(|slot| (0.0, f64::from(slot.most))).collect();
    let point = match cuts.solve(&bounds) {
        // The linear solver gave up: a search from nothing, with the bound that recourse and orders at their least give.
        Err(Failure::Solver(_)) => Point { cost: f64::NEG_INFINITY, orders: vec![0.0; bounds.len()] },
        other => other?,
    };
    let (bound, reduced) = cuts.certify().unwrap_or_else(|_| cuts.least());
    let mut plan = near(problem, &shared, (&point.orders, &reduced), effort.starts);
    if problem.risk.is_some() {
        plan = polish(problem, plan, &reduced, effort);
    }
    cuts.learn(&plan);
    let work = if problem.slots.len() <= effort.slots { cuts.spent() + effort.work } else { 0 };
    Ok(finish(problem, &mut cuts, plan, (bound, point.cost, &reduced), work))
}

fn finish(
    problem: &Problem,
    relaxation: &mut dyn Relaxation,
    plan: Plan,
    (relaxed, fractional, reduced): (f64, f64, &[f64]),
    work: usize,
) -> Solved {
    let proof = prove(problem, relaxation, plan, (relaxed, reduced), work);
    Solved {
        plan: proof.plan,
        evaluation: proof.evaluation,
        bound: proof.bound,
        relaxed: relaxed.min(proof.bound),
        fractional,
        proved: proof.complete,
        nodes: proof.nodes,
    }
}

/// The best whole plan near fractional orders: rounded in three ways, each improved by exchanges.
pub fn near(problem: &Problem, recourse: &dyn Recourse, (orders, reduced): (&[f64], &[f64]), starts: usize) -> Plan {
    let roundings: [fn(f64) -> f64; 3] = [f64::floor, f64::round, |_| 0.0];
    let mut best: Option<(bool, f64, Plan)> = None;
    for rounding in roundings.into_iter().take(starts.max(1)) {
        let plan = orders.iter().map(|orders| rounding(orders + 1e-9) as u32).collect();
        let mut search = Search::from(problem, recourse, plan);
        search.repair();
        search.improve(reduced);
        let broken = problem.sides.iter().any(|side| side.excess(&search.plan) > 0.0);
        let better = |(so_far, cost, _): &(bool, f64, Plan)| (broken, search.cost) < (*so_far, *cost);
        if best.as_ref().is_none_or(better) {
            best = Some((broken, search.cost, search.plan));
        }
    }
    best.map(|(_, _, plan)| plan).unwrap_or_default()
}
