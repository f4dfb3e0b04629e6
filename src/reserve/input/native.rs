//! Demand in units of its own: tokens a second of a served model, or tokens to train on by a date.
//!
//! One CU of such a demand is what one device of the reference serves, or trains, of that very model; a type is worth what its own
//! devices do of it over that. So no class of units stands between demand and what is bought, and what cannot hold the model is worth
//! nothing.

use super::{
    file::{Demand, Serving, Training, Unit},
    month::Horizon,
    text::{At, Refused, Text},
};
use crate::capacity::{
    self, Class, Constants, FACTOR, Gpu, KEPT, MIXTURE, Model, Published, TRAINING, Weights, Wrong, definition, engine, limit,
    named_engine, shipped,
};

/// Devices over which a model may be split, where the plan does not say.
const WIDTHS: [f64; 7] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];
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

/// What tokens of a demand are of.
#[derive(Debug)]
pub struct Native {
    model: Model,
    dtype: String,
    weights: Weights,
    work: Work,
    /// Tokens a second of one device of the reference.
    pub each: f64,
    /// How that was found.
    pub how: String,
}

#[derive(Debug)]
enum Work {
    Served { prompt: f64, answer: f64, engine: String, constants: Constants, width: Option<f64> },
    Trained { length: f64, kept: f64 },
}

impl Native {
    /// What a demand is of; nothing where it is in CU.
    ///
    /// # Errors
    /// When the model is not known, cannot be served or trained on the reference, or the class has units of another kind.
    pub fn of(text: &Text, class: &Demand, known: &[Class]) -> Result<Option<Self>, Refused> {
        let name = class.class.get_ref();
        let native = match (class.unit.as_ref().map(|unit| *unit.get_ref()).unwrap_or_default(), &class.serving, &class.training) {
            (Unit::Units, None, None) => return Ok(None),
            (Unit::Units, None, Some(training)) => Self::trained(text, training.get_ref(), class.synchronous.is_some())?,
            (Unit::Units, Some(serving), _) => {
                return Err(text.refuse(serving, format!("class {name}: `serving` goes with `unit = \"tokens/s\"`")));
            }
            (Unit::TokensPerSecond, Some(serving), _) => {
                if let Some(job) = &class.synchronous {
                    return Err(
                        text.refuse(job, format!("class {name}: copies of a served model are replicas; drop `synchronous`"))
                    );
                }
                Self::served(text, serving.get_ref())?
            }
            (Unit::TokensPerSecond, None, _) => {
                let says = format!("class {name}: tokens/s of which model? say `serving = {{ model, dtype, prompt, answer }}`");
                return Err(text.refuse_span(class.unit.as_ref().map(toml::Spanned::span), says));
            }
        };
        if known.iter().any(|known| known.name == *name) {
            let says = format!(
                "class {name} has units of its own, and its demand is in tokens of {model}: units of two kinds never add; name the demand otherwise, for example class = \"{model}\"",
                model = native.model.name
            );
            return Err(text.refuse(&class.class, says));
        }
        Ok(Some(native))
    }

