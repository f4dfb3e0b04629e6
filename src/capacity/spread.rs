//! Medians and quantiles of rates of blocks that are not independent, with their intervals, by resampling stretches of them.
//!
//! A short series knows less of itself than it seems to: it takes a slow swing for its mean, so that neighbours look less alike and
//! blocks less scattered than they are, and few stretches are resampled as if they were many. Each of the three is put right, by how
//! much draws of such series showed (docs/units.md has how often the bounds then hold).

use statrs::distribution::{ContinuousCDF, StudentsT};

/// Resamplings: bounds at 2.5 % rest on 25 of them.
const RESAMPLES: usize = 1000;
/// Autocorrelation is summed up to this many times its own sum (Sokal 1997), beyond which it is noise.
const WINDOW: f64 = 5.0;

/// Of the rates of blocks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub median: f64,
    /// 95 % interval of the median.
    pub low: f64,
    pub high: f64,
    /// Lower 95 % bound of the 10 % quantile.
    pub firm: f64,
    /// Standard deviation over mean.
    pub variation: f64,
}

/// `None` of fewer than three rates. Blocks last `seconds` each; stretches last a second, or twice the autocorrelation time, up to a third
/// of all.
#[must_use]
pub fn spread(rates: &[f64], seconds: f64) -> Option<Spread> {
    resampled(rates, seconds, RESAMPLES)
}

fn resampled(rates: &[f64], seconds: f64, times: usize) -> Option<Spread> {
    let n = rates.len();
    if n < 3 {
        return None;
    }
    let together = autocorrelation(rates);
    let stretch = (1.0 / seconds).max(2.0 * together).ceil().min(n as f64 / 3.0).max(1.0) as usize;
    let (medians, tenths) = quantiles(rates, stretch, times);
    let mut sorted = rates.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (median, tenth) = (quantile(&sorted, 0.5), quantile(&sorted, 0.1));
    let mean = rates.iter().sum::<f64>() / n as f64;
    let variance = rates.iter().map(|rate| (rate - mean).powi(2)).sum::<f64>() / (n as f64 - 1.0);
    let wide = |q: f64| wider(n as f64 / stretch as f64 - 1.0, q);
    let (low, high) = (quantile(&medians, 0.025), quantile(&medians, 0.975));
    let (low, high) = (median - wide(0.975) * (median - low), median + wide(0.975) * (high - median));
    // The scatter within the series is short of the whole by its own mean's. The quantile has a long side, and which it is a
    // short series does not know.
    let far = median - (median - tenth) / (1.0 - together / n as f64).sqrt();
    let off = (tenth - quantile(&tenths, 0.05)).max(quantile(&tenths, 0.95) - tenth);
    // A rate that varies so much is no unit's, but remains a rate.
    let least = sorted[0] / 2.0;
    let firm = (far - wide(0.95) * off).max(least);
    Some(Spread { median, low: low.max(least), high, firm, variation: variance.sqrt() / mean })
}

/// How much wider a bound is by Student's distribution than by the normal one, at a quantile, and by a scatter that is about its own mean.
fn wider(free: f64, q: f64) -> f64 {
    let free = free.max(1.0);
    let at = |free: f64| StudentsT::new(0.0, 1.0, free).map_or(f64::NAN, |student| student.inverse_cdf(q));
    at(free) / at(1e6) * ((free + 1.0) / free).sqrt()
}

/// Medians and 10 % quantiles of resampled series, sorted.
fn quantiles(rates: &[f64], stretch: usize, times: usize) -> (Vec<f64>, Vec<f64>) {
    let n = rates.len();
    let (mut medians, mut tenths) = (Vec::with_capacity(times), Vec::with_capacity(times));
    // SplitMix64 (Steele et al. 2014) from a fixed seed: the same rates give the same bounds.
    let mut state = 0x0041_5353_4159_u64;
    let mut draw = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let one = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let two = (one ^ (one >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((two ^ (two >> 31)) % n as u64) as usize
    };
    let mut sample = Vec::with_capacity(n + stretch);
    for _ in 0..times {
        sample.clear();
        while sample.len() < n {
            let from = draw();
            sample.extend((from..from + stretch).map(|at| rates[at % n]));
        }
        sample.truncate(n);
        sample.sort_by(f64::total_cmp);
        medians.push(quantile(&sample, 0.5));
        tenths.push(quantile(&sample, 0.1));
    }
    medians.sort_by(f64::total_cmp);
    tenths.sort_by(f64::total_cmp);
    (medians, tenths)
}

/// Type 7 of Hyndman and Fan (1996): linear between neighbours.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let position = q * (sorted.len() - 1) as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (position - below as f64)
}

