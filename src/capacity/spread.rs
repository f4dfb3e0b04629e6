//! Medians and quantiles of rates of blocks that are not independent, with their intervals, by resampling stretches of them.

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

/// `None` of fewer than three rates. Blocks last `seconds` each; stretches last a second, or twice the autocorrelation time.
#[must_use]
pub fn spread(rates: &[f64], seconds: f64) -> Option<Spread> {
    let n = rates.len();
    if n < 3 {
        return None;
    }
    let stretch = (1.0 / seconds).max(2.0 * autocorrelation(rates)).ceil().min(n as f64 / 4.0).max(1.0) as usize;
    let (mut medians, mut tenths) = (Vec::with_capacity(RESAMPLES), Vec::with_capacity(RESAMPLES));
    // SplitMix64 (Steele et al. 2014) from a fixed seed: the same rates give the same bounds.
    let mut state = 0x0041_5353_4159_u64;
    let mut draw = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let one = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let two = (one ^ (one >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((two ^ (two >> 31)) % n as u64) as usize
    };
    let mut sample = Vec::with_capacity(n + stretch);
    for _ in 0..RESAMPLES {
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
    let mut sorted = rates.to_vec();
    sorted.sort_by(f64::total_cmp);
    let mean = rates.iter().sum::<f64>() / n as f64;
    let variance = rates.iter().map(|rate| (rate - mean).powi(2)).sum::<f64>() / (n as f64 - 1.0);
    let (low, high) = (quantile(&medians, 0.025), quantile(&medians, 0.975));
    let firm = quantile(&tenths, 0.05);
    Some(Spread { median: quantile(&sorted, 0.5), low, high, firm, variation: variance.sqrt() / mean })
}

/// Type 7 of Hyndman and Fan (1996): linear between neighbours.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let position = q * (sorted.len() - 1) as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (position - below as f64)
}

/// Integrated autocorrelation time, in blocks: 1 where neighbours tell nothing of each other.
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
        time = (time + 2.0 * at(lag) / whole).max(1.0);
    }
    time
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
        assert_eq!(spread(&noise(120, 0.9), 0.25), Some(tied), "the same twice");
    }
}
