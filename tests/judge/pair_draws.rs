//! Pairs of sides with known ratios: noise modelled on the open data, and wider.

use crate::random::{Random, correlated};

pub const KINDS: &[&str] = &["quiet", "ar", "bimodal", "osc", "tail", "thermal"];
const RATIOS: &[f64] = &[1.0, 1.0, 1.0, 1.0, 1.0, 0.995, 0.99, 0.98, 0.95, 0.90];

/// One case: runs of samples as they would be measured.
#[derive(Clone, Debug)]
pub struct Case {
    pub kind: String,
    pub ratio: f64,
    pub higher_is_better: bool,
    pub baseline: Vec<Vec<f64>>,
    pub candidate: Vec<Vec<f64>>,
}

/// How noisy a draw is: factors on what varies within a run, and between runs.
#[derive(Clone, Copy, Debug)]
pub struct Noise {
    pub within: f64,
    pub between: f64,
}

/// What the runs of one case share.
struct Model {
    kind: usize,
    samples: usize,
    between: f64,
    within: f64,
    phi: f64,
    sd: f64,
    amplitude: f64,
    period: f64,
    gap: f64,
    stay: f64,
    rare: f64,
}

pub fn draw(seed: u64, cases: usize, noise: Noise) -> Vec<Case> {
    let mut random = Random::new(seed);
    (0..cases).map(|case| one(&mut random, RATIOS[case % RATIOS.len()], noise)).collect()
}

fn one(random: &mut Random, ratio: f64, Noise { within, between }: Noise) -> Case {
    let model = Model {
        kind: random.whole(0, KINDS.len()),
        samples: random.whole(30, 61),
        between: between * (0.0018 * random.normal(0.5).exp()).min(0.0045),
        within,
        phi: random.uniform(0.1, 0.8),
        sd: within * random.uniform(0.003, 0.008),
        amplitude: within * random.uniform(0.008, 0.018),
        period: random.uniform(6.0, 20.0),
        gap: within * random.uniform(0.01, 0.03),
        stay: random.uniform(3.0, 10.0),
        rare: random.uniform(0.01, 0.05),
    };
    let (before, after) = (random.pick(&[3, 5, 8]), random.pick(&[1, 2, 3]));
    let higher_is_better = random.chance(0.75);
    let scale = random.uniform(1.0, 7.0).exp();
    let mut side = |runs: usize, ratio: f64| -> Vec<Vec<f64>> {
        let one = |log: f64| scale * (if higher_is_better { log } else { -log }).exp();
        (0..runs).map(|_| run(random, &model, ratio.ln()).into_iter().map(one).collect()).collect()
    };
    let (baseline, candidate) = (side(before, 1.0), side(after, ratio));
    Case { kind: KINDS[model.kind].into(), ratio, higher_is_better, baseline, candidate }
}

/// Logarithms of performance.
fn run(random: &mut Random, model: &Model, mean: f64) -> Vec<f64> {
    let count = model.samples;
    let level = mean + random.normal(model.between);
    let quiet = model.within * random.uniform(0.002, 0.0035);
    let varies = match KINDS[model.kind] {
        "quiet" => correlated(random, count, 0.0, quiet),
        "ar" => correlated(random, count, model.phi, model.sd),
        "bimodal" => {
            let mut high = random.chance(0.5);
            let levels = (0..count).map(|_| {
                high ^= random.chance(1.0 / model.stay);
                (if high { 0.5 } else { -0.5 }) * model.gap + random.normal(1.2 * quiet)
            });
            levels.collect()
        }
        "osc" => {
            let phase = random.unit();
            let swing = |at: usize| (std::f64::consts::TAU * (at as f64 / model.period + phase)).sin();
            (0..count).map(|at| model.amplitude * swing(at) + random.normal(1.5 * quiet)).collect()
        }
        "tail" => {
            let spike = |random: &mut Random| if random.chance(model.rare) { random.exponential(0.08) } else { 0.0 };
            (0..count).map(|_| random.normal(0.0045 * model.within) - spike(random)).collect()
        }
        _ => {
            let (height, falls) = (random.uniform(0.02, 0.08), random.uniform(2.0, 7.0));
            let rest = correlated(random, count, model.phi, model.sd);
            rest.iter().enumerate().map(|(at, rest)| rest + height * (-(at as f64) / falls).exp()).collect::<Vec<f64>>()
        }
    };
    varies.into_iter().map(|rest| level + rest).collect()
}
