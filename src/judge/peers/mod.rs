//! Nodes that are slower than their peers.
//!
//! 1. Every metric is taken as a logarithm, less the fleet's median and less its group's own, which counts the more the larger the
//!    group: a rack may differ by a percent or two without a fault.
//! 2. What healthy nodes vary by, and how metrics vary together, is told robustly. Of a fleet skewed to the left the lower side
//!    counts. Few nodes tell little: there what fleets usually vary by is weighed in, and tails are those of Student's t.
//! 3. Each node is weighed: healthy, or slow by some percent in one metric, in metrics that go together, or in all (a mixture, whose
//!    share of slow nodes is found along; Efron's local false discovery rate, 2008). Metrics that go together thus confirm each other
//!    where one alone would not do.
//! 4. Out of the peers is who is more likely slow than healthy, and by at least three percent.

mod likely;
mod spread;

use super::sample::{quantile, sorted};
use crate::record::Interval;
use serde::Serialize;
use spread::Fleet;
use std::collections::BTreeMap;

/// A deficit smaller than this is no fault of a node.
const LEAST: f64 = 0.03;
/// Out of the peers is who is slow with at least this probability.
const PROBABLE: f64 = 0.4;
/// Nodes without which there are no peers.
pub const FEWEST: usize = 5;
/// Healthy nodes that are measured again beside the slow ones, so that the second look has something to hold them against.
const CONTROLS: usize = 2;

/// Nodes of one fleet, measured alike.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Peers {
    pub nodes: Vec<String>,
    /// Rack or cooling zone of each node; alike where nothing is known.
    pub groups: Vec<String>,
    pub metrics: Vec<String>,
    /// By metric, then by node: logarithm of performance, more is better; not a number where a node has none.
    pub logs: Vec<Vec<f64>>,
}

/// One metric of an outlying node against its peers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Behind {
    pub metric: String,
    /// What it lacks to the median of its peers, as a part of that.
    pub deficit: f64,
    /// 95 % interval, by how well the median is known.
    pub low: f64,
    pub high: f64,
    /// Robust standard deviations below the median.
    pub deviations: f64,
}

/// A node that is slower than its peers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outlier {
    pub node: String,
    pub group: String,
    /// The metric in which it is behind most, and by how much.
    #[serde(flatten)]
    pub worst: Behind,
    /// Place from the slow end in that metric, from 1, of so many nodes.
    pub rank: usize,
    pub of: usize,
    /// That it is slow and not merely the last of the healthy.
    pub probability: f64,
    /// Every metric in which it is behind by enough to matter.
    pub behind: Vec<Behind>,
}

/// A fleet as it was judged.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judged {
    /// The slowest first.
    pub outliers: Vec<Outlier>,
    /// To be measured again: every outlier, and healthy nodes beside them.
    pub confirm: Vec<String>,
    /// By metric: standard deviation of healthy nodes as a part of the median.
    pub spread: Vec<(String, f64)>,
    pub nodes: usize,
}

/// Judges fleets; nothing of one that is too small to have peers. What a metric varies by in the other fleets helps a small one.
#[must_use]
pub fn fleets(fleets: &[Peers]) -> Vec<Option<Judged>> {
    let mut known: BTreeMap<&String, Vec<(usize, f64)>> = BTreeMap::new();
    for (which, peers) in fleets.iter().enumerate() {
        for (metric, logs) in peers.metrics.iter().zip(&peers.logs) {
            let found = spread::robust(logs);
            if found > 0.0 {
                known.entry(metric).or_default().push((which, found.ln()));
            }
        }
    }
    let usual = |of: usize, metric: &String| {
        let others = known.get(metric).into_iter().flatten().filter(|(which, _)| *which != of);
        let middle = median(others.map(|(_, found)| *found));
        middle.is_finite().then(|| middle.exp())
    };
    let each = fleets
        .iter()
        .enumerate()
        .map(|(which, peers)| outliers(peers, &peers.metrics.iter().map(|metric| usual(which, metric)).collect::<Vec<_>>()));
    each.collect()
}

fn outliers(peers: &Peers, usual: &[Option<f64>]) -> Option<Judged> {
    // A large fleet has told what there is to tell after two.
    let rounds = if peers.nodes.len() > 1000 { 2 } else { 4 };
    let mut fleet = Fleet::of(peers, usual)?;
    let mut probabilities = likely::probabilities(&fleet);
    for _ in 0..rounds {
        fleet.reweigh(&probabilities.iter().map(|slow| 1.0 - slow).collect::<Vec<_>>());
        probabilities = likely::probabilities(&fleet);
    }
    let mut found: Vec<Outlier> = probabilities
        .iter()
        .enumerate()
        .filter(|(_, probability)| **probability >= PROBABLE)
        .filter_map(|(node, probability)| outlier(peers, &fleet, node, *probability))
        .collect();
    found.sort_by(|a, b| b.worst.deficit.total_cmp(&a.worst.deficit).then_with(|| a.node.cmp(&b.node)));
    let confirm = confirm(peers, &found);
    let spread = peers.metrics.iter().cloned().zip(fleet.deviations.iter().copied()).collect();
    Some(Judged { outliers: found, confirm, spread, nodes: peers.nodes.len() })
}

