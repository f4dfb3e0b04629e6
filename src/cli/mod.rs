//! The command line: one file a subcommand, with its arguments and one `run`; no file here imports another.
//!
//! Data go to stdout, everything else to stderr. Exit codes: 0 done and good; 1 a bad verdict; 2 bad input or usage; 3 nothing
//! could be measured or judged; 130 interrupted.

mod check;
mod compare;
mod completions;
mod devices;
mod history;
mod import;
mod man;
mod peers;
mod record_trace;
mod run;
mod schema;
mod show;
mod size;
mod units;
mod watch;
mod worker;

use crate::{
    console, files,
    judge::{self, Baseline, pair},
    record::{self, Document},
    report::Paper,
    units::Nanos,
};
use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::{
    collections::BTreeMap,
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Measures what accelerators sustain, with kernels whose results are verified in the same run.
#[derive(Debug, Parser)]
#[command(name = "assay", version, about, arg_required_else_help = true, propagate_version = true)]
#[command(after_help = "Examples:
  assay run                       measure every accelerator, within a minute each
  assay show run.jsonl            read a record again
  assay devices --health          what there is to measure, and whether it is fit
  assay check --baseline b.json run.jsonl   whether a run is as good as those before
  assay compare before.jsonl after.jsonl    what became slower or faster, by how much
  assay history runs/             since when a metric is at another level
  assay peers runs/               nodes slower than their peers
  assay watch                     clocks, power and temperature, again and again

Exit codes: 0 done and good, 1 a bad verdict, 2 bad input or usage, 3 nothing could be measured, 130 interrupted")]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Devices(devices::Arguments),
    Run(run::Arguments),
    Show(show::Arguments),
    Check(check::Arguments),
    Compare(compare::Arguments),
    History(history::Arguments),
    Peers(peers::Arguments),
    Import(import::Arguments),
    Size(size::Arguments),
    Units(units::Arguments),
    Watch(watch::Arguments),
    RecordTrace(record_trace::Arguments),
    Schema(schema::Arguments),
    Completions(completions::Arguments),
    Man(man::Arguments),
    #[command(hide = true)]
    Worker(worker::Arguments),
}

/// How a judgement is printed.
#[derive(Debug, Args)]
struct Printed {
    /// Print one JSON document instead of text
    #[arg(long)]
    json: bool,
    /// Only ASCII, whatever the terminal can show
    #[arg(long, conflicts_with = "json")]
    plain: bool,
}

impl Printed {
    fn paper(&self) -> Paper {
        if self.plain { Paper { unicode: false } } else { Paper::of_environment() }
    }
}

/// On which terms runs are held against runs.
#[derive(Debug, Args)]
struct Terms {
    /// Compare though device, driver, limits, kernel or method differ
    #[arg(long)]
    across: bool,
    /// Loss that is harmless, where a baseline names none for the metric
    #[arg(long, value_name = "SHARE", default_value = "2%", value_parser = parse_share)]
    margin: f64,
    /// Difference below which nothing is called regressed or improved, however clear it is
    #[arg(long, value_name = "SHARE", default_value = "0.3%", value_parser = parse_share)]
    least: f64,
    /// What the exit code 1 stands for: regressed alone (inconclusive is then 0), or inconclusive too
    #[arg(long, value_enum)]
    fail_on: Option<FailOn>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FailOn {
    Regressed,
    Inconclusive,
}

impl Terms {
    fn terms(&self) -> pair::Terms {
        pair::Terms { margin: self.margin, least: self.least, ..pair::Terms::default() }
    }

    fn ending(&self, verdict: pair::Verdict) -> Ending {
        match (verdict, self.fail_on) {
            (pair::Verdict::Ok | pair::Verdict::Improved, _) | (pair::Verdict::Inconclusive, Some(FailOn::Regressed)) => {
                Ending::Good
            }
            (pair::Verdict::Regressed, _) | (pair::Verdict::Inconclusive, Some(FailOn::Inconclusive)) => Ending::Bad,
            (pair::Verdict::Inconclusive, None) | (pair::Verdict::Incomparable, _) => Ending::Nothing,
        }
    }
}

/// Records of many runs, or a table of somebody's own numbers.
#[derive(Debug, Args)]
struct Gathered {
    /// Folders of records, records, or one CSV file, whose columns the examples show
    #[arg(required = true, value_name = "DIR|CSV")]
    paths: Vec<PathBuf>,
    /// Metrics of a CSV file of which less is better
    #[arg(long, value_name = "METRIC", value_delimiter = ',')]
    lower_is_better: Vec<String>,
}

impl Gathered {
    /// The path and text of the table, where it is one.
    fn table(&self) -> Result<Option<(&Path, String)>> {
        match &self.paths[..] {
            [path] if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv")) => {
                Ok(Some((path, own_text(path)?)))
            }
            _ if !self.lower_is_better.is_empty() => {
                bail!("--lower-is-better: records say themselves of what less is better; it is for one CSV file")
            }
            _ => Ok(None),
        }
    }
}

