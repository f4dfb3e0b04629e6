//! What healthy nodes of a fleet vary by, metric by metric and together, whatever a few slow ones do.

use super::{FEWEST, Peers, median};
use crate::{
    judge::sample::{quantile, sorted},
    record::Interval,
};
use std::collections::BTreeMap;

/// A group's own median counts n / (n + this).
const GROUP: f64 = 20.0;
/// What a metric usually varies by over nodes of one make where no other fleet tells, and how many nodes such knowledge is worth.
const USUAL: f64 = 0.015;
const WORTH: f64 = 5.0;
/// Measuring alone varies by this.
const MEASURING: f64 = 0.001;
/// A correlation counts n / (n + this).
const SHRUNK: f64 = 0.5;
/// Correlations further from nought than this are not believed.
const CLOSEST: f64 = 0.995;
/// Values further out count as if they lay there when it is told what varies together.
const CLIP: f64 = 2.5;
/// The same when slow nodes are known and left out.
const FAR: f64 = 3.5;
/// From so many nodes on the tails of the fleet itself say how wide it is.
const MANY: usize = 100;

/// A fleet about its medians.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// By metric, then by node.
    pub centred: Vec<Vec<f64>>,
    /// Robust standard deviation of each metric.
    pub deviations: Vec<f64>,
    /// Correlation of metrics among healthy nodes, symmetric, one on the diagonal.
    pub correlations: Vec<Vec<f64>>,
    pub nodes: usize,
    /// What the deviations are worth, in nodes.
    pub degrees: f64,
    /// What each metric usually varies by, and what the lower side of a large fleet says at least.
    usual: Vec<f64>,
    lower: Vec<f64>,
}

impl Fleet {
    /// With what each metric usually varies by, where other fleets tell. Nothing of fewer nodes than make peers, or without a metric.
    pub fn of(peers: &Peers, usual: &[Option<f64>]) -> Option<Self> {
        let nodes = peers.nodes.len();
        if nodes < FEWEST || peers.metrics.is_empty() {
            return None;
        }
        let members = members(&peers.groups);
        let centred: Vec<Vec<f64>> = peers.logs.iter().map(|logs| centre(logs, &members)).collect();
        let usual: Vec<f64> = (0..centred.len()).map(|metric| usual.get(metric).copied().flatten().unwrap_or(USUAL)).collect();
        let lower: Vec<f64> = centred.iter().map(|logs| lower(logs)).collect();
        let deviations: Vec<f64> = (0..centred.len())
            .map(|metric| weighed(robust(&centred[metric]).max(lower[metric]), &centred[metric], usual[metric]))
            .collect();
        let even = vec![1.0; nodes];
        let correlations = correlations(&centred, &deviations, &even, CLIP);
        Some(Self { centred, deviations, correlations, nodes, degrees: nodes as f64 + WORTH, usual, lower })
    }

    /// The same fleet when it is known how healthy each node is, 0 to 1: what healthy ones vary by is then told by all of them.
    pub fn reweigh(&mut self, healthy: &[f64]) {
        for metric in 0..self.centred.len() {
            let bound = FAR * self.deviations[metric];
            let (squares, count) = self.centred[metric]
                .iter()
                .zip(healthy)
                .filter(|(log, _)| log.is_finite())
                .fold((0.0, 0.0), |(squares, count), (log, weight)| {
                    (squares + weight * log.clamp(-bound, bound).powi(2), count + weight)
                });
            if count > 1.0 {
                let found = (squares / (count - 1.0)).sqrt().max(self.lower[metric]);
                self.deviations[metric] = weighed(found, &self.centred[metric], self.usual[metric]);
            }
        }
        self.correlations = correlations(&self.centred, &self.deviations, healthy, FAR);
    }

