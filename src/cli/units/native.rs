//! `assay units native`: what devices do in a buyer's own units.

use crate::{
    capacity::{self, Demand, Gpu, Load, Model, Origin, Rates, Train, Weights},
    console,
    record::{self, Kind},
    report::{self, Paper},
};
use anyhow::{Context, Result, bail};
use clap::Args;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Says what devices do in tokens per second, requests at a time and days, each with its error
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  assay units native --gpu h200_sxm --gpus 8 --width 4 --model llama-3-70b --dtype fp8 --tpot 20ms\n  assay units native node.jsonl --model llama-3-8b --input 1024 --output 256 --batch 64\n  assay units native --rates mine.json --model qwen3-32b --dtype fp8\n  assay units native --gpu b200_sxm --gpus 1024 --width 8 --model llama-3-405b --train-tokens 15.6e12"
)]
pub struct Arguments {
    /// Record of `assay run`, whose first GPU's rates are taken
    #[arg(conflicts_with_all = ["gpu", "rates"])]
    record: Option<PathBuf>,
    /// Published rates of this GPU instead
    #[arg(long, value_name = "NAME", required_unless_present_any = ["record", "rates"])]
    gpu: Option<String>,
    /// Rates by key as JSON instead, what `assay units --json` printed, or `published:h100`
    #[arg(long, value_name = "FILE|published:NAME", conflicts_with = "gpu")]
    rates: Option<String>,
    /// GPUs
    #[arg(long, default_value = "1", value_parser = count)]
    gpus: f64,
    /// Model, for example llama-3-70b
    #[arg(long, value_name = "NAME")]
    model: String,
    /// Format of the weights: bf16, fp8 or fp4
    #[arg(long, default_value = "bf16")]
    dtype: String,
    /// Tokens of a prompt
    #[arg(long, default_value = "1024", value_parser = count)]
    input: f64,
    /// Tokens of an answer
    #[arg(long, default_value = "256", value_parser = count)]
    output: f64,
    /// GPUs that split a copy of the model; else the fewest that hold it
    #[arg(long, value_parser = count)]
    width: Option<f64>,
    /// Engine whose constants are used: trtllm, vllm, or any other
    #[arg(long, default_value = "any")]
    engine: String,
    /// Requests at a time on each copy
    #[arg(long, value_parser = count, conflicts_with = "tpot")]
    batch: Option<f64>,
    /// As many requests as get each token within this time, for example 20ms
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = seconds)]
    tpot: Option<f64>,
    /// Tokens of a training run
    #[arg(long, value_name = "N", value_parser = tokens)]
    train_tokens: Option<f64>,
    /// Tokens of a sequence of the training run
    #[arg(long, default_value = "8192", value_parser = count, requires = "train_tokens")]
    length: f64,
    /// Print one JSON document instead of a table
    #[arg(long)]
    json: bool,
}

fn count(text: &str) -> Result<f64, String> {
    whole(text, 1e9)
}

/// The largest training runs take some 1e14 tokens.
fn tokens(text: &str) -> Result<f64, String> {
    whole(text, 1e18)
}

fn whole(text: &str, most: f64) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| (1.0..=most).contains(number) && number.fract() == 0.0);
    number.ok_or_else(|| format!("`{text}` is no count; write a whole number from 1 to {most:e}"))
}

fn seconds(text: &str) -> Result<f64, String> {
    let unit = |(suffix, seconds): (&str, f64)| Some(text.strip_suffix(suffix)?.trim().parse::<f64>().ok()? * seconds);
    let found = [("ms", 1e-3), ("us", 1e-6), ("s", 1.0)].into_iter().find_map(unit);
    found.filter(|time| *time > 0.0 && time.is_finite()).ok_or_else(|| format!("`{text}` is no time; write for example 20ms"))
}