/// A time as a person writes it, of at least `shortest` seconds and at most a week.
fn parse_time(text: &str, shortest: f64) -> Result<Nanos, String> {
    let time: jiff::SignedDuration = text.parse().map_err(|_| format!("`{text}` is no time; write for example 90s, 10m or 2h"))?;
    let seconds = time.as_secs_f64();
    if (shortest..=7.0 * 24.0 * 3600.0).contains(&seconds) {
        return Ok(Nanos::from_seconds(seconds));
    }
    Err(format!("`{text}` is not between {shortest}s and 7 days"))
}

/// A share as a person writes it: `2%`.
fn parse_share(text: &str) -> Result<f64, String> {
    let share: Option<f64> =
        text.strip_suffix('%').and_then(|percent| percent.trim().parse().ok()).map(|percent: f64| percent / 100.0);
    let share = share.ok_or_else(|| format!("`{text}` is no share; write for example 2% or 0.5%"))?;
    if share > 0.0 && share < 0.5 { Ok(share) } else { Err(format!("`{text}` is not above 0% and below 50%")) }
}

/// This moment, RFC 3339, UTC.
fn now() -> String {
    jiff::Timestamp::now().round(jiff::Unit::Millisecond).unwrap_or_default().to_string()
}

/// Looked at before devices are, so that a bad path costs no time.
fn writable(path: &Path, force: bool) -> Result<()> {
    if path.exists() && !force {
        return Err(unwritable(path, &ErrorKind::AlreadyExists.into()));
    }
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => {
            bail!("{}: no such folder for the record; make it, or name another with -o FILE", folder.display())
        }
        _ => Ok(()),
    }
}

/// Refuses to write over what is read, or to two outputs in one place, before anything is done.
fn apart(outputs: &[(&str, &Path)], inputs: &[&Path]) -> Result<()> {
    for (index, (name, path)) in outputs.iter().enumerate() {
        let same = |other: &Path| files::place(other) == files::place(path);
        if inputs.iter().any(|input| same(input)) {
            bail!("{name} {}: that file is read; name another one", path.display());
        }
        // A device or a pipe takes several.
        if let Some((other, _)) = outputs[..index].iter().find(|(_, other)| same(other) && (path.is_file() || !path.exists())) {
            bail!("{name} {}: {other} is written there; name another file", path.display());
        }
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
            bail!("{name} {}: there is no folder {}; make it, or name another file", path.display(), folder.display());
        }
    }
    Ok(())
}

fn unwritable(path: &Path, error: &std::io::Error) -> anyhow::Error {
    match error.kind() {
        ErrorKind::AlreadyExists => anyhow!("{}: exists; name another file, or overwrite it with --force", path.display()),
        _ => anyhow!("{}: {error}; name another file with -o FILE", path.display()),
    }
}

/// The text of a file that is no record.
fn own_text(path: &Path) -> Result<String> {
    files::text(path).with_context(|| path.display().to_string())
}

/// A baseline of a node of eight cards with twenty runs of each metric is about 5 MB.
const MAX_BASELINE: u64 = 64 << 20;

/// The baseline; nothing where there is no such file.
fn baseline(path: &Path) -> Result<Option<Baseline>> {
    let name = || path.display().to_string();
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(name),
    };
    let mut bytes = Vec::new();
    file.take(MAX_BASELINE + 1).read_to_end(&mut bytes).with_context(name)?;
    if bytes.len() as u64 > MAX_BASELINE {
        bail!("{}: larger than {} MiB, which no baseline is", path.display(), MAX_BASELINE >> 20);
    }
    let text = String::from_utf8(bytes).map_err(|_| anyhow!("{}: not a baseline: it is not UTF-8", path.display()))?;
    Baseline::parse(&text).map(Some).map_err(|why| anyhow!("{}: {why}", path.display()))
}

