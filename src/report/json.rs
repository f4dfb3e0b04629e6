//! A run as one JSON document.

use crate::record::Document;

/// # Errors
/// None that a record can cause; serde's own.
pub fn json(document: &Document) -> serde_json::Result<String> {
    serde_json::to_string_pretty(document)
}
