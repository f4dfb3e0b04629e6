//! `assay peers`: nodes that are slower than their peers, and nodes that became slower than they were.

use super::{Ending, Gathered, Printed, documents};
use crate::{
    console,
    judge::{self, Measured, pair, peers},
    report::{self, Fleet},
};
use anyhow::{Context, Result, bail};
use clap::Args;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::PathBuf,
};

/// Finds nodes that are slower than their peers
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  assay peers runs/                     records of a fleet; a fleet is all devices of one model
  assay peers fleet.csv                 own numbers: fleet,node,group,METRIC…; fleet and group may be left out
  assay peers fleet.csv --lower-is-better p50_us

A node with several records is judged by its latest, and beside its peers against its own past.
Exit codes: 0 no node is slow (though some may be suspected), 1 some are, 2 bad input or usage, 3 too few nodes to be peers")]
pub struct Arguments {
    #[command(flatten)]
    gathered: Gathered,
    #[command(flatten)]
    printed: Printed,
}

/// # Errors
/// Files that cannot be read.
pub fn run(arguments: &Arguments) -> Result<Ending> {
    let Gathered { paths, lower_is_better } = &arguments.gathered;
    let (names, all, own) = match arguments.gathered.table()? {
        Some((path, text)) => {
            let (names, all) = table(&text, lower_is_better).with_context(|| path.display().to_string())?;
            (names, all, HashMap::new())
        }
        None => records(paths)?,
    };
    let fleets: Vec<Fleet> = names
        .into_iter()
        .zip(all)
        .map(|(name, peers)| {
            let judged = peers::judge(&peers);
            let own = peers.nodes.iter().filter_map(|node| Some((node.clone(), own.get(node)?.clone()))).collect();
            Fleet { name, peers, judged, own }
        })
        .collect();
    if arguments.printed.json {
        console::print(report::peers_json(&fleets)? + "\n")?;
    } else {
        console::print_styled(report::peers(&fleets, arguments.printed.paper()))?;
    }
    let slow = fleets.iter().filter_map(|fleet| fleet.judged.as_ref()).any(|judged| judged.slow() > 0);
    Ok(if slow {
        Ending::Bad
    } else if fleets.iter().any(|fleet| fleet.judged.is_some()) {
        Ending::Good
    } else {
        console::tell(format_args!("assay: a fleet needs {} nodes to have peers", peers::FEWEST));
        Ending::Nothing
    })
}

/// Fleets in the order in which they first appear; columns by their names, every other column a metric.
fn table(text: &str, lower_is_better: &[String]) -> Result<(Vec<String>, Vec<peers::Peers>)> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let head: Vec<String> = reader.headers().context("no head")?.iter().map(str::to_owned).collect();
    let column = |name: &str| head.iter().position(|column| column == name);
    let (fleet, group) = (column("fleet"), column("group"));
    let Some(node) = column("node") else {
        bail!("no column `node`; the columns are fleet,node,group,METRIC…");
    };
    let metrics: Vec<usize> =
        (0..head.len()).filter(|at| ![Some(*at) == fleet, Some(*at) == group, *at == node].contains(&true)).collect();
    if metrics.is_empty() {
        bail!("no column with a metric; the columns are fleet,node,group,METRIC…");
    }
    let is_metric = |name: &String| metrics.iter().any(|at| head[*at] == *name);
    if let Some(unknown) = lower_is_better.iter().find(|name| !is_metric(name)) {
        let metrics: Vec<&str> = metrics.iter().map(|at| head[*at].as_str()).collect();
        bail!("--lower-is-better {unknown}: no such metric; there are {}", metrics.join(", "));
    }
    if let Some(twice) = (1..head.len()).find(|at| head[..*at].contains(&head[*at])) {
        bail!("column {} is there twice; name each once", head[twice]);
    }
    let signs: Vec<f64> = metrics.iter().map(|at| if lower_is_better.contains(&head[*at]) { -1.0 } else { 1.0 }).collect();
    let (mut names, mut all, mut places) = (Vec::new(), Vec::<peers::Peers>::new(), HashMap::new());
    let mut seen: HashSet<(usize, String)> = HashSet::new();
    for (at, row) in reader.records().enumerate() {
        let row = row?;
        let name = fleet.map_or("", |column| &row[column]).to_owned();
        let place = *places.entry(name.clone()).or_insert_with(|| {
            names.push(name);
            let metrics: Vec<String> = metrics.iter().map(|at| head[*at].clone()).collect();
            all.push(peers::Peers { logs: vec![Vec::new(); metrics.len()], metrics, ..peers::Peers::default() });
            all.len() - 1
        });
        if !seen.insert((place, row[node].to_owned())) {
            bail!("row {}: node {} a second time in its fleet; a row is a node", at + 1, &row[node]);
        }
        all[place].nodes.push(row[node].to_owned());
        all[place].groups.push(group.map_or("", |column| &row[column]).to_owned());
        for ((logs, column), sign) in all[place].logs.iter_mut().zip(&metrics).zip(&signs) {
            logs.push(sign * log(&row[*column]).with_context(|| format!("row {}, {}", at + 1, head[*column]))?);
        }
    }
    if all.is_empty() {
        bail!("no row below the head");
    }
    Ok((names, all))
}

/// The logarithm of a cell; not a number of a blank one.
fn log(cell: &str) -> Result<f64> {
    if cell.is_empty() {
        return Ok(f64::NAN);
    }
    let value: f64 = cell.parse().with_context(|| format!("`{cell}` is no number"))?;
    if value.is_finite() && value > 0.0 { Ok(value.ln()) } else { bail!("{cell} is not positive and finite; leave it blank") }
}

