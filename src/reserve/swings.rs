//! What a sizing hangs on: how its cost answers to each input, and the nearest value at which the first orders change.

use super::{
    case::{Case, Sort, Wrong},
    evaluator::Evaluation,
    lp::Failure,
    money::Micros,
    outcome::{Line, lines},
    problem::Problem,
    solver::{Effort, Solved, solve},
    versus::plan_of,
};
use rayon::prelude::*;
use serde::Serialize;

/// Costs this close, as a share, are the same.
const SAME: f64 = 1e-9;
/// Part of the work of a proof that each of the many solutions may take.
const SHARE: usize = 10;
/// Halvings of the range in which a flip is sought.
const HALVINGS: usize = 7;
/// Steps in which each half of a range is looked through before it is halved.
const STEPS: usize = 4;

/// An input that may turn out otherwise: its name, the range it is tried in, and what a value of it does to the case.
pub struct Driver {
    pub name: &'static str,
    pub unit: &'static str,
    /// The value as it is in the case.
    pub now: f64,
    pub low: f64,
    pub high: f64,
    set: fn(&mut Case, f64),
}

/// How the cost answers to an input.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Swing {
    pub input: &'static str,
    pub unit: &'static str,
    pub low: f64,
    pub high: f64,
    /// Expected cost of the best plan at each end; nothing where no plan is feasible.
    pub cost_at_low: Option<Micros>,
    pub cost_at_high: Option<Micros>,
    /// The nearest values below and above at which the orders of the first month are no longer best; nothing where they are through
    /// the whole range.
    pub flips_below: Option<Flip>,
    pub flips_above: Option<Flip>,
}

/// A value at which other orders in the first month are cheaper, and which.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Flip {
    pub at: f64,
    pub first_orders: Vec<Line>,
}

/// What is tried, with ranges that a buyer would call plausible.
#[must_use]
pub fn drivers() -> Vec<Driver> {
    let driver = |name, (low, now, high): (f64, f64, f64), set| Driver { name, unit: "times", now, low, high, set };
    let mut drivers = vec![
        driver("demand", (0.6, 1.0, 1.6), |case, by| demand(case, |_, cu| cu * by)),
        driver("growth of demand", (0.0, 1.0, 2.0), |case, by| demand(case, |first, cu| first * (cu / first).powf(by))),
        driver("spread of scenarios", (0.0, 1.0, 2.0), spread),
        driver("CU of every type", (0.8, 1.0, 1.2), |case, by| {
            case.types.iter_mut().flat_map(|kind| kind.cu.values_mut()).for_each(|cu| *cu *= by);
        }),
        driver("flexible prices", (0.5, 1.0, 1.5), |case, by| offers(case, Sort::Flex, |offer| offer.per_period *= by)),
        driver("flexible capacity", (0.0, 1.0, 2.0), |case, by| {
            offers(case, Sort::Flex, |offer| offer.max_units = offer.max_units.map(|most| most * by));
        }),
        driver("shortfall penalty", (0.5, 1.0, 2.0), |case, by| case.constraints.shortfall_penalty_per_cu_period *= by),
    ];
    let share = |name, low, high, set| Driver { name, unit: "a year", now: 0.0, low, high, set };
    drivers.push(share("price decline, on top", -0.1, 0.3, |case, by| {
        case.options.iter_mut().for_each(|offer| offer.price_decline_annual = (offer.price_decline_annual + by).min(0.99));
    }));
    drivers.push(share("discount rate, on top", -0.05, 0.1, |case, by| case.discount_rate_annual += by));
    drivers.push(Driver {
        name: "delay of every order",
        unit: "months",
        now: 0.0,
        low: 0.0,
        high: 6.0,
        set: |case, by| offers(case, Sort::Commit, |offer| offer.lead += by.round() as usize),
    });
    drivers
}

fn offers(case: &mut Case, sort: Sort, change: impl FnMut(&mut super::case::Offer)) {
    case.options.iter_mut().filter(|offer| offer.kind == sort).for_each(change);
}

/// Changes each path of demand, given its first value and one of its values.
fn demand(case: &mut Case, change: impl Fn(f64, f64) -> f64) {
    for path in case.demand.iter_mut().flat_map(|scenario| scenario.cu.values_mut()) {
        let first = path.first().copied().unwrap_or(0.0);
        path.iter_mut().filter(|cu| **cu > 0.0 && first > 0.0).for_each(|cu| *cu = change(first, *cu));
    }
}

/// Draws the scenarios together, or apart, around their mean.
fn spread(case: &mut Case, by: f64) {
    for class in case.classes.clone() {
        for period in 0..case.periods {
            let mean: f64 = case.demand.iter().map(|scenario| scenario.prob * scenario.cu[&class][period]).sum();
            for cu in case.demand.iter_mut().filter_map(|scenario| scenario.cu.get_mut(&class)) {
                cu[period] = (mean + by * (cu[period] - mean)).max(0.0);
            }
        }
    }
}

