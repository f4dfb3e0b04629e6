//! `assay check`: runs against a baseline, for a pipeline to pass or fail by.

mod rerun;

use super::{Ending, FailOn, Printed, Terms, baseline, now, own_numbers};
use crate::{
    judge::{self, Baseline, Candidate, Check, Rules, Taken, pair},
    record::{self, Document, Unreadable},
    report::{self, Around},
};
use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

/// Looks that are taken at the most, the first included.
const LOOKS: usize = 3;

/// Holds runs against a baseline: ok, improved, regressed, inconclusive or incomparable
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  assay check --baseline h200.json --update-baseline run1.jsonl run2.jsonl run3.jsonl   begin one
  assay check --baseline h200.json run.jsonl
  assay check --baseline h200.json run.jsonl --rerun --junit check.xml --markdown \"$GITHUB_STEP_SUMMARY\"

Exit codes: 0 ok or improved, 1 regressed or broken, 2 bad input or usage, 3 inconclusive or incomparable")]
pub struct Arguments {
    /// Records of `assay run` or `assay import`, or files of numbers of your own (see docs/ci.md)
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// The baseline
    #[arg(long, value_name = "FILE")]
    baseline: PathBuf,
    /// Take the runs into the baseline where they are steady and ok; begin it where there is none
    #[arg(long)]
    update_baseline: bool,
    /// Take in figures that are not steady too, such as bursts and what other tools measured
    #[arg(long, requires = "update_baseline")]
    include_unsteady: bool,
    /// Where it is inconclusive, measure that again on this machine, up to three looks in all, each at a stricter level
    #[arg(long)]
    rerun: bool,
    /// Judge only what was measured; without it, a metric that was not measured is inconclusive
    #[arg(long)]
    partial: bool,
    #[command(flatten)]
    terms: Terms,
    #[command(flatten)]
    printed: Printed,
    /// Write JUnit's XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Append Markdown, as the summary of a GitHub job takes it
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Write Bencher's metric format
    #[arg(long, value_name = "FILE")]
    bencher: Option<PathBuf>,
    /// Write github-action-benchmark's customBiggerIsBetter
    #[arg(long, value_name = "FILE")]
    bigger_is_better: Option<PathBuf>,
    /// Show nothing while measuring again
    #[arg(short, long)]
    quiet: bool,
}

/// What is held against the baseline, and the records it came from.
struct Runs {
    candidate: Candidate,
    documents: Vec<Document>,
}

/// # Errors
/// Runs or a baseline that cannot be read, before anything is written; files that cannot be written.
pub fn run(arguments: &Arguments) -> Result<Ending> {
    let mut runs = read(&arguments.runs)?;
    let Some(baseline) = baseline(&arguments.baseline)? else {
        if !arguments.update_baseline {
            bail!("{}: no such baseline; begin one with --update-baseline", arguments.baseline.display());
        }
        let (begun, taken) = judge::update(&Baseline::begun(&now()), &runs.candidate, None, arguments.include_unsteady);
        return begin(arguments, &begun, &taken);
    };
    warn_of_age(&arguments.baseline, &baseline);
    let terms = arguments.terms.terms().with_looks(if arguments.rerun { LOOKS } else { 1 });
    let rules = Rules { terms, across: arguments.terms.across, partial: arguments.partial };
    let mut check = judge::check(&baseline, &runs.candidate, &rules);
    let mut looks = 1;
    while arguments.rerun && looks < LOOKS && check.verdict == pair::Verdict::Inconclusive {
        looks += 1;
        let again = rerun::again(&check, runs.documents.last(), looks, arguments.quiet)?;
        let Some(document) = again else { break };
        runs.candidate.add(&document);
        runs.documents.push(document);
        check = judge::check(&baseline, &runs.candidate, &rules);
    }
    let baseline_name = arguments.baseline.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let strict = arguments.terms.fail_on == Some(FailOn::Inconclusive);
    let around = Around { baseline: &baseline_name, terms: &rules.terms, looks, at: &now(), strict };
    files(arguments, &check, &around, runs.documents.first())?;
    if arguments.update_baseline {
        let (next, taken) = judge::update(&baseline, &runs.candidate, Some(&check), arguments.include_unsteady);
        if taken.runs > 0 {
            write_baseline(&arguments.baseline, &Baseline { updated_at: now(), ..next })?;
        }
        eprintln!("{}: {}", arguments.baseline.display(), sentence(&taken));
    }
    if arguments.printed.json {
        writeln!(std::io::stdout().lock(), "{}", report::check_json(&check, &around)?)?;
    } else {
        write!(anstream::stdout().lock(), "{}", report::check(&check, &around, arguments.printed.paper()))?;
    }
    Ok(arguments.terms.ending(check.verdict))
}

