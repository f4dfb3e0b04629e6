//! The reference method that peers are to be found better than: metric by metric, one-sided p of the robust deviation, Benjamini and
//! Hochberg, and a least deficit; of small fleets a plain bound, with the make's known spread weighed in. It is known as one figure
//! for all metrics: so its table of precision and recall by size and spread is met, which one for each fleet would exceed.

use crate::fleet_draws::Fleet;
use assay::judge::pair;
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};
use std::collections::BTreeSet;

const SMALL: usize = 63;
const PSEUDO_NODES: f64 = 8.0;
/// What nodes of the make vary by.
const KNOWN: f64 = 0.02;

fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let position = q * (sorted.len() - 1) as f64;
    let below = position as usize;
    sorted[below] + (sorted[(below + 1).min(sorted.len() - 1)] - sorted[below]) * (position - below as f64)
}

/// Deviations from the medians of fleet and group.
fn centred(fleet: &Fleet, metric: usize) -> Vec<f64> {
    let logs = &fleet.peers.logs[metric];
    let middle = quantile(logs, 0.5);
    let mut centred: Vec<f64> = logs.iter().map(|log| log - middle).collect();
    for group in fleet.peers.groups.iter().collect::<BTreeSet<_>>() {
        let members: Vec<usize> = (0..logs.len()).filter(|node| fleet.peers.groups[*node] == *group).collect();
        let own = quantile(&members.iter().map(|node| centred[*node]).collect::<Vec<_>>(), 0.5);
        let count = members.len() as f64;
        for node in members {
            centred[node] -= own * count / (count + 20.0);
        }
    }
    centred
}

/// The nodes that it finds.
pub fn outliers(fleet: &Fleet) -> BTreeSet<usize> {
    let nodes = fleet.peers.nodes.len();
    let mut least = vec![1.0_f64; nodes];
    let mut lowest = vec![0.0_f64; nodes];
    let mut small = BTreeSet::new();
    let normal = Normal::standard();
    let few = StudentsT::new(0.0, 1.0, nodes as f64 / 2.0).expect("degrees");
    let tail = |deviation| if nodes < 120 { few.cdf(deviation) } else { normal.cdf(deviation) };
    for metric in 0..fleet.peers.metrics.len() {
        let values = centred(fleet, metric);
        let below: Vec<f64> = values.iter().filter(|value| **value < 0.0).map(|value| -value).collect();
        let mut scale = 1.4826 * quantile(&below, 0.5);
        if nodes >= 100 {
            scale = scale.max(0.96 * -quantile(&values, 0.1) / 1.28);
        } else if nodes <= SMALL {
            scale = ((nodes as f64 * scale * scale + PSEUDO_NODES * KNOWN * KNOWN) / (nodes as f64 + PSEUDO_NODES)).sqrt();
        }
        for (node, value) in values.iter().enumerate() {
            let deviation = value / scale;
            if nodes <= SMALL && deviation < -3.2 && 1.0 - value.exp() >= 0.04 {
                small.insert(node);
            }
            least[node] = least[node].min(tail(deviation));
            lowest[node] = lowest[node].min(*value);
        }
    }
    if nodes <= SMALL {
        return small;
    }
    let p: Vec<f64> = least.iter().map(|p| (p * fleet.peers.metrics.len() as f64).min(1.0)).collect();
    let adjusted = pair::benjamini_hochberg(&p);
    (0..nodes).filter(|node| adjusted[*node] <= 0.05 && 1.0 - lowest[*node].exp() >= 0.035).collect()
}
