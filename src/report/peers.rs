//! Fleets for a person's eyes, and as one JSON document.

use super::{
    HEADING, Paper, WIDTH,
    check::change,
    table::{Align, Table, folded},
};
use crate::judge::{pair, peers as nodes};
use crate::record::Ratio;
use serde::Serialize;
use std::{collections::HashMap, fmt::Write};

const COLUMNS: [(&str, Align); 7] = [
    ("", Align::Left),
    ("group", Align::Left),
    ("metric", Align::Left),
    ("behind", Align::Right),
    ("rank", Align::Right),
    ("likely", Align::Right),
    ("full bar: the worst", Align::Left),
];
/// Columns of a full bar.
const BAR: usize = 20;

/// One fleet as it was judged; `judged` is blank where it is too small.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// Blank where there is but one without a name.
    pub name: String,
    pub peers: nodes::Peers,
    pub judged: Option<nodes::Judged>,
    /// By node: its latest run against its earlier ones, metric by metric.
    pub own: HashMap<String, Vec<(String, pair::Judged)>>,
}

impl Fleet {
    /// What a node's own past says: the metric in which it lost most, if it lost any.
    fn became(&self, node: &str) -> Option<(&str, Ratio)> {
        let own = self.own.get(node)?;
        let lost = own.iter().filter(|(_, judged)| judged.verdict == pair::Verdict::Regressed);
        lost.min_by(|a, b| a.1.ratio.value.total_cmp(&b.1.ratio.value)).map(|(metric, judged)| (metric.as_str(), judged.ratio))
    }
}

/// The slow nodes of every fleet, the slowest first, and what to do about them.
#[must_use]
pub fn peers(fleets: &[Fleet], paper: Paper) -> String {
    let mut text = String::new();
    for fleet in fleets {
        let name = if fleet.name.is_empty() { "fleet" } else { &fleet.name };
        let _ = write!(text, "{HEADING}{}{HEADING:#}: {} nodes", paper.text(name), fleet.peers.nodes.len());
        let Some(judged) = &fleet.judged else {
            text.push_str(", too few to be peers\n");
            continue;
        };
        let spread: Vec<String> = judged
            .spread
            .iter()
            .map(|(metric, spread)| format!("{metric} {}", change(1.0 + spread).trim_start_matches('+')))
            .collect();
        let (named, slow) = (judged.outliers.len(), judged.slow());
        let suspected = if named > slow { format!(", {} suspected", named - slow) } else { String::new() };
        let said = format!(", {slow} slow{suspected}; healthy ones spread by (sd) {}", spread.join(", "));
        let _ = writeln!(text, "{}", folded(&paper.text(&said), WIDTH));
        for halves in &judged.halves {
            let _ = writeln!(text, "{}", folded(&paper.text(&two_groups(halves)), WIDTH));
        }
        if named > 0 {
            table(judged, paper).lines(WIDTH).iter().for_each(|line| _ = writeln!(text, "{line}"));
            for (outlier, cause) in judged.outliers.iter().filter_map(|outlier| Some((outlier, outlier.worst.cause?))) {
                let what = format!("{}: {}", outlier.node, because(cause));
                let _ = writeln!(text, "{}", folded(&paper.text(&what), WIDTH));
            }
            let confirm = format!("measure again before anything is drained: {}", judged.confirm.join(", "));
            let _ = writeln!(text, "{}", folded(&paper.text(&confirm), WIDTH));
        }
        for (node, (metric, ratio)) in fleet.peers.nodes.iter().filter_map(|node| Some((node, fleet.became(node)?))) {
            let what = format!("{node} became slower than it was: {metric} {}", change(ratio.value));
            let _ = writeln!(text, "{}", folded(&paper.text(&what), WIDTH));
        }
    }
    text
}

/// Nodes of a group that are named before only their number is.
const NAMED: usize = 12;

fn two_groups(halves: &nodes::Halves) -> String {
    let nodes::Halves { metric, lower, deficit } = halves;
    let mut names = lower.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    if lower.len() > NAMED {
        let _ = write!(names, " and {} more", lower.len() - NAMED);
    }
    let lacks = change(1.0 - deficit);
    format!("two groups in {metric}: {} nodes lie {lacks} below the others, too many to be told from them: {names}", lower.len())
}

