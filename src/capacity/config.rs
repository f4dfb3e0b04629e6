//! A model's shape from the fields of its own `config.json`, as published with open models.
//!
//! Parameters are counted from the fields: attention with grouped or latent keys and values, products with or without a gate, experts,
//! tables of inputs and outputs. Norms and biases are left out: together they are below a thousandth.

use super::{KERNELS, Model, Wrong};
use serde_json::{Map, Value};

/// The fields, with those that a config of several parts keeps for its language model.
struct Fields<'a>(&'a Map<String, Value>, Option<&'a Map<String, Value>>);

impl Fields<'_> {
    fn find(&self, names: &[&str]) -> Option<(&str, &Value)> {
        let parts = self.1.into_iter().chain([self.0]);
        let mut all = parts.flat_map(|fields| names.iter().filter_map(|name| fields.get_key_value(*name)));
        all.find(|(_, value)| !value.is_null()).map(|(name, value)| (name.as_str(), value))
    }

    /// A count, under any of its names.
    fn count(&self, names: &[&str]) -> Result<Option<f64>, Wrong> {
        let Some((name, value)) = self.find(names) else { return Ok(None) };
        match value.as_f64().filter(|count| *count >= 0.0 && *count < 1e15 && count.fract() == 0.0) {
            Some(count) => Ok(Some(count)),
            None => Err(Wrong(format!("{name}: {value} is no count"))),
        }
    }

    fn or(&self, names: &[&str], instead: f64) -> Result<f64, Wrong> {
        Ok(self.count(names)?.unwrap_or(instead))
    }

    fn needed(&self, names: &[&str]) -> Result<f64, Wrong> {
        let missing = || Wrong(format!("the model has no {}, which its config.json gives", names[0]));
        self.count(names)?.filter(|count| *count >= 1.0).ok_or_else(missing)
    }

    fn says(&self, name: &str, what: &str) -> bool {
        self.find(&[name]).is_some_and(|(_, value)| value.as_str() == Some(what))
    }
}

/// Experts of a mixture; one for a dense model.
struct Experts {
    routed: f64,
    used: f64,
    shared: f64,
    width: f64,
    /// Layers at the start that have none.
    dense_layers: f64,
}

/// # Errors
/// For a field that is missing or no count.
pub fn model(fields: &Map<String, Value>) -> Result<Model, Wrong> {
    let fields = Fields(fields, fields.get("text_config").and_then(Value::as_object));
    let (width, layers) = (fields.needed(&["hidden_size"])?, fields.needed(&["num_hidden_layers"])?);
    let heads = fields.needed(&["num_attention_heads"])?;
    let vocabulary = fields.needed(&["vocab_size"])?;
    let grouped = fields.or(&["num_key_value_heads"], heads)?;
    let head = fields.or(&["head_dim"], (width / heads).floor())?;
    let (attention, kv_heads, kept) = match fields.count(&["kv_lora_rank"])? {
        Some(latent) => latent_attention(&fields, width, heads, latent)?,
        None => (width * head * (2.0 * heads + 2.0 * grouped), grouped, head),
    };
    let matrices = if gated(&fields) { 3.0 } else { 2.0 };
    let experts = experts(&fields)?;
    let dense = match (fields.count(&["intermediate_size", "ffn_hidden_size", "n_inner"])?, &experts) {
        (Some(inner), _) => matrices * width * inner,
        (None, Some(experts)) => matrices * width * experts.width,
        (None, None) => matrices * width * 4.0 * width,
    };
    let table = vocabulary * width;
    let tied = fields.find(&["tie_word_embeddings"]).is_some_and(|(_, value)| value.as_bool() == Some(true));
    let tables = if tied { table } else { 2.0 * table };
    let (all, touched) = match &experts {
        None => (layers * dense, layers * dense),
        Some(Experts { routed, used, shared, width: inner, dense_layers }) => {
            let (one, router) = (matrices * width * inner, width * routed);
            let sparse = (layers - dense_layers).max(0.0);
            let of = |experts: f64| dense_layers * dense + sparse * ((experts + shared) * one + router);
            (of(*routed), of(*used))
        }
    };
    let (experts, used) = experts.map_or((1.0, 1.0), |experts| (experts.routed, experts.used));
    Ok(Model {
        name: "own".into(),
        parameters: layers * attention + all + tables,
        active: layers * attention + touched + tables,
        vocabulary,
        width,
        layers,
        heads,
        kv_heads,
        head: kept,
        experts,
        used,
        // As Llama's: which norms a model has is not among the fields that are asked for.
        kernels: KERNELS,
        tied: if tied { 1.0 } else { 0.0 },
    })
}

/// Parameters of a layer's latent attention, and what stands for its heads (DeepSeek-V2, arXiv 2405.04434): a score multiplies by another
/// length than an answer, on average by the second figure's; the first is how many heads of that length twice make the cache, which is
/// one latent and a positional part for keys and values together.
fn latent_attention(fields: &Fields, width: f64, heads: f64, latent: f64) -> Result<(f64, f64, f64), Wrong> {
    let (positional, plain) = (fields.needed(&["qk_rope_head_dim"])?, fields.needed(&["qk_nope_head_dim"])?);
    let value = fields.needed(&["v_head_dim"])?;
    let queries = heads * (positional + plain);
    let asked = match fields.count(&["q_lora_rank"])?.filter(|rank| *rank > 0.0) {
        Some(rank) => width * rank + rank * queries,
        None => width * queries,
    };
    let answered = width * (latent + positional) + latent * heads * (plain + value);
    let head = f64::midpoint(positional + plain, value);
    Ok((asked + answered + heads * value * width, (latent + positional) / (2.0 * head), head))
}

