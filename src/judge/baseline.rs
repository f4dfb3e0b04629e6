//! A baseline: runs of a device that were found steady and ok, kept in a file that lies in version control.
//!
//! Plain JSON, a figure a line, so that a change can be read in a diff. It may be edited by hand, a margin above all, and is looked
//! through whenever it is read: units, provenance, figures that contradict each other, and a margin under which nothing can fail.

use super::{Figure, Identity, Location, Measured, Metric, Pooled, Priors, Sensors, Squares, Whole, pair, sessions::numbered};
use crate::record::{Limit, RateUnit, Status};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Name and version of the layout. A reader knows every field of its version: a misspelt margin must not pass in silence.
pub const BASELINE: &str = "assay.baseline/1";
/// Runs that a metric keeps; what an older one told of the spread stays.
const KEPT: usize = 20;
/// A loss of half would pass: such a margin is a slip, as 2 for 2 %.
const WIDEST: f64 = 0.5;
/// Runs of one metric further apart than this are in different units.
const APART: f64 = 2.0;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    pub schema: String,
    /// RFC 3339, UTC.
    pub created_at: String,
    pub updated_at: String,
    /// Version of the assay that wrote it last.
    pub assay: String,
    /// Days after which a warning says that it is old.
    pub expires_after_days: u32,
    /// What all metrics belong to.
    pub identity: Identity,
    pub metrics: Vec<Kept>,
}

/// A metric of a device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// `workload id@variant`
    pub metric: String,
    pub unit: String,
    pub higher_is_better: bool,
    /// The card: UUID, else bus address, else id.
    pub device: String,
    /// `backend:index`
    pub id: String,
    pub figure: Kind,
    /// Loss that is harmless, as a share. Blank: that of the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<f64>,
    /// What this metric belongs to beyond what all do.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub identity: BTreeMap<String, Option<String>>,
    pub spread: Spread,
    pub runs: Vec<Run>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Sustained,
    Burst,
}

impl Kind {
    #[must_use]
    pub fn figure(self) -> Figure {
        if self == Self::Burst { Figure::Burst } else { Figure::Sustained }
    }
}

/// How much a run differs from the next, of all that were ever taken in.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// Standard deviation of the logarithm of the figure.
    pub sd: f64,
    pub df: f64,
    /// What runs told that are kept no longer.
    #[serde(default, skip_serializing_if = "is_none")]
    pub retired: Squares,
}

fn is_none(retired: &Squares) -> bool {
    *retired == Squares::default()
}

/// One run of one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Id of the run's record.
    pub record: String,
    /// RFC 3339, UTC.
    pub started_at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// As the record quotes it, with its 95 % interval.
    pub value: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// Quantiles of the rates of its blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p05: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95: Option<f64>,
    pub status: Status,
    pub location: Location,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sm_mhz: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mhz: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watts: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub celsius: Option<f64>,
    /// What held the clock down: thermal, power, other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limiter: Option<String>,
    /// What may differ without harm, but explains.
    pub around: Identity,
}

impl Baseline {
    /// From the text of a file.
    ///
    /// # Errors
    /// A sentence: where it is no baseline, or the first that is wrong with it and how much else is.
    pub fn parse(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Named {
            schema: String,
        }
        let named: Named = serde_json::from_str(text)
            .map_err(|error| format!("not a baseline: {error}. `assay check --update-baseline` makes one"))?;
        if named.schema != BASELINE {
            let schema: String = named.schema.chars().filter(|c| !c.is_control()).take(60).collect();
            return Err(format!("its schema is `{schema}`; a baseline's is {BASELINE}"));
        }
        let baseline: Self = serde_json::from_str(text).map_err(|error| format!("not as a baseline is written: {error}"))?;
        let faults = baseline.lint();
        match faults.split_first() {
            None => Ok(baseline),
            Some((first, [])) => Err(first.clone()),
            Some((first, rest)) => Err(format!("{first} (and {} more)", rest.len())),
        }
    }

    /// As the file holds it.
    ///
    /// # Errors
    /// None that a baseline can cause; serde's own.
    pub fn text(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }

    /// Everything that makes it unfit to judge by.
    #[must_use]
    pub fn lint(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut seen = BTreeSet::new();
        for (name, at) in [("created_at", &self.created_at), ("updated_at", &self.updated_at)] {
            faults.extend(untimed(at).then(|| format!("{name} is `{at}`, which is no time as 2026-01-02T03:04:05Z")));
        }
        faults.extend(self.metrics.is_empty().then(|| "it holds no metric, so nothing can fail".to_owned()));
        for kept in &self.metrics {
            let name = format!("{} of {}", kept.metric, kept.id);
            if !seen.insert((&kept.metric, &kept.device, kept.figure == Kind::Burst, kept.identity.get("load"))) {
                faults.push(format!("{name} stands there twice"));
            }
            faults.extend(kept.lint().into_iter().map(|fault| format!("{name}: {fault}")));
        }
        faults
    }

    /// Under what load a metric was measured.
    #[must_use]
    pub fn load<'a>(&'a self, kept: &'a Kept) -> Option<&'a str> {
        kept.identity.get("load").or_else(|| self.identity.0.get("load"))?.as_deref()
    }

    /// All runs of all metrics, to be held against others.
    #[must_use]
    pub fn measured(&self, kept: &Kept) -> Vec<Measured> {
        let mut identity = self.identity.clone();
        identity.0.extend(kept.identity.clone());
        kept.runs.iter().map(|run| run.measured(kept, &identity)).collect()
    }

    /// What it knows of how runs of this metric differ on this make of device, of all its cards together. Runs whose records are
    /// among `but` are left out: who compares them reckons with them anyway.
    #[must_use]
    pub fn spread_of(&self, run: &Measured, but: &[&str]) -> Squares {
        let alike = |kept: &&Kept| {
            let same = |field: &str| {
                let own = kept.identity.get(field).or_else(|| self.identity.0.get(field));
                own.cloned().flatten() == run.identity.0.get(field).cloned().flatten()
            };
            let same_metric = kept.metric == run.metric.name && kept.unit == run.metric.unit && kept.figure.figure() == run.figure;
            same_metric && same("device") && same("load")
        };
        let each = self.metrics.iter().filter(alike).map(|kept| kept.spread.retired + kept.squares_without(but));
        each.fold(Squares::default(), |sum, told| sum + told)
    }

    /// Moves what all metrics belong to out of each.
    pub(super) fn share(&mut self) {
        let whole = |kept: &Kept, shared: &Identity| {
            let mut all = shared.0.clone();
            all.extend(kept.identity.clone());
            all
        };
        let all: Vec<_> = self.metrics.iter().map(|kept| whole(kept, &self.identity)).collect();
        let Some(first) = all.first() else { return };
        let common = first.iter().filter(|(name, value)| all.iter().all(|other| other.get(*name) == Some(value)));
        self.identity = Identity(common.map(|(name, value)| (name.clone(), value.clone())).collect());
        for (kept, mut whole) in self.metrics.iter_mut().zip(all) {
            whole.retain(|name, _| !self.identity.0.contains_key(name));
            kept.identity = whole;
        }
    }
}

fn untimed(at: &str) -> bool {
    at.parse::<jiff::Timestamp>().is_err()
}

