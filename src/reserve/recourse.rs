//! What a search needs to know of recourse: its expected cost in a period, by what is committed.

use super::{problem::Problem, serve::period};
use std::{cell::RefCell, collections::HashMap};

/// Expected cost of an epoch (periods that every order covers alike) by committed capacity, in groups of what can stand in for
/// each other.
pub trait Recourse {
    fn epochs(&self) -> usize;
    /// Epochs that an order covers, from the first to before the second.
    fn window(&self, slot: usize) -> (usize, usize);
    /// Numbers that capacity is told by in each epoch.
    fn groups(&self) -> usize;
    /// The group that an order of the slot adds to, and how much.
    fn adds(&self, slot: usize) -> (usize, f64);
    /// Expected discounted cost, a missed floor of service counted dearly.
    fn cost(&self, epoch: usize, capacity: &[f64]) -> f64;
}

/// Several classes that share units: capacity is told in units of each kind, and answers are kept.
pub struct Shared<'a> {
    problem: &'a Problem,
    /// What a CU that misses the floor counts for.
    steep: f64,
    starts: Vec<usize>,
    windows: Vec<(usize, usize)>,
    known: RefCell<HashMap<(usize, Vec<u64>), f64>>,
}

impl<'a> Shared<'a> {
    #[must_use]
    pub fn of(problem: &'a Problem) -> Self {
        let starts = problem.epochs();
        let windows = problem.windows(&starts);
        Self { problem, steep: steep(problem), starts, windows, known: RefCell::default() }
    }
}

/// A cost past that of every plan, per CU and period.
#[must_use]
pub fn steep(problem: &Problem) -> f64 {
    let orders = problem.slots.iter().map(|slot| slot.cost / f64::from(slot.step));
    let dearest = orders.fold(problem.penalty, f64::max);
    let least = problem.kinds.iter().flat_map(|kind| &kind.effective).copied().filter(|cu| *cu > 0.0).fold(1.0, f64::min);
    1e3 * dearest / least
}

impl Recourse for Shared<'_> {
    fn epochs(&self) -> usize {
        self.starts.len() - 1
    }

    fn window(&self, slot: usize) -> (usize, usize) {
        self.windows[slot]
    }

    fn groups(&self) -> usize {
        self.problem.kinds.len()
    }

    fn adds(&self, slot: usize) -> (usize, f64) {
        let slot = &self.problem.slots[slot];
        (slot.kind, f64::from(slot.step))
    }

    fn cost(&self, epoch: usize, capacity: &[f64]) -> f64 {
        let key = (epoch, capacity.iter().map(|units| units.to_bits()).collect());
        if let Some(cost) = self.known.borrow().get(&key) {
            return *cost;
        }
        let at = self.starts[epoch];
        let units: Vec<f64> = capacity.iter().zip(&self.problem.kinds).map(|(units, kind)| units + kind.owned[at]).collect();
        let reckon = |at: usize| {
            let reckoned = period(self.problem, at, &units);
            reckoned.cost + if reckoned.missed > 0.0 { self.steep * (1.0 + reckoned.missed) } else { 0.0 }
        };
        let cost = (at..self.starts[epoch + 1]).map(reckon).sum();
        self.known.borrow_mut().insert(key, cost);
        cost
    }
}
