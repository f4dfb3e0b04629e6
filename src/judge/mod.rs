//! Judgements: pure functions of records, so that old records are explained anew.

mod health;
mod ledger;

pub use health::{Finding, Health, Verdict, health};
pub use ledger::explain;
