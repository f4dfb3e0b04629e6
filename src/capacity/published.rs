//! Published figures beside what the model says of them.

use super::{Constants, Engine, Gpu, MIXTURE, Model, Serving, TRTLLM, Weights, Wrong, engine, limit, named_engine};
use crate::files;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::Path};

/// Half-width of an interval, as a factor. It holds 95 % of the fitted rows, and as many of each pair of model and GPU that the fit has not
/// seen; `Errors::coverage` says how many it held of a group.
pub const FACTOR: f64 = 1.25;
/// Share of the measured matmul rate that tuned recipes of dense training reach, fixed times included; from published runs.
pub const TRAINING: f64 = 0.51;
/// Half-width of the interval of a training run, as a factor: it holds all 18 published rows, of recipes that were tuned.
pub const TRAINING_FACTOR: f64 = 1.35;
/// Share of the time of a long run that is not lost to faults (arXiv 2407.21783).
pub const KEPT: f64 = 0.88;

/// A row of a file of published figures.
#[derive(Clone, Debug, Deserialize)]
pub struct Row {
    pub id: String,
    pub hardware: String,
    pub gpus: f64,
    pub model: String,
    /// Parameters, and those that a token is multiplied by; of use where the model's shape is not known.
    #[serde(default)]
    pub params: Option<f64>,
    #[serde(default)]
    pub active_params: Option<f64>,
    pub dtype: String,
    pub setting: String,
    pub metric: String,
    pub published_value: f64,
    pub unit: String,
}

/// What came of a row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    pub id: String,
    pub predicted: Option<f64>,
    pub published: f64,
    pub unit: String,
    /// What the figure cannot be below: of time to first token, one prompt read at the measured rates with nothing in the way.
    pub bound: Option<f64>,
    /// Why nothing is predicted.
    pub skipped: Option<String>,
    pub low: Option<f64>,
    pub high: Option<f64>,
    /// `engine`, whose constants were used.
    pub constants: Option<String>,
    /// Where the model stands on less than usual: a shape guessed from a size, or a format that the GPU does not multiply in.
    pub note: Option<String>,
    #[serde(skip)]
    pub hardware: String,
    /// What must agree for two rows to differ by their hardware alone.
    #[serde(skip)]
    pub rest: String,
    #[serde(skip)]
    pub metric: String,
}

/// Two rows that differ by their hardware.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pair {
    pub hardware: String,
    pub engine: String,
    pub ids: [String; 2],
    pub predicted: f64,
    pub published: f64,
    pub low: f64,
    pub high: f64,
    pub inside: bool,
}

/// Rows of a file.
///
/// # Errors
/// When the file cannot be read, a column is missing, or a figure is none.
pub fn rows(path: &Path) -> Result<Vec<Row>, Wrong> {
    let at =
        |error: &dyn std::fmt::Display| Wrong(format!("{}: {error}; it needs the columns of published figures", path.display()));
    let text = files::text(path).map_err(|error| at(&error))?;
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let rows: Vec<Row> = reader.deserialize().collect::<Result<_, _>>().map_err(|error| at(&error))?;
    let bad =
        |row: &&Row| !(row.published_value > 0.0 && row.published_value.is_finite() && row.gpus >= 1.0 && row.gpus.is_finite());
    if let Some(row) = rows.iter().find(bad) {
        return Err(Wrong(format!("{}: {}: published_value and gpus must be positive numbers", path.display(), row.id)));
    }
    if rows.is_empty() {
        return Err(Wrong(format!("{}: no rows", path.display())));
    }
    Ok(rows)
}

