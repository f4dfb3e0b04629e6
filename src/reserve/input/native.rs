//! Demand in units of its own: tokens a second of a served model, or tokens to train on by a date, as CU.
//!
//! One CU is what the reference does. So demand in CU is demand over what one reference device serves, or trains, of the model.

use super::{
    file::{Serving, Training},
    month::Horizon,
    text::{Refused, Text},
};
use crate::capacity::{self, Gpu, Model, TRAINING, Weights, Wrong, definition, engine, limit, named_engine, shipped};

/// Devices over which a model may be split, where the plan does not say.
const WIDTHS: [f64; 4] = [1.0, 2.0, 4.0, 8.0];
/// The engine whose constants count where the plan names none.
const ENGINE: &str = "vllm";

/// The reference's rates, in the form in which published rates of GPUs are.
fn reference() -> Gpu {
    let rate = |key: &str| definition().reference.rates.get(key).copied().unwrap_or(0.0);
    Gpu {
        name: definition().reference.name.clone(),
        peak: rate("mm.bf16"),
        bf16: rate("mm.bf16"),
        fp8: rate("mm.fp8"),
        fp4: rate("mm.fp4"),
        hbm: rate("hbm.read"),
        link: rate("link.ar_bw"),
        memory: rate("mem.free"),
        source: String::new(),
    }
}

/// CU for each token per second, and how that was found.
///
/// # Errors
/// When the model is not known, or cannot be served on the reference.
pub fn served(text: &Text, serving: &Serving) -> Result<(f64, String), Refused> {
    let refused = |at: &_, wrong: Wrong| text.refuse::<String>(at, wrong.0);
    let model = Model::named(serving.model.get_ref()).map_err(|wrong| refused(&serving.model, wrong))?;
    let weights = Weights::named(serving.dtype.get_ref()).map_err(|wrong| refused(&serving.dtype, wrong))?;
    let prompt = text.within("prompt", &serving.prompt, 1.0, 1e6)?;
    let answer = text.within("answer", &serving.answer, 1.0, 1e6)?;
    let wanted = serving.engine.as_ref().map_or(ENGINE, |engine| engine.get_ref().as_str());
    let engines = shipped();
    if let Some(at) = serving.engine.as_ref().filter(|_| !engines.iter().any(|engine| engine.engine == wanted)) {
        let known: Vec<&str> = engines.iter().map(|engine| engine.engine.as_str()).collect();
        return Err(text.refuse(at, format!("no constants of engine `{wanted}` are known; there are {}", known.join(", "))));
    }
    let gpu = reference();
    let cache = weights.cache_bytes(wanted);
    let with = |width: f64| {
        let (model, gpu, engine) = (model.clone(), gpu.clone(), named_engine(wanted));
        capacity::Serving { model, gpu, weights, engine, cache, width, prompt, answer }
    };
    let split = match &serving.devices {
        Some(devices) => text.within("devices", devices, 1.0, 64.0)?,
        None => WIDTHS.into_iter().find(|width| with(*width).possible().is_ok()).unwrap_or(8.0),
    };
    let served = with(split);
    served.possible().map_err(|wrong| refused(&serving.model, wrong))?;
    let tokens = served.saturated(&engine(&engines, wanted).constants, limit(wanted)) / split;
    let how = format!(
        "{} serves {tokens:.0} tokens/s of {} in {} (prompt {prompt}, answer {answer}, {split} devices, constants of {wanted}); figures of the model are within a factor of 1.25",
        gpu.name,
        model.name,
        serving.dtype.get_ref()
    );
    Ok((1.0 / tokens, how))
}

/// CU by month that training takes, and how they were found.
///
/// # Errors
/// When the model is not known, is a mixture of experts, or the months are none.
pub fn trained(text: &Text, horizon: Horizon, seconds: f64, training: &Training) -> Result<(Vec<f64>, String), Refused> {
    let refused = |at: &_, wrong: Wrong| text.refuse::<String>(at, wrong.0);
    let model = Model::named(training.model.get_ref()).map_err(|wrong| refused(&training.model, wrong))?;
    let weights = Weights::named(training.dtype.get_ref()).map_err(|wrong| refused(&training.dtype, wrong))?;
    if model.mixture() {
        return Err(text.refuse(&training.model, "training of a mixture of experts is outside the model; state demand in CU"));
    }
    let gpu = reference();
    let rate = weights.rate(&gpu);
    if rate <= 0.0 {
        return Err(
            text.refuse(&training.dtype, format!("{} has no rate for {}; state demand in CU", gpu.name, training.dtype.get_ref()))
        );
    }
    let tokens = text.within("tokens", &training.tokens, 1.0, 1e18)?;
    let length = text.within("length", &training.length, 1.0, 1e7)?;
    let from = training.from.as_ref().map_or(Ok(1), |at| horizon.number(text, at, "from"))?;
    let by = horizon.number(text, &training.by, "by")?;
    if by < from {
        return Err(text.refuse(&training.by, format!("training ends in month {by}, before it begins in month {from}")));
    }
    let each = TRAINING * rate / model.training_flops(length);
    let months = by - from + 1;
    let units = tokens / each / (months as f64 * seconds);
    let path = (1..=horizon.months).map(|month| if (from..=by).contains(&month) { units } else { 0.0 }).collect();
    let how = format!(
        "{tokens:e} tokens in {months} months; {} trains {each:.0} tokens/s of {} in {}, at {TRAINING} of its matmul rate as published dense recipes do",
        gpu.name,
        model.name,
        training.dtype.get_ref()
    );
    Ok((path, how))
}
