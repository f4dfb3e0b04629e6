//! What is known of a metric's run-to-run spread before any run of it: learned from other metrics and from its past.

use super::{
    Squares,
    sample::{quantile, sorted},
};
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
    /// For a metric of which nothing is known: how much its runs vary then rests on them, and of one run a side next to nothing follows.
    fn default() -> Self {
        Self { sd: 0.003, df: 1.0 }
    }
}

/// What is known before any run: of what runs of a session vary by, and of what sessions do.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Priors {
    pub runs: Prior,
    /// Means of sessions about their side. Nothing where no metric was measured in several.
    pub sessions: Option<Prior>,
}

/// What sessions are taken to vary by where nothing tells it: so false alarms stay within the level up to twice as much.
pub const SESSIONS: Prior = Prior { sd: 0.003, df: 2.0 };

impl Priors {
    /// These, and what runs and sessions of the metric itself told.
    #[must_use]
    pub fn with(self, told: Squares) -> Self {
        let known = (told.sessions.df > 0.0).then(|| self.sessions.unwrap_or(SESSIONS).with(told.sessions));
        Self { runs: self.runs.with(told.runs), sessions: known.or(self.sessions) }
    }

    /// With what many metrics tell of metrics in general. Metrics share their sessions, so of these they know no more than one of them.
    #[must_use]
    pub fn learned(self, metrics: &[Squares]) -> Self {
        let of = |which: fn(&Squares) -> Pooled| metrics.iter().map(which).collect::<Vec<_>>();
        let (runs, sessions) = (of(|squares| squares.runs), of(|squares| squares.sessions));
        let most = sessions.iter().map(|pooled| pooled.df).fold(1.0, f64::max);
        let sessions = Prior::learned(&sessions, SESSIONS).map(|prior| Prior { df: prior.df.min(most), ..prior });
        Self { runs: Prior::learned(&runs, self.runs).unwrap_or(self.runs), sessions: sessions.or(self.sessions) }
    }
}

impl Prior {
    /// This, and what runs of the metric itself told.
    #[must_use]
    pub fn with(self, told: Pooled) -> Self {
        let total = self.df + told.df;
        Self { sd: ((self.sd.powi(2) * self.df + told.squares) / total).sqrt(), df: total }
    }

    /// Learned from many metrics: the middle of their variances, and how far these agree, the closer to what is usual the fewer they are
    /// (Smyth 2004). Nothing where fewer than three metrics have runs enough.
    #[must_use]
    pub fn learned(metrics: &[Pooled], usual: Self) -> Option<Self> {
        const FEWEST: usize = 3;
        /// Metrics that what is usual is worth.
        const WORTH: f64 = 4.0;
        // The median of χ² over its degrees of freedom (Wilson and Hilferty 1931).
        let middle = |df: f64| (1.0 - 2.0 / (9.0 * df)).powi(3);
        let known: Vec<&Pooled> = metrics.iter().filter(|pooled| pooled.df >= 1.0 && pooled.squares > 0.0).collect();
        let logs: Vec<f64> = known.iter().map(|pooled| (pooled.squares / pooled.df / middle(pooled.df)).ln()).collect();
        let count = logs.len() as f64;
        let own = quantile(&sorted(&logs), 0.5);
        let learned = (own * count + 2.0 * usual.sd.ln() * WORTH) / (count + WORTH);
        // By how much variances differ beyond what few runs each make them differ; told robustly, since a few metrics are wild.
        let apart = logs.iter().map(|log| (log - own).abs()).collect::<Vec<_>>();
        let differ = (1.4826 * quantile(&sorted(&apart), 0.5)).powi(2);
        let by_chance = known.iter().map(|pooled| trigamma(pooled.df / 2.0)).sum::<f64>() / count;
        let beyond = (differ - by_chance).max(0.0);
        let df = degrees((beyond * count + trigamma(usual.df / 2.0) * WORTH) / (count + WORTH));
        (logs.len() >= FEWEST).then(|| Self { sd: (learned / 2.0).exp(), df })
    }
}

