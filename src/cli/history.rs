//! `assay history`: since when a metric runs at another level.

use super::{Ending, Gathered, Printed, documents};
use crate::{
    console,
    judge::{self, Difference, Measured, history},
    report::{self, Changed, Line},
};
use anyhow::{Context, Result, bail};
use clap::Args;
use std::{
    collections::{BTreeSet, HashMap},
    path::PathBuf,
};

/// Finds since when a metric runs at another level, and what else changed there
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  assay history runs/                       records of one or more nodes, in the order in which they were made
  assay history nightly.csv                 own numbers: series,t,metric,value
  assay history nightly.csv --lower-is-better p50_us

Exit codes: 0 done, 2 bad input or usage, 3 no series is long enough to be judged")]
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
    let lines = match arguments.gathered.table()? {
        Some((path, text)) => table(&text, lower_is_better).with_context(|| path.display().to_string())?,
        None => records(paths)?,
    };
    let judged = lines.iter().any(|line| line.values.len() >= history::FEWEST);
    if !judged {
        console::tell(format_args!("assay: no series has the {} points that a judgement needs", history::FEWEST));
    }
    if arguments.printed.json {
        console::print(report::history_json(&lines)? + "\n")?;
    } else {
        console::print_styled(report::history(&lines, arguments.printed.paper()))?;
    }
    Ok(if judged { Ending::Good } else { Ending::Nothing })
}

#[derive(serde::Deserialize)]
struct Row {
    series: String,
    t: f64,
    metric: String,
    value: f64,
}

/// Series, metric, and points as time and value.
type Told = (String, String, Vec<(f64, f64)>);

/// Series in the order in which they first appear, their points in the order of time.
fn table(text: &str, lower_is_better: &[String]) -> Result<Vec<Line>> {
    let mut series: Vec<Told> = Vec::new();
    let mut places = HashMap::new();
    for (at, row) in csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes()).deserialize().enumerate() {
        let Row { series: name, t, metric, value } = row.context("the columns are series,t,metric,value")?;
        if !(value.is_finite() && value > 0.0 && t.is_finite()) {
            bail!("row {}: t {t}, value {value}; values are positive and finite", at + 1);
        }
        let place = *places.entry((name.clone(), metric.clone())).or_insert_with(|| {
            series.push((name, metric, Vec::new()));
            series.len() - 1
        });
        series[place].2.push((t, value));
    }
    if series.is_empty() {
        bail!("no row below the head");
    }
    if let Some(unknown) = lower_is_better.iter().find(|name| series.iter().all(|(_, metric, _)| metric != *name)) {
        let metrics: BTreeSet<&str> = series.iter().map(|(_, metric, _)| metric.as_str()).collect();
        bail!("--lower-is-better {unknown}: no such metric; there are {}", Vec::from_iter(metrics).join(", "));
    }
    let line = |(series, metric, mut points): Told| {
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let higher_is_better = !lower_is_better.contains(&metric);
        let (at, values): (Vec<String>, Vec<f64>) = points.into_iter().map(|(t, value)| (t.to_string(), value)).unzip();
        let history::Judged { changes, wanders } = history::judge(&values, higher_is_better);
        let changes = changes.into_iter().map(|change| Changed { change, differences: Vec::new() }).collect();
        Line { series, metric, unit: String::new(), higher_is_better, at, values, changes, wanders }
    };
    Ok(series.into_iter().map(line).collect())
}

/// What must be the same before two figures are points of one series. What else may change (driver, kernel, limits) may be the cause of a
/// change of level, and is named where one is found; under another load, by another method or of other data it is another quantity.
const APART: [&str; 3] = ["load", "method", "data"];

/// Every metric of every device, in the order in which they first appear.
fn records(paths: &[PathBuf]) -> Result<Vec<Line>> {
    let mut series: Vec<Vec<Measured>> = Vec::new();
    let mut places = HashMap::new();
    for document in documents(paths)? {
        for run in judge::measured(&document) {
            let host = run.hostname.clone().filter(|_| run.device == run.id);
            let apart = APART.map(|field| run.belongs(field).map(str::to_owned));
            let key = (run.device.clone(), host, run.metric.clone(), run.figure, apart);
            let place = *places.entry(key).or_insert_with(|| {
                series.push(Vec::new());
                series.len() - 1
            });
            series[place].push(run);
        }
    }
    let mut lines: Vec<Line> = series.iter().map(|runs| line(runs)).collect();
    let mut names: HashMap<(String, String), usize> = HashMap::new();
    for line in &lines {
        *names.entry((line.series.clone(), line.metric.clone())).or_default() += 1;
    }
    for (line, runs) in lines.iter_mut().zip(&series) {
        if names[&(line.series.clone(), line.metric.clone())] > 1 {
            let told = |field: &&str| format!("{field} {}", runs[0].belongs(field).unwrap_or("not told"));
            let apart: Vec<String> = APART[1..].iter().map(told).collect();
            line.metric = format!("{} [{}]", line.metric, apart.join(", "));
        }
    }
    Ok(lines)
}

fn line(runs: &[Measured]) -> Line {
    let first = &runs[0];
    let values: Vec<f64> = runs.iter().map(|run| run.value).collect();
    let history::Judged { changes, wanders } = history::judge(&values, first.metric.higher_is_better);
    let explained = |change: history::Change| {
        let differences = (change.first.max(1)..=change.last).flat_map(|at| between(&runs[at - 1], &runs[at])).collect();
        Changed { change, differences }
    };
    let node = first.hostname.as_deref().map(|node| format!("{node} ")).unwrap_or_default();
    Line {
        series: format!("{node}{}", first.device),
        metric: first.label(),
        unit: first.metric.unit.clone(),
        higher_is_better: first.metric.higher_is_better,
        at: runs.iter().map(|run| run.started_at.clone()).collect(),
        values,
        changes: changes.into_iter().map(explained).collect(),
        wanders,
    }
}

fn between(before: &Measured, after: &Measured) -> Vec<Difference> {
    let mut all = before.identity.differences(&after.identity);
    all.extend(before.around.differences(&after.around));
    all
}
