//! One class: the whole recourse of a period as a convex function of one number, the CU that are committed.
//!
//! Whatever the mix of machines, flexible use follows the merit order on what demand is left; so the expected cost falls with
//! committed CU at a rate that is a falling staircase. The floor of service becomes a least level, held by a steep first step.

use super::{
    problem::{Problem, ROUNDING, SHORT},
    recourse::Recourse,
    serve::merit,
};

/// The step that holds the floor of service, in multiples of what a CU costs at most.
const STEEP: f64 = 1e3;

/// One epoch: cost by committed CU.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Level {
    /// CU at which the rate changes, from zero up.
    pub points: Vec<f64>,
    /// Cost at each point.
    pub costs: Vec<f64>,
    /// What a CU more saves between a point and the next; zero after the last.
    pub rates: Vec<f64>,
}

impl Level {
    /// Staircase from pieces: between `low` and `high` a CU more saves `rate`.
    fn of(pieces: &[(f64, f64, f64)]) -> Self {
        let mut steps: Vec<(f64, f64)> = Vec::with_capacity(pieces.len() * 2);
        for &(low, high, rate) in pieces {
            let low = low.max(0.0);
            if high > low && rate > 0.0 {
                steps.extend([(low, rate), (high, -rate)]);
            }
        }
        steps.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
        let mut level = Self { points: vec![0.0], costs: Vec::new(), rates: vec![0.0] };
        for (at, change) in steps {
            let last = level.points.len() - 1;
            if at > level.points[last] {
                level.points.push(at);
                level.rates.push(level.rates[last]);
            }
            let last = level.points.len() - 1;
            level.rates[last] += change;
        }
        level.settle();
        level
    }

    /// Reckons the costs from the rates, and clears what rounding left of the last rate.
    fn settle(&mut self) {
        let last = self.points.len() - 1;
        self.rates[last] = 0.0;
        self.costs = vec![0.0; last + 1];
        for point in (0..last).rev() {
            self.rates[point] = self.rates[point].max(self.rates[point + 1]);
            self.costs[point] = self.costs[point + 1] + self.rates[point] * (self.points[point + 1] - self.points[point]);
        }
    }

    /// Expected cost with this many CU committed.
    #[must_use]
    pub fn cost(&self, capacity: f64) -> f64 {
        let after = self.points.partition_point(|point| *point <= capacity);
        if after == self.points.len() {
            return 0.0;
        }
        let point = after.max(1);
        self.costs[point] + self.rates[point - 1] * (self.points[point] - capacity)
    }

    /// The least of cost plus `worth` for every committed CU, over all levels: what the dual of this epoch gives.
    #[must_use]
    pub fn least(&self, worth: f64) -> f64 {
        let point = self.rates.partition_point(|rate| *rate > worth);
        self.costs[point] + worth * self.points[point]
    }

    /// The same staircase with few steps, its costs never below: an easier programme, whose answer is held to the whole.
    #[must_use]
    pub fn thinned(&self, most: usize) -> Self {
        let count = self.points.len();
        if count <= most {
            return self.clone();
        }
        // Steps whose rates are spread evenly tell most; the first and the last stay.
        let (low, high) = (self.rates[count - 2], self.rates[1]);
        let mut kept = vec![0];
        let mut next = 0;
        for point in 1..count {
            let share = if high > low { (high - self.rates[point]) / (high - low) } else { 1.0 };
            if point == 1 || point == count - 1 || share * (most as f64 - 3.0) >= f64::from(next) {
                kept.push(point);
                next = (share * (most as f64 - 3.0)) as i32 + 1;
            }
        }
        let points: Vec<f64> = kept.iter().map(|&point| self.points[point]).collect();
        let costs: Vec<f64> = kept.iter().map(|&point| self.costs[point]).collect();
        let slope = |at: usize| (costs[at] - costs[at + 1]) / (points[at + 1] - points[at]);
        let rates = (0..points.len()).map(|at| if at + 1 < points.len() { slope(at) } else { 0.0 }).collect();
        Self { points, costs, rates }
    }
}

/// All periods. Those between which no order begins or ends are one epoch: whatever is ordered, they have the same CU.
#[derive(Clone, Debug, PartialEq)]
pub struct Levels {
    pub epochs: Vec<Level>,
    /// Epochs that an order covers, from the first to before the second, by slot.
    pub windows: Vec<(usize, usize)>,
    /// CU of one order, by slot.
    pub weights: Vec<f64>,
}

impl Levels {
    /// Whether the problem collapses to levels: one class, and no flexible capacity that is dearer than the penalty while a floor
    /// asks to use it.
    #[must_use]
    pub fn fit(problem: &Problem) -> bool {
        let dear = || {
            (0..problem.periods).any(|period| {
                let scenarios = 0..problem.scenarios.len();
                let missing = problem.missing(period);
                scenarios.flat_map(|scenario| merit(problem, period, scenario)).any(|(_, price)| price > missing)
            })
        };
        let uncertain = problem.scenarios.iter().any(|scenario| !scenario.delivered.is_empty());
        problem.classes.len() == 1 && !uncertain && (problem.service.is_none() || !dear())
    }

