//! Nodes that are slower than their peers.
//!
//! 1. Every metric is taken as a logarithm about the fleet's median; metrics that go together are one part of a node, and their mean
//!    stands for it, so that measuring adds less (`parts`).
//! 2. Where healthy nodes of each group lie, and what they vary by and how together, is told by all nodes, each by how healthy it is
//!    (`spread`): a rack may differ by a percent or two without a fault, and a long lower tail of a large fleet is none either. How
//!    long tails are is told by the upper one (`tails`), where no slow node lies.
//! 3. Each node is held against all others: healthy, or slow by some percent in a part, in several, or in one metric alone (`likely`; a
//!    local false discovery rate, Efron 2008). What follows from the answer for 2 is taken back there, a few times over.
//! 4. Out of the peers is who is probably slow, and by at least three percent; who may be is suspected.
//! 5. Where a fleet falls into two groups, no node is slower than most, and that is said (`halves`).

mod halves;
mod likely;
mod parts;
mod spread;
mod tails;

use super::{Sensors, pair::Cause};
use crate::record::{Interval, Limit};
pub use halves::Halves;
use parts::{Parts, median};
use serde::Serialize;
use spread::Cloud;
use std::collections::BTreeMap;

/// A deficit smaller than this is no fault of a node.
const LEAST: f64 = 0.03;
/// Suspected, and to be measured again, is who is slow with at least this probability: pooled F1 is highest where the cut is half of it,
/// that of small fleets a little below.
const SUSPECTED: f64 = 0.35;
/// Slow is who is so with at least this one: so of twenty healthy fleets at most one has a slow node, whatever their size, where nodes vary
/// by 2 % or less.
const SLOW: f64 = 0.8;
/// Nodes without which there are no peers.
pub const FEWEST: usize = 5;
/// Healthy nodes that are measured again beside the slow ones, so that the second look has something to hold them against.
const CONTROLS: usize = 2;
/// How often spread and probabilities are told from each other; a large fleet has told what there is to tell after fewer.
const ROUNDS: usize = 6;
const ROUNDS_OF_LARGE: usize = 3;
const LARGE: usize = 1_000;

/// Nodes of one fleet, measured alike.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Peers {
    pub nodes: Vec<String>,
    /// Rack or cooling zone of each node; alike where nothing is known.
    pub groups: Vec<String>,
    pub metrics: Vec<String>,
    /// By metric, then by node: logarithm of performance, more is better; not a number where a node has none.
    pub logs: Vec<Vec<f64>>,
    /// By metric, then by node, what sensors said meanwhile; empty where nothing is known of any.
    pub sensors: Vec<Vec<Sensors>>,
    /// Metrics that memory decides, by place.
    pub memory_bound: Vec<usize>,
}

/// One metric of an outlying node against its peers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Behind {
    pub metric: String,
    /// What it lacks to the middle of its healthy peers, as a part of that.
    pub deficit: f64,
    /// 95 % interval, by how well that middle is known.
    pub low: f64,
    pub high: f64,
    /// Standard deviations of healthy nodes below that middle.
    pub deviations: f64,
    /// Where it comes from, by the clocks of all nodes; blank where they do not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
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
    /// It is slow, and not only suspected.
    pub slow: bool,
    /// Every metric in which it is behind by enough to matter.
    pub behind: Vec<Behind>,
}

/// A fleet as it was judged.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judged {
    /// Slow and suspected, the slowest first.
    pub outliers: Vec<Outlier>,
    /// To be measured again: every outlier, and healthy nodes beside them.
    pub confirm: Vec<String>,
    /// Metrics in which the fleet falls into two groups, so that none is out.
    pub halves: Vec<Halves>,
    /// By metric: standard deviation of healthy nodes as a part of the median.
    pub spread: Vec<(String, f64)>,
    pub nodes: usize,
}

