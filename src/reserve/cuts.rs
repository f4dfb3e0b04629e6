//! Several classes, whole units forgotten: the expected cost of an epoch from below, by planes that touch it (Benders, 1962).
//!
//! Each plane comes from what a CU of each class is worth where it touches; weak duality makes it valid whatever those worths
//! are. Planes hold for every plan, so they are kept from one programme to the next.

use super::{
    evaluator::Plan,
    lp::{Failure, Programme},
    problem::{Problem, SHORT},
    serve::{Served, dear, serve},
    terms::Slot,
};

/// Rounds of adding planes before the bound is taken as it is.
const ROUNDS: usize = 200;
/// A plane joins when the cost is above what is known by this share.
const TIGHT: f64 = 1e-8;

/// Cost of an epoch ≥ `constant` + Σ `slopes` · units.
#[derive(Clone, Debug, PartialEq)]
struct Plane {
    epoch: usize,
    constant: f64,
    slopes: Vec<f64>,
}

/// The planes that are known.
pub struct Cuts<'a> {
    problem: &'a Problem,
    starts: Vec<usize>,
    /// Epochs that each slot covers.
    windows: Vec<(usize, usize)>,
    planes: Vec<Plane>,
}

/// An optimum of the relaxation.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    pub cost: f64,
    pub orders: Vec<f64>,
}

impl<'a> Cuts<'a> {
    #[must_use]
    pub fn of(problem: &'a Problem) -> Self {
        let starts = problem.epochs();
        let windows = problem.windows(&starts);
        let mut cuts = Self { problem, starts, windows, planes: Vec::new() };
        cuts.touch(&vec![0.0; problem.slots.len()], &vec![f64::NEG_INFINITY; cuts.epochs()]);
        cuts
    }

    /// Learns the planes that touch at a plan.
    pub fn learn(&mut self, plan: &Plan) {
        let orders: Vec<f64> = plan.iter().map(|orders| f64::from(*orders)).collect();
        self.touch(&orders, &vec![f64::NEG_INFINITY; self.epochs()]);
    }

    fn epochs(&self) -> usize {
        self.starts.len() - 1
    }

    /// Slots that cover an epoch.
    fn active(&self, epoch: usize) -> impl Iterator<Item = (usize, &Slot)> {
        let covers = move |slot: &usize| self.windows[*slot].0 <= epoch && epoch < self.windows[*slot].1;
        (0..self.windows.len()).filter(covers).map(|slot| (slot, &self.problem.slots[slot]))
    }

    /// The cheapest fractional orders within bounds.
    ///
    /// # Errors
    /// When the linear solver fails, or limits leave no orders at all.
    pub fn solve(&mut self, bounds: &[(f64, f64)]) -> Result<Point, Failure> {
        let mut last = None;
        for _ in 0..ROUNDS {
            let answer = self.programme(bounds).minimise()?;
            let orders = answer.values[..bounds.len()].to_vec();
            let believed = &answer.values[bounds.len()..bounds.len() + self.epochs()];
            let joined = self.touch(&orders, believed);
            last = Some(Point { cost: answer.objective, orders });
            if !joined {
                break;
            }
        }
        last.ok_or_else(|| Failure::Solver("no round was made".into()))
    }

    fn programme(&self, bounds: &[(f64, f64)]) -> Programme {
        let problem = self.problem;
        let mut programme = Programme::default();
        for (slot, &(low, high)) in problem.slots.iter().zip(bounds) {
            programme.variable(slot.cost, low, high);
        }
        let costs: Vec<usize> = (0..self.epochs()).map(|_| programme.variable(1.0, 0.0, f64::INFINITY)).collect();
        for plane in &self.planes {
            let active = self.active(plane.epoch);
            let mut row: Vec<(usize, f64)> = active
                .map(|(at, slot)| (at, plane.slopes[slot.kind] * f64::from(slot.step)))
                .filter(|(_, slope)| *slope != 0.0)
                .collect();
            row.push((costs[plane.epoch], -1.0));
            programme.at_most(row, -self.offset(plane));
        }
        for side in &problem.sides {
            programme.at_most(side.coefficients.clone(), side.limit);
        }
        programme
    }

    /// A plane's cost where nothing is ordered.
    fn offset(&self, plane: &Plane) -> f64 {
        let owned = self.problem.kinds.iter().map(|kind| kind.owned[self.starts[plane.epoch]]);
        plane.constant + plane.slopes.iter().zip(owned).map(|(slope, owned)| slope * owned).sum::<f64>()
    }

    /// Adds the planes at these orders that are above what is believed; whether any was.
    fn touch(&mut self, orders: &[f64], believed: &[f64]) -> bool {
        let before = self.planes.len();
        for (epoch, believed) in believed.iter().enumerate() {
            let mut units: Vec<f64> = self.problem.kinds.iter().map(|kind| kind.owned[self.starts[epoch]]).collect();
            for (at, slot) in self.active(epoch) {
                units[slot.kind] += orders[at] * f64::from(slot.step);
            }
            let plane = self.plane(epoch, &units);
            let cost = plane.constant + plane.slopes.iter().zip(&units).map(|(slope, units)| slope * units).sum::<f64>();
            if cost > believed + TIGHT * cost.abs().max(1.0) {
                self.planes.push(plane);
            }
        }
        self.planes.len() > before
    }

    fn plane(&self, epoch: usize, units: &[f64]) -> Plane {
        let mut plane = Plane { epoch, constant: 0.0, slopes: vec![0.0; self.problem.kinds.len()] };
        for period in self.starts[epoch]..self.starts[epoch + 1] {
            for scenario in 0..self.problem.scenarios.len() {
                let forced = self.problem.must_serve(scenario);
                let served = serve(self.problem, period, scenario, units, &vec![forced; self.problem.classes.len()]);
                self.support(&mut plane, (period, scenario), forced, served);
            }
        }
        plane
    }

