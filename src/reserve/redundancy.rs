//! Spares: how many nodes beyond those needed, so that enough are up.
//!
//! A node is down a share q = λ·MTTR / (1 + λ·MTTR) of the time, each on its own; of n + k nodes at most k may be down. Spares
//! stand in for losses that goodput and availability would else be charged with: never both for one loss.

/// The least spares k with P(Binomial(n + k, q) ≤ k) ≥ `assurance`: `needed` nodes are then up that often.
///
/// `failures` is λ per node and day, `repair` the mean days until a node is back. Nothing when no number of spares suffices, or
/// the figures make no sense.
#[must_use]
pub fn spares(needed: u64, failures: f64, repair: f64, assurance: f64) -> Option<u64> {
    let load = failures * repair;
    if !(load.is_finite() && load >= 0.0 && (0.0..1.0).contains(&assurance)) {
        return None;
    }
    let down = load / (1.0 + load);
    // Past this many the mean of those down is far below the spares, or there is no end.
    let most = needed.max(64).checked_mul(64)?;
    (0..=most).find(|&spares| at_most(needed + spares, spares, down) >= assurance)
}

/// Share of the time in which at least `needed` of `needed + spares` nodes are up.
#[must_use]
pub fn enough_up(needed: u64, spares: u64, failures: f64, repair: f64) -> f64 {
    let load = failures * repair;
    at_most(needed.saturating_add(spares), spares, load / (1.0 + load))
}

/// P(Binomial(n, q) ≤ k), summed from the largest term down so that nothing overflows or vanishes.
fn at_most(n: u64, k: u64, q: f64) -> f64 {
    if q <= 0.0 || k >= n {
        return 1.0;
    }
    let odds = (q / (1.0 - q)).ln();
    let mut logarithm = n as f64 * (1.0 - q).ln();
    let mut sum = logarithm.exp();
    for taken in 0..k {
        logarithm += ((n - taken) as f64 / (taken + 1) as f64).ln() + odds;
        sum += logarithm.exp();
    }
    sum.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(failures: f64, repair: f64, nodes: [u64; 5]) -> [Option<u64>; 5] {
        nodes.map(|needed| spares(needed, failures, repair, 0.999))
    }

    #[test]
    fn published_rates_ask_for_these_spares() {
        const NODES: [u64; 5] = [4, 16, 64, 256, 2048];
        // 6.50 and 3.79 failures per 1,000 node-days: arXiv 2410.21680 and arXiv 2407.21783.
        assert_eq!(table(6.5e-3, 1.0, NODES), [1, 2, 3, 7, 26].map(Some));
        assert_eq!(table(6.5e-3, 5.0, NODES), [2, 4, 8, 19, 94].map(Some));
        assert_eq!(table(3.79e-3, 1.0, NODES), [1, 2, 3, 5, 18].map(Some));
    }

    #[test]
    fn without_spares_all_must_be_up_at_once_and_with_them_as_often_as_was_asked() {
        // 64 nodes that are each down a share 0.0325 / 1.0325.
        assert!((enough_up(64, 0, 6.5e-3, 5.0) - 1.0325_f64.powi(-64)).abs() < 1e-12);
        let extra = spares(64, 6.5e-3, 5.0, 0.999).expect("enough");
        assert!(enough_up(64, extra, 6.5e-3, 5.0) >= 0.999 && enough_up(64, extra - 1, 6.5e-3, 5.0) < 0.999);
        assert!((enough_up(64, 0, 0.0, 5.0) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn no_failure_asks_for_no_spare_and_nonsense_for_nothing() {
        assert_eq!(spares(100, 0.0, 3.0, 0.999), Some(0));
        assert_eq!((spares(10, -1.0, 1.0, 0.9), spares(10, 0.1, 1.0, 1.0), spares(10, f64::NAN, 1.0, 0.9)), (None, None, None));
    }

    #[test]
    fn the_binomial_is_that_of_its_definition() {
        // n = 3, q = 0.5: 1/8, 4/8, 7/8, 1.
        for (k, sum) in [(0, 0.125), (1, 0.5), (2, 0.875), (3, 1.0)] {
            assert!((at_most(3, k, 0.5) - sum).abs() < 1e-12, "{k}");
        }
    }
}
