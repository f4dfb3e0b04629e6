//! Serving in its own units: time per output token, tokens per second, from rates and the constants of an engine.

use super::{Gpu, KERNELS, Model, Wrong};
use serde::{Deserialize, Serialize};

/// Share of the memory that is free once the weights are loaded which TensorRT-LLM takes for the cache
/// (`free_gpu_memory_fraction` of its `KvCacheConfig`).
const OF_FREE: f64 = 0.9;
/// Share of all memory that vLLM takes for weights, activations and cache (`gpu_memory_utilization`).
const OF_ALL: f64 = 0.9;
const GIB: f64 = 1_073_741_824.0;
/// Bytes of a card that vLLM's activations and libraries take of that: 1.3 to 4.8 GiB in its own logs of 8 B on one and two cards
/// (vllm-project/vllm#10511).
const VLLM_KEEPS: f64 = 2.0 * GIB;

/// What an engine adds to the hardware's own time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Constants {
    /// Share of the measured matmul or memory rate that the layers' products reach.
    pub gemm: f64,
    /// The same of attention.
    pub attention: f64,
    /// Seconds a layer and step: dependent launches.
    pub layer: f64,
    /// Seconds of an all-reduce, for each doubling of the GPUs that a model is split over; two a layer.
    pub all_reduce: f64,
    /// Seconds a request, layer and step: what an attention kernel and the scheduler do for each sequence.
    pub request: f64,
    /// Share of the roofline that reading a prompt reaches.
    pub prefill: f64,
    /// Share of `gemm` that weights of four bits reach, since their scales must be applied.
    pub narrow: f64,
}

impl Constants {
    /// What no engine goes below: the hardware does what was measured of it, and nothing is in its way.
    pub const LEAST: Self =
        Self { gemm: 1.0, attention: 1.0, layer: 0.0, all_reduce: 0.0, request: 0.0, prefill: 1.0, narrow: 1.0 };

    fn products(&self, weights: Weights) -> f64 {
        if weights == Weights::Fp4 { self.gemm * self.narrow } else { self.gemm }
    }
}

/// Format of the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weights {
    Bf16,
    Fp8,
    Fp4,
}

impl Weights {
    /// # Errors
    /// For a format that the model does not know.
    pub fn named(name: &str) -> Result<Self, Wrong> {
        match name.to_ascii_lowercase().as_str() {
            "bf16" | "fp16" => Ok(Self::Bf16),
            "fp8" | "e4m3" | "fp8_block" => Ok(Self::Fp8),
            "fp4" | "nvfp4" | "mxfp4" => Ok(Self::Fp4),
            other => Err(Wrong(format!("dtype `{other}` is not one of bf16, fp16, fp8, fp4"))),
        }
    }

    /// Bytes a weight, with the scales of fp4: one byte in sixteen values.
    #[must_use]
    pub fn bytes(self) -> f64 {
        match self {
            Self::Bf16 => 2.0,
            Self::Fp8 => 1.0,
            Self::Fp4 => 0.5625,
        }
    }

    /// Bytes a value of the cache of keys and values, as an engine keeps it unless told otherwise: vLLM and SGLang in the model's own
    /// bf16 (`kv_cache_dtype` is `auto`), TensorRT-LLM in fp8 where its checkpoint is quantised.
    #[must_use]
    pub fn cache_bytes(self, engine: &str) -> f64 {
        if self == Self::Bf16 || engine != TRTLLM { 2.0 } else { 1.0 }
    }

    /// Rate of products with such weights; of bf16 where the GPU has no arithmetic so narrow, since engines then keep the weights alone
    /// in the format and widen them on the way.
    #[must_use]
    pub fn rate(self, gpu: &Gpu) -> f64 {
        let own = self.native(gpu);
        if own > 0.0 { own } else { gpu.bf16 }
    }

    /// The same, zero where the GPU has no such arithmetic.
    #[must_use]
    pub fn native(self, gpu: &Gpu) -> f64 {
        match self {
            Self::Bf16 => gpu.bf16,
            Self::Fp8 => gpu.fp8,
            Self::Fp4 => gpu.fp4,
        }
    }
}

/// Why the constants say nothing of a model.
pub const MIXTURE: &str = "mixture of experts: the constants are fitted on dense models";

pub const TRTLLM: &str = "trtllm";
pub const SGLANG: &str = "sglang";

