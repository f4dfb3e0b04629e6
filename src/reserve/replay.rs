//! A history of demand replayed month by month: what planning would have cost with what was known then, against simple rules.
//!
//! In each month the orders of that month alone are placed, from a plan over the months ahead whose scenarios a forecast draws from
//! the months before, at the prices that are quoted in it; then the month happens. Every strategy is reckoned by the same evaluator on what did happen.

use super::{
    case::{Case, Constraints, Demand, Offer, Sort},
    economics::spread,
    evaluator::{Plan, evaluate},
    foresight::Outlook,
    lp::Failure,
    money::Micros,
    outcome::{Line, lines},
    problem::Problem,
    solver::{Effort, solve},
    swings::Explained,
    terms::decline,
};
use serde::Serialize;
use std::collections::BTreeMap;

/// Work of each month's proof; there are many months.
const WORK: usize = 500_000;

/// From the demand so far, what so many months ahead may bring.
pub type Foresight<'a> = dyn Fn(&[f64], usize) -> Outlook + 'a;

/// How a replay went.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Replay {
    pub schema: &'static str,
    pub id: String,
    /// Months before the first decision, and months that are replayed.
    pub known_before: usize,
    pub months: usize,
    pub horizon: usize,
    /// In how many months each method made the forecast.
    pub forecasts: BTreeMap<&'static str, usize>,
    pub demand_cu: Vec<f64>,
    pub strategies: Vec<Strategy>,
}

/// What a strategy came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Strategy {
    pub name: &'static str,
    pub cost: Micros,
    /// In multiples of the best plan with all known.
    pub ratio: f64,
    pub committed: Micros,
    pub flexible: Micros,
    pub shortfall: Micros,
    pub short_months: usize,
    /// Share of committed CU-months that demand used; nothing where none were committed.
    pub used: Option<f64>,
    pub per_cu_hour: f64,
    pub orders: Vec<Line>,
    pub committed_cu: Vec<f64>,
}

/// The schema that a replay names.
pub const REPLAY: &str = "assay-sizing-backtest/1";

/// Replays `history` (CU of the first class by month) after the first `before` months, planning `horizon` months ahead each time.
/// Period 1 of the case, with its prices, is the first month that is replayed. `done` is told after each month.
///
/// # Errors
/// When the case is ill-formed, or the solver fails.
pub fn backtest(
    case: &Case,
    history: &[f64],
    (before, horizon): (usize, usize),
    foresight: &Foresight,
    done: &dyn Fn(),
) -> Result<Replay, Explained> {
    let months = history.len() - before;
    let happened = happened(case, &history[before..]).problem()?;
    let effort = Effort { work: WORK, ..Effort::default() };
    let (mut planned, mut forecasts) = (vec![0; happened.slots.len()], BTreeMap::new());
    for month in 0..months {
        let outlook = foresight(&history[..before + month], horizon);
        *forecasts.entry(outlook.method).or_default() += 1;
        let ahead = ahead(case, &happened, &planned, month, &outlook.paths)?;
        let solved = match solve(&ahead, effort) {
            Ok(solved) => Some(solved),
            Err(Failure::Infeasible) => None,
            Err(failure) => return Err(failure.into()),
        };
        for line in solved.iter().flat_map(|solved| lines(&ahead, &solved.plan)).filter(|line| line.order_period == 1) {
            order(&happened, &mut planned, &line.option, month, line.units);
        }
        done();
    }
    let hindsight = solve(&happened, effort)?;
    let least = hindsight.evaluation.cost;
    let all = [
        ("planned", planned),
        ("flexible only", vec![0; happened.slots.len()]),
        ("all in", all_in(case, &happened, history, before)),
        ("by rule", by_rule(case, &happened, history, before)),
        ("all known", hindsight.plan),
    ];
    let strategies = all.into_iter().map(|(name, plan)| strategy(name, &happened, &plan, least)).collect();
    let demand_cu = history[before..].to_vec();
    Ok(Replay { schema: REPLAY, id: case.id.clone(), known_before: before, months, horizon, forecasts, demand_cu, strategies })
}

/// The case with what happened as its only scenario, and limits that speak of one plan for many left out.
fn happened(case: &Case, demand: &[f64]) -> Case {
    let mut happened = case.clone();
    happened.periods = demand.len();
    happened.classes.truncate(1);
    happened.types.iter_mut().for_each(|kind| kind.cu.retain(|class, _| *class == case.classes[0]));
    let cu = BTreeMap::from([(case.classes[0].clone(), demand.to_vec())]);
    happened.demand = vec![Demand { prob: 1.0, cu, ..Demand::default() }];
    happened.constraints = Constraints {
        shortfall_penalty_per_cu_period: case.constraints.shortfall_penalty_per_cu_period,
        upfront_budget: case.constraints.upfront_budget,
        ..Constraints::default()
    };
    for kind in &mut happened.types {
        stretch(&mut kind.owned, 0, demand.len(), 0.0);
    }
    for offer in &mut happened.options {
        windows(offer, 0, demand.len());
    }
    happened
}

