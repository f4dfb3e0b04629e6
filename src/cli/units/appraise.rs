//! `assay units`: what the devices of records, or vectors of rates, are worth.

use crate::{
    capacity::{self, Appraisal, Class, Question, Wrong},
    console,
    record::Document,
    report::{self, Export, Paper, Shown, Statistic},
};
use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

// Else it is a group of the same name as that of the command that it is part of.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Arguments {
    /// Records of `assay run`
    records: Vec<PathBuf>,
    /// Rates by key as JSON, what --json printed before, or `published:h100`: best figures that others published; may be given again
    #[arg(long, value_name = "FILE|published:NAME")]
    rates: Vec<String>,
    /// Classes of your own, in TOML, beside those that are shipped
    #[arg(long, value_name = "FILE")]
    classes: Option<PathBuf>,
    /// Only this class of work; may be given again
    #[arg(long, value_name = "NAME")]
    class: Vec<String>,
    /// Also a mix of classes, by shares of the reference's time that sum to 1: train-bf16=0.6,serve-chat=0.4
    #[arg(long, value_name = "CLASS=SHARE,…")]
    mix: Option<String>,
    /// Only what is typical
    #[arg(long, conflicts_with = "firm")]
    typical: bool,
    /// Only what is firm
    #[arg(long)]
    firm: bool,
    /// Price of a device for an hour, to show what a firm unit costs
    #[arg(long, requires = "currency", value_parser = price, allow_negative_numbers = true)]
    price: Option<f64>,
    /// Currency of the price, for example USD
    #[arg(long, requires = "price", value_parser = currency)]
    currency: Option<String>,
    /// Print figures that are withheld, too, beside the reason
    #[arg(long)]
    allow_degraded: bool,
    /// Print one JSON document instead of a table; it holds the rates, so that units can be had anew
    #[arg(long)]
    json: bool,
    /// Print what a scheduler or a cost tool takes: firm units, or with --typical those
    #[arg(long, value_enum, value_name = "FORM", conflicts_with_all = ["json", "plain"])]
    export: Option<Form>,
    /// Only ASCII, whatever the terminal can show
    #[arg(long, conflicts_with = "json")]
    plain: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// TRESBillingWeights for slurm.conf
    Slurm,
    /// A ResourceFlavor a model, and a ClusterQueue with quotas
    Kueue,
    /// A custom cost of an hour; needs --price
    Opencost,
    /// Prometheus' text format
    Prometheus,
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
/// When a record or a file cannot be read, is worth no units, or a class is not known.
pub fn run(arguments: &Arguments) -> Result<super::Ending> {
    if arguments.records.is_empty() && arguments.rates.is_empty() {
        bail!(
            "which record? `assay run -o node.jsonl` writes one, and `assay units node.jsonl` values it; \
             `assay units --rates published:h100` values what others published"
        );
    }
    let known = known(arguments.classes.as_deref())?;
    let classes = arguments.class.iter().map(|name| capacity::named(&known, name)).collect::<Result<Vec<_>, _>>()?;
    let mix = arguments.mix.as_deref().map(|text| mix(text, &known)).transpose()?.unwrap_or_default();
    let everything = classes.is_empty() && mix.is_empty();
    let classes = if everything { known.iter().collect() } else { classes };
    let question = Question { classes, mix, degraded: arguments.allow_degraded, price: arguments.price };
    let documents = arguments.records.iter().map(|path| super::document(path)).collect::<Result<Vec<_>>>()?;
    let vectors = arguments.rates.iter().map(|name| super::vectors(name)).collect::<Result<Vec<_>>>()?;
    let mut all = Vec::new();
    for (path, document) in arguments.records.iter().zip(&documents) {
        all.push(capacity::appraise(document, &question).with_context(|| path.display().to_string())?);
    }
    all.extend(vectors.iter().map(|vectors| capacity::appraise_rates(vectors, &question)));
    if let Some(form) = arguments.export {
        return export(arguments, form, &all, documents.first());
    }
    print(arguments, &all)?;
    let units = || all.iter().flat_map(|one| &one.devices).flat_map(|device| &device.units);
    let valued = units().any(|unit| unit.typical.value.is_some() || unit.firm.value.is_some());
    Ok(if valued { super::Ending::Good } else { super::Ending::Nothing })
}