    /// What a node lacks to the median, with what is not known of the median.
    pub fn deficit(&self, metric: usize, log: f64) -> Interval {
        // Standard error of a median: √(π/2) σ / √n.
        let error = 1.2533 * self.deviations[metric] / (self.nodes as f64).sqrt();
        let at = |log: f64| 1.0 - log.exp();
        Interval { value: at(log), low: at(log + 1.96 * error), high: at(log - 1.96 * error) }
    }
}

/// Nodes of each group.
fn members(groups: &[String]) -> Vec<Vec<usize>> {
    let mut members: BTreeMap<&String, Vec<usize>> = BTreeMap::new();
    for (node, group) in groups.iter().enumerate() {
        members.entry(group).or_default().push(node);
    }
    members.into_values().collect()
}

fn centre(logs: &[f64], members: &[Vec<usize>]) -> Vec<f64> {
    let middle = median(logs.iter().copied());
    let mut centred: Vec<f64> = logs.iter().map(|log| log - middle).collect();
    for group in members.iter().filter(|_| members.len() > 1) {
        let own = median(group.iter().map(|node| centred[*node]));
        let count = group.iter().filter(|node| centred[**node].is_finite()).count() as f64;
        for node in group.iter().filter(|_| count > 0.0) {
            centred[*node] -= own * count / (count + GROUP);
        }
    }
    centred
}

/// By the median deviation from the median; zero of none.
pub fn robust(centred: &[f64]) -> f64 {
    let finite: Vec<f64> = centred.iter().copied().filter(|log| log.is_finite()).collect();
    let middle = median(finite.iter().copied());
    if finite.is_empty() { 0.0 } else { 1.4826 * median(finite.iter().map(|log| (log - middle).abs())) }
}

/// What the lower side of a large fleet says at least: one with a long lower tail is wide there.
fn lower(centred: &[f64]) -> f64 {
    let ordered = sorted(&centred.iter().copied().filter(|log| log.is_finite()).collect::<Vec<_>>());
    if ordered.len() < MANY {
        return 0.0;
    }
    let middle = quantile(&ordered, 0.5);
    // Slow nodes reach into these quantiles: each is held down by what one in a hundred would move it.
    (0.95 * (middle - quantile(&ordered, 0.1)) / 1.2816).max(0.87 * (middle - quantile(&ordered, 0.025)) / 1.96)
}

/// Between what was found and what is usual, as logarithms: neither shall win by being absurd.
fn weighed(found: f64, centred: &[f64], usual: f64) -> f64 {
    let count = centred.iter().filter(|log| log.is_finite()).count() as f64;
    if count == 0.0 {
        return usual;
    }
    ((found.max(MEASURING).ln() * count + usual.ln() * WORTH) / (count + WORTH)).exp()
}

/// Of clipped values, so that a slow node in two metrics does not tie them together; the fewer nodes, the closer to nought.
fn correlations(centred: &[Vec<f64>], deviations: &[f64], weights: &[f64], clip: f64) -> Vec<Vec<f64>> {
    let scaled: Vec<Vec<f64>> = centred
        .iter()
        .zip(deviations)
        .map(|(logs, deviation)| logs.iter().map(|log| (log / deviation).clamp(-clip, clip)).collect())
        .collect();
    let metrics = centred.len();
    let mut found = vec![vec![0.0; metrics]; metrics];
    for one in 0..metrics {
        found[one][one] = 1.0;
        for other in 0..one {
            let (mut both, mut first, mut second, mut count) = (0.0, 0.0, 0.0, 0.0);
            for ((a, b), weight) in scaled[one].iter().zip(&scaled[other]).zip(weights) {
                if a.is_finite() && b.is_finite() {
                    (both, first, second) = (both + weight * a * b, first + weight * a * a, second + weight * b * b);
                    count += weight;
                }
            }
            let raw = if first > 0.0 && second > 0.0 { both / (first * second).sqrt() } else { 0.0 };
            let believed = (raw * count / (count + SHRUNK)).clamp(-CLOSEST, CLOSEST);
            found[one][other] = believed;
            found[other][one] = believed;
        }
    }
    found
}