/// A path from a month on, for so many months; past its end its last value stands, or `after`.
fn stretch(path: &mut Vec<f64>, from: usize, months: usize, after: f64) {
    if path.len() > 1 {
        *path = (from..from + months).map(|at| path.get(at).copied().unwrap_or(after)).collect();
    }
}

/// The offer as it stands `from` months later, for a case of so many months.
fn windows(offer: &mut Offer, from: usize, months: usize) {
    let times = decline(offer.price_decline_annual, from);
    offer.upfront *= times;
    offer.per_period *= times;
    if let Some(path) = &mut offer.price_path {
        let last = path.last().copied().unwrap_or(1.0);
        *path = (from..from + months).map(|at| path.get(at).copied().unwrap_or(last)).collect();
    }
    offer.available_from = offer.available_from.map(|period| period.saturating_sub(from).max(1));
    if let Some(periods) = &mut offer.order_periods {
        periods.retain_mut(|period| {
            let later = *period > from && *period - from <= months;
            *period = period.saturating_sub(from);
            later
        });
    }
    // Over all months of the replay, which a month ahead does not see.
    offer.min_total = None;
    offer.max_total = None;
}

/// The offer at the quotes of its first month throughout: nobody knows then what will be quoted later.
fn freeze(offer: &mut Offer) {
    let times = offer.price_path.take().and_then(|path| path.first().copied()).unwrap_or(1.0);
    offer.upfront *= times;
    offer.per_period *= times;
    offer.price_decline_annual = 0.0;
}

/// What is to be decided in a month: the months ahead as they are forecast, with what is ordered already.
fn ahead(case: &Case, happened: &Problem, planned: &Plan, month: usize, paths: &[(f64, Vec<f64>)]) -> Result<Problem, Explained> {
    let months = paths.first().map_or(0, |(_, path)| path.len());
    let mut ahead = case.clone();
    ahead.periods = months;
    ahead.classes.truncate(1);
    let class = case.classes[0].clone();
    ahead.demand = paths
        .iter()
        .map(|(prob, path)| Demand { prob: *prob, cu: BTreeMap::from([(class.clone(), path.clone())]), ..Demand::default() })
        .collect();
    let orders = || happened.slots.iter().zip(planned).filter(|(_, orders)| **orders > 0);
    let spent: f64 = orders().map(|(slot, orders)| slot.upfront * f64::from(*orders)).sum();
    ahead.constraints = Constraints {
        min_service_probability: case.constraints.min_service_probability,
        upfront_budget: case.constraints.upfront_budget.map(|budget| (budget - spent).max(0.0)),
        shortfall_penalty_per_cu_period: case.constraints.shortfall_penalty_per_cu_period,
        cvar_weight: case.constraints.cvar_weight,
        cvar_tail: case.constraints.cvar_tail,
        ..Constraints::default()
    };
    let commits: Vec<Offer> = case.offers(Sort::Commit).cloned().collect();
    for (at, kind) in ahead.types.iter_mut().enumerate() {
        kind.cu.retain(|of, _| *of == class);
        let mut owned: Vec<f64> = match kind.owned.as_slice() {
            [] => vec![0.0; months],
            [all] => vec![*all; months],
            path => (month..month + months).map(|at| path.get(at).copied().unwrap_or(0.0)).collect(),
        };
        for (slot, orders) in orders().filter(|(slot, _)| slot.kind == at) {
            let end = slot.first + commits[slot.option].term.unwrap_or(0);
            for covered in slot.first.max(month)..end.min(month + months) {
                owned[covered - month] += f64::from(orders * slot.step);
            }
        }
        kind.owned = owned;
    }
    ahead.options.iter_mut().for_each(|offer| {
        windows(offer, month, months);
        freeze(offer);
    });
    // Options that can no longer be ordered only cost time.
    ahead.options.retain(|offer| offer.order_periods.as_ref().is_none_or(|periods| !periods.is_empty()));
    Ok(ahead.problem()?)
}

/// Adds units of an option to a plan, as many as are allowed in the month and the limits leave.
fn order(problem: &Problem, plan: &mut Plan, option: &str, month: usize, units: u32) {
    let place = problem.slots.iter().position(|slot| problem.options[slot.option] == option && slot.period == month);
    if let Some(at) = place {
        let slot = &problem.slots[at];
        let room = problem.sides.iter().filter_map(|side| side.room(plan, at)).fold(slot.most - plan[at], u32::min);
        plan[at] += units.div_ceil(slot.step).min(room);
    }
}

fn committed(problem: &Problem, plan: &Plan, month: usize) -> f64 {
    let kinds = problem.kinds.iter().enumerate();
    kinds.map(|(kind, of)| problem.units(plan, kind, month) * of.effective[0]).sum()
}