fn table(judged: &nodes::Judged, paper: Paper) -> Table {
    let mut table = Table::new(paper, &COLUMNS);
    let most = judged.outliers.iter().map(|outlier| outlier.worst.deficit).fold(0.0, f64::max);
    for outlier in &judged.outliers {
        let columns = ((outlier.worst.deficit / most * BAR as f64).round() as usize).max(1);
        table.row(&[
            outlier.node.clone(),
            outlier.group.clone(),
            outlier.worst.metric.clone(),
            change(1.0 - outlier.worst.deficit),
            format!("{} of {}", outlier.rank, outlier.of),
            format!("{:.0} %", (outlier.probability * 100.0).min(99.0)),
            (if paper.unicode { "█" } else { "#" }).repeat(columns),
        ]);
    }
    table
}

#[derive(Serialize)]
struct Document<'a> {
    outliers: Vec<Row<'a>>,
    /// To be measured again: the outliers, and healthy nodes beside them.
    confirm: Vec<Named<'a>>,
    /// Nodes whose latest run is slower than their own earlier ones, whatever their peers do.
    became_slower: Vec<Became<'a>>,
    fleets: Vec<Summary<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    fleet: &'a str,
    node: &'a str,
    /// `slow` or `suspected`.
    verdict: &'static str,
    group: &'a str,
    metric: &'a str,
    /// As a part of the peers' median.
    deficit: f64,
    low: f64,
    high: f64,
    deviations: f64,
    rank: usize,
    of: usize,
    percentile: f64,
    probability: f64,
    /// Where the deficit comes from, by the clocks of all nodes; blank where they do not tell.
    cause: Option<pair::Cause>,
    behind: &'a [nodes::Behind],
}

#[derive(Serialize)]
struct Named<'a> {
    fleet: &'a str,
    node: &'a str,
}

#[derive(Serialize)]
struct Became<'a> {
    fleet: &'a str,
    node: &'a str,
    metric: &'a str,
    ratio: f64,
    low: f64,
    high: f64,
}

#[derive(Serialize)]
struct Summary<'a> {
    fleet: &'a str,
    nodes: usize,
    judged: bool,
    spread: Vec<Spread<'a>>,
    /// Metrics in which it falls into two groups.
    two_groups: &'a [nodes::Halves],
}

#[derive(Serialize)]
struct Spread<'a> {
    metric: &'a str,
    sd: f64,
}

/// A cause in words, where a node is held against others.
fn because(cause: pair::Cause) -> &'static str {
    match cause {
        pair::Cause::Clock => "as many cycles as its peers at a lower clock: power or clock policy",
        pair::Cause::Thermal => "as many cycles as its peers at a clock that heat holds down: look at cooling",
        pair::Cause::Memory => "its memory's clock is lower than its peers'",
        pair::Cause::PerClock => "more cycles than its peers for the same work: software, or a fault",
    }
}

/// One JSON document; a row a slow node.
///
/// # Errors
/// None that a fleet can cause; serde's own.
pub fn peers_json(fleets: &[Fleet]) -> serde_json::Result<String> {
    let mut document = Document { outliers: Vec::new(), confirm: Vec::new(), became_slower: Vec::new(), fleets: Vec::new() };
    for fleet in fleets {
        let name = fleet.name.as_str();
        let judged = fleet.judged.as_ref();
        let spread = judged.into_iter().flat_map(|judged| &judged.spread).map(|(metric, sd)| Spread { metric, sd: *sd }).collect();
        let two_groups = judged.map_or(&[][..], |judged| &judged.halves);
        document.fleets.push(Summary { fleet: name, nodes: fleet.peers.nodes.len(), judged: judged.is_some(), spread, two_groups });
        for outlier in judged.into_iter().flat_map(|judged| &judged.outliers) {
            document.outliers.push(row(name, outlier));
        }
        document.confirm.extend(judged.into_iter().flat_map(|judged| &judged.confirm).map(|node| Named { fleet: name, node }));
        let became = fleet.peers.nodes.iter().filter_map(|node| Some((node, fleet.became(node)?)));
        document.became_slower.extend(became.map(|(node, (metric, Ratio { value: ratio, low, high }))| Became {
            fleet: name,
            node,
            metric,
            ratio,
            low,
            high,
        }));
    }
    serde_json::to_string_pretty(&document)
}

fn row<'a>(fleet: &'a str, outlier: &'a nodes::Outlier) -> Row<'a> {
    let nodes::Outlier { node, group, worst, rank, of, probability, slow, behind } = outlier;
    Row {
        fleet,
        node,
        verdict: if *slow { "slow" } else { "suspected" },
        group,
        metric: &worst.metric,
        deficit: worst.deficit,
        low: worst.low,
        high: worst.high,
        deviations: worst.deviations,
        rank: *rank,
        of: *of,
        percentile: 100.0 * (*rank as f64 - 0.5) / *of as f64,
        probability: *probability,
        cause: worst.cause,
        behind,
    }
}
