//! `assay units validate` and `calibrate`: the serving model beside published or own figures.

use crate::capacity::{self, Answer, Engine, Errors, errors};
use anyhow::Result;
use clap::Args;
use serde_json::json;
use std::{collections::BTreeMap, io::Write, path::PathBuf};

/// Says what the model predicts of each row of a file of published figures, and how wrong it is
#[derive(Debug, Args)]
pub struct Arguments {
    /// CSV with the columns id, hardware, gpus, model, dtype, setting, metric, published_value, unit
    file: PathBuf,
    /// Print one JSON document instead of a table
    #[arg(long)]
    json: bool,
}

/// # Errors
/// When the file is not what it should be.
pub fn validate(arguments: &Arguments) -> Result<super::Ending> {
    let engines = capacity::shipped();
    let answers: Vec<Answer> = capacity::rows(&arguments.file)?.iter().map(|row| capacity::answer(row, &engines)).collect();
    let pairs = capacity::pairs(&answers);
    let mut groups: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    for answer in &answers {
        if let Some(predicted) = answer.predicted {
            groups.entry(answer.metric.clone()).or_default().push((predicted, answer.published));
        }
    }
    for pair in &pairs {
        groups.entry(format!("{} {}", pair.engine, pair.hardware)).or_default().push((pair.predicted, pair.published));
    }
    let groups: BTreeMap<String, Errors> =
        groups.into_iter().filter_map(|(name, pairs)| Some((name, errors(pairs.into_iter())?))).collect();
    let answered = answers.iter().filter(|answer| answer.predicted.is_some()).count();
    let mut out = std::io::stdout().lock();
    if arguments.json {
        let document = json!({ "rows": answers, "pairs": pairs, "errors": groups, "constants": engines });
        writeln!(out, "{}", serde_json::to_string_pretty(&document)?)?;
    } else {
        writeln!(out, "{:<34}{:>6}{:>9}{:>9}{:>9}", "", "rows", "mean", "median", "within")?;
        for (name, found) in &groups {
            line(&mut out, name, found)?;
        }
        writeln!(out, "\nwithin: share of published figures between predicted / 1.25 and predicted * 1.25")?;
        writeln!(out, "{answered} of {} rows answered; not answered:", answers.len())?;
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        answers.iter().filter_map(|answer| answer.skipped.as_deref()).for_each(|reason| *reasons.entry(reason).or_default() += 1);
        for (reason, count) in reasons {
            writeln!(out, "{count:>6}  {reason}")?;
        }
    }
    Ok(if answered == 0 { super::Ending::Nothing } else { super::Ending::Good })
}

fn line(out: &mut impl Write, name: &str, found: &Errors) -> std::io::Result<()> {
    let percent = |share: f64| format!("{:.1}%", 100.0 * share);
    let bar = "#".repeat((found.mean * 50.0).round().min(40.0) as usize);
    let Errors { rows, mean, median, coverage } = *found;
    writeln!(out, "{name:<34}{rows:>6}{:>9}{:>9}{:>9}  {bar}", percent(mean), percent(median), percent(coverage))
}

/// # Errors
/// When the file is not what it should be, or has too few usable rows.
pub fn calibrate(arguments: &Arguments) -> Result<super::Ending> {
    let (engines, within, unseen) = capacity::calibrate(&capacity::rows(&arguments.file)?)?;
    let mut out = std::io::stdout().lock();
    if arguments.json {
        let document = json!({ "constants": engines, "errors": within, "errors_left_out": unseen });
        writeln!(out, "{}", serde_json::to_string_pretty(&document)?)?;
        return Ok(super::Ending::Good);
    }
    writeln!(
        out,
        "{:<10}{:>6}{:>8}{:>8}{:>9}{:>10}{:>10}{:>10}",
        "engine", "rows", "gemm", "attn", "prefill", "layer", "reduce", "request"
    )?;
    for Engine { engine, rows, constants: c } in &engines {
        let us = |seconds: f64| format!("{:.1} us", seconds * 1e6);
        let times = [us(c.layer), us(c.all_reduce), us(c.request)];
        writeln!(
            out,
            "{engine:<10}{rows:>6}{:>8.3}{:>8.3}{:>9.3}{:>10}{:>10}{:>10}",
            c.gemm, c.attention, c.prefill, times[0], times[1], times[2]
        )?;
    }
    writeln!(out, "\n{:<34}{:>6}{:>9}{:>9}{:>9}", "time per output token", "rows", "mean", "median", "within")?;
    line(&mut out, "of these rows", &within)?;
    if let Some(unseen) = unseen {
        line(&mut out, "of a model and GPU left out", &unseen)?;
    }
    Ok(super::Ending::Good)
}
