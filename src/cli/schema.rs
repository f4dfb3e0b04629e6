//! `assay schema`: the JSON Schema of records, as it is committed; a test holds it to the very types that write them.

use super::Ending;
use crate::console;
use anyhow::Result;
use clap::Args;

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

const DOCUMENT: &str = include_str!("../../docs/assay.run-1.schema.json");
const LINE: &str = include_str!("../../docs/assay.run-1.line.schema.json");

/// # Errors
/// When stdout cannot be written.
pub fn run(arguments: &Arguments) -> Result<Ending> {
    console::print(if arguments.line { LINE } else { DOCUMENT })?;
    Ok(Ending::Good)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Document, Line};
    use schemars::{Schema, schema_for};
    use std::path::Path;

    /// With `ASSAY_RENEW=1` what is committed is written anew.
    #[test]
    fn what_is_committed_is_that_of_the_types() {
        for (name, committed, schema) in [
            ("assay.run-1.schema.json", DOCUMENT, schema_for!(Document)),
            ("assay.run-1.line.schema.json", LINE, schema_for!(Line)),
        ] {
            let generated = serde_json::to_string_pretty(&schema).expect("plain data") + "\n";
            if std::env::var_os("ASSAY_RENEW").is_some() {
                std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name), generated).expect("written");
            } else {
                let renew = "ASSAY_RENEW=1 cargo test --release --lib schema";
                assert!(generated == committed, "docs/{name} is not of the types; renew it by {renew}");
            }
        }
    }

    fn parsed(text: &str) -> Schema {
        serde_json::from_str(text).expect("a schema")
    }

    #[test]
    fn a_document_must_have_what_every_run_has() {
        let schema = parsed(DOCUMENT);
        let required = schema.get("required").and_then(|required| required.as_array()).expect("an object");
        for name in ["schema", "id", "started_at", "assay", "node", "suite", "entries"] {
            assert!(required.iter().any(|field| field == name), "{name} in {required:?}");
        }
    }

    #[test]
    fn a_line_is_one_of_three() {
        let kinds = parsed(LINE).get("oneOf").and_then(|kinds| kinds.as_array()).map(Vec::len);
        assert_eq!(kinds, Some(3));
    }
}