/// The classes that are shipped, and a person's own.
fn known(path: Option<&Path>) -> Result<Vec<Class>> {
    let Some(path) = path else { return Ok(capacity::definition().classes.clone()) };
    let beside = |name: &Path| {
        let file = path.parent().unwrap_or(Path::new("")).join(name);
        super::own_text(&file).map_err(|error| Wrong(format!("{error:#}")))
    };
    capacity::own_classes(&super::own_text(path)?, beside).with_context(|| path.display().to_string())
}

/// Classes with shares that sum to 1.
fn mix<'a>(text: &str, known: &'a [Class]) -> Result<Vec<(&'a Class, f64)>> {
    let mut mix: Vec<(&Class, f64)> = Vec::new();
    for part in text.split(',') {
        let (name, share) = part.split_once('=').with_context(|| format!("--mix: `{part}` is no CLASS=SHARE"))?;
        let share: f64 = share.trim().parse().ok().filter(|share| *share > 0.0 && *share <= 1.0).with_context(|| {
            format!("--mix: `{}` is no share of {}; shares are above 0 and sum to 1", share.trim(), name.trim())
        })?;
        let class = capacity::named(known, name.trim())?;
        if mix.iter().any(|(other, _)| other.name == class.name) {
            bail!("--mix: {} is in it twice", class.name);
        }
        mix.push((class, share));
    }
    let sum: f64 = mix.iter().map(|(_, share)| share).sum();
    if (sum - 1.0).abs() > 1e-6 {
        bail!("--mix: the shares sum to {sum}, not to 1");
    }
    Ok(mix)
}

fn print(arguments: &Arguments, all: &[Appraisal]) -> Result<()> {
    let currency = arguments.currency.as_deref();
    if arguments.json {
        let mut value = match all {
            [one] => serde_json::to_value(one)?,
            several => json!({ "schema": "assay.units/1", "runs": several }),
        };
        value["currency"] = currency.map_or(Value::Null, Into::into);
        return console::print_json(&value);
    }
    let shown = match (arguments.typical, arguments.firm) {
        (true, _) => Shown::Typical,
        (_, true) => Shown::Firm,
        _ => Shown::Both,
    };
    let paper = if arguments.plain { Paper { unicode: false } } else { Paper::of_environment() };
    let texts: Vec<String> = all.iter().map(|one| report::units(one, currency, shown, paper)).collect();
    console::print_styled(texts.join("\n"))
}

/// One form of everything: devices of records with those of records, and nothing published among them.
fn export(arguments: &Arguments, form: Form, all: &[Appraisal], document: Option<&Document>) -> Result<super::Ending> {
    let Some((first, rest)) = all.split_first() else { return Ok(super::Ending::Nothing) };
    if !arguments.records.is_empty() && !arguments.rates.is_empty() || rest.iter().any(|other| other.of != first.of) {
        bail!("--export: figures of different origin are not handed on as one; export each by itself");
    }
    let mut whole = first.clone();
    whole.devices.extend(rest.iter().flat_map(|other| other.devices.clone()));
    let statistic = if arguments.typical { Statistic::Typical } else { Statistic::Firm };
    let form = match form {
        Form::Slurm => Export::Slurm,
        Form::Kueue => Export::Kueue,
        Form::Opencost => Export::OpenCost,
        Form::Prometheus => Export::Prometheus,
    };
    let price = arguments.price.zip(arguments.currency.as_deref());
    if form == Export::OpenCost && price.is_none() {
        bail!("--export opencost: a cost needs --price and --currency");
    }
    let at = document.map_or_else(super::now, |document| document.header.started_at.clone());
    let hour = [at.as_str(), &an_hour_later(&at)?];
    match report::export(&whole, form, statistic, price, hour) {
        Ok(text) => {
            console::print(text)?;
            Ok(super::Ending::Good)
        }
        Err(why) if why.starts_with("which class") => bail!("--export: {why}"),
        Err(why) => {
            console::tell(format_args!(
                "assay: nothing to export: {why}. --allow-degraded hands it on all the same, with the reason"
            ));
            Ok(super::Ending::Nothing)
        }
    }
}

fn an_hour_later(at: &str) -> Result<String> {
    let at: jiff::Timestamp = at.parse().with_context(|| format!("`{at}` is no time"))?;
    Ok((at + jiff::SignedDuration::from_hours(1)).to_string())
}
