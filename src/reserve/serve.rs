//! What is done once a scenario is seen, in one period: the cheapest use of what is there, of what flexes, and of leaving undone.
//!
//! With one class it is a merit order; with several, which share units, a small linear programme. Both are exact.

use super::{
    problem::{Problem, SHORT},
    tableau::Tableau,
};

/// What serving one period of one scenario comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Served {
    /// Discounted cost of flexible use and of what is not served; not weighted by probability.
    pub cost: f64,
    /// Units of each flexible option.
    pub flex: Vec<f64>,
    /// CU that are not served, by class.
    pub short: Vec<f64>,
    /// What a CU more would cost, by class.
    pub worth: Vec<f64>,
}

/// Serves a period of a scenario with `units` of each kind. Classes of `forced` are served at any price that flexible options ask.
#[must_use]
pub fn serve(problem: &Problem, period: usize, scenario: usize, units: &[f64], forced: &[bool]) -> Served {
    if problem.classes.len() == 1 {
        in_order(problem, period, scenario, units, forced[0])
    } else {
        shared(problem, period, scenario, units, forced)
    }
}

/// One class: flexible options by their price of a CU, then the penalty.
fn in_order(problem: &Problem, period: usize, scenario: usize, units: &[f64], forced: bool) -> Served {
    let there: f64 = units.iter().enumerate().map(|(kind, units)| units * problem.effective(kind, 0, scenario)).sum();
    let mut rest = (problem.scenarios[scenario].demand[0][period] - there).max(0.0);
    let missing = problem.missing(period);
    let mut served = Served { flex: vec![0.0; problem.flexes.len()], short: vec![0.0], worth: vec![0.0], cost: 0.0 };
    for (flex, price) in merit(problem, period, scenario) {
        if rest <= 0.0 || (price > missing && !forced) {
            break;
        }
        let effective = problem.effective(problem.flexes[flex].kind, 0, scenario);
        let taken = rest.min(problem.most(flex, period, scenario) * effective);
        served.flex[flex] = taken / effective;
        served.cost += taken * price;
        served.worth[0] = if taken > 0.0 { price } else { served.worth[0] };
        rest -= taken;
    }
    if rest > 0.0 {
        served.short[0] = rest;
        served.worth[0] = if forced { dear(problem, period, scenario) } else { missing };
        served.cost += rest * missing;
    }
    served
}

/// What a CU counts for while it is sought whether it can be served at any price.
#[must_use]
pub fn dear(problem: &Problem, period: usize, scenario: usize) -> f64 {
    let prices = (0..problem.flexes.len()).map(|flex| problem.price(flex, period, scenario));
    let least = problem.kinds.iter().flat_map(|kind| &kind.effective).copied().filter(|cu| *cu > 0.0).fold(1.0, f64::min);
    prices.filter(|price| price.is_finite()).fold(problem.missing(period), f64::max).max(1.0) * 1e4 / least
}

/// Flexible options that can be had, with their price of a CU of the one class, cheapest first.
#[must_use]
pub fn merit(problem: &Problem, period: usize, scenario: usize) -> Vec<(usize, f64)> {
    let mut options: Vec<(usize, f64)> = (0..problem.flexes.len())
        .filter(|&flex| problem.most(flex, period, scenario) > 0.0)
        .map(|flex| (flex, problem.effective(problem.flexes[flex].kind, 0, scenario), problem.price(flex, period, scenario)))
        .filter(|&(_, effective, price)| effective > 0.0 && price.is_finite())
        .map(|(flex, effective, price)| (flex, price / effective))
        .collect();
    options.sort_by(|a, b| a.1.total_cmp(&b.1));
    options
}

/// Columns of the programme of several classes.
struct Layout {
    /// Flexible options that can be had, with their caps.
    flexes: Vec<(usize, f64)>,
    /// Kinds of which units are there.
    kinds: Vec<usize>,
    classes: usize,
}

impl Layout {
    fn short(class: usize) -> usize {
        class
    }

    fn surplus(&self, class: usize) -> usize {
        self.classes + class
    }

    fn split(&self, index: usize, class: usize) -> usize {
        (2 + index) * self.classes + class
    }

    fn flexed(&self, index: usize, class: usize) -> usize {
        (2 + self.kinds.len() + index) * self.classes + class
    }

