//! Whole units forgotten, and recourse of any kind: the expected cost of an epoch from below, by planes that touch it
//! (Benders, 1962).
//!
//! Each plane comes from what a CU of each class is worth where it touches; weak duality makes it valid whatever those worths
//! are. Planes hold for every plan, so they are kept from one programme to the next. Where risk is weighed, the mean of the worst
//! scenarios is the greatest of means under other weights (Rockafellar and Uryasev, 2000): weights join as planes do.

use super::{
    evaluator::Plan,
    exact::Relaxation,
    levels::{Levels, floor},
    lp::{Failure, Programme},
    problem::{Problem, SHORT, Side},
    serve::{Served, dear, serve},
    terms::Slot,
};

/// Rounds of adding planes before the bound is taken as it is.
const ROUNDS: usize = 200;
/// Programmes in a row in which a plane may be slack before it is dropped.
const IDLE: usize = 12;
/// A plane joins when the cost is above what is known by this share.
const TIGHT: f64 = 1e-8;

/// Under a weighing of scenarios, cost of an epoch ≥ `constant` + Σ `slopes` · units.
#[derive(Clone, Debug, PartialEq)]
struct Plane {
    weighing: usize,
    epoch: usize,
    constant: f64,
    slopes: Vec<f64>,
    /// Programmes in a row in which it was slack.
    idle: usize,
}

/// Weights of scenarios, and what an order of each slot then costs more than on average.
#[derive(Clone, Debug, PartialEq)]
struct Weighing {
    weights: Vec<f64>,
    dearer: Vec<f64>,
}

/// The planes that are known.
pub struct Cuts<'a> {
    problem: &'a Problem,
    starts: Vec<usize>,
    /// Epochs that each slot covers.
    windows: Vec<(usize, usize)>,
    weighings: Vec<Weighing>,
    planes: Vec<Plane>,
    /// Limits of the problem, and the floor of service where it is a least level of CU.
    sides: Vec<Side>,
    spent: usize,
}

