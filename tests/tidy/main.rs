//! The house rules, held by reading the tree as text: the import table, lengths, twins, dead files, words.
//!
//! Each rule is one test whose message names the file, the line and the cure. Each rule also has a self-test beside it on
//! a planted violation, so that a rule which can no longer fail is noticed.

mod imports;
mod lengths;
mod source;
mod twins;
mod words;

use source::Source;

/// The rooms of the house and what each may import (a room always sees itself). Floors come first, from the ground up,
/// so that a row imports only what stands above it here.
const ROOMS: &[(&str, &[&str])] = &[
    ("units", &[]),
    ("dtype", &[]),
    ("files", &[]),
    ("console", &[]),
    ("record", &["units", "dtype"]),
    ("chips", &["units", "dtype"]),
    ("plan", &["record", "chips", "units", "dtype"]),
    ("capacity", &["record", "chips", "files", "units", "dtype"]),
    ("store", &["record", "chips", "units", "dtype"]),
    ("contract", &["plan", "record", "chips", "units", "dtype"]),
    ("device", &["contract", "plan", "record", "chips", "files", "units", "dtype"]),
    ("workload", &["contract", "plan", "record", "chips", "units", "dtype"]),
    ("telemetry", &["contract", "plan", "record", "chips", "units", "dtype"]),
    ("measure", &["contract", "plan", "record", "chips", "units", "dtype"]),
    ("reserve", &["capacity", "record", "files", "units"]),
    ("judge", &["record", "chips", "units", "dtype"]),
    ("import", &["record", "chips", "units", "dtype"]),
    ("report", &["record", "capacity", "reserve", "judge", "units", "dtype"]),
    ("runner", &["device", "workload", "telemetry", "measure", "contract", "plan", "record", "chips", "units", "dtype"]),
    ("fleet", &["runner", "store", "record", "units"]),
    (
        "cli",
        &[
            "fleet",
            "runner",
            "measure",
            "workload",
            "device",
            "telemetry",
            "report",
            "reserve",
            "judge",
            "import",
            "capacity",
            "store",
            "contract",
            "plan",
            "chips",
            "record",
            "console",
            "files",
            "units",
            "dtype",
        ],
    ),
];

/// Rooms whose files are strangers to each other: one file a command, and what two share lives in the room's face.
const NO_SIBLINGS: &[&str] = &["cli"];

/// Crates that belong to one place: past its door nobody knows which library answers.
const CRATE_HOMES: &[(&str, &[&str])] = &[
    ("cudarc", &["src/device/cuda", "tests/gpu/"]),
    ("wgpu", &["src/device/wgpu"]),
    ("faer", &["src/device/cpu", "benches/"]),
    ("nvml_wrapper", &["src/telemetry"]),
    ("nvml_wrapper_sys", &["src/telemetry"]),
    ("sysinfo", &["src/telemetry", "src/device"]),
];

fn holds(rule: fn(&[Source]) -> Vec<String>) {
    let violations = rule(&source::tree());
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

#[test]
fn the_tree_is_read() {
    let tree = source::tree();
    assert!(tree.iter().any(|source| source.path == "src/main.rs"), "src/main.rs must be found");
    assert!(tree.iter().any(|source| source.path == "tests/tidy/main.rs"), "the tests must be found");
}

#[test]
fn rooms_import_only_what_the_table_grants() {
    holds(imports::against_the_table);
}

#[test]
fn crates_stay_in_their_homes() {
    holds(imports::crates_away_from_home);
}

#[test]
fn files_are_short() {
    holds(lengths::files);
}

#[test]
fn functions_are_short() {
    holds(lengths::long_functions);
}

#[test]
fn kernels_and_the_stem_table_agree() {
    holds(twins::stems);
}

#[test]
fn no_file_is_dead() {
    holds(twins::dead_files);
}

#[test]
fn unsafe_stays_in_its_files() {
    holds(words::unsafe_code);
}

#[test]
fn no_banned_words() {
    holds(words::banned);
}

#[test]
fn every_rust_file_has_a_head() {
    holds(words::headless);
}

#[test]
fn only_gpu_tests_are_ignored() {
    holds(words::ignored);
}

#[test]
fn every_test_asserts() {
    holds(words::toothless);
}

#[test]
fn the_table_runs_downhill() {
    for (row, (room, imports)) in ROOMS.iter().enumerate() {
        for import in *imports {
            let floor = ROOMS.iter().position(|(name, _)| name == import);
            assert!(floor.is_some_and(|floor| floor < row), "{room} imports {import}, which is not below it");
        }
    }
}