/// Bytes of a card that SGLang leaves to activations unless told otherwise: half a GiB, 1.5 MiB a token of a stretch of prompt, and an
/// eighth of a GiB for each card that splits the model; no less than 10 GiB of a large card (`server_args.py`,
/// sgl-project/sglang#10975). What graphs of steps take, half a GiB to one, is left out.
fn sglang_keeps(memory: f64, width: f64) -> f64 {
    let stretch = match memory / GIB {
        ..35.0 => 2048.0,
        ..160.0 => 8192.0,
        _ => 16384.0,
    };
    let keeps = GIB * (0.5 + 1.5 * stretch / 1024.0 + width / 8.0);
    if memory > 60.0 * GIB { keeps.max(10.0 * GIB) } else { keeps }
}

/// Requests at a time that an engine takes unless told otherwise: `max_batch_size` of TensorRT-LLM's `LlmArgs`, `max_num_seqs` of vLLM's
/// server on a card of 70 GiB or more. Of an engine that we have no rows of, the smaller.
#[must_use]
pub fn limit(engine: &str) -> f64 {
    if engine == TRTLLM { 2048.0 } else { 1024.0 }
}

/// A served model on `width` GPUs that split it, with prompts and answers of given lengths in tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Serving {
    pub model: Model,
    pub gpu: Gpu,
    pub weights: Weights,
    /// As [`super::named_engine`] names it.
    pub engine: &'static str,
    /// Bytes a value of the cache of keys and values.
    pub cache: f64,
    pub width: f64,
    pub prompt: f64,
    pub answer: f64,
}

impl Serving {
    /// Why it cannot be done at all, if it cannot.
    ///
    /// # Errors
    /// `no-fit`, no rate of products, or a link that nobody measured.
    pub fn possible(&self) -> Result<(), Wrong> {
        if self.weights.rate(&self.gpu) <= 0.0 || self.gpu.bf16 <= 0.0 {
            return Err(Wrong(format!("no-dtype: {} has no such matmul", self.gpu.name)));
        }
        if self.width > 1.0 && self.gpu.link <= 0.0 {
            return Err(Wrong(format!("missing: link.ar_bw, the rate of {}'s link, which splitting a model needs", self.gpu.name)));
        }
        if self.most() < 1.0 {
            return Err(Wrong(format!("no-fit: weights and one sequence exceed the {}", self.rule())));
        }
        Ok(())
    }

    /// Bytes for keys and values beside the weights, by the engine's own rule; of an engine that we do not know by vLLM's.
    fn room(&self) -> f64 {
        let (all, weights) = (self.width * self.gpu.memory, self.model.parameters * self.weights.bytes());
        match self.engine {
            TRTLLM => OF_FREE * (all - weights),
            SGLANG => all - weights - self.width * sglang_keeps(self.gpu.memory, self.width),
            _ => OF_ALL * all - weights - self.width * VLLM_KEEPS,
        }
    }

    /// That rule in words.
    #[must_use]
    pub fn rule(&self) -> String {
        let whose = match self.engine {
            TRTLLM => format!("{OF_FREE} of what the weights leave, as TensorRT-LLM takes"),
            SGLANG => {
                let keeps = sglang_keeps(self.gpu.memory, self.width) / GIB;
                format!("what weights and {keeps:.1} GiB a card for activations leave, as SGLang takes")
            }
            _ => {
                let keeps = VLLM_KEEPS / GIB;
                format!("{OF_ALL} of the whole less weights and {keeps} GiB a card for activations, as vLLM takes")
            }
        };
        format!("memory: {whose}; a cache for whole answers")
    }

    /// Sequences whose cache fits beside the weights, room for a whole answer reserved.
    #[must_use]
    pub fn most(&self) -> f64 {
        self.room() / (self.model.kept() * self.cache * (self.prompt + self.answer))
    }

    /// Seconds in which `tokens` are summed over the GPUs, twice in each layer: `2 (n - 1) / n` of the bytes pass each GPU's link.
    fn exchange(&self, tokens: f64) -> f64 {
        if self.width <= 1.0 {
            return 0.0;
        }
        let bytes = 2.0 * tokens * self.model.width;
        2.0 * self.model.layers * 2.0 * (self.width - 1.0) / self.width * bytes / self.gpu.link
    }

    /// Seconds of a step in which each of `batch` sequences gets one token.
    #[must_use]
    pub fn step(&self, constants: &Constants, batch: f64) -> f64 {
        let Self { model, gpu, weights, width, .. } = self;
        let context = self.prompt + self.answer / 2.0;
        let products = (model.touched(batch) * weights.bytes() / (width * gpu.hbm))
            .max(2.0 * model.multiplied() * batch / (width * weights.rate(gpu)));
        let cache = batch * model.kept() * self.cache * context / (width * gpu.hbm);
        let scores = 4.0 * model.layers * model.heads * model.head * context * batch / (width * gpu.bf16);
        let sums = 2.0 * width.log2() * constants.all_reduce;
        products / constants.products(*weights)
            + cache.max(scores) / constants.attention
            + self.exchange(batch)
            + model.layers * (constants.layer * model.kernels / KERNELS + sums + constants.request * batch)
    }

