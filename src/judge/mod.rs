//! Judgements: pure functions of records, so that old records are explained anew.

mod baseline;
mod candidate;
mod evidence;
mod gate;
mod health;
pub mod history;
mod identity;
mod kernel;
mod ledger;
mod levels;
mod measured;
mod noise;
mod own;
pub mod pair;
pub mod peers;
mod prior;
mod sample;
mod sessions;
mod sides;
mod whole;

pub use baseline::{BASELINE, Baseline, Kept};
pub use candidate::Candidate;
pub use gate::{Absent, Check, NOT_STEADY, Row, Rules, Taken, check, update};
pub use health::{Finding, Health, Verdict, health};
pub use identity::{Difference, Identity};
pub use ledger::{explain, explain_beside};
pub use levels::Levels;
pub use measured::{Figure, Measured, Sensors, label, measured};
pub use noise::Lags;
pub use own::own;
pub use prior::{Pooled, Prior, Priors, SESSIONS};
pub use sample::{Location, Metric, Unfit, locate};
pub use sessions::{Sessions, Squares};
pub use sides::{Compared, sides};
pub use whole::Whole;
