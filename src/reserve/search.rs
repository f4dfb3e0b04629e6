//! Local search: orders added, dropped and exchanged, each change reckoned by the exact recourse of the periods it touches.

use super::{
    evaluator::Plan,
    problem::{Problem, ROUNDING, Side},
    recourse::Recourse,
};

/// A change must save this share of the cost to be worth it.
const WORTHWHILE: f64 = 1e-10;
/// Slots that exchanges look at.
const PARTNERS: usize = 320;
/// Changes that are reckoned at most, so that the work is bounded whatever the problem.
const CHANGES: usize = 6_000_000;

/// A plan and what it comes to by period, kept up as it changes.
pub struct Search<'a> {
    problem: &'a Problem,
    recourse: &'a dyn Recourse,
    pub plan: Plan,
    /// Committed capacity by epoch and group.
    capacity: Vec<Vec<f64>>,
    /// Recourse by epoch.
    costs: Vec<f64>,
    /// Left side of each limit, and each slot's part in it.
    sides: Vec<f64>,
    by_slot: Vec<Vec<(usize, f64)>>,
    /// What each limit speaks of.
    scales: Vec<f64>,
    pub cost: f64,
    /// Changes that may still be reckoned.
    left: usize,
}

/// A change: by how many orders each slot changes.
type Change = [(usize, i64)];

impl<'a> Search<'a> {
    /// Begins with a plan, which need not be feasible.
    #[must_use]
    pub fn from(problem: &'a Problem, recourse: &'a dyn Recourse, plan: Plan) -> Self {
        let mut by_slot = vec![Vec::new(); problem.slots.len()];
        for (side, limit) in problem.sides.iter().enumerate() {
            for &(slot, coefficient) in limit.coefficients.iter().filter(|(_, coefficient)| *coefficient != 0.0) {
                by_slot[slot].push((side, coefficient));
            }
        }
        let capacity = vec![vec![0.0; recourse.groups()]; recourse.epochs()];
        let costs = (0..recourse.epochs()).map(|epoch| recourse.cost(epoch, &capacity[epoch])).collect::<Vec<f64>>();
        let cost = costs.iter().sum();
        let sides = vec![0.0; problem.sides.len()];
        let empty = vec![0; plan.len()];
        let scale = |side: &Side| side.coefficients.iter().map(|(_, part)| part.abs()).fold(side.limit.abs(), f64::max);
        let scales = problem.sides.iter().map(scale).collect();
        let mut search = Self { problem, recourse, plan: empty, capacity, costs, sides, by_slot, scales, cost, left: CHANGES };
        for (slot, orders) in plan.into_iter().enumerate().filter(|(_, orders)| *orders > 0) {
            search.apply(&[(slot, i64::from(orders))]);
        }
        search
    }

    /// Whether slots stay within their bounds and no limit is broken further.
    fn allowed(&self, change: &Change) -> bool {
        let within = |&(slot, by): &(usize, i64)| {
            let orders = i64::from(self.plan[slot]) + by;
            (0..=i64::from(self.problem.slots[slot].most)).contains(&orders)
        };
        if !change.iter().all(within) {
            return false;
        }
        let touched = change.iter().flat_map(|&(slot, _)| self.by_slot[slot].iter().map(|(side, _)| *side));
        touched.into_iter().all(|side| {
            let part = |&(slot, by): &(usize, i64)| {
                let mine = self.by_slot[slot].iter().filter(|(of, _)| *of == side);
                mine.map(|(_, coefficient)| coefficient * by as f64).sum::<f64>()
            };
            let by: f64 = change.iter().map(part).sum();
            let limit = self.problem.sides[side].limit;
            by <= 0.0 || self.sides[side] + by <= limit + ROUNDING * (limit.abs() + self.sides[side].abs())
        })
    }

    /// What a change would add to the cost.
    fn effect(&self, change: &Change, scratch: &mut Vec<f64>) -> f64 {
        let slots = &self.problem.slots;
        let mut effect: f64 = change.iter().map(|&(slot, by)| slots[slot].cost * by as f64).sum();
        let window = |slot: usize| self.recourse.window(slot);
        let first = change.iter().map(|&(slot, _)| window(slot).0).min().unwrap_or(0);
        let end = change.iter().map(|&(slot, _)| window(slot).1).max().unwrap_or(0);
        for epoch in first..end {
            scratch.clone_from(&self.capacity[epoch]);
            let mut touched = false;
            for &(slot, by) in change.iter().filter(|(slot, _)| window(*slot).0 <= epoch && epoch < window(*slot).1) {
                let (group, amount) = self.recourse.adds(slot);
                scratch[group] += amount * by as f64;
                touched = true;
            }
            if touched {
                effect += self.recourse.cost(epoch, scratch) - self.costs[epoch];
            }
        }
        effect
    }

