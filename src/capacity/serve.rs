//! Serving in its own units: time per output token, tokens per second, from rates and six constants of an engine.

use super::{Gpu, Model, Wrong};
use serde::{Deserialize, Serialize};

/// Most requests at a time that are reckoned with. The fitted rows reach 224; nothing is said far beyond them.
pub const FITTED_BATCH: f64 = 256.0;
/// Share of memory that an engine gives to weights and cache.
const USABLE: f64 = 0.9;

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
    /// Seconds a request and step: scheduling and sampling.
    pub request: f64,
    /// Share of the roofline that reading a prompt reaches.
    pub prefill: f64,
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
        if self == Self::Bf16 || ["vllm", "sglang"].contains(&engine) { 2.0 } else { 1.0 }
    }

    #[must_use]
    pub fn rate(self, gpu: &Gpu) -> f64 {
        match self {
            Self::Bf16 => gpu.bf16,
            Self::Fp8 => gpu.fp8,
            Self::Fp4 => gpu.fp4,
        }
    }
}

/// A served model on `width` GPUs that split it, with prompts and answers of given lengths in tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Serving<'a> {
    pub model: &'a Model,
    pub gpu: &'a Gpu,
    pub weights: Weights,
    /// Bytes a value of the cache of keys and values.
    pub cache: f64,
    pub width: f64,
    pub prompt: f64,
    pub answer: f64,
}

impl Serving<'_> {
    /// Why it cannot be reckoned, if it cannot.
    ///
    /// # Errors
    /// `no-dtype`, `no-fit`, or a mixture of experts, for which the constants were not fitted.
    pub fn check(&self) -> Result<(), Wrong> {
        if self.model.mixture() {
            return Err(Wrong("mixture of experts: the constants are fitted on dense models".into()));
        }
        if self.weights.rate(self.gpu) <= 0.0 {
            return Err(Wrong(format!("no-dtype: {} has no such matmul", self.gpu.name)));
        }
        if self.width > 1.0 && self.gpu.link <= 0.0 {
            return Err(Wrong(format!("no published rate of {}'s link", self.gpu.name)));
        }
        if self.most() < 1.0 {
            return Err(Wrong("no-fit: weights and one sequence exceed the memory".into()));
        }
        Ok(())
    }

    /// Sequences whose cache fits beside the weights, room for a whole answer reserved.
    #[must_use]
    pub fn most(&self) -> f64 {
        let free = USABLE * (self.width * self.gpu.memory - self.model.parameters * self.weights.bytes());
        free / (self.model.kept() * self.cache * (self.prompt + self.answer))
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
        let products = (model.parameters * weights.bytes() / (width * gpu.hbm))
            .max(2.0 * model.multiplied() * batch / (width * weights.rate(gpu)));
        let cache = batch * model.kept() * self.cache * context / (width * gpu.hbm);
        let scores = 4.0 * model.layers * model.heads * model.head * context * batch / (width * gpu.bf16);
        let sums = 2.0 * width.log2() * constants.all_reduce;
        products / constants.gemm
            + cache.max(scores) / constants.attention
            + self.exchange(batch)
            + model.layers * (constants.layer + sums)
            + constants.request * batch.min(FITTED_BATCH)
    }

    /// Seconds below which no engine reads one prompt on this hardware, if its matmuls and its memory do what was measured of them.
    #[must_use]
    pub fn least_read(&self) -> f64 {
        let Self { model, gpu, weights, width, prompt, .. } = self;
        let (dense, scores) = model.prefill_flops(*prompt);
        let products = (dense / (width * weights.rate(gpu))).max(model.parameters * weights.bytes() / (width * gpu.hbm));
        products + scores / (width * gpu.bf16)
    }

    /// Seconds to read one prompt.
    #[must_use]
    pub fn read(&self, constants: &Constants) -> f64 {
        (self.least_read() + self.exchange(self.prompt)) / constants.prefill
    }

    /// Seconds per output token at `batch` requests at a time: a step, and its share of the others' prompts.
    #[must_use]
    pub fn per_token(&self, constants: &Constants, batch: f64) -> f64 {
        self.step(constants, batch) + (batch - 1.0) * self.read(constants) / self.answer
    }

    /// Output tokens a second at `batch` requests at a time.
    #[must_use]
    pub fn tokens(&self, constants: &Constants, batch: f64) -> f64 {
        batch * self.answer / (self.answer * self.step(constants, batch) + batch * self.read(constants))
    }

    /// Output tokens a second when there is always a request waiting. Blank where nothing fits.
    #[must_use]
    pub fn saturated(&self, constants: &Constants) -> f64 {
        self.tokens(constants, self.most().clamp(1.0, FITTED_BATCH))
    }

    /// Most requests at a time at which an output token takes at most `target` seconds; zero where one is too many.
    #[must_use]
    pub fn concurrency(&self, constants: &Constants, target: f64) -> f64 {
        let most = self.most().min(FITTED_BATCH).floor();
        let (mut low, mut high) = (0.0, most);
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

    const NOTHING: Constants = Constants { gemm: 1.0, attention: 1.0, layer: 0.0, all_reduce: 0.0, request: 0.0, prefill: 1.0 };

    fn serving(width: f64, cache: f64) -> Serving<'static> {
        let (model, gpu) = (Model::named("llama-3-70b").expect("known"), Gpu::named("h100_sxm").expect("known"));
        Serving { model, gpu, weights: Weights::Fp8, cache, width, prompt: 1024.0, answer: 1024.0 }
    }

    #[test]
    fn sums_take_what_one_card_sends_and_a_doubling_each() {
        // 80 layers, twice, 8192 values of two bytes, 2 (8 - 1) / 8 of them over a link of 400 GB/s.
        let bytes = 80.0 * 2.0 * 1.75 * 2.0 * 8192.0;
        assert!((serving(8.0, 1.0).exchange(1.0) / (bytes / 400e9) - 1.0).abs() < 1e-12);
        assert!(serving(1.0, 1.0).exchange(1.0).abs() < 1e-30);
        let waits = |width| {
            let serving = serving(width, 1.0);
            serving.step(&Constants { all_reduce: 1e-6, ..NOTHING }, 1.0) - serving.step(&NOTHING, 1.0)
        };
        assert!((waits(8.0) / waits(2.0) - 3.0).abs() < 1e-6 && waits(1.0).abs() < 1e-30);
    }

    #[test]
    fn a_cache_of_two_bytes_takes_twice_the_room_and_longer_steps() {
        assert!((serving(2.0, 1.0).most() / serving(2.0, 2.0).most() - 2.0).abs() < 1e-12);
        assert!(serving(2.0, 2.0).step(&NOTHING, 64.0) > serving(2.0, 1.0).step(&NOTHING, 64.0));
        let kept = |weights: Weights| ["trtllm", "vllm", "sglang"].map(|engine| weights.cache_bytes(engine));
        assert_eq!((kept(Weights::Fp8), kept(Weights::Bf16)), ([1.0, 2.0, 2.0], [2.0; 3]));
    }

    #[test]
    fn the_most_requests_that_meet_a_target_meet_it_and_one_more_does_not() {
        let (serving, constants) = (serving(4.0, 1.0), super::super::shipped()[0].constants);
        let target = serving.per_token(&constants, 100.0);
        assert!(serving.most() > 101.0 && serving.per_token(&constants, 101.0) > target);
        assert_eq!(serving.concurrency(&constants, target), 100.0);
        assert_eq!(serving.concurrency(&constants, 1e-6), 0.0);
    }
}
