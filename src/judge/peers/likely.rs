//! How much more likely a node's values are if it is slow than if it is healthy, and from that the probability that it is.
//!
//! Each node is held against all others: what it adds itself to what healthy ones seem to vary by is taken off before, or of a dozen
//! nodes the slow one would hide itself. Values then follow Student's t, with as many degrees of freedom as there are other nodes, or
//! fewer where the tails of a large fleet say so.

use super::{Peers, parts::Parts, spread::Cloud};
use std::collections::BTreeMap;

/// Slow nodes lack this much to that much, as logarithms, all alike likely.
const SLOW: (f64, f64) = (0.045, 0.13);
const STEPS: usize = 12;
/// A part that lacks no more than this is not slow.
const HARMLESS: f64 = -0.02;
/// Nor is one that lies within so many standard deviations.
const NEAR: f64 = -1.5;
/// That one metric of a part is slow and not all of them is so much less likely.
const ALONE: f64 = 0.1;
/// Of up to so many parts any may be slow together; of more either one or all.
const FEW_PARTS: usize = 3;
/// Slow nodes to be expected in a fleet: so many, since who looks often has a reason, and so many more for each node; how sure that is,
/// in slow nodes.
const EXPECTED: (f64, f64) = (0.4, 0.006);
const SURE: f64 = 3.0;
const ROUNDS: usize = 20;

/// For every node the probability that it is slow, by what is known of how slow the others are.
pub fn slow(peers: &Peers, parts: &Parts, cloud: &Cloud, healthy: &[f64]) -> Vec<f64> {
    let mut ratios = together(cloud, healthy);
    for part in parts.metrics.iter().filter(|part| part.len() > 1) {
        for metric in part {
            alone(peers, parts, (part, *metric), healthy, &mut ratios);
        }
    }
    let nodes = ratios.len() as f64;
    let expected = EXPECTED.0 + EXPECTED.1 * nodes;
    let mut share = expected / nodes;
    let posterior = |ratio: f64, share: f64| share * ratio / (share * ratio + 1.0 - share);
    for _ in 0..ROUNDS {
        let found: f64 = ratios.iter().map(|ratio| posterior(*ratio, share)).sum();
        share = (found + SURE) / (nodes + SURE * nodes / expected);
    }
    ratios.into_iter().map(|ratio| posterior(ratio, share)).collect()
}

/// Which parts may be slow together, all alike likely.
fn ways(parts: usize) -> Vec<Vec<bool>> {
    if parts <= FEW_PARTS {
        return (1_usize..1 << parts).map(|mask| (0..parts).map(|part| mask >> part & 1 == 1).collect()).collect();
    }
    let each = (0..parts).map(|one| (0..parts).map(|part| part == one).collect());
    each.chain([vec![true; parts]]).collect()
}

fn together(cloud: &Cloud, healthy: &[f64]) -> Vec<f64> {
    let ways = ways(cloud.rest.len());
    let mut views: BTreeMap<Vec<usize>, View> = BTreeMap::new();
    let mut ratio = |node: usize| {
        if !cloud.rest.iter().any(|rest| rest[node] <= HARMLESS) {
            return 0.0;
        }
        let present: Vec<usize> = (0..cloud.rest.len()).filter(|part| cloud.rest[*part][node].is_finite()).collect();
        let view = views.entry(present).or_insert_with_key(|present| View::of(cloud, present, &ways));
        view.ratio(|at| cloud.rest[at][node], healthy[node])
    };
    (0..healthy.len()).map(&mut ratio).collect()
}

/// One metric against the others of its part: added to what the parts say.
fn alone(peers: &Peers, parts: &Parts, (part, metric): (&[usize], usize), healthy: &[f64], ratios: &mut [f64]) {
    let log = |metric: usize, node: usize| peers.logs[metric][node] - parts.medians[metric];
    let beside = |node: usize| {
        let others = part.iter().filter(|other| **other != metric).map(|other| log(*other, node)).filter(|log| log.is_finite());
        let (sum, count) = others.fold((0.0, 0.0), |(sum, count), log| (sum + log, count + 1.0));
        log(metric, node) - sum / count
    };
    let rest = Parts { metrics: vec![vec![metric]], logs: vec![(0..healthy.len()).map(beside).collect()], medians: Vec::new() };
    let cloud = Cloud::of(&rest, (&vec![0; healthy.len()], 1), healthy);
    let view = View::of(&cloud, &[0], &[vec![true]]);
    for (node, ratio) in ratios.iter_mut().enumerate() {
        if log(metric, node) <= HARMLESS && cloud.rest[0][node] <= HARMLESS {
            *ratio += ALONE / part.len() as f64 * view.ratio(|_| cloud.rest[0][node], healthy[node]);
        }
    }
}

