//! What stands beside a plan: month by month, what it risks, what each term must earn, and what to do without a forecast.

use super::{
    after::{After, after},
    case::{Case, Sort},
    evaluator::{Evaluation, evaluate},
    lp::Failure,
    money::Micros,
    problem::{Problem, Scenario},
    serve::{best, period, stranded},
    solver::{Effort, Solved, solve},
    worth::{Fallback, Worth, fallback, worth},
};
use serde::Serialize;
use std::collections::BTreeMap;

/// Share of scenarios at either end that is told.
const TAIL: f64 = 0.05;

/// The figures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    pub cost: Spread,
    pub months: Vec<Month>,
    pub orders: Vec<Decision>,
    pub options: Vec<Worth>,
    /// Committed CU-months that no demand needs, on average, and their share of all that are committed; of several classes each
    /// unit counts what it delivers to the one that it serves best.
    pub stranded_cu_months: f64,
    pub stranded_share: Option<f64>,
    pub regret: Option<Regret>,
    /// What the plan for mean demand would cost, and by how much that is more: the value of the stochastic solution.
    pub mean_plan_cost: Option<Micros>,
    pub mean_plan_feasible: Option<bool>,
    pub vss: Option<Micros>,
    pub without_forecast: Vec<Fallback>,
    /// Of orders that outlive the horizon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_horizon: Option<After>,
}

/// How the discounted cost is spread over scenarios, and what it is made of.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spread {
    pub expected: Micros,
    pub p5: Micros,
    pub p50: Micros,
    pub p95: Micros,
    /// Mean of the worst 5 %.
    pub cvar95: Micros,
    pub committed: Micros,
    pub flexible: Micros,
    pub shortfall: Micros,
}

/// One month.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Month {
    /// From 1.
    pub period: usize,
    pub ordered: u32,
    pub active: f64,
    pub classes: BTreeMap<String, Cover>,
    /// Expected CU of flexible capacity, of the first class.
    pub flexible_cu: f64,
    /// Committed CU that no demand needs, on average.
    pub stranded_cu: f64,
    /// Discounted, by the month.
    pub expected_recourse: Micros,
}

/// What is committed in a month against what is asked for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cover {
    pub committed_cu: f64,
    pub demand_p50: f64,
    pub demand_p90: f64,
    pub demand_p95: f64,
    pub shortfall_probability: f64,
    pub expected_shortfall_cu: f64,
}

/// An order, and until when it can wait.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Decision {
    pub option: String,
    pub units: u32,
    pub order_period: usize,
    pub active_from: usize,
    /// The last month of its term, which may lie after the horizon.
    pub active_to: usize,
    /// First month in which the last unit saves anything, and the month by which it must be ordered for that.
    pub needed_from: Option<usize>,
    pub decide_by: Option<usize>,
    pub upfront: Micros,
    /// Fees that fall due after the horizon, undiscounted.
    pub owed_after_horizon: Micros,
}

/// By how much the plan is dearer than the best plan of a scenario, had it been known.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Regret {
    /// Equal to the expected value of perfect information.
    pub mean: Micros,
    pub p95: Micros,
    pub most: Micros,
    pub by_scenario: Vec<Micros>,
}

/// Reckons the figures. `known` is the cost of each scenario's own best plan, where it was sought.
///
/// # Errors
/// When the linear solver fails.
pub fn figures(case: &Case, problem: &Problem, solved: &Solved, known: Option<&[f64]>, effort: Effort) -> Result<Figures, Failure> {
    let evaluation = &solved.evaluation;
    let months: Vec<Month> = (0..problem.periods).map(|at| month(problem, solved, at)).collect();
    let committed: f64 = (0..problem.periods).map(|at| deliverable(problem, &solved.plan, at)).sum();
    let stranded: f64 = months.iter().map(|month| month.stranded_cu).sum();
    let mean = known.is_some().then(|| mean_plan(problem, effort)).transpose()?.flatten();
    Ok(Figures {
        cost: spread(problem, evaluation),
        months,
        orders: decisions(case, problem, solved),
        options: case.options.iter().map(|offer| worth(case, offer, problem.hours)).collect(),
        stranded_cu_months: stranded,
        stranded_share: (committed > 0.0).then(|| stranded / committed),
        regret: known.map(|known| regret(problem, evaluation, known)),
        mean_plan_cost: mean.as_ref().map(|(cost, _)| Micros::total(*cost)),
        mean_plan_feasible: mean.as_ref().map(|(_, feasible)| *feasible),
        vss: mean.as_ref().map(|(cost, _)| Micros::total(cost - evaluation.objective)),
        without_forecast: case.offers(Sort::Commit).filter_map(|offer| fallback(case, offer)).collect(),
        after_horizon: after(case, problem, solved, known.is_some(), effort)?,
    })
}