    fn served(text: &Text, serving: &Serving) -> Result<Self, Refused> {
        let (model, weights) = named(text, &serving.model, &serving.dtype)?;
        if model.mixture() {
            return Err(text.refuse(&serving.model, format!("{MIXTURE}; state demand in CU, and `cu` of each type")));
        }
        let prompt = text.within("prompt", &serving.prompt, 1.0, 1e6)?;
        let answer = text.within("answer", &serving.answer, 1.0, 1e6)?;
        let wanted = serving.engine.as_ref().map_or(ENGINE, |engine| engine.get_ref().as_str());
        let engines = shipped();
        if let Some(at) = serving.engine.as_ref().filter(|_| !engines.iter().any(|engine| engine.engine == wanted)) {
            let known: Vec<&str> = engines.iter().map(|engine| engine.engine.as_str()).collect();
            return Err(text.refuse(at, format!("no constants of engine `{wanted}` are known; there are {}", known.join(", "))));
        }
        let width = serving.devices.as_ref().map(|devices| text.within("devices", devices, 1.0, 64.0)).transpose()?;
        if let Some(devices) = serving.devices.as_ref().filter(|devices| devices.get_ref().fract() != 0.0) {
            return Err(
                text.refuse(devices, format!("devices is {}; a copy is split over a whole number of them", devices.get_ref()))
            );
        }
        let constants = engine(&engines, wanted).constants;
        let work = Work::Served { prompt, answer, engine: wanted.to_owned(), constants, width };
        let dtype = serving.dtype.get_ref().clone();
        let native = Self { model, dtype, weights, work, each: 0.0, how: String::new() };
        // The width with the most tokens a device: the least that loads a model may leave no room to serve it.
        let (gpu, most) = (reference(), width.unwrap_or(WIDTHS[WIDTHS.len() - 1]));
        let (all, split) = native.tokens(&gpu, most).map_err(|wrong| text.refuse(&serving.model, wrong.0))?;
        let each = all / most;
        let how = format!(
            "one device of {} serves {each:.0} tokens/s of {} in {} (prompt {prompt}, answer {answer}{split}, constants of {wanted}); figures of the model are within a factor of {FACTOR}",
            gpu.name, native.model.name, native.dtype
        );
        Ok(Self { each, how, ..native })
    }

    fn trained(text: &Text, training: &Training, synchronous: bool) -> Result<Self, Refused> {
        let (model, weights) = named(text, &training.model, &training.dtype)?;
        if model.mixture() {
            return Err(text.refuse(&training.model, "training of a mixture of experts is outside the model; state demand in CU"));
        }
        let length = text.within("length", &training.length, 1.0, 1e7)?;
        // What a synchronous job loses to faults is said by its goodput, and never twice.
        let kept = if synchronous { 1.0 } else { KEPT };
        let (gpu, dtype) = (reference(), training.dtype.get_ref().clone());
        let native = Self { model, dtype, weights, work: Work::Trained { length, kept }, each: 0.0, how: String::new() };
        let (each, _) = native.tokens(&gpu, 1.0).map_err(|wrong| text.refuse(&training.dtype, wrong.0 + "; state demand in CU"))?;
        let how = format!(
            "one device of {} trains {each:.0} tokens/s of {} in {}, at {TRAINING} of its matmul rate as published dense recipes do, {kept} of the time kept through faults",
            gpu.name, native.model.name, native.dtype
        );
        Ok(Self { each, how, ..native })
    }

    /// Widths of a copy that may be on so many devices.
    fn widths(&self, devices: f64) -> Vec<f64> {
        match &self.work {
            Work::Served { width: Some(width), .. } => vec![*width],
            Work::Served { .. } => WIDTHS.into_iter().filter(|width| *width <= devices).collect(),
            Work::Trained { .. } => vec![1.0],
        }
    }

    /// Tokens a second of a copy that is split over so many GPUs.
    fn copy(&self, gpu: &Gpu, width: f64) -> Result<f64, Wrong> {
        match &self.work {
            Work::Served { prompt, answer, engine, constants, .. } => {
                let serving = capacity::Serving {
                    model: self.model.clone(),
                    gpu: gpu.clone(),
                    weights: self.weights,
                    engine: named_engine(engine),
                    cache: self.weights.cache_bytes(engine),
                    width,
                    prompt: *prompt,
                    answer: *answer,
                };
                // Whole requests, as `units native` counts them.
                serving.possible().map(|()| serving.tokens(constants, serving.most().min(limit(engine)).floor()))
            }
            Work::Trained { length, kept } => match self.weights.native(gpu) {
                rate if rate > 0.0 => Ok(kept * self.model.training_rate(rate, *length) * width),
                _ => Err(Wrong(format!("no-dtype: {} has no matmul in {}", gpu.name, self.dtype))),
            },
        }
    }