/// The cloud as nodes see it that have these parts.
struct View {
    present: Vec<usize>,
    /// Inverse of the products.
    inverse: Vec<Vec<f64>>,
    /// For each way its product with the inverse, by part, and with that itself.
    ways: Vec<(Vec<f64>, f64)>,
    worth: f64,
    healthy: f64,
    tails: f64,
}

impl View {
    fn of(cloud: &Cloud, present: &[usize], ways: &[Vec<bool>]) -> Self {
        let matrix: Vec<Vec<f64>> =
            present.iter().map(|one| present.iter().map(|other| cloud.products[*one][*other]).collect()).collect();
        // Products over nodes that lack parts may not fit together, and of few nodes they mean little; then each part stands for itself.
        let few = cloud.worth < 3.0 * present.len() as f64;
        let inverse = if few { diagonal(&matrix) } else { inverse(&matrix).unwrap_or_else(|| diagonal(&matrix)) };
        let along = |way: &Vec<bool>| {
            let lacks: Vec<f64> = present.iter().map(|part| f64::from(u8::from(way[*part]))).collect();
            let product: Vec<f64> = inverse.iter().map(|row| row.iter().zip(&lacks).map(|(a, b)| a * b).sum()).collect();
            let square = product.iter().zip(&lacks).map(|(a, b)| a * b).sum();
            (product, square)
        };
        let ways = ways.iter().map(along).collect();
        Self { present: present.to_vec(), inverse, ways, worth: cloud.worth, healthy: cloud.healthy, tails: cloud.tails }
    }

    /// Of a node with these values that was counted among the healthy by this much.
    fn ratio(&self, value: impl Fn(usize) -> f64, healthy: f64) -> f64 {
        let values = || self.present.iter().map(|part| value(*part));
        let square: f64 = self.inverse.iter().zip(values()).map(|(row, own)| own * dot(row, values())).sum();
        // The node's own share of the products is taken off (Sherman and Morrison 1950).
        let left = (1.0 - healthy * square).max(1e-6);
        let parts = self.present.len() as f64;
        let few = (self.worth - healthy - parts + 1.0).max(1.0);
        // Tails that are longer than few nodes make them; the products are then those of such tails, wider than their scale.
        let (degrees, wider) = if self.tails < few { (self.tails, self.worth / (self.tails - 2.0)) } else { (few, 1.0) };
        let power = f64::midpoint(degrees, parts);
        // A new node varies by what the healthy do, and by what is not known of their middle.
        let fresh = 1.0 + 1.0 / self.healthy.max(1.0);
        let log_density = |square: f64| -power * (wider * square.max(0.0) / fresh).ln_1p();
        let usual = log_density(square / left);
        let each = self.ways.iter().map(|(product, itself)| {
            let across = dot(product, values());
            if across >= 0.0 || across * across * self.worth < NEAR * NEAR * itself {
                return 0.0;
            }
            let along = itself + healthy * across * across / left;
            let across = across / left;
            let likely = |lack: f64| (log_density(square / left + 2.0 * lack * across + lack * lack * along) - usual).exp();
            let step = |at: usize| SLOW.0 + (SLOW.1 - SLOW.0) * at as f64 / (STEPS - 1) as f64;
            let sum: f64 = (0..STEPS).map(|at| likely(step(at))).sum();
            // Further out than any deficit that is reckoned with, it is no less slow.
            let best = -across / along;
            sum.max(if best > SLOW.1 { likely(best) } else { 0.0 }) / STEPS as f64
        });
        (each.sum::<f64>() / self.ways.len() as f64).min(f64::MAX)
    }
}

fn dot(row: &[f64], values: impl Iterator<Item = f64>) -> f64 {
    row.iter().zip(values).map(|(a, b)| a * b).sum()
}

fn diagonal(matrix: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let entry = |one: usize, other: usize| if one == other { 1.0 / matrix[one][one] } else { 0.0 };
    (0..matrix.len()).map(|one| (0..matrix.len()).map(|other| entry(one, other)).collect()).collect()
}

/// By Gauss and Jordan; nothing of a matrix that is not positive definite.
fn inverse(matrix: &[Vec<f64>]) -> Option<Vec<Vec<f64>>> {
    let size = matrix.len();
    let mut left = matrix.to_vec();
    let mut right: Vec<Vec<f64>> = (0..size).map(|a| (0..size).map(|b| f64::from(u8::from(a == b))).collect()).collect();
    for pivot in 0..size {
        let scale = left[pivot][pivot];
        if scale <= 1e-4 * matrix[pivot][pivot] {
            return None;
        }
        for column in 0..size {
            left[pivot][column] /= scale;
            right[pivot][column] /= scale;
        }
        for row in (0..size).filter(|row| *row != pivot) {
            let factor = left[row][pivot];
            for column in 0..size {
                left[row][column] -= factor * left[pivot][column];
                right[row][column] -= factor * right[pivot][column];
            }
        }
    }
    Some(right)
}