    fn prompt_flops(&self) -> (f64, f64) {
        let Self { model, gpu, weights, width, prompt, .. } = self;
        let (dense, scores) = model.prefill_flops(*prompt);
        (dense / (width * weights.rate(gpu)), scores / (width * gpu.bf16))
    }

    /// Seconds below which no engine reads one prompt on this hardware, if its matmuls and its memory do what was measured of them.
    #[must_use]
    pub fn least_read(&self) -> f64 {
        let (dense, scores) = self.prompt_flops();
        let weights = self.model.touched(self.prompt) * self.weights.bytes() / (self.width * self.gpu.hbm);
        dense.max(weights) + scores
    }

    /// Seconds that one more prompt takes among others: the weights are read for those as well.
    #[must_use]
    pub fn read(&self, constants: &Constants) -> f64 {
        let (dense, scores) = self.prompt_flops();
        let narrow = if self.weights == Weights::Fp4 { constants.narrow } else { 1.0 };
        (dense / narrow + scores + self.exchange(self.prompt)) / constants.prefill
    }

    /// Requests of `batch` that run at a time; the others wait until there is room.
    fn running(&self, batch: f64) -> f64 {
        batch.min(self.most()).max(1.0)
    }

    /// Seconds per output token at `batch` requests at a time: a step, and its share of the others' prompts. TensorRT-LLM admits a
    /// request only when its whole answer fits beside the others'; other engines admit it and put some off again, which takes a request as
    /// long as if all ran.
    #[must_use]
    pub fn per_token(&self, constants: &Constants, batch: f64) -> f64 {
        let batch = if self.engine == TRTLLM { self.running(batch) } else { batch };
        self.step(constants, batch) + (batch - 1.0) * self.read(constants) / self.answer
    }

    /// Output tokens a second at `batch` requests at a time, of which no more run than fit.
    #[must_use]
    pub fn tokens(&self, constants: &Constants, batch: f64) -> f64 {
        let batch = self.running(batch);
        batch * self.answer / (self.answer * self.step(constants, batch) + batch * self.read(constants))
    }

    /// Output tokens a second when there is always a request waiting, at most `limit` at a time.
    #[must_use]
    pub fn saturated(&self, constants: &Constants, limit: f64) -> f64 {
        self.tokens(constants, self.most().clamp(1.0, limit))
    }