/// The outliers, and healthy nodes spread over the fleet.
fn confirm(peers: &Peers, found: &[Outlier]) -> Vec<String> {
    let slow: std::collections::BTreeSet<&String> = found.iter().map(|outlier| &outlier.node).collect();
    let healthy: Vec<&String> = peers.nodes.iter().filter(|node| !slow.contains(node)).collect();
    let controls = if found.is_empty() { 0 } else { CONTROLS.min(healthy.len()) };
    let chosen = (0..controls).map(|which| healthy[(2 * which + 1) * healthy.len() / (2 * controls)].clone());
    found.iter().map(|outlier| outlier.node.clone()).chain(chosen).collect()
}

/// Nothing where the node is behind by too little to matter.
fn outlier(peers: &Peers, fleet: &Fleet, node: usize, probability: f64) -> Option<Outlier> {
    let metrics = (0..peers.metrics.len()).filter(|metric| fleet.centred[*metric][node].is_finite());
    let mut behind: Vec<(usize, Behind)> = metrics.map(|metric| (metric, at(peers, fleet, metric, node))).collect();
    behind.retain(|(_, behind)| behind.deficit >= LEAST);
    behind.sort_by(|a, b| b.1.deficit.total_cmp(&a.1.deficit));
    let (metric, worst) = behind.first()?.clone();
    let own = fleet.centred[metric][node];
    let values = || fleet.centred[metric].iter().filter(|value| value.is_finite());
    Some(Outlier {
        node: peers.nodes[node].clone(),
        group: peers.groups[node].clone(),
        worst,
        rank: 1 + values().filter(|value| **value < own).count(),
        of: values().count(),
        probability,
        behind: behind.into_iter().map(|(_, behind)| behind).collect(),
    })
}

fn at(peers: &Peers, fleet: &Fleet, metric: usize, node: usize) -> Behind {
    let log = fleet.centred[metric][node];
    let Interval { value, low, high } = fleet.deficit(metric, log);
    Behind { metric: peers.metrics[metric].clone(), deficit: value, low, high, deviations: log / fleet.deviations[metric] }
}

/// Median of the finite values; not a number of none.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    quantile(&sorted(&values.filter(|value| value.is_finite()).collect::<Vec<_>>()), 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(peers: &Peers) -> Option<Judged> {
        fleets(std::slice::from_ref(peers)).remove(0)
    }

    /// Nodes in two metrics that go together, and one of its own.
    fn peers(nodes: usize) -> Peers {
        let wobble = |at: usize, by: usize| (at * by % 101) as f64 / 100.0 - 0.5;
        let own = |by: usize| (0..nodes).map(|at| 0.04 * wobble(at, by)).collect::<Vec<f64>>();
        let together = own(7_919);
        let second = together.iter().zip(own(3_571)).map(|(first, rest)| first + 0.1 * rest).collect();
        Peers {
            nodes: (0..nodes).map(|at| format!("n{at}")).collect(),
            groups: vec!["g".into(); nodes],
            metrics: ["a", "b", "c"].map(str::to_owned).to_vec(),
            logs: vec![together, second, own(5_003)],
        }
    }

    #[test]
    fn the_slow_are_found_and_the_healthy_let_alone() {
        for nodes in [16, 40, 300] {
            let mut fleet = peers(nodes);
            assert_eq!(judged(&fleet).expect("enough").outliers, [], "{nodes}");
            fleet.logs[0][5] -= 0.12;
            fleet.logs[1][5] -= 0.12;
            fleet.logs[2][11] -= 0.12;
            let judged = judged(&fleet).expect("enough");
            let mut names: Vec<&str> = judged.outliers.iter().map(|outlier| outlier.node.as_str()).collect();
            names.sort_unstable();
            assert_eq!(names, ["n11", "n5"], "{nodes}");
            let slow = judged.outliers.iter().find(|outlier| outlier.node == "n11").expect("found");
            assert_eq!((slow.worst.metric.as_str(), slow.behind.len(), slow.rank), ("c", 1, 1));
            assert!(slow.worst.low < slow.worst.deficit && slow.worst.deficit < slow.worst.high);
            assert_eq!(judged.confirm.len(), 4);
        }
    }

    #[test]
    fn a_slow_rack_is_not_slow_nodes() {
        let mut fleet = peers(300);
        for node in 0..100 {
            fleet.groups[node] = "cool".into();
            fleet.logs.iter_mut().for_each(|metric| metric[node] -= 0.02);
        }
        assert!(judged(&fleet).expect("enough").outliers.is_empty());
    }

    #[test]
    fn what_is_missing_or_equal_is_no_fault_and_few_are_no_peers() {
        let mut fleet = peers(40);
        fleet.logs[0][3] = f64::NAN;
        fleet.logs[2] = vec![f64::NAN; 40];
        assert!(judged(&fleet).expect("enough").outliers.is_empty());
        fleet.logs[1] = vec![1.0; 40];
        assert!(judged(&fleet).expect("enough").outliers.is_empty());
        assert!(judged(&peers(4)).is_none() && judged(&Peers::default()).is_none());
    }
}
