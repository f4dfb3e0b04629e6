//! Baseline against candidate, run by run: `assay compare`, and each look of `assay check`.

use super::{
    Difference, Location, Prior, Priors, SESSIONS, Sessions, Squares,
    evidence::{Evidence, Point},
    sessions::Side,
};
use crate::record::Ratio;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};
use std::collections::BTreeSet;

/// What became of a comparison. `Incomparable`: the sides differ in what a number belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Ok,
    Improved,
    Inconclusive,
    Incomparable,
    Regressed,
}

impl Verdict {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Improved => "improved",
            Self::Inconclusive => "inconclusive",
            Self::Incomparable => "incomparable",
            Self::Regressed => "regressed",
        }
    }
}

/// Where a difference came from, by the clocks of both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// As many cycles as before, at another clock: power or clock policy.
    Clock,
    /// As many cycles as before, at a clock that heat holds down.
    Thermal,
    /// The memory's clock moved along.
    Memory,
    /// More cycles for the same work: software, or a fault.
    PerClock,
}

/// On which terms two sides are judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms {
    /// A loss smaller than this is harmless.
    pub margin: f64,
    /// A difference smaller than this is never called one.
    pub least: f64,
    /// One-sided level of a look.
    pub level: f64,
    pub prior: Priors,
}

impl Terms {
    /// One-sided levels of one look of at most `looks` (Pocock 1977): 2.5 % in all.
    #[must_use]
    pub fn with_looks(self, looks: usize) -> Self {
        const POCOCK: [f64; 3] = [0.025, 0.0147, 0.0110];
        Self { level: POCOCK[looks.clamp(1, 3) - 1], ..self }
    }
}

impl Default for Terms {
    fn default() -> Self {
        Self { margin: 0.02, least: 0.003, level: 0.025, prior: Priors::default() }
    }
}

/// A comparison of one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    pub verdict: Verdict,
    /// Candidate over baseline as performance, with its interval: below 1 is slower, for times too.
    pub ratio: Ratio,
    /// The same of work over time, in which a few slow blocks count in full; blank where the ratio is that already.
    pub over_time: Option<Ratio>,
    /// One-sided, of a regression at least as clear when there is none.
    pub p: f64,
    /// After Benjamini and Hochberg over all metrics that were judged together.
    pub p_adjusted: f64,
    /// The smallest drop that would have been found in four of five such comparisons, as a part of the baseline.
    pub detectable: f64,
    pub baseline_runs: usize,
    pub candidate_runs: usize,
    /// Sessions of either side, and how many of them both have.
    pub baseline_sessions: usize,
    pub candidate_sessions: usize,
    pub shared_sessions: usize,
    /// Standard deviation of a run that was reckoned with, as if all were of sessions of their own, and its degrees of freedom.
    pub spread: Prior,
    /// Level was compared with level, since both sides jump between two and stay at each alike.
    pub by_levels: bool,
    /// The ratio in cycle space (work for each clock of the units), where both sides tell their clocks.
    pub per_clock: Option<Ratio>,
    pub cause: Option<Cause>,
    pub differences: Vec<Difference>,
}

/// Judges one metric, as of sides that were measured in turns; nothing where a side has no run.
#[must_use]
pub fn judge(baseline: &[Location], candidate: &[Location], terms: &Terms) -> Option<Judged> {
    judge_sessions(baseline, candidate, &Sessions::one(baseline.len(), candidate.len()), terms)
}

/// Judges one metric whose runs are of these sessions; nothing where a side has no run.
#[must_use]
pub fn judge_sessions(baseline: &[Location], candidate: &[Location], sessions: &Sessions, terms: &Terms) -> Option<Judged> {
    if baseline.is_empty() || candidate.is_empty() {
        return None;
    }
    let evidence = Evidence::of(baseline, candidate, sessions);
    let found = Reckoned::of(&evidence, terms)?;
    let over_time = Evidence::over_time(baseline, candidate, sessions).and_then(|evidence| Reckoned::of(&evidence, terms));
    // Of what counts towards the verdict the clearer one.
    let p = over_time.as_ref().filter(|over| over.ratio.value <= 1.0 - terms.margin).map_or(found.p, |over| found.p.min(over.p));
    let (before, after) = (distinct(&sessions.before), distinct(&sessions.after));
    let mut judged = Judged {
        verdict: Verdict::Inconclusive,
        ratio: found.ratio,
        over_time: over_time.map(|over| over.ratio),
        p,
        p_adjusted: p,
        detectable: 1.0 - (-found.visible.max(terms.least)).exp(),
        baseline_runs: baseline.len(),
        candidate_runs: candidate.len(),
        baseline_sessions: before.len(),
        candidate_sessions: after.len(),
        shared_sessions: before.intersection(&after).count(),
        spread: found.spread,
        by_levels: evidence.by_levels,
        per_clock: None,
        cause: None,
        differences: Vec::new(),
    };
    judged.verdict = verdict(&judged, terms);
    Some(judged)
}

fn distinct(sessions: &[usize]) -> BTreeSet<usize> {
    sessions.iter().copied().collect()
}

