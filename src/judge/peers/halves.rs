//! Fleets that fall into two groups. Who is slow is told by what most nodes do; where half of a fleet lies well below the other half, there
//! is no most, and that is said instead of nothing.

use super::{LEAST, Outlier, Peers};
use serde::Serialize;
use std::collections::BTreeSet;

/// Groups lie at least this many standard deviations of what varies within them apart, and in small fleets more by `FEW` over the nodes:
/// any few values fall into two groups somewhere.
const APART: f64 = 5.0;
const FEW: f64 = 5.0;
/// What healthy nodes vary by at the least, and how many nodes that knowledge is worth: a few that agree by chance are no group.
const USUAL: f64 = 0.005;
const WORTH: f64 = 2.0;
/// The smaller group holds this part of the nodes; a smaller one is slow nodes.
const PART: f64 = 0.25;

/// A metric in which a fleet falls into two groups.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Halves {
    pub metric: String,
    /// Nodes of the lower group, in the fleet's order.
    pub lower: Vec<String>,
    /// What the lower group lacks to the other, as a part of that.
    pub deficit: f64,
}

/// Metrics in which the fleet falls into two groups, but for those whose lower group was found slow anyway.
pub fn halves(peers: &Peers, found: &[Outlier]) -> Vec<Halves> {
    let known: BTreeSet<&String> = found.iter().map(|outlier| &outlier.node).collect();
    let all = peers.metrics.iter().zip(&peers.logs).filter_map(|(metric, logs)| {
        let (lower, gap) = split(logs)?;
        let lower: Vec<String> = lower.into_iter().map(|node| peers.nodes[node].clone()).collect();
        let unknown = lower.iter().filter(|node| !known.contains(node)).count();
        (2 * unknown > lower.len()).then(|| Halves { metric: metric.clone(), lower, deficit: 1.0 - (-gap).exp() })
    });
    all.collect()
}

/// Nodes below the best split, and by how much; nothing where they are one group.
fn split(logs: &[f64]) -> Option<(Vec<usize>, f64)> {
    let mut order: Vec<usize> = (0..logs.len()).filter(|node| logs[*node].is_finite()).collect();
    order.sort_unstable_by(|a, b| logs[*a].total_cmp(&logs[*b]));
    let count = order.len() as f64;
    let fewest = ((PART * count).ceil() as usize).max(2);
    // About a value of the fleet, or large levels would cost digits.
    let value = |node: &usize| logs[*node] - logs[order[0]];
    let total: f64 = order.iter().map(value).sum();
    let squares: f64 = order.iter().map(|node| value(node).powi(2)).sum();
    let mut below: f64 = order.iter().take(fewest.saturating_sub(1)).map(value).sum();
    let (mut best, mut at) = (None, 0);
    for few in fewest..=order.len().saturating_sub(fewest) {
        below += value(&order[few - 1]);
        let (low, high) = (below / few as f64, (total - below) / (count - few as f64));
        let within = squares - few as f64 * low * low - (count - few as f64) * high * high;
        if best.is_none_or(|(least, _)| within < least) {
            (best, at) = (Some((within, high - low)), few);
        }
    }
    let (within, gap) = best?;
    let deviation = ((within.max(0.0) + WORTH * USUAL * USUAL) / (count - 2.0 + WORTH)).sqrt();
    let apart = gap >= -(1.0 - LEAST).ln() && gap > (APART + FEW / count) * deviation;
    let mut lower = order[..at].to_vec();
    lower.sort_unstable();
    apart.then_some((lower, gap))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_groups_are_told_and_one_group_or_a_few_slow_nodes_are_not() {
        let wobble = |at: usize| 0.004 * ((at * 7_919 % 101) as f64 / 50.0 - 1.0);
        let logs = |slow: usize| (0..8).map(|at| wobble(at) - if at < slow { 0.1 } else { 0.0 }).collect::<Vec<_>>();
        let (lower, gap) = split(&logs(4)).expect("two groups");
        assert!(lower == [0, 1, 2, 3] && (gap - 0.1).abs() < 0.01, "{lower:?} {gap}");
        assert_eq!((split(&logs(0)), split(&logs(1)), split(&[1.0; 40]), split(&[])), (None, None, None, None));
        let blank = [logs(4), vec![f64::NAN; 3]].concat();
        assert_eq!(split(&blank).expect("two groups").0, [0, 1, 2, 3]);
    }
}