/// What a node's latest run is against its earlier ones, metric by metric.
type Own = HashMap<String, Vec<(String, pair::Judged)>>;

/// What must be the same before two nodes are held against each other in a metric, beside its name, figure and load.
const APART: [&str; 3] = ["method", "kernel", "data"];
/// Where work over time of some node lacks so much more than the middle of its blocks, as a logarithm, it is a metric of its own.
const SLOW_BLOCKS: f64 = 0.02;

/// A metric of nodes that are peers in it: label, and the fields of `APART`.
type Key = (String, [Option<String>; 3]);

/// Runs of one node by label, oldest first.
type Node = BTreeMap<String, Vec<Measured>>;

/// Fleets by model. A node is a device of a host.
fn records(paths: &[PathBuf]) -> Result<(Vec<String>, Vec<peers::Peers>, Own)> {
    let mut runs: BTreeMap<String, BTreeMap<String, Node>> = BTreeMap::new();
    for document in documents(paths)? {
        for run in judge::measured(&document) {
            let model = run.belongs("device").unwrap_or_default().to_owned();
            let node = run.hostname.as_deref().map_or_else(|| run.device.clone(), |host| format!("{host} {}", run.device));
            runs.entry(model).or_default().entry(node).or_default().entry(run.label()).or_default().push(run);
        }
    }
    let mut own = Own::new();
    for (node, by_metric) in runs.values().flatten() {
        own.insert(node.clone(), past(by_metric));
    }
    let (names, all) = runs.into_iter().map(|(model, nodes)| (model, fleet(&nodes))).unzip();
    Ok((names, all, own))
}

/// Nodes of one model by the latest run of each metric that enough of them measured alike.
fn fleet(nodes: &BTreeMap<String, Node>) -> peers::Peers {
    let mut latest: BTreeMap<Key, Vec<Option<&Measured>>> = BTreeMap::new();
    for (at, node) in nodes.values().enumerate() {
        for (label, run) in node.iter().filter_map(|(label, runs)| Some((label, runs.last()?))) {
            let key = (label.clone(), APART.map(|field| run.belongs(field).map(str::to_owned)));
            latest.entry(key).or_insert_with(|| vec![None; nodes.len()])[at] = Some(run);
        }
    }
    let enough = |key: &&Key| latest[*key].iter().flatten().count() >= peers::FEWEST;
    let (keys, few): (Vec<&Key>, Vec<&Key>) = latest.keys().partition(enough);
    if nodes.len() >= peers::FEWEST && !few.is_empty() {
        let some: Vec<String> = few.iter().take(3).map(|key| name(key, &latest)).collect();
        let more = few.len() - some.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        console::tell(format_args!(
            "assay: fewer than {} nodes measured alike, so not judged: {}{more}",
            peers::FEWEST,
            some.join("; ")
        ));
    }
    let names: Vec<String> = nodes.keys().cloned().collect();
    let mut peers = peers::Peers { groups: vec![String::new(); names.len()], nodes: names, ..peers::Peers::default() };
    for key in keys {
        let runs = &latest[key];
        let middle: Vec<f64> = runs.iter().map(|run| run.map_or(f64::NAN, |run| run.location.log)).collect();
        let whole = |run: &Measured| run.location.whole.map_or(run.location.log, |whole| whole.log);
        let whole: Vec<f64> = runs.iter().map(|run| run.map_or(f64::NAN, whole)).collect();
        let slow = middle.iter().zip(&whole).any(|(middle, whole)| middle - whole > SLOW_BLOCKS);
        let called = name(key, &latest);
        let over_time = slow.then(|| (format!("{called}, work over time"), whole));
        for (called, logs) in std::iter::once((called, middle)).chain(over_time) {
            if runs.iter().flatten().any(|run| run.metric.unit == "B/s") {
                peers.memory_bound.push(peers.metrics.len());
            }
            peers.metrics.push(called);
            peers.logs.push(logs);
            peers.sensors.push(runs.iter().map(|run| run.map(|run| run.sensors).unwrap_or_default()).collect());
        }
    }
    peers
}

/// With what tells it from another metric of the same label, where there is one.
fn name<T>((label, apart): &Key, all: &BTreeMap<Key, T>) -> String {
    let twins: Vec<&[Option<String>; 3]> = all.keys().filter(|key| key.0 == *label).map(|key| &key.1).collect();
    let differs = |at: &usize| twins.iter().any(|twin| twin[*at] != apart[*at]);
    let short = |value: &str| value.chars().take(15).collect::<String>();
    let told = |at: usize| format!("{} {}", APART[at], apart[at].as_deref().map_or_else(|| "not told".to_owned(), short));
    let told: Vec<String> = (0..APART.len()).filter(differs).map(told).collect();
    if told.is_empty() { label.clone() } else { format!("{label} [{}]", told.join(", ")) }
}

/// A node against itself: what was measured alike before its latest run.
fn past(by_metric: &Node) -> Vec<(String, pair::Judged)> {
    let judged = by_metric.iter().filter_map(|(metric, runs)| {
        let (latest, before) = runs.split_last()?;
        let alike = before.iter().filter(|run| run.figure == latest.figure && run.identity == latest.identity);
        let before: Vec<&Measured> = alike.collect();
        let sessions = judge::Sessions::of(&before, &[latest]);
        let locations: Vec<_> = before.iter().map(|run| run.location).collect();
        Some((metric.clone(), pair::judge_sessions(&locations, &[latest.location], &sessions, &pair::Terms::default())?))
    });
    judged.collect()
}
