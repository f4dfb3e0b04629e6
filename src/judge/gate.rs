//! Runs against a baseline: `assay check`. Nothing passes by absence: a metric that broke fails, one that was not measured is
//! inconclusive.

use super::{
    Baseline, Candidate, Compared, Figure, Identity, Kept, Measured, Priors, Squares,
    baseline::{BASELINE, Kind, Run, Spread},
    candidate::Told,
    measured::label,
    pair::{self, Judged, Terms, Verdict},
    sides,
};
use crate::record::{Interval, Status};
use statrs::distribution::{ContinuousCDF, StudentsT};
use std::collections::{BTreeMap, BTreeSet};

/// Sessions of a metric from which on only what is ok is taken in.
const GROWN: usize = 5;
/// Days after which a new baseline calls itself old.
const EXPIRES: u32 = 180;

/// What every metric came to, and all together.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    pub verdict: Verdict,
    pub rows: Vec<Row>,
    pub absent: Vec<Absent>,
    /// Metrics that the baseline does not know, with figure and load, and the device of each.
    pub unknown: Vec<(String, String)>,
}

/// A metric of the baseline that was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub compared: Compared,
    /// `backend:index`
    pub id: String,
    pub margin: f64,
    /// Figures of the runs of either side, in order of time.
    pub before: Vec<f64>,
    pub after: Vec<f64>,
    /// Mean of the candidate's runs with its 95 % interval by the run-to-run spread.
    pub figure: Interval,
    /// Seconds that the candidate's runs took.
    pub seconds: f64,
}

/// A metric of the baseline without a figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Absent {
    /// With figure and load.
    pub metric: String,
    pub id: String,
    /// It ought to have given a figure, and failed or was wrong.
    pub broken: bool,
    pub why: String,
}

/// How strict a check is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    pub terms: Terms,
    /// Differing identities are named, not refused.
    pub across: bool,
    /// Metrics that were not measured are passed over.
    pub partial: bool,
}

/// Holds runs against a baseline, metric by metric, and adjusts for their number.
#[must_use]
pub fn check(baseline: &Baseline, candidate: &Candidate, rules: &Rules) -> Check {
    let mut by_name: BTreeMap<&str, Vec<&(Measured, Told)>> = BTreeMap::new();
    candidate.runs.iter().for_each(|run| by_name.entry(&run.0.metric.name).or_default().push(run));
    let general = rules.terms.prior.learned(&baseline.metrics.iter().map(Kept::squares).collect::<Vec<_>>());
    let mut rows = Vec::new();
    let mut absent = Vec::new();
    for kept in &baseline.metrics {
        let runs = by_name.get(kept.metric.as_str()).map_or(&[][..], Vec::as_slice);
        match row(baseline, kept, runs, general, rules) {
            Some(row) => rows.push(row),
            None => absent.push(missing(kept, baseline.load(kept), candidate)),
        }
    }
    adjust(&mut rows, rules);
    let known: BTreeSet<(&str, Option<&str>)> =
        baseline.metrics.iter().map(|kept| (kept.metric.as_str(), baseline.load(kept))).collect();
    let strange = |(run, _): &&(Measured, Told)| !known.contains(&(run.metric.name.as_str(), run.load()));
    let unknown: BTreeSet<(String, String)> =
        candidate.runs.iter().filter(strange).map(|(run, _)| (run.label(), run.id.clone())).collect();
    let mut verdicts: Vec<Verdict> = rows.iter().map(|row| row.compared.judged.verdict).collect();
    verdicts.extend(absent.iter().filter_map(|absent| match (absent.broken, rules.partial) {
        (true, _) => Some(Verdict::Regressed),
        (false, false) => Some(Verdict::Inconclusive),
        (false, true) => None,
    }));
    let nothing = rows.is_empty() && absent.iter().all(|absent| !absent.broken);
    let verdict = if nothing { Verdict::Incomparable } else { verdicts.into_iter().max().unwrap_or(Verdict::Incomparable) };
    Check { verdict, rows, absent, unknown: unknown.into_iter().collect() }
}