    /// The slack of a limit: of kinds first, then of flexible options.
    fn slack(&self, limit: usize) -> usize {
        (2 + self.kinds.len() + self.flexes.len()) * self.classes + limit
    }

    fn columns(&self) -> usize {
        self.slack(self.kinds.len() + self.flexes.len())
    }
}

fn shared(problem: &Problem, period: usize, scenario: usize, units: &[f64], forced: &[bool]) -> Served {
    let caps = (0..problem.flexes.len()).map(|flex| (flex, problem.most(flex, period, scenario)));
    let layout = Layout {
        flexes: caps.filter(|&(flex, most)| most > 0.0 && problem.price(flex, period, scenario).is_finite()).collect(),
        kinds: (0..problem.kinds.len()).filter(|&kind| units[kind] > 0.0).collect(),
        classes: problem.classes.len(),
    };
    let price = |flex: usize| problem.price(flex, period, scenario);
    let missing = problem.missing(period);
    let dear = dear(problem, period, scenario);
    let mut costs = vec![0.0; layout.columns()];
    for class in 0..layout.classes {
        costs[Layout::short(class)] = if forced[class] { dear } else { missing };
        for (index, &(flex, _)) in layout.flexes.iter().enumerate() {
            costs[layout.flexed(index, class)] = price(flex);
        }
    }
    let mut tableau = Tableau::new(&costs);
    let demand: Vec<f64> = problem.scenarios[scenario].demand.iter().map(|path| path[period]).collect();
    demand_rows(problem, &layout, scenario, &demand, &mut tableau);
    limit_rows(&layout, units, &mut tableau);
    tableau.solve();
    read(problem, &layout, &tableau, &costs, price, missing)
}

/// CU of a unit where it serves best.
#[must_use]
pub fn best(problem: &Problem, kind: usize, scenario: usize) -> f64 {
    (0..problem.classes.len()).map(|class| problem.effective(kind, class, scenario)).fold(0.0, f64::max)
}

/// The most of what `units` can deliver that could be done without while the same is served by the same flexible use: in CU of
/// the class that each kind serves best. With one class it is what is delivered beyond demand.
#[must_use]
pub fn stranded(problem: &Problem, (period, scenario): (usize, usize), units: &[f64], flex: &[f64], short: &[f64]) -> f64 {
    let there: f64 = units.iter().enumerate().map(|(kind, units)| units * best(problem, kind, scenario)).sum();
    let path = &problem.scenarios[scenario].demand;
    if let [demand] = path.as_slice() {
        return (there - demand[period]).max(0.0);
    }
    let layout = Layout {
        flexes: flex.iter().copied().enumerate().filter(|(_, units)| *units > 0.0).collect(),
        kinds: (0..units.len()).filter(|&kind| units[kind] > 0.0).collect(),
        classes: path.len(),
    };
    let mut costs = vec![0.0; layout.columns()];
    let mut dear = 0.0_f64;
    for class in 0..layout.classes {
        for (index, &kind) in layout.kinds.iter().enumerate() {
            let (best, here) = (best(problem, kind, scenario), problem.effective(kind, class, scenario));
            costs[layout.split(index, class)] = best;
            dear = dear.max(if here > 0.0 { best / here } else { 0.0 });
        }
    }
    costs[..layout.classes].fill(2.0 * dear + 1.0);
    let mut tableau = Tableau::new(&costs);
    let served: Vec<f64> = path.iter().zip(short).map(|(path, short)| (path[period] - short).max(0.0)).collect();
    demand_rows(problem, &layout, scenario, &served, &mut tableau);
    limit_rows(&layout, units, &mut tableau);
    tableau.solve();
    let values = tableau.values();
    let used = |index: usize| (0..layout.classes).map(|class| values[layout.split(index, class)]).sum::<f64>();
    let needed: f64 = layout.kinds.iter().enumerate().map(|(index, &kind)| used(index) * best(problem, kind, scenario)).sum();
    (there - needed).max(0.0)
}

