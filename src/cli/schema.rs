//! `assay schema`: the JSON Schema of records, generated from the very types that write them.

use super::Ending;
use crate::record::{Document, Line};
use anyhow::Result;
use clap::Args;
use schemars::{Schema, schema_for};
use std::io::Write;

/// Prints the JSON Schema of a record
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  assay schema > assay.run-1.schema.json      the document that --json prints
  assay schema --line                         one line of a record file")]
pub struct Arguments {
    /// Of one line of the file instead of the whole document
    #[arg(long)]
    line: bool,
}

/// # Errors
/// When stdout cannot be written.
pub fn run(arguments: &Arguments) -> Result<Ending> {
    let text = serde_json::to_string_pretty(&schema(arguments.line))?;
    writeln!(std::io::stdout().lock(), "{text}")?;
    Ok(Ending::Good)
}

fn schema(line: bool) -> Schema {
    if line { schema_for!(Line) } else { schema_for!(Document) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_must_have_what_every_run_has() {
        let schema = schema(false);
        let required = schema.get("required").and_then(|required| required.as_array()).expect("an object");
        for name in ["schema", "id", "started_at", "assay", "node", "suite", "entries"] {
            assert!(required.iter().any(|field| field == name), "{name} in {required:?}");
        }
    }

    #[test]
    fn a_line_is_one_of_three() {
        let kinds = schema(true).get("oneOf").and_then(|kinds| kinds.as_array()).map(Vec::len);
        assert_eq!(kinds, Some(3));
    }
}
