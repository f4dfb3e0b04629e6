//! A trend as a line of text: the runs of a baseline, a bar, the runs that are held against it.

use super::Paper;

const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const PLAIN: [char; 8] = ['_', '.', '-', '~', '=', '+', '*', '#'];
/// A picture spans at least this share of its mean, so that noise does not look like mountains.
const LEAST: f64 = 0.04;
/// Runs of a side that are drawn, the latest.
const MOST: usize = 12;

/// Higher is better performance, whatever the unit counts.
#[must_use]
pub fn trend(before: &[f64], after: &[f64], higher_is_better: bool, paper: Paper) -> String {
    let performance = |side: &[f64]| -> Vec<f64> {
        let last = &side[side.len().saturating_sub(MOST)..];
        last.iter().map(|value| if higher_is_better { *value } else { 1.0 / value }).collect()
    };
    let (before, after) = (performance(before), performance(after));
    let all = || before.iter().chain(&after).copied();
    let (low, high) = (all().fold(f64::INFINITY, f64::min), all().fold(0.0, f64::max));
    let middle = f64::midpoint(low, high);
    let span = (high - low).max(LEAST * middle);
    let signs = if paper.unicode { BLOCKS } else { PLAIN };
    let sign = |value: &f64| {
        let share = ((value - middle) / span + 0.5).clamp(0.0, 1.0);
        signs[((share * 8.0) as usize).min(7)]
    };
    let draw = |side: &[f64]| side.iter().map(sign).collect::<String>();
    format!("{}{}{}", draw(&before), if paper.unicode { '│' } else { '!' }, draw(&after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drop_is_seen_and_noise_is_not() {
        let unicode = Paper { unicode: true };
        assert_eq!(trend(&[100.0, 100.0], &[90.0], true, unicode), "██│▁");
        assert_eq!(trend(&[10.0, 10.0], &[11.0], false, unicode), "██│▁", "a longer time is a drop");
        assert_eq!(trend(&[100.0, 100.1], &[99.9], true, unicode), "▅▅│▄");
        assert_eq!(trend(&[100.0; 30], &[90.0], true, Paper { unicode: false }), format!("{}!_", "#".repeat(12)));
    }
}
