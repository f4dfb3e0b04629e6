//! The standard error of a mean of correlated values, and how far that error itself is known.

/// Highest order of the autoregression, and how many values each order needs.
const ORDERS: usize = 10;
const VALUES_AN_ORDER: usize = 8;
/// An oscillation may bring the variance of the mean down to this part of that of independent values …
const OSCILLATION: f64 = 0.25;
/// … and to this part where the lowest frequencies are seen to hold nothing of it.
const QUIET_OSCILLATION: f64 = 0.02;
/// Lowest frequencies that stand for frequency zero, and how many values each needs.
const LOWEST: usize = 8;
const VALUES_A_FREQUENCY: usize = 8;
/// A peak above the lowest frequencies by this much is an oscillation.
const PEAK: f64 = 12.0;

/// What a series of values says of their mean.
#[derive(Clone, Copy, Debug)]
pub struct LongRun {
    /// Standard error of the mean.
    pub error: f64,
    /// Independent values that would tell as much.
    pub effective: f64,
    /// Degrees of freedom of the error.
    pub degrees: f64,
}

pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

pub fn sum_of_squares(values: &[f64]) -> f64 {
    let mean = mean(values);
    values.iter().map(|value| (value - mean).powi(2)).sum()
}

/// Central moment.
pub fn moment(values: &[f64], power: i32) -> f64 {
    let mean = mean(values);
    values.iter().map(|value| (value - mean).powi(power)).sum::<f64>() / values.len() as f64
}

/// By the spectrum at frequency zero of an autoregression: v / (1 − Σφ)², over n. Σφ is raised by the bias (1+3ρ)/n of an
/// autocorrelation (Kendall 1954) and held below 0.95. Where the series oscillates, a short autoregression takes part of the peak for
/// the spectrum at zero: there the mean of the lowest frequencies of the periodogram stands for it (Heidelberger and Welch 1981).
///
/// A variance that few values make up is itself badly known: its degrees of freedom are 2n / (κ − 1), κ being the kurtosis.
pub fn long_run(values: &[f64]) -> LongRun {
    let n = values.len() as f64;
    let variance = sum_of_squares(values) / (n - 1.0);
    // Rounding of equal values is no variance.
    if variance <= (1e-12 * mean(values)).powi(2) {
        return LongRun { error: 0.0, effective: n, degrees: n - 1.0 };
    }
    let Autoregression { sum, rest, order } = autoregression(values);
    let sum = (sum + (1.0 + 3.0 * sum.max(0.0)) / n).min(0.95);
    let unexplained = rest * n / (n - 1.0 - order as f64);
    let mut spectrum = (unexplained / (1.0 - sum).powi(2)).max(OSCILLATION * variance);
    let kurtosis = moment(values, 4) / moment(values, 2).powi(2);
    let effective = (n * variance / spectrum).clamp(1.0, n);
    let mut degrees = effective - 1.0;
    if let Some((quiet, theirs)) = lowest_frequencies(values)
        && 2.0 * quiet < spectrum
    {
        spectrum = quiet.max(QUIET_OSCILLATION * variance);
        degrees = theirs;
    }
    let known = 2.0 * effective / (kurtosis - 1.0).max(1e-9);
    LongRun { error: (spectrum / n).sqrt(), effective: (n * variance / spectrum).clamp(1.0, n), degrees: degrees.min(known) }
}

/// Mean of the periodogram over the lowest frequencies, and its degrees of freedom; nothing where there are too few values or where no
/// higher frequency stands out.
fn lowest_frequencies(values: &[f64]) -> Option<(f64, f64)> {
    let (n, mean) = (values.len(), mean(values));
    let lowest = (n / VALUES_A_FREQUENCY).min(LOWEST);
    if lowest < 3 {
        return None;
    }
    let ordinate = |index: usize| {
        let step = std::f64::consts::TAU * index as f64 / n as f64;
        let (re, im) = values.iter().enumerate().fold((0.0, 0.0), |(re, im), (at, value)| {
            let (sin, cos) = (step * at as f64).sin_cos();
            (re + (value - mean) * cos, im + (value - mean) * sin)
        });
        (re * re + im * im) / n as f64
    };
    let low = (1..=lowest).map(ordinate).sum::<f64>() / lowest as f64;
    let peak = (lowest + 1..=n / 2).map(ordinate).fold(0.0, f64::max);
    (peak > PEAK * low).then_some((low, 2.0 * lowest as f64))
}

