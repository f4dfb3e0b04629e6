//! Phases of the classes that stand for a model's work, from its shape: the formulas of `docs/units.md`, counted for one device of
//! `width` that split the model evenly.

use super::{
    Model, Weights, Wrong,
    basis::{Batch, Class, Overlap, Phase, Vector},
};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Bytes a parameter that an optimiser moves in a step: mixed precision Adam, two moments and a master copy read and written in
/// part, as in ZeRO (arXiv 1910.02054), rounded.
const OPTIMISER: f64 = 18.0;
/// Bytes of a value that passes between devices which split a layer: activations stay in 16 bits.
const PASSED: f64 = 2.0;
/// Sums over the devices that split a model, in each layer: after attention and after the products.
const SUMS: f64 = 2.0;

fn one() -> f64 {
    1.0
}

/// A class as it is written down, its model `M` by name, or however a person gives it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written<M> {
    pub name: String,
    pub item: String,
    #[serde(default)]
    pub portable: bool,
    /// What stands in for a rate that a device cannot have.
    #[serde(default)]
    pub instead: BTreeMap<String, String>,
    pub work: Work<M>,
}

/// Phases as they are, or a model whose shape gives them.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Work<M> {
    Phases(Vec<Phase>),
    Train {
        model: M,
        dtype: String,
        length: f64,
        step: f64,
    },
    Prefill {
        model: M,
        dtype: String,
        length: f64,
        #[serde(default = "one")]
        width: f64,
    },
    Decode {
        model: M,
        dtype: String,
        batch: f64,
        context: f64,
        #[serde(default = "one")]
        width: f64,
    },
    Serve {
        model: M,
        dtype: String,
        prompt: f64,
        answer: f64,
        batch: f64,
        #[serde(default = "one")]
        width: f64,
    },
    Encode {
        model: M,
        dtype: String,
        length: f64,
        batch: f64,
    },
}

impl<M> Work<M> {
    /// The model that it is of, where it is of one.
    pub fn model(&self) -> Option<&M> {
        match self {
            Self::Phases(_) => None,
            Self::Train { model, .. }
            | Self::Prefill { model, .. }
            | Self::Decode { model, .. }
            | Self::Serve { model, .. }
            | Self::Encode { model, .. } => Some(model),
        }
    }

    /// Its numbers by name, for who checks them.
    pub fn numbers(&self) -> Vec<(&'static str, f64)> {
        match self {
            Self::Phases(_) => Vec::new(),
            Self::Train { length, step, .. } => vec![("length", *length), ("step", *step)],
            Self::Prefill { length, width, .. } => vec![("length", *length), ("width", *width)],
            Self::Decode { batch, context, width, .. } => vec![("batch", *batch), ("context", *context), ("width", *width)],
            Self::Serve { prompt, answer, batch, width, .. } => {
                vec![("prompt", *prompt), ("answer", *answer), ("batch", *batch), ("width", *width)]
            }
            Self::Encode { length, batch, .. } => vec![("length", *length), ("batch", *batch)],
        }
    }
}

fn amounts<const N: usize>(of: [(&str, f64); N]) -> Vector {
    of.into_iter().map(|(key, amount)| (key.to_owned(), amount)).collect()
}

fn phase(name: &str, amounts: Vector, shared: Vector) -> Phase {
    Phase { name: name.into(), overlap: Overlap::Max, amounts, shared }
}

/// A model in a format, split over `width` devices: what all formulas take.
struct Shape<'a> {
    model: &'a Model,
    weights: Weights,
    /// Key of its products' rate.
    products: String,
    width: f64,
}

impl<'a> Shape<'a> {
    fn new(model: &'a Model, dtype: &str, width: f64) -> Result<Self, Wrong> {
        Ok(Self { model, weights: Weights::named(dtype)?, products: format!("mm.{dtype}"), width })
    }

