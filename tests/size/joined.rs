//! Units of records in a plan: from a measurement of this very machine to orders, and what may not pass.

use super::{
    plans::SMALL,
    support::{assay, folder, run, size, text, utf8},
};
use assay::reserve::input;
use input::Grade;
use serde_json::{Value, json};
use std::path::Path;

const CPU: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/results/amd-epyc-2-cores.cpu.standard.jsonl");
const STATED: &str = "cu = { mine = 4.0 }\nsource = \"its maker\"";

/// A plan for triad, of nodes that a record tells of.
fn plan(folder: &Path, worth: &str) -> std::path::PathBuf {
    let path = folder.join("plan.toml");
    let text =
        SMALL.replace(STATED, worth).replace("class = \"mine\"", "class = \"stream\"").replace("= 1000\n", "= 100_000_000\n");
    std::fs::write(&path, text).expect("a temporary file");
    path
}

/// The committed record with every block of its triad at one rate, in bytes a second.
fn steady(rate: f64) -> String {
    let mut lines = Vec::new();
    for line in std::fs::read_to_string(CPU).expect("committed").lines() {
        let mut value: Value = serde_json::from_str(line).expect("a line");
        if value["workload"]["id"].as_str().is_some_and(|id| id.starts_with("stream/fp64/triad/")) {
            let bytes = value["work"]["bytes"].as_f64().expect("bytes");
            for block in value["series"].as_array_mut().expect("blocks") {
                block["seconds"] = json!(block["launches"].as_f64().expect("launches") * bytes / rate);
            }
        }
        lines.push(value.to_string() + "\n");
    }
    lines.concat()
}

#[test]
fn firm_units_of_a_record_are_what_its_rates_come_to() {
    let folder = folder("firm");
    std::fs::write(folder.join("node.jsonl"), steady(60e9)).expect("written");
    std::fs::write(folder.join("other.jsonl"), steady(45e9)).expect("written");
    let units = |worth: &str| {
        let planned = input::plan(&plan(&folder, worth)).expect("firm");
        let source = planned.sources.iter().find(|source| source.figure == "CU of box for stream").expect("cited").clone();
        assert_eq!(source.grade, Grade::Measured);
        assert!((source.value / planned.case.types[0].cu["stream"] - 1.0).abs() < 1e-12);
        source
    };
    // A unit of triad is 3 TB/s; a record of one device stands for a node of one, or of as many as are said.
    assert!((units("record = \"node.jsonl\"").value / 0.02 - 1.0).abs() < 1e-6);
    assert!((units("record = \"node.jsonl\"\ndevices = 2").value / 0.04 - 1.0).abs() < 1e-6);
    let least = units("record = [\"node.jsonl\", \"other.jsonl\"]");
    assert!((least.value / 0.015 - 1.0).abs() < 1e-6 && least.how.contains("other.jsonl"), "{least:?}");
}

#[test]
fn units_that_are_not_firm_are_refused_by_name_with_the_way_out() {
    let folder = folder("withheld");
    for (worth, class, words) in [
        (format!("record = \"{CPU}\""), "stream", ["CU of cpu:0 for stream is not firm", "unsteady", "source"]),
        (format!("record = \"{CPU}\""), "serve-chat", ["CU of cpu:0 for serve-chat is not firm", "backend", "published"]),
        (format!("record = \"{CPU}\"\ndevice = \"cuda\""), "stream", ["no device cuda", "cpu:0", "record"]),
        (format!("record = \"{}\"", CPU.replace(".cpu.", ".llvmpipe.")), "stream", ["software", "no hardware", "line"]),
        ("record = \"none.jsonl\"".to_owned(), "stream", ["none.jsonl", "line", "record"]),
        ("record = []".to_owned(), "stream", ["empty list", "name at least one", "line"]),
    ] {
        let path = plan(&folder, &worth);
        let text_of = std::fs::read_to_string(&path).expect("written").replace("\"stream\"", &format!("\"{class}\""));
        std::fs::write(&path, text_of).expect("written");
        let output = size(&[utf8(&path)]);
        let stderr = text(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{stderr}");
        assert!(
            stderr.contains("plan.toml, line 18: ") && words.iter().all(|word| stderr.contains(word)),
            "{stderr} lacks {words:?}"
        );
    }
}

#[test]
fn what_this_machine_sustains_goes_into_a_plan() {
    let folder = folder("pipeline");
    let record = folder.join("node.jsonl");
    let measured = assay(&[
        "run",
        "--backend",
        "cpu",
        "--suite",
        "soak",
        "--time",
        "20s",
        "--only",
        "stream/fp64/triad/*",
        "--footprint",
        "128MiB",
        "--no-progress",
        "-o",
        utf8(&record),
    ]);
    assert!(record.is_file(), "{}", text(&measured.stderr));
    let units: Value =
        serde_json::from_str(&run(&["units", utf8(&record), "--class", "stream", "--allow-degraded", "--json"], Some(0)))
            .expect("units");
    let unit = &units["devices"][0]["units"][0];
    let (firm, typical) = (&unit["firm"], unit["typical"]["value"].as_f64().expect("measured"));
    let by_record = plan(&folder, "record = \"node.jsonl\"");
    let answered = size(&[utf8(&by_record), "--json"]);
    let worth = if firm["reason"].is_null() {
        // A quiet machine: its firm figure is what is sized by.
        let document: Value = serde_json::from_slice(&answered.stdout).expect("one document");
        let inputs = document["inputs"].as_array().expect("inputs");
        let cited = inputs.iter().find(|input| input["figure"] == "CU of box for stream").expect("cited");
        assert_eq!((cited["value"].as_f64(), cited["grade"].as_str()), (firm["value"].as_f64(), Some("measured")));
        firm["value"].as_f64().expect("firm")
    } else {
        // A busy one: its figure is refused by name, and a buyer who takes it all the same must say so.
        let stderr = text(&answered.stderr);
        assert_eq!((answered.status.code(), answered.stdout.len()), (Some(2), 0), "{stderr}");
        assert!(stderr.contains("CU of cpu:0 for stream is not firm"), "{stderr}");
        typical
    };
    let stated = plan(&folder, &format!("cu = {{ stream = {worth:.9} }}\nsource = \"node.jsonl, not firm\""));
    let document: Value = serde_json::from_str(&run(&["size", utf8(&stated), "--json"], Some(0))).expect("one document");
    // Ten CU in every month, each box of one device.
    let ordered: u64 = document["plan"].as_array().expect("orders").iter().filter_map(|order| order["units"].as_u64()).sum();
    let needed = (10.0 / (worth * 1e9).round() * 1e9).ceil();
    assert_eq!(ordered as f64, needed, "{document}");
}
