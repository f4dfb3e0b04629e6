//! Levels of a series: the exact cut at a price a change, and what may be said of each change.

use statrs::distribution::{ContinuousCDF, StudentsT};
use std::ops::Range;

/// Points of the shortest level.
pub const SHORTEST: usize = 5;
/// Correlation is held below this.
const PHI: f64 = 0.8;
/// Twice the logarithm of likelihood that the place of a change may lack to the best one's, at 95 %: −2 ln(1 − √0.95), since the place
/// is the top of a two-sided random walk (Hansen 2000).
const PLACE: f64 = 7.35;
/// Places this close to the true one are as good as it.
const NEAR: usize = 5;
/// A place that has this part of the most likelihood about it is as central.
const NEARLY: f64 = 0.99;

/// Sums that give the squares about the mean of any stretch at once.
struct Sums {
    sum: Vec<f64>,
    squares: Vec<f64>,
}

impl Sums {
    fn of(values: &[f64]) -> Self {
        // About a value of the series, or large levels would cost digits.
        let about = values.first().copied().unwrap_or(0.0);
        let (mut sum, mut squares) = (vec![0.0], vec![0.0]);
        for (at, value) in values.iter().enumerate() {
            sum.push(sum[at] + (value - about));
            squares.push(squares[at] + (value - about).powi(2));
        }
        Self { sum, squares }
    }

    fn cost(&self, stretch: Range<usize>) -> f64 {
        let sum = self.sum[stretch.end] - self.sum[stretch.start];
        (self.squares[stretch.end] - self.squares[stretch.start] - sum * sum / stretch.len() as f64).max(0.0)
    }
}

/// First points of new levels: the cut with the least squares about its levels plus `price` a change (Killick et al. 2012).
pub fn partition(values: &[f64], price: f64) -> Vec<usize> {
    let (count, sums) = (values.len(), Sums::of(values));
    let mut least = vec![f64::INFINITY; count + 1];
    let mut from = vec![0; count + 1];
    least[0] = -price;
    let mut open: Vec<usize> = vec![0];
    for end in SHORTEST..=count {
        if end >= 2 * SHORTEST {
            open.push(end - SHORTEST);
        }
        for &begin in &open {
            let cost = least[begin] + sums.cost(begin..end) + price;
            if cost < least[end] {
                (least[end], from[end]) = (cost, begin);
            }
        }
        // A begin that already costs more without the next change's price never wins again, as soon as a level fits in between.
        open.retain(|&begin| {
            end - begin < 2 * SHORTEST || least[begin] + sums.cost(begin..end - SHORTEST) <= least[end - SHORTEST]
        });
    }
    let mut points = Vec::new();
    let mut at = from[count];
    while at > 0 {
        points.push(at);
        at = from[at];
    }
    points.reverse();
    points
}

/// A series cut at points, with the noise about its levels.
#[derive(Clone, Debug)]
pub struct Levels<'a> {
    values: &'a [f64],
    /// First points of new levels.
    pub points: Vec<usize>,
    means: Vec<f64>,
    /// Standard deviation about the levels, and correlation of neighbours.
    pub sigma: f64,
    pub phi: f64,
}

impl<'a> Levels<'a> {
    pub fn of(values: &'a [f64], points: Vec<usize>) -> Self {
        let mut levels = Self { values, points, means: Vec::new(), sigma: 0.0, phi: 0.0 };
        levels.means = (0..=levels.points.len()).map(|which| mean(&values[levels.stretch(which)])).collect();
        let residuals: Vec<Vec<f64>> = (0..=levels.points.len())
            .map(|which| values[levels.stretch(which)].iter().map(|value| value - levels.means[which]).collect())
            .collect();
        let squares: f64 = residuals.iter().flatten().map(|rest| rest * rest).sum();
        let lagged: f64 = residuals.iter().flat_map(|level| level.windows(2)).map(|pair| pair[0] * pair[1]).sum();
        let (count, cuts) = (values.len() as f64, levels.means.len() as f64);
        levels.sigma = (squares / (count - cuts).max(1.0)).sqrt();
        if squares > 0.0 {
            // Each level's own mean takes (1+3φ) of its count away from what is seen (Kendall 1954).
            let seen = lagged / squares;
            levels.phi = (seen + (1.0 + 3.0 * seen) * cuts / count).clamp(0.0, PHI);
        }
        levels
    }

    pub fn without(&self, which: usize) -> Self {
        let mut points = self.points.clone();
        points.remove(which);
        Self::of(self.values, points)
    }

    fn stretch(&self, which: usize) -> Range<usize> {
        let begin = if which == 0 { 0 } else { self.points[which - 1] };
        begin..self.points.get(which).copied().unwrap_or(self.values.len())
    }

    /// Points of the level before change `which`, and of the one after.
    pub fn lengths(&self, which: usize) -> (usize, usize) {
        (self.stretch(which).len(), self.stretch(which + 1).len())
    }

    pub fn step(&self, which: usize) -> f64 {
        self.means[which + 1] - self.means[which]
    }

