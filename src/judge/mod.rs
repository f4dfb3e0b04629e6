//! Judgements: pure functions of records, so that old records are explained anew.

mod ledger;

pub use ledger::explain;
