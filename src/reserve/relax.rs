//! One class, whole units forgotten: a bound that no plan can beat, and where a good plan is to be sought.
//!
//! Two programmes look at it from both sides. The dual asks what a CU is worth in each period; whatever the answer, weak duality
//! makes it a bound, reckoned anew here from the worths alone, so that no fault of the solver can make it too high. The primal
//! gives fractional orders. Their difference is the duality gap, and is told.

use super::{
    exact::Relaxation,
    levels::Levels,
    lp::{Failure, Programme},
    problem::Problem,
};

/// Steps an epoch in the programmes of large problems; the bound itself is reckoned with all of them.
const STEPS: usize = 48;
/// Slots that a programme begins with, and that join in a round.
const FIRST: usize = 400;
const JOINING: usize = 250;
const ROUNDS: usize = 40;
/// A slot whose reduced cost is this share of its cost below zero joins.
const CHEAP: f64 = 1e-9;

/// What the relaxation tells.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Relaxed {
    /// No plan costs less.
    pub bound: f64,
    /// Cost of the fractional orders; above `bound` by the duality gap.
    pub primal: f64,
    /// Fractional orders, by slot.
    pub orders: Vec<f64>,
    /// What an order costs more than it is worth at the margin, by slot; near zero where a plan is to be sought.
    pub reduced: Vec<f64>,
}

/// What a committed CU is worth in each epoch, and a unit of slack of each limit.
#[derive(Clone, Debug, PartialEq)]
struct Worth {
    epochs: Vec<f64>,
    sides: Vec<f64>,
}

/// Solves the relaxation.
///
/// # Errors
/// When the linear solver fails, or the limits leave no plan at all.
pub fn relax(problem: &Problem, levels: &Levels) -> Result<Relaxed, Failure> {
    let thin = if problem.slots.len() > FIRST { levels.thinned(STEPS) } else { levels.clone() };
    let mut working = first_slots(problem);
    let mut best: Option<(f64, Vec<f64>)> = None;
    for _ in 0..ROUNDS {
        let worth = dual(problem, &thin, &working)?;
        let (bound, reduced) = reckon(problem, levels, &worth);
        let joining = joining(problem, &working, &reduced);
        if best.as_ref().is_none_or(|(so_far, _)| bound > *so_far) {
            best = Some((bound, reduced));
        }
        if joining.is_empty() {
            break;
        }
        working.extend(joining);
        working.sort_unstable();
    }
    let (bound, reduced) = best.unwrap_or_default();
    let bounds: Vec<(f64, f64)> = problem.slots.iter().map(|slot| (0.0, f64::from(slot.most))).collect();
    let (primal, orders) = Fractional::of(problem, &thin, &working).within(&bounds)?;
    Ok(Relaxed { bound, primal, orders, reduced })
}

/// Few slots spread over all: enough that every option is seen.
fn first_slots(problem: &Problem) -> Vec<usize> {
    let all = problem.slots.len();
    if all <= FIRST {
        return (0..all).collect();
    }
    let stride = all.div_ceil(FIRST);
    // Without those that must be ordered the programme would have no answer.
    let least = problem.sides.iter().filter(|side| side.limit < 0.0).flat_map(|side| &side.coefficients);
    let asked: std::collections::BTreeSet<usize> = least.filter(|(_, part)| *part < 0.0).map(|(slot, _)| *slot).collect();
    (0..all).filter(|slot| slot % stride == 0 || problem.slots[*slot].period == 0 || asked.contains(slot)).collect()
}

/// Slots that would enter at a profit and are not in the programme yet, the most profitable first.
fn joining(problem: &Problem, working: &[usize], reduced: &[f64]) -> Vec<usize> {
    let outside = |slot: &usize| working.binary_search(slot).is_err();
    let share = |slot: usize| reduced[slot] / problem.slots[slot].cost.abs().max(1.0);
    let mut joining: Vec<usize> = (0..problem.slots.len()).filter(outside).filter(|&slot| share(slot) < -CHEAP).collect();
    joining.sort_by(|&a, &b| share(a).total_cmp(&share(b)).then(a.cmp(&b)));
    joining.truncate(JOINING);
    joining
}

/// The worths that bound best, with the slots of `working` alone.
fn dual(problem: &Problem, levels: &Levels, working: &[usize]) -> Result<Worth, Failure> {
    let mut programme = Programme::default();
    // Sums of worths up to an epoch, so that a slot's row is three terms long, whatever it covers.
    let sums: Vec<usize> = levels.epochs.iter().map(|_| programme.variable(0.0, 0.0, f64::INFINITY)).collect();
    for (epoch, level) in levels.epochs.iter().enumerate() {
        let mut link = vec![(sums[epoch], 1.0)];
        link.extend(epoch.checked_sub(1).map(|before| (sums[before], -1.0)));
        for point in (1..level.points.len()).rev() {
            let step = level.rates[point - 1] - level.rates[point];
            if step > 0.0 {
                link.push((programme.variable(-level.points[point], 0.0, step), -1.0));
            }
        }
        // Past the first rate a worth gains nothing.
        programme.equal(link, 0.0);
    }
    let sides: Vec<usize> = problem.sides.iter().map(|side| programme.variable(side.limit, 0.0, f64::INFINITY)).collect();
    let by_slot = by_slot(problem);
    for &slot in working {
        let terms = &problem.slots[slot];
        let weight = levels.weights[slot];
        let over = programme.variable(f64::from(terms.most), 0.0, f64::INFINITY);
        let (first, end) = levels.windows[slot];
        let mut row = vec![(sums[end - 1], weight), (over, -1.0)];
        row.extend(first.checked_sub(1).map(|before| (sums[before], -weight)));
        row.extend(by_slot[slot].iter().map(|&(side, coefficient)| (sides[side], -coefficient)));
        programme.at_most(row, terms.cost);
    }
    let answer = programme.minimise().map_err(|failure| match failure {
        // A dual without end is a primal without a point.
        Failure::Unbounded => Failure::Infeasible,
        other => other,
    })?;
    let sum = |epoch: usize| answer.values[sums[epoch]];
    let epochs = (0..levels.epochs.len()).map(|epoch| sum(epoch) - if epoch > 0 { sum(epoch - 1) } else { 0.0 });
    Ok(Worth {
        epochs: epochs.map(|worth| worth.max(0.0)).collect(),
        sides: sides.iter().map(|&side| answer.values[side]).collect(),
    })
}

