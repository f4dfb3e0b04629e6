//! `assay units`: what devices are worth.

mod appraise;
mod native;
mod validate;

use super::{Ending, document, now, own_text};
use crate::capacity::{self, Vectors};
use anyhow::Result;
use clap::{Args, Subcommand};
use std::path::Path;

/// Says what devices are worth, in units of a class of work
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "Examples:
  assay units node.jsonl --price 6.75 --currency USD
  assay units node.jsonl --class stream --allow-degraded
  assay units --rates published:h200 --rates published:b200 --typical
  assay units node.jsonl --classes mine.toml --mix mine=0.7,train-bf16=0.3
  assay units node.jsonl --class serve-chat --export slurm
  assay units native --rates published:h200 --model llama-3-8b --tpot 20ms
  assay units validate results/validation/latency.csv
  assay units calibrate mine.csv --json")]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    record: appraise::Arguments,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Says what devices do in tokens per second, requests at a time and days, each with its error
    Native(Box<native::Arguments>),
    /// Says what the serving model predicts of each row of a file of published figures, and how wrong it is
    Validate(validate::Arguments),
    /// Fits the constants of the serving model to measured times per output token, and says how well
    Calibrate(validate::Arguments),
}

/// Vectors of rates by what --rates was given.
fn vectors(name: &str) -> Result<Vectors> {
    match name.strip_prefix(capacity::PUBLISHED) {
        Some(published) => Ok(capacity::published(published)?),
        None => Ok(capacity::given(&own_text(Path::new(name))?, name)?),
    }
}

/// # Errors
/// When an input is not what it should be.
pub fn run(arguments: &Arguments) -> Result<Ending> {
    match &arguments.command {
        Some(Command::Native(arguments)) => native::run(arguments),
        Some(Command::Validate(arguments)) => validate::validate(arguments),
        Some(Command::Calibrate(arguments)) => validate::calibrate(arguments),
        None => appraise::run(&arguments.record),
    }
}