    /// Tokens a second of `devices` such GPUs of one unit, split as gives most of them, and how; what fills no copy serves nothing.
    fn tokens(&self, gpu: &Gpu, devices: f64) -> Result<(f64, String), Wrong> {
        let mut best: Result<(f64, f64), Wrong> = Err(Wrong(String::new()));
        for width in self.widths(devices) {
            let copies = (devices / width).floor();
            if copies < 1.0 {
                return Err(Wrong(format!("no-fit: a copy is split over {width} devices, and a unit has {devices}")));
            }
            best = match (self.copy(gpu, width), best) {
                (Ok(tokens), Ok((most, split))) if copies * tokens <= most => Ok((most, split)),
                (Ok(tokens), _) => Ok((copies * tokens, width)),
                (Err(_), Ok(best)) => Ok(best),
                (Err(wrong), Err(_)) => Err(wrong),
            };
        }
        let split =
            |width: f64| if matches!(self.work, Work::Served { .. }) { format!(", a copy on {width}") } else { String::new() };
        best.map(|(tokens, width)| (tokens, split(width)))
    }

    /// CU of `devices` such GPUs, and how they were found.
    ///
    /// # Errors
    /// Why they do nothing of it, and what would.
    pub fn worth(&self, gpu: &Gpu, devices: u32) -> Result<(f64, String), Wrong> {
        let what = format!("{} in {}", self.model.name, self.dtype);
        match self.tokens(gpu, f64::from(devices)) {
            Ok((tokens, split)) => {
                Ok((tokens / self.each, format!("{devices} x {} do {tokens:.0} tokens/s of {what}{split}", gpu.name)))
            }
            Err(Wrong(why)) => {
                Err(Wrong(format!("{devices} x {} cannot do {what} ({why}){}", gpu.name, self.instead(gpu, devices))))
            }
        }
    }

    /// What would do it: more of the same, or as many of another GPU whose rates are published.
    fn instead(&self, gpu: &Gpu, devices: u32) -> String {
        let more = WIDTHS.into_iter().find(|more| *more > f64::from(devices) && self.tokens(gpu, *more).is_ok());
        let others = Published::all()
            .iter()
            .filter(|other| Gpu::named(&other.name).is_ok_and(|other| self.tokens(other, f64::from(devices)).is_ok()));
        let others: Vec<&str> = others.map(|other| other.name.as_str()).collect();
        let more = more.map(|more| format!("{more} of them in a unit"));
        let others = (!others.is_empty()).then(|| format!("{devices} x {}", others.join(", ")));
        let both: Vec<String> = more.into_iter().chain(others).collect();
        if both.is_empty() { String::new() } else { format!("; what would: {}", both.join("; or ")) }
    }

    /// Keys of the rates that it takes of a device, where a unit has so many.
    pub fn keys(&self, devices: u32) -> Vec<&'static str> {
        let own = match self.weights {
            Weights::Bf16 => "mm.bf16",
            Weights::Fp8 => "mm.fp8",
            Weights::Fp4 => "mm.fp4",
        };
        let mut keys = vec!["mm.bf16", "hbm.read", own];
        keys.extend((devices > 1 && matches!(self.work, Work::Served { .. })).then_some("link.ar_bw"));
        keys
    }
}

fn named(text: &Text, model: &At<String>, dtype: &At<String>) -> Result<(Model, Weights), Refused> {
    let known = Model::named(model.get_ref()).map_err(|wrong| text.refuse(model, wrong.0))?;
    Ok((known.clone(), Weights::named(dtype.get_ref()).map_err(|wrong| text.refuse(dtype, wrong.0))?))
}

/// CU by month that training takes, and how they were found.
///
/// # Errors
/// When the months are none.
pub fn trained(
    text: &Text,
    horizon: Horizon,
    seconds: f64,
    training: &Training,
    native: &Native,
) -> Result<(Vec<f64>, String), Refused> {
    let tokens = text.within("tokens", &training.tokens, 1.0, 1e18)?;
    let from = training.from.as_ref().map_or(Ok(1), |at| horizon.number(text, at, "from"))?;
    let by = horizon.number(text, &training.by, "by")?;
    if by < from {
        return Err(text.refuse(&training.by, format!("training ends in month {by}, before it begins in month {from}")));
    }
    let months = by - from + 1;
    let units = tokens / native.each / (months as f64 * seconds);
    let path = (1..=horizon.months).map(|month| if (from..=by).contains(&month) { units } else { 0.0 }).collect();
    Ok((path, format!("{tokens:e} tokens in {months} months; {}", native.how)))
}
