//! The whole pipe, live: a run on this machine's CPU into units, held to a figure that is reckoned here from the record's blocks.

use super::fixture::{assay, folder};
use super::units;
use serde_json::Value;

/// Median rate of the retained blocks of an entry, by nothing but the record's text; of too few blocks the entry's own figure.
fn median(entry: &Value, work: &str) -> f64 {
    let number = |value: &Value| value.as_f64().expect("a number");
    let sustained = !entry["rate"]["sustained"].is_null();
    let from = if sustained { number(&entry["sampling"]["discarded"]) } else { 0.0 };
    let blocks = entry["series"].as_array().expect("blocks");
    let rate = |block: &Value| number(&entry["work"][work]) * number(&block["launches"]) / number(&block["seconds"]);
    let mut rates: Vec<f64> = blocks.iter().filter(|block| number(&block["t"]) + 1e-9 >= from).map(rate).collect();
    rates.sort_by(f64::total_cmp);
    if rates.len() < 3 {
        return number(&entry["rate"][if sustained { "sustained" } else { "burst" }]["value"]);
    }
    let middle = rates.len() / 2;
    if rates.len() % 2 == 1 { rates[middle] } else { f64::midpoint(rates[middle - 1], rates[middle]) }
}

#[test]
fn a_live_run_is_worth_what_a_hand_finds() {
    let folder = folder("live");
    let path = folder.join("cpu.jsonl");
    let path = path.to_str().expect("utf-8");
    let only = ["stream/fp64/triad/*", "matmul/fp64.fp64.fp64/2048*"];
    let run = assay()
        .args(["run", "--backend", "cpu", "--quiet", "--suite", "soak", "--time", "8s", "--footprint", "64MiB"])
        .args(["--only", only[0], "--only", only[1], "-o", path])
        .output()
        .expect("starts");
    let sheet = String::from_utf8_lossy(&run.stdout);
    assert_eq!(run.status.code(), Some(0), "{}", String::from_utf8_lossy(&run.stderr));
    let last: Vec<&str> = sheet.trim_end().lines().rev().take_while(|line| !line.starts_with("capacity units")).collect();
    assert!(sheet.contains("capacity units cu/1@REF-0") && last.iter().any(|line| line.contains("cpu:0")), "{sheet}");

    let record = std::fs::read_to_string(path).expect("a record");
    let entries: Vec<Value> = record.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let entry = |family: &str| {
        entries
            .iter()
            .find(|entry| entry["workload"]["family"] == family && entry["outcome"] == "measured")
            .unwrap_or_else(|| panic!("{family} was not measured: {record}"))
    };
    let (triad, products) = (median(entry("stream"), "bytes"), median(entry("matmul"), "flops"));
    // A second by the reference: 30 Tflop at 60 Tflop/s and 1.5 TB at 3 TB/s.
    let expected = [("stream", triad / 3e12), ("portable-fp64", 1.0 / (30e12 / products + 1.5e12 / triad))];

    let output = units(&[path, "--json", "--allow-degraded"]);
    let value: Value = serde_json::from_slice(&output.stdout).expect("one document");
    let found = value["devices"][0]["units"].as_array().expect("classes");
    for (class, expected) in expected {
        let unit = found.iter().find(|unit| unit["class"] == class).expect("shipped");
        let worth = unit["typical"]["value"].as_f64().expect("degraded");
        assert!((worth / expected - 1.0).abs() < 1e-9, "{class}: {worth} {expected}");
    }
    let decode = found.iter().find(|unit| unit["class"] == "decode-lat").expect("shipped");
    assert!(
        decode["typical"]["value"].is_null() && decode["typical"]["reason"].as_str().is_some_and(|why| why.starts_with("backend"))
    );
}

/// A class of dependent launches alone, portable, so that a CPU's chain counts.
const CHAINS: &str = r#"
[[class]]
name = "chains"
item = "chain"
portable = true
work.phases = [{ name = "launches", overlap = "sum", amounts = { "launch.dep" = 1e6 } }]
"#;

#[test]
fn a_chain_of_the_cpu_feeds_the_fixed_time_of_a_portable_class() {
    let folder = folder("chains");
    let (path, classes) = (folder.join("cpu.jsonl"), folder.join("chains.toml"));
    std::fs::write(&classes, CHAINS).expect("a temporary file");
    let [path, classes] = [&path, &classes].map(|path| path.to_str().expect("utf-8"));
    let run = assay()
        .args(["run", "--backend", "cpu", "--quiet", "--suite", "quick", "--only", "launch/*", "-o", path])
        .output()
        .expect("starts");
    assert_eq!(run.status.code(), Some(0), "{}", String::from_utf8_lossy(&run.stderr));
    let output = units(&[path, "--classes", classes, "--class", "chains", "--json", "--allow-degraded"]);
    let value: Value = serde_json::from_slice(&output.stdout).expect("one document");
    let device = &value["devices"][0];
    let rate = &device["rates"]["measured"]["launch.dep"];
    let each = rate["typical"].as_f64().expect("measured");
    assert!(rate["from"] == "launch/uint32/graph/1000@native" && (1e-8..1e-2).contains(&each), "{rate}");
    let worth = device["units"][0]["typical"]["value"].as_f64().expect("degraded");
    assert!((worth * each / 1.24e-6 - 1.0).abs() < 1e-9, "{worth} {each}");
}
