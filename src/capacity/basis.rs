//! What a capacity unit is of: classes of work as data, the reference that one unit is measured by, and which workload feeds a rate.
//!
//! A class is a list of phases; a phase has amounts an item of several resources, which overlap (`max`) or do not (`sum`). Resources
//! that are times, such as a dependent launch, always add. Amounts of models follow from their shapes by published formulas.

use super::{Model, Weights, Wrong};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, sync::LazyLock};

/// Rates by key, each in the key's own unit.
pub type Vector = BTreeMap<String, f64>;

/// Keys that are seconds: more is worse, and they add whatever else overlaps.
const TIMES: [&str; 2] = ["launch.dep", "link.ar_lat"];
/// Share of memory that weights and cache may take.
const USABLE: f64 = 0.9;
/// Bytes a parameter that an optimiser moves in a step: mixed precision Adam, two moments and a master copy read and written in
/// part, as in ZeRO (arXiv 1910.02054), rounded.
const OPTIMISER: f64 = 18.0;

#[must_use]
pub fn is_time(key: &str) -> bool {
    TIMES.contains(&key)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overlap {
    Max,
    Sum,
}

/// A stretch of a class's work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    pub name: String,
    pub overlap: Overlap,
    /// An item's own: operations, bytes, or a count of what takes a fixed time.
    #[serde(default)]
    pub amounts: Vector,
    /// What a whole batch shares, such as reading the weights once.
    #[serde(default, skip_serializing_if = "Vector::is_empty")]
    pub shared: Vector,
}

/// How many items at a time, and what they need of memory.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Batch {
    pub least: f64,
    pub most: f64,
    /// Bytes whatever the batch.
    pub weights: f64,
    /// Bytes an item of the batch.
    pub each: f64,
}

/// A class of work, resolved to its phases.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Class {
    pub name: String,
    pub item: String,
    /// Rates of any backend count; else those of CUDA alone.
    pub portable: bool,
    /// Its amounts stand for a model's work, so that a ratio of two devices has an error beyond that of the rates.
    pub modelled: bool,
    pub batch: Option<Batch>,
    pub phases: Vec<Phase>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    pub name: String,
    pub provisional: bool,
    pub why: String,
    pub rates: Vector,
}

/// Standard deviation of the logarithm of a modelled ratio, by whether the device is of the reference's generation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Structural {
    pub generation: String,
    pub same: f64,
    pub other: f64,
}

/// Which workload a rate comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    pub key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dtype: Option<String>,
    /// Begin of the workload's id.
    pub workloads: String,
    /// The same where a device has none of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead: Option<String>,
    /// Coefficient of variation beyond which the rate is no unit's.
    pub variation: f64,
    /// The best of them, a ceiling; else the one that is sustained.
    #[serde(default)]
    pub best: bool,
}

/// Everything that a figure in units depends on besides the rates.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Definition {
    pub version: String,
    pub reference: Reference,
    pub structural: Structural,
    pub sources: Vec<Source>,
    pub classes: Vec<Class>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: String,
    reference: Reference,
    kernels_a_layer: f64,
    structural: Structural,
    sources: Vec<Source>,
    classes: Vec<WrittenClass>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenClass {
    name: String,
    item: String,
    #[serde(default)]
    portable: bool,
    work: Work,
}

/// Phases as they are, or a model whose shape gives them.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Work {
    Phases(Vec<Phase>),
    Train { model: String, dtype: String, length: f64, step: f64 },
    Prefill { model: String, dtype: String, length: f64 },
    Decode { model: String, dtype: String, batch: f64, context: f64 },
    Serve { model: String, dtype: String, prompt: f64, answer: f64, batch: f64 },
    Encode { model: String, dtype: String, length: f64, batch: f64 },
}

/// The definition that is shipped, `cu/1`.
#[must_use]
pub fn definition() -> &'static Definition {
    static SHIPPED: LazyLock<Definition> = LazyLock::new(|| {
        let written: Written = serde_json::from_str(include_str!("cu-1.json")).expect("a shipped definition is whole");
        let kernels = written.kernels_a_layer;
        let classes = written.classes.into_iter().map(|class| class.resolved(kernels).expect("a shipped class closes")).collect();
        let Written { version, reference, structural, sources, .. } = written;
        Definition { version, reference, structural, sources, classes }
    });
    &SHIPPED
}

impl Definition {
    /// SHA-256 of all that a figure depends on, shapes of models included.
    ///
    /// # Panics
    /// Never: the definition is plain data.
    #[must_use]
    pub fn hash(&self) -> String {
        let text = serde_json::to_string(self).expect("plain data");
        Sha256::digest(text.as_bytes()).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }

    /// # Errors
    /// When there is no class of that name.
    pub fn class(&self, name: &str) -> Result<&Class, Wrong> {
        self.classes.iter().find(|class| class.name == name).ok_or_else(|| {
            let names: Vec<&str> = self.classes.iter().map(|class| class.name.as_str()).collect();
            Wrong(format!("--class {name}: {} has no such class; there are {}", self.version, names.join(", ")))
        })
    }
}

impl Class {
    /// Items at a time in `memory` bytes; none where not even the least fit.
    #[must_use]
    pub fn batch_in(&self, memory: f64) -> Option<f64> {
        let Some(batch) = self.batch else { return Some(1.0) };
        let room = ((USABLE * memory - batch.weights) / batch.each).floor();
        (room >= batch.least).then(|| room.min(batch.most))
    }

