//! Shapes of models as a table, and the names that people give them.

use super::{TRAINING, Wrong};
use serde::Deserialize;
use std::sync::LazyLock;

const MODELS: &str = include_str!("models.csv");
/// Beyond this factor in parameters no shape is taken for another's.
const MOST_SCALED: f64 = 3.0;

/// Shape of a decoder-only transformer, by the fields of its published `config.json`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Model {
    pub name: String,
    pub parameters: f64,
    /// Parameters that one token is multiplied by; fewer than all in a mixture of experts.
    pub active: f64,
    pub vocabulary: f64,
    pub width: f64,
    pub layers: f64,
    pub heads: f64,
    pub kv_heads: f64,
    pub head: f64,
    pub experts: f64,
    pub used: f64,
    /// Dependent kernels of a layer in a decode step, as engines fuse them; more where queries and keys are normalised.
    pub kernels: f64,
    /// 1 where the table of inputs is that of outputs as well, else 0.
    pub tied: f64,
}

/// Kernels of a layer of Llama: norm, projection, rotation, cache, attention, its output, norm, up, activation, down.
pub const KERNELS: f64 = 10.0;

impl Model {
    /// Parameters multiplied per token: all but the input table, which is a gather; all where that table gives the outputs, too.
    #[must_use]
    pub fn multiplied(&self) -> f64 {
        self.active - self.vocabulary * self.width * (1.0 - self.tied)
    }

    /// Keys and values that one token leaves in all layers, for one byte a value.
    #[must_use]
    pub fn kept(&self) -> f64 {
        2.0 * self.layers * self.kv_heads * self.head
    }

    /// Operations to train on one token of a sequence of `length`: `6 P + 6 L H d s`, attention causal.
    #[must_use]
    pub fn training_flops(&self, length: f64) -> f64 {
        6.0 * self.multiplied() + 6.0 * self.layers * self.heads * self.head * length
    }

    /// Tokens a second that are trained on at `rate` operations a second of products, faults left out.
    #[must_use]
    pub fn training_rate(&self, rate: f64, length: f64) -> f64 {
        TRAINING * rate / self.training_flops(length)
    }

    /// Operations to read a prompt of `length`, its last token alone through the output table.
    #[must_use]
    pub fn prefill_flops(&self, length: f64) -> (f64, f64) {
        let table = self.vocabulary * self.width;
        let dense = 2.0 * (self.multiplied() - table).max(0.0) * length + 2.0 * table;
        (dense, 2.0 * self.layers * self.heads * self.head * length * length)
    }

    /// Parameters of which at least one of `tokens` takes part in a product, if each token takes its experts at random.
    #[must_use]
    pub fn touched(&self, tokens: f64) -> f64 {
        let share = self.used / self.experts;
        if share >= 1.0 {
            return self.parameters;
        }
        let expert = (self.parameters - self.active) / (1.0 - share);
        self.parameters - expert * (1.0 - share).powf(tokens)
    }

    #[must_use]
    pub fn mixture(&self) -> bool {
        self.experts > 1.0
    }

    /// # Errors
    /// When no table of ours has that model.
    pub fn named(name: &str) -> Result<&'static Self, Wrong> {
        let wanted = family(name);
        Self::all().iter().find(|model| family(&model.name) == wanted).ok_or_else(|| {
            Wrong(format!("model `{name}` is not in the table of shapes; give its config.json fields in a class of your own"))
        })
    }

    #[must_use]
    pub fn all() -> &'static [Self] {
        static TABLE: LazyLock<Vec<Model>> = LazyLock::new(|| table(MODELS));
        &TABLE
    }

    /// A dense decoder of that many parameters, shaped as the nearest that is known, by an equal factor in depth and width: depth, width
    /// twice, make the cube. For a model of which nothing but its size is told.
    #[must_use]
    pub fn sized(name: &str, parameters: f64) -> Option<Self> {
        let off = |model: &&Self| (model.parameters / parameters).ln().abs();
        let decoders =
            Self::all().iter().filter(|model| !model.mixture() && model.kv_heads < model.heads && model.vocabulary > 0.0);
        let near = decoders.min_by(|a, b| off(a).total_cmp(&off(b)))?;
        let factor = (parameters / near.parameters).cbrt();
        (off(&near) < MOST_SCALED.ln()).then(|| Self {
            name: format!("{name} (shaped as {})", near.name),
            parameters,
            active: parameters,
            layers: (near.layers * factor).round(),
            width: (near.width * factor).round(),
            heads: (near.heads * factor).round(),
            ..near.clone()
        })
    }
}

fn table(text: &str) -> Vec<Model> {
    csv::Reader::from_reader(text.as_bytes()).into_deserialize().map(|row| row.expect("a shipped table is whole")).collect()
}