    /// Standard error of a step, and its degrees of freedom.
    fn error(&self, which: usize) -> (f64, f64) {
        let (before, after) = self.lengths(which);
        let inflation = (1.0 + self.phi) / (1.0 - self.phi);
        let variance = self.sigma * self.sigma * inflation * (1.0 / before as f64 + 1.0 / after as f64);
        let free = (self.values.len() as f64 - self.means.len() as f64) / inflation;
        (variance.sqrt().max(1e-12), free.max(2.0))
    }

    /// Two-sided p of a step.
    pub fn p(&self, which: usize) -> f64 {
        let (error, free) = self.error(which);
        StudentsT::new(0.0, 1.0, free).map_or(1.0, |student| 2.0 * student.cdf(-(self.step(which) / error).abs()))
    }

    /// 95 % interval of a step.
    pub fn interval(&self, which: usize) -> (f64, f64) {
        let (error, free) = self.error(which);
        let quantile = StudentsT::new(0.0, 1.0, free).map_or(f64::INFINITY, |student| student.inverse_cdf(0.975));
        (self.step(which) - quantile * error, self.step(which) + quantile * error)
    }

    /// The same levels with each point where it is most likely when neighbours are correlated: the first point of a new level then
    /// stands out from the last of the old one more than from the level. Where many places are about as likely, the one about which
    /// most of the likelihood lies is closer to the truth than the most likely one.
    pub fn sharpened(self) -> Self {
        let mut levels = self;
        for which in 0..levels.points.len() {
            let (room, costs) = levels.costs(which);
            let best = room.start + central(&levels.likelihoods(&costs));
            if best != levels.points[which] {
                let mut points = levels.points.clone();
                points[which] = best;
                levels = Self::of(levels.values, points);
            }
        }
        levels
    }

    /// Of places with these costs, as a part of that of the best.
    fn likelihoods(&self, costs: &[f64]) -> Vec<f64> {
        let fresh = (self.sigma * self.sigma * (1.0 - self.phi * self.phi)).max(f64::MIN_POSITIVE);
        let least = costs.iter().copied().fold(f64::INFINITY, f64::min);
        costs.iter().map(|cost| (-0.5 * (cost - least) / fresh).exp()).collect()
    }

    /// First and last index at which the change is nearly as likely as where it is most likely.
    pub fn place(&self, which: usize) -> (usize, usize) {
        let (room, costs) = self.costs(which);
        let at = self.points[which] - room.start;
        let likelihoods = self.likelihoods(&costs);
        let likely = |other: &usize| likelihoods[*other] >= (-0.5 * PLACE).exp();
        let most = (0..costs.len()).max_by(|a, b| likelihoods[*a].total_cmp(&likelihoods[*b])).unwrap_or(at);
        let first = (0..=most).rev().take_while(likely).last().unwrap_or(most).min(at);
        let last = (most..costs.len()).take_while(likely).last().unwrap_or(most).max(at);
        (room.start + first, room.start + last)
    }

    /// For every place that change `which` may have: squares of what neither the level nor the point before explains.
    fn costs(&self, which: usize) -> (Range<usize>, Vec<f64>) {
        let (before, after) = (self.stretch(which), self.stretch(which + 1));
        let room =
            before.start + SHORTEST.min(before.len())..(after.end - SHORTEST.min(after.len()) + 1).max(self.points[which] + 1);
        let [low, high] = [self.means[which], self.means[which + 1]];
        let about = |at: usize, level: f64| self.values[at] - level;
        let within = |at: usize, level: f64| about(at, level) - self.phi * about(at - 1, level);
        // All on the new level, then point by point over to the old one.
        let mut cost: f64 = (room.start + 1..after.end).map(|at| within(at, high).powi(2)).sum();
        let cross = |at: usize| (about(at, high) - self.phi * about(at - 1, low)).powi(2);
        let costs = room.clone().map(|at| {
            let here = cost + cross(at);
            cost += within(at, low).powi(2);
            if at + 1 < after.end {
                cost -= within(at + 1, high).powi(2);
            }
            here
        });
        let costs: Vec<f64> = costs.collect();
        (room, costs)
    }
}

/// The place with the most likelihood within `NEAR` places; of those that have nearly as much the most likely one.
fn central(likelihoods: &[f64]) -> usize {
    let count = likelihoods.len();
    let about = |at: usize| likelihoods[at.saturating_sub(NEAR)..(at + NEAR + 1).min(count)].iter().sum::<f64>();
    let masses: Vec<f64> = (0..count).map(about).collect();
    let most = masses.iter().copied().fold(0.0, f64::max);
    let good = (0..count).filter(|at| masses[*at] >= NEARLY * most);
    good.max_by(|a, b| likelihoods[*a].total_cmp(&likelihoods[*b])).unwrap_or(0)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clear_place_is_kept_and_of_many_the_middle_is_taken() {
        let mut clear = vec![0.0; 40];
        (clear[11], clear[12], clear[13]) = (0.01, 1.0, 0.3);
        assert_eq!(central(&clear), 12);
        let mut broad = vec![0.01; 60];
        broad[10] = 1.0;
        broad[30..41].fill(0.8);
        assert_eq!(central(&broad), 35, "one likely place against eleven that are nearly as likely");
        assert_eq!(central(&[]), 0);
    }
}
