//! `assay compare`: two sides of runs against each other.

use super::{Ending, Printed, Terms, baseline, document, each_once, own_numbers};
use crate::{
    console,
    judge::{self, Measured, pair},
    record::Unreadable,
    report,
};
use anyhow::{Context, Result, bail};
use clap::Args;
use std::path::PathBuf;

/// Compares runs with runs: ok, improved, regressed, inconclusive or incomparable
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  assay compare before.jsonl after.jsonl
  assay compare after1.jsonl after2.jsonl --baseline before1.jsonl before2.jsonl before3.jsonl
  assay compare before.jsonl after.jsonl --spread h200.json
  assay compare base.json head.json         own numbers: {metric, unit, higher_is_better, runs: [[samples]]}

A few runs on each side tell more than one long run. Exit codes: 0 ok or improved, 1 regressed, 2 bad input or usage,
3 inconclusive or incomparable")]
pub struct Arguments {
    /// Baseline and candidate; with --baseline, candidates alone
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Runs of the baseline, where there are several
    #[arg(long, num_args = 1.., value_name = "FILE")]
    baseline: Vec<PathBuf>,
    /// Baseline of `assay check` that knows what runs of each metric vary by on this make of device
    #[arg(long, value_name = "FILE")]
    spread: Option<PathBuf>,
    #[command(flatten)]
    terms: Terms,
    #[command(flatten)]
    printed: Printed,
}

/// # Errors
/// Files that cannot be read, or that are not two sides.
pub fn run(arguments: &Arguments) -> Result<Ending> {
    let (before, after) = match (&arguments.baseline[..], &arguments.files[..]) {
        ([], [before, after]) => (std::slice::from_ref(before), std::slice::from_ref(after)),
        ([], files) => {
            let count = files.len();
            bail!("{count} files and no --baseline; name two files, or candidates and then --baseline FILE…")
        }
        (before, after) => (before, after),
    };
    let (before, after) = (side(before)?, side(after)?);
    let known = arguments.spread.as_deref().map(|path| {
        baseline(path)?.with_context(|| format!("{}: no such baseline; `assay check --update-baseline` makes one", path.display()))
    });
    let known = known.transpose()?;
    let terms = arguments.terms.terms();
    let compared = judge::sides(&before, &after, &terms, arguments.terms.across, known.as_ref());
    if compared.is_empty() {
        let why = otherwise(&before, &after).unwrap_or_else(|| "have no metric in common that both measured".into());
        console::tell(format_args!("assay: the two sides {why}"));
    }
    let verdict = compared.iter().map(|compared| compared.judged.verdict).max().unwrap_or(pair::Verdict::Incomparable);
    if arguments.printed.json {
        console::print(report::compare_json(&compared, verdict, &terms)? + "\n")?;
    } else {
        console::print_styled(report::compare(&compared, verdict, &terms, arguments.printed.paper()))?;
    }
    Ok(arguments.terms.ending(verdict))
}

/// Where both sides have a metric of one name and mean another thing by it.
fn otherwise(before: &[Measured], after: &[Measured]) -> Option<String> {
    let mut pairs = before.iter().flat_map(|before| after.iter().map(move |after| (&before.metric, &after.metric)));
    let (before, after) = pairs.find(|(before, after)| before.name == after.name && before != after)?;
    let of = |metric: &judge::Metric| {
        format!("{}, of which {} is better", metric.unit, if metric.higher_is_better { "more" } else { "less" })
    };
    Some(format!("differ in what {} is: {} there, {} here", before.name, of(before), of(after)))
}

fn side(paths: &[PathBuf]) -> Result<Vec<Measured>> {
    let (mut runs, mut records) = (Vec::new(), Vec::new());
    for path in paths {
        match document(path) {
            Ok(document) => {
                runs.extend(judge::measured(&document));
                records.push((document.header.id, path.as_path()));
            }
            Err(error) if matches!(error.downcast_ref(), Some(Unreadable::Foreign { .. })) => {
                runs.extend(own_numbers(path)?.ok_or(error)?);
            }
            Err(error) => return Err(error),
        }
    }
    each_once(records.iter().map(|(id, path)| (id.as_str(), *path)))?;
    Ok(runs)
}
