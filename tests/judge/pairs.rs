//! Comparisons over the open data and over draws: false alarms, power, coverage.

use crate::pair_draws::{Case, Noise, draw};
use assay::judge::{locate, pair};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Open {
    id: String,
    higher_is_better: bool,
    baseline: Vec<Vec<f64>>,
    candidate: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct Truth {
    truth_ratio: f64,
    noise: String,
}

fn open() -> Vec<Case> {
    let cases: Vec<Open> = serde_json::from_str(include_str!("data/pairs.json")).expect("cases");
    let mut truth: BTreeMap<String, Truth> = serde_json::from_str(include_str!("data/pairs_truth.json")).expect("answers");
    let case = |open: Open| {
        let Truth { truth_ratio: ratio, noise: kind } = truth.remove(&open.id).expect("an answer for every case");
        let Open { higher_is_better, baseline, candidate, .. } = open;
        Case { kind, ratio, higher_is_better, baseline, candidate }
    };
    cases.into_iter().map(case).collect()
}

pub fn judged(case: &Case) -> pair::Judged {
    let side =
        |runs: &[Vec<f64>]| -> Vec<_> { runs.iter().map(|run| locate(run, case.higher_is_better).expect("samples")).collect() };
    pair::judge(&side(&case.baseline), &side(&case.candidate), &pair::Terms::default()).expect("runs on both sides")
}

/// Parts of a whole, 0 to 1.
#[derive(Debug)]
struct Score {
    false_alarms: f64,
    false_improved: f64,
    coverage: f64,
    /// By drop in per mille.
    power: BTreeMap<u32, f64>,
    false_ok: usize,
}

fn score(cases: &[Case]) -> Score {
    let all: Vec<(f64, pair::Judged)> = cases.iter().map(|case| (case.ratio, judged(case))).collect();
    let share = |of: &dyn Fn(f64) -> bool, is: &dyn Fn(f64, &pair::Judged) -> bool| {
        let those: Vec<_> = all.iter().filter(|(ratio, _)| of(*ratio)).collect();
        those.iter().filter(|(ratio, judged)| is(*ratio, judged)).count() as f64 / those.len() as f64
    };
    let regressed = |_: f64, judged: &pair::Judged| judged.verdict == pair::Verdict::Regressed;
    let power = [0.995, 0.99, 0.98, 0.95, 0.9]
        .map(|drop: f64| (((1.0 - drop) * 1000.0).round() as u32, share(&|ratio| ratio == drop, &regressed)));
    Score {
        false_alarms: share(&|ratio| ratio == 1.0, &regressed),
        false_improved: share(&|ratio| ratio == 1.0, &|_, judged| judged.verdict == pair::Verdict::Improved),
        coverage: share(&|_| true, &|ratio, judged| (judged.ratio.low..=judged.ratio.high).contains(&ratio)),
        power: power.into(),
        false_ok: all.iter().filter(|(ratio, judged)| *ratio <= 0.95 && judged.verdict == pair::Verdict::Ok).count(),
    }
}

#[test]
fn the_open_pairs_are_judged_right() {
    let score = score(&open());
    println!("open pairs: {score:?}");
    assert!(open().iter().all(|case| crate::pair_draws::KINDS.contains(&case.kind.as_str())), "draws have every kind of noise");
    assert!(score.false_alarms <= 0.05 && score.coverage >= 0.93 && score.false_ok == 0, "one of twenty is 5 %: {score:?}");
    assert!(score.power[&10] >= 0.75 && score.power[&20] >= 0.96 && score.power[&50] == 1.0 && score.power[&100] == 1.0);
}

#[test]
fn draws_are_judged_right_whatever_their_noise() {
    // The last rows are noisier than the open data: there power may fall, honesty may not.
    for (within, between, power) in [(1.0, 1.0, 0.85), (0.7, 0.6, 0.9), (1.4, 1.0, 0.78), (1.0, 1.5, 0.70), (1.3, 1.4, 0.70)] {
        let score = score(&draw((1000.0 * within + 10.0 * between) as u64, 4000, Noise { within, between }));
        println!("within {within} between {between}: {score:?}");
        assert!(score.false_alarms <= 0.03 && score.false_improved <= 0.03 && score.coverage >= 0.93, "{score:?}");
        assert!(score.power[&10] >= power && score.power[&20] >= 0.96 && score.power[&50] >= 0.995, "{score:?}");
        assert_eq!(score.false_ok, 0, "{score:?}");
    }
}

#[test]
fn identical_runs_are_never_a_regression() {
    let mut random = crate::random::Random::new(5);
    let case = &draw(9, 1, Noise { within: 1.0, between: 1.0 })[0];
    let run = locate(&case.baseline[0], case.higher_is_better).expect("samples");
    let alike = vec![run; 12];
    for _ in 0..1000 {
        let cut = random.whole(1, 12);
        let judged = pair::judge(&alike[..cut], &alike[cut..], &pair::Terms::default()).expect("both sides");
        assert_eq!(judged.verdict, pair::Verdict::Ok);
    }
}

#[test]
fn one_run_split_at_random_is_never_a_regression() {
    let mut random = crate::random::Random::new(6);
    let cases = draw(10, 250, Noise { within: 1.4, between: 1.0 });
    for split in 0..1000 {
        let case = &cases[split % cases.len()];
        let samples = &case.baseline[split % case.baseline.len()];
        let (mut before, mut after) = (vec![samples[0]], vec![samples[1]]);
        for sample in &samples[2..] {
            if random.chance(0.5) { before.push(*sample) } else { after.push(*sample) }
        }
        let run = |side: &[f64]| locate(side, case.higher_is_better).expect("samples");
        let judged = pair::judge(&[run(&before)], &[run(&after)], &pair::Terms::default()).expect("both sides");
        assert_ne!(judged.verdict, pair::Verdict::Regressed, "{} split {split}: {judged:?}", case.kind);
    }
}

/// A run that stays at a level 10 % below the other for this part of the time.
fn of_levels(random: &mut crate::random::Random, low: f64) -> Vec<f64> {
    const STAY: f64 = 6.0;
    let mut is_low = random.chance(low);
    let samples = (0..100).map(|_| {
        let leaves = if is_low { 1.0 / (STAY * 2.0 * low) } else { 1.0 / (STAY * 2.0 * (1.0 - low)) };
        is_low ^= random.chance(leaves);
        (if is_low { 90.0 } else { 100.0 }) * (1.0 + random.normal(0.002))
    });
    samples.collect()
}

/// Level by level both sides are alike; what is lost is lost by staying longer at the lower one.
#[test]
fn more_time_at_the_lower_level_is_not_passed_over() {
    const CASES: usize = 120;
    let mut random = crate::random::Random::new(8);
    for (after, loss) in [(0.3, 0.0), (0.5, 0.021), (0.6, 0.031)] {
        for (baseline, candidate) in [(3, 1), (5, 3)] {
            let mut counts = BTreeMap::new();
            for _ in 0..CASES {
                let mut side = |runs: usize, low: f64| (0..runs).map(|_| of_levels(&mut random, low)).collect::<Vec<_>>();
                let (baseline, candidate) = (side(baseline, 0.3), side(candidate, after));
                let case = Case { kind: "levels".into(), ratio: 1.0 - loss, higher_is_better: true, baseline, candidate };
                *counts.entry(judged(&case).verdict).or_insert(0) += 1;
            }
            println!("a loss of {loss} by time at the lower level, {baseline} v {candidate}: {counts:?}");
            let of = |verdict| counts.get(&verdict).copied().unwrap_or(0);
            if loss > 0.0 {
                assert!(of(pair::Verdict::Ok) * 20 <= CASES, "{loss}: {counts:?}");
            } else {
                assert!(of(pair::Verdict::Regressed) * 20 <= CASES, "{counts:?}");
            }
        }
    }
}
