//! `assay size`: from capacity, demand and prices to a commitment plan with its cost, its risk and what would change it.

mod input;

use super::Ending;
use crate::reserve::{self, Effort, Failure};
use anyhow::{Result, bail};
use clap::Args;
use std::{io::Write, path::PathBuf};

/// Sizes a reservation: what to order, on which terms, when
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
#[command(after_help = "Examples:
  assay size case.json --json | jq .plan

Exit codes: 0 a plan was found, 1 no plan meets every constraint, 2 bad input")]
pub struct Arguments {
    /// Sizing case (assay-sizing-case/1)
    file: PathBuf,
    /// Print one JSON document instead of a table
    #[arg(long)]
    json: bool,
}

/// # Errors
/// When the input cannot be read or is ill-formed, saying where.
pub fn run(arguments: &Arguments) -> Result<Ending> {
    let problem = input::problem(&arguments.file)?;
    let (answer, _) = match reserve::answer(&problem, Effort::default()) {
        Ok(answered) => answered,
        Err(Failure::Infeasible) => {
            bail!("{}: its limits leave no plan at all, not even that of no orders", arguments.file.display())
        }
        Err(failure) => return Err(failure.into()),
    };
    writeln!(std::io::stdout().lock(), "{}", serde_json::to_string_pretty(&answer)?)?;
    Ok(if answer.feasible { Ending::Good } else { Ending::Bad })
}