fn row(baseline: &Baseline, kept: &Kept, runs: &[&(Measured, Told)], general: Priors, rules: &Rules) -> Option<Row> {
    let mut before = baseline.measured(kept);
    let after: Vec<Measured> = runs.iter().map(|(run, _)| run.clone()).collect();
    // A run that was taken in is held against the others, not against itself.
    let other = |run: &Measured| after.iter().all(|own| own.run != run.run);
    if before.iter().any(other) {
        before.retain(other);
    }
    let terms = Terms { prior: kept.prior(general), margin: kept.margin.unwrap_or(rules.terms.margin), ..rules.terms };
    let compared = sides(&before, &after, &terms, rules.across, None).into_iter().next()?;
    // The same runs that were compared: of this load, and of this card, else of the device of this name.
    let alike = |run: &Measured| run.figure == kept.figure.figure() && run.load() == baseline.load(kept);
    let of_card = runs.iter().any(|(run, _)| run.device == kept.device && alike(run));
    let mine = |run: &Measured| alike(run) && if of_card { run.device == kept.device } else { run.id == kept.id };
    let mut mine: Vec<&(Measured, Told)> = runs.iter().filter(|(run, _)| mine(run)).copied().collect();
    mine.sort_by(|(a, _), (b, _)| a.started_at.cmp(&b.started_at));
    let figure = mean(&mine, &compared.judged, kept.higher_is_better)?;
    Some(Row {
        id: mine.first()?.0.id.clone(),
        margin: terms.margin,
        before: kept.runs.iter().map(|run| run.value).collect(),
        after: mine.iter().map(|(run, _)| run.value).collect(),
        seconds: mine.iter().map(|(_, told)| told.seconds).sum(),
        figure,
        compared,
    })
}

/// Geometric mean with its interval, in the metric's own unit.
fn mean(runs: &[&(Measured, Told)], judged: &Judged, higher_is_better: bool) -> Option<Interval> {
    let n = runs.len() as f64;
    let sign = if higher_is_better { 1.0 } else { -1.0 };
    let mean = sign * runs.iter().map(|(run, _)| run.location.log).sum::<f64>() / n;
    let t = StudentsT::new(0.0, 1.0, judged.spread.df).ok()?.inverse_cdf(0.975);
    let half = t * judged.spread.sd / n.sqrt();
    Some(Interval { value: mean.exp(), low: (mean - half).exp(), high: (mean + half).exp() })
}

/// Adjusts p over all metrics, and takes back verdicts that no longer hold.
fn adjust(rows: &mut [Row], rules: &Rules) {
    let p: Vec<f64> = rows.iter().map(|row| row.compared.judged.p).collect();
    for (row, adjusted) in rows.iter_mut().zip(pair::benjamini_hochberg(&p)) {
        let judged = &mut row.compared.judged;
        judged.p_adjusted = adjusted;
        if judged.verdict != Verdict::Incomparable {
            judged.verdict = pair::verdict(judged, &Terms { margin: row.margin, ..rules.terms });
        }
    }
}

fn missing(kept: &Kept, load: Option<&str>, candidate: &Candidate) -> Absent {
    let (broken, why) = candidate.why_not(kept, load).cloned().unwrap_or_else(|| (false, "not measured".into()));
    Absent { metric: label(&kept.metric, kept.figure.figure(), load), id: kept.id.clone(), broken, why }
}

/// Why a figure is left out of a baseline that takes steady ones alone.
pub const NOT_STEADY: &str = "not steady";

/// What became of an update.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Runs of metrics that were taken in.
    pub runs: usize,
    /// Reasons for which others were not, each with how many.
    pub left_out: BTreeMap<String, usize>,
}

/// Takes steady runs into a baseline: of metrics that are ok by `check`, that it does not know yet, or of which it has few sessions. Nothing at all where something
/// regressed, broke or cannot be compared: such a machine is no measure for others.
#[must_use]
pub fn update(baseline: &Baseline, candidate: &Candidate, check: Option<&Check>, unsteady: bool) -> (Baseline, Taken) {
    let mut next = baseline.clone();
    let mut taken = Taken::default();
    let refused = check.is_some_and(|check| {
        let bad = |row: &Row| matches!(row.compared.judged.verdict, Verdict::Regressed | Verdict::Incomparable);
        check.rows.iter().any(bad) || check.absent.iter().any(|absent| absent.broken)
    });
    for (run, told) in &candidate.runs {
        let row = check.and_then(|check| check.rows.iter().find(|row| row.is_of(run)));
        let left_out = if refused {
            Some("something regressed, broke or cannot be compared".to_owned())
        } else if run.status != Status::Steady && !unsteady {
            Some(format!("{NOT_STEADY}: {}", run.status.name()))
        } else {
            match row {
                Some(row) if !row.is_good() => Some(format!("{}, not ok", row.compared.judged.verdict.name())),
                _ => next.take(run, told),
            }
        };
        match left_out {
            Some(why) => *taken.left_out.entry(why).or_default() += 1,
            None => taken.runs += 1,
        }
    }
    next.share();
    (next, taken)
}