/// Integrated autocorrelation time, in blocks: 1 where neighbours tell nothing of each other. That a series is held to its own mean takes
/// about the time over its length off each term (Kendall 1954); twice that much is given back, without which long times come out too short.
fn autocorrelation(rates: &[f64]) -> f64 {
    let n = rates.len();
    let mean = rates.iter().sum::<f64>() / n as f64;
    let at = |lag: usize| rates.iter().zip(&rates[lag..]).map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>();
    let whole = at(0);
    if whole <= 0.0 {
        return 1.0;
    }
    let mut time = 1.0;
    for lag in 1..n / 2 {
        if lag as f64 > WINDOW * time {
            break;
        }
        let alike = at(lag) / whole * n as f64 / (n - lag) as f64 + 2.0 * time / n as f64;
        time = (time + 2.0 * alike).max(1.0);
    }
    time.min(n as f64 / 3.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(n: usize, kept: f64) -> Vec<f64> {
        let (mut state, mut now) = (1_u64, 0.0);
        let mut draw = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
        };
        (0..n)
            .map(|_| {
                now = kept * now + draw();
                100.0 + now
            })
            .collect()
    }

    /// Series of a normal process in which a block keeps `kept` of the one before: how often, in percent, the firm bound lies below the
    /// true 10 % quantile, and the median's interval holds the true median.
    fn held(blocks: usize, kept: f64, series: usize) -> (f64, f64) {
        let mut state = 7_u64;
        let mut uniform = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
        };
        let mut normal = move || (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos();
        let (mut firm, mut median) = (0.0, 0.0);
        for _ in 0..series {
            let mut now = normal();
            let step = |_| {
                now = kept * now + (1.0 - kept * kept).sqrt() * normal();
                100.0 + now
            };
            let rates: Vec<f64> = (0..blocks).map(step).collect();
            let found = resampled(&rates, 0.25, 200).expect("many");
            let share = 100.0 / series as f64;
            firm += if found.firm <= 100.0 - 1.281_551_6 { share } else { 0.0 };
            median += if (found.low..=found.high).contains(&100.0) { share } else { 0.0 };
        }
        (firm, median)
    }

    #[test]
    fn bounds_hold_about_as_often_as_they_say() {
        for (blocks, kept) in [(60, 0.0), (60, 0.5), (60, 0.8), (60, 0.9), (118, 0.0), (118, 0.5), (118, 0.8), (118, 0.9)] {
            let (firm, median) = held(blocks, kept, 150);
            println!("{blocks} blocks, {kept} kept: firm {firm:.0} %, median {median:.0} %");
            assert!(firm >= 85.0 && median >= 86.0, "{blocks} blocks, {kept} kept: firm {firm:.0} %, median {median:.0} %");
        }
    }

    #[test]
    fn quantiles_lie_between_neighbours() {
        assert_eq!((quantile(&[1.0, 2.0, 3.0, 4.0], 0.1), quantile(&[1.0, 2.0, 3.0], 0.5)), (1.3, 2.0));
    }

    #[test]
    fn correlated_blocks_have_wider_intervals_and_a_bound_below_the_quantile() {
        let (free, tied) = (spread(&noise(120, 0.0), 0.25).expect("many"), spread(&noise(120, 0.9), 0.25).expect("many"));
        assert!(tied.high - tied.low > 2.0 * (free.high - free.low), "{free:?} {tied:?}");
        let mut sorted = noise(120, 0.0);
        sorted.sort_by(f64::total_cmp);
        assert!(free.firm < quantile(&sorted, 0.1) && free.low < free.median && free.median < free.high, "{free:?}");
        assert!(autocorrelation(&noise(2000, 0.9)) > 8.0 && autocorrelation(&noise(2000, 0.0)) < 2.0);
        assert_eq!(spread(&[1.0, 2.0], 0.25), None);
        let wild: Vec<f64> = (0..12).map(|at| if at % 4 == 0 { 1.0 } else { 100.0 }).collect();
        assert!(spread(&wild, 0.25).is_some_and(|found| found.firm > 0.0 && found.low > 0.0));
        assert_eq!(spread(&noise(120, 0.9), 0.25), Some(tied), "the same twice");
    }
}
