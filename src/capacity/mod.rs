//! What a device is worth: capacity units of a workload class, and what they come to in tokens and days.
//!
//! One unit of a class is the rate at which a frozen vector of rates would do the class's work. `docs/units.md` says it for a buyer.

mod appraise;
mod basis;
mod calibrate;
mod classes;
mod config;
mod fit;
mod given;
mod gpus;
mod linear;
mod mix;
mod model;
mod native;
mod node;
mod published;
mod rates;
mod rules;
mod serve;
mod shape;
mod sheet;
mod spread;
mod unit;

pub use appraise::{Appraisal, Valued, appraise, appraise_rates};
pub use basis::{Batch, Class, Definition, Overlap, Phase, Reference, Source, Structural, Vector, definition, named};
pub use calibrate::{Bounds, Calibration, calibrate};
pub use classes::own_classes;
pub use fit::{Observed, fit, fit_bounded};
pub use given::{PUBLISHED, Vectors, given, published, published_names};
pub use gpus::{Gpu, Published};
pub use model::{KERNELS, Model};
pub use native::{Demand, Figure, Load, Native, Train, native};
pub use node::{Together, grouped, slowest};
pub use published::{Answer, Errors, FACTOR, KEPT, Pair, Row, TRAINING, TRAINING_FACTOR, answer, pairs, rows, summary};
pub use rates::{Measured, Origin, Rates, rates};
pub use serve::{Constants, MIXTURE, SGLANG, Serving, TRTLLM, Weights, limit};
pub use sheet::Sheet;
pub use unit::{Cell, Question, Subject, Time, Unit, time, unit, units};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What cannot be taken, or cannot be said, with the reason.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Wrong(pub String);

/// Constants of an engine, and how many rows they were fitted to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Engine {
    pub engine: String,
    pub rows: usize,
    /// Day of the fit, as year, month and day.
    pub fitted: String,
    #[serde(flatten)]
    pub constants: Constants,
}

/// Stands for an engine of which no row was seen: fitted to all rows together.
pub const ANY: &str = "any";

/// The constants that are shipped, fitted to `results/validation/latency.csv` in November 2026.
///
/// # Panics
/// When the shipped table is broken, which a test rules out.
#[must_use]
pub fn shipped() -> Vec<Engine> {
    serde_json::from_str(include_str!("constants.json")).expect("a shipped table is whole")
}

/// The name that an engine's constants go by, without its version: NVIDIA's inference microservices run TensorRT-LLM.
#[must_use]
pub fn named_engine(name: &str) -> &'static str {
    let name = name.to_ascii_lowercase();
    let begins = |begin: &[&str]| begin.iter().any(|begin| name.starts_with(begin));
    match () {
        () if begins(&["trt", "tensorrt", "nim"]) => TRTLLM,
        () if begins(&["vllm"]) => "vllm",
        () if begins(&["sglang"]) => SGLANG,
        () => ANY,
    }
}

/// The engine of that name, else the one that stands for all.
///
/// # Panics
/// When there are no engines at all.
#[must_use]
pub fn engine<'a>(engines: &'a [Engine], name: &str) -> &'a Engine {
    let found = engines.iter().find(|engine| engine.engine == name);
    found.or_else(|| engines.last()).expect("at least one engine")
}
