//! How long the tails of healthy nodes are, told by the upper one: no slow node lies there.

use super::parts::{median, quantile};
use statrs::function::gamma::ln_gamma;
use std::f64::consts::PI;

/// Degrees of freedom of Student's t that are reckoned with beside the normal distribution.
const DEGREES: [f64; 6] = [4.0, 5.0, 6.0, 8.0, 12.0, 20.0];
/// How probable they are together before a fleet is looked at.
const LONG: f64 = 0.03;
/// Fewer nodes do not tell.
const FEWEST: usize = 100;
/// Values are counted in steps of this, in standard deviations, up to so many of them.
const STEP: f64 = 0.05;
const STEPS: usize = 400;
/// Scales that are tried, as parts of the one by the median deviation.
const SCALES: usize = 13;
const LEAST: f64 = 0.8;
const MOST: f64 = 1.1;

/// Degrees of freedom that the values have about their median, as their reciprocal: 0 is normal.
pub fn length(values: &[f64]) -> f64 {
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let middle = median(finite());
    let mut above: Vec<f64> = finite().map(|value| value - middle).filter(|above| *above > 0.0).collect();
    if finite().count() < FEWEST || above.is_empty() {
        return 0.0;
    }
    let deviation = 1.4826 * quantile(&mut above, 0.5);
    let mut counts = [0.0; STEPS];
    for above in above {
        counts[((above / deviation / STEP) as usize).min(STEPS - 1)] += 1.0;
    }
    let counts: Vec<(f64, f64)> =
        counts.iter().enumerate().map(|(at, count)| ((at as f64 + 0.5) * STEP, *count)).filter(|(_, count)| *count > 0.0).collect();
    let normal = best(|square| -0.5 * square, &counts) - 0.5 * (2.0 * PI).ln() * total(&counts);
    let long = DEGREES.map(|degrees| {
        let power = f64::midpoint(degrees, 1.0);
        let constant = ln_gamma(power) - ln_gamma(degrees / 2.0) - 0.5 * (degrees * PI).ln();
        best(|square| -power * (square / degrees).ln_1p(), &counts) + constant * total(&counts) - normal
    });
    let most = long.into_iter().fold(0.0, f64::max);
    let weights = long.map(|likelihood| LONG / DEGREES.len() as f64 * (likelihood - most).exp());
    let all = weights.iter().sum::<f64>() + (1.0 - LONG) * (-most).exp();
    weights.iter().zip(DEGREES).map(|(weight, degrees)| weight / all / degrees).sum()
}

fn total(counts: &[(f64, f64)]) -> f64 {
    counts.iter().map(|(_, count)| count).sum()
}

/// Log-likelihood of values at the scale that suits them best, but for a constant a value.
fn best(log_density: impl Fn(f64) -> f64, counts: &[(f64, f64)]) -> f64 {
    let at = |scale: f64| -> f64 {
        counts.iter().map(|(value, count)| count * (log_density((value / scale).powi(2)) - scale.ln())).sum()
    };
    let scales = (0..SCALES).map(|step| LEAST + (MOST - LEAST) * step as f64 / (SCALES - 1) as f64);
    scales.map(at).fold(f64::NEG_INFINITY, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

    #[test]
    fn degrees_of_freedom_are_told_and_the_lower_side_is_not_asked() {
        let count = 4_000;
        let at = |index: usize| (index as f64 + 0.5) / count as f64;
        let normal: Vec<f64> = (0..count).map(|index| 0.02 * Normal::standard().inverse_cdf(at(index))).collect();
        assert!(length(&normal) < 0.01, "{}", length(&normal));
        let student = StudentsT::new(0.0, 0.02, 6.0).expect("degrees");
        let long: Vec<f64> = (0..count).map(|index| student.inverse_cdf(at(index))).collect();
        assert!((1.0 / length(&long) - 6.0).abs() < 1.0, "{}", 1.0 / length(&long));
        let slow: Vec<f64> = normal.iter().enumerate().map(|(at, value)| if at < 80 { value - 0.1 } else { *value }).collect();
        assert!(length(&slow) < 0.01, "{}", length(&slow));
        assert_eq!((length(&long[..99]), length(&[1.0; 300]), length(&[f64::NAN; 300])), (0.0, 0.0, 0.0));
    }
}