/// Records, and files of somebody's own numbers.
fn read(paths: &[PathBuf]) -> Result<Runs> {
    let mut runs = Runs { candidate: Candidate::default(), documents: Vec::new() };
    for path in paths {
        match record::read(path) {
            Ok(document) => {
                document.warnings.iter().for_each(|warning| eprintln!("assay: warning: {warning}"));
                runs.candidate.add(&document);
                runs.documents.push(document);
            }
            Err(error @ Unreadable::Foreign { .. }) => {
                for run in own_numbers(path)?.ok_or(error)? {
                    runs.candidate.add_run(run);
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(runs)
}

fn warn_of_age(path: &Path, baseline: &Baseline) {
    let Ok(updated) = baseline.updated_at.parse::<jiff::Timestamp>() else { return };
    let days = jiff::Timestamp::now().duration_since(updated).as_hours() / 24;
    if days > i64::from(baseline.expires_after_days) {
        eprintln!("assay: warning: {}: last renewed {days} days ago; renew it with --update-baseline", path.display());
    }
}

/// A baseline that there was not.
fn begin(arguments: &Arguments, baseline: &Baseline, taken: &Taken) -> Result<Ending> {
    #[derive(Serialize)]
    struct Update<'a> {
        schema: &'static str,
        begun: bool,
        metrics: usize,
        runs: usize,
        left_out: &'a BTreeMap<String, usize>,
    }
    if taken.runs > 0 {
        let faults = baseline.lint();
        if let Some(fault) = faults.first() {
            bail!("{}: these runs make no baseline: {fault}", arguments.baseline.display());
        }
        write_baseline(&arguments.baseline, baseline)?;
    }
    let begun = taken.runs > 0;
    if !arguments.include_unsteady && taken.left_out.keys().any(|why| why.starts_with(judge::NOT_STEADY)) {
        eprintln!(
            "assay: what is not steady is left out; measure longer with `assay run --suite standard`, or take it in with --include-unsteady"
        );
    }
    let mut output = std::io::stdout().lock();
    if arguments.printed.json {
        let metrics = baseline.metrics.len();
        let begun = Update { schema: "assay.begun/1", begun, metrics, runs: taken.runs, left_out: &taken.left_out };
        writeln!(output, "{}", serde_json::to_string_pretty(&begun)?)?;
    } else {
        let word = if begun { "begun" } else { "not begun" };
        writeln!(output, "{} {word}: {}, {} metrics", arguments.baseline.display(), sentence(taken), baseline.metrics.len())?;
    }
    Ok(if begun { Ending::Good } else { Ending::Nothing })
}

fn sentence(taken: &Taken) -> String {
    let left = taken.left_out.iter().map(|(why, count)| format!("{count} left out ({why})"));
    std::iter::once(format!("{} figures taken in", taken.runs)).chain(left).collect::<Vec<_>>().join(", ")
}

/// Under its name only when it is whole.
fn write_baseline(path: &Path, baseline: &Baseline) -> Result<()> {
    let name = path.file_name().with_context(|| format!("{}: no name for a file", path.display()))?;
    let hidden = path.with_file_name(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
    let written = fs::write(&hidden, baseline.text()?).and_then(|()| fs::rename(&hidden, path));
    if written.is_err() {
        // What was written of it is of no use; the first error is the one to tell.
        let _ = fs::remove_file(&hidden);
    }
    written.with_context(|| path.display().to_string())
}

/// Every form that was asked for.
fn files(arguments: &Arguments, check: &Check, around: &Around, first: Option<&Document>) -> Result<()> {
    let write = |path: &Path, text: String| fs::write(path, text).with_context(|| path.display().to_string());
    if let Some(path) = &arguments.junit {
        let hostname = first.and_then(|document| document.header.node.hostname.as_deref()).unwrap_or("localhost");
        write(path, report::junit(check, around, hostname)?)?;
    }
    if let Some(path) = &arguments.bencher {
        write(path, report::bencher(check)? + "\n")?;
    }
    if let Some(path) = &arguments.bigger_is_better {
        write(path, report::bigger_is_better(check)? + "\n")?;
    }
    if let Some(path) = &arguments.markdown {
        let file = OpenOptions::new().append(true).create(true).open(path);
        let text = report::markdown(check, around) + "\n";
        file.and_then(|mut file| file.write_all(text.as_bytes())).with_context(|| path.display().to_string())?;
    }
    Ok(())
}
