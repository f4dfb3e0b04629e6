//! `assay check`: runs against a baseline, for a pipeline to pass or fail by.

mod keep;
mod rerun;

use super::{Ending, FailOn, Printed, Terms, apart, each_once, now, own_numbers};
use crate::{
    console, files,
    judge::{self, Baseline, Candidate, Check, Rules, Taken, pair},
    record::{self, Document, Unreadable},
    report::{self, Around},
};
use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fs::OpenOptions,
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

impl Arguments {
    fn outputs(&self) -> Vec<(&'static str, &Path)> {
        let all = [
            ("--junit", &self.junit),
            ("--markdown", &self.markdown),
            ("--bencher", &self.bencher),
            ("--bigger-is-better", &self.bigger_is_better),
        ];
        all.into_iter().filter_map(|(name, path)| Some((name, path.as_deref()?))).collect()
    }

    fn inputs(&self) -> Vec<&Path> {
        self.runs.iter().chain([&self.baseline]).map(PathBuf::as_path).collect()
    }
}

/// # Errors
/// Runs or a baseline that cannot be read, before anything is written; files that cannot be written.
pub fn run(arguments: &Arguments) -> Result<Ending> {
    apart(&arguments.outputs(), &arguments.inputs())?;
    let mut runs = read(&arguments.runs)?;
    let kept = keep::kept(&arguments.baseline, arguments.update_baseline)?;
    let Some(baseline) = kept.baseline else {
        if !arguments.update_baseline {
            bail!("{}: no such baseline; begin one with --update-baseline", arguments.baseline.display());
        }
        let (begun, taken) = judge::update(&Baseline::begun(&now()), &runs.candidate, None, arguments.include_unsteady);
        // Where another process has begun it meanwhile, it is renewed.
        return begin(arguments, &begun, &taken)?.map_or_else(|| run(arguments), Ok);
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
    if arguments.printed.json {
        console::print(report::check_json(&check, &around)? + "\n")?;
    } else {
        console::print_styled(report::check(&check, &around, arguments.printed.paper()))?;
    }
    write_files(arguments, &check, &around, runs.documents.first())?;
    if arguments.update_baseline {
        let (next, taken) = judge::update(&baseline, &runs.candidate, Some(&check), arguments.include_unsteady);
        if taken.runs > 0 {
            let text = Baseline { updated_at: now(), ..next }.text()?;
            write_whole(&arguments.baseline, &text)?;
        }
        console::tell(format_args!("{}: {}", arguments.baseline.display(), sentence(&taken)));
    }
    Ok(arguments.terms.ending(check.verdict))
}

/// Records, and files of somebody's own numbers.
fn read(paths: &[PathBuf]) -> Result<Runs> {
    let mut runs = Runs { candidate: Candidate::default(), documents: Vec::new() };
    let mut records = Vec::new();
    for path in paths {
        match record::read(path) {
            Ok(document) => {
                document.warnings.iter().for_each(|warning| console::tell(format_args!("assay: warning: {warning}")));
                runs.candidate.add(&document);
                records.push((document.header.id.clone(), path.as_path()));
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
    each_once(records.iter().map(|(id, path)| (id.as_str(), *path)))?;
    Ok(runs)
}

fn warn_of_age(path: &Path, baseline: &Baseline) {
    let Ok(updated) = baseline.updated_at.parse::<jiff::Timestamp>() else { return };
    let days = jiff::Timestamp::now().duration_since(updated).as_hours() / 24;
    if days > i64::from(baseline.expires_after_days) {
        console::tell(format_args!(
            "assay: warning: {}: last renewed {days} days ago; renew it with --update-baseline",
            path.display()
        ));
    }
}

/// A baseline that there was not; nothing where there is one by now.
fn begin(arguments: &Arguments, baseline: &Baseline, taken: &Taken) -> Result<Option<Ending>> {
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
        if !keep::begin(&arguments.baseline, &baseline.text()?)? {
            return Ok(None);
        }
    }
    let begun = taken.runs > 0;
    if !arguments.include_unsteady && taken.left_out.keys().any(|why| why.starts_with(judge::NOT_STEADY)) {
        console::tell(
            "assay: what is not steady is left out; measure longer with `assay run --suite standard`, or take it in with --include-unsteady",
        );
    }
    let metrics = baseline.metrics.len();
    if arguments.printed.json {
        console::print_json(&Update { schema: "assay.begun/1", begun, metrics, runs: taken.runs, left_out: &taken.left_out })?;
    } else {
        let word = if begun { "begun" } else { "not begun" };
        console::print(format_args!("{} {word}: {}, {metrics} metrics\n", arguments.baseline.display(), sentence(taken)))?;
    }
    Ok(Some(if begun { Ending::Good } else { Ending::Nothing }))
}

fn sentence(taken: &Taken) -> String {
    let left = taken.left_out.iter().map(|(why, count)| format!("{count} left out ({why})"));
    std::iter::once(format!("{} figures taken in", taken.runs)).chain(left).collect::<Vec<_>>().join(", ")
}

fn write_whole(path: &Path, text: &str) -> Result<()> {
    files::write_whole(path, text).with_context(|| path.display().to_string())
}

/// Every form that was asked for.
fn write_files(arguments: &Arguments, check: &Check, around: &Around, first: Option<&Document>) -> Result<()> {
    let write = |path: &Path, text: String| write_whole(path, &text);
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