/// Variance of the logarithm of a gamma variable of this shape; that of χ² over its degrees of freedom at half of them.
fn trigamma(shape: f64) -> f64 {
    // Recurrence up to where the asymptotic series holds (Abramowitz and Stegun 6.4.6, 6.4.12).
    let (mut at, mut sum) = (shape, 0.0);
    while at < 6.0 {
        sum += 1.0 / (at * at);
        at += 1.0;
    }
    sum + 1.0 / at + 0.5 / (at * at) + 1.0 / (6.0 * at.powi(3)) - 1.0 / (30.0 * at.powi(5))
}

/// Degrees of freedom by which the logarithms of variances vary by this much, between bounds: neither is a prior worth nothing, nor
/// does it outweigh the runs of a metric that is wilder than most.
fn degrees(variance: f64) -> f64 {
    let (mut low, mut high) = (1.0_f64, 4.0_f64);
    for _ in 0..40 {
        let middle = f64::midpoint(low, high);
        if trigamma(middle / 2.0) > variance {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned(metrics: &[Pooled]) -> Option<Prior> {
        Prior::learned(metrics, Prior::default())
    }

    #[test]
    fn many_metrics_outweigh_the_default_and_few_say_nothing() {
        let noisy = Pooled { squares: 8.0 * 0.01_f64.powi(2), df: 8.0 };
        assert_eq!(learned(&[noisy; 2]), None);
        let (few, many) = (learned(&[noisy; 3]).expect("three"), learned(&[noisy; 100]).expect("many"));
        assert!(Prior::default().sd < few.sd && few.sd < many.sd && (many.sd - 0.01).abs() < 0.001, "{few:?} {many:?}");
        let one = Pooled { squares: 8.0 * 0.3_f64.powi(2), df: 8.0 };
        let mixed = learned(&[vec![noisy; 20], vec![one; 3]].concat()).expect("many");
        assert!(mixed.sd < 0.011, "a few wild metrics do not decide it: {mixed:?}");
    }

    #[test]
    fn metrics_that_agree_are_worth_more_degrees_of_freedom_than_metrics_that_do_not() {
        let of = |sd: f64| Pooled { squares: 8.0 * sd.powi(2), df: 8.0 };
        let agree = learned(&[of(0.01); 40]).expect("many").df;
        let differ: Vec<Pooled> = (0..40).map(|at| of(0.01 * 10_f64.powf(f64::from(at % 5) / 2.0 - 1.0))).collect();
        let differ = learned(&differ).expect("many").df;
        assert!(differ < 2.0 && agree > 3.0 && agree <= 4.0, "{differ} {agree}");
        assert!((trigamma(1.0) - std::f64::consts::PI.powi(2) / 6.0).abs() < 1e-6 && (degrees(trigamma(1.5)) - 3.0).abs() < 1e-6);
        let few = learned(&[of(0.01); 3]).expect("three").df;
        assert!(few > Prior::default().df && few < agree, "{few} {agree}");
    }

    #[test]
    fn metrics_of_two_sessions_know_of_sessions_what_one_of_them_does() {
        let of = |df: f64| Squares { runs: Pooled::default(), sessions: Pooled { squares: df * 0.01_f64.powi(2), df } };
        let priors = Priors::default().learned(&[of(1.0); 40]);
        let sessions = priors.sessions.expect("forty metrics");
        assert!(priors.runs == Prior::default() && sessions.df <= 1.0 && sessions.sd > 0.008, "{priors:?}");
        let own = Priors::default().with(of(6.0)).sessions.expect("seven sessions");
        assert!(own.df > 7.9 && (0.008..0.01).contains(&own.sd), "{own:?}");
        assert_eq!(Priors::default().with(Squares::default()).sessions, None);
    }
}