struct Autoregression {
    /// Of the coefficients.
    sum: f64,
    /// Variance that it leaves unexplained.
    rest: f64,
    order: usize,
}

/// Levinson's recursion over the autocovariances; the order with the least AIC.
fn autoregression(values: &[f64]) -> Autoregression {
    let (n, mean) = (values.len() as f64, mean(values));
    let orders = (values.len() / VALUES_AN_ORDER).clamp(1, ORDERS);
    let covariance = |lag: usize| values[lag..].iter().zip(values).map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>() / n;
    let covariances: Vec<f64> = (0..=orders).map(covariance).collect();
    let mut rest = covariances[0];
    let mut best = Autoregression { sum: 0.0, rest, order: 0 };
    let mut least = n * rest.ln();
    let mut coefficients: Vec<f64> = Vec::with_capacity(orders);
    for order in 1..=orders {
        let known: f64 = coefficients.iter().zip(covariances[1..order].iter().rev()).map(|(f, c)| f * c).sum();
        let reflection = (covariances[order] - known) / rest;
        let turned: Vec<f64> = coefficients.iter().rev().map(|f| reflection * f).collect();
        coefficients.iter_mut().zip(turned).for_each(|(f, t)| *f -= t);
        coefficients.push(reflection);
        rest *= 1.0 - reflection.powi(2);
        if rest <= covariances[0] * 1e-12 {
            break;
        }
        let criterion = n * rest.ln() + 2.0 * order as f64;
        if criterion < least {
            least = criterion;
            best = Autoregression { sum: coefficients.iter().sum(), rest, order };
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Even noise of variance 1/12.
    fn noise() -> impl FnMut() -> f64 {
        let mut seed = 1_u64;
        move || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as f64 / f64::from(1_u32 << 31) - 0.5
        }
    }

    #[test]
    fn a_second_order_autoregression_is_found_by_its_coefficients() {
        // x[t] = 1.2 x[t-1] - 0.6 x[t-2] + e
        let mut noise = noise();
        let mut values = vec![0.0, 0.0];
        for t in 2..4_000 {
            values.push(1.2 * values[t - 1] - 0.6 * values[t - 2] + noise());
        }
        let found = autoregression(&values);
        assert!((found.sum - 0.6).abs() < 0.08 && (found.rest - 1.0 / 12.0).abs() < 0.01, "{} {}", found.sum, found.rest);
        // By theory the spectrum at zero is v / (1 - 0.6)².
        let expected = (1.0 / 12.0 / 0.16 / 4_000.0_f64).sqrt();
        assert!((long_run(&values).error / expected - 1.0).abs() < 0.2);
    }

    #[test]
    fn what_comes_again_every_six_values_does_not_blur_the_mean() {
        let mut noise = noise();
        let spikes: Vec<f64> = (0..96).map(|i| if i % 6 == 0 { 30.0 } else { 0.0 } + noise()).collect();
        let independent = (sum_of_squares(&spikes) / 95.0 / 96.0).sqrt();
        let found = long_run(&spikes);
        assert!(found.error < 0.3 * independent && found.degrees <= 16.0, "{found:?}, independent {independent}");
    }

    #[test]
    fn a_variance_of_one_value_is_hardly_known() {
        let mut values = vec![1.0; 100];
        values[50] = 2.0;
        let found = long_run(&values);
        assert!((found.error - 0.01).abs() < 1e-3 && (2.0..3.0).contains(&found.degrees), "{found:?}");
        assert_eq!(long_run(&[3.0; 20]).error, 0.0);
    }
}