/// A model's family and sizes without what does not change its shape: owner, tuning, dtype, minor version of Llama 3.
fn family(name: &str) -> (String, Vec<String>) {
    const IDLE: &[&str] =
        &["meta", "instruct", "it", "base", "chat", "hf", "bf16", "fp16", "fp8", "fp4", "nvfp4", "mxfp4", "dense"];
    let name = name.to_ascii_lowercase();
    let name = name.rsplit('/').next().unwrap_or_default();
    let (mut words, mut sizes) = (String::new(), Vec::new());
    for word in name.split(['-', '_', ' ']).filter(|word| !IDLE.contains(word)) {
        let size = word.strip_suffix('b').is_some_and(|rest| rest.trim_start_matches('a').parse::<f64>().is_ok());
        let edition = word.starts_with("v0") || word.len() == 4 && word.parse::<u32>().is_ok();
        if size {
            sizes.push(word.to_owned());
        } else if !edition {
            words.push_str(&word.replace('.', ""));
        }
    }
    if words.starts_with("llama3") {
        words = "llama3".into();
    }
    (words, sizes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_model_lead_to_one_shape() {
        for name in ["llama33-70b", "meta-llama/Llama-3.1-70B-Instruct", "Llama-3-70B", "llama31-70b-fp8"] {
            assert_eq!(Model::named(name).expect("known").name, "llama-3-70b", "{name}");
        }
        assert_eq!(Model::named("qwen3-235b-a22b").expect("known").layers, 94.0);
        assert!(Model::named("llama9-1t").is_err() && Model::named("qwen3-33b").is_err());
    }

    #[test]
    fn parameters_follow_from_the_published_sizes() {
        // Feed-forward width of each config.json: attention, three matrices of the feed-forward, and the tables.
        for (name, hidden) in [
            ("llama-3-8b", 14_336.0),
            ("llama-3-70b", 28_672.0),
            ("llama-3-405b", 53_248.0),
            ("qwen3-32b", 25_600.0),
            ("qwen3-4b", 9_728.0),
            ("llama-3.2-3b", 8_192.0),
            ("qwen2.5-14b", 13_824.0),
            ("qwen3-0.6b", 3_072.0),
            ("qwen3-1.7b", 6_144.0),
            ("llama-3.2-1b", 8_192.0),
            ("llama-2-7b", 11_008.0),
            ("llama-2-13b", 13_824.0),
            ("llama-2-70b", 28_672.0),
            ("mistral-7b", 14_336.0),
            ("mistral-nemo-12b", 14_336.0),
            ("mistral-small-24b", 32_768.0),
            ("mistral-large-123b", 28_672.0),
        ] {
            let m = Model::named(name).expect("known");
            let layer = m.width * m.head * (2.0 * m.heads + 2.0 * m.kv_heads) + 3.0 * m.width * hidden;
            let all = m.layers * layer + (2.0 - m.tied) * m.vocabulary * m.width;
            assert!((all / m.parameters - 1.0).abs() < 1e-3, "{name}: {all}");
        }
        // An encoder's feed-forward has two matrices and no gate, and there is one table; positions and its head are half a percent.
        let m = Model::named("encoder-335m").expect("known");
        let all = m.layers * (4.0 * m.width * m.width + 2.0 * m.width * 4_096.0) + m.vocabulary * m.width;
        assert!((all / m.parameters - 1.0).abs() < 6e-3, "{all}");
    }

    #[test]
    fn a_mixture_touches_more_experts_the_more_tokens_there_are() {
        let model = Model::named("qwen3-30b-a3b").expect("known");
        assert!((model.touched(1.0) / model.active - 1.0).abs() < 1e-12 && model.touched(1e4) > 0.999 * model.parameters);
        let dense = Model::named("llama-3-8b").expect("known");
        assert_eq!(dense.touched(1.0), dense.parameters);
    }

    #[test]
    fn a_model_of_which_only_the_size_is_known_has_a_shape_between_its_neighbours() {
        let found = Model::sized("other-50b", 50e9).expect("a neighbour");
        assert!((64.0..=80.0).contains(&found.layers) && (5120.0..=8192.0).contains(&found.width), "{found:?}");
        assert!(Model::sized("vast", 1e13).is_none());
    }

    #[test]
    fn counted_operations_are_those_that_were_published() {
        // Tokens a second and GPU, and TFLOP/s of the model: NVIDIA Megatron-Bridge, performance summary.
        for (name, tokens, published) in
            [("llama-3-8b", 14_451.0, 744.0), ("llama-3-70b", 1602.0, 719.0), ("llama-3-405b", 292.0, 737.0)]
        {
            let found = Model::named(name).expect("known").training_flops(8192.0) * tokens / 1e12;
            // Tokens are published in whole, so that the product is known to three digits.
            assert!((found - published).abs() < 1e-3 * published, "{name}: {found}");
        }
    }
}
