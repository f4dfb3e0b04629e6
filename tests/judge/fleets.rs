//! Slow nodes over the open data and over draws, beside the reference method on the same draws.

use crate::{
    fleet_draws::{Fleet, Kind, METRICS, OPEN, SIZES, SMALL_SIZES, draw, one},
    oracle,
    random::Random,
    reference,
};
use assay::judge::peers;
use std::{collections::BTreeSet, time::Instant};

pub fn open() -> Vec<Fleet> {
    let mut fleets: Vec<(String, Fleet)> = Vec::new();
    for row in include_str!("data/fleets.csv").lines().skip(1) {
        let fields: Vec<&str> = row.split(',').collect();
        if fleets.last().is_none_or(|(name, _)| name != fields[0]) {
            let metrics = METRICS.map(str::to_owned).to_vec();
            let peers = peers::Peers { metrics, logs: vec![Vec::new(); 3], ..peers::Peers::default() };
            fleets.push((fields[0].into(), Fleet { peers, slow: BTreeSet::new(), drawn: None }));
        }
        let peers = &mut fleets.last_mut().expect("just pushed").1.peers;
        peers.nodes.push(fields[1].into());
        peers.groups.push(fields[2].into());
        for (logs, field) in peers.logs.iter_mut().zip(&fields[3..]) {
            logs.push(field.parse::<f64>().expect("a value").ln());
        }
    }
    for row in include_str!("data/fleets_truth.csv").lines().skip(1) {
        let fields: Vec<&str> = row.split(',').collect();
        let (_, fleet) = fleets.iter_mut().find(|(name, _)| name == fields[0]).expect("a fleet of that name");
        let node = fleet.peers.nodes.iter().position(|node| node == fields[1]).expect("a node of that name");
        fleet.slow.insert(node);
    }
    fleets.into_iter().map(|(_, fleet)| fleet).collect()
}

#[derive(Debug, Default)]
pub struct Score {
    right: usize,
    wrong: usize,
    missed: usize,
    healthy: usize,
    /// Sum of each fleet's own F1, and how many fleets.
    each: f64,
    fleets: usize,
}

impl Score {
    fn add(&mut self, other: &Self) {
        self.right += other.right;
        self.wrong += other.wrong;
        self.missed += other.missed;
        self.healthy += other.healthy;
        self.each += other.each;
        self.fleets += other.fleets;
    }

    pub fn pooled(&self) -> f64 {
        2.0 * self.right as f64 / (2 * self.right + self.wrong + self.missed) as f64
    }

    pub fn mean(&self) -> f64 {
        self.each / self.fleets as f64
    }

    pub fn false_per_thousand(&self) -> f64 {
        1000.0 * self.wrong as f64 / self.healthy as f64
    }
}

pub fn score(fleets: &[Fleet], all: &[BTreeSet<usize>]) -> Score {
    let mut score = Score::default();
    for (fleet, found) in fleets.iter().zip(all) {
        let right = found.intersection(&fleet.slow).count();
        score.right += right;
        score.wrong += found.len() - right;
        score.missed += fleet.slow.len() - right;
        score.healthy += fleet.peers.nodes.len() - fleet.slow.len();
        score.each += 2.0 * right as f64 / (found.len() + fleet.slow.len()) as f64;
        score.fleets += 1;
    }
    score
}

pub fn found(fleets: &[Fleet]) -> Vec<BTreeSet<usize>> {
    let index = |name: &str| name[1..].parse().expect("a number");
    let judged = fleets.iter().map(|fleet| peers::judge(&fleet.peers).expect("a fleet"));
    judged.map(|judged| judged.outliers.iter().map(|outlier| index(&outlier.node)).collect()).collect()
}

pub fn reference(fleets: &[Fleet]) -> Vec<BTreeSet<usize>> {
    fleets.iter().map(reference::outliers).collect()
}

#[test]
fn the_open_fleets_are_read_right() {
    let fleets = open();
    let score = score(&fleets, &found(&fleets));
    println!("open fleets: pooled {:.3} mean {:.3} {score:?}", score.pooled(), score.mean());
    assert!(score.pooled() >= 0.90 && score.mean() >= 0.95 && score.false_per_thousand() <= 1.5, "{score:?}");
}

/// Three judges of the same draws.
#[derive(Debug, Default)]
struct Judges {
    ours: Score,
    reference: Score,
    oracle: Score,
}