/// The difference of two sides, with what is known of it.
struct Reckoned {
    ratio: Ratio,
    p: f64,
    /// The smallest loss that four of five such comparisons would show, as a logarithm.
    visible: f64,
    spread: Prior,
}

impl Reckoned {
    /// A mean of sessions varies by what sessions do, of which those that both sides share fall out, and by what runs do within them.
    fn of(Evidence { before, after, .. }: &Evidence, terms: &Terms) -> Option<Self> {
        let known = before.iter().chain(after).map(|point| point.error).sum::<f64>() / (before.len() + after.len()) as f64;
        let (one, other) = (Side::of(before), Side::of(after));
        let told = one.squares + other.squares;
        let Prior { sd, df } = terms.prior.runs;
        let runs_df = df + told.runs.df;
        let run = ((df * (sd.powi(2) + known) + told.runs.squares) / runs_df).max(known);
        // A session's mean varies by its runs at the least: by `part` of what they do.
        let (by_run, by_session) = (one.by_run() + other.by_run(), one.by_session(&other));
        let part = by_run / (1.0 / one.sessions.len() as f64 + 1.0 / other.sessions.len() as f64);
        // What is taken for granted of sessions is worth no more than what is known of runs.
        let taken = Prior { df: SESSIONS.df.min(runs_df), ..SESSIONS };
        let Prior { sd, df } = terms.prior.sessions.unwrap_or(taken);
        let sessions_df = df + told.sessions.df;
        let session = ((df * sd.powi(2).max(part * run) + told.sessions.squares) / sessions_df).max(part * known);
        let (between, within) = (by_session * session, (by_run - by_session * part).max(0.0) * run);
        let variance = between + within;
        // Of two parts that are known unequally well (Satterthwaite 1946).
        let total = variance.powi(2) / (between.powi(2) / sessions_df + within.powi(2) / runs_df);
        let total = if total.is_finite() { total } else { runs_df };
        // A side that varies by more than the other within its runs is not known better than that.
        let error = variance.max(one.within + other.within).sqrt();
        let difference = other.mean - one.mean;
        let student = StudentsT::new(0.0, 1.0, total).ok()?;
        let half = student.inverse_cdf(1.0 - terms.level) * error;
        let apart = 1.0 / before.len() as f64 + 1.0 / after.len() as f64;
        Some(Self {
            ratio: Ratio { value: difference.exp(), low: (difference - half).exp(), high: (difference + half).exp() },
            p: student.cdf(difference / error),
            visible: half + student.inverse_cdf(0.8) * error,
            spread: Prior { sd: (variance / apart).sqrt(), df: total },
        })
    }
}

/// The verdict of figures that were reckoned, with p as it is adjusted.
#[must_use]
pub fn verdict(judged: &Judged, terms: &Terms) -> Verdict {
    let Ratio { value, low, high } = judged.ratio;
    let clear = judged.p_adjusted <= 2.0 * terms.level;
    let gone = judged.over_time.is_some_and(|over| over.high < 1.0 && over.value <= 1.0 - terms.margin);
    if clear && (high < 1.0 && value <= 1.0 - terms.least || gone) {
        Verdict::Regressed
    } else if judged.loses_over_time(terms.margin) {
        Verdict::Inconclusive
    } else if low > 1.0 && value >= 1.0 + terms.least {
        Verdict::Improved
    } else if low > 1.0 - terms.margin {
        Verdict::Ok
    } else {
        Verdict::Inconclusive
    }
}

impl Judged {
    /// Work over time, slow blocks and all, lost more than the margin, whatever most blocks say. Where level is compared with level
    /// how long a run stays at each is left out on purpose, so there the loss must be excluded and not merely unseen.
    #[must_use]
    pub fn loses_over_time(&self, margin: f64) -> bool {
        self.over_time.is_some_and(|over| if self.by_levels { over.low } else { over.value } < 1.0 - margin)
    }
}

/// Judges metrics together: adjusts their p by Benjamini and Hochberg, and takes back what no longer holds.
pub fn together(judged: &mut [Judged], terms: &Terms) {
    let adjusted = benjamini_hochberg(&judged.iter().map(|judged| judged.p).collect::<Vec<_>>());
    for (judged, p) in judged.iter_mut().zip(adjusted) {
        judged.p_adjusted = p;
        if judged.verdict != Verdict::Incomparable {
            judged.verdict = verdict(judged, terms);
        }
    }
}

/// p adjusted for the false discovery rate (Benjamini and Hochberg 1995), in the order given.
#[must_use]
pub fn benjamini_hochberg(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*b].total_cmp(&p[*a]));
    let (mut adjusted, mut least) = (vec![1.0; p.len()], 1.0_f64);
    for (above, index) in order.into_iter().enumerate() {
        least = least.min(p[index] * p.len() as f64 / (p.len() - above) as f64);
        adjusted[index] = least;
    }
    adjusted
}

/// What runs of one side tell of how they vary: within sessions, and between them.
#[must_use]
pub fn squares(runs: &[Location], sessions: &[usize]) -> Squares {
    let point = |(run, session): (&Location, &usize)| Point { log: run.log, error: 0.0, session: *session };
    Side::of(&runs.iter().zip(sessions).map(point).collect::<Vec<_>>()).squares
}