/// The value that scenarios of this probability stay at or below.
#[must_use]
pub fn quantile(problem: &Problem, share: f64, value: impl Fn(usize) -> f64) -> f64 {
    let mut values: Vec<(f64, f64)> =
        problem.scenarios.iter().enumerate().map(|(at, scenario)| (value(at), scenario.probability)).collect();
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut sum = 0.0;
    let reached = values.iter().find(|(_, probability)| {
        sum += probability;
        sum >= share - 1e-9
    });
    reached.or(values.last()).map_or(0.0, |(value, _)| *value)
}

/// How the cost of a plan is spread over scenarios.
#[must_use]
pub fn spread(problem: &Problem, evaluation: &Evaluation) -> Spread {
    let at = |share: f64| Micros::total(quantile(problem, share, |scenario| evaluation.by_scenario[scenario]));
    let missed = evaluation.by_period.iter().enumerate().map(|(period, reckoned)| {
        let short = reckoned.short.iter().zip(&problem.scenarios);
        problem.missing(period) * short.map(|(short, given)| given.probability * short.iter().sum::<f64>()).sum::<f64>()
    });
    let missed: f64 = missed.sum();
    Spread {
        expected: evaluation.total(),
        p5: at(TAIL),
        p50: at(0.5),
        p95: at(1.0 - TAIL),
        cvar95: Micros::total(evaluation.tail(problem, TAIL)),
        committed: Micros::total(evaluation.committed),
        flexible: Micros::total(evaluation.cost - evaluation.committed - missed),
        shortfall: Micros::total(missed),
    }
}

fn month(problem: &Problem, solved: &Solved, at: usize) -> Month {
    let reckoned = &solved.evaluation.by_period[at];
    let units: Vec<f64> = (0..problem.kinds.len()).map(|kind| problem.units(&solved.plan, kind, at)).collect();
    let mean =
        |value: &dyn Fn(usize) -> f64| problem.scenarios.iter().enumerate().map(|(s, given)| given.probability * value(s)).sum();
    let delivered = |class: usize, scenario: usize| -> f64 {
        units.iter().enumerate().map(|(kind, units)| units * problem.effective(kind, class, scenario)).sum()
    };
    let cover = |class: usize| {
        let demand = |share: f64| quantile(problem, share, |scenario| problem.scenarios[scenario].demand[class][at]);
        Cover {
            committed_cu: mean(&|scenario| delivered(class, scenario)),
            demand_p50: demand(0.5),
            demand_p90: demand(0.9),
            demand_p95: demand(0.95),
            shortfall_probability: reckoned.probability[class],
            expected_shortfall_cu: mean(&|scenario| reckoned.short[scenario][class]),
        }
    };
    let ordered = problem.slots.iter().zip(&solved.plan).filter(|(slot, _)| slot.period == at);
    let flexible = |scenario: usize| {
        let units = reckoned.flex[scenario].iter().zip(&problem.flexes);
        units.map(|(units, flex)| units * problem.effective(flex.kind, 0, scenario)).sum::<f64>()
    };
    let idle = |scenario: usize| stranded(problem, (at, scenario), &units, &reckoned.flex[scenario], &reckoned.short[scenario]);
    Month {
        period: at + 1,
        ordered: ordered.map(|(slot, orders)| orders * slot.step).sum(),
        active: units.iter().sum(),
        classes: problem.classes.iter().enumerate().map(|(class, name)| (name.clone(), cover(class))).collect(),
        // The sum of nothing is -0.
        flexible_cu: mean(&flexible) + 0.0,
        stranded_cu: mean(&idle),
        expected_recourse: Micros::total(reckoned.cost),
    }
}

/// What is committed in a month could deliver on average, each unit to the class that it serves best.
fn deliverable(problem: &Problem, plan: &[u32], at: usize) -> f64 {
    let of = |kind: usize, scenario: usize| problem.units(plan, kind, at) * best(problem, kind, scenario);
    let all = |scenario: usize| (0..problem.kinds.len()).map(|kind| of(kind, scenario)).sum::<f64>();
    problem.scenarios.iter().enumerate().map(|(scenario, given)| given.probability * all(scenario)).sum()
}

