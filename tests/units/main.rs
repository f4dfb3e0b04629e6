//! `assay units` as a person meets it: a record in, figures or one clear error out.

mod docs;
#[path = "../fixture/mod.rs"]
mod fixture;
mod inputs;
mod live;
mod worked;

use fixture::{assay, folder};
use std::process::Output;

const CPU: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixture/cpu.standard.jsonl");
const SOFTWARE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/results/amd-epyc-2-cores.llvmpipe.standard.jsonl");

fn units(arguments: &[&str]) -> Output {
    assay().arg("units").args(arguments).output().expect("starts")
}

#[test]
fn a_record_is_valued_in_a_table_and_in_json() {
    let table = units(&[CPU, "--allow-degraded", "--plain", "--class", "stream", "--price", "0.1", "--currency", "EUR"]);
    let text = String::from_utf8_lossy(&table.stdout);
    assert_eq!(table.status.code(), Some(0), "{}", String::from_utf8_lossy(&table.stderr));
    assert!(text.contains("0.020 unsteady") && text.contains("EUR") && !text.contains("portable"), "{text}");
    let json = units(&[CPU, "--json", "--allow-degraded"]);
    let value: serde_json::Value = serde_json::from_slice(&json.stdout).expect("one document");
    let triad = value["devices"][0]["rates"]["measured"]["hbm.triad"]["typical"].as_f64().expect("stored beside the units");
    let unit = value["devices"][0]["units"].as_array().expect("classes").iter().find(|unit| unit["class"] == "stream");
    let worth = unit.expect("shipped")["typical"]["value"].as_f64().expect("degraded");
    assert!((worth * 3e12 / triad - 1.0).abs() < 1e-9, "{worth} {triad}");
}

#[test]
fn a_record_of_which_all_is_withheld_ends_with_three() {
    let output = units(&[CPU, "--class", "stream"]);
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stdout).contains("unsteady: hbm.triad varies"));
}

#[test]
fn bad_input_is_one_error_and_nothing_on_stdout() {
    let fake = folder("units").join("fake.jsonl");
    std::fs::write(&fake, fixture::text()).expect("a temporary file");
    let fake = fake.to_str().expect("utf-8");
    let bad: [(&[&str], &str); 9] = [
        (&[], "which record"),
        (&["no-such-file.jsonl"], "no-such-file.jsonl"),
        (&[SOFTWARE], "stands for no hardware"),
        (&[fake], "stands for no hardware"),
        (&[CPU, "--class", "chat"], "serve-chat"),
        (&[CPU, "--price", "-1", "--currency", "USD"], "is no price"),
        (&[CPU, "--price", "NaN", "--currency", "USD"], "is no price"),
        (&[CPU, "--price", "1"], "--currency"),
        (&[CPU, "--price", "1", "--currency", "dollars"], "three letters"),
    ];
    for (arguments, word) in bad {
        let output = units(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(2), true), "{arguments:?} {stderr}");
        assert!(stderr.contains(word) && !stderr.contains("panicked"), "{arguments:?} {stderr}");
    }
}
