//! `assay units RECORD`: what the devices of a record are worth.

use crate::{
    capacity::{self, Question},
    record,
    report::{self, Paper},
};
use anyhow::{Context, Result, bail};
use clap::Args;
use std::{io::Write, path::PathBuf};

#[derive(Debug, Args)]
pub struct Arguments {
    /// Record of `assay run`
    record: Option<PathBuf>,
    /// Print one JSON document instead of a table; it holds the rates, so that units can be had anew
    #[arg(long)]
    json: bool,
    /// Only this class of work; may be given again
    #[arg(long, value_name = "NAME")]
    class: Vec<String>,
    /// Price of a device for an hour, to show what a firm unit costs
    #[arg(long, requires = "currency", value_parser = price, allow_negative_numbers = true)]
    price: Option<f64>,
    /// Currency of the price, for example USD
    #[arg(long, requires = "price", value_parser = currency)]
    currency: Option<String>,
    /// Print figures that are withheld, too, beside the reason
    #[arg(long)]
    allow_degraded: bool,
    /// Only ASCII, whatever the terminal can show
    #[arg(long, conflicts_with = "json")]
    plain: bool,
}

fn price(text: &str) -> Result<f64, String> {
    let price = text.parse::<f64>().ok().filter(|price| *price > 0.0 && price.is_finite());
    price.ok_or_else(|| format!("`{text}` is no price; write for example 6.75"))
}

fn currency(text: &str) -> Result<String, String> {
    let code = text.len() == 3 && text.chars().all(|c| c.is_ascii_uppercase());
    if code { Ok(text.to_owned()) } else { Err(format!("`{text}` is no currency; write three letters, for example USD")) }
}

/// # Errors
/// When the record cannot be read, is worth no units, or a class is not known.
pub fn run(arguments: &Arguments) -> Result<super::Ending> {
    let Some(path) = &arguments.record else {
        bail!("which record? `assay run -o node.jsonl` writes one, and `assay units node.jsonl` values it");
    };
    let definition = capacity::definition();
    let classes = arguments.class.iter().map(|name| definition.class(name)).collect::<Result<Vec<_>, _>>()?;
    let document = record::read(path)?;
    let question = Question { classes, degraded: arguments.allow_degraded, price: arguments.price };
    let appraisal = capacity::appraise(&document, &question).with_context(|| path.display().to_string())?;
    for warning in &document.warnings {
        eprintln!("assay: warning: {warning}");
    }
    if arguments.json {
        let mut value = serde_json::to_value(&appraisal)?;
        value["currency"] = arguments.currency.as_deref().into();
        writeln!(std::io::stdout().lock(), "{}", serde_json::to_string_pretty(&value)?)?;
    } else {
        let paper = if arguments.plain { Paper { unicode: false } } else { Paper::of_environment() };
        write!(anstream::stdout().lock(), "{}", report::units(&appraisal, arguments.currency.as_deref(), paper))?;
    }
    let valued = appraisal.devices.iter().flat_map(|device| &device.units).any(|unit| unit.typical.value.is_some());
    Ok(if valued { super::Ending::Good } else { super::Ending::Nothing })
}
