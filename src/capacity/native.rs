//! What a buyer asks for in its own units: tokens a second, requests at a time, the time to read a prompt, days of a training run.
//!
//! Each figure names what it was reckoned with: whose constants, from how many rows, and how far published figures lay from them.

use super::{
    Constants, Engine, FACTOR, Gpu, KEPT, MIXTURE, Model, Serving, TRAINING, TRTLLM, Weights, Wrong, engine, limit, named_engine,
    shipped,
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
        let (low, high) = (Some(value / FACTOR), Some(value * FACTOR));
        Self { name, unit, value: Some(value), low, high, bound: None, reason: None, by: by.to_owned() }
    }

    fn bounded(name: &'static str, unit: &'static str, bound: (&'static str, f64), reason: &str) -> Self {
        let by = "rates alone, nothing in the way".to_owned();
        Self { name, unit, value: None, low: None, high: None, bound: Some(bound), reason: Some(reason.to_owned()), by }
    }

    fn refused(name: &'static str, unit: &'static str, reason: String) -> Self {
        Self { name, unit, value: None, low: None, high: None, bound: None, reason: Some(reason), by: String::new() }
    }

    /// Exact by the sizes, so that it has no bounds.
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
        reserves: engine == TRTLLM,
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
    let batch = match demand.load {
        Load::Saturated => most,
        Load::Batch(batch) => batch,
        Load::Target(target) => serving.concurrency(&constants, target, limit(&by.engine)),
    };
    let fits =
        Figure::counted("most requests at a time", "request", copies * most, "memory: weights, and a cache for whole answers");
    let wait = Figure::bounded(
        "time to first token",
        "ms",
        ("at least", 1e3 * serving.least_read()),
        "how requests arrive decides; test under load",
    );
    if batch < 1.0 {
        let reason = "not even one request at a time meets the target".to_owned();
        return vec![fits, Figure::refused("output tokens", "token/s", reason), wait];
    }
    let (each, all) = (1e3 * serving.per_token(&constants, batch), copies * serving.tokens(&constants, batch));
    let read = 1e3 * serving.read(&constants);
    let mut figures = vec![fits];
    if let Load::Target(_) = demand.load {
        let name = "requests within the target";
        let at = copies * batch;
        figures.push(if mixture {
            Figure::bounded(name, "request", ("at most", at), MIXTURE)
        } else {
            Figure::of(name, "request", at, &origin(by))
        });
    }
    figures.extend(if mixture {
        vec![
            Figure::bounded("time per output token", "ms", ("at least", each), MIXTURE),
            Figure::bounded("output tokens", "token/s", ("at most", all), MIXTURE),
            Figure::bounded("prompt read", "ms", ("at least", read), MIXTURE),
        ]
    } else {
        vec![
            Figure::of("time per output token", "ms", each, &origin(by)),
            Figure::of("output tokens", "token/s", all, &origin(by)),
            Figure::of("prompt read", "ms", read, &format!("prefill {:.2} of the roofline; {}", constants.prefill, origin(by))),
        ]
    });
    figures.push(wait);
    figures
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
    let hours = train.tokens * demand.model.training_flops(train.length) / (rate * TRAINING * KEPT) / 3600.0;
    let by = format!(
        "{TRAINING} of the matmul rate, of 9 published dense recipes (standard deviation of ln 0.07, mean error 9 %); {KEPT} of the \
         time kept through faults (arXiv 2407.21783)"
    );
    let [days, all] = NAMES;
    vec![Figure::of(days.0, days.1, hours / demand.gpus / 24.0, &by), Figure::of(all.0, all.1, hours, &by)]
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
mod tests {
    use super::*;
    use crate::capacity::{calibrate, rows};
    use std::path::Path;

    fn demand(model: &str) -> Demand {
        Demand {
            model: Model::named(model).expect("known").clone(),
            weights: Weights::Fp8,
            prompt: 1024.0,
            answer: 256.0,
            gpus: 8.0,
            width: None,
            engine: "vllm".into(),
            load: Load::Batch(32.0),
            train: Some(Train { tokens: 15.6e12, length: 8192.0 }),
        }
    }

    fn figure<'a>(native: &'a Native, name: &str, unit: &str) -> &'a Figure {
        native.figures.iter().find(|figure| (figure.name, figure.unit) == (name, unit)).expect(name)
    }

    #[test]
    fn copies_add_up_and_a_split_model_has_fewer() {
        let gpu = Gpu::named("h100_sxm").expect("known");
        let of = |width| native(&Demand { width, ..demand("llama-3-8b") }, gpu).expect("fits");
        let (one, eight) = (of(None), of(Some(8.0)));
        assert_eq!((one.width, one.copies, eight.copies), (1.0, 8.0, 1.0));
        let each = figure(&eight, "time per output token", "ms").value.expect("dense");
        assert!(each < figure(&one, "time per output token", "ms").value.expect("dense"));
        let split = native(&Demand { weights: Weights::Bf16, ..demand("llama-3-70b") }, gpu).expect("fits on two");
        assert_eq!((split.width, split.copies), (2.0, 4.0));
        assert!(native(&Demand { width: Some(16.0), ..demand("llama-3-8b") }, gpu).is_err());
        assert!(native(&Demand { gpus: 1.0, ..demand("llama-3-405b") }, gpu).is_err_and(|wrong| wrong.0.contains("no-fit")));
    }

    #[test]
    fn a_target_is_met_and_an_impossible_one_is_refused() {
        let gpu = Gpu::named("h200_sxm").expect("known");
        let at = |target| native(&Demand { load: Load::Target(target), ..demand("llama-3-70b") }, gpu).expect("fits");
        assert!(figure(&at(0.03), "time per output token", "ms").value.expect("dense") <= 30.0);
        assert!(figure(&at(0.03), "requests within the target", "request").value.expect("some") >= 8.0);
        assert!(
            figure(&at(1e-4), "output tokens", "token/s").reason.as_ref().is_some_and(|reason| reason.contains("not even one"))
        );
    }

    #[test]
    fn a_mixture_has_bounds_alone_and_no_days() {
        let gpu = Gpu::named("h200_sxm").expect("known");
        let found = native(&demand("qwen3-235b-a22b"), gpu).expect("fits");
        let each = figure(&found, "time per output token", "ms");
        assert!(each.value.is_none() && each.bound.is_some_and(|(side, bound)| side == "at least" && bound > 1.0), "{each:?}");
        assert!(figure(&found, "training run", "day").value.is_none());
        let dense = native(&demand("llama-3-405b"), gpu).expect("fits");
        let days = figure(&dense, "training run", "day").value.expect("dense");
        let hours = figure(&dense, "training run", "GPU-h").value.expect("dense");
        assert!((days * 24.0 * 8.0 / hours - 1.0).abs() < 1e-12);
        assert!(figure(&dense, "time to first token", "ms").value.is_none());
    }

    #[test]
    fn the_errors_that_are_told_are_those_of_the_committed_rows() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("results/validation/latency.csv");
        let found = calibrate(&rows(&path).expect("committed"), "").expect("enough rows");
        let told = record();
        assert!((found.errors.mean - told.mean).abs() < 6e-4, "{:?}", found.errors);
        assert!((found.errors_left_out.expect("groups").mean - told.left_out).abs() < 6e-4, "{:?}", found.errors_left_out);
    }
}
