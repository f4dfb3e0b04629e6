//! What runs of both sides are reckoned with: their locations, or level by level where they jump between two.

use super::{
    Levels, Location, Pooled, Sessions,
    noise::{Lags, long_run},
    sample::{quantile, sorted},
};

/// Of the runs, at least this part must show both levels.
const BOTH_LEVELS: f64 = 0.6;
/// How long runs stay at each level may differ by chance, up to this many standard errors.
const CHANCE: f64 = 3.0;
/// Runs that the standard error within runs is worth when it stands in for that between them.
const WITHIN: f64 = 4.0;

/// One run: a logarithm, its squared standard error within the run, and its session by number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub log: f64,
    pub error: f64,
    pub session: usize,
}

/// Both sides as they are reckoned with.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    pub before: Vec<Point>,
    pub after: Vec<Point>,
    pub by_levels: bool,
}

impl Evidence {
    /// Work over time of every run; nothing where one of them does not tell it, or where it is what is compared anyway.
    #[must_use]
    pub fn over_time(baseline: &[Location], candidate: &[Location], sessions: &Sessions) -> Option<Self> {
        let point = |(run, session): (&Location, &usize)| {
            let as_quoted = || run.about.is_none().then_some((run.log, run.error.unwrap_or(0.0)));
            let (log, error) = run.whole.map(|whole| (whole.log, whole.error)).or_else(as_quoted)?;
            Some(Point { log, error: error.powi(2), session: *session })
        };
        if baseline.iter().chain(candidate).all(|run| run.whole.is_none()) {
            return None;
        }
        let side = |runs: &[Location], sessions: &[usize]| runs.iter().zip(sessions).map(point).collect::<Option<Vec<_>>>();
        Some(Self { before: side(baseline, &sessions.before)?, after: side(candidate, &sessions.after)?, by_levels: false })
    }

    /// The correlation within runs is told from all of them together: it belongs to the metric, and one run is short.
    #[must_use]
    pub fn of(baseline: &[Location], candidate: &[Location], sessions: &Sessions) -> Self {
        let lags: Vec<Lags> = baseline.iter().chain(candidate).filter_map(|run| run.about).collect();
        let variance = long_run(&lags);
        let point = |(run, session): (&Location, &usize)| {
            let quoted = run.error.unwrap_or(0.0).powi(2);
            Point { log: run.log, error: run.about.map_or(quoted, |about| variance / about.count), session: *session }
        };
        let side = |runs: &[Location], sessions: &[usize]| runs.iter().zip(sessions).map(point).collect();
        let whole = Self { before: side(baseline, &sessions.before), after: side(candidate, &sessions.after), by_levels: false };
        Self::of_levels(baseline, candidate, &whole).unwrap_or(whole)
    }

    /// Level by level; nothing where too few runs show both, or where one side stays longer at a level than chance explains.
    fn of_levels(baseline: &[Location], candidate: &[Location], whole: &Self) -> Option<Self> {
        let levels = |side: &[Location], whole: &[Point]| -> Vec<(Levels, usize)> {
            side.iter().zip(whole).filter_map(|(run, point)| Some((run.levels?, point.session))).collect()
        };
        let (before, after) = (levels(baseline, &whole.before), levels(candidate, &whole.after));
        let runs = (baseline.len() + candidate.len()) as f64;
        if before.is_empty() || after.is_empty() || ((before.len() + after.len()) as f64) < BOTH_LEVELS * runs {
            return None;
        }
        let variance = long_run(&before.iter().chain(&after).map(|(levels, _)| levels.about).collect::<Vec<_>>());
        let point =
            |(levels, session): &(Levels, usize)| Point { log: levels.middle(), error: levels.error(variance), session: *session };
        let found = Self { before: before.iter().map(point).collect(), after: after.iter().map(point).collect(), by_levels: true };
        let stays = |whole: &[Point], found: &[Point]| {
            // A run at one level alone counts here in full: it must not be overlooked.
            let middle = quantile(&sorted(&found.iter().map(|point| point.log).collect::<Vec<_>>()), 0.5);
            whole.iter().map(|point| Point { log: point.log - middle, ..*point }).collect::<Vec<_>>()
        };
        let (stay_before, stay_after) = (stays(&whole.before, &found.before), stays(&whole.after, &found.after));
        let Pooled { squares, df } = spread(&[&stay_before, &stay_after]);
        let mean = |points: &[Point], of: fn(&Point) -> f64| points.iter().map(of).sum::<f64>() / points.len() as f64;
        let within = mean(&[&stay_before[..], &stay_after[..]].concat(), |point| point.error);
        let variance = (squares + WITHIN * within) / (df + WITHIN);
        let error = (variance * (1.0 / stay_before.len() as f64 + 1.0 / stay_after.len() as f64)).sqrt();
        let moved = mean(&stay_after, |point| point.log) - mean(&stay_before, |point| point.log);
        (moved.abs() <= CHANCE * error).then_some(found)
    }
}

/// Squares of runs about the mean of their own side.
#[must_use]
fn spread(sides: &[&[Point]]) -> Pooled {
    let of = |side: &&[Point]| {
        let mean = side.iter().map(|run| run.log).sum::<f64>() / side.len().max(1) as f64;
        (side.iter().map(|run| (run.log - mean).powi(2)).sum::<f64>(), side.len().saturating_sub(1) as f64)
    };
    sides.iter().map(of).fold(Pooled::default(), |sum, (squares, df)| Pooled { squares: sum.squares + squares, df: sum.df + df })
}