    /// Most requests at a time, up to `limit`, at which an output token takes at most `target` seconds; zero where one is too many.
    #[must_use]
    pub fn concurrency(&self, constants: &Constants, target: f64, limit: f64) -> f64 {
        let (mut low, mut high) = (0.0, self.most().min(limit).floor());
        while high > low {
            let middle = ((low + high + 1.0) / 2.0_f64).floor();
            if self.per_token(constants, middle) <= target {
                low = middle;
            } else {
                high = middle - 1.0;
            }
        }
        low
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serving(width: f64, cache: f64) -> Serving {
        let (model, gpu) = (Model::named("llama-3-70b").expect("known"), Gpu::named("h100_sxm").expect("known"));
        let (model, gpu) = (model.clone(), gpu.clone());
        Serving { model, gpu, weights: Weights::Fp8, engine: "vllm", cache, width, prompt: 1024.0, answer: 1024.0 }
    }

    #[test]
    fn sums_take_what_one_card_sends_and_a_doubling_each() {
        // 80 layers, twice, 8192 values of two bytes, 2 (8 - 1) / 8 of them over a link of 478.87 GB/s.
        let bytes = 80.0 * 2.0 * 1.75 * 2.0 * 8192.0;
        assert!((serving(8.0, 1.0).exchange(1.0) / (bytes / 478.87e9) - 1.0).abs() < 1e-12);
        assert!(serving(1.0, 1.0).exchange(1.0).abs() < 1e-30);
        let waits = |width| {
            let serving = serving(width, 1.0);
            serving.step(&Constants { all_reduce: 1e-6, ..Constants::LEAST }, 1.0) - serving.step(&Constants::LEAST, 1.0)
        };
        assert!((waits(8.0) / waits(2.0) - 3.0).abs() < 1e-6 && waits(1.0).abs() < 1e-30);
    }

    #[test]
    fn a_cache_of_two_bytes_takes_twice_the_room_and_longer_steps() {
        assert!((serving(2.0, 1.0).most() / serving(2.0, 2.0).most() - 2.0).abs() < 1e-12);
        assert!(serving(2.0, 2.0).step(&Constants::LEAST, 64.0) > serving(2.0, 1.0).step(&Constants::LEAST, 64.0));
        let kept = |weights: Weights| ["trtllm", "vllm", "sglang"].map(|engine| weights.cache_bytes(engine));
        assert_eq!((kept(Weights::Fp8), kept(Weights::Bf16)), ([1.0, 2.0, 2.0], [2.0; 3]));
    }

    #[test]
    fn fixed_times_grow_with_kernels_layers_and_requests() {
        let of = |constants: Constants, model: &str, batch: f64| {
            let serving = Serving { model: Model::named(model).expect("known").clone(), ..serving(1.0, 1.0) };
            serving.step(&constants, batch) - serving.step(&Constants::LEAST, batch)
        };
        let (layer, request) = (Constants { layer: 1e-6, ..Constants::LEAST }, Constants { request: 1e-6, ..Constants::LEAST });
        // Qwen3 normalises queries and keys: twelve kernels a layer where Llama has ten.
        assert!(
            (of(layer, "llama-3-70b", 9.0) - 80e-6).abs() < 1e-12 && (of(layer, "qwen3-32b", 9.0) - 64.0 * 1.2e-6).abs() < 1e-12
        );
        assert!((of(request, "llama-3-70b", 9.0) - 720e-6).abs() < 1e-12);
    }

    #[test]
    fn an_engine_that_reserves_room_runs_no_more_than_fits() {
        let reserving = Serving { engine: TRTLLM, ..serving(2.0, 1.0) };
        let (most, constants) = (reserving.most(), super::super::shipped()[0].constants);
        let (at, beyond) = (reserving.per_token(&constants, most), reserving.per_token(&constants, 4.0 * most));
        assert!((beyond - at).abs() < 1e-15 && serving(2.0, 1.0).per_token(&constants, 4.0 * most) > at);
    }

    #[test]
    fn more_requests_than_fit_add_no_tokens() {
        let constants = super::super::shipped()[0].constants;
        for engine in [TRTLLM, SGLANG, "vllm"] {
            let serving = Serving { engine, ..serving(2.0, 1.0) };
            let (most, saturated) = (serving.most(), serving.saturated(&constants, 1e9));
            assert!((serving.tokens(&constants, 100.0 * most) / saturated - 1.0).abs() < 1e-12, "{engine}");
            assert!(serving.tokens(&constants, 0.5 * most) < saturated, "{engine}");
        }
    }

    #[test]
    fn each_engine_divides_the_memory_by_its_own_rule() {
        // Llama-3 70B in fp8 on two cards of 80 GB, a cache of two bytes: 327,680 bytes a token, 2048 tokens a request.
        let of = |engine| Serving { engine, ..serving(2.0, 2.0) }.most() * 327_680.0 * 2048.0;
        let (all, weights) = (160e9, 70.55e9);
        for (engine, room) in [
            (TRTLLM, 0.9 * (all - weights)),
            ("vllm", 0.9 * all - weights - 2.0 * 2.0 * GIB),
            ("any", 0.9 * all - weights - 2.0 * 2.0 * GIB),
            (SGLANG, all - weights - 2.0 * 12.75 * GIB),
        ] {
            assert!((of(engine) / room - 1.0).abs() < 2e-3, "{engine}: {} {room}", of(engine));
        }
        // On one card next to nothing is left for vLLM's cache, where TensorRT-LLM's rule leaves room for twenty.
        assert!(serving(1.0, 2.0).possible().is_err_and(|wrong| wrong.0.contains("no-fit")));
        assert!(Serving { engine: TRTLLM, ..serving(1.0, 2.0) }.most() > 12.0);
        assert!((sglang_keeps(24e9, 1.0) / GIB - 3.625).abs() < 1e-9 && (sglang_keeps(180e9, 8.0) / GIB - 25.5).abs() < 1e-9);
    }

    #[test]
    fn narrow_weights_run_in_wide_products_where_a_card_has_no_others() {
        let wide = Serving { weights: Weights::Fp4, ..serving(1.0, 2.0) };
        assert!(wide.possible().is_ok() && Weights::Fp4.native(&wide.gpu) == 0.0);
        assert_eq!(Weights::Fp4.rate(&wide.gpu), wide.gpu.bf16);
    }

    #[test]
    fn the_most_requests_that_meet_a_target_meet_it_and_one_more_does_not() {
        let (serving, constants) = (serving(4.0, 1.0), super::super::shipped()[0].constants);
        let target = serving.per_token(&constants, 100.0);
        assert!(serving.most() > 101.0 && serving.per_token(&constants, 101.0) > target);
        assert_eq!(serving.concurrency(&constants, target, 2048.0), 100.0);
        assert_eq!(serving.concurrency(&constants, target, 64.0), 64.0);
        assert_eq!(serving.concurrency(&constants, 1e-6, 2048.0), 0.0);
    }
}