/// Numbers of somebody's own; nothing of a file that is no JSON, nor of a folder.
fn own_numbers(path: &Path) -> Result<Option<Vec<judge::Measured>>> {
    if path.is_dir() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(files::MOST_BYTES).read_to_end(&mut bytes));
    read.with_context(|| path.display().to_string())?;
    let Some(text) = String::from_utf8(bytes).ok().filter(|text| text.trim_start().starts_with(['{', '['])) else {
        return Ok(None);
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    judge::own(&text, &name, &now()).map(Some).map_err(|why| anyhow!("{}: {why}", path.display()))
}

/// A record, with its warnings told.
fn document(path: &Path) -> Result<Document> {
    let document = record::read(path)?;
    document.warnings.iter().for_each(|warning| console::tell(format_args!("assay: warning: {warning}")));
    Ok(document)
}

/// Records of files and folders, oldest first. In a folder all files that end in `.jsonl` are taken.
fn documents(paths: &[PathBuf]) -> Result<Vec<Document>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let folder = std::fs::read_dir(path).with_context(|| path.display().to_string())?;
            let found = folder.collect::<std::io::Result<Vec<_>>>().with_context(|| path.display().to_string())?;
            let mut own: Vec<PathBuf> = found.into_iter().map(|entry| entry.path()).collect();
            own.retain(|file| file.extension().is_some_and(|extension| extension == "jsonl"));
            if own.is_empty() {
                bail!("{}: no record in it; records end in .jsonl and are written by `assay run -o FILE`", path.display());
            }
            files.append(&mut own);
        } else {
            files.push(path.clone());
        }
    }
    let mut documents = files.iter().map(|file| document(file)).collect::<Result<Vec<_>>>()?;
    each_once(documents.iter().zip(&files).map(|(document, file)| (document.header.id.as_str(), file.as_path())))?;
    documents.sort_by(|a, b| (&a.header.started_at, &a.header.id).cmp(&(&b.header.started_at, &b.header.id)));
    Ok(documents)
}

/// Refuses a record that is named twice, or whose copy is: a run is evidence once.
fn each_once<'a>(records: impl IntoIterator<Item = (&'a str, &'a Path)>) -> Result<()> {
    let mut known: BTreeMap<&str, &Path> = BTreeMap::new();
    for (id, file) in records {
        if let Some(other) = known.insert(id, file) {
            bail!("{} and {} are the same run; name it once", other.display(), file.display());
        }
    }
    Ok(())
}

/// The path of a library that is there; none where a variable is set to nothing.
fn existing(text: &str) -> Result<String, String> {
    if text.is_empty() || std::path::Path::new(text).is_file() {
        return Ok(text.into());
    }
    Err(format!("no such file `{text}`; name the library itself, or leave this out to have it searched for"))
}

/// How a command ended, other than by an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Ending {
    Good = 0,
    Bad = 1,
    Nothing = 3,
    Interrupted = 130,
}

/// Runs the command; an error is one message on stderr and exit code 2.
#[must_use]
pub fn run(arguments: Arguments) -> ExitCode {
    let ending = match arguments.command {
        Command::Devices(arguments) => devices::run(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Show(arguments) => show::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Compare(arguments) => compare::run(&arguments),
        Command::History(arguments) => history::run(&arguments),
        Command::Peers(arguments) => peers::run(&arguments),
        Command::Import(arguments) => import::run(&arguments),
        Command::Size(arguments) => size::run(&arguments),
        Command::Units(arguments) => units::run(&arguments),
        Command::Watch(arguments) => watch::run(&arguments),
        Command::RecordTrace(arguments) => record_trace::run(&arguments),
        Command::Schema(arguments) => schema::run(&arguments),
        Command::Completions(arguments) => completions::run(&arguments),
        Command::Man(arguments) => man::run(&arguments),
        Command::Worker(arguments) => Ok(worker::run(&arguments)),
    };
    match ending {
        Ok(ending) => ExitCode::from(ending as u8),
        Err(error) => {
            // Whoever shows something again and again ends when nobody looks any more.
            if error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe) {
                return ExitCode::SUCCESS;
            }
            console::tell(format_args!("assay: {error:#}"));
            ExitCode::from(2)
        }
    }
}
