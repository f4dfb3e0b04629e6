//! `assay units validate` and `calibrate`: the serving model beside published or own figures.

use crate::{
    capacity::{self, Answer},
    console,
    report::{self, Paper},
};
use anyhow::Result;
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

/// Says what the model predicts of each row of a file of published figures, and how wrong it is
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  assay units validate published.csv
  assay units validate published.csv --json
  assay units calibrate own.csv

Exit codes: 0 answered, 2 bad input, 3 no row could be answered")]
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
    let groups = capacity::summary(&answers, &pairs);
    if arguments.json {
        let document = json!({ "rows": answers, "pairs": pairs, "errors": groups, "constants": engines });
        console::print_json(&document)?;
    } else {
        console::print_styled(report::validation(&answers, &groups, Paper::of_environment()))?;
    }
    let answered = answers.iter().any(|answer| answer.predicted.is_some());
    Ok(if answered { super::Ending::Good } else { super::Ending::Nothing })
}

/// # Errors
/// When the file is not what it should be, or has too few usable rows.
pub fn calibrate(arguments: &Arguments) -> Result<super::Ending> {
    let now = super::now();
    let day = now.split('T').next().unwrap_or_default();
    let calibration = capacity::calibrate(&capacity::rows(&arguments.file)?, day)?;
    if arguments.json {
        console::print_json(&calibration)?;
    } else {
        console::print_styled(report::calibration(&calibration, Paper::of_environment()))?;
    }
    Ok(super::Ending::Good)
}