impl Row {
    /// Ok; or inconclusive only because the baseline is too young to tell, or it would never grow.
    fn is_good(&self) -> bool {
        let judged = &self.compared.judged;
        let young = judged.baseline_sessions < GROWN && judged.verdict == Verdict::Inconclusive;
        let harmless = judged.ratio.value > 1.0 - self.margin && judged.over_time.is_none_or(|over| over.value > 1.0 - self.margin);
        judged.verdict == Verdict::Ok || young && harmless
    }

    fn is_of(&self, run: &Measured) -> bool {
        let Compared { metric, figure, load, .. } = &self.compared;
        *metric == run.metric && self.id == run.id && *figure == run.figure && load.as_deref() == run.load()
    }
}

impl Baseline {
    /// One that holds nothing yet.
    #[must_use]
    pub fn begun(now: &str) -> Self {
        Self {
            schema: BASELINE.into(),
            created_at: now.into(),
            updated_at: now.into(),
            assay: env!("CARGO_PKG_VERSION").into(),
            expires_after_days: EXPIRES,
            identity: Identity::default(),
            metrics: Vec::new(),
        }
    }

    /// Takes a run in, or says why not.
    fn take(&mut self, run: &Measured, told: &Told) -> Option<String> {
        let kind = if run.figure == Figure::Burst { Kind::Burst } else { Kind::Sustained };
        let shared = self.identity.clone();
        let whole = |kept: &Kept| shared.0.iter().chain(&kept.identity).map(|(n, v)| (n.clone(), v.clone())).collect();
        let same = |kept: &&mut Kept| {
            let load = kept.identity.get("load").or_else(|| shared.0.get("load")).cloned().flatten();
            kept.metric == run.metric.name && kept.device == run.device && kept.figure == kind && load.as_deref() == run.load()
        };
        let kept = match self.metrics.iter_mut().find(same) {
            Some(kept) if Identity(whole(kept)) != run.identity => return Some("it belongs to something else".into()),
            Some(kept) => kept,
            None => {
                self.metrics.push(Kept::begun(run, kind, &shared));
                self.metrics.last_mut()?
            }
        };
        if kept.runs.iter().any(|known| known.record == run.run) {
            return Some("it is in the baseline already".into());
        }
        kept.take(record(run, told));
        None
    }
}

impl Kept {
    fn begun(run: &Measured, figure: Kind, shared: &Identity) -> Self {
        // What is shared but differs here must not be hidden by it.
        let own = run.identity.0.iter().filter(|(name, value)| shared.0.get(*name) != Some(value));
        Self {
            metric: run.metric.name.clone(),
            unit: run.metric.unit.clone(),
            higher_is_better: run.metric.higher_is_better,
            device: run.device.clone(),
            id: run.id.clone(),
            figure,
            margin: None,
            identity: own.map(|(name, value)| (name.clone(), value.clone())).collect(),
            spread: Spread { sd: 0.0, df: 0.0, retired: Squares::default() },
            runs: Vec::new(),
        }
    }
}

fn record(run: &Measured, told: &Told) -> Run {
    let [p05, p50, p95] = told.quantiles.map_or([None; 3], |quantiles| quantiles.map(Some));
    Run {
        record: run.run.clone(),
        started_at: run.started_at.clone(),
        node: run.hostname.clone(),
        value: run.value,
        low: told.quoted.map(|quoted| quoted.low),
        high: told.quoted.map(|quoted| quoted.high),
        p05,
        p50,
        p95,
        status: run.status,
        location: run.location,
        sm_mhz: run.sensors.sm_mhz,
        memory_mhz: run.sensors.memory_mhz,
        watts: run.sensors.watts,
        celsius: run.sensors.celsius,
        limiter: run.sensors.limit.map(|limit| limit.limiter().to_owned()),
        around: run.around.clone(),
    }
}