/// Judges a fleet; nothing of one that is too small to have peers, or without a metric.
#[must_use]
pub fn judge(peers: &Peers) -> Option<Judged> {
    let nodes = peers.nodes.len();
    if nodes < FEWEST || peers.metrics.is_empty() {
        return None;
    }
    let parts = Parts::of(peers);
    let groups = groups(&peers.groups);
    let mut healthy = spread::first(&parts);
    let mut probabilities = Vec::new();
    for _ in 0..if nodes > LARGE { ROUNDS_OF_LARGE } else { ROUNDS } {
        let cloud = Cloud::of(&parts, (&groups.0, groups.1), &healthy);
        probabilities = likely::slow(peers, &parts, &cloud, &healthy);
        healthy = probabilities.iter().map(|slow| 1.0 - slow).collect();
    }
    let cloud = Cloud::of(&parts, (&groups.0, groups.1), &healthy);
    let about = About::of(peers, &parts, &cloud, (&groups.0, &healthy));
    let probable = probabilities.iter().enumerate().filter(|(_, probability)| **probability >= SUSPECTED);
    let mut found: Vec<Outlier> = probable.filter_map(|(node, probability)| about.outlier(peers, node, *probability)).collect();
    found.sort_by(|a, b| b.worst.deficit.total_cmp(&a.worst.deficit).then_with(|| a.node.cmp(&b.node)));
    let confirm = confirm(peers, &found);
    let spread = peers.metrics.iter().cloned().zip(about.deviations).collect();
    let halves = halves::halves(peers, &found);
    Some(Judged { outliers: found, confirm, halves, spread, nodes })
}

impl Judged {
    /// Nodes that are slow, and not only suspected.
    #[must_use]
    pub fn slow(&self) -> usize {
        self.outliers.iter().filter(|outlier| outlier.slow).count()
    }
}

/// The group of each node by its place, and how many groups there are.
fn groups(names: &[String]) -> (Vec<usize>, usize) {
    let mut places: BTreeMap<&String, usize> = BTreeMap::new();
    let each = names.iter().map(|name| {
        let next = places.len();
        *places.entry(name).or_insert(next)
    });
    let each: Vec<usize> = each.collect();
    (each, places.len())
}

/// Every metric about the middle of the healthy nodes of its group.
struct About {
    /// By metric, then by node.
    logs: Vec<Vec<f64>>,
    deviations: Vec<f64>,
    /// Healthy nodes that tell where the middle lies.
    healthy: f64,
}

impl About {
    fn of(peers: &Peers, parts: &Parts, cloud: &Cloud, (groups, healthy): (&[usize], &[f64])) -> Self {
        let of_part = |metric: usize| parts.metrics.iter().position(|part| part.contains(&metric)).unwrap_or_default();
        let about = |metric: usize| -> Vec<f64> {
            let levels = &cloud.levels[of_part(metric)];
            let logs = peers.logs[metric].iter().zip(groups);
            logs.map(|(log, group)| log - parts.medians[metric] - levels[*group]).collect()
        };
        let logs: Vec<Vec<f64>> = (0..peers.metrics.len()).map(about).collect();
        let deviation = |logs: &Vec<f64>| {
            let there = logs.iter().zip(healthy).filter(|(log, _)| log.is_finite());
            let (squares, count) = there.fold((0.0, 0.0), |sums, (log, weight)| (sums.0 + weight * log * log, sums.1 + weight));
            if count > 1.0 { f64::sqrt(squares / (count - 1.0)) } else { 0.0 }
        };
        let deviations = logs.iter().map(deviation).collect();
        Self { logs, deviations, healthy: cloud.healthy }
    }

    /// Nothing where the node is behind by too little to matter.
    fn outlier(&self, peers: &Peers, node: usize, probability: f64) -> Option<Outlier> {
        let metrics = (0..peers.metrics.len()).filter(|metric| self.logs[*metric][node].is_finite());
        let mut behind: Vec<(usize, Behind)> = metrics.map(|metric| (metric, self.behind(peers, metric, node))).collect();
        behind.retain(|(_, behind)| behind.deficit >= LEAST);
        behind.sort_by(|a, b| b.1.deficit.total_cmp(&a.1.deficit));
        let (metric, worst) = behind.first()?.clone();
        let own = self.logs[metric][node];
        let values = || self.logs[metric].iter().filter(|value| value.is_finite());
        Some(Outlier {
            node: peers.nodes[node].clone(),
            group: peers.groups[node].clone(),
            worst,
            rank: 1 + values().filter(|value| **value < own).count(),
            of: values().count(),
            probability,
            slow: probability >= SLOW,
            behind: behind.into_iter().map(|(_, behind)| behind).collect(),
        })
    }

    fn behind(&self, peers: &Peers, metric: usize, node: usize) -> Behind {
        let (log, deviation) = (self.logs[metric][node], self.deviations[metric]);
        let error = deviation / self.healthy.max(1.0).sqrt();
        let lack = |log: f64| 1.0 - log.exp();
        let Interval { value: deficit, low, high } =
            Interval { value: lack(log), low: lack(log + 1.96 * error), high: lack(log - 1.96 * error) };
        let cause = cause(peers, metric, node, log);
        let deviations = if deviation > 0.0 { log / deviation } else { 0.0 };
        Behind { metric: peers.metrics[metric].clone(), deficit, low, high, deviations, cause }
    }
}

