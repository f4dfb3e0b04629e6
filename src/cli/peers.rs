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
Exit codes: 0 no node is slow, 1 some are, 2 bad input or usage, 3 too few nodes to be peers")]
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
    let slow = fleets.iter().filter_map(|fleet| fleet.judged.as_ref()).any(|judged| !judged.outliers.is_empty());
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
    if let Some(unknown) = lower_is_better.iter().find(|name| column(name).is_none()) {
        bail!("--lower-is-better {unknown}: no such column; there are {}", head.join(", "));
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

/// Fleets by model. A node is a device of a host.
fn records(paths: &[PathBuf]) -> Result<(Vec<String>, Vec<peers::Peers>, Own)> {
    let mut runs: BTreeMap<String, BTreeMap<String, BTreeMap<String, Vec<Measured>>>> = BTreeMap::new();
    for document in documents(paths)? {
        for run in judge::measured(&document) {
            let model = run.identity.0.get("device").cloned().flatten().unwrap_or_default();
            let node = run.hostname.as_deref().map_or_else(|| run.device.clone(), |host| format!("{host} {}", run.device));
            runs.entry(model).or_default().entry(node).or_default().entry(run.metric.name.clone()).or_default().push(run);
        }
    }
    let (mut names, mut all, mut own) = (Vec::new(), Vec::new(), Own::new());
    for (model, nodes) in runs {
        let mut metrics: Vec<String> = nodes.values().flat_map(|node| node.keys().cloned()).collect();
        metrics.sort();
        metrics.dedup();
        let count = metrics.len();
        let mut peers =
            peers::Peers { logs: vec![Vec::new(); count], sensors: vec![Vec::new(); count], metrics, ..peers::Peers::default() };
        for (node, by_metric) in &nodes {
            for (at, metric) in peers.metrics.iter().enumerate() {
                let latest = by_metric.get(metric).and_then(|runs| runs.last());
                peers.logs[at].push(latest.map_or(f64::NAN, |run| run.location.log));
                peers.sensors[at].push(latest.map(|run| run.sensors).unwrap_or_default());
                if latest.is_some_and(|run| run.metric.unit == "B/s") && !peers.memory_bound.contains(&at) {
                    peers.memory_bound.push(at);
                }
            }
            peers.nodes.push(node.clone());
            peers.groups.push(String::new());
            own.insert(node.clone(), past(by_metric));
        }
        names.push(model);
        all.push(peers);
    }
    Ok((names, all, own))
}

/// A node against itself: what was measured alike before its latest run.
fn past(by_metric: &BTreeMap<String, Vec<Measured>>) -> Vec<(String, pair::Judged)> {
    let judged = by_metric.iter().filter_map(|(metric, runs)| {
        let (latest, before) = runs.split_last()?;
        let alike = before.iter().filter(|run| run.figure == latest.figure && run.identity == latest.identity);
        let before: Vec<_> = alike.map(|run| run.location).collect();
        Some((metric.clone(), pair::judge(&before, &[latest.location], &pair::Terms::default())?))
    });
    judged.collect()
}
