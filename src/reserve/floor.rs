//! The floor of service where the cheapest recourse falls below it: which scenarios are served after all, at what price.
//!
//! A scenario may be served by flexible capacity that is dearer than the penalty, or by splitting shared units otherwise. Which
//! scenarios are left short is then a choice of its own, made exactly by a search over the scenarios that are in doubt.

use super::{
    problem::{Problem, ROUNDING, SHORT},
    serve::{Period, Served, gather, serve},
};

/// Nodes of the search; past them the best that was found stands.
const NODES: usize = 200_000;

/// One way to treat a scenario: what it comes to, and which classes are then short.
struct Way {
    served: Served,
    short: Vec<bool>,
}

/// Serves a period so that the floor is kept, at the least cost; or says by how much it is missed at least.
pub fn keep(problem: &Problem, period: usize, units: &[f64], relaxed: Period) -> Period {
    let allowed = 1.0 - problem.service.unwrap_or(0.0) + ROUNDING;
    let ways: Vec<Vec<Way>> =
        (0..problem.scenarios.len()).map(|scenario| ways(problem, period, scenario, units, &relaxed)).collect();
    let mut search = Search { problem, ways: &ways, allowed, best: None, nodes: 0 };
    search.go(0, 0.0, &mut vec![0.0; problem.classes.len()], &mut Vec::new());
    match search.best {
        Some((_, choice)) => {
            let chosen = ways.iter().zip(choice).map(|(ways, way)| ways[way].served.clone());
            gather(problem, chosen.collect())
        }
        None => Period { missed: missed(problem, &ways, allowed), ..relaxed },
    }
}

/// The ways of a scenario, the cheapest first: each set of classes that may be forced, where forcing succeeds.
fn ways(problem: &Problem, period: usize, scenario: usize, units: &[f64], relaxed: &Period) -> Vec<Way> {
    let classes = problem.classes.len();
    if relaxed.short[scenario].iter().all(|short| *short <= SHORT) {
        let served = serve(problem, period, scenario, units, &vec![false; classes]);
        return vec![Way { served, short: vec![false; classes] }];
    }
    let sets = (0..1_u32 << classes.min(16)).map(|set| (0..classes).map(|class| set >> class & 1 == 1).collect::<Vec<bool>>());
    let mut ways: Vec<Way> = sets
        .map(|forced| (serve(problem, period, scenario, units, &forced), forced))
        .map(|(served, _)| Way { short: served.short.iter().map(|short| *short > SHORT).collect(), served })
        .collect();
    ways.sort_by(|a, b| a.served.cost.total_cmp(&b.served.cost));
    // A way is worth trying when no cheaper one is short in no more classes.
    let mut kept: Vec<Way> = Vec::new();
    for way in ways {
        let covers = |other: &Way| other.short.iter().zip(&way.short).all(|(other, way)| !other || *way);
        if !kept.iter().any(covers) {
            kept.push(way);
        }
    }
    kept
}

struct Search<'a> {
    problem: &'a Problem,
    ways: &'a [Vec<Way>],
    allowed: f64,
    best: Option<(f64, Vec<usize>)>,
    nodes: usize,
}

impl Search<'_> {
    fn go(&mut self, scenario: usize, cost: f64, short: &mut Vec<f64>, choice: &mut Vec<usize>) {
        self.nodes += 1;
        if self.nodes > NODES || self.best.as_ref().is_some_and(|(best, _)| cost >= *best) {
            return;
        }
        if scenario == self.ways.len() {
            self.best = Some((cost, choice.clone()));
            return;
        }
        let probability = self.problem.scenarios[scenario].probability;
        let weight = self.problem.scenarios[scenario].weight;
        for (index, way) in self.ways[scenario].iter().enumerate() {
            let before = short.clone();
            for (total, short) in short.iter_mut().zip(&way.short) {
                *total += if *short { probability } else { 0.0 };
            }
            if short.iter().all(|total| *total <= self.allowed) {
                choice.push(index);
                self.go(scenario + 1, cost + weight * way.served.cost, short, choice);
                choice.pop();
            }
            *short = before;
        }
    }
}

/// The least CU that must be added so that enough scenarios are served, each class on its own: a floor of the miss.
fn missed(problem: &Problem, ways: &[Vec<Way>], allowed: f64) -> f64 {
    let classes = problem.classes.len();
    let least =
        |scenario: usize, class: usize| ways[scenario].iter().map(|way| way.served.short[class]).fold(f64::INFINITY, f64::min);
    let by_class = (0..classes).map(|class| {
        let mut needs: Vec<(f64, f64)> =
            (0..ways.len()).map(|scenario| (least(scenario, class), problem.scenarios[scenario].probability)).collect();
        needs.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut left = allowed;
        needs.into_iter().find_map(|(need, probability)| {
            left -= probability;
            (left < 0.0).then_some(need)
        })
    });
    let worst = by_class.map(|need| need.unwrap_or(0.0)).fold(0.0, f64::max);
    // Each class alone can be served, all together cannot: the least that any scenario lacks says how much.
    let together = || {
        let totals = ways.iter().filter(|ways| ways[0].short.iter().any(|short| *short));
        totals.map(|ways| ways.iter().map(|way| way.served.short.iter().sum()).fold(f64::INFINITY, f64::min)).fold(0.0, f64::max)
    };
    if worst > SHORT { worst } else { together() }
}