/// Two products and a gate, but for the activations of the models that have none.
fn gated(fields: &Fields) -> bool {
    !["gelu", "gelu_new", "gelu_fast", "relu", "quick_gelu"].iter().any(|plain| fields.says("hidden_act", plain))
}

fn experts(fields: &Fields) -> Result<Option<Experts>, Wrong> {
    let routed = fields.or(&["num_experts", "num_local_experts", "n_routed_experts"], 1.0)?;
    if routed <= 1.0 {
        return Ok(None);
    }
    let used = fields.needed(&["num_experts_per_tok", "num_experts_per_token", "experts_per_token"])?;
    if used > routed {
        return Err(Wrong(format!("num_experts_per_tok: {used} of {routed} experts")));
    }
    Ok(Some(Experts {
        routed,
        used,
        shared: fields.or(&["n_shared_experts"], 0.0)?,
        width: fields.needed(&["moe_intermediate_size", "intermediate_size"])?,
        dense_layers: fields.or(&["first_k_dense_replace"], 0.0)?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Model, Wrong> {
        let Value::Object(fields) = serde_json::from_str(text).expect("JSON") else { panic!("an object") };
        model(&fields)
    }

    const LLAMA: &str = r#"{"model_type": "llama", "hidden_act": "silu", "hidden_size": 8192, "intermediate_size": 28672,
        "num_hidden_layers": 80, "num_attention_heads": 64, "num_key_value_heads": 8, "vocab_size": 128256, "rope_theta": 500000.0}"#;
    const QWEN: &str = r#"{"hidden_act": "silu", "hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 94,
        "num_attention_heads": 64, "num_key_value_heads": 4, "head_dim": 128, "vocab_size": 151936, "num_experts": 128,
        "num_experts_per_tok": 8, "moe_intermediate_size": 1536, "tie_word_embeddings": false}"#;
    const DEEPSEEK: &str = r#"{"hidden_act": "silu", "hidden_size": 7168, "intermediate_size": 18432, "num_hidden_layers": 61,
        "num_attention_heads": 128, "num_key_value_heads": 128, "vocab_size": 129280, "n_routed_experts": 256,
        "num_experts_per_tok": 8, "moe_intermediate_size": 2048, "n_shared_experts": 1, "first_k_dense_replace": 3,
        "kv_lora_rank": 512, "q_lora_rank": 1536, "qk_rope_head_dim": 64, "qk_nope_head_dim": 128, "v_head_dim": 128}"#;

    #[test]
    fn counts_are_those_that_the_models_are_published_with() {
        for (text, name) in [(LLAMA, "llama-3-70b"), (QWEN, "qwen3-235b-a22b"), (DEEPSEEK, "deepseek-v3")] {
            let (own, shipped) = (of(text).expect("whole"), Model::named(name).expect("shipped"));
            assert!((own.parameters / shipped.parameters - 1.0).abs() < 2e-3, "{name}: {}", own.parameters);
            assert!((own.active / shipped.active - 1.0).abs() < 2e-2, "{name}: {}", own.active);
        }
        let (own, shipped) = (of(DEEPSEEK).expect("whole"), Model::named("deepseek-v3").expect("shipped"));
        assert!((own.kept() / (61.0 * 576.0) - 1.0).abs() < 1e-12 && own.kept() == shipped.kept());
        // Of a prompt: half of 128 heads' products of 192 for scores and 128 for answers, at two operations each.
        let scores = 61.0 * 128.0 * (192.0 + 128.0) * 1e6;
        assert!(
            (own.prefill_flops(1e3).1 / scores - 1.0).abs() < 1e-12 && shipped.prefill_flops(1e3).1 == own.prefill_flops(1e3).1
        );
        assert_eq!(of(LLAMA).expect("whole").kept(), 2.0 * 80.0 * 8.0 * 128.0);
    }

    #[test]
    fn a_table_that_is_shared_counts_once_in_memory_and_is_still_multiplied() {
        let tied = of(&LLAMA.replace("\"rope_theta\"", "\"tie_word_embeddings\": true, \"rope_theta\"")).expect("whole");
        let apart = of(LLAMA).expect("whole");
        assert_eq!(apart.parameters - tied.parameters, 128_256.0 * 8192.0);
        assert_eq!(tied.multiplied(), apart.multiplied());
    }

    #[test]
    fn a_field_that_is_missing_or_none_is_named() {
        let without = |name: &str| of(&LLAMA.replace(name, "other")).unwrap_err().0;
        assert!(without("num_hidden_layers").contains("num_hidden_layers") && without("vocab_size").contains("vocab_size"));
        assert!(of(&LLAMA.replace("80,", "-80,")).unwrap_err().0.contains("num_hidden_layers: -80"));
        assert!(of(&QWEN.replace("\"num_experts_per_tok\": 8", "\"num_experts_per_tok\": 800")).unwrap_err().0.contains("of 128"));
    }
}
