//! Fleets with known slow nodes: spread modelled on the open data, and wider.

use crate::random::Random;
use assay::judge::peers;
use std::collections::BTreeSet;

/// One fleet.
#[derive(Clone, Debug)]
pub struct Fleet {
    pub peers: peers::Peers,
    pub slow: BTreeSet<usize>,
    /// What it was drawn from; blank of the open fleets.
    pub drawn: Option<Drawn>,
}

/// What a fleet was drawn from.
#[derive(Clone, Debug)]
pub struct Drawn {
    pub kind: Kind,
    pub spread: f64,
    /// By node: that of its group.
    pub offsets: Vec<f64>,
}

pub const METRICS: [&str; 3] = ["gemm_a_tflops", "gemm_b_tflops", "membw_gbps"];
/// Sizes of the fleets of one draw: every fifth slow node or so stands in one of less than a thousand nodes.
pub const SIZES: [usize; 5] = [16, 64, 256, 1_000, 3_000];
/// Fleets in which every size has as much to say.
pub const SMALL_SIZES: [usize; 6] = [16, 32, 64, 128, 256, 512];
/// Memory varies by this part of what compute does, and goes along with it by that much.
pub const MEMORY: f64 = 0.4;
pub const ALONG: f64 = 0.22;
/// What a group is off by in memory, as a part of what it is off by in compute.
pub const OFF: f64 = 0.2;
/// Logarithms that the metrics lie about.
pub fn levels() -> [f64; 3] {
    [600.0_f64.ln(), 600.0_f64.ln(), 3900.0_f64.ln()]
}
/// Of slow nodes so many are slow in compute, and in memory; the rest in both.
pub const COMPUTE: f64 = 0.42;
pub const BANDWIDTH: f64 = 0.29;

/// What fleets are drawn from.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Healthy spread of compute, at least and at most.
    pub spread: (f64, f64),
    pub severity: (f64, f64),
    /// Measuring error.
    pub error: f64,
    /// Share of slow nodes; there is always one at least, unless it is none.
    pub share: (f64, f64),
    /// How much longer the lower tail is than the upper.
    pub skew: f64,
    /// Degrees of freedom of Student's t, at least three, where tails are longer than those of a normal distribution.
    pub tails: Option<u32>,
}

/// As the open data are built, with fleets that spread more among them.
pub const OPEN: Kind =
    Kind { spread: (0.010, 0.035), severity: (0.045, 0.12), error: 0.003, share: (0.004, 0.015), skew: 1.0, tails: None };

/// Files of one fleet of each size.
pub fn draw(seed: u64, files: usize, sizes: &[usize], kind: &Kind) -> Vec<Fleet> {
    let mut random = Random::new(seed);
    (0..files).flat_map(|_| sizes.to_vec()).map(|nodes| one(&mut random, nodes, kind)).collect()
}

/// With standard deviation 1.
fn varied(random: &mut Random, kind: &Kind) -> f64 {
    let normal = random.normal(1.0);
    let Some(degrees) = kind.tails else { return normal };
    let squares: f64 = (0..degrees).map(|_| random.normal(1.0).powi(2)).sum();
    normal * (f64::from(degrees - 2) / squares).sqrt()
}

pub fn one(random: &mut Random, nodes: usize, kind: &Kind) -> Fleet {
    let (spread, measuring) = (random.uniform(kind.spread.0, kind.spread.1), kind.error);
    let groups = if nodes < 64 { 1 } else { random.pick(&[1, 1, 2, 4]) };
    let offsets: Vec<f64> = (0..groups).map(|_| if groups > 1 { random.normal(0.006) } else { 0.0 }).collect();
    let share = random.uniform(kind.share.0, kind.share.1);
    let slow_nodes = if share > 0.0 { ((nodes as f64 * share).round() as usize).max(1) } else { 0 };
    let mut slow = BTreeSet::new();
    while slow.len() < slow_nodes {
        slow.insert(random.whole(0, nodes));
    }
    let levels = levels();
    let mut logs = vec![Vec::new(); 3];
    let (mut names, mut off) = (Vec::new(), Vec::new());
    for node in 0..nodes {
        let group = random.whole(0, groups);
        let skewed = |normal: f64| if normal < 0.0 { normal * kind.skew } else { normal };
        let own = skewed(varied(random, kind));
        let memory = ALONG * own + (1.0 - ALONG * ALONG).sqrt() * skewed(varied(random, kind));
        let (mut compute, mut bandwidth) = (spread * own + offsets[group], MEMORY * spread * memory + OFF * offsets[group]);
        if slow.contains(&node) {
            let lacks = -(1.0 - random.uniform(kind.severity.0, kind.severity.1)).ln();
            let part = random.unit();
            compute -= if (COMPUTE..=COMPUTE + BANDWIDTH).contains(&part) { 0.0 } else { lacks };
            bandwidth -= if part > COMPUTE { lacks } else { 0.0 };
        }
        for (metric, value) in [compute, compute, bandwidth].into_iter().enumerate() {
            logs[metric].push(levels[metric] + value + random.normal(measuring));
        }
        names.push(format!("g{group}"));
        off.push(offsets[group]);
    }
    let peers = peers::Peers {
        nodes: (0..nodes).map(|node| format!("n{node:06}")).collect(),
        groups: names,
        metrics: METRICS.map(str::to_owned).to_vec(),
        logs,
        ..peers::Peers::default()
    };
    Fleet { peers, slow, drawn: Some(Drawn { kind: *kind, spread, offsets: off }) }
}
