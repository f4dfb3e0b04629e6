//! What is known of a metric's run-to-run spread before any run of it: learned from other metrics and from its past.

use super::sample::{quantile, sorted};
use serde::{Deserialize, Serialize};

/// A run-to-run standard deviation of the logarithm, and how many degrees of freedom that knowledge is worth.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prior {
    pub sd: f64,
    pub df: f64,
}

/// Squares of one metric's runs about their own side's mean, and their degrees of freedom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pooled {
    pub squares: f64,
    pub df: f64,
}

impl Default for Prior {
    /// For a metric of which nothing is known.
    fn default() -> Self {
        Self { sd: 0.0027, df: 4.0 }
    }
}

impl Prior {
    /// Learned from many metrics: the middle of their variances, the closer to the default the fewer they are. Nothing where fewer
    /// than three metrics have runs enough.
    #[must_use]
    pub fn learned(metrics: &[Pooled]) -> Option<Self> {
        const FEWEST: usize = 3;
        /// Metrics that the default is worth.
        const WORTH: f64 = 4.0;
        // The median of χ² over its degrees of freedom (Wilson and Hilferty 1931).
        let middle = |df: f64| (1.0 - 2.0 / (9.0 * df)).powi(3);
        let known = metrics.iter().filter(|pooled| pooled.df >= 1.0 && pooled.squares > 0.0);
        let logs: Vec<f64> = known.map(|pooled| (pooled.squares / pooled.df / middle(pooled.df)).ln()).collect();
        let usual = Self::default();
        let count = logs.len() as f64;
        let learned = (quantile(&sorted(&logs), 0.5) * count + 2.0 * usual.sd.ln() * WORTH) / (count + WORTH);
        (logs.len() >= FEWEST).then(|| Self { sd: (learned / 2.0).exp(), df: usual.df })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_metrics_outweigh_the_default_and_few_say_nothing() {
        let noisy = Pooled { squares: 8.0 * 0.01_f64.powi(2), df: 8.0 };
        assert_eq!(Prior::learned(&[noisy; 2]), None);
        let (few, many) = (Prior::learned(&[noisy; 3]).expect("three"), Prior::learned(&[noisy; 100]).expect("many"));
        assert!(Prior::default().sd < few.sd && few.sd < many.sd && (many.sd - 0.01).abs() < 0.001, "{few:?} {many:?}");
        let one = Pooled { squares: 8.0 * 0.3_f64.powi(2), df: 8.0 };
        let mixed = Prior::learned(&[vec![noisy; 20], vec![one; 3]].concat()).expect("many");
        assert!(mixed.sd < 0.011, "a few wild metrics do not decide it: {mixed:?}");
    }
}
