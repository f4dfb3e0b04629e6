//! The most that can be known of a fleet that was drawn: how probably each node is slow, told all that it was drawn from but which
//! nodes are slow. No method that must find this out of the fleet itself does better than chance allows.

use crate::fleet_draws::{ALONG, BANDWIDTH, COMPUTE, Drawn, Fleet, MEMORY, OFF, levels};
use std::collections::BTreeSet;

/// Slow is whoever is so with this probability, half of F1 as it comes out: no cut on probabilities has a higher F1 (Lipton et al. 2014).
const CUT: f64 = 0.44;
/// Who lacks less in every part is not slow, by any odds that a fleet has.
const NEAR: f64 = -0.015;
const STEPS: usize = 16;

/// The nodes that are probably slow.
pub fn outliers(fleet: &Fleet) -> BTreeSet<usize> {
    let drawn = fleet.drawn.as_ref().expect("a fleet that was drawn");
    let nodes = fleet.peers.nodes.len();
    let odds = fleet.slow.len() as f64 / (nodes - fleet.slow.len()) as f64;
    let likely = |node: &usize| odds * ratio(fleet, drawn, *node) >= CUT / (1.0 - CUT);
    (0..nodes).filter(likely).collect()
}

/// How much more likely a node's values are if it is slow.
fn ratio(fleet: &Fleet, drawn: &Drawn, node: usize) -> f64 {
    let (logs, levels, off) = (&fleet.peers.logs, levels(), drawn.offsets[node]);
    let compute = f64::midpoint(logs[0][node] - levels[0], logs[1][node] - levels[1]) - off;
    let memory = logs[2][node] - levels[2] - OFF * off;
    let (spread, error) = (drawn.spread.powi(2), drawn.kind.error.powi(2));
    if compute > NEAR && memory > NEAR {
        return 0.0;
    }
    let (a, b, both) = (spread + error / 2.0, MEMORY * MEMORY * spread + error, ALONG * MEMORY * spread);
    let square = |x: f64, y: f64| (b * x * x - 2.0 * both * x * y + a * y * y) / (a * b - both * both);
    let healthy = square(compute, memory);
    let (least, most) = drawn.kind.severity;
    let lacks = (0..STEPS).map(|at| -(1.0 - least - (most - least) * at as f64 / (STEPS - 1) as f64).ln());
    let ways = [(COMPUTE, 1.0, 0.0), (BANDWIDTH, 0.0, 1.0), (1.0 - COMPUTE - BANDWIDTH, 1.0, 1.0)];
    let of = |lack: f64| {
        let each = ways.map(|(share, x, y)| share * (0.5 * (healthy - square(compute + x * lack, memory + y * lack))).exp());
        each.iter().sum::<f64>()
    };
    lacks.map(of).sum::<f64>() / STEPS as f64
}