pub(super) struct Setting<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Setting<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self(text.split(';').map(|part| part.split_once('=').unwrap_or((part, ""))).collect())
    }

    fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Its engine without the version. NVIDIA's own figures name none where it is theirs.
    pub(super) fn engine(&self) -> &'static str {
        named_engine(self.0.get("engine").copied().unwrap_or(TRTLLM))
    }

    fn number(&self, names: &[&str]) -> Result<f64, Wrong> {
        let text = names.iter().find_map(|name| self.0.get(name));
        let number = text.and_then(|text| text.parse::<f64>().ok()).filter(|number| *number >= 1.0 && number.is_finite());
        number.ok_or_else(|| Wrong(format!("its setting gives no {}", names[0])))
    }

    /// Lengths of prompt and answer. The log of MLPerf's OpenOrca names no prompt length; its data set's mean is 294 tokens.
    fn lengths(&self) -> Result<(f64, f64), Wrong> {
        let prompt = self.number(&["isl", "mean_input_tokens"]);
        let orca = self.0.get("dataset") == Some(&"openorca");
        let prompt = if orca { prompt.or(Ok(294.0)) } else { prompt };
        Ok((prompt?, self.number(&["osl", "mean_output_tokens~"])?))
    }
}

/// The row's model: its shape where that is known, else that of one of its size.
fn shape(row: &Row) -> Result<Model, Wrong> {
    Model::named(&row.model).cloned().or_else(|wrong| {
        let parameters = row.params.filter(|parameters| *parameters >= 1e8 && parameters.is_finite());
        // With fewer at work than there are it is a mixture, whose shape does not follow from its size.
        let dense = row.active_params.zip(parameters).is_none_or(|(active, all)| active > 0.9 * all);
        parameters.filter(|_| dense).and_then(|parameters| Model::sized(&row.model, parameters)).ok_or(wrong)
    })
}

/// How a row is served: the serving, requests at a time in each copy, copies.
pub(super) fn served(row: &Row, setting: &Setting) -> Result<(Serving, Option<f64>, f64), Wrong> {
    let (prompt, answer) = setting.lengths()?;
    let (model, gpu, weights) = (shape(row)?, Gpu::named(&row.hardware)?, Weights::named(&row.dtype)?);
    let engine = setting.engine();
    let cache = weights.cache_bytes(engine);
    let mut serving = Serving { model, gpu: gpu.clone(), weights, engine, cache, width: row.gpus, prompt, answer };
    if setting.has("tp") {
        serving.width = setting.number(&["tp"])?;
    } else {
        let narrowest = [1.0, 2.0, 4.0, 8.0].into_iter().filter(|width| *width <= row.gpus);
        let fits = |width: &f64| Serving { width: *width, ..serving.clone() }.possible().is_ok();
        serving.width = narrowest.into_iter().find(fits).unwrap_or(row.gpus);
    }
    serving.possible()?;
    let copies = (row.gpus / serving.width).floor().max(1.0);
    let batch = if setting.has("concurrency") { Some((setting.number(&["concurrency"])? / copies).max(1.0)) } else { None };
    Ok((serving, batch, copies))
}

fn serving(row: &Row, setting: &Setting, engine: &Engine) -> Result<f64, Wrong> {
    if row.metric.starts_with("ttft") {
        return Err(Wrong("time to first token hangs on how requests arrive; test under load".into()));
    }
    if shape(row)?.mixture() {
        return Err(Wrong(MIXTURE.into()));
    }
    figure(row, setting, &engine.constants)
}

/// The row's metric by those constants.
fn figure(row: &Row, setting: &Setting, constants: &Constants) -> Result<f64, Wrong> {
    let (serving, batch, copies) = served(row, setting)?;
    match (row.metric.as_str(), batch) {
        ("tpot_mean" | "tpot_p50", Some(batch)) => Ok(1e3 * serving.per_token(constants, batch)),
        ("output_throughput", Some(batch)) => Ok(copies * serving.tokens(constants, batch)),
        ("output_throughput", None) => Ok(copies * serving.saturated(constants, limit(setting.engine()))),
        (other, _) => Err(Wrong(format!("metric `{other}` is not predicted under that setting"))),
    }
}

