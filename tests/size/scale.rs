//! Generated instances of the size that buyers have: the gap is reckoned anew by the evaluator, and time is bounded.

use assay::reserve::{Effort, FLEETS, Problem, Shape, evaluate, generate, solve};
use std::time::{Duration, Instant};

fn instance(seed: u64, types: usize, periods: usize, scenarios: usize) -> Problem {
    let fleet = FLEETS[(seed as usize - 1) % FLEETS.len()];
    generate(seed, Shape { types, periods, scenarios, fleet }).problem().expect("well formed")
}

/// Solves an instance; the plan keeps every constraint, and is within 2 % of the bound or within one unit of the dearest type.
fn near_its_bound(problem: &Problem) -> Duration {
    let begin = Instant::now();
    let solved = solve(problem, Effort::default()).expect("solved");
    let took = begin.elapsed();
    let anew = evaluate(problem, &solved.plan);
    assert!(anew.feasible() && anew == solved.evaluation, "{}: {:?}", problem.id, anew.broken);
    let dearest = problem.slots.iter().map(|slot| slot.cost).fold(0.0, f64::max);
    let over = anew.cost - solved.bound;
    assert!(over >= -1e-9 * anew.cost && solved.bound > 0.5 * anew.cost, "{}: {} of {}", problem.id, solved.bound, anew.cost);
    assert!(over <= (0.02 * solved.bound).max(dearest), "{}: {over} above {}", problem.id, solved.bound);
    assert!((solved.fractional - solved.relaxed).abs() <= 1e-3 * solved.relaxed, "{}: the two sides disagree", problem.id);
    took
}

#[test]
fn large_instances_are_solved_near_their_bound_in_time() {
    for seed in 1..=10 {
        let took = near_its_bound(&instance(seed, 20, 84, 100));
        assert!(took < Duration::from_secs(30), "seed {seed} took {took:?}");
    }
}

#[test]
fn middling_instances_are_solved_near_their_bound_in_time() {
    for seed in 1..=10 {
        let took = near_its_bound(&instance(seed, 5, 36, 50));
        // 2 s on a core of its own; tests share theirs.
        assert!(took < Duration::from_secs(6), "seed {seed} took {took:?}");
    }
}

#[test]
fn the_same_instance_has_the_same_plan() {
    let problem = instance(2, 5, 24, 20);
    let solve = || solve(&problem, Effort::default()).expect("solved");
    let first = solve();
    let again: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(solve)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert!(again.iter().all(|other| *other == first), "whatever thread solves it");
}