/// Coefficients of the limits, by slot.
fn by_slot(problem: &Problem) -> Vec<Vec<(usize, f64)>> {
    let mut by_slot = vec![Vec::new(); problem.slots.len()];
    for (side, limit) in problem.sides.iter().enumerate() {
        for &(slot, coefficient) in limit.coefficients.iter().filter(|(_, coefficient)| *coefficient != 0.0) {
            by_slot[slot].push((side, coefficient));
        }
    }
    by_slot
}

/// The bound that these worths prove, whoever found them, and the reduced cost of each slot.
fn reckon(problem: &Problem, levels: &Levels, worth: &Worth) -> (f64, Vec<f64>) {
    let mut sums = vec![0.0];
    for (epoch, worth) in worth.epochs.iter().enumerate() {
        sums.push(sums[epoch] + worth);
    }
    let mut reduced: Vec<f64> = problem
        .slots
        .iter()
        .zip(levels.weights.iter().zip(&levels.windows))
        .map(|(slot, (weight, (first, end)))| slot.cost - weight * (sums[*end] - sums[*first]))
        .collect();
    let mut bound: f64 = levels.epochs.iter().zip(&worth.epochs).map(|(level, worth)| level.least(*worth)).sum();
    for (side, multiplier) in problem.sides.iter().zip(&worth.sides) {
        let multiplier = multiplier.max(0.0);
        bound -= multiplier * side.limit;
        for &(slot, coefficient) in &side.coefficients {
            reduced[slot] += multiplier * coefficient;
        }
    }
    bound += problem.slots.iter().zip(&reduced).map(|(slot, reduced)| f64::from(slot.most) * reduced.min(0.0)).sum::<f64>();
    (bound, reduced)
}

/// The programme of fractional orders: of `slots` alone, the others are not ordered.
pub struct Fractional<'a> {
    problem: &'a Problem,
    levels: &'a Levels,
    slots: &'a [usize],
    spent: usize,
}

impl<'a> Fractional<'a> {
    #[must_use]
    pub fn of(problem: &'a Problem, levels: &'a Levels, slots: &'a [usize]) -> Self {
        Self { problem, levels, slots, spent: 0 }
    }
}

impl Relaxation for Fractional<'_> {
    fn within(&mut self, bounds: &[(f64, f64)]) -> Result<(f64, Vec<f64>), Failure> {
        let (programme, names) = programme(self.problem, self.levels, self.slots, bounds);
        self.spent += programme.work();
        let answer = programme.minimise()?;
        let orders = names.iter().map(|name| name.map_or(0.0, |name| answer.values[name])).collect();
        Ok((answer.objective, orders))
    }

    fn spent(&self) -> usize {
        self.spent
    }
}

/// The cheapest fractional orders of `working` within bounds (of all slots), and the name of each slot's orders.
fn programme(problem: &Problem, levels: &Levels, working: &[usize], bounds: &[(f64, f64)]) -> (Programme, Vec<Option<usize>>) {
    let mut programme = Programme::default();
    let mut names = vec![None; problem.slots.len()];
    let mut changes: Vec<Vec<(usize, f64)>> = vec![Vec::new(); levels.epochs.len() + 1];
    for &slot in working {
        let (low, high) = bounds[slot];
        let name = programme.variable(problem.slots[slot].cost, low, high);
        names[slot] = Some(name);
        let (first, end) = levels.windows[slot];
        changes[first].push((name, -levels.weights[slot]));
        changes[end].push((name, levels.weights[slot]));
    }
    let mut before = None;
    for (epoch, level) in levels.epochs.iter().enumerate() {
        let capacity = programme.variable(0.0, 0.0, f64::INFINITY);
        let mut row = std::mem::take(&mut changes[epoch]);
        row.push((capacity, 1.0));
        row.extend(before.map(|before| (before, -1.0)));
        programme.equal(row, 0.0);
        before = Some(capacity);
        let mut cover = vec![(capacity, -1.0)];
        let last = level.points.len() - 1;
        for point in 0..last {
            let width = level.points[point + 1] - level.points[point];
            cover.push((programme.variable(level.rates[point], 0.0, width), -1.0));
        }
        programme.at_most(cover, -level.points[last]);
    }
    for side in &problem.sides {
        let known = side.coefficients.iter().filter_map(|&(slot, coefficient)| names[slot].map(|name| (name, coefficient)));
        programme.at_most(known.collect(), side.limit);
    }
    (programme, names)
}