    #[must_use]
    pub fn of(problem: &Problem) -> Self {
        let starts = problem.epochs();
        let epoch = |span: &[usize]| {
            let pieces = (span[0]..span[1]).flat_map(|period| pieces(problem, period, floor(problem, period)));
            Level::of(&pieces.collect::<Vec<_>>())
        };
        let weight = |slot: usize| problem.kind(slot).effective[0] * f64::from(problem.slots[slot].step);
        Self {
            epochs: starts.windows(2).map(epoch).collect(),
            windows: problem.windows(&starts),
            weights: (0..problem.slots.len()).map(weight).collect(),
        }
    }

    /// The same with few steps an epoch.
    #[must_use]
    pub fn thinned(&self, most: usize) -> Self {
        Self { epochs: self.epochs.iter().map(|level| level.thinned(most)).collect(), ..self.clone() }
    }
}

impl Recourse for Levels {
    fn groups(&self) -> usize {
        1
    }

    fn epochs(&self) -> usize {
        self.epochs.len()
    }

    fn window(&self, slot: usize) -> (usize, usize) {
        self.windows[slot]
    }

    fn adds(&self, slot: usize) -> (usize, f64) {
        (0, self.weights[slot])
    }

    fn cost(&self, epoch: usize, capacity: &[f64]) -> f64 {
        self.epochs[epoch].cost(capacity[0])
    }
}

fn owned(problem: &Problem, period: usize) -> f64 {
    problem.kinds.iter().map(|kind| kind.owned[period] * kind.effective[0]).sum()
}

/// What a CU more saves in a period, in pieces.
fn pieces(problem: &Problem, period: usize, floor: f64) -> Vec<(f64, f64, f64)> {
    let missing = problem.missing(period);
    let mut pieces = Vec::new();
    for (scenario, given) in problem.scenarios.iter().enumerate() {
        let mut high = given.demand[0][period] - owned(problem, period);
        for (flex, price) in merit(problem, period, scenario) {
            if price >= missing || high <= 0.0 {
                break;
            }
            let most = problem.most(flex, period, scenario) * problem.kinds[problem.flexes[flex].kind].effective[0];
            pieces.push((high - most, high, given.weight * price));
            high -= most;
        }
        pieces.push((0.0, high, given.weight * missing));
    }
    pieces.push((0.0, floor, STEEP * steepness(problem)));
    pieces
}

/// What a CU costs at most in a period: left unserved, or ordered for that period alone.
fn steepness(problem: &Problem) -> f64 {
    let orders = problem.slots.iter().map(|slot| (slot, problem.kinds[slot.kind].effective[0] * f64::from(slot.step)));
    orders
        .filter(|(_, effective)| *effective > 0.0)
        .map(|(slot, effective)| slot.cost / effective)
        .fold(problem.penalty.max(1.0), f64::max)
}

/// The least committed CU with which scenarios of enough probability are served.
pub fn floor(problem: &Problem, period: usize) -> f64 {
    let Some(service) = problem.service else { return 0.0 };
    let need = |scenario: usize| {
        let flexible: f64 = (0..problem.flexes.len())
            .map(|flex| (problem.most(flex, period, scenario), problem.kinds[problem.flexes[flex].kind].effective[0]))
            .map(|(most, effective)| if effective > 0.0 { most * effective } else { 0.0 })
            .sum();
        problem.scenarios[scenario].demand[0][period] - owned(problem, period) - flexible - SHORT
    };
    let mut needs: Vec<(f64, f64)> =
        (0..problem.scenarios.len()).map(|scenario| (need(scenario), problem.scenarios[scenario].probability)).collect();
    needs.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut left = 1.0 - service + ROUNDING;
    for (need, probability) in needs {
        left -= probability;
        if left < 0.0 {
            return need.max(0.0);
        }
    }
    0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_staircase_costs_what_its_pieces_do() {
        // Demand 10 (half) or 20 (half) at a price of 2 a CU.
        let level = Level::of(&[(0.0, 10.0, 1.0), (0.0, 20.0, 1.0)]);
        assert_eq!((level.cost(0.0), level.cost(10.0), level.cost(15.0), level.cost(30.0)), (30.0, 10.0, 5.0, 0.0));
        assert_eq!((level.least(0.5), level.least(1.5), level.least(3.0)), (10.0, 25.0, 30.0));
    }

    #[test]
    fn a_thinned_staircase_keeps_its_ends() {
        let pieces: Vec<_> = (1..200).map(|n| (0.0, f64::from(n) * 1.5, 0.01)).collect();
        let whole = Level::of(&pieces);
        let thin = whole.thinned(20);
        assert!(thin.points.len() <= 22 && thin.points.len() > 10, "{}", thin.points.len());
        assert_eq!((thin.cost(0.0), thin.cost(1e3)), (whole.cost(0.0), 0.0));
        assert!(thin.rates.windows(2).all(|pair| pair[0] >= pair[1]), "still convex");
    }
}
