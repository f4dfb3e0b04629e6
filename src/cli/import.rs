//! `assay import`: another tool's output as a record.

use super::{Ending, apart, now, unwritable, writable};
use crate::{
    console,
    import::{self, MAX_BYTES, TOOLS},
    record::{Document, End, Entry, Header, Line, Outcome, SCHEMA, Software, Writer},
    report::{self, Paper},
    store,
};
use anyhow::{Context, Result, bail};
use clap::{Args, builder::PossibleValuesParser};
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

/// Reads other tools' output into a record: nvbandwidth, nccl-tests, dcgmi diag, clpeak, Google Benchmark
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nvbandwidth -j > out.json; assay import out.json -o nvbandwidth.jsonl
  dcgmi diag -r 2 -v -j | assay import - --json
  assay import all_reduce.log --from nccl-tests")]
pub struct Arguments {
    /// What the tool wrote, or - for stdin
    file: PathBuf,
    /// The tool; recognised by its output where it is not named
    #[arg(long, value_name = "TOOL", value_parser = PossibleValuesParser::new(TOOLS.iter().map(|tool| tool.name)))]
    from: Option<String>,
    /// File for the record; the user's data folder by default
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Overwrite an existing record
    #[arg(long, requires = "output")]
    force: bool,
    /// Print one JSON document instead of a table
    #[arg(long)]
    json: bool,
}

/// # Errors
/// Output that cannot be read or that no tool wrote, before anything is written; a disk that fails.
pub fn run(arguments: &Arguments) -> Result<Ending> {
    if let Some(path) = &arguments.output {
        apart(&[("--output", path)], &[&arguments.file])?;
        writable(path, arguments.force)?;
    }
    let name = arguments.file.display();
    let bytes = contents(&arguments.file).with_context(|| name.to_string())?;
    let imported = import::import(&bytes, arguments.from.as_deref()).with_context(|| name.to_string())?;
    let header = Header {
        schema: SCHEMA.into(),
        id: uuid::Uuid::now_v7().to_string(),
        started_at: started(imported.origin.measured_at.as_deref()),
        assay: Software::reading(imported.origin),
        node: imported.node,
        devices: imported.devices,
        suite: "imported".into(),
        command: ["assay", "import"].map(str::to_owned).into(),
    };
    let end = end(&imported.entries, &header.started_at);
    let document = Document { header, end: Some(end), entries: imported.entries, warnings: Vec::new() };
    let path = write(arguments, &document)?;
    if arguments.json {
        console::print(report::json(&document)? + "\n")?;
    } else {
        console::print_styled(report::sheet(&document, Paper::of_environment()))?;
    }
    console::tell(format_args!("record: {}", path.display()));
    Ok(ending(&document.entries))
}

/// No more than a tool writes, whatever stands behind the name.
fn contents(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().lock().take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    } else {
        File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    }
    if bytes.len() as u64 > MAX_BYTES {
        bail!("larger than {} MiB, which no tool's output is", MAX_BYTES >> 20);
    }
    Ok(bytes)
}

/// When the tool measured, where it says so with a zone; else now.
fn started(measured_at: Option<&str>) -> String {
    let told: Option<jiff::Timestamp> = measured_at.and_then(|at| at.parse().ok());
    told.map_or_else(now, |at| at.to_string())
}

/// Tools do not tell how long they took.
fn end(entries: &[Entry], started_at: &str) -> End {
    let count = |outcome| entries.iter().filter(|entry| entry.outcome == outcome).count() as u64;
    End {
        ended_at: started_at.into(),
        measured: count(Outcome::Measured),
        skipped: count(Outcome::Skipped),
        failed: count(Outcome::Failed),
        invalid: count(Outcome::Invalid),
        interrupted: false,
    }
}

fn write(arguments: &Arguments, document: &Document) -> Result<PathBuf> {
    let header = &document.header;
    let path = arguments.output.clone().map_or_else(|| store::new_record(&now(), &header.id), Ok)?;
    let failed = |error: std::io::Error| unwritable(&path, &error);
    let mut writer = Writer::create(&path, arguments.force, header.clone()).map_err(failed)?;
    for entry in &document.entries {
        writer.line(&Line::Entry(Box::new(entry.clone()))).map_err(failed)?;
    }
    document.end.iter().try_for_each(|end| writer.line(&Line::End(end.clone()))).map_err(failed)?;
    Ok(path)
}

/// As of a run: bad where the tool found something bad, nothing where it measured nothing.
fn ending(entries: &[Entry]) -> Ending {
    if entries.iter().any(|entry| matches!(entry.outcome, Outcome::Failed | Outcome::Invalid)) {
        Ending::Bad
    } else if entries.iter().any(|entry| entry.outcome == Outcome::Measured) {
        Ending::Good
    } else {
        Ending::Nothing
    }
}
