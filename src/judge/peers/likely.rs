//! Whether a node is slow or healthy: a mixture of both, in all metrics at once.

use super::spread::Fleet;

/// Slow nodes lack this much to that much, as logarithms, all alike likely.
const SLOW: (f64, f64) = (0.04, 0.14);
const STEPS: usize = 11;
/// A node that lacks no more than this anywhere is not slow, and most are such.
const HARMLESS: f64 = -0.02;
/// Metrics that correlate more than this go together: they show the same part of a node.
const TOGETHER: f64 = 0.7;
/// That one metric alone is slow of several that go together is that much less likely than all of them.
const ALONE: f64 = 0.1;
/// What is known of the share of slow nodes before a fleet is seen: one in so many.
const SHARE: (f64, f64) = (1.0, 15.0);
const ROUNDS: usize = 30;
/// Added to the diagonal, so that metrics without a difference do not divide by nought.
const RIDGE: f64 = 0.003;

/// A way of being slow: which metrics, and how likely against the others.
struct Way {
    metrics: Vec<bool>,
    weight: f64,
}

/// For every node the probability that it is slow.
pub fn probabilities(fleet: &Fleet) -> Vec<f64> {
    let ways = ways(fleet);
    let whole = vec![true; fleet.centred.len()];
    let usual = Inverse::of(fleet, &whole);
    let ratios: Vec<f64> = (0..fleet.nodes)
        .map(|node| {
            let present: Vec<bool> = fleet.centred.iter().map(|logs| logs[node].is_finite()).collect();
            if present.iter().all(|there| *there) {
                usual.as_ref().map_or(0.0, |inverse| ratio(fleet, inverse, &ways, node))
            } else {
                Inverse::of(fleet, &present).map_or(0.0, |inverse| ratio(fleet, &inverse, &ways, node))
            }
        })
        .collect();
    let mut share = SHARE.0 / SHARE.1;
    for _ in 0..ROUNDS {
        let slow: f64 = ratios.iter().map(|ratio| posterior(*ratio, share)).sum();
        share = (slow + SHARE.0) / (fleet.nodes as f64 + SHARE.1);
    }
    ratios.into_iter().map(|ratio| posterior(ratio, share)).collect()
}

fn posterior(ratio: f64, share: f64) -> f64 {
    share * ratio / (share * ratio + 1.0 - share)
}

/// Every part alone, all together, and single metrics of a part.
fn ways(fleet: &Fleet) -> Vec<Way> {
    let metrics = fleet.centred.len();
    let mut parts: Vec<Vec<bool>> = Vec::new();
    let mut taken = vec![false; metrics];
    for first in 0..metrics {
        if taken[first] {
            continue;
        }
        let part: Vec<bool> = (0..metrics).map(|other| !taken[other] && fleet.correlations[first][other] > TOGETHER).collect();
        taken.iter_mut().zip(&part).for_each(|(taken, own)| *taken |= own);
        parts.push(part);
    }
    let mut ways: Vec<Way> = Vec::new();
    for part in &parts {
        let size = part.iter().filter(|own| **own).count();
        if size > 1 {
            let single = |metric: usize| (0..metrics).map(|other| other == metric).collect();
            let own = (0..metrics).filter(|metric| part[*metric]);
            ways.extend(own.map(|metric| Way { metrics: single(metric), weight: ALONE / size as f64 }));
        }
        ways.push(Way { metrics: part.clone(), weight: 1.0 });
    }
    if parts.len() > 1 {
        ways.push(Way { metrics: vec![true; metrics], weight: 1.0 });
    }
    let sum: f64 = ways.iter().map(|way| way.weight).sum();
    for way in &mut ways {
        way.weight /= sum;
    }
    ways
}

/// Inverse covariance of the metrics that a node has, in the order of all metrics.
struct Inverse {
    matrix: Vec<Vec<f64>>,
    present: Vec<usize>,
}

impl Inverse {
    /// By Gauss and Jordan; nothing of no metric.
    fn of(fleet: &Fleet, present: &[bool]) -> Option<Self> {
        let present: Vec<usize> = (0..present.len()).filter(|metric| present[*metric]).collect();
        let size = present.len();
        let mut left: Vec<Vec<f64>> = present
            .iter()
            .map(|a| {
                let row = present.iter().map(|b| {
                    let ridge = if a == b { 1.0 + RIDGE } else { 1.0 };
                    fleet.correlations[*a][*b] * ridge * fleet.deviations[*a] * fleet.deviations[*b]
                });
                row.collect()
            })
            .collect();
        let mut right: Vec<Vec<f64>> = (0..size).map(|a| (0..size).map(|b| f64::from(u8::from(a == b))).collect()).collect();
        for pivot in 0..size {
            let scale = left[pivot][pivot];
            // What pairs of correlations say may not fit together; then metrics stand for themselves.
            if scale <= 1e-4 * fleet.deviations[present[pivot]].powi(2) {
                return Some(Self::diagonal(fleet, present));
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
        (size > 0).then_some(Self { matrix: right, present })
    }

    fn diagonal(fleet: &Fleet, present: Vec<usize>) -> Self {
        let row = |a: usize| {
            let own = fleet.deviations[present[a]].powi(-2);
            (0..present.len()).map(|b| if a == b { own } else { 0.0 }).collect()
        };
        let matrix = (0..present.len()).map(row).collect();
        Self { matrix, present }
    }

    fn product(&self, a: &[f64], b: &[f64]) -> f64 {
        self.matrix.iter().zip(a).map(|(row, a)| a * row.iter().zip(b).map(|(entry, b)| entry * b).sum::<f64>()).sum()
    }
}

/// How much more likely a node's values are if it is slow, over all ways and deficits.
fn ratio(fleet: &Fleet, inverse: &Inverse, ways: &[Way], node: usize) -> f64 {
    let values: Vec<f64> = inverse.present.iter().map(|metric| fleet.centred[*metric][node]).collect();
    if values.iter().all(|value| *value > HARMLESS) {
        return 0.0;
    }
    let own = inverse.product(&values, &values);
    let power = -(fleet.degrees + values.len() as f64) / 2.0;
    let density = |square: f64| (power * (square.max(0.0) / fleet.degrees).ln_1p()).exp();
    let healthy = density(own).max(f64::MIN_POSITIVE);
    let each = ways.iter().map(|way| {
        let lacks: Vec<f64> = inverse.present.iter().map(|metric| f64::from(u8::from(way.metrics[*metric]))).collect();
        let (across, along) = (inverse.product(&lacks, &values), inverse.product(&lacks, &lacks));
        let step = |at: usize| SLOW.0 + (SLOW.1 - SLOW.0) * at as f64 / (STEPS - 1) as f64;
        let likely = (0..STEPS).map(|at| density(own + 2.0 * step(at) * across + step(at).powi(2) * along));
        let sum = likely.sum::<f64>() / STEPS as f64;
        // Further out than any deficit that is reckoned with, it is no less slow.
        let most = if along > 0.0 && -across / along > SLOW.1 { density(own - across * across / along) } else { 0.0 };
        way.weight * sum.max(most / STEPS as f64)
    });
    (each.sum::<f64>() / healthy).min(f64::MAX)
}
