//! Two sides of records, metric by metric: runs that belong together are found, their identities are held against each other, and
//! what may be compared is judged.

use super::{
    Baseline, Difference, Measured, Metric, Sessions, Squares,
    measured::{Figure, label},
    pair::{self, Cause, Judged, Terms, Verdict},
};
use crate::record::Limit;

/// One metric of one device on both sides.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    pub metric: Metric,
    pub device: String,
    pub figure: Figure,
    /// Alone, or together with how many other devices; blank where it is not told.
    pub load: Option<String>,
    pub judged: Judged,
    /// What else differs, which may explain but does not forbid.
    pub notes: Vec<Difference>,
}

impl Compared {
    /// Metric, figure and load, as they are told apart.
    #[must_use]
    pub fn label(&self) -> String {
        label(&self.metric.name, self.figure, self.load.as_deref())
    }
}

/// All runs of one metric of one device.
#[derive(Clone, Debug)]
struct Group<'a> {
    runs: Vec<&'a Measured>,
}

impl<'a> Group<'a> {
    /// In the order in which metrics first appear.
    fn all(side: &'a [Measured]) -> Vec<Self> {
        let mut groups: Vec<Self> = Vec::new();
        for run in side {
            match groups.iter_mut().find(|group| group.same_metric(run) && group.runs[0].device == run.device) {
                Some(group) => group.runs.push(run),
                None => groups.push(Self { runs: vec![run] }),
            }
        }
        groups
    }

    fn same_metric(&self, run: &Measured) -> bool {
        let first = self.runs[0];
        first.metric == run.metric && first.figure == run.figure && first.load() == run.load()
    }

    /// The group of the same metric on the same card; else on the device of the same name, which the baseline knows under no card.
    fn partner<'b>(&self, others: &'b [Group<'a>]) -> Option<&'b Group<'a>> {
        let mine = self.runs[0];
        let alike: Vec<&Group> = others.iter().filter(|other| self.same_metric(other.runs[0])).collect();
        let card = alike.iter().find(|other| other.runs[0].device == mine.device);
        card.or_else(|| alike.iter().find(|other| other.runs[0].id == mine.id)).copied()
    }

    fn locations(&self) -> Vec<super::Location> {
        self.runs.iter().map(|run| run.location).collect()
    }
}

/// Judges every metric that both sides have. With `across` differing identities are named but not refused. The prior of `terms` is
/// replaced by one learned from all metrics together where they tell enough; what `known` holds of a metric is added to it.
#[must_use]
pub fn sides(
    baseline: &[Measured],
    candidate: &[Measured],
    terms: &Terms,
    across: bool,
    known: Option<&Baseline>,
) -> Vec<Compared> {
    let (before, after) = (Group::all(baseline), Group::all(candidate));
    let couples: Vec<(&Group, &Group)> =
        before.iter().filter_map(|group| group.partner(&after).map(|partner| (group, partner))).collect();
    let squares = |(a, b): &(&Group, &Group)| {
        let sessions = Sessions::of(&a.runs, &b.runs);
        pair::squares(&a.locations(), &sessions.before) + pair::squares(&b.locations(), &sessions.after)
    };
    let terms = Terms { prior: terms.prior.learned(&couples.iter().map(squares).collect::<Vec<Squares>>()), ..*terms };
    let judge = |(a, b): &(&Group, &Group)| {
        let records: Vec<&str> = a.runs.iter().chain(&b.runs).map(|run| run.run.as_str()).collect();
        let told = known.map(|known| known.spread_of(a.runs[0], &records)).unwrap_or_default();
        couple(a, b, &Terms { prior: terms.prior.with(told), ..terms })
    };
    let mut compared: Vec<Compared> = couples.iter().filter_map(judge).collect();
    let mut judged: Vec<Judged> = compared.iter().map(|compared| compared.judged.clone()).collect();
    pair::together(&mut judged, &terms);
    for (compared, mut judged) in compared.iter_mut().zip(judged) {
        if !across && !judged.differences.is_empty() {
            judged.verdict = Verdict::Incomparable;
        }
        compared.judged = judged;
    }
    compared
}

fn couple(before: &Group, after: &Group, terms: &Terms) -> Option<Compared> {
    let first = before.runs[0];
    let sessions = Sessions::of(&before.runs, &after.runs);
    let mut judged = pair::judge_sessions(&before.locations(), &after.locations(), &sessions, terms)?;
    for run in before.runs.iter().chain(&after.runs).skip(1) {
        for difference in first.identity.differences(&run.identity) {
            if !judged.differences.contains(&difference) {
                judged.differences.push(difference);
            }
        }
    }
    if let Some(per_clock) = per_clock(before, after) {
        let again = pair::judge_sessions(&per_clock.0, &per_clock.1, &sessions, terms)?;
        judged.per_clock = Some(again.ratio);
        judged.cause = cause(&judged, &again, before, after);
    }
    let notes = first.around.differences(&after.runs[0].around);
    let (metric, device, load) = (first.metric.clone(), first.device.clone(), first.load().map(str::to_owned));
    Some(Compared { metric, device, figure: first.figure, load, judged, notes })
}

/// Both sides in cycle space: work for each clock of the units. Blank unless every run tells its clock.
fn per_clock(before: &Group, after: &Group) -> Option<(Vec<super::Location>, Vec<super::Location>)> {
    let side = |group: &Group| {
        let each = group.runs.iter().map(|run| {
            let clock = run.sensors.sm_mhz.filter(|clock| *clock > 0.0)?;
            Some(run.location.less(clock.ln()))
        });
        each.collect::<Option<Vec<_>>>()
    };
    side(before).zip(side(after))
}

/// Nothing where nothing moved, or where the clocks do not tell.
fn cause(judged: &Judged, again: &Judged, before: &Group, after: &Group) -> Option<Cause> {
    // Slow blocks are told by no mean of a clock.
    let moved = judged.ratio.high < 1.0 || judged.ratio.low > 1.0;
    if !moved || !matches!(judged.verdict, Verdict::Regressed | Verdict::Improved) {
        return None;
    }
    let mean = |group: &Group, of: fn(&Measured) -> Option<f64>| {
        let values: Option<Vec<f64>> = group.runs.iter().map(|run| of(run)).collect();
        values.map(|values| values.iter().sum::<f64>() / values.len() as f64)
    };
    // More than half of what was lost must have gone with a clock.
    let moved = |of: fn(&Measured) -> Option<f64>| {
        let (was, is) = mean(before, of).zip(mean(after, of))?;
        Some((is / was).ln() / judged.ratio.value.ln() > 0.5)
    };
    let memory_bound = before.runs[0].metric.unit == "B/s";
    if memory_bound && moved(|run| run.sensors.memory_mhz) == Some(true) {
        return Some(Cause::Memory);
    }
    if again.ratio.low <= 1.0 && again.ratio.high >= 1.0 || moved(|run| run.sensors.sm_mhz) == Some(true) {
        let hot = after.runs.iter().any(|run| run.sensors.limit == Some(Limit::Thermal));
        return Some(if hot { Cause::Thermal } else { Cause::Clock });
    }
    Some(Cause::PerClock)
}
