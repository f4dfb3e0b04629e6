//! How often a healthy fleet has a slow node, and how often a slow node is found, by size and spread: the table of `docs/judging.md`.

use crate::random::Random;
use assay::judge::peers;

const SIZES: [usize; 5] = [5, 8, 16, 64, 200];
const SPREADS: [f64; 4] = [0.005, 0.01, 0.02, 0.03];

/// Nodes that vary normally, in metrics of their own; the first `slow.0` lack `slow.1` in all.
fn fleet(random: &mut Random, nodes: usize, metrics: usize, spread: f64, slow: (usize, f64)) -> peers::Peers {
    let lacks = |node: usize| if node < slow.0 { (1.0 - slow.1).ln() } else { 0.0 };
    let mut column = || (0..nodes).map(|node| random.normal(spread) + lacks(node)).collect();
    peers::Peers {
        nodes: (0..nodes).map(|node| format!("n{node}")).collect(),
        groups: vec![String::new(); nodes],
        metrics: (0..metrics).map(|metric| format!("m{metric}")).collect(),
        logs: (0..metrics).map(|_| column()).collect(),
        ..peers::Peers::default()
    }
}

/// Shares of fleets in which a healthy node is slow, and is suspected; or, where one lacks this much, in which it is.
fn shares(nodes: usize, metrics: usize, spread: f64, lacks: f64) -> (f64, f64) {
    let count = if nodes > 100 { 150 } else { 400 };
    let mut random = Random::new(5);
    let (mut slow, mut named) = (0, 0);
    for _ in 0..count {
        let slow_nodes = usize::from(lacks > 0.0);
        let judged = peers::judge(&fleet(&mut random, nodes, metrics, spread, (slow_nodes, lacks))).expect("enough");
        let mut meant = judged.outliers.iter().filter(|outlier| slow_nodes == 0 || outlier.node == "n0");
        let is_named = meant.clone().next().is_some();
        (slow, named) = (slow + usize::from(meant.any(|outlier| outlier.slow)), named + usize::from(is_named));
    }
    let share = |fleets: usize| fleets as f64 / f64::from(count);
    (share(slow), share(named))
}

#[test]
fn few_healthy_fleets_have_a_slow_node_whatever_their_size() {
    println!("nodes, spread: healthy with a slow node in 1 and in 3 metrics | 5 % behind slow, named | 10 % behind slow, named");
    for nodes in SIZES {
        for spread in SPREADS {
            let healthy = [1, 3].map(|metrics| shares(nodes, metrics, spread, 0.0).0);
            let (mild, bad) = (shares(nodes, 1, spread, 0.05), shares(nodes, 1, spread, 0.10));
            let percent = |share: f64| format!("{:.1}", 100.0 * share);
            let all = [healthy[0], healthy[1], mild.0, mild.1, bad.0, bad.1].map(percent);
            println!("{nodes} {:.1} %: {}", 100.0 * spread, all.join(" "));
            if spread <= 0.02 {
                assert!(healthy.iter().all(|share| *share <= 0.05), "{nodes} {spread}: {healthy:?}");
            }
            if spread == 0.01 {
                let least = if nodes < 16 { (0.35, 0.55) } else { (0.6, 0.75) };
                assert!(mild.0 >= least.0 && mild.1 >= least.1 && bad.0 >= 0.99, "{nodes}: {mild:?} {bad:?}");
            }
        }
    }
}

#[test]
fn a_fleet_of_two_groups_is_called_one() {
    let mut random = Random::new(9);
    for nodes in SIZES {
        let count = 100;
        let mut of = |slow: usize, spread: f64, lacks: f64| {
            let said = (0..count).filter(|_| {
                let judged = peers::judge(&fleet(&mut random, nodes, 1, spread, (slow, lacks))).expect("enough");
                !judged.halves.is_empty() || judged.outliers.len() >= slow.max(1)
            });
            said.count()
        };
        let (halves, one) = (of(nodes / 2, 0.005, 0.10), of(0, 0.01, 0.0));
        println!("{nodes} nodes: two groups said of {halves} of {count} that are, and of {one} that are not");
        assert!(halves == count && one <= 2, "{nodes}: {halves} {one}");
    }
}
