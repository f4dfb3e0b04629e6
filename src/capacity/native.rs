//! What a buyer asks for in its own units: tokens a second, requests at a time, the time to read a prompt, days of a training run.
//!
//! Each figure names what it was reckoned with: whose constants, from how many rows, and how far published figures lay from them.

use super::{
    Constants, Engine, FACTOR, Gpu, KEPT, MIXTURE, Model, Serving, TRAINING, TRAINING_FACTOR, TRTLLM, Weights, Wrong, engine,
    limit, named_engine, shipped,
};
use serde::Serialize;

/// How many requests there are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Load {
    /// Always one waiting.
    Saturated,
    /// So many at a time on each copy of the model.
    Batch(f64),
    /// As many as get each token within so many seconds.
    Target(f64),
}

/// A training run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Train {
    pub tokens: f64,
    /// Tokens of a sequence.
    pub length: f64,
}

/// What is asked of `gpus` GPUs.
#[derive(Clone, Debug, PartialEq)]
pub struct Demand {
    pub model: Model,
    pub weights: Weights,
    pub prompt: f64,
    pub answer: f64,
    pub gpus: f64,
    /// GPUs that split a copy of the model; the fewest that hold it where nothing is said.
    pub width: Option<f64>,
    pub engine: String,
    pub load: Load,
    pub train: Option<Train>,
}

/// A figure with its bounds, or a bound alone, or why there is neither.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    pub name: &'static str,
    pub unit: &'static str,
    pub value: Option<f64>,
    pub low: Option<f64>,
    pub high: Option<f64>,
    /// `at least` or `at most`, where the figure cannot be told but cannot be better.
    pub bound: Option<(&'static str, f64)>,
    pub reason: Option<String>,
    /// What it was multiplied by or reckoned with, where that comes from, and how far off that was elsewhere.
    pub by: String,
}

impl Figure {
    fn of(name: &'static str, unit: &'static str, value: f64, by: &str) -> Self {
        Self::between(name, unit, value, (value / FACTOR, value * FACTOR), by)
    }

    fn between(name: &'static str, unit: &'static str, value: f64, (low, high): (f64, f64), by: &str) -> Self {
        Self { name, unit, value: Some(value), low: Some(low), high: Some(high), bound: None, reason: None, by: by.to_owned() }
    }

    fn bounded(name: &'static str, unit: &'static str, bound: (&'static str, f64), reason: &str) -> Self {
        let by = "rates alone, nothing in the way".to_owned();
        Self { name, unit, value: None, low: None, high: None, bound: Some(bound), reason: Some(reason.to_owned()), by }
    }

    fn refused(name: &'static str, unit: &'static str, reason: String) -> Self {
        Self { name, unit, value: None, low: None, high: None, bound: None, reason: Some(reason), by: String::new() }
    }

    /// Counted by an engine's rule, of which no published figure says how far off it is.
    fn counted(name: &'static str, unit: &'static str, value: f64, by: &str) -> Self {
        Self { low: None, high: None, ..Self::of(name, unit, value, by) }
    }
}

/// What `gpus` GPUs do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Native {
    pub schema: &'static str,
    pub model: String,
    pub gpu: String,
    pub gpus: f64,
    /// Where the rates come from.
    pub rates: String,
    pub constants: Engine,
    /// GPUs that split a copy, and copies.
    pub width: f64,
    pub copies: f64,
    pub figures: Vec<Figure>,
}

/// # Errors
/// When the model does not fit, or cannot be run there at all.
pub fn native(demand: &Demand, gpu: &Gpu) -> Result<Native, Wrong> {
    let engines = shipped();
    let constants = engine(&engines, named_engine(&demand.engine)).clone();
    let serving = placed(demand, gpu)?;
    let copies = (demand.gpus / serving.width).floor();
    let mut figures = served(demand, &serving, &constants, copies);
    figures.extend(demand.train.iter().flat_map(|train| trained(demand, gpu, *train)));
    Ok(Native {
        schema: "assay.native/1",
        model: demand.model.name.clone(),
        gpu: gpu.name.clone(),
        gpus: demand.gpus,
        rates: gpu.source.clone(),
        constants,
        width: serving.width,
        copies,
        figures,
    })
}

/// The serving on the width that is asked for, or the least of 1, 2, 4, … that holds the model.
fn placed(demand: &Demand, gpu: &Gpu) -> Result<Serving, Wrong> {
    let engine = named_engine(&demand.engine);
    let on = |width: f64| Serving {
        model: demand.model.clone(),
        gpu: gpu.clone(),
        weights: demand.weights,
        engine,
        cache: demand.weights.cache_bytes(engine),
        width,
        prompt: demand.prompt,
        answer: demand.answer,
    };
    if let Some(width) = demand.width {
        if width > demand.gpus {
            return Err(Wrong(format!("--width {width}: there are {} GPUs", demand.gpus)));
        }
        return on(width).possible().map(|()| on(width));
    }
    let mut refused = on(1.0).possible();
    let mut width = 1.0;
    while refused.is_err() && 2.0 * width <= demand.gpus {
        width *= 2.0;
        refused = on(width).possible();
    }
    refused.map(|()| on(width))
}