impl Relaxation for Cuts<'_> {
    fn within(&mut self, bounds: &[(f64, f64)]) -> Result<(f64, Vec<f64>), Failure> {
        self.solve(bounds).map(|point| (point.cost, point.orders))
    }

    fn spent(&self) -> usize {
        self.spent
    }
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
        let mut cuts =
            Self { problem, starts, windows, weighings: Vec::new(), planes: Vec::new(), sides: problem.sides.clone(), spent: 0 };
        cuts.sides.extend(cuts.floors());
        cuts.weigh(problem.scenarios.iter().map(|scenario| scenario.weight).collect());
        cuts.learn(&vec![0; problem.slots.len()]);
        cuts
    }

    /// The floor of service by epoch, where it is one of committed CU.
    fn floors(&self) -> Vec<Side> {
        if self.problem.service.is_none() || !Levels::fit(self.problem) {
            return Vec::new();
        }
        let side = |epoch: usize| {
            let least = (self.starts[epoch]..self.starts[epoch + 1]).map(|period| floor(self.problem, period)).fold(0.0, f64::max);
            let delivers = |slot: &Slot| -self.problem.kinds[slot.kind].effective[0] * f64::from(slot.step);
            let coefficients = self.active(epoch).map(|(at, slot)| (at, delivers(slot))).collect();
            (least > 0.0).then(|| Side { name: String::new(), unit: "CU", coefficients, limit: -least, scenarios: Vec::new() })
        };
        (0..self.epochs()).filter_map(side).collect()
    }

    /// Learns the planes that touch at a plan.
    pub fn learn(&mut self, plan: &Plan) {
        let orders: Vec<f64> = plan.iter().map(|orders| f64::from(*orders)).collect();
        self.touch((&orders, &self.cover(&orders)), None);
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
            let programme = self.programme(bounds);
            self.spent += programme.work();
            let answer = programme.minimise()?;
            let orders = answer.values[..bounds.len()].to_vec();
            let units = self.cover(&orders);
            self.forget(&units, &answer.values[bounds.len()..]);
            let joined = self.touch((&orders, &units), Some(&answer.values[bounds.len()..]));
            last = Some(Point { cost: answer.objective, orders });
            if !joined {
                break;
            }
        }
        last.ok_or_else(|| Failure::Solver("no round was made".into()))
    }

    /// Columns: orders, recourse by weighing and epoch, and where risk is weighed the dearest weighing.
    fn programme(&self, bounds: &[(f64, f64)]) -> Programme {
        let problem = self.problem;
        let mut programme = Programme::default();
        for (slot, &(low, high)) in problem.slots.iter().zip(bounds) {
            programme.variable(slot.cost, low, high);
        }
        let risky = problem.risk.is_some();
        let cost = if risky { 0.0 } else { 1.0 };
        let costs: Vec<usize> =
            (0..self.epochs() * self.weighings.len()).map(|_| programme.variable(cost, 0.0, f64::INFINITY)).collect();
        if risky {
            let dearest = programme.variable(1.0, f64::NEG_INFINITY, f64::INFINITY);
            for (weighing, costs) in self.weighings.iter().zip(costs.chunks(self.epochs())) {
                let mut row: Vec<(usize, f64)> = costs.iter().map(|&cost| (cost, 1.0)).collect();
                row.extend(weighing.dearer.iter().copied().enumerate().filter(|(_, dearer)| *dearer != 0.0));
                row.push((dearest, -1.0));
                programme.at_most(row, 0.0);
            }
        }
        for plane in &self.planes {
            let active = self.active(plane.epoch);
            let mut row: Vec<(usize, f64)> = active
                .map(|(at, slot)| (at, plane.slopes[slot.kind] * f64::from(slot.step)))
                .filter(|(_, slope)| *slope != 0.0)
                .collect();
            row.push((costs[plane.weighing * self.epochs() + plane.epoch], -1.0));
            programme.at_most(row, -self.offset(plane));
        }
        for side in &self.sides {
            programme.at_most(side.coefficients.clone(), side.limit);
        }
        programme
    }

    /// Drops planes that were slack in many programmes in a row: programmes stay small, and a plane that is missed joins anew.
    fn forget(&mut self, units: &[Vec<f64>], costs: &[f64]) {
        let epochs = self.epochs();
        self.planes.retain_mut(|plane| {
            let cost =
                plane.constant + plane.slopes.iter().zip(&units[plane.epoch]).map(|(slope, units)| slope * units).sum::<f64>();
            let slack = costs[plane.weighing * epochs + plane.epoch] - cost;
            plane.idle = if slack > TIGHT * cost.abs().max(1.0) { plane.idle + 1 } else { 0 };
            plane.idle < IDLE
        });
    }

    /// A plane's cost where nothing is ordered.
    fn offset(&self, plane: &Plane) -> f64 {
        let owned = self.problem.kinds.iter().map(|kind| kind.owned[self.starts[plane.epoch]]);
        plane.constant + plane.slopes.iter().zip(owned).map(|(slope, owned)| slope * owned).sum::<f64>()
    }

    /// Lets a weighing join; it has no planes yet.
    fn weigh(&mut self, weights: Vec<f64>) {
        let dearer = (0..self.problem.slots.len()).map(|slot| self.problem.dearer(slot, &weights)).collect();
        self.weighings.push(Weighing { weights, dearer });
    }

    /// Adds the planes at these orders, and the units that they come to, that are above what is believed (all, when nothing is), and the weighing that is dearest
    /// there; whether any was.
    fn touch(&mut self, (orders, units): (&[f64], &[Vec<f64>]), believed: Option<&[f64]>) -> bool {
        let before = (self.planes.len(), self.weighings.len());
        let served: Vec<Vec<Served>> = units.iter().enumerate().map(|(epoch, units)| self.serve(epoch, units)).collect();
        if self.problem.risk.is_some() {
            let mut costs: Vec<f64> = vec![0.0; self.problem.scenarios.len()];
            for (at, served) in served.iter().flatten().enumerate() {
                costs[at % self.problem.scenarios.len()] += served.cost;
            }
            for (cost, scenario) in costs.iter_mut().zip(&self.problem.scenarios) {
                *cost += scenario.orders.iter().zip(orders).map(|(dearer, orders)| dearer * orders).sum::<f64>();
            }
            let weights = self.problem.weights(&costs);
            let near = |known: &Weighing| known.weights.iter().zip(&weights).all(|(a, b)| (a - b).abs() < 1e-9);
            if !self.weighings.iter().any(near) {
                self.weigh(weights);
            }
        }
        for weighing in 0..self.weighings.len() {
            let fresh = weighing >= before.1;
            for (epoch, (units, served)) in units.iter().zip(&served).enumerate() {
                let plane = self.plane(weighing, epoch, served);
                let cost = plane.constant + plane.slopes.iter().zip(units).map(|(slope, units)| slope * units).sum::<f64>();
                let known = believed.filter(|_| !fresh).map_or(f64::NEG_INFINITY, |known| known[weighing * self.epochs() + epoch]);
                if cost > known + TIGHT * cost.abs().max(1.0) {
                    self.planes.push(plane);
                }
            }
        }
        (self.planes.len(), self.weighings.len()) != before
    }

    /// Units of each kind that are there, by epoch.
    fn cover(&self, orders: &[f64]) -> Vec<Vec<f64>> {
        (0..self.epochs()).map(|epoch| self.units(epoch, orders)).collect()
    }

    fn units(&self, epoch: usize, orders: &[f64]) -> Vec<f64> {
        let mut units: Vec<f64> = self.problem.kinds.iter().map(|kind| kind.owned[self.starts[epoch]]).collect();
        for (at, slot) in self.active(epoch) {
            units[slot.kind] += orders[at] * f64::from(slot.step);
        }
        units
    }

    /// Each period of the epoch in each scenario; those that may never be short are served at any price.
    fn serve(&self, epoch: usize, units: &[f64]) -> Vec<Served> {
        let classes = self.problem.classes.len();
        let at = |period: usize| {
            let scenarios = 0..self.problem.scenarios.len();
            scenarios.map(move |scenario| {
                serve(self.problem, period, scenario, units, &vec![self.problem.must_serve(scenario); classes])
            })
        };
        (self.starts[epoch]..self.starts[epoch + 1]).flat_map(at).collect()
    }

    fn plane(&self, weighing: usize, epoch: usize, served: &[Served]) -> Plane {
        let mut plane = Plane { weighing, epoch, constant: 0.0, slopes: vec![0.0; self.problem.kinds.len()], idle: 0 };
        let scenarios = self.problem.scenarios.len();
        for (at, served) in served.iter().enumerate() {
            let (period, scenario) = (self.starts[epoch] + at / scenarios, at % scenarios);
            let weight = self.weighings[weighing].weights[scenario];
            if weight > 0.0 {
                self.support(&mut plane, (period, scenario), weight, served);
            }
        }
        plane
    }

    /// Adds a scenario's part: the dual of serving it, at worths that are first made feasible.
    fn support(&self, plane: &mut Plane, (period, scenario): (usize, usize), weight: f64, served: &Served) {
        let problem = self.problem;
        let forced = problem.must_serve(scenario);
        let most = if forced { dear(problem, period, scenario) } else { problem.missing(period) };
        let mut worth: Vec<f64> = served.worth.iter().map(|worth| worth.clamp(0.0, most)).collect();
        let delivers = |kind: usize, class: usize| problem.effective(kind, class, scenario);
        let options = || (0..problem.flexes.len()).map(|flex| (flex, problem.most(flex, period, scenario)));
        for (flex, _) in options().filter(|(_, units)| units.is_infinite()) {
            let price = problem.price(flex, period, scenario);
            for (class, worth) in worth.iter_mut().enumerate() {
                let effective = delivers(problem.flexes[flex].kind, class);
                *worth = if effective > 0.0 { worth.min(price / effective) } else { *worth };
            }
        }
        let best = |kind: usize| worth.iter().enumerate().map(|(class, worth)| delivers(kind, class) * worth).fold(0.0, f64::max);
        let slack = if forced { SHORT } else { 0.0 };
        let demand = problem.scenarios[scenario].demand.iter().map(|path| path[period] - slack);
        plane.constant += weight * demand.zip(&worth).map(|(cu, worth)| cu * worth).sum::<f64>();
        for (flex, units) in options().filter(|(_, units)| *units > 0.0 && units.is_finite()) {
            let price = problem.price(flex, period, scenario);
            plane.constant -= weight * units * (best(problem.flexes[flex].kind) - price).max(0.0);
        }
        for (kind, slope) in plane.slopes.iter_mut().enumerate() {
            *slope -= weight * best(kind);
        }
    }

    /// The bound that the planes prove for every plan, and reduced costs: weights of planes found by the dual programme, and
    /// reckoned anew from the weights alone.
    ///
    /// # Errors
    /// When the linear solver fails.
    pub fn certify(&self) -> Result<(f64, Vec<f64>), Failure> {
        let problem = self.problem;
        if self.planes.is_empty() {
            return Ok(self.least());
        }
        let mut programme = Programme::default();
        let weights: Vec<usize> = self.planes.iter().map(|plane| programme.variable(-self.offset(plane), 0.0, 1.0)).collect();
        let shares: Vec<usize> = self.weighings.iter().map(|_| programme.variable(0.0, 0.0, 1.0)).collect();
        let sides: Vec<usize> = self.sides.iter().map(|side| programme.variable(side.limit, 0.0, f64::INFINITY)).collect();
        let mut rows = self.rows(&weights, &shares, &sides);
        for (row, slot) in rows.iter_mut().zip(&problem.slots) {
            row.push((programme.variable(f64::from(slot.most), 0.0, f64::INFINITY), -1.0));
        }
        for (row, slot) in rows.iter().zip(&problem.slots) {
            programme.at_most(row.clone(), slot.cost);
        }
        for (weighing, share) in shares.iter().enumerate() {
            for epoch in 0..self.epochs() {
                let mine = self.planes.iter().zip(&weights).filter(|(plane, _)| (plane.weighing, plane.epoch) == (weighing, epoch));
                let mut row: Vec<(usize, f64)> = mine.map(|(_, &weight)| (weight, 1.0)).collect();
                row.push((*share, -1.0));
                programme.at_most(row, 0.0);
            }
        }
        programme.at_most(shares.iter().map(|&share| (share, 1.0)).collect(), 1.0);
        let values = programme.minimise()?.values;
        let read = |names: &[usize]| names.iter().map(|&name| values[name]).collect::<Vec<f64>>();
        Ok(self.reckon(&read(&weights), &read(&shares), &read(&sides)))
    }

    /// What is proved without any linear programme: recourse costs nothing at least.
    #[must_use]
    pub fn least(&self) -> (f64, Vec<f64>) {
        self.reckon(&vec![0.0; self.planes.len()], &vec![0.0; self.weighings.len()], &vec![0.0; self.sides.len()])
    }

    /// Left sides of the dual's rows, by slot, without the slack for a slot's bound.
    fn rows(&self, weights: &[usize], shares: &[usize], sides: &[usize]) -> Vec<Vec<(usize, f64)>> {
        let mut rows = vec![Vec::new(); self.problem.slots.len()];
        for (plane, &weight) in self.planes.iter().zip(weights) {
            for (at, slot) in self.active(plane.epoch) {
                let slope = plane.slopes[slot.kind] * f64::from(slot.step);
                rows[at].extend((slope != 0.0).then_some((weight, -slope)));
            }
        }
        for (weighing, &share) in self.weighings.iter().zip(shares) {
            for (row, &dearer) in rows.iter_mut().zip(&weighing.dearer) {
                row.extend((dearer != 0.0).then_some((share, -dearer)));
            }
        }
        for (side, &name) in self.sides.iter().zip(sides) {
            for &(slot, coefficient) in side.coefficients.iter().filter(|(_, coefficient)| *coefficient != 0.0) {
                rows[slot].push((name, -coefficient));
            }
        }
        rows
    }

    fn reckon(&self, weights: &[f64], shares: &[f64], sides: &[f64]) -> (f64, Vec<f64>) {
        let problem = self.problem;
        // Rounding must not let shares sum to more than one, nor the weights of an epoch to more than their share. With
        // costs that orders add under a weighing, shares must sum to one exactly: what is left goes to the first, the mean.
        let total: f64 = shares.iter().sum();
        let mut shares: Vec<f64> = shares.iter().map(|share| share / total.max(1.0)).collect();
        if problem.risk.is_some() {
            shares[0] += 1.0 - shares.iter().sum::<f64>();
        } else {
            shares[0] = 1.0;
        }
        let mut reduced: Vec<f64> = problem.slots.iter().map(|slot| slot.cost).collect();
        for (weighing, share) in self.weighings.iter().zip(&shares) {
            reduced.iter_mut().zip(&weighing.dearer).for_each(|(reduced, dearer)| *reduced += share * dearer);
        }
        let mut totals = vec![0.0; self.epochs() * shares.len()];
        let at = |plane: &Plane| plane.weighing * self.epochs() + plane.epoch;
        for (plane, weight) in self.planes.iter().zip(weights) {
            totals[at(plane)] += weight;
        }
        let mut bound = 0.0;
        for (plane, weight) in self.planes.iter().zip(weights) {
            let (total, share) = (totals[at(plane)], shares[plane.weighing].max(0.0));
            let weight = if total > share { weight * share / total } else { *weight };
            bound += weight * self.offset(plane);
            for (at, slot) in self.active(plane.epoch) {
                reduced[at] += weight * plane.slopes[slot.kind] * f64::from(slot.step);
            }
        }
        for (side, multiplier) in self.sides.iter().zip(sides) {
            bound -= multiplier.max(0.0) * side.limit;
            for &(slot, coefficient) in &side.coefficients {
                reduced[slot] += multiplier.max(0.0) * coefficient;
            }
        }
        bound += problem.slots.iter().zip(&reduced).map(|(slot, reduced)| f64::from(slot.most) * reduced.min(0.0)).sum::<f64>();
        (bound, reduced)
    }
}