    /// Keys that its time depends on.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.phases.iter().flat_map(|phase| phase.amounts.keys().chain(phase.shared.keys())).map(String::as_str)
    }
}

fn amounts<const N: usize>(of: [(&str, f64); N]) -> Vector {
    of.into_iter().map(|(key, amount)| (key.to_owned(), amount)).collect()
}

fn phase(name: &str, amounts: Vector, shared: Vector) -> Phase {
    Phase { name: name.into(), overlap: Overlap::Max, amounts, shared }
}

/// A model in a format: what all formulas take.
struct Shape {
    model: &'static Model,
    weights: Weights,
    /// Key of its products' rate.
    products: String,
}

impl Shape {
    fn named(model: &str, dtype: &str) -> Result<Self, Wrong> {
        Ok(Self { model: Model::named(model)?, weights: Weights::named(dtype)?, products: format!("mm.{dtype}") })
    }

    fn bytes(&self) -> f64 {
        self.model.parameters * self.weights.bytes()
    }

    /// Bytes of cache that a token leaves: by the definition two a value beside weights of 16 bits, else one, whatever an engine does.
    fn kept(&self) -> f64 {
        self.model.kept() * if self.weights == Weights::Bf16 { 2.0 } else { 1.0 }
    }

    fn batch(&self, least: f64, most: f64, tokens: f64) -> Batch {
        Batch { least, most, weights: self.bytes(), each: self.kept() * tokens }
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
        let products = amounts([(&self.products, dense * share), ("hbm.read", self.bytes() * share)]);
        vec![
            phase("prompt", products, Vector::new()),
            phase("prompt attention", amounts([("mm.bf16", scores * share)]), Vector::new()),
        ]
    }

    /// A token of each of a batch: products, attention over `context` tokens, and the chain of kernels of all layers.
    fn decode(&self, context: f64, kernels: f64) -> Vec<Phase> {
        let Self { model, products, .. } = self;
        let scores = 4.0 * model.layers * model.heads * model.head * context;
        let dense = amounts([(products, 2.0 * model.multiplied())]);
        let mut attention = phase("attention", amounts([("mm.bf16", scores), ("hbm.read", self.kept() * context)]), Vector::new());
        attention.shared = amounts([("launch.dep", kernels * model.layers)]);
        vec![phase("products", dense, amounts([("hbm.read", self.bytes())])), attention]
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

impl WrittenClass {
    fn resolved(self, kernels: f64) -> Result<Class, Wrong> {
        let modelled = !matches!(self.work, Work::Phases(_));
        let (phases, batch) = match &self.work {
            Work::Phases(phases) => (phases.clone(), None),
            Work::Train { model, dtype, length, step } => (Shape::named(model, dtype)?.train(*length, *step), None),
            Work::Prefill { model, dtype, length } => {
                let shape = Shape::named(model, dtype)?;
                (shape.prefill(*length, 1.0), Some(shape.batch(1.0, 1.0, *length)))
            }
            Work::Decode { model, dtype, batch, context } => {
                let shape = Shape::named(model, dtype)?;
                (shape.decode(*context, kernels), Some(shape.batch(*batch, *batch, *context)))
            }
            Work::Serve { model, dtype, prompt, answer, batch } => {
                let shape = Shape::named(model, dtype)?;
                let mut phases = shape.decode(prompt + answer / 2.0, kernels);
                phases.extend(shape.prefill(*prompt, 1.0 / answer));
                (phases, Some(shape.batch(1.0, *batch, prompt + answer)))
            }
            Work::Encode { model, dtype, length, batch } => (Shape::named(model, dtype)?.encode(*length, *batch), None),
        };
        Ok(Class { name: self.name, item: self.item, portable: self.portable, modelled, batch, phases })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_frozen() {
        // Another hash is another definition: give it another version, and leave this one as it is.
        assert_eq!(definition().hash(), "626904b1e9346476a5a707e3509e14865b3091a512d080534aef7ac7cbea34da");
    }

    #[test]
    fn every_class_closes_over_the_reference_and_over_what_can_be_measured() {
        for class in &definition().classes {
            for key in class.keys() {
                assert!(definition().reference.rates.contains_key(key), "{}: {key}", class.name);
                assert!(definition().sources.iter().any(|source| source.key == key), "{}: {key}", class.name);
            }
        }
        assert!(definition().class("decode").unwrap_err().0.contains("decode-lat"));
    }

    #[test]
    fn amounts_of_a_step_are_those_of_the_formulas() {
        let class = definition().class("decode-bf16-b64").expect("shipped");
        let [products, attention] = class.phases.as_slice() else { panic!("two phases") };
        // Llama-3 8B by hand: all but the input table of 128256 x 4096, twice; 32 layers of 8 heads of 128, keys and values.
        assert_eq!(products.amounts["mm.bf16"], 2.0 * (8.03e9 - 128_256.0 * 4096.0));
        assert_eq!((products.shared["hbm.read"], attention.shared["launch.dep"]), (16.06e9, 1280.0));
        assert_eq!(attention.amounts["hbm.read"], 2.0 * 32.0 * 8.0 * 128.0 * 2.0 * 2048.0);
        assert_eq!(class.batch_in(80e9), Some(64.0));
        assert_eq!(class.batch_in(24e9), None);
        assert_eq!(definition().class("serve-chat").expect("shipped").batch_in(40e9), Some(76.0));
    }
}