/// More than half of what a node lacks must have gone with a clock that its peers have; nothing where clocks are not told.
fn cause(peers: &Peers, metric: usize, node: usize, log: f64) -> Option<Cause> {
    let sensors = peers.sensors.get(metric)?;
    let own = sensors.get(node)?;
    let gone = |of: fn(&Sensors) -> Option<f64>| {
        let usual = median(sensors.iter().filter_map(of));
        Some((of(own)? / usual).ln() / log > 0.5)
    };
    if peers.memory_bound.contains(&metric) && gone(|sensors| sensors.memory_mhz) == Some(true) {
        return Some(Cause::Memory);
    }
    match gone(|sensors| sensors.sm_mhz)? {
        true if own.limit == Some(Limit::Thermal) => Some(Cause::Thermal),
        true => Some(Cause::Clock),
        false => Some(Cause::PerClock),
    }
}

/// The outliers, and healthy nodes spread over the fleet.
fn confirm(peers: &Peers, found: &[Outlier]) -> Vec<String> {
    let slow: std::collections::BTreeSet<&String> = found.iter().map(|outlier| &outlier.node).collect();
    let healthy: Vec<&String> = peers.nodes.iter().filter(|node| !slow.contains(node)).collect();
    let controls = if found.is_empty() { 0 } else { CONTROLS.min(healthy.len()) };
    let chosen = (0..controls).map(|which| healthy[(2 * which + 1) * healthy.len() / (2 * controls)].clone());
    found.iter().map(|outlier| outlier.node.clone()).chain(chosen).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
            ..Peers::default()
        }
    }

    #[test]
    fn the_slow_are_found_and_the_healthy_let_alone() {
        for nodes in [16, 40, 300] {
            let mut fleet = peers(nodes);
            assert_eq!(judge(&fleet).expect("enough").outliers, [], "{nodes}");
            fleet.logs[0][5] -= 0.12;
            fleet.logs[1][5] -= 0.12;
            fleet.logs[2][11] -= 0.12;
            let judged = judge(&fleet).expect("enough");
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
        assert!(judge(&fleet).expect("enough").outliers.is_empty());
    }

    #[test]
    fn a_node_at_a_lower_clock_is_told_from_one_that_takes_more_cycles() {
        let mut fleet = peers(40);
        let told = |sm_mhz| Sensors { sm_mhz: Some(sm_mhz), memory_mhz: Some(2_600.0), ..Sensors::default() };
        fleet.sensors = vec![vec![told(1_700.0); 40]; 3];
        fleet.memory_bound = vec![2];
        fleet.logs[0][5] -= 0.12;
        fleet.logs[1][5] -= 0.12;
        fleet.logs[2][11] -= 0.12;
        let causes = |fleet: &Peers| {
            let mut outliers = judge(fleet).expect("enough").outliers;
            outliers.sort_by(|a, b| a.node.cmp(&b.node));
            outliers.into_iter().map(|outlier| outlier.worst.cause).collect::<Vec<_>>()
        };
        assert_eq!(causes(&fleet), [Some(Cause::PerClock); 2]);
        fleet.sensors[2][11].memory_mhz = Some(2_330.0);
        for metric in 0..2 {
            fleet.sensors[metric][5].sm_mhz = Some(1_520.0);
        }
        assert_eq!(causes(&fleet), [Some(Cause::Memory), Some(Cause::Clock)]);
        (0..2).for_each(|metric| fleet.sensors[metric][5].limit = Some(Limit::Thermal));
        assert_eq!(causes(&fleet), [Some(Cause::Memory), Some(Cause::Thermal)]);
        (0..2).for_each(|metric| fleet.sensors[metric][5].sm_mhz = None);
        assert_eq!(causes(&fleet)[1], None, "a node that does not tell its clock has no cause");
    }

    #[test]
    fn what_is_missing_or_equal_is_no_fault_and_few_are_no_peers() {
        let mut fleet = peers(40);
        fleet.logs[0][3] = f64::NAN;
        fleet.logs[2] = vec![f64::NAN; 40];
        assert!(judge(&fleet).expect("enough").outliers.is_empty());
        fleet.logs[1] = vec![1.0; 40];
        assert!(judge(&fleet).expect("enough").outliers.is_empty());
        assert!(judge(&peers(4)).is_none() && judge(&Peers::default()).is_none());
    }
}
