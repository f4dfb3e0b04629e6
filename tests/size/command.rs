//! The command: data to stdout, one sentence to stderr, and the exit code that says how it went.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

pub fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("size-{name}"));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    folder
}

pub fn size(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_assay")).arg("size").args(arguments).output().expect("starts")
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub fn shipped(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/size/cases").join(name)
}

/// The newsvendor case with `from` replaced, in a file.
fn spoilt(name: &str, from: &str, to: &str) -> PathBuf {
    let case = std::fs::read_to_string(shipped("open-01-newsvendor.json")).expect("a case");
    assert!(case.contains(from), "{from} is not in the case");
    let path = folder(name).join("case.json");
    std::fs::write(&path, case.replacen(from, to, 1)).expect("a temporary file");
    path
}

pub fn utf8(path: &Path) -> &str {
    path.to_str().expect("utf-8")
}

#[test]
fn a_case_is_answered_as_a_sheet_and_as_a_document() {
    let case = shipped("open-01-newsvendor.json");
    let sheet = size(&[utf8(&case), "--plain"]);
    let shown = text(&sheet.stdout);
    assert_eq!((sheet.status.code(), text(&sheet.stderr).as_str()), (Some(0), ""));
    for word in ["h100x8-1y", "2,400,000", "3,024,000", "624,000", "434,400", "proved"] {
        assert!(shown.contains(word), "{word} is missing in\n{shown}");
    }
    let pictures = folder("pictures");
    let printed = size(&[utf8(&case), "--json", "--explain", "--pictures", utf8(&pictures)]);
    let document: serde_json::Value = serde_json::from_slice(&printed.stdout).expect("one document");
    assert_eq!((document["optimal_cost"].as_f64(), document["plan"][0]["units"].as_u64()), (Some(2.4e6), Some(6)));
    assert!(document["swings"].as_array().is_some_and(|swings| swings.len() > 5));
    for name in ["cover.svg", "costs.svg", "tornado.svg"] {
        let picture = std::fs::read_to_string(pictures.join(name)).expect("drawn");
        assert!(picture.starts_with("<svg") && picture.ends_with("</svg>\n") && !picture.contains("NaN"), "{name}: {picture}");
    }
}

#[test]
fn an_infeasible_case_says_what_it_lacks() {
    // No flexible capacity, and a commitment that cannot serve the largest demand.
    let case = spoilt("infeasible", "\"per_period\": 40000.0", "\"per_period\": 40000.0, \"max_units\": 0");
    let path = utf8(&case);
    let narrow = std::fs::read_to_string(&case).expect("written").replace("\"max_units\": 12", "\"max_units\": 9");
    std::fs::write(&case, narrow).expect("written");
    let printed = size(&[path, "--json"]);
    assert_eq!(printed.status.code(), Some(1), "{}", text(&printed.stderr));
    let document: serde_json::Value = serde_json::from_slice(&printed.stdout).expect("one document");
    let broken = document["broken"].as_array().expect("what is broken");
    assert_eq!((document["feasible"].as_bool(), broken.len()), (Some(false), 12), "{document}");
    // Ten units serve the largest demand, of 80 CU; nine lack 8 CU.
    assert!(broken.iter().all(|broken| broken["by"].as_f64().is_some_and(|by| (by - 8.0).abs() < 1e-6)), "{broken:?}");
    assert!(text(&size(&[path]).stdout).contains("service floor"));
}

#[test]
fn what_is_ill_formed_is_refused_with_its_line() {
    for (name, from, to, words) in [
        ("torn", "\"tail\": \"prorate\",", "\"tail\": ", ["line "]),
        ("type", "\"type\": \"h100x8\"", "\"type\": \"nothing\"", ["nothing"]),
        ("probability", "\"prob\": 0.1", "\"prob\": 0.3", ["sum to"]),
        ("schema", "assay-sizing-case/1", "assay-sizing-case/9", ["assay-sizing-case/9"]),
        ("negative", "\"per_period\": 40000.0", "\"per_period\": -1", ["negative"]),
    ] {
        let path = spoilt(name, from, to);
        let refused = size(&[utf8(&path)]);
        let stderr = text(&refused.stderr);
        assert_eq!((refused.status.code(), refused.stdout.len()), (Some(2), 0), "{name}: {stderr}");
        assert!(stderr.starts_with("assay: ") && stderr.contains(", line ") && stderr.lines().count() == 1, "{name}: {stderr}");
        assert!(words.iter().all(|word| stderr.contains(word)), "{name}: {stderr}");
    }
    let unknown = spoilt("unknown", "\"tail\":", "\"tial\": 1, \"tail\":");
    let answered = size(&[utf8(&unknown)]);
    assert_eq!(answered.status.code(), Some(0));
    assert!(text(&answered.stderr).contains("tial"), "a misspelt field is told");
}

#[test]
fn a_generated_case_is_a_case() {
    let generated = size(&["--generate", "3x12x5", "--seed", "7", "--fleet", "10"]);
    let path = folder("generated").join("case.json");
    std::fs::write(&path, &generated.stdout).expect("a temporary file");
    assert_eq!(size(&[utf8(&path), "--json"]).status.code(), Some(0));
    assert_eq!(size(&["--generate", "3x12"]).status.code(), Some(2));
}
