//! A run as one JSON document.

use crate::{
    judge,
    record::{Document, Entry},
};

/// One entry, with its ledger where it has one.
///
/// # Errors
/// None that an entry can cause; serde's own.
pub fn entry_json(entry: &Entry) -> serde_json::Result<String> {
    serde_json::to_string_pretty(&Entry { ledger: judge::explain(entry), ..entry.clone() })
}

/// The document, each entry with its ledger where it has one.
///
/// # Errors
/// None that a record can cause; serde's own.
pub fn json(document: &Document) -> serde_json::Result<String> {
    let explained = |entry: &Entry| Entry { ledger: judge::explain_beside(entry, &document.entries), ..entry.clone() };
    let entries = document.entries.iter().map(explained).collect();
    serde_json::to_string_pretty(&Document { entries, ..document.clone() })
}