/// Of the options that can be ordered in a month, the one whose firm CU costs least a month, with the CU of a unit: what those
/// choose who ask no further.
fn cheapest<'a>(case: &'a Case, problem: &Problem, month: usize) -> Option<(&'a Offer, f64)> {
    let ordered = |option: usize| problem.slots.iter().any(|slot| slot.option == option && slot.period == month);
    let priced = case.offers(Sort::Commit).enumerate().filter(|(option, _)| ordered(*option)).filter_map(|(_, offer)| {
        let kind = problem.kinds.iter().find(|kind| kind.id == offer.of)?;
        let (term, cu) = (offer.term? as f64, kind.effective[0]);
        (cu > 0.0).then(|| (offer, cu, (offer.per_period + (offer.upfront - offer.salvage) / term) / cu))
    });
    priced.min_by(|a, b| a.2.total_cmp(&b.2)).map(|(offer, cu, _)| (offer, cu))
}

/// Whatever demand was last month is committed to at once.
fn all_in(case: &Case, problem: &Problem, history: &[f64], before: usize) -> Plan {
    let mut plan = vec![0; problem.slots.len()];
    for month in 0..problem.periods {
        let Some((offer, cu)) = cheapest(case, problem, month) else { continue };
        let from = month + offer.lead;
        let seen = history[..before + month].last().copied().unwrap_or(0.0);
        if from < problem.periods {
            let missing = (seen - committed(problem, &plan, from)).max(0.0);
            order(problem, &mut plan, &offer.id, month, (missing / cu).ceil() as u32);
        }
    }
    plan
}

/// The deterministic rule (Wang, Li and Liang, arXiv 1305.5608): a unit more is ordered in the month with which flexible use of it
/// would have cost, in the last months of a term, what ordering it would have. As there, it sees the month's demand before it orders,
/// so that what it orders serves that month: else it could have paid flexible use and the order for one month more than the bound
/// allows.
fn by_rule(case: &Case, problem: &Problem, history: &[f64], before: usize) -> Plan {
    let mut plan = vec![0; problem.slots.len()];
    let dearest = |flex: &&Offer| problem.kinds.iter().find(|kind| kind.id == flex.of).map_or(0.0, |kind| kind.effective[0]);
    let instead = case.offers(Sort::Flex).filter(|flex| dearest(flex) > 0.0).map(|flex| flex.per_period / dearest(&flex));
    let price = instead.fold(f64::INFINITY, f64::min);
    let longest = case.offers(Sort::Commit).map(|offer| offer.term.unwrap_or(1) + offer.lead).max().unwrap_or(0);
    // Cover by month of the history, as if each unit had been there for the term before it was ordered.
    let mut cover = vec![0.0; history.len() + longest + 1];
    for (at, cover) in cover.iter_mut().enumerate() {
        // What is owned was there before, too.
        *cover = committed(problem, &plan, at.saturating_sub(before).min(problem.periods - 1));
    }
    for month in 0..problem.periods {
        let now = before + month;
        let Some((offer, cu)) = cheapest(case, problem, month) else { continue };
        let term = offer.term.unwrap_or(1);
        let fee = offer.per_period * term as f64 + offer.upfront - offer.salvage;
        let enough = (fee / (price * cu)).ceil() as usize;
        loop {
            let window = (now + 1).saturating_sub(term)..now + 1;
            let used = window.clone().filter(|&at| history[at] - cover[at] >= cu).count();
            if used < enough.max(1) || month + offer.lead >= problem.periods {
                break;
            }
            let placed: u32 = plan.iter().sum();
            order(problem, &mut plan, &offer.id, month, 1);
            if plan.iter().sum::<u32>() == placed {
                break;
            }
            let until = (now + offer.lead + term).min(cover.len());
            cover[window.start..until].iter_mut().for_each(|cover| *cover += cu);
        }
    }
    plan
}

fn strategy(name: &'static str, problem: &Problem, plan: &Plan, least: f64) -> Strategy {
    let evaluation = evaluate(problem, plan);
    let spread = spread(problem, &evaluation);
    let cover: Vec<f64> = (0..problem.periods).map(|month| committed(problem, plan, month)).collect();
    let demand = &problem.scenarios[0].demand[0];
    let all: f64 = cover.iter().sum();
    let used: f64 = cover.iter().zip(demand).map(|(cover, demand)| cover.min(*demand)).sum();
    let served: f64 = demand.iter().sum();
    Strategy {
        name,
        cost: spread.expected,
        ratio: if least > 0.0 { evaluation.cost / least } else { 1.0 },
        committed: spread.committed,
        flexible: spread.flexible,
        shortfall: spread.shortfall,
        short_months: evaluation.by_period.iter().filter(|period| period.probability[0] > 0.0).count(),
        used: (all > 0.0).then(|| used / all),
        per_cu_hour: if served > 0.0 { evaluation.cost / served / problem.hours } else { 0.0 },
        orders: lines(problem, plan),
        committed_cu: cover,
    }
}
