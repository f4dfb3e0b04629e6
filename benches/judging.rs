//! What judging costs: a comparison, a long history, a fleet of a hundred thousand nodes.
//!
//!     cargo bench --bench judging
//!
//! Fails when a figure is past its bound, so that it can stand in a pipeline.

use assay::judge::{history, locate, pair, peers};
use std::{hint::black_box, process::ExitCode, time::Instant};

/// Seconds that each may take at the most.
const PAIR: f64 = 0.005;
const HISTORY: f64 = 1.0;
const FLEET: f64 = 1.0;

/// The shortest of three repetitions, in seconds.
fn shortest(mut work: impl FnMut()) -> f64 {
    let times = (0..3).map(|_| {
        let begin = Instant::now();
        work();
        begin.elapsed().as_secs_f64()
    });
    times.fold(f64::INFINITY, f64::min)
}

/// Without pattern over any length that matters here, nearly normal with standard deviation 1.
fn noise(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed;
    let mut unit = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    (0..count).map(|_| (0..12).map(|_| unit()).sum::<f64>() - 6.0).collect()
}

fn main() -> ExitCode {
    let runs: Vec<Vec<f64>> =
        (0..11).map(|run| noise(120, run).iter().map(|noise| 100.0 * (1.0 + 0.005 * noise)).collect()).collect();
    let comparing = shortest(|| {
        let all: Vec<_> = runs.iter().filter_map(|run| locate(run, true).ok()).collect();
        black_box(pair::judge(&all[..8], &all[8..], &pair::Terms::default()));
    });
    let values: Vec<f64> = noise(5_000, 1)
        .iter()
        .enumerate()
        .map(|(at, noise)| (if at < 2_500 { 100.0 } else { 98.0 }) * (1.0 + 0.01 * noise))
        .collect();
    let reading = shortest(|| {
        black_box(history::changes(&values, true));
    });
    let nodes = 100_000;
    let logs: Vec<Vec<f64>> = (1..4).map(|metric| noise(nodes, metric).iter().map(|noise| 0.02 * noise).collect()).collect();
    let fleet = peers::Peers {
        nodes: (0..nodes).map(|node| format!("n{node}")).collect(),
        groups: (0..nodes).map(|node| format!("g{}", node % 50)).collect(),
        metrics: ["a", "b", "c"].map(str::to_owned).to_vec(),
        logs,
        ..peers::Peers::default()
    };
    let ranking = shortest(|| {
        black_box(peers::judge(&fleet));
    });
    println!("comparing 11 runs of 120 samples   {:9.3} ms  (at most {} ms)", comparing * 1e3, PAIR * 1e3);
    println!("a history of 5,000 points          {:9.3} ms  (at most {} ms)", reading * 1e3, HISTORY * 1e3);
    println!("100,000 nodes in 3 metrics         {:9.3} ms  (at most {} ms)", ranking * 1e3, FLEET * 1e3);
    if comparing > PAIR || reading > HISTORY || ranking > FLEET { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