    fn apply(&mut self, change: &Change) {
        for &(slot, by) in change {
            self.cost += self.problem.slots[slot].cost * by as f64;
            self.plan[slot] = (i64::from(self.plan[slot]) + by) as u32;
            let (group, amount) = self.recourse.adds(slot);
            let (first, end) = self.recourse.window(slot);
            for epoch in first..end {
                self.capacity[epoch][group] += amount * by as f64;
                let cost = self.recourse.cost(epoch, &self.capacity[epoch]);
                self.cost += cost - self.costs[epoch];
                self.costs[epoch] = cost;
            }
            for &(side, coefficient) in &self.by_slot[slot] {
                self.sides[side] += coefficient * by as f64;
            }
        }
    }

    /// Makes the change if it is allowed and saves.
    fn attempt(&mut self, change: &Change, scratch: &mut Vec<f64>) -> bool {
        if self.left == 0 || !self.allowed(change) {
            return false;
        }
        self.left -= 1;
        let saves = self.effect(change, scratch) < -WORTHWHILE * self.cost.abs();
        if saves {
            self.apply(change);
        }
        saves
    }

    /// By how much limits are broken, each as a share of what it speaks of.
    fn broken(&self, change: Option<(usize, i64)>) -> f64 {
        let by = |side: usize| {
            let parts = change.iter().flat_map(|&(slot, by)| self.by_slot[slot].iter().map(move |part| (part, by)));
            parts.filter(|((of, _), _)| *of == side).map(|((_, coefficient), by)| coefficient * by as f64).sum::<f64>()
        };
        let over = |(side, limit): (usize, &Side)| {
            let scale = self.scales[side];
            let over = self.sides[side] + by(side) - limit.limit;
            if over > ROUNDING * scale { over / scale } else { 0.0 }
        };
        self.problem.sides.iter().enumerate().map(over).sum()
    }

    /// Adds and drops orders until no limit is broken, the cheapest step per what it mends first; where that cannot be, as far as
    /// it goes.
    pub fn repair(&mut self) {
        let mut scratch = Vec::new();
        let mut broken = self.broken(None);
        while broken > 0.0 && self.left > 0 {
            let mut best = (f64::INFINITY, None);
            for slot in 0..self.plan.len() {
                for by in [1, -1] {
                    let orders = i64::from(self.plan[slot]) + by;
                    if self.by_slot[slot].is_empty() || !(0..=i64::from(self.problem.slots[slot].most)).contains(&orders) {
                        continue;
                    }
                    let mends = broken - self.broken(Some((slot, by)));
                    if mends > 0.0 {
                        self.left = self.left.saturating_sub(1);
                        let price = self.effect(&[(slot, by)], &mut scratch) / mends;
                        if price < best.0 {
                            best = (price, Some((slot, by)));
                        }
                    }
                }
            }
            let Some(change) = best.1 else { return };
            self.apply(&[change]);
            broken = self.broken(None);
        }
    }

    /// Improves until no change saves. `reduced` orders the slots: those near zero are tried first.
    pub fn improve(&mut self, reduced: &[f64]) {
        let mut order: Vec<usize> = (0..self.plan.len()).collect();
        let share = |slot: usize| reduced.get(slot).map_or(0.0, |reduced| reduced / self.problem.slots[slot].cost.abs().max(1.0));
        order.sort_by(|&a, &b| share(a).total_cmp(&share(b)).then(a.cmp(&b)));
        let partners: Vec<usize> = order.iter().copied().take(PARTNERS).collect();
        loop {
            let singles = self.singles(&order);
            let exchanged = self.exchanges(&partners);
            if !singles && !exchanged {
                return;
            }
        }
    }

    /// One order more or less, the best slot at a time, until none saves.
    fn singles(&mut self, order: &[usize]) -> bool {
        let mut scratch = Vec::new();
        let mut improved = false;
        loop {
            let mut best = (-WORTHWHILE * self.cost.abs(), None);
            for &slot in order {
                for change in [(slot, 1), (slot, -1)] {
                    if self.left > 0 && self.allowed(&[change]) {
                        self.left -= 1;
                        let effect = self.effect(&[change], &mut scratch);
                        if effect < best.0 {
                            best = (effect, Some(change));
                        }
                    }
                }
            }
            let Some(change) = best.1 else { return improved };
            self.apply(&[change]);
            improved = true;
        }
    }

    /// Orders of one slot for orders of another, in the ratio of what they deliver.
    fn exchanges(&mut self, partners: &[usize]) -> bool {
        let mut scratch = Vec::new();
        let mut improved = false;
        let active: Vec<usize> = (0..self.plan.len()).filter(|&slot| self.plan[slot] > 0).collect();
        for &from in &active {
            for &to in partners.iter().chain(&active).filter(|to| **to != from) {
                let ratio = self.recourse.adds(from).1 / self.recourse.adds(to).1.max(f64::MIN_POSITIVE);
                let counts = if ratio >= 1.0 {
                    [(1, ratio.floor() as i64), (1, ratio.ceil() as i64)]
                } else {
                    [((1.0 / ratio).floor() as i64, 1), ((1.0 / ratio).ceil() as i64, 1)]
                };
                for (out, new) in if counts[0] == counts[1] { &counts[..1] } else { &counts[..] } {
                    improved |= self.attempt(&[(from, -out), (to, *new)], &mut scratch);
                }
            }
        }
        improved
    }
}
