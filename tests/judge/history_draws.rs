//! Histories with known changes: noise modelled on the open data, and wider.

use crate::random::{Random, correlated};

/// One series.
#[derive(Clone, Debug)]
pub struct Series {
    pub name: String,
    pub values: Vec<f64>,
    /// First point of each new level, and its ratio to the one before.
    pub changes: Vec<(usize, f64)>,
}

/// Series of which about a third has no change. `noise` is a factor on the standard deviation of 0.4 to 1.4 %.
pub fn draw(seed: u64, count: usize, noise: f64) -> Vec<Series> {
    let mut random = Random::new(seed);
    (0..count).map(|at| one(&mut random, format!("s{at:03}"), noise)).collect()
}

fn one(random: &mut Random, name: String, noise: f64) -> Series {
    let count = random.whole(60, 301);
    let (phi, sd) = (random.pick(&[0.0, 0.0, 0.3, 0.45]), noise * random.uniform(0.004, 0.014));
    let level = random.uniform(1.0, 7.0).exp();
    let mut logs: Vec<f64> = correlated(random, count, phi, sd);
    let mut changes: Vec<(usize, f64)> = Vec::new();
    for _ in 0..if random.chance(0.33) { 0 } else { random.whole(1, 4) } {
        let at = random.whole(12, count - 12);
        if changes.iter().all(|(other, _)| other.abs_diff(at) >= 15) {
            let size = random.uniform(0.012_f64.ln(), 0.10_f64.ln()).exp();
            changes.push((at, if random.chance(0.6) { 1.0 - size } else { 1.0 + size }));
        }
    }
    changes.sort_by_key(|(at, _)| *at);
    for (at, ratio) in &changes {
        logs[*at..].iter_mut().for_each(|log| *log += ratio.ln());
    }
    if random.chance(0.5) {
        let rate = random.uniform(0.005, 0.035);
        for log in &mut logs {
            if random.chance(rate) {
                *log += (1.0 - random.uniform(0.04, 0.2)).ln();
            }
        }
    }
    Series { name, values: logs.iter().map(|log| level * log.exp()).collect(), changes }
}
