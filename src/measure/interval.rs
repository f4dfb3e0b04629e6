//! 95 % intervals of means of correlated blocks, and of ratios of pairs.

use crate::record::{Interval, Ratio};

/// Two-sided 95 % quantile of Student's t for `degrees` of freedom.
///
/// The first ten are tabled (Student 1908, as in any handbook); above, the expansion of Abramowitz and Stegun 26.7.5, which is
/// good to 0.001 there.
#[must_use]
pub fn student(degrees: f64) -> f64 {
    const TABLE: [f64; 10] = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228];
    if degrees < 10.0 {
        // Between two whole numbers the larger quantile is taken: never too narrow.
        return TABLE[(degrees.max(1.0) as usize - 1).min(9)];
    }
    let z: f64 = 1.959_964;
    let (z3, z5, z7) = (z.powi(3), z.powi(5), z.powi(7));
    z + (z3 + z) / (4.0 * degrees)
        + (5.0 * z5 + 16.0 * z3 + 3.0 * z) / (96.0 * degrees.powi(2))
        + (3.0 * z7 + 19.0 * z5 + 17.0 * z3 - 15.0 * z) / (384.0 * degrees.powi(3))
}

/// Estimate of blocks, half the width of its interval, and the effective number of blocks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    pub mean: f64,
    pub half: f64,
    pub effective: f64,
}

/// The mean of a series whose neighbours may be correlated; none below three blocks.
///
/// The variance is corrected for lag-1 autocorrelation ρ by (1+ρ)/(1−ρ), with ρ raised by its own bias (1+3ρ)/n (Kendall 1954) and
/// held within 0..0.9, so that correlation can only widen the interval.
#[must_use]
pub fn mean(blocks: &[f64]) -> Option<Estimate> {
    let n = blocks.len() as f64;
    if blocks.len() < 3 {
        return None;
    }
    let mean = blocks.iter().sum::<f64>() / n;
    let variance = blocks.iter().map(|b| (b - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let lagged = blocks.windows(2).map(|w| (w[0] - mean) * (w[1] - mean)).sum::<f64>() / (n - 1.0);
    let raw = if variance > 0.0 { lagged / variance } else { 0.0 };
    let correlation = (raw + (1.0 + 3.0 * raw) / n).clamp(0.0, 0.9);
    let effective = n * (1.0 - correlation) / (1.0 + correlation);
    let error = (variance / n * (1.0 + correlation) / (1.0 - correlation)).sqrt();
    Some(Estimate { mean, half: student((effective - 1.0).max(1.0)) * error, effective })
}

/// A rate from a mean time: the interval of the time turned over.
#[must_use]
pub fn rate(work: f64, time: Estimate) -> Interval {
    let low = work / (time.mean + time.half);
    let high = if time.half < time.mean { work / (time.mean - time.half) } else { f64::INFINITY };
    Interval { value: work / time.mean, low, high: if high.is_finite() { high } else { f64::MAX } }
}

/// Geometric mean of ratios of interleaved pairs with its interval; none below three pairs.
#[must_use]
pub fn ratio(pairs: &[f64]) -> Option<Ratio> {
    let logarithms: Vec<f64> = pairs.iter().map(|ratio| ratio.ln()).collect();
    let Estimate { mean, half, .. } = mean(&logarithms)?;
    Some(Ratio { value: mean.exp(), low: (mean - half).exp(), high: (mean + half).exp() })
}

/// Value at quantile `q` of sorted values, linear between neighbours; zero of none.
#[must_use]
pub fn quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let position = q.clamp(0.0, 1.0) * last as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(last);
    sorted[below] + (sorted[above] - sorted[below]) * (position - below as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::random_f64;

    #[test]
    fn quantiles_of_student_match_the_handbook() {
        for (degrees, expected) in [(1.0, 12.706), (9.9, 2.262), (10.0, 2.228), (20.0, 2.086), (60.0, 2.000), (1e9, 1.960)] {
            assert!((student(degrees) - expected).abs() < 0.001, "{degrees}: {}", student(degrees));
        }
    }

    #[test]
    fn an_interval_covers_the_truth_as_often_as_it_says() {
        let covered = (0..2_000_u32)
            .filter(|&trial| {
                let blocks: Vec<f64> = (0..20).map(|i| 10.0 + random_f64(trial, i)).collect();
                let mean = mean(&blocks).expect("twenty blocks");
                (mean.mean - 10.0).abs() <= mean.half
            })
            .count();
        assert!((1_880..=2_000).contains(&covered), "{covered} of 2000");
    }

    #[test]
    fn correlation_only_widens() {
        let drifting: Vec<f64> = (0..20).map(f64::from).collect();
        let shuffled: Vec<f64> = (0..20).map(|i| f64::from(i * 7 % 20)).collect();
        let (drifting, shuffled) = (mean(&drifting).expect("blocks"), mean(&shuffled).expect("blocks"));
        assert!(drifting.half > 3.0 * shuffled.half && drifting.effective < 3.0);
    }

    #[test]
    fn too_few_blocks_have_no_interval() {
        assert!(mean(&[1.0, 2.0]).is_none() && ratio(&[1.0]).is_none());
        assert_eq!(mean(&[2.0; 5]).map(|m| (m.mean, m.half)), Some((2.0, 0.0)));
    }

    #[test]
    fn a_rate_turns_its_interval_over() {
        let interval = rate(12.0, Estimate { mean: 3.0, half: 1.0, effective: 9.0 });
        assert_eq!((interval.value, interval.low, interval.high), (4.0, 3.0, 6.0));
        assert_eq!(rate(1.0, Estimate { mean: 1.0, half: 2.0, effective: 1.0 }).high, f64::MAX);
    }

    #[test]
    fn ratios_are_averaged_as_ratios() {
        let ratio = ratio(&[2.0, 0.5, 2.0, 0.5]).expect("four pairs");
        assert!((ratio.value - 1.0).abs() < 1e-12 && ratio.low < 1.0 && ratio.high > 1.0);
    }

    #[test]
    fn quantiles_lie_between_neighbours() {
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.75), 3.0);
        assert_eq!(quantile(&[], 0.5), 0.0);
    }
}
