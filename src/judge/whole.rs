//! Work over time of a run, slow blocks and all. The location of a run leaves a few slow blocks out, since they are mostly chance; that
//! they cost work all the same is told here.

use super::noise::{Lags, long_run};
use serde::{Deserialize, Serialize};

/// The logarithm of work over time, where more is always better, with its standard error within the run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Whole {
    pub log: f64,
    pub error: f64,
}

impl Whole {
    /// Of blocks in time order: what each did, and in how long. The error is that of a ratio of means, after correlation.
    #[must_use]
    pub fn of(blocks: &[(f64, f64)]) -> Self {
        let count = blocks.len() as f64;
        let (work, seconds) = blocks.iter().fold((0.0, 0.0), |(work, seconds), block| (work + block.0, seconds + block.1));
        let late = |(own, took): &(f64, f64)| (took - own * seconds / work) / (seconds / count);
        let variance = long_run(&[Lags::of(&blocks.iter().map(late).collect::<Vec<_>>())]);
        Self { log: (work / seconds).ln(), error: (variance / count).sqrt() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_blocks_count_by_the_time_they_took() {
        let mut blocks = vec![(1.0, 0.25); 100];
        assert_eq!(Whole::of(&blocks), Whole { log: 4.0_f64.ln(), error: 0.0 });
        for at in [13, 37, 61, 78, 90] {
            blocks[at].1 = 5.0;
        }
        let whole = Whole::of(&blocks);
        assert!((whole.log - (100.0 / 48.75_f64).ln()).abs() < 1e-12, "{whole:?}");
        // Five of a hundred by chance: about a fifth of what they cost in all may as well not have been.
        assert!((0.1..0.4).contains(&whole.error), "{whole:?}");
    }
}
