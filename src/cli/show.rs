//! `assay show`: a record for a person's eyes, or as one JSON document.

use super::Ending;
use crate::{
    console, record,
    report::{self, Paper},
};
use anyhow::Result;
use clap::Args;
use std::path::PathBuf;

/// Shows a record that `assay run` wrote
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  assay show run.jsonl\n  assay show run.jsonl --json | jq '.entries[].workload.id'")]
pub struct Arguments {
    /// Record to show
    file: PathBuf,
    /// Print one JSON document instead of a table
    #[arg(long)]
    json: bool,
    /// Only ASCII, whatever the terminal can show
    #[arg(long, conflicts_with = "json")]
    plain: bool,
}

/// # Errors
/// When the record cannot be read, saying why and what to do.
pub fn run(arguments: &Arguments) -> Result<Ending> {
    let document = record::read(&arguments.file)?;
    for warning in &document.warnings {
        console::tell(format_args!("assay: warning: {warning}"));
    }
    if arguments.json {
        console::print(report::json(&document)? + "\n")?;
    } else {
        let paper = if arguments.plain { Paper { unicode: false } } else { Paper::of_environment() };
        console::print_styled(report::sheet(&document, paper))?;
    }
    Ok(Ending::Good)
}
