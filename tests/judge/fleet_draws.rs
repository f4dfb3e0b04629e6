//! Fleets with known slow nodes: spread modelled on the open data, and wider.

use crate::random::Random;
use assay::judge::peers;
use std::collections::BTreeSet;

/// One fleet.
#[derive(Clone, Debug)]
pub struct Fleet {
    pub peers: peers::Peers,
    pub slow: BTreeSet<usize>,
}

pub const METRICS: [&str; 3] = ["gemm_a_tflops", "gemm_b_tflops", "membw_gbps"];
const SIZES: &[usize] = &[16, 16, 32, 64, 64, 128, 256, 1000, 3000];
/// Memory varies by this part of what compute does, and goes along with it by that much.
const MEMORY: f64 = 0.4;
const ALONG: f64 = 0.2;

/// `noise` is a factor on the measuring error of 0.3 %, spreads are 1 to 3.5 %.
pub fn draw(seed: u64, count: usize, noise: f64) -> Vec<Fleet> {
    let mut random = Random::new(seed);
    (0..count)
        .map(|_| {
            let nodes = random.pick(SIZES);
            one(&mut random, nodes, noise)
        })
        .collect()
}

pub fn one(random: &mut Random, nodes: usize, noise: f64) -> Fleet {
    let (spread, measuring) = (random.uniform(0.010, 0.035), 0.003 * noise);
    let groups = if nodes < 64 { 1 } else { random.pick(&[1, 1, 2, 4]) };
    let offsets: Vec<f64> = (0..groups).map(|_| if groups > 1 { random.normal(0.006) } else { 0.0 }).collect();
    let slow_nodes = ((nodes as f64 * random.uniform(0.004, 0.015)).round() as usize).max(1);
    let mut slow = BTreeSet::new();
    while slow.len() < slow_nodes {
        slow.insert(random.whole(0, nodes));
    }
    let levels = [600.0_f64.ln(), 600.0_f64.ln(), 3900.0_f64.ln()];
    let mut logs = vec![Vec::new(); 3];
    let mut names = Vec::new();
    for node in 0..nodes {
        let group = random.whole(0, groups);
        let own = random.normal(1.0);
        let memory = ALONG * own + (1.0 - ALONG * ALONG).sqrt() * random.normal(1.0);
        let (mut compute, mut bandwidth) = (spread * own + offsets[group], MEMORY * spread * memory + 0.2 * offsets[group]);
        if slow.contains(&node) {
            let lacks = -(1.0 - random.uniform(0.045, 0.12)).ln();
            match random.whole(0, 3) {
                0 => compute -= lacks,
                1 => bandwidth -= lacks,
                _ => {
                    compute -= lacks;
                    bandwidth -= lacks;
                }
            }
        }
        for (metric, value) in [compute, compute, bandwidth].into_iter().enumerate() {
            logs[metric].push(levels[metric] + value + random.normal(measuring));
        }
        names.push(format!("g{group}"));
    }
    let peers = peers::Peers {
        nodes: (0..nodes).map(|node| format!("n{node:06}")).collect(),
        groups: names,
        metrics: METRICS.map(str::to_owned).to_vec(),
        logs,
    };
    Fleet { peers, slow }
}
