//! A run as one JSON document.

use crate::{
    judge,
    record::{Document, Entry},
};

/// The document, each entry with its ledger where it has one.
///
/// # Errors
/// None that a record can cause; serde's own.
pub fn json(document: &Document) -> serde_json::Result<String> {
    let explained = |entry: &Entry| Entry { ledger: judge::explain(entry), ..entry.clone() };
    let entries = document.entries.iter().map(explained).collect();
    serde_json::to_string_pretty(&Document { entries, ..document.clone() })
}