fn served(demand: &Demand, serving: &Serving, by: &Engine, copies: f64) -> Vec<Figure> {
    let most = serving.most().min(limit(&by.engine)).floor();
    let mixture = serving.model.mixture();
    let constants = if mixture { Constants::LEAST } else { by.constants };
    let asked = match demand.load {
        Load::Saturated => most,
        Load::Batch(batch) => batch,
        Load::Target(target) => serving.concurrency(&constants, target, limit(&by.engine)),
    };
    let batch = asked.min(most);
    let mut figures = vec![Figure::counted("most requests at a time", "request", copies * most, &serving.rule())];
    let wait = Figure::bounded(
        "time to first token",
        "ms",
        ("at least", 1e3 * serving.least_read()),
        "how requests arrive decides; test under load",
    );
    let within = match demand.load {
        Load::Target(target) => Some(Within::of(serving, &constants, target, by)),
        _ => None,
    };
    let told = origin(by) + &beside(demand, by, asked, most);
    if within.is_some() {
        let name = "requests within the target";
        figures.push(if mixture {
            Figure::bounded(name, "request", ("at most", copies * batch), MIXTURE)
        } else {
            let bounds = within.map_or((batch, batch), |within| within.requests);
            Figure::between(name, "request", copies * batch, (copies * bounds.0, copies * bounds.1), &told)
        });
    }
    if batch < 1.0 {
        let reason = "not even one request at a time meets the target".to_owned();
        figures.extend([Figure::refused("output tokens", "token/s", reason), wait]);
        return figures;
    }
    // No more are admitted than the engine's own limit, whether or not they fit.
    let each = 1e3 * serving.per_token(&constants, asked.min(limit(&by.engine)));
    let all = copies * serving.tokens(&constants, batch);
    let read = 1e3 * serving.read(&constants);
    figures.extend(if mixture {
        let reason = MIXTURE.to_owned() + &beside(demand, by, asked, most);
        vec![
            Figure::bounded("time per output token", "ms", ("at least", each), &reason),
            Figure::bounded("output tokens", "token/s", ("at most", all), &reason),
            Figure::bounded("prompt read", "ms", ("at least", read), MIXTURE),
        ]
    } else {
        let bounds = within.map_or((all / FACTOR, all * FACTOR), |Within { tokens, .. }| (copies * tokens.0, copies * tokens.1));
        vec![
            Figure::of("time per output token", "ms", each, &told),
            Figure::between("output tokens", "token/s", all, bounds, &told),
            Figure::of("prompt read", "ms", read, &format!("prefill {:.2} of the roofline; {}", constants.prefill, origin(by))),
        ]
    });
    figures.push(wait);
    figures
}

/// What meets a target on a copy when the time per output token is as far off as published ones lay: few requests where it is longer,
/// many where it is shorter. That error times the requests would not do, for near the target a little time is many of them.
#[derive(Clone, Copy)]
struct Within {
    requests: (f64, f64),
    tokens: (f64, f64),
}

impl Within {
    fn of(serving: &Serving, constants: &Constants, target: f64, by: &Engine) -> Self {
        let at = |factor: f64| serving.concurrency(constants, target * factor, limit(&by.engine));
        let tokens = |requests: f64| if requests < 1.0 { 0.0 } else { serving.tokens(constants, requests) };
        let (few, many) = (at(1.0 / FACTOR), at(FACTOR));
        Self { requests: (few, many), tokens: (tokens(few) / FACTOR, tokens(many) * FACTOR) }
    }
}

/// What else is to be known of a figure: requests that wait, and an engine of which no saturated figure was seen.
fn beside(demand: &Demand, by: &Engine, asked: f64, most: f64) -> String {
    match demand.load {
        Load::Batch(_) if asked > most => {
            format!("; of {asked} requests at a time {most} fit each copy, the others wait or are put off and add no tokens")
        }
        Load::Saturated if by.engine != TRTLLM => "; no saturated throughput of this engine was held against it".to_owned(),
        _ => String::new(),
    }
}

/// Where constants come from, and how far published figures lay from them.
fn origin(by: &Engine) -> String {
    let Engine { engine, rows, fitted, .. } = by;
    let error = |of: &Record| format!("{:.1} %, {:.1} % of a model and GPU not fitted", 100.0 * of.mean, 100.0 * of.left_out);
    let held = record();
    let unseen = if engine == super::ANY { "; no row of this very engine was seen" } else { "" };
    format!("constants of {engine}, {rows} published rows, fitted {fitted}; mean error {}{unseen}", error(&held))
}

fn trained(demand: &Demand, gpu: &Gpu, train: Train) -> Vec<Figure> {
    const NAMES: [(&str, &str); 2] = [("training run", "day"), ("training run", "GPU-h")];
    let rate = demand.weights.native(gpu);
    let refused = |reason: &str| NAMES.map(|(name, unit)| Figure::refused(name, unit, reason.to_owned())).to_vec();
    if demand.model.mixture() {
        return refused("training of a mixture of experts is outside the model: published runs reach 0.06 to 0.15 of the rate");
    }
    if rate <= 0.0 {
        return refused(&format!("no-dtype: {} has no such matmul", gpu.name));
    }
    let hours = train.tokens / (KEPT * demand.model.training_rate(rate, train.length)) / 3600.0;
    let by = format!(
        "{TRAINING} of the matmul rate, of 9 published dense recipes (standard deviation of ln 0.07, mean error 9 %); {KEPT} of the \
         time kept through faults (arXiv 2407.21783); all 18 published rows of training, of tuned recipes, lie within x \
         {TRAINING_FACTOR}, the furthest 1.33 times as fast"
    );
    let figure = |(name, unit): (&'static str, &'static str), value: f64| {
        Figure::between(name, unit, value, (value / TRAINING_FACTOR, value * TRAINING_FACTOR), &by)
    };
    let [days, all] = NAMES;
    vec![figure(days, hours / demand.gpus / 24.0), figure(all, hours)]
}

/// How far the fitted rows lay from the shipped constants; a test holds it to what a fit gives anew.
struct Record {
    mean: f64,
    left_out: f64,
}

fn record() -> Record {
    Record { mean: 0.078, left_out: 0.094 }
}

#[cfg(test)]
#[path = "native_tests.rs"]
mod tests;