    /// Bytes of the weights that `batch` tokens touch: all of them, unless experts are left out by every token.
    fn touched(&self, batch: f64) -> f64 {
        let Model { parameters, active, experts, used, .. } = self.model;
        let left_out = if *experts > 1.0 {
            let kept_away = 1.0 - used / experts;
            (parameters - active) / kept_away * kept_away.powf(batch)
        } else {
            0.0
        };
        (parameters - left_out) * self.weights.bytes() / self.width
    }

    fn bytes(&self) -> f64 {
        self.model.parameters * self.weights.bytes() / self.width
    }

    /// Bytes of cache that a token leaves: by the definition two a value beside weights of 16 bits, else one, whatever an engine does.
    fn kept(&self) -> f64 {
        self.model.kept() * if self.weights == Weights::Bf16 { 2.0 } else { 1.0 } / self.width
    }

    fn batch(&self, least: f64, most: f64, tokens: f64) -> Batch {
        Batch { least, most, weights: self.bytes(), each: self.kept() * tokens }
    }

    /// Sums over the devices that split the model: what passes the link of one for `tokens`.
    fn passed(&self, tokens: f64) -> Vector {
        let each = 2.0 * (self.width - 1.0) / self.width * PASSED * self.model.width;
        amounts([("link.ar_bw", SUMS * self.model.layers * each * tokens)])
    }

    /// And how often a device waits for the others.
    fn waits(&self, times: f64) -> Vector {
        amounts([("link.ar_lat", SUMS * self.model.layers * times)])
    }

    fn train(&self, length: f64, step: f64) -> Vec<Phase> {
        let dense = 6.0 * self.model.multiplied();
        let moved = OPTIMISER * self.model.multiplied() / step;
        let scores = self.model.training_flops(length) - dense;
        vec![
            phase("products", amounts([(&self.products, dense), ("hbm.triad", moved)]), Vector::new()),
            phase("attention", amounts([("mm.bf16", scores)]), Vector::new()),
        ]
    }

    /// Reading one prompt, `share` of it to an item.
    fn prefill(&self, length: f64, share: f64) -> Vec<Phase> {
        let (dense, scores) = self.model.prefill_flops(length);
        let (dense, scores) = (dense / self.width, scores / self.width);
        let products = amounts([(&self.products, dense * share), ("hbm.read", self.touched(length) * share)]);
        let mut phases = vec![
            phase("prompt", products, Vector::new()),
            phase("prompt attention", amounts([("mm.bf16", scores * share)]), Vector::new()),
        ];
        if self.width > 1.0 {
            let all = self.passed(length * share).into_iter().chain(self.waits(share)).collect();
            phases.push(phase("prompt sums", all, Vector::new()));
        }
        phases
    }

    /// A token of each of a `batch`: products, attention over `context` tokens, and the chain of kernels of all layers.
    fn decode(&self, context: f64, batch: f64, kernels: f64) -> Vec<Phase> {
        let Self { model, products, width, .. } = self;
        let scores = 4.0 * model.layers * model.heads * model.head * context / width;
        let dense = amounts([(products, 2.0 * model.multiplied() / width)]);
        let mut attention = phase("attention", amounts([("mm.bf16", scores), ("hbm.read", self.kept() * context)]), Vector::new());
        attention.shared = amounts([("launch.dep", kernels * model.layers)]);
        let mut phases = vec![phase("products", dense, amounts([("hbm.read", self.touched(batch))])), attention];
        if *width > 1.0 {
            phases.push(phase("sums", self.passed(1.0), self.waits(1.0)));
        }
        phases
    }

    /// A batch of sequences through an encoder, whose attention looks both ways and which has no table of outputs.
    fn encode(&self, length: f64, batch: f64) -> Vec<Phase> {
        let Self { model, products, .. } = self;
        let dense = 2.0 * model.multiplied() * length * batch;
        let scores = 4.0 * model.layers * model.heads * model.head * length * length * batch;
        vec![
            phase("products", amounts([(products, dense), ("hbm.read", self.bytes())]), Vector::new()),
            phase("attention", amounts([("mm.bf16", scores)]), Vector::new()),
        ]
    }
}

