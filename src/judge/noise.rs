//! What a mean of correlated samples is worth: the variance of a long run, from the autocovariances of all runs together.

use serde::{Deserialize, Serialize};

/// Highest order of the autoregression.
const ORDERS: usize = 8;
/// Samples that each order needs.
const SAMPLES_AN_ORDER: f64 = 10.0;
/// Rounds in which the variance that a run's own mean takes away is put back.
const ROUNDS: usize = 4;
/// 1 − Σφ is held above this: a run shorter than its memory tells no more.
const MEMORY: f64 = 0.05;
/// An oscillation may bring the variance of a mean down to this part of that of independent samples.
const OSCILLATION: f64 = 0.25;

/// Products of a run's residuals, lag by lag: all that its correlation needs, so that a baseline can keep it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lags {
    pub products: [f64; ORDERS + 1],
    pub count: f64,
}

impl Lags {
    /// Of values about their own mean.
    #[must_use]
    pub fn of(values: &[f64]) -> Self {
        let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
        let residuals: Vec<f64> = values.iter().map(|value| value - mean).collect();
        let mut products = [0.0; ORDERS + 1];
        for (lag, product) in products.iter_mut().enumerate().take(residuals.len()) {
            *product = residuals[lag..].iter().zip(&residuals).map(|(a, b)| a * b).sum();
        }
        Self { products, count: values.len() as f64 }
    }
}

/// n times the variance of the mean of n samples, for large n: the spectrum at frequency zero of an autoregression whose order
/// AIC chooses (Heidelberger and Welch 1981). Zero of nothing that varies.
#[must_use]
pub fn long_run(runs: &[Lags]) -> f64 {
    let total: f64 = runs.iter().map(|run| run.count).sum();
    let length = total / runs.len().max(1) as f64;
    let mut covariances = [0.0; ORDERS + 1];
    for run in runs {
        for (sum, product) in covariances.iter_mut().zip(run.products) {
            *sum += product / total;
        }
    }
    if total < 2.0 || covariances[0].is_nan() || covariances[0] <= 0.0 {
        return 0.0;
    }
    let orders = ORDERS.min((total / SAMPLES_AN_ORDER) as usize);
    let mut variance = 0.0;
    for _ in 0..ROUNDS {
        // A run's own mean takes the long-run variance over its length out of every covariance.
        let whole = covariances.map(|covariance| covariance + variance / length);
        variance = spectrum(&whole[..=orders], total);
    }
    variance.max(OSCILLATION * covariances[0])
}

/// By the recursion of Levinson and Durbin, which passes through every order on its way.
fn spectrum(covariances: &[f64], samples: f64) -> f64 {
    let mut coefficients: Vec<f64> = Vec::new();
    let mut error = covariances[0];
    let (mut best, mut chosen) = (samples * error.ln(), error);
    for order in 1..covariances.len() {
        let told: f64 = coefficients.iter().enumerate().map(|(at, phi)| phi * covariances[order - 1 - at]).sum();
        let reflection = (covariances[order] - told) / error;
        let before = coefficients.clone();
        for (at, phi) in coefficients.iter_mut().enumerate() {
            *phi -= reflection * before[order - 2 - at];
        }
        coefficients.push(reflection);
        error *= 1.0 - reflection * reflection;
        if error.is_nan() || error <= 0.0 {
            break;
        }
        let criterion = samples * error.ln() + 2.0 * order as f64;
        if criterion < best {
            best = criterion;
            chosen = error / (1.0 - coefficients.iter().sum::<f64>()).max(MEMORY).powi(2);
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A fixed sequence without pattern, in -0.5..0.5.
    fn noise(count: usize) -> Vec<f64> {
        let mut state = 1_u64;
        let next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
        };
        std::iter::repeat_with(next).take(count).collect()
    }

    #[test]
    fn independent_samples_have_their_own_variance() {
        let variance = long_run(&[Lags::of(&noise(4_000))]);
        assert!((variance * 12.0 - 1.0).abs() < 0.1, "{variance}");
    }

    #[test]
    fn persistence_adds_and_oscillation_takes_away() {
        let mut state = 0.0;
        let persistent: Vec<f64> = noise(4_000)
            .iter()
            .map(|fresh| {
                state = 0.7 * state + fresh;
                state
            })
            .collect();
        let expected = 1.0 / 12.0 / 0.09;
        let variance = long_run(&[Lags::of(&persistent)]);
        assert!((variance / expected - 1.0).abs() < 0.2, "{variance}, not {expected}");
        let swing: Vec<f64> = noise(4_000).iter().enumerate().map(|(at, fresh)| (at as f64 * 0.7).sin() + 0.2 * fresh).collect();
        assert!(long_run(&[Lags::of(&swing)]) < 0.3 * Lags::of(&swing).products[0] / 4_000.0);
    }

    #[test]
    fn what_does_not_vary_has_no_variance() {
        assert_eq!([long_run(&[]), long_run(&[Lags::of(&[1.0])]), long_run(&[Lags::of(&[2.0; 50])])], [0.0; 3]);
    }
}