/// Over draws of some seeds.
fn judges(name: &str, files: usize, sizes: &[usize], kind: &Kind) -> Judges {
    let mut all = Judges::default();
    for seed in 1..=3 {
        let fleets = draw(seed, files, sizes, kind);
        all.ours.add(&score(&fleets, &found(&fleets)));
        all.reference.add(&score(&fleets, &reference(&fleets)));
        all.oracle.add(&score(&fleets, &fleets.iter().map(oracle::outliers).collect::<Vec<_>>()));
    }
    for (whose, score) in [("ours", &all.ours), ("reference", &all.reference), ("oracle", &all.oracle)] {
        let (pooled, mean, wrong) = (score.pooled(), score.mean(), score.false_per_thousand());
        println!("{name}, {whose}: pooled {pooled:.4} mean {mean:.4} false {wrong:.2} a thousand");
    }
    all
}

/// In the mean over fleets by two hundredths. Pooled, where large fleets decide, not even the oracle is better by that.
#[test]
fn draws_are_read_better_than_by_the_reference() {
    let noisy = Kind { error: 0.006, ..OPEN };
    let tight = Kind { spread: (0.010, 0.025), ..OPEN };
    let mild = Kind { severity: (0.05, 0.10), ..OPEN };
    for (name, kind) in [("as the open data", OPEN), ("noisy", noisy), ("tight", tight), ("mild", mild)] {
        let small = format!("{name}, small");
        for (name, files, sizes, least) in [(name, 40, &SIZES[..], 0.010), (&small, 100, &SMALL_SIZES[..], 0.015)] {
            let Judges { ours, reference, oracle } = judges(name, files, sizes, &kind);
            let gain = |score: &Score| (score.pooled() - reference.pooled(), score.mean() - reference.mean());
            let ((pooled, mean), most) = (gain(&ours), gain(&oracle));
            println!("{name}: {pooled:+.4} pooled, {mean:+.4} mean over the reference; the oracle {:+.4}, {:+.4}", most.0, most.1);
            assert!(mean >= 0.02 && pooled >= least && ours.false_per_thousand() <= 1.5, "{name}: {ours:?}");
            // Of these fleets each has a slow node, as the oracle is told; most that are looked at have none, which is what is expected.
            assert!(pooled >= most.0 - 0.02, "{name}: {pooled} of {}", most.0);
        }
    }
}

#[test]
fn healthy_fleets_and_long_tails_raise_few_alarms() {
    let healthy = Kind { share: (0.0, 0.0), ..OPEN };
    let fleets = draw(11, 40, &SIZES, &healthy);
    let wrong = score(&fleets, &found(&fleets)).false_per_thousand();
    println!("healthy fleets: {wrong:.2} false a thousand");
    assert!(wrong <= 1.0, "{wrong}");
    let skewed = Kind { skew: 1.6, spread: (0.010, 0.020), ..OPEN };
    let fleets = draw(12, 40, &SIZES, &skewed);
    let (ours, theirs) = (score(&fleets, &found(&fleets)), score(&fleets, &reference(&fleets)));
    println!("skewed: ours {:.2} false a thousand, reference {:.2}", ours.false_per_thousand(), theirs.false_per_thousand());
    assert!(ours.false_per_thousand() <= 1.5, "{ours:?}");
    let long = Kind { tails: Some(8), ..OPEN };
    let fleets = draw(13, 40, &SIZES, &long);
    let (ours, theirs) = (score(&fleets, &found(&fleets)), score(&fleets, &reference(&fleets)));
    let gain = ours.pooled() - theirs.pooled();
    println!(
        "long tails: {gain:+.4} pooled, {:.2} false a thousand, reference {:.2}",
        ours.false_per_thousand(),
        theirs.false_per_thousand()
    );
    assert!(ours.false_per_thousand() <= 1.5 && gain >= 0.03, "{ours:?} {theirs:?}");
}

#[test]
fn a_hundred_thousand_nodes_take_moments() {
    let fleet = one(&mut Random::new(7), 100_000, &OPEN);
    let once = || {
        let begin = Instant::now();
        let found = found(std::slice::from_ref(&fleet)).remove(0);
        (begin.elapsed().as_secs_f64(), found)
    };
    let (seconds, found) = (0..3).map(|_| once()).min_by(|a, b| a.0.total_cmp(&b.0)).expect("three");
    println!("100,000 nodes: {seconds:.3} s, {} found of {}", found.len(), fleet.slow.len());
    // Other work on the same machine may take most of the time; the bench holds it to a second.
    assert!(seconds < 5.0 && !found.is_empty() && found.intersection(&fleet.slow).count() * 10 > found.len() * 8);
}
