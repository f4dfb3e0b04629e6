//! Judgements: pure functions of records, so that old records are explained anew.

mod health;
mod kernel;
mod ledger;

pub use health::{Finding, Health, Verdict, health};
pub use ledger::{explain, explain_beside};
