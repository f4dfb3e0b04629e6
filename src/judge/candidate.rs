//! What is held against a baseline: figures of records, and what was tried and gave none.

use super::{Kept, Measured, measured};
use crate::record::{Document, Entry, Interval, Outcome};
use std::collections::BTreeMap;

/// What is held against a baseline.
#[derive(Clone, Debug, Default)]
pub struct Candidate {
    pub(super) runs: Vec<(Measured, Told)>,
    /// What was tried and gave no figure: workload, device and load, and why, with whether it ought to have.
    without: BTreeMap<(String, String, Option<String>), (bool, String)>,
}

/// What a record says of a figure beyond what is judged.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told {
    pub quoted: Option<Interval>,
    /// 5 %, 50 % and 95 % quantiles of blocks.
    pub quantiles: Option<[f64; 3]>,
    pub seconds: f64,
}

impl Candidate {
    /// Adds what a record holds.
    pub fn add(&mut self, document: &Document) {
        let key = |entry: &Entry| (named(entry), entry.device.id.clone(), entry.load.clone());
        let entries: BTreeMap<_, &Entry> = document.entries.iter().map(|entry| (key(entry), entry)).collect();
        for run in measured(document) {
            let key = (run.metric.name.clone(), run.id.clone(), run.load().unwrap_or_default().to_owned());
            let told = entries.get(&key).map(|entry| told(entry));
            self.runs.push((run, told.unwrap_or_default()));
        }
        for entry in document.entries.iter().filter(|entry| entry.outcome != Outcome::Measured) {
            let broken = matches!(entry.outcome, Outcome::Failed | Outcome::Invalid);
            let why = format!("{}: {}", entry.outcome.name(), entry.reason.as_deref().unwrap_or("no reason"));
            // By its workload alone: one that never began knows no variant.
            let key = (entry.workload.id.clone(), entry.device.id.clone(), Some(entry.load.clone()));
            self.without.insert(key, (broken, why));
        }
    }

    /// Runs of somebody's own numbers.
    pub fn add_run(&mut self, run: Measured) {
        self.runs.push((run, Told::default()));
    }

    /// Why a metric that is kept has no figure, and whether it ought to.
    pub(super) fn why_not(&self, kept: &Kept, load: Option<&str>) -> Option<&(bool, String)> {
        let workload = kept.metric.split('@').next().unwrap_or(&kept.metric);
        self.without.get(&(workload.to_owned(), kept.id.clone(), load.map(str::to_owned)))
    }
}

fn named(entry: &Entry) -> String {
    format!("{}@{}", entry.workload.id, entry.workload.variant)
}

fn told(entry: &Entry) -> Told {
    let rate = entry.rate.as_ref();
    Told {
        quoted: rate.and_then(crate::record::Rate::best),
        quantiles: rate.and_then(|rate| rate.sustained).map(|s| [s.p05, s.p50, s.p95]),
        seconds: entry.sampling.as_ref().map_or(0.0, |sampling| sampling.seconds),
    }
}
