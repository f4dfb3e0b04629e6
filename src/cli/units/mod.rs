//! `assay units`: what devices are worth.

mod appraise;
mod native;
mod validate;

use super::Ending;
use anyhow::Result;
use clap::{Args, Subcommand};

/// Says what devices are worth, in units of a class of work
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(
    after_help = "Examples:\n  assay units node.jsonl --price 6.75 --currency USD\n  assay units node.jsonl --class stream --allow-degraded\n  assay units validate results/validation/latency.csv\n  assay units calibrate mine.csv --json"
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    record: appraise::Arguments,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Says what devices do in tokens per second, requests at a time and days, each with its error
    Native(native::Arguments),
    /// Says what the serving model predicts of each row of a file of published figures, and how wrong it is
    Validate(validate::Arguments),
    /// Fits the constants of the serving model to measured times per output token, and says how well
    Calibrate(validate::Arguments),
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