impl<M> Written<M> {
    /// The class, with `find` to get its model; `kernels` a layer wait for each other.
    ///
    /// # Errors
    /// For a model or a format that is not known.
    pub fn resolved<'a>(&self, kernels: f64, find: impl Fn(&M) -> Result<&'a Model, Wrong>) -> Result<Class, Wrong> {
        let shape = |model: &M, dtype: &str, width: f64| Shape::new(find(model)?, dtype, width);
        let modelled = !matches!(self.work, Work::Phases(_));
        let (phases, batch, width) = match &self.work {
            Work::Phases(phases) => (phases.clone(), None, 1.0),
            Work::Train { model, dtype, length, step } => (shape(model, dtype, 1.0)?.train(*length, *step), None, 1.0),
            Work::Prefill { model, dtype, length, width } => {
                let shape = shape(model, dtype, *width)?;
                (shape.prefill(*length, 1.0), Some(shape.batch(1.0, 1.0, *length)), *width)
            }
            Work::Decode { model, dtype, batch, context, width } => {
                let shape = shape(model, dtype, *width)?;
                (shape.decode(*context, *batch, kernels), Some(shape.batch(*batch, *batch, *context)), *width)
            }
            Work::Serve { model, dtype, prompt, answer, batch, width } => {
                let shape = shape(model, dtype, *width)?;
                let mut phases = shape.decode(prompt + answer / 2.0, *batch, kernels);
                phases.extend(shape.prefill(*prompt, 1.0 / answer));
                (phases, Some(shape.batch(1.0, *batch, prompt + answer)), *width)
            }
            Work::Encode { model, dtype, length, batch } => (shape(model, dtype, 1.0)?.encode(*length, *batch), None, 1.0),
        };
        let Self { name, item, portable, instead, .. } = self;
        let (name, item, instead) = (name.clone(), item.clone(), instead.clone());
        Ok(Class { name, item, portable: *portable, modelled, width: width as usize, instead, batch, phases })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(work: Work<String>) -> Class {
        let written = Written { name: "x".into(), item: "token".into(), portable: false, instead: BTreeMap::new(), work };
        written.resolved(40.0, |name| Model::named(name)).expect("known")
    }

    fn decode(model: &str, batch: f64, width: f64) -> Class {
        class(Work::Decode { model: model.into(), dtype: "fp8".into(), batch, context: 1000.0, width })
    }

    #[test]
    fn a_model_that_is_split_takes_its_share_of_each_device_and_the_link() {
        let (whole, half) = (decode("llama-3-70b", 8.0, 1.0), decode("llama-3-70b", 8.0, 2.0));
        assert_eq!(2.0 * half.phases[0].amounts["mm.fp8"], whole.phases[0].amounts["mm.fp8"]);
        assert_eq!(2.0 * half.phases[1].amounts["hbm.read"], whole.phases[1].amounts["hbm.read"]);
        assert_eq!(half.phases[1].shared["launch.dep"], whole.phases[1].shared["launch.dep"]);
        // 80 layers, two sums each; of 8192 values of two bytes 2 (2 - 1) / 2 pass the link.
        assert_eq!((half.phases[2].shared["link.ar_lat"], half.phases[2].amounts["link.ar_bw"]), (160.0, 160.0 * 2.0 * 8192.0));
        assert_eq!((whole.phases.len(), half.width), (2, 2));
        assert_eq!(whole.batch_in(80e9), Some(8.0));
        assert_eq!((whole.batch_in(70e9), half.batch_in(45e9)), (None, Some(8.0)));
    }

    #[test]
    fn one_token_touches_its_experts_and_many_touch_all() {
        let model = Model::named("qwen3-235b-a22b").expect("known");
        let touched = |batch| decode("qwen3-235b-a22b", batch, 1.0).phases[0].shared["hbm.read"];
        assert!((touched(1.0) / model.active - 1.0).abs() < 1e-9, "{}", touched(1.0));
        assert!((touched(4096.0) / model.parameters - 1.0).abs() < 1e-9);
        assert!(touched(8.0) > 3.0 * model.active && touched(8.0) < model.parameters);
    }
}