/// # Errors
/// When the record, the GPU, the model or the format is not known, or the model does not fit.
pub fn run(arguments: &Arguments) -> Result<super::Ending> {
    let gpu = match (&arguments.record, &arguments.gpu, &arguments.rates) {
        (Some(path), ..) => measured(path)?,
        (_, Some(name), _) => Gpu { source: published(&Gpu::named(name)?.source), ..Gpu::named(name)?.clone() },
        (.., Some(name)) => given(name)?,
        (None, None, None) => bail!("which GPU? give a record of `assay run`, --rates, or --gpu h100_sxm"),
    };
    let demand = Demand {
        model: Model::named(&arguments.model)?.clone(),
        weights: Weights::named(&arguments.dtype)?,
        prompt: arguments.input,
        answer: arguments.output,
        gpus: arguments.gpus,
        width: arguments.width,
        engine: arguments.engine.clone(),
        load: arguments.tpot.map(Load::Target).or(arguments.batch.map(Load::Batch)).unwrap_or(Load::Saturated),
        train: arguments.train_tokens.map(|tokens| Train { tokens, length: arguments.length }),
    };
    let found = capacity::native(&demand, &gpu)?;
    if arguments.json {
        console::print_json(&found)?;
    } else {
        console::print_styled(report::native(&found, Paper::of_environment()))?;
    }
    let told = found.figures.iter().any(|figure| figure.value.is_some());
    Ok(if told { super::Ending::Good } else { super::Ending::Nothing })
}

fn published(source: &str) -> String {
    format!("published, {source}")
}

/// What would withhold a unit by these rates, said beside the figures: a part of a card, a disturbance.
fn doubts(rates: &Rates) -> String {
    let used = ["mm.bf16", "mm.fp8", "mm.fp4", "hbm.read", "link.ar_bw"];
    let mut reasons: Vec<&str> =
        used.iter().filter_map(|key| rates.measured.get(*key)).flat_map(|rate| &rate.invalid).map(String::as_str).collect();
    reasons.sort_unstable();
    reasons.dedup();
    if reasons.is_empty() { String::new() } else { format!("; {}", reasons.join("; ")) }
}

/// The first GPU of a vector of rates.
fn given(name: &str) -> Result<Gpu> {
    let vectors = super::vectors(name)?;
    let serves = |backend: &str| !["cpu", "wgpu"].contains(&backend);
    let Some((subject, origin, rates)) = vectors.devices.iter().find(|(subject, ..)| serves(&subject.backend)) else {
        bail!("{name}: no GPU of CUDA is in it, and rates of others stand for portable classes alone");
    };
    let gpu = Gpu::of_rates(&subject.device, &rates.typical()).with_context(|| name.to_owned())?;
    let source = match origin {
        Origin::Published => {
            let mut from: Vec<&str> =
                ["mm.bf16", "hbm.read"].iter().filter_map(|key| rates.measured.get(*key)).map(|rate| &*rate.from).collect();
            from.dedup();
            published(&from.join("; "))
        }
        Origin::Measured => format!("measured, {} {} of {name}{}", subject.device, subject.model, doubts(rates)),
        Origin::Given => vectors.of.clone(),
    };
    Ok(Gpu { source, ..gpu })
}

/// The first GPU of a record by its own typical rates.
fn measured(path: &Path) -> Result<Gpu> {
    let document = record::read(path)?;
    let devices: BTreeMap<&str, _> = document.entries.iter().map(|entry| (&*entry.device.id, &entry.device)).collect();
    let Some(device) = devices.into_values().find(|device| device.kind == Kind::Gpu && device.backend == "cuda") else {
        bail!("{}: no GPU of CUDA is in it, and rates of others stand for portable classes alone", path.display());
    };
    let rates = capacity::rates(&document, device, false);
    let gpu = Gpu::of_rates(&device.model, &rates.typical()).with_context(|| path.display().to_string())?;
    Ok(Gpu { source: format!("measured, {} of {}{}", device.id, path.display(), doubts(&rates)), ..gpu })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_counts_need_their_units_and_be_whole() {
        assert_eq!([seconds("20ms"), seconds("0.5 s"), seconds("300us")], [Ok(0.02), Ok(0.5), Ok(300e-6)]);
        assert!(["20", "-1ms", "nan s", "0ms", "ms"].iter().all(|text| seconds(text).is_err()));
        assert_eq!(tokens("15.6e12"), Ok(15.6e12));
        assert!(["0", "-3", "1.5", "NaN", "inf"].iter().all(|text| count(text).is_err()));
    }
}
