//! What only a machine with a GPU can answer, as one JSON document on stdout.
//!
//! ```text
//! gpu-checks conformance FOLDER   what each of the conformance kernels in FOLDER makes of its input
//! gpu-checks conformance FOLDER KERNEL   the same of one kernel
//! gpu-checks launches             the resolution of events, and the time of dependent launches in a stream and in a graph
//! gpu-checks bandwidth [BYTES]    the driver's copy and BabelStream's kernels, arrays of so many bytes
//! gpu-checks flips [COUNT]        bits turned over in outputs while they are measured; all must be found
//! gpu-checks slower RECORD        whether every slow twin is slower in a record of all candidates
//! gpu-checks table RECORD         the fastest candidate of each workload in such a record
//! ```
//!
//! A document whose verdict is not good ends with exit code 1.
//!
//! `tests/conformance/build` fills the folder. On the fake driver the answers are the interpreter's.

mod bandwidth;
mod conformance;
mod driver;
mod flips;
mod launches;
mod sweep;

use anyhow::{Result, bail};
use std::process::ExitCode;

fn document(arguments: &[String]) -> Result<serde_json::Value> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["conformance", folder] => conformance::document(folder.as_ref()),
        ["conformance", folder, kernel] => conformance::one(folder.as_ref(), kernel),
        ["launches"] => launches::document(),
        ["bandwidth"] => bandwidth::document(None),
        ["bandwidth", bytes] => bandwidth::document(Some(bytes.parse()?)),
        ["flips"] => flips::document(100),
        ["flips", count] => flips::document(count.parse()?),
        ["slower", record] => sweep::slower(record.as_ref()),
        ["table", record] => sweep::table(record.as_ref()),
        _ => bail!("usage: gpu-checks conformance FOLDER | launches | bandwidth | flips | slower RECORD | table RECORD"),
    }
}

fn main() -> ExitCode {
    match document(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(document) => {
            println!("{document:#}");
            if document["verdict"] == "bad" { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Err(error) => {
            eprintln!("gpu-checks: {error:#}");
            ExitCode::from(2)
        }
    }
}

#[test]
fn bad_input_is_told_the_way_out() {
    let said = |words: &[&str]| document(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()).unwrap_err().to_string();
    assert!(said(&["conform"]).contains("usage: gpu-checks conformance FOLDER | launches"));
    assert!(said(&["conformance", "nowhere"]).contains("nowhere/index.json"));
}