impl Kept {
    fn lint(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut fault = |wrong: bool, what: String| faults.extend(wrong.then_some(what));
        let blank = |text: &str| text.trim().is_empty();
        fault(blank(&self.unit), "no unit".into());
        let known = [RateUnit::Flops, RateUnit::Bytes, RateUnit::Items, RateUnit::Seconds].map(RateUnit::symbol);
        let wrong_way = known.contains(&self.unit.as_str()) && self.higher_is_better == (self.unit == "s");
        fault(wrong_way, format!("higher_is_better is {} for {}", self.higher_is_better, self.unit));
        if let Some(margin) = self.margin {
            let words = format!("margin is {margin}, under which nothing can fail; it is a share below {WIDEST}, as 0.02 for 2 %");
            fault(!margin.is_finite() || margin >= WIDEST, words);
            fault(margin <= 0.0, format!("margin is {margin}; it is a share above 0"));
        }
        fault(!(self.spread.sd.is_finite() && self.spread.sd >= 0.0 && self.spread.df >= 0.0), "its spread is no spread".into());
        fault(self.spread.sd >= WIDEST, format!("its spread is {}, under which nothing can fail", self.spread.sd));
        fault(self.runs.is_empty(), "no run, so nothing can fail".into());
        let mut ids = BTreeSet::new();
        for run in &self.runs {
            fault(
                blank(&run.record) || untimed(&run.started_at),
                format!("run `{}` does not say which run it was, or when", run.record),
            );
            fault(!ids.insert(&run.record), format!("run {} stands there twice", run.record));
            let positive = run.value.is_finite() && run.value > 0.0 && run.location.log.is_finite();
            fault(!positive, format!("run {} has no figure above 0", run.record));
            let sign = if self.higher_is_better { 1.0 } else { -1.0 };
            let apart = (run.value.ln() - sign * run.location.log).abs();
            fault(
                positive && apart > APART.ln(),
                format!("run {} is {} but lies elsewhere: a slip of unit?", run.record, run.value),
            );
        }
        let values = || self.runs.iter().map(|run| run.value);
        let (least, most) = (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max));
        fault(least > 0.0 && most > APART * least, format!("its runs reach from {least} to {most}: a slip of unit?"));
        faults
    }

    /// What is known of the spread beyond the runs that are kept, on top of what metrics in general are like.
    #[must_use]
    pub fn prior(&self, general: Priors) -> Priors {
        general.with(self.spread.retired)
    }

    /// What the runs that are kept tell of the spread, within sessions and between them.
    #[must_use]
    pub fn squares(&self) -> Squares {
        self.squares_without(&[])
    }

    fn squares_without(&self, records: &[&str]) -> Squares {
        let runs: Vec<&Run> = self.runs.iter().filter(|run| !records.contains(&run.record.as_str())).collect();
        let sessions: Vec<_> = runs.iter().map(|run| (run.node.as_deref(), run.started_at.as_str())).collect();
        pair::squares(&runs.iter().map(|run| run.location).collect::<Vec<_>>(), &numbered(&sessions))
    }

    /// Takes a run in, the eldest out where there are many, and reckons the spread anew.
    pub(super) fn take(&mut self, run: Run) {
        self.runs.push(run);
        self.runs.sort_by(|a, b| (&a.started_at, &a.record).cmp(&(&b.started_at, &b.record)));
        let before = self.squares();
        let over = self.runs.len().saturating_sub(KEPT);
        self.runs.drain(..over);
        let (after, retired) = (self.squares(), &mut self.spread.retired);
        let retire = |retired: &mut Pooled, before: Pooled, after: Pooled| {
            // What a session is left with may lie further out than the whole of it did; then nothing is told of less.
            if before.df > after.df {
                retired.squares += (before.squares - after.squares).max(0.0);
                retired.df += before.df - after.df;
            }
        };
        retire(&mut retired.runs, before.runs, after.runs);
        retire(&mut retired.sessions, before.sessions, after.sessions);
        let all = after + *retired;
        let (squares, df) = (all.runs.squares + all.sessions.squares, all.runs.df + all.sessions.df);
        self.spread = Spread { sd: if df > 0.0 { (squares / df).sqrt() } else { 0.0 }, df, retired: *retired };
    }
}

impl Run {
    /// With what older versions kept of work over time in the quoted figure alone.
    fn located(&self, kept: &Kept) -> Location {
        let quoted = |run: &Self| {
            let whole = Location::quoted(run.value, run.low?, run.high?, kept.higher_is_better)?;
            Some(Whole { log: whole.log, error: whole.error? })
        };
        let whole = self.location.whole.or_else(|| quoted(self).filter(|_| self.location.about.is_some()));
        Location { whole, ..self.location }
    }

    fn measured(&self, kept: &Kept, identity: &Identity) -> Measured {
        let limit = match self.limiter.as_deref() {
            Some("thermal") => Some(Limit::Thermal),
            Some("power") => Some(Limit::PowerCap),
            Some(_) => Some(Limit::Setting),
            None => None,
        };
        Measured {
            metric: Metric { name: kept.metric.clone(), unit: kept.unit.clone(), higher_is_better: kept.higher_is_better },
            device: kept.device.clone(),
            id: kept.id.clone(),
            hostname: self.node.clone(),
            identity: identity.clone(),
            around: self.around.clone(),
            figure: kept.figure.figure(),
            location: self.located(kept),
            value: self.value,
            status: self.status,
            sensors: Sensors { sm_mhz: self.sm_mhz, memory_mhz: self.memory_mhz, watts: self.watts, celsius: self.celsius, limit },
            started_at: self.started_at.clone(),
            run: self.record.clone(),
        }
    }
}
