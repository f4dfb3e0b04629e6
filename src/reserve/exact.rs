//! Branch and bound: the cheapest whole plan, proved so, where the problem is small enough.
//!
//! A node bounds the orders of each slot. Its relaxation is a bound of what lies below it; a node that cannot beat the best plan
//! is dropped. Depth first, the nearer side first, so that the order of the search depends on nothing but the problem.

use super::{
    evaluator::{Evaluation, Plan, evaluate},
    lp::Failure,
    problem::Problem,
};

/// Plans whose costs are this close, as a share, are the same to us.
const SAME: f64 = 1e-9;
/// An order this near a whole number is one.
const WHOLE: f64 = 1e-6;

/// Nodes that are opened in search of any feasible plan.
const HOPELESS: usize = 3_000;

/// Bounds of the orders, by slot.
pub type Bounds = Vec<(f64, f64)>;

/// What a node is judged by.
pub trait Relaxation {
    /// A bound of the cheapest plan within bounds, and the fractional orders that attain it.
    ///
    /// # Errors
    /// When the linear solver fails, or no plan is within these bounds.
    fn within(&mut self, bounds: &[(f64, f64)]) -> Result<(f64, Vec<f64>), Failure>;

    /// Work of all programmes solved so far, in cells of their tables.
    fn spent(&self) -> usize;
}

/// How a search ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Proof {
    pub plan: Plan,
    pub evaluation: Evaluation,
    /// No plan is cheaper.
    pub bound: f64,
    /// Whether the plan is proved cheapest, or infeasibility is proved.
    pub complete: bool,
    pub nodes: usize,
}

struct Node {
    bounds: Bounds,
    bound: f64,
}

struct Search<'a> {
    problem: &'a Problem,
    best: Plan,
    evaluation: Evaluation,
    waiting: Vec<Node>,
}

/// Searches from a first plan and a bound with its reduced costs, until the relaxation has spent so much work.
#[must_use]
pub fn prove(
    problem: &Problem,
    relaxation: &mut dyn Relaxation,
    first: Plan,
    (bound, reduced): (f64, &[f64]),
    work: usize,
) -> Proof {
    let evaluation = evaluate(problem, &first);
    let mut search = Search { problem, best: first, evaluation, waiting: Vec::new() };
    search.waiting.push(Node { bounds: search.tightened(bound, reduced), bound });
    let mut nodes = 0;
    while let Some(node) = search.waiting.pop() {
        if node.bound >= search.limit() {
            continue;
        }
        let hopeless = !search.evaluation.feasible() && nodes >= HOPELESS;
        if hopeless || relaxation.spent() >= work {
            search.waiting.push(node);
            break;
        }
        nodes += 1;
        match relaxation.within(&node.bounds) {
            Err(Failure::Infeasible) => {}
            // Nothing is known of this node but its own bound: it is halved until a plan is left, which is reckoned itself.
            Err(_) => search.halve(&node),
            Ok((cost, orders)) => search.open(&node, cost.max(node.bound), &orders),
        }
    }
    let open = search.waiting.iter().map(|node| node.bound).fold(f64::INFINITY, f64::min);
    let complete = open >= search.limit();
    let own = if search.evaluation.feasible() { search.evaluation.objective } else { f64::INFINITY };
    let bound = if complete && own.is_finite() { own } else { open.min(own).max(bound) };
    Proof { plan: search.best, evaluation: search.evaluation, bound, complete, nodes }
}

impl Search<'_> {
    /// What a node must be below to be worth opening.
    fn limit(&self) -> f64 {
        let cost = self.evaluation.objective;
        if self.evaluation.feasible() { cost - SAME * cost.abs() } else { f64::INFINITY }
    }

    /// Bounds of the slots, without orders that alone would cost more than the best plan.
    fn tightened(&self, bound: f64, reduced: &[f64]) -> Bounds {
        let room = self.limit() - bound;
        let tighten = |most: u32, reduced: f64| {
            let most = f64::from(most);
            let steps = (room / reduced.abs() + WHOLE).floor().max(0.0);
            match reduced {
                _ if !room.is_finite() || reduced == 0.0 => (0.0, most),
                above if above > 0.0 => (0.0, most.min(steps)),
                _ => ((most - steps).max(0.0), most),
            }
        };
        self.problem.slots.iter().zip(reduced).map(|(slot, reduced)| tighten(slot.most, *reduced)).collect()
    }

    fn open(&mut self, node: &Node, cost: f64, orders: &[f64]) {
        if cost >= self.limit() {
            return;
        }
        let off = |slot: usize| (orders[slot] - orders[slot].round()).abs();
        let weight = |slot: usize| off(slot) * self.problem.slots[slot].cost.abs().max(1.0);
        let fractional = (0..orders.len()).filter(|&slot| off(slot) > WHOLE);
        if let Some(slot) = fractional.max_by(|&a, &b| weight(a).total_cmp(&weight(b)).then(b.cmp(&a))) {
            let down = orders[slot].floor();
            let (low, high) = node.bounds[slot];
            let sides = [(low, down), (down + 1.0, high)];
            let nearer_is_up = orders[slot] - down > 0.5;
            for side in if nearer_is_up { [sides[0], sides[1]] } else { [sides[1], sides[0]] } {
                self.push(node, slot, side, cost);
            }
            return;
        }
        let plan: Plan = orders.iter().map(|orders| orders.round() as u32).collect();
        let evaluation = evaluate(self.problem, &plan);
        let exact = evaluation.feasible() && evaluation.objective <= cost + SAME * cost.abs();
        self.offer(&plan, evaluation);
        if exact {
            return;
        }
        // Whole, but dearer than its bound or broken: what else lies in this node is still open.
        let Some(slot) = (0..orders.len()).find(|&slot| node.bounds[slot].0 < node.bounds[slot].1) else { return };
        let (low, high) = node.bounds[slot];
        let at = f64::from(plan[slot]);
        for side in [(low, at - 1.0), (at + 1.0, high), (at, at)] {
            self.push(node, slot, side, cost);
        }
    }

    /// Splits a node without a relaxation to go by.
    fn halve(&mut self, node: &Node) {
        let widest = (0..node.bounds.len()).max_by(|&a, &b| {
            let width = |slot: usize| node.bounds[slot].1 - node.bounds[slot].0;
            width(a).total_cmp(&width(b)).then(b.cmp(&a))
        });
        if let Some(slot) = widest.filter(|&slot| node.bounds[slot].1 > node.bounds[slot].0) {
            let (low, high) = node.bounds[slot];
            let middle = f64::midpoint(low, high).floor();
            self.push(node, slot, (middle + 1.0, high), node.bound);
            self.push(node, slot, (low, middle), node.bound);
        } else {
            let plan: Plan = node.bounds.iter().map(|(orders, _)| *orders as u32).collect();
            let evaluation = evaluate(self.problem, &plan);
            self.offer(&plan, evaluation);
        }
    }

    fn push(&mut self, node: &Node, slot: usize, (low, high): (f64, f64), bound: f64) {
        if low <= high {
            let mut bounds = node.bounds.clone();
            bounds[slot] = (low, high);
            self.waiting.push(Node { bounds, bound });
        }
    }

    /// Keeps the plan if it is the best so far.
    fn offer(&mut self, plan: &Plan, evaluation: Evaluation) {
        let better = match (evaluation.feasible(), self.evaluation.feasible()) {
            (true, false) => true,
            (true, true) => evaluation.objective < self.evaluation.objective,
            (false, _) => false,
        };
        if better {
            self.best.clone_from(plan);
            self.evaluation = evaluation;
        }
    }
}