fn demand_rows(problem: &Problem, layout: &Layout, scenario: usize, demand: &[f64], tableau: &mut Tableau) {
    for (class, &demand) in demand.iter().enumerate() {
        let effective = |kind: usize| problem.effective(kind, class, scenario);
        let mut row = vec![(Layout::short(class), 1.0), (layout.surplus(class), -1.0)];
        row.extend(layout.kinds.iter().enumerate().map(|(index, &kind)| (layout.split(index, class), effective(kind))));
        let flexes = layout.flexes.iter().enumerate();
        row.extend(flexes.map(|(index, &(flex, _))| (layout.flexed(index, class), effective(problem.flexes[flex].kind))));
        tableau.row(&row, demand, Layout::short(class));
    }
}

fn limit_rows(layout: &Layout, units: &[f64], tableau: &mut Tableau) {
    let kinds = layout.kinds.iter().enumerate();
    let there = kinds.map(|(index, &kind)| (units[kind], (0..layout.classes).map(|class| layout.split(index, class)).collect()));
    let flexes = layout.flexes.iter().enumerate();
    let capped = flexes.map(|(index, &(_, most))| (most, (0..layout.classes).map(|class| layout.flexed(index, class)).collect()));
    let limits: Vec<(f64, Vec<usize>)> = there.chain(capped).collect();
    for (limit, (most, columns)) in limits.into_iter().enumerate() {
        if most.is_finite() {
            let mut row: Vec<(usize, f64)> = columns.into_iter().map(|column| (column, 1.0)).collect();
            row.push((layout.slack(limit), 1.0));
            tableau.row(&row, most, layout.slack(limit));
        }
    }
}

fn read(
    problem: &Problem,
    layout: &Layout,
    tableau: &Tableau,
    costs: &[f64],
    price: impl Fn(usize) -> f64,
    missing: f64,
) -> Served {
    let values = tableau.values();
    let mut flex = vec![0.0; problem.flexes.len()];
    for (index, &(option, _)) in layout.flexes.iter().enumerate() {
        flex[option] = (0..layout.classes).map(|class| values[layout.flexed(index, class)]).sum();
    }
    let short: Vec<f64> = (0..layout.classes).map(|class| values[Layout::short(class)]).collect();
    let worth =
        (0..layout.classes).map(|class| costs[Layout::short(class)] - tableau.reduced(Layout::short(class))).map(|w| w.max(0.0));
    let used: f64 = flex.iter().enumerate().filter(|(_, units)| **units > 0.0).map(|(option, units)| units * price(option)).sum();
    Served { cost: used + missing * short.iter().sum::<f64>(), worth: worth.collect(), flex, short }
}

/// A period over all scenarios, the floor of service kept where it can be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Period {
    /// Expected discounted cost of recourse.
    pub cost: f64,
    /// Discounted cost by scenario.
    pub costs: Vec<f64>,
    /// CU that are not served, by scenario and class.
    pub short: Vec<Vec<f64>>,
    /// Units of each flexible option, by scenario.
    pub flex: Vec<Vec<f64>>,
    /// Total probability of the scenarios that are short, by class.
    pub probability: Vec<f64>,
    /// By how many CU the floor of service is missed at least; zero when it is kept.
    pub missed: f64,
}

/// Serves a period in every scenario at the least expected cost that keeps the floor of service.
#[must_use]
pub fn period(problem: &Problem, period: usize, units: &[f64]) -> Period {
    let classes = problem.classes.len();
    let free = vec![false; classes];
    let scenarios = 0..problem.scenarios.len();
    let served: Vec<Served> = scenarios.map(|scenario| serve(problem, period, scenario, units, &free)).collect();
    let relaxed = gather(problem, served);
    match problem.service {
        Some(floor) if relaxed.probability.iter().any(|p| *p > 1.0 - floor + super::problem::ROUNDING) => {
            super::floor::keep(problem, period, units, relaxed)
        }
        _ => relaxed,
    }
}

/// Puts what the scenarios came to together.
#[must_use]
pub fn gather(problem: &Problem, served: Vec<Served>) -> Period {
    let mut period = Period { probability: vec![0.0; problem.classes.len()], ..Period::default() };
    for (scenario, served) in problem.scenarios.iter().zip(served) {
        period.cost += scenario.weight * served.cost;
        period.costs.push(served.cost);
        for (total, short) in period.probability.iter_mut().zip(&served.short) {
            *total += if *short > SHORT { scenario.probability } else { 0.0 };
        }
        period.short.push(served.short);
        period.flex.push(served.flex);
    }
    period
}
