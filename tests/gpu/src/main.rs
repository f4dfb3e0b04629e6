//! What only a machine with a GPU can answer, as one JSON document on stdout.
//!
//! ```text
//! gpu-checks conformance FOLDER   what each of the conformance kernels in FOLDER makes of its input
//! gpu-checks conformance FOLDER KERNEL   the same of one kernel
//! gpu-checks launches             the resolution of events, and the time of dependent launches in a stream and in a graph
//! ```
//!
//! `tests/conformance/build` fills the folder. On the fake driver the answers are the interpreter's.

mod conformance;
mod driver;
mod launches;

use anyhow::{Result, bail};
use std::process::ExitCode;

fn document(arguments: &[String]) -> Result<serde_json::Value> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["conformance", folder] => conformance::document(folder.as_ref()),
        ["conformance", folder, kernel] => conformance::one(folder.as_ref(), kernel),
        ["launches"] => launches::document(),
        _ => bail!("usage: gpu-checks conformance FOLDER | gpu-checks launches"),
    }
}

fn main() -> ExitCode {
    match document(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(document) => {
            println!("{document:#}");
            ExitCode::SUCCESS
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
    assert!(said(&["conform"]).contains("usage: gpu-checks conformance FOLDER"));
    assert!(said(&["conformance", "nowhere"]).contains("nowhere/index.json"));
}