/// What the figure cannot be better than, where it is not predicted: a first token is one prompt at the measured rates with nothing in
/// the way, and a mixture's step its touched weights and cache.
fn bound(row: &Row, setting: &Setting) -> Option<f64> {
    let (serving, ..) = served(row, setting).ok()?;
    if row.metric.starts_with("ttft") && row.unit == "ms" {
        return Some(1e3 * serving.least_read());
    }
    serving.model.mixture().then(|| figure(row, setting, &Constants::LEAST).ok()).flatten()
}

/// What the figure stands on less firmly than usual.
fn note(row: &Row, setting: &Setting) -> Option<String> {
    let serving = served(row, setting).ok()?.0;
    let guessed = Model::named(&row.model).is_err().then(|| format!("no shape known: {}", serving.model.name));
    let widened = (serving.weights.native(&serving.gpu) <= 0.0).then(|| format!("{} multiplies in bf16", serving.gpu.name));
    guessed.or(widened)
}

fn training(row: &Row, setting: &Setting) -> Result<f64, Wrong> {
    let (model, gpu, weights) = (shape(row)?, Gpu::named(&row.hardware)?, Weights::named(&row.dtype)?);
    if model.mixture() {
        return Err(Wrong("training of a mixture of experts is outside the model".into()));
    }
    let length = setting.number(&["seq"]).unwrap_or(if model.name == "gpt-175b" { 2048.0 } else { 8192.0 });
    let rate = TRAINING * weights.native(gpu);
    let each = model.training_rate(weights.native(gpu), length);
    if rate <= 0.0 {
        return Err(Wrong(format!("no-dtype: {} has no such matmul", gpu.name)));
    }
    match row.metric.as_str() {
        "train_tokens_per_gpu" => Ok(each),
        "model_tflops_per_gpu" => Ok(rate / 1e12),
        // Of fp8 and fp4 runs, authors divide by one peak or the other.
        "mfu" if weights == Weights::Bf16 => Ok(100.0 * rate / gpu.peak),
        "train_throughput" => Ok(each * row.gpus),
        "train_days" => Ok(setting.number(&["tokens"])? / (each * row.gpus) / 86_400.0),
        "gpu_hours" => Ok(setting.number(&["tokens"])? / (each * KEPT) / 3600.0),
        other => Err(Wrong(format!("metric `{other}` is not predicted of training"))),
    }
}

/// What the model says of a row.
#[must_use]
pub fn answer(row: &Row, engines: &[Engine]) -> Answer {
    let setting = Setting::of(&row.setting);
    let name = setting.engine();
    let constants = engine(engines, name);
    let train = setting.has("train");
    let known = ["ms", "token/s", "token/s/gpu", "TFLOP/s/gpu", "day", "GPU-h", "percent"].contains(&row.unit.as_str());
    let predicted = match () {
        () if !known => Err(Wrong(format!("unit `{}` is not one that is predicted", row.unit))),
        () if train => training(row, &setting),
        () => serving(row, &setting, constants),
    };
    let origin = if train { "published recipes".to_owned() } else { constants.engine.clone() };
    let factor = if train { TRAINING_FACTOR } else { FACTOR };
    Answer {
        id: row.id.clone(),
        predicted: predicted.as_ref().ok().copied(),
        published: row.published_value,
        bound: bound(row, &setting).filter(|_| !train),
        note: note(row, &setting).filter(|_| !train && predicted.is_ok()),
        unit: row.unit.clone(),
        low: predicted.as_ref().ok().map(|value| value / factor),
        high: predicted.as_ref().ok().map(|value| value * factor),
        constants: predicted.is_ok().then_some(origin),
        skipped: predicted.err().map(|wrong| wrong.0),
        hardware: row.hardware.clone(),
        rest: format!("{}|{}|{}|{}|{}", row.model, row.dtype, row.gpus, row.setting, row.metric),
        metric: format!("{name} {}", row.metric),
    }
}

