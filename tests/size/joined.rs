//! Units of records in a plan: from a measurement of this very machine to orders, and what may not pass.

use super::{
    plans::SMALL,
    support::{assay, folder, run, size, text, utf8},
};
use assay::reserve::input;
use input::Grade;
use serde_json::{Value, json};
use std::path::Path;

const CPU: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixture/cpu.standard.jsonl");
const SOFTWARE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/results/amd-epyc-2-cores.llvmpipe.standard.jsonl");
const STATED: &str = "cu = { mine = 4.0 }\nsource = \"its maker\"";

/// A plan for triad, of nodes that a record tells of.
fn plan(folder: &Path, worth: &str) -> std::path::PathBuf {
    let path = folder.join("plan.toml");
    let text =
        SMALL.replace(STATED, worth).replace("class = \"mine\"", "class = \"stream\"").replace("= 1000\n", "= 100_000_000\n");
    std::fs::write(&path, text).expect("a temporary file");
    path
}

/// Whether it is the triad of a stream.
fn triad(value: &Value) -> bool {
    value["workload"]["id"].as_str().is_some_and(|id| id.starts_with("stream/fp64/triad/"))
}

/// The committed record with every block of its triad at one rate, in bytes a second.
fn steady(rate: f64) -> String {
    let mut lines = Vec::new();
    for line in std::fs::read_to_string(CPU).expect("committed").lines() {
        let mut value: Value = serde_json::from_str(line).expect("a line");
        if triad(&value) {
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
    // A unit of triad is 3 TB/s; a record of one device stands for a unit of one.
    assert!((units("record = \"node.jsonl\"").value / 0.02 - 1.0).abs() < 1e-6);
    let least = units("record = [\"node.jsonl\", \"other.jsonl\"]");
    assert!((least.value / 0.015 - 1.0).abs() < 1e-6 && least.how.contains("other.jsonl"), "{least:?}");
}

/// The steady record as if three such devices were in it, the last by a fifth slower; while all work, each has `share` of its own.
fn three(share: Option<f64>) -> String {
    let mut lines = Vec::new();
    for line in steady(60e9).lines() {
        let value: Value = serde_json::from_str(line).expect("a line");
        if !triad(&value) {
            lines.push(line.to_owned() + "\n");
            continue;
        }
        for (device, slower) in [("cpu:0", 1.0), ("cpu:1", 1.0), ("cpu:2", 1.25)] {
            for (load, longer) in [("alone", Some(1.0)), ("together(3)", share.map(|share| 1.0 / share))] {
                let (Some(longer), mut other) = (longer, value.clone()) else { continue };
                (other["device"]["id"], other["load"]) = (json!(device), json!(load));
                for block in other["series"].as_array_mut().expect("blocks") {
                    block["seconds"] = json!(block["seconds"].as_f64().expect("seconds") * slower * longer);
                }
                lines.push(other.to_string() + "\n");
            }
        }
    }
    lines.concat()
}

#[test]
fn a_node_is_worth_what_its_devices_reached_while_all_worked() {
    let folder = folder("together");
    std::fs::write(folder.join("alone.jsonl"), three(None)).expect("written");
    std::fs::write(folder.join("node.jsonl"), three(Some(0.8))).expect("written");
    let units = |worth: &str, class: &str| {
        let path = plan(&folder, &format!("record = \"node.jsonl\"\n{worth}"));
        let text = std::fs::read_to_string(&path).expect("written").replace("class = \"stream\"\n", class);
        std::fs::write(&path, text).expect("written");
        input::plan(&path).expect("firm").case.types[0].cu["stream"]
    };
    let (replicas, job) =
        ("class = \"stream\"\n", "class = \"stream\"\nsynchronous = { nodes = 1, checkpoint_seconds = 1, restart_seconds = 1 }\n");
    let near = |found: f64, known: f64| assert!((found / known - 1.0).abs() < 1e-6, "{found} {known}");
    // 60, 60 and 48 GB/s alone, four fifths of that together: of 3 TB/s.
    near(units("", replicas), 0.8 * 168e9 / 3e12);
    near(units("devices = 3", replicas), 0.8 * 168e9 / 3e12);
    near(units("devices = 2", replicas), 0.8 * 2.0 * 48e9 / 3e12);
    near(units("devices = 1", replicas), 48e9 / 3e12);
    let safe = "failures = { per_node_day = 0, repair_days = 1 }";
    near(units(safe, job), 0.8 * 3.0 * 48e9 / 3e12);
    let told: Value =
        serde_json::from_str(&run(&["units", utf8(&folder.join("node.jsonl")), "--class", "stream", "--json"], Some(0)))
            .expect("units");
    near(told["nodes"][0]["replicas_firm"]["value"].as_f64().expect("firm"), units("", replicas));
    near(told["nodes"][0]["synchronous_firm"]["value"].as_f64().expect("firm"), units(safe, job));
    for (worth, words) in [
        ("record = \"alone.jsonl\"", ["is not firm (alone", "all at once"]),
        ("record = \"alone.jsonl\"\ndevices = 2", ["is not firm (alone", "all at once"]),
        ("record = \"node.jsonl\"\ndevices = 8", ["alone: 3 of its devices", "a unit has 8"]),
    ] {
        let output = size(&[utf8(&plan(&folder, worth))]);
        let stderr = text(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{stderr}");
        assert!(stderr.contains("line 18: ") && words.iter().all(|word| stderr.contains(word)), "{stderr} lacks {words:?}");
    }
}

#[test]
fn a_class_of_a_width_counts_whole_groups() {
    let folder = folder("width");
    let of = |devices: u32| {
        let path = plan(&folder, &format!("published = \"h100_sxm\"\ndevices = {devices}"));
        let text = std::fs::read_to_string(&path).expect("written").replace("\"stream\"", "\"serve-70b-fp8-tp2\"");
        std::fs::write(&path, text).expect("written");
        path
    };
    let worth = |devices: u32| input::plan(&of(devices)).expect("worth something").case.types[0].cu["serve-70b-fp8-tp2"];
    assert!((worth(3) / worth(2) - 1.0).abs() < 1e-12 && (worth(8) / worth(2) - 4.0).abs() < 1e-12, "{} {}", worth(2), worth(3));
    let output = size(&[utf8(&of(1))]);
    let stderr = text(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{stderr}");
    assert!(stderr.contains("type box is worth nothing") && stderr.contains("over 2 devices, and a unit has 1"), "{stderr}");
}

#[test]
fn units_that_are_not_firm_are_refused_by_name_with_the_way_out() {
    let folder = folder("withheld");
    for (worth, class, words) in [
        (format!("record = \"{CPU}\""), "stream", ["CU of cpu:0 for stream is not firm", "unsteady", "source"]),
        (format!("record = \"{CPU}\""), "serve-chat", ["CU of cpu:0 for serve-chat is not firm", "backend", "published"]),
        (format!("record = \"{CPU}\"\ndevice = \"cuda\""), "stream", ["no device cuda", "cpu:0", "record"]),
        (format!("record = \"{SOFTWARE}\""), "stream", ["software", "no hardware", "line"]),
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
