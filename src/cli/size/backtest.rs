//! `assay size backtest`: what planning would have cost, had it been done month by month through a history.

use super::{Form, Progress, draw, input};
use crate::{cli::Ending, report, reserve};
use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use std::path::{Path, PathBuf};

/// Replays a history of demand month by month with what was known then, against simple rules
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  assay size backtest history.csv --offers case.json
  assay size backtest history.csv --offers case.json --column cu --before 24 --horizon 36 --json

The history has a header and a line a month; the case gives types, options, penalty and floor, and its prices are those of the
first month that is replayed. Exit codes: 0 replayed, 2 bad input")]
pub struct Arguments {
    /// Demand in CU by month, as CSV
    history: PathBuf,
    /// Case whose types, options and constraints are used
    #[arg(long, value_name = "CASE")]
    offers: PathBuf,
    /// Column of the demand; the last, when absent
    #[arg(long)]
    column: Option<String>,
    /// Months that are known before the first decision
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u16).range(3..=600))]
    before: u16,
    /// Months that each plan looks ahead
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u16).range(1..=240))]
    horizon: u16,
    /// Also draw demand and commitments, as an SVG file in this folder
    #[arg(long, value_name = "FOLDER")]
    pictures: Option<PathBuf>,
    #[command(flatten)]
    form: Form,
}

/// # Errors
/// When the input cannot be read or is ill-formed, saying where.
pub fn run(arguments: &Arguments) -> Result<Ending> {
    let history = history(&arguments.history, arguments.column.as_deref())?;
    let case = input::given(&arguments.offers)?.case;
    let (before, horizon) = (usize::from(arguments.before), usize::from(arguments.horizon));
    if history.len() <= before {
        let has = history.len();
        bail!(
            "{} has {has} months; more than the {before} that are known beforehand (--before) are needed",
            arguments.history.display()
        );
    }
    let replay = {
        let progress = Progress::new("months replayed", (history.len() - before) as u64, !arguments.form.no_progress);
        reserve::backtest(&case, &history, (before, horizon), &reserve::damped_walk, &|| progress.step())?
    };
    if let Some(folder) = &arguments.pictures {
        draw(folder, &[("backtest.svg", report::replayed(&replay))])?;
    }
    arguments.form.print(&report::replay(&replay, arguments.form.paper()), &replay)?;
    Ok(Ending::Good)
}

fn history(path: &Path, column: Option<&str>) -> Result<Vec<f64>> {
    let name = path.display();
    let mut reader = csv::Reader::from_path(path).with_context(|| format!("{name} cannot be read"))?;
    let header = reader.headers().with_context(|| format!("{name}, line 1"))?.clone();
    let at = match column {
        Some(wanted) => header.iter().position(|column| column.trim() == wanted).ok_or_else(|| {
            let columns: Vec<&str> = header.iter().collect();
            anyhow!("{name}, line 1: there is no column {wanted}; there are {}", columns.join(", "))
        })?,
        None => header.len().saturating_sub(1),
    };
    let mut history = Vec::new();
    for (row, record) in reader.records().enumerate() {
        let line = row + 2;
        let record = record.map_err(|error| anyhow!("{name}, line {line}: {error}"))?;
        let text = record.get(at).unwrap_or_default().trim();
        let cu = text.parse::<f64>().ok().filter(|cu| cu.is_finite() && *cu >= 0.0);
        history.push(cu.ok_or_else(|| anyhow!("{name}, line {line}: `{text}` is no demand in CU"))?);
    }
    Ok(history)
}
