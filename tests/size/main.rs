//! Sizing against optima that are known otherwise: shipped cases, and random ones whose plans are all enumerated here.

mod cases;
mod command;
mod demand;
mod enumerate;
mod explained;
mod figures;
mod infeasible;
mod joined;
mod plans;
mod random;
mod refused;
mod replayed;
mod scale;
mod support;
mod tokens;
mod worked;

/// A case without its answer, or an answer without its case, would be held to nothing.
#[test]
fn every_shipped_case_has_its_answer() {
    let folder = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/size/cases");
    let names = std::fs::read_dir(folder).expect("shipped").map(|entry| entry.expect("readable").file_name().into_string());
    let names: Vec<String> = names.map(|name| name.expect("utf-8")).collect();
    let stems = |end: &str| {
        let mut stems: Vec<String> = names.iter().filter_map(|name| name.strip_suffix(end)).map(str::to_owned).collect();
        stems.retain(|stem| !stem.ends_with(".answer"));
        stems.sort();
        stems
    };
    assert_eq!(stems(".json"), cases::CASES);
    assert_eq!(stems(".answer.json"), cases::CASES);
}