    /// Adds a scenario's part: the dual of serving it, at worths that are first made feasible.
    fn support(&self, plane: &mut Plane, (period, scenario): (usize, usize), forced: bool, served: Served) {
        let problem = self.problem;
        let probability = problem.scenarios[scenario].probability;
        let most = if forced { dear(problem, period, scenario) } else { problem.missing(period) };
        let mut worth: Vec<f64> = served.worth.into_iter().map(|worth| worth.clamp(0.0, most)).collect();
        let options = || (0..problem.flexes.len()).map(|flex| (flex, problem.most(flex, period, scenario)));
        let priced = |flex: usize| (&problem.kinds[problem.flexes[flex].kind].effective, problem.price(flex, period, scenario));
        for (flex, _) in options().filter(|(_, units)| units.is_infinite()) {
            let (effective, price) = priced(flex);
            for (worth, effective) in worth.iter_mut().zip(effective).filter(|(_, effective)| **effective > 0.0) {
                *worth = worth.min(price / effective);
            }
        }
        let best = |effective: &[f64]| effective.iter().zip(&worth).map(|(cu, worth)| cu * worth).fold(0.0, f64::max);
        let slack = if forced { SHORT } else { 0.0 };
        let demand = problem.scenarios[scenario].demand.iter().map(|path| path[period] - slack);
        plane.constant += probability * demand.zip(&worth).map(|(cu, worth)| cu * worth).sum::<f64>();
        for (flex, units) in options().filter(|(_, units)| *units > 0.0 && units.is_finite()) {
            let (effective, price) = priced(flex);
            plane.constant -= probability * units * (best(effective) - price).max(0.0);
        }
        for (slope, kind) in plane.slopes.iter_mut().zip(&problem.kinds) {
            *slope -= probability * best(&kind.effective);
        }
    }

    /// The bound that the planes prove for every plan, and reduced costs: weights of planes found by the dual programme, and
    /// reckoned anew from the weights alone.
    ///
    /// # Errors
    /// When the linear solver fails.
    pub fn certify(&self) -> Result<(f64, Vec<f64>), Failure> {
        let problem = self.problem;
        let mut programme = Programme::default();
        let weights: Vec<usize> = self.planes.iter().map(|plane| programme.variable(-self.offset(plane), 0.0, 1.0)).collect();
        let sides: Vec<usize> = problem.sides.iter().map(|side| programme.variable(side.limit, 0.0, f64::INFINITY)).collect();
        let mut rows = self.rows(&weights, &sides);
        for (row, slot) in rows.iter_mut().zip(&problem.slots) {
            row.push((programme.variable(f64::from(slot.most), 0.0, f64::INFINITY), -1.0));
        }
        for (row, slot) in rows.iter().zip(&problem.slots) {
            programme.at_most(row.clone(), slot.cost);
        }
        for epoch in 0..self.epochs() {
            let mine = self.planes.iter().zip(&weights).filter(|(plane, _)| plane.epoch == epoch);
            programme.at_most(mine.map(|(_, &weight)| (weight, 1.0)).collect(), 1.0);
        }
        let values = programme.minimise()?.values;
        Ok(self.reckon(
            &weights.iter().map(|&weight| values[weight]).collect::<Vec<_>>(),
            &sides.iter().map(|&side| values[side]).collect::<Vec<_>>(),
        ))
    }

    /// Left sides of the dual's rows, by slot, without the slack for a slot's bound.
    fn rows(&self, weights: &[usize], sides: &[usize]) -> Vec<Vec<(usize, f64)>> {
        let mut rows = vec![Vec::new(); self.problem.slots.len()];
        for (plane, &weight) in self.planes.iter().zip(weights) {
            for (at, slot) in self.active(plane.epoch) {
                let slope = plane.slopes[slot.kind] * f64::from(slot.step);
                rows[at].extend((slope != 0.0).then_some((weight, -slope)));
            }
        }
        for (side, &name) in self.problem.sides.iter().zip(sides) {
            for &(slot, coefficient) in side.coefficients.iter().filter(|(_, coefficient)| *coefficient != 0.0) {
                rows[slot].push((name, -coefficient));
            }
        }
        rows
    }

    fn reckon(&self, weights: &[f64], sides: &[f64]) -> (f64, Vec<f64>) {
        let problem = self.problem;
        let mut reduced: Vec<f64> = problem.slots.iter().map(|slot| slot.cost).collect();
        let mut totals = vec![0.0; self.epochs()];
        for (plane, weight) in self.planes.iter().zip(weights) {
            totals[plane.epoch] += weight;
        }
        let mut bound = 0.0;
        for (plane, weight) in self.planes.iter().zip(weights) {
            // Rounding must not let the weights of an epoch sum to more than one.
            let weight = weight / totals[plane.epoch].max(1.0);
            bound += weight * self.offset(plane);
            for (at, slot) in self.active(plane.epoch) {
                reduced[at] += weight * plane.slopes[slot.kind] * f64::from(slot.step);
            }
        }
        for (side, multiplier) in problem.sides.iter().zip(sides) {
            bound -= multiplier.max(0.0) * side.limit;
            for &(slot, coefficient) in &side.coefficients {
                reduced[slot] += multiplier.max(0.0) * coefficient;
            }
        }
        bound += problem.slots.iter().zip(&reduced).map(|(slot, reduced)| f64::from(slot.most) * reduced.min(0.0)).sum::<f64>();
        (bound, reduced)
    }
}
