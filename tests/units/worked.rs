//! The worked table: assay's own figures against formulas that were written a second time, in another language.

use super::fixture::folder;
use super::units;
use serde_json::{Value, json};
use std::{path::Path, process::Command};

fn derive(arguments: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("results/worked/derive.py");
    let output = Command::new("python3").arg("-B").arg(script).args(arguments).output().expect("python3");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("utf-8")
}

#[test]
fn the_committed_table_is_what_the_script_derives() {
    assert_eq!(derive(&[]), include_str!("../../results/worked/table.md"), "results/worked/derive.py > results/worked/table.md");
}

#[test]
fn the_table_is_what_assay_says_of_the_same_rates() {
    let derived: Value = serde_json::from_str(&derive(&["--json"])).expect("JSON");
    let folder = folder("worked");
    let classes = folder.join("classes.toml");
    let prefill = "[[class]]\nname = \"prefill-70b\"\nitem = \"prompt\"\nwork.prefill = { model = \"llama-3-70b\", dtype = \"fp8\", length = 5000 }\n";
    std::fs::write(&classes, prefill).expect("a temporary file");
    let mut compared = 0;
    for (at, (name, gpu)) in derived["gpus"].as_object().expect("by name").iter().enumerate() {
        let rates = json!({ "mm.bf16": gpu["bf16"], "mm.fp8": gpu["fp8"], "hbm.read": gpu["hbm"], "hbm.triad": gpu["hbm"],
            "launch.dep": 1.24e-6, "link.ar_lat": 9e-6, "link.ar_bw": gpu["link"], "mem.free": gpu["mem"] });
        let file = folder.join(format!("{at}.json"));
        std::fs::write(&file, rates.to_string()).expect("a temporary file");
        let paths = [&file, &classes].map(|path| path.to_str().expect("utf-8"));
        let output = units(&["--rates", paths[0], "--classes", paths[1], "--json"]);
        let value: Value = serde_json::from_slice(&output.stdout).expect("one document");
        for (class, row) in derived["rows"].as_object().expect("by class") {
            let expected = row[["A100-80", "H100", "H200", "B200"].iter().position(|gpu| gpu == name).expect("a column")].as_f64();
            let units = value["devices"][0]["units"].as_array().expect("classes");
            let unit = units.iter().find(|unit| unit["class"] == class.as_str()).expect("the class");
            let (found, expected) = (unit["typical"]["value"].as_f64().expect("a figure"), expected.expect("a figure"));
            assert!((found - expected).abs() <= 1e-9 * expected, "{class} on {name}: {found} {expected}");
            compared += 1;
        }
    }
    assert_eq!(compared, 24, "six classes on four GPUs");
}
