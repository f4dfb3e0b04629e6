//! Published figures beside what the model says of them.

use super::{Constants, Engine, Gpu, Model, Observed, Serving, Weights, Wrong, engine, fit};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::Path};

/// Half-width of a row's interval, as a factor. `coverage` of an answer says how many published figures it holds.
const FACTOR: f64 = 1.25;
/// Share of the measured matmul rate that tuned recipes of dense training reach, fixed times included; from published runs.
pub const TRAINING: f64 = 0.51;
/// Share of the time of a long run that is not lost to faults (arXiv 2407.21783).
const KEPT: f64 = 0.88;

/// A row of a file of published figures.
#[derive(Clone, Debug, Deserialize)]
pub struct Row {
    pub id: String,
    pub hardware: String,
    pub gpus: f64,
    pub model: String,
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
    let mut reader = csv::Reader::from_path(path).map_err(|error| at(&error))?;
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

struct Setting<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Setting<'a> {
    fn of(text: &'a str) -> Self {
        Self(text.split(';').map(|part| part.split_once('=').unwrap_or((part, ""))).collect())
    }

    fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Its engine without the version. NVIDIA's own figures name none where it is theirs.
    fn engine(&self) -> &'a str {
        self.0.get("engine").map_or("trtllm", |name| name.split('-').next().unwrap_or_default())
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

/// How a row is served: the serving, requests at a time in each copy, copies.
fn served(row: &Row, setting: &Setting) -> Result<(Serving<'static>, Option<f64>, f64), Wrong> {
    let (prompt, answer) = setting.lengths()?;
    let (model, gpu, weights) = (Model::named(&row.model)?, Gpu::named(&row.hardware)?, Weights::named(&row.dtype)?);
    let cache = weights.cache_bytes(setting.engine());
    let on = |width: f64| Serving { model, gpu, weights, cache, width, prompt, answer };
    let narrowest = || {
        let widths = [1.0, 2.0, 4.0, 8.0].into_iter().filter(|width| *width <= row.gpus);
        widths.map(on).find(|serving| serving.check().is_ok()).map_or(row.gpus, |serving| serving.width)
    };
    let width = if setting.has("tp") { setting.number(&["tp"])? } else { narrowest() };
    let serving = on(width);
    serving.check()?;
    let copies = (row.gpus / width).floor().max(1.0);
    let batch = if setting.has("concurrency") { Some((setting.number(&["concurrency"])? / copies).max(1.0)) } else { None };
    Ok((serving, batch, copies))
}

fn serving(row: &Row, setting: &Setting, engine: &Engine) -> Result<f64, Wrong> {
    if row.metric.starts_with("ttft") {
        return Err(Wrong("time to first token hangs on how requests arrive; test under load".into()));
    }
    let (serving, batch, copies) = served(row, setting)?;
    let constants = &engine.constants;
    match (row.metric.as_str(), batch) {
        ("tpot_mean" | "tpot_p50", Some(batch)) => Ok(1e3 * serving.per_token(constants, batch)),
        ("output_throughput", Some(batch)) => Ok(copies * serving.tokens(constants, batch)),
        ("output_throughput", None) => Ok(copies * serving.saturated(constants)),
        (other, _) => Err(Wrong(format!("metric `{other}` is not predicted under that setting"))),
    }
}

fn bound(row: &Row, setting: &Setting) -> Option<f64> {
    let first = row.metric.starts_with("ttft") && row.unit == "ms";
    first.then(|| served(row, setting).ok()).flatten().map(|(serving, ..)| 1e3 * serving.least_read())
}

fn training(row: &Row, setting: &Setting) -> Result<f64, Wrong> {
    let (model, gpu, weights) = (Model::named(&row.model)?, Gpu::named(&row.hardware)?, Weights::named(&row.dtype)?);
    if model.mixture() {
        return Err(Wrong("training of a mixture of experts is outside the model".into()));
    }
    let length = setting.number(&["seq"]).unwrap_or(if model.name == "gpt-175b" { 2048.0 } else { 8192.0 });
    let rate = TRAINING * weights.rate(gpu);
    let each = rate / model.training_flops(length);
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
    Answer {
        id: row.id.clone(),
        predicted: predicted.as_ref().ok().copied(),
        published: row.published_value,
        bound: bound(row, &setting),
        unit: row.unit.clone(),
        low: predicted.as_ref().ok().map(|value| value / FACTOR),
        high: predicted.as_ref().ok().map(|value| value * FACTOR),
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

/// Constants fitted to the rows of time per output token of dense models, with how well, and those fitted with each pair of model and
/// GPU left out in turn: the error to expect of a pair that was never seen.
///
/// # Errors
/// When too few rows can be used.
pub fn calibrate(rows: &[Row]) -> Result<(Vec<Engine>, Errors, Option<Errors>), Wrong> {
    let observed: Vec<(String, Observed)> =
        rows.iter().filter_map(|row| Some((format!("{}|{}", row.model, row.hardware), observed(row)?))).collect();
    if observed.len() < 12 {
        return Err(Wrong(format!("{} usable rows of tpot_mean; six constants need at least 12", observed.len())));
    }
    let all: Vec<Observed> = observed.iter().map(|(_, row)| row.clone()).collect();
    let engines = engines(&all);
    let predicted = |row: &Observed, engines: &[Engine]| row.serving.per_token(&engine(engines, &row.engine).constants, row.batch);
    let within = errors(all.iter().map(|row| (predicted(row, &engines), row.seconds))).ok_or_else(|| Wrong("no rows".into()))?;
    let mut groups: Vec<&String> = observed.iter().map(|(group, _)| group).collect();
    groups.sort();
    groups.dedup();
    let mut unseen = Vec::new();
    for group in groups.iter().filter(|_| groups.len() > 1) {
        let seen: Vec<Observed> = observed.iter().filter(|(other, _)| other != *group).map(|(_, row)| row.clone()).collect();
        let fitted = self::engines(&seen);
        let left = observed.iter().filter(|(other, _)| other == *group);
        unseen.extend(left.map(|(_, row)| (predicted(row, &fitted), row.seconds)));
    }
    Ok((engines, within, errors(unseen.into_iter())))
}

fn observed(row: &Row) -> Option<Observed<'static>> {
    let setting = Setting::of(&row.setting);
    if row.metric != "tpot_mean" || row.unit != "ms" {
        return None;
    }
    let (serving, batch, _) = served(row, &setting).ok()?;
    Some(Observed { serving, batch: batch?, engine: setting.engine().to_owned(), seconds: row.published_value / 1e3 })
}

fn engines(rows: &[Observed]) -> Vec<Engine> {
    let mut names: Vec<String> = rows.iter().map(|row| row.engine.clone()).collect();
    names.sort();
    names.dedup();
    let count = |name: &str| rows.iter().filter(|row| row.engine == name).count();
    let one = |engine: String, rows: usize, constants: Constants| Engine { engine, rows, constants };
    let each = fit(rows, &names).into_iter().zip(&names).map(|(constants, name)| one(name.clone(), count(name), constants));
    let any = fit(rows, &[super::ANY.to_owned()]).into_iter().map(|constants| one(super::ANY.into(), rows.len(), constants));
    each.chain(any).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> Vec<Row> {
        rows(&Path::new(env!("CARGO_MANIFEST_DIR")).join("results/validation/latency.csv")).expect("committed")
    }

    #[test]
    fn the_shipped_constants_are_those_of_the_committed_rows() {
        let (engines, within, unseen) = calibrate(&open()).expect("enough rows");
        for (found, shipped) in engines.iter().zip(super::super::shipped()) {
            assert_eq!((&found.engine, found.rows), (&shipped.engine, shipped.rows));
            let (found, shipped) = (found.constants, shipped.constants);
            for (a, b) in [(found.gemm, shipped.gemm), (found.layer, shipped.layer), (found.request, shipped.request)] {
                assert!((a / b - 1.0).abs() < 1e-6, "{a} {b}");
            }
        }
        assert!(within.mean < 0.18 && within.median < 0.12, "{within:?}");
        assert!(unseen.expect("several groups").mean < 0.18);
    }

    #[test]
    fn only_rows_of_the_manifest_are_fitted() {
        let manifest = include_str!("../../results/validation/manifest.txt");
        assert!(open().iter().map(|row| row.id.as_str()).eq(manifest.lines()));
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
