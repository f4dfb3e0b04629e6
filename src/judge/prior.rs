//! What is known of a metric's run-to-run spread before any run of it: learned from other metrics and from its past.

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
    /// Learned from many metrics: their variances and how much these differ from each other. Nothing where fewer than three
    /// metrics have runs enough.
    #[must_use]
    pub fn learned(metrics: &[Pooled]) -> Option<Self> {
        let known: Vec<&Pooled> = metrics.iter().filter(|pooled| pooled.df >= 1.0).collect();
        let df: f64 = known.iter().map(|pooled| pooled.df).sum();
        let squares: f64 = known.iter().map(|pooled| pooled.squares).sum();
        (known.len() >= 3 && squares > 0.0).then(|| Self { sd: (squares / df).sqrt(), df: Self::default().df })
    }
}
