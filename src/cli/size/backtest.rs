//! `assay size backtest`: what planning would have cost, had it been done month by month through a history.

use super::{Form, Progress, draw, input as read};
use crate::{
    cli::Ending,
    files, report,
    reserve::{self, input},
};
use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, ValueEnum};
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
    /// How each month's forecast is made; `auto` where months are few, too
    #[arg(long, value_enum, default_value_t)]
    forecast: Method,
    /// Also draw demand and commitments, as an SVG file in this folder
    #[arg(long, value_name = "FOLDER")]
    pictures: Option<PathBuf>,
    #[command(flatten)]
    form: Form,
}

/// How a forecast is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Method {
    /// Seasons where the history shows two of them, else exponential smoothing; the walk before there are 24 months
    #[default]
    Auto,
    /// Exponential smoothing of the logarithm
    Ets,
    /// Seasons apart, exponential smoothing of the rest
    Mstl,
    /// A random walk with a damped drift
    Walk,
}

/// # Errors
/// When the input cannot be read or is ill-formed, saying where.
pub fn run(arguments: &Arguments) -> Result<Ending> {
    let history = history(&arguments.history, arguments.column.as_deref())?;
    let case = read::given(&arguments.offers)?.case;
    let (before, horizon) = (usize::from(arguments.before), usize::from(arguments.horizon));
    if history.len() <= before {
        let has = history.len();
        bail!(
            "{} has {has} months; more than the {before} that are known beforehand (--before) are needed",
            arguments.history.display()
        );
    }
    let method = asked(arguments.forecast, &history[..before], &arguments.history)?;
    let replay = {
        let progress = Progress::new("months replayed", (history.len() - before) as u64, !arguments.form.no_progress);
        let foresight = |known: &[f64], months: usize| reserve::outlook(known, months, method);
        reserve::backtest(&case, &history, (before, horizon), &foresight, &|| progress.step())?
    };
    if let Some(folder) = &arguments.pictures {
        draw(folder, &[("backtest.svg", report::replayed(&replay))])?;
    }
    arguments.form.print(&report::replay(&replay, arguments.form.paper()), &replay)?;
    Ok(Ending::Good)
}

/// The model of the forecasts; refused where the first of them could not be made by it.
fn asked(wanted: Method, known: &[f64], history: &Path) -> Result<Option<input::Method>> {
    let (method, least) = match wanted {
        Method::Walk => return Ok(None),
        Method::Auto => return Ok(Some(input::Method::Auto)),
        Method::Ets => (input::Method::Ets, input::LEAST),
        Method::Mstl => (input::Method::Mstl, input::LEAST.max(2 * input::SEASON)),
    };
    if known.len() < least {
        bail!(
            "--forecast {}: it needs {least} months that are known beforehand; give --before {least}, or --forecast auto",
            name(wanted)
        );
    }
    if let Some(at) = known.iter().position(|demand| *demand <= 0.0) {
        bail!(
            "{}, line {}: no demand, which --forecast {} cannot go by; give --forecast walk",
            history.display(),
            at + 2,
            name(wanted)
        );
    }
    Ok(Some(method))
}

/// A month, by its number or of the calendar, as a number of which the next is due after it.
fn following(month: &str, due: Option<i64>) -> Result<i64, String> {
    let number = month.parse().ok().or_else(|| input::Date::parse(month).map(input::Date::index));
    match number {
        None => Err(format!("`{month}` is no month; write its number, or for example 2027-03")),
        Some(number) if due.is_some_and(|due| due != number) => {
            Err(format!("{month} is not the month after the one before; a history has every month once, in order"))
        }
        Some(number) => Ok(number + 1),
    }
}

fn name(method: Method) -> String {
    method.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

fn history(path: &Path, column: Option<&str>) -> Result<Vec<f64>> {
    let name = path.display();
    let text = files::text(path).with_context(|| format!("{name} cannot be read"))?;
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().with_context(|| format!("{name}, line 1"))?.clone();
    let at = match column {
        Some(wanted) => header.iter().position(|column| column.trim() == wanted).ok_or_else(|| {
            let columns: Vec<&str> = header.iter().collect();
            anyhow!("{name}, line 1: there is no column {wanted}; there are {}", columns.join(", "))
        })?,
        None => header.len().saturating_sub(1),
    };
    let months = header.iter().position(|column| column.trim() == "month");
    let (mut history, mut due) = (Vec::new(), None);
    for record in reader.records() {
        let record = record.map_err(|error| anyhow!("{name}: {error}"))?;
        let line = line(&text, &record);
        if let Some(month) = months.and_then(|at| record.get(at)) {
            due = Some(following(month.trim(), due).map_err(|why| anyhow!("{name}, line {line}: {why}"))?);
        }
        let demand = record.get(at).unwrap_or_default().trim();
        let cu = demand.parse::<f64>().ok().filter(|cu| cu.is_finite() && *cu >= 0.0);
        history.push(cu.ok_or_else(|| anyhow!("{name}, line {line}: `{demand}` is no demand in CU"))?);
    }
    Ok(history)
}

/// Where a row stands. The library's position lies before the blank lines that it passes over.
fn line(text: &str, record: &csv::StringRecord) -> usize {
    let begin = record.position().map_or(0, |position| position.byte() as usize);
    let blank = text[begin..].len() - text[begin..].trim_start_matches(['\r', '\n']).len();
    1 + text[..begin + blank].matches('\n').count()
}