/// Pairs of answered rows that differ by hardware alone, H200 over H100 and B200 over H200.
#[must_use]
pub fn pairs(answers: &[Answer]) -> Vec<Pair> {
    let mut found = Vec::new();
    for (over, under) in [("h200_sxm", "h100_sxm"), ("b200_sxm", "h200_sxm")] {
        for a in answers.iter().filter(|a| a.hardware == over) {
            for b in answers.iter().filter(|b| b.hardware == under && b.rest == a.rest) {
                let (Some(mine), Some(other)) = (a.predicted, b.predicted) else { continue };
                let (predicted, published) = (mine / other, a.published / b.published);
                let (low, high) = (predicted / FACTOR, predicted * FACTOR);
                let inside = (low..=high).contains(&published);
                let hardware = format!("{over}:{under}");
                let engine = a.metric.split(' ').next().unwrap_or_default().to_owned();
                found.push(Pair { hardware, engine, ids: [a.id.clone(), b.id.clone()], predicted, published, low, high, inside });
            }
        }
    }
    found
}

/// Mean and median of relative errors, and the share within the interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Errors {
    pub rows: usize,
    pub mean: f64,
    pub median: f64,
    pub coverage: f64,
}

/// Errors of predicted against published. Blank where there is nothing.
#[must_use]
pub fn errors(pairs: impl Iterator<Item = (f64, f64)>) -> Option<Errors> {
    let pairs: Vec<_> = pairs.collect();
    let mut off: Vec<f64> = pairs.iter().map(|(predicted, published)| (predicted / published - 1.0).abs()).collect();
    off.sort_by(f64::total_cmp);
    let rows = off.len();
    let inside = pairs.iter().filter(|(a, b)| (a / b).ln().abs() <= FACTOR.ln()).count();
    let middle = |at: usize| off.get(at).copied().unwrap_or_default();
    let median = f64::midpoint(middle(rows.saturating_sub(1) / 2), middle(rows / 2));
    (rows > 0).then(|| Errors { rows, mean: off.iter().sum::<f64>() / rows as f64, median, coverage: inside as f64 / rows as f64 })
}

/// Errors of what was answered: of each engine's metric, and of its ratios between two GPUs.
#[must_use]
pub fn summary(answers: &[Answer], pairs: &[Pair]) -> BTreeMap<String, Errors> {
    let mut groups: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    for answer in answers {
        if let Some(predicted) = answer.predicted {
            groups.entry(answer.metric.clone()).or_default().push((predicted, answer.published));
        }
    }
    for pair in pairs {
        groups.entry(format!("{} {}", pair.engine, pair.hardware)).or_default().push((pair.predicted, pair.published));
    }
    groups.into_iter().filter_map(|(name, pairs)| Some((name, errors(pairs.into_iter())?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> Vec<Row> {
        rows(&Path::new(env!("CARGO_MANIFEST_DIR")).join("results/validation/latency.csv")).expect("committed")
    }

    #[test]
    fn what_is_outside_the_model_is_refused_with_its_reason() {
        let engines = super::super::shipped();
        let row = open().swap_remove(0);
        let reason = |row: Row| answer(&row, &engines).skipped.unwrap_or_default();
        assert!(answer(&row, &engines).predicted.is_some());
        assert!(reason(Row { model: "qwen3-235b-a22b".into(), ..row.clone() }).contains("mixture"));
        assert!(reason(Row { hardware: "v100".into(), ..row.clone() }).contains("v100"));
        assert!(reason(Row { metric: "ttft_mean".into(), ..row.clone() }).contains("first token"));
        let first = Row { metric: "ttft_mean".into(), ..row.clone() };
        let bound = answer(&first, &engines).bound.expect("a serving that is known");
        assert!(
            bound > 0.0
                && answer(&Row { gpus: 2.0, setting: first.setting.replace("tp=1", "tp=2"), ..first }, &engines).bound
                    < Some(bound)
        );
        assert!(reason(Row { unit: "h".into(), ..row }).contains("unit"));
    }
}