fn decisions(case: &Case, problem: &Problem, solved: &Solved) -> Vec<Decision> {
    let ordered = problem.slots.iter().zip(&solved.plan).filter(|(_, orders)| **orders > 0);
    let leads: Vec<usize> = case.offers(Sort::Commit).map(|offer| offer.lead).collect();
    let needed = |slot: &super::terms::Slot| {
        (slot.first..slot.end).find(|&at| {
            let mut units: Vec<f64> = (0..problem.kinds.len()).map(|kind| problem.units(&solved.plan, kind, at)).collect();
            units[slot.kind] -= f64::from(slot.step);
            let (now, without) = (&solved.evaluation.by_period[at], period(problem, at, &units));
            without.missed > now.missed || without.cost > now.cost + 1e-9 * now.cost.abs().max(1.0)
        })
    };
    ordered
        .map(|(slot, &orders)| {
            let needed = needed(slot);
            Decision {
                option: problem.options[slot.option].clone(),
                units: orders * slot.step,
                order_period: slot.period + 1,
                active_from: slot.first + 1,
                active_to: slot.last,
                needed_from: needed.map(|at| at + 1),
                decide_by: needed.map(|at| at + 1 - leads[slot.option]),
                upfront: Micros::total(slot.upfront * f64::from(orders)),
                owed_after_horizon: Micros::total(slot.owed * f64::from(orders)),
            }
        })
        .collect()
}

fn regret(problem: &Problem, evaluation: &Evaluation, known: &[f64]) -> Regret {
    let by_scenario: Vec<f64> = evaluation.by_scenario.iter().zip(known).map(|(cost, known)| cost - known).collect();
    let mean: f64 = by_scenario.iter().zip(&problem.scenarios).map(|(regret, given)| regret * given.probability).sum();
    Regret {
        mean: Micros::total(mean),
        p95: Micros::total(quantile(problem, 1.0 - TAIL, |scenario| by_scenario[scenario])),
        most: Micros::total(by_scenario.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
        by_scenario: by_scenario.into_iter().map(Micros::total).collect(),
    }
}

/// The plan for the mean of all scenarios, and what it comes to in all of them, the floor of service left out; and whether it
/// would keep that.
fn mean_plan(problem: &Problem, effort: Effort) -> Result<Option<(f64, bool)>, Failure> {
    let mean =
        |value: &dyn Fn(&Scenario) -> f64| problem.scenarios.iter().map(|given| given.probability * value(given)).sum::<f64>();
    let first = &problem.scenarios[0];
    let periods = 0..problem.periods;
    let paths = |of: &dyn Fn(&Scenario, usize, usize) -> f64, count: usize| -> Vec<Vec<f64>> {
        (0..count).map(|at| periods.clone().map(|period| mean(&|given| of(given, at, period))).collect()).collect()
    };
    let or_one =
        |paths: &[Vec<f64>], at: usize, period: usize| paths.get(at).and_then(|path| path.get(period)).copied().unwrap_or(1.0);
    let flexes = problem.flexes.len();
    let average = Scenario {
        probability: 1.0,
        weight: 1.0,
        demand: paths(&|given, class, period| given.demand[class][period], first.demand.len()),
        availability: paths(&|given, flex, period| or_one(&given.availability, flex, period), flexes),
        prices: paths(&|given, flex, period| or_one(&given.prices, flex, period), flexes),
        orders: Vec::new(),
        delivered: (0..problem.kinds.len()).map(|kind| mean(&|given| given.delivered.get(kind).copied().unwrap_or(1.0))).collect(),
    };
    let average = Scenario {
        delivered: if average.delivered.iter().all(|by| *by == 1.0) { Vec::new() } else { average.delivered },
        ..average
    };
    let certain = Problem { scenarios: vec![average], service: None, risk: None, ..problem.clone() };
    let plan = match solve(&certain, effort) {
        Ok(solved) => solved.plan,
        Err(Failure::Infeasible) => return Ok(None),
        Err(failure) => return Err(failure),
    };
    let cost = evaluate(&Problem { service: None, ..problem.clone() }, &plan).objective;
    Ok(Some((cost, evaluate(problem, &plan).feasible())))
}
