//! Every reading command over every record in `results/`, and over one that no machine made; and the schema that they all keep to.

mod fixture;
mod validator;

use assay::record::{Document, Kind, Line};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Commands that take a record, each with whether it prints JSON.
const READING: &[(&[&str], bool)] = &[(&["show"], false), (&["show", "--plain"], false), (&["show", "--json"], true)];
const COMMITTED: &str = "docs/assay.run-1.schema.json";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Records of real machines.
fn results() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("results")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().filter_map(Result::ok) {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                path if path.extension().is_some_and(|extension| extension == "jsonl") => found.push(path),
                _ => {}
            }
        }
    }
    found.sort();
    found
}

/// What keeps a record out of `results/`.
fn unfit(document: &Document) -> Option<String> {
    let devices = document.header.devices.iter().chain(document.entries.iter().map(|entry| &entry.device));
    let invented = |kind| matches!(kind, Kind::Fake | Kind::Replay);
    let measured = document.entries.iter().map(|entry| &entry.device.kind);
    if let Some(kind) = measured.copied().find(|kind| invented(*kind)) {
        return Some(format!("a {} device was measured: results are of real machines", kind.name()));
    }
    if devices.into_iter().any(|device| device.kind == Kind::Fake) {
        return Some("it lists a fake device".into());
    }
    (document.entries.is_empty() || document.end.is_none()).then(|| "the run is not whole".into())
}

fn generated(more: &[&str]) -> Value {
    let output = fixture::assay().arg("schema").args(more).output().expect("starts");
    assert_eq!(output.status.code(), Some(0));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn assert_reads(path: &Path) {
    for (command, json) in READING {
        let output = fixture::assay().args(*command).arg(path).output().expect("starts");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), stderr.as_str()), (Some(0), ""), "{command:?} {}", path.display());
        assert!(!output.stdout.is_empty() && !output.stdout.contains(&0x1b), "{command:?} {}", path.display());
        if *json {
            let value: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
            let schema = generated(&[]);
            let found = validator::violations(&schema, &schema, &value, "");
            assert!(found.is_empty(), "{}: {found:?}", path.display());
        }
    }
}

fn assert_lines_keep_to_the_schema(path: &Path) {
    let schema = generated(&["--line"]);
    for text in fs::read_to_string(path).expect("text").lines() {
        let value: Value = serde_json::from_str(text).expect("JSON");
        assert_eq!(validator::violations(&schema, &schema, &value, ""), Vec::<String>::new(), "{}", path.display());
        let line: Line = serde_json::from_str(text).expect("a line");
        assert_eq!(serde_json::to_value(&line).expect("plain data"), value, "reading {} loses nothing", path.display());
    }
}

#[test]
fn every_reading_command_reads_every_record() {
    let invented = fixture::folder("commands").join("invented.jsonl");
    fs::write(&invented, fixture::text()).expect("a temporary file");
    for path in results().iter().chain([&invented]) {
        assert_reads(path);
        assert_lines_keep_to_the_schema(path);
    }
}

#[test]
fn every_judging_command_reads_every_record_and_none_is_worse_than_itself() {
    let invented = fixture::folder("commands-judged").join("invented.jsonl");
    fs::write(&invented, fixture::text()).expect("a temporary file");
    for path in results().iter().chain([&invented]) {
        for (command, times) in [("compare", 2), ("history", 1), ("peers", 1)] {
            let output = fixture::assay().arg(command).args(vec![path; times]).arg("--json").output().expect("starts");
            // One run is neither a history nor a fleet, and a record may hold nothing that was measured.
            assert!(matches!(output.status.code(), Some(0 | 3)), "{command} {}: {output:?}", path.display());
            let value: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
            assert!(value["verdict"] != "regressed" && value.is_object(), "{command} {}", path.display());
        }
    }
}

#[test]
fn results_are_of_real_machines() {
    for path in results() {
        let document = assay::record::read(&path).expect("a record");
        assert_eq!(unfit(&document), None, "{}", path.display());
        assert!(document.warnings.is_empty(), "{:?}", document.warnings);
    }
    assert!(unfit(&fixture::document()).is_some_and(|why| why.contains("fake")), "an invented record is refused");
    let unended = Document { end: None, ..fixture::document() };
    assert!(unfit(&Document { entries: Vec::new(), ..unended }).is_some(), "half a run is refused");
}

#[test]
fn the_committed_schema_is_the_generated_one() {
    let committed: Value = serde_json::from_str(&fs::read_to_string(root().join(COMMITTED)).expect("committed")).expect("JSON");
    assert!(committed == generated(&[]), "the types changed; renew it by: assay schema > {COMMITTED}");
}

#[test]
fn a_document_that_breaks_the_schema_is_seen() {
    let schema = generated(&[]);
    let whole = serde_json::to_value(fixture::document()).expect("plain data");
    for (pointer, replacement) in [
        ("/suite", Value::Null),
        ("/assay/method", (-1).into()),
        ("/entries/0/outcome", "fine".into()),
        ("/entries/0/rate/burst/value", "fast".into()),
        ("/entries/0/device", serde_json::json!({"id": "x:0"})),
        ("/entries/1", serde_json::json!([])),
    ] {
        let mut value = whole.clone();
        *value.pointer_mut(pointer).expect("a field") = replacement;
        assert!(!validator::violations(&schema, &schema, &value, "").is_empty(), "{pointer}");
    }
}
