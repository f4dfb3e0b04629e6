//! Where healthy nodes of a fleet lie and what they vary by, part by part and together, when it is known how healthy each node is.

use super::{
    parts::{Parts, median, quantile},
    tails,
};

/// What a part usually varies by over nodes of one make, and how many nodes that knowledge is worth.
const USUAL: f64 = 0.012;
const WORTH: f64 = 4.0;
/// Groups of nodes that vary by `GROUPS.0` usually differ by this much; how many groups that knowledge is worth.
const GROUPS: (f64, f64) = (0.02, 0.008);
const GROUPS_WORTH: f64 = 3.0;
/// From so many nodes on the tails of the fleet itself say how wide it is.
const MANY: usize = 100;

/// Healthy nodes as a cloud about their middle.
#[derive(Clone, Debug)]
pub struct Cloud {
    /// By part, then by node: what is left of the logarithm when fleet and group are taken off.
    pub rest: Vec<Vec<f64>>,
    /// By part, then by group: where its healthy nodes lie.
    pub levels: Vec<Vec<f64>>,
    /// Squares and products of the rest over healthy nodes, with what is usual weighed in.
    pub products: Vec<Vec<f64>>,
    /// What they are worth, in nodes.
    pub worth: f64,
    /// Healthy nodes.
    pub healthy: f64,
    /// Degrees of freedom of their tails; infinite where they are normal.
    pub tails: f64,
}

impl Cloud {
    /// `groups` is the group of each node, and how many there are; `healthy` is between 0 and 1.
    pub fn of(parts: &Parts, groups: (&[usize], usize), healthy: &[f64]) -> Self {
        let levels: Vec<Vec<f64>> = parts.logs.iter().map(|logs| levels(logs, groups, healthy)).collect();
        let less = |(logs, levels): (&Vec<f64>, &Vec<f64>)| -> Vec<f64> {
            logs.iter().zip(groups.0).map(|(log, group)| log - levels[*group]).collect()
        };
        let rest: Vec<Vec<f64>> = parts.logs.iter().zip(&levels).map(less).collect();
        let count = healthy.iter().sum::<f64>();
        let mut products = products(&rest, healthy, count);
        let worth = WORTH + count - 1.0;
        let wider: Vec<f64> =
            rest.iter().enumerate().map(|(part, rest)| skew(rest, (products[part][part] / worth).sqrt())).collect();
        for (one, row) in products.iter_mut().enumerate() {
            row.iter_mut().enumerate().for_each(|(other, product)| *product *= wider[one] * wider[other]);
        }
        let tails = 1.0 / rest.iter().map(|rest| tails::length(rest)).fold(0.0, f64::max);
        Self { rest, levels, products, worth, healthy: count, tails }
    }
}

/// Sum and weight of finite values.
fn weighed(values: impl Iterator<Item = (f64, f64)>) -> (f64, f64) {
    let finite = values.filter(|(value, _)| value.is_finite());
    finite.fold((0.0, 0.0), |(sum, count), (value, weight)| (sum + weight * value, count + weight))
}

/// Where the healthy nodes of each group lie: the fleet's mean, and the group's own as far as it stands out of what few nodes vary by
/// (an empirical Bayes estimate, Efron and Morris 1973).
fn levels(logs: &[f64], (groups, count): (&[usize], usize), healthy: &[f64]) -> Vec<f64> {
    let (sum, weight) = weighed(logs.iter().copied().zip(healthy.iter().copied()));
    if weight <= 0.0 {
        return vec![0.0; count];
    }
    let mean = sum / weight;
    let (mut sums, mut weights, mut squares) = (vec![0.0; count], vec![0.0; count], 0.0);
    for ((log, healthy), group) in logs.iter().zip(healthy).zip(groups).filter(|((log, _), _)| log.is_finite()) {
        sums[*group] += healthy * (log - mean);
        weights[*group] += healthy;
        squares += healthy * (log - mean).powi(2);
    }
    if count == 1 {
        return vec![mean];
    }
    let variance = squares / weight;
    let told: Vec<(f64, f64)> = sums.iter().zip(&weights).map(|(sum, weight)| (sum / weight, variance / weight)).collect();
    let usual = (GROUPS.1 * (variance.sqrt() / GROUPS.0).min(1.0)).powi(2);
    let between = told.iter().filter(|(own, _)| own.is_finite()).map(|(own, noise)| own * own - noise).sum::<f64>();
    let differ = ((between + GROUPS_WORTH * usual) / (count as f64 + GROUPS_WORTH)).max(usual / 20.0);
    let own = |(own, noise): (f64, f64)| if own.is_finite() && differ > 0.0 { own * differ / (differ + noise) } else { 0.0 };
    told.into_iter().map(|group| mean + own(group)).collect()
}

/// With blanks counting as much as what was there.
fn products(rest: &[Vec<f64>], healthy: &[f64], count: f64) -> Vec<Vec<f64>> {
    let usual = |same: bool| if same { WORTH * USUAL * USUAL } else { 0.0 };
    let product = |one: &[f64], other: &[f64]| {
        let both = one.iter().zip(other).map(|(a, b)| a * b);
        let (sum, there) = weighed(both.zip(healthy.iter().copied()));
        if there > 0.0 { sum * count / there } else { 0.0 }
    };
    let mut all = vec![vec![0.0; rest.len()]; rest.len()];
    for one in 0..rest.len() {
        for other in 0..=one {
            let found = usual(one == other) + product(&rest[one], &rest[other]);
            (all[one][other], all[other][one]) = (found, found);
        }
    }
    all
}

/// By how much the lower side of a large fleet is wider than its standard deviation says: a long lower tail is no fault.
fn skew(rest: &[f64], deviation: f64) -> f64 {
    let mut there: Vec<f64> = rest.iter().copied().filter(|rest| rest.is_finite()).collect();
    if there.len() < MANY || deviation <= 0.0 {
        return 1.0;
    }
    let count = there.len() as f64;
    let middle = quantile(&mut there, 0.5);
    let mut below = |q: f64| middle - quantile(&mut there, q);
    // Slow nodes reach into these quantiles: each is held down by what one in a hundred would move it, and both by their error.
    let lower = (0.97 * below(0.1) / 1.2816).max(0.93 * below(0.025) / 1.96);
    (lower / deviation - 1.0 / count.sqrt()).max(1.0)
}

/// By the median deviation from the median; zero of none.
pub fn robust(logs: &[f64]) -> f64 {
    let middle = median(logs.iter().copied());
    let deviation = 1.4826 * median(logs.iter().map(|log| (log - middle).abs()));
    if deviation.is_finite() { deviation } else { 0.0 }
}

/// How healthy each node seems before anything is known: not, where a part lies far below the median.
pub fn first(parts: &Parts) -> Vec<f64> {
    const FAR: f64 = 3.0;
    let bounds: Vec<f64> = parts.logs.iter().map(|logs| -FAR * robust(logs).max(USUAL / 2.0)).collect();
    let low = |node: usize| parts.logs.iter().zip(&bounds).any(|(logs, bound)| logs[node] < *bound);
    (0..parts.logs[0].len()).map(|node| if low(node) { 0.0 } else { 1.0 }).collect()
}
