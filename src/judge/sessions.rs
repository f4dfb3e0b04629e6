//! Sessions: runs of one node that were started within a few hours of each other. They share its temperature, its neighbours and whatever
//! else a day brings, so that ten of them tell less of the next day than two of different days (Kalibera and Jones 2013).

use super::{Measured, Pooled, evidence::Point};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Hours after its first run in which a run is of the same session.
const HOURS: i64 = 4;

/// The session of each run of two sides, by number; sides measured in turns share theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sessions {
    pub before: Vec<usize>,
    pub after: Vec<usize>,
}

impl Sessions {
    /// All runs in one, as of sides that were measured in turns, and of runs of which nothing is told.
    #[must_use]
    pub fn one(before: usize, after: usize) -> Self {
        Self { before: vec![0; before], after: vec![0; after] }
    }

    #[must_use]
    pub fn of(before: &[&Measured], after: &[&Measured]) -> Self {
        let all: Vec<(Option<&str>, &str)> =
            before.iter().chain(after).map(|run| (run.hostname.as_deref(), run.started_at.as_str())).collect();
        let numbers = numbered(&all);
        let (before, after) = numbers.split_at(before.len());
        Self { before: before.to_vec(), after: after.to_vec() }
    }
}

/// Number of the session of each run, by node and start (RFC 3339); those without a time are of one.
pub fn numbered(runs: &[(Option<&str>, &str)]) -> Vec<usize> {
    let seconds = |at: &str| at.parse::<jiff::Timestamp>().map_or(i64::MIN, jiff::Timestamp::as_second);
    let mut order: Vec<(Option<&str>, i64, usize)> =
        runs.iter().enumerate().map(|(at, (node, started))| (*node, seconds(started), at)).collect();
    order.sort_unstable();
    let mut numbers = vec![0; runs.len()];
    let (mut first, mut number) = (order.first().map(|(node, started, _)| (*node, *started)), 0);
    for (node, started, at) in order {
        let same = first.is_some_and(|(of, began)| of == node && started.saturating_sub(began) <= HOURS * 3600);
        if !same {
            (first, number) = (Some((node, started)), number + 1);
        }
        numbers[at] = number;
    }
    numbers
}

/// Squares of one metric: of runs about their session, and of sessions about their side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Squares {
    pub runs: Pooled,
    pub sessions: Pooled,
}

impl std::ops::Add for Squares {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let sum = |a: Pooled, b: Pooled| Pooled { squares: a.squares + b.squares, df: a.df + b.df };
        Self { runs: sum(self.runs, other.runs), sessions: sum(self.sessions, other.sessions) }
    }
}

/// One side, session by session, each counting as much as the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Side {
    pub mean: f64,
    /// Runs of each session, by its number.
    pub sessions: BTreeMap<usize, f64>,
    pub squares: Squares,
    /// Squared standard error of the mean by what varies within runs.
    pub within: f64,
}

impl Side {
    pub fn of(points: &[Point]) -> Self {
        let mut grouped: BTreeMap<usize, Vec<&Point>> = BTreeMap::new();
        for point in points {
            grouped.entry(point.session).or_default().push(point);
        }
        let count = grouped.len().max(1) as f64;
        let middle = |runs: &[&Point]| runs.iter().map(|run| run.log).sum::<f64>() / runs.len() as f64;
        let means: Vec<f64> = grouped.values().map(|runs| middle(runs)).collect();
        let mean = means.iter().sum::<f64>() / count;
        let about = |(runs, mean): (&Vec<&Point>, &f64)| runs.iter().map(|run| (run.log - mean).powi(2)).sum::<f64>();
        let within = |runs: &Vec<&Point>| runs.iter().map(|run| run.error).sum::<f64>() / (runs.len() as f64).powi(2);
        let runs =
            Pooled { squares: grouped.values().zip(&means).map(about).sum(), df: points.len() as f64 - grouped.len() as f64 };
        let squares = means.iter().map(|own| (own - mean).powi(2)).sum();
        let sessions = Pooled { squares, df: grouped.len().saturating_sub(1) as f64 };
        Self {
            mean,
            within: grouped.values().map(within).sum::<f64>() / (count * count),
            sessions: grouped.into_iter().map(|(session, runs)| (session, runs.len() as f64)).collect(),
            squares: Squares { runs, sessions },
        }
    }

    /// What a session weighs in the mean.
    fn weight(&self, session: usize) -> f64 {
        if self.sessions.contains_key(&session) { 1.0 / self.sessions.len() as f64 } else { 0.0 }
    }

    /// By how much the variance of a run counts in that of the mean.
    pub fn by_run(&self) -> f64 {
        self.sessions.values().map(|runs| 1.0 / runs).sum::<f64>() / (self.sessions.len() as f64).powi(2)
    }

    /// By how much the variance of sessions counts in that of the difference: nothing of sessions that both sides share.
    pub fn by_session(&self, other: &Self) -> f64 {
        let all: std::collections::BTreeSet<usize> = self.sessions.keys().chain(other.sessions.keys()).copied().collect();
        all.into_iter().map(|session| (self.weight(session) - other.weight(session)).powi(2)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_a_node_within_hours_are_of_one_session() {
        let at = |hour: &str| format!("2026-01-{hour}:00:00Z");
        let times = ["01T09", "01T12", "01T13", "01T14", "02T09"].map(at);
        let runs: Vec<(Option<&str>, &str)> = times.iter().map(|at| (Some("a"), at.as_str())).collect();
        assert_eq!(numbered(&runs), [0, 0, 0, 1, 2], "four hours after the first, not after the last");
        let mut other = runs.clone();
        other[1].0 = Some("b");
        assert_eq!(numbered(&other), [0, 3, 0, 1, 2], "another node is another session");
        assert_eq!(numbered(&[(None, "x"), (None, "y")]), [0, 0]);
    }

    #[test]
    fn squares_lie_within_sessions_or_between_them() {
        let points = [(1.0, 0), (3.0, 0), (5.0, 1), (7.0, 1)].map(|(log, session)| Point { log, error: 0.2, session });
        let side = Side::of(&points);
        assert!((side.mean - 4.0).abs() < 1e-12 && (side.within - 0.05).abs() < 1e-12, "{side:?}");
        assert_eq!(side.squares.runs, Pooled { squares: 4.0, df: 2.0 });
        assert_eq!(side.squares.sessions, Pooled { squares: 8.0, df: 1.0 });
        let same = Side::of(&points[..2]);
        assert!((side.by_run() - 0.25).abs() < 1e-12 && (side.by_session(&same) - 0.5).abs() < 1e-12);
        assert!(side.by_session(&side).abs() < 1e-12, "measured in turns");
    }
}
