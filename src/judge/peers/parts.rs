//! Metrics that go together show the same part of a node, and are taken as one: what measuring adds to each of them falls out.

use super::{Peers, spread};
use crate::judge::sample::{quantile, sorted};

/// Metrics that correlate more than this over the nodes show the same part.
const TOGETHER: f64 = 0.6;
/// Values further out than this, in robust standard deviations, count as if they lay there: a slow node ties nothing together.
const CLIP: f64 = 2.5;

/// A fleet, part by part.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Metrics of each part.
    pub metrics: Vec<Vec<usize>>,
    /// By part, then by node: mean of the logarithms about their medians; not a number where a node has none of them.
    pub logs: Vec<Vec<f64>>,
    /// By metric: its median over the fleet.
    pub medians: Vec<f64>,
}

impl Parts {
    pub fn of(peers: &Peers) -> Self {
        let medians: Vec<f64> = peers.logs.iter().map(|logs| median(logs.iter().copied())).collect();
        let scaled: Vec<Vec<f64>> = peers.logs.iter().map(|logs| scaled(logs)).collect();
        let mut metrics: Vec<Vec<usize>> = Vec::new();
        for metric in 0..scaled.len() {
            match metrics.iter_mut().find(|part| correlation(&scaled[part[0]], &scaled[metric]) > TOGETHER) {
                Some(part) => part.push(metric),
                None => metrics.push(vec![metric]),
            }
        }
        let logs =
            metrics.iter().map(|part| (0..peers.nodes.len()).map(|node| mean(peers, &medians, part, node)).collect()).collect();
        Self { metrics, logs, medians }
    }
}

fn mean(peers: &Peers, medians: &[f64], part: &[usize], node: usize) -> f64 {
    let own = part.iter().map(|metric| peers.logs[*metric][node] - medians[*metric]).filter(|log| log.is_finite());
    let (sum, count) = own.fold((0.0, 0.0), |(sum, count), log| (sum + log, count + 1.0));
    sum / count
}

fn scaled(logs: &[f64]) -> Vec<f64> {
    let (middle, deviation) = (median(logs.iter().copied()), spread::robust(logs));
    logs.iter().map(|log| if deviation > 0.0 { ((log - middle) / deviation).clamp(-CLIP, CLIP) } else { 0.0 * log }).collect()
}

/// Over nodes that have both; a little less than found, since that of few nodes says little.
fn correlation(one: &[f64], other: &[f64]) -> f64 {
    let (mut both, mut first, mut second, mut count) = (0.0, 0.0, 0.0, 0.0);
    for (a, b) in one.iter().zip(other).filter(|(a, b)| a.is_finite() && b.is_finite()) {
        (both, first, second, count) = (both + a * b, first + a * a, second + b * b, count + 1.0);
    }
    if first > 0.0 && second > 0.0 { both / (first * second).sqrt() * count / (count + 1.0) } else { 0.0 }
}

/// Median of the finite values; not a number of none.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    quantile(&sorted(&values.filter(|value| value.is_finite()).collect::<Vec<_>>()), 0.5)
}