/// What a driver's value leads to.
struct Outcome {
    problem: Problem,
    cost: Option<Micros>,
    /// What is least; nothing where no plan is feasible.
    objective: Option<f64>,
    first: Vec<Line>,
}

/// Why a swing could not be found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Explained {
    #[error(transparent)]
    Wrong(#[from] Wrong),
    #[error(transparent)]
    Failure(#[from] Failure),
}

/// How the case answers to each driver; the widest swing first. `now` is the plan whose first orders are kept in view; `solved` is told after each of the hundred or so solutions, from
/// whatever thread made it; what is found hangs on none of them.
///
/// # Errors
/// When the case is ill-formed or the solver fails.
pub fn explain(
    case: &Case,
    now: &[Line],
    drivers: &[Driver],
    effort: Effort,
    solved: &(dyn Fn() + Sync),
) -> Result<Vec<Swing>, Explained> {
    let tried = Tried { case, effort: Effort { starts: 1, work: effort.work / SHARE, ..effort }, solved };
    let now: Vec<Line> = now.iter().filter(|line| line.order_period == 1).cloned().collect();
    let swing = |driver: &Driver| -> Result<Swing, Explained> {
        let (low, high) = (tried.at(driver, driver.low)?, tried.at(driver, driver.high)?);
        Ok(Swing {
            input: driver.name,
            unit: driver.unit,
            low: driver.low,
            high: driver.high,
            cost_at_low: low.cost,
            cost_at_high: high.cost,
            flips_below: tried.flip(driver, &now, driver.low)?,
            flips_above: tried.flip(driver, &now, driver.high)?,
        })
    };
    let mut swings = drivers.par_iter().map(swing).collect::<Result<Vec<Swing>, Explained>>()?;
    let width = |swing: &Swing| swing.cost_at_low.zip(swing.cost_at_high).map_or(i128::MAX, |(low, high)| (high.0 - low.0).abs());
    swings.sort_by_key(|swing| std::cmp::Reverse(width(swing)));
    Ok(swings)
}

struct Tried<'a> {
    case: &'a Case,
    effort: Effort,
    solved: &'a (dyn Fn() + Sync),
}

impl Tried<'_> {
    fn at(&self, driver: &Driver, value: f64) -> Result<Outcome, Explained> {
        let mut changed = self.case.clone();
        (driver.set)(&mut changed, value);
        self.problem(changed.problem()?)
    }

    fn problem(&self, problem: Problem) -> Result<Outcome, Explained> {
        let (evaluation, plan) = match self.solve(&problem)? {
            Some(Solved { plan, evaluation, .. }) => (Some(evaluation).filter(Evaluation::feasible), plan),
            None => (None, vec![0; problem.slots.len()]),
        };
        let mut first = lines(&problem, &plan);
        first.retain(|line| line.order_period == 1);
        let (cost, objective) = (evaluation.as_ref().map(Evaluation::total), evaluation.map(|found| found.objective));
        Ok(Outcome { problem, cost, objective, first })
    }

    fn solve(&self, problem: &Problem) -> Result<Option<Solved>, Explained> {
        let solved = solve(problem, self.effort);
        (self.solved)();
        match solved {
            Ok(solved) => Ok(Some(solved)),
            Err(Failure::Infeasible) => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Whether a value changes the first orders: those of now are provably dearer there than others, or impossible. That another
    /// plan was found says little where plans that cost the same differ in them.
    fn changes(&self, found: &Outcome, now: &[Line]) -> Result<bool, Explained> {
        let Some(objective) = found.objective.filter(|_| found.first != now) else { return Ok(found.first != now) };
        let Ok(kept) = plan_of(&found.problem, now) else { return Ok(true) };
        let kept = self.solve(&found.problem.keeping(&kept))?;
        Ok(kept.is_none_or(|kept| !kept.evaluation.feasible() || kept.bound > objective + SAME * objective.abs()))
    }

    /// The nearest value towards `end` that changes the first orders from `now`: looked through in steps, then halved.
    fn flip(&self, driver: &Driver, now: &[Line], end: f64) -> Result<Option<Flip>, Explained> {
        let mut same = driver.now;
        for step in 1..=STEPS {
            let value = driver.now + (end - driver.now) * step as f64 / STEPS as f64;
            if value == driver.now {
                return Ok(None);
            }
            let outcome = self.at(driver, value)?;
            if !self.changes(&outcome, now)? {
                same = value;
                continue;
            }
            let mut found = Flip { at: value, first_orders: outcome.first };
            for _ in 0..HALVINGS {
                let middle = f64::midpoint(same, found.at);
                let outcome = self.at(driver, middle)?;
                if self.changes(&outcome, now)? {
                    found = Flip { at: middle, first_orders: outcome.first };
                } else {
                    same = middle;
                }
            }
            return Ok(Some(found));
        }
        Ok(None)
    }
}
