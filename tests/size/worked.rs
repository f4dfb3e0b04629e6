//! The worked example in `results/sizing`: what is committed is what the program says today, and the page for those who pay for it
//! quotes it.

use super::support::folder;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const RENEW: &str = "renew it by results/sizing/renew";

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("results/sizing/seven-years")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What a command prints and draws beside the plan is what is committed there.
fn is_committed(arguments: &[&str], printed: &str, pictures: &[&str]) {
    let drawn = folder(printed);
    let output = Command::new(env!("CARGO_BIN_EXE_assay"))
        .arg("size")
        .args(arguments)
        .args(["--markdown", "--pictures"])
        .arg(&drawn)
        .current_dir(example())
        .output()
        .expect("starts");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout) == read(&example().join(printed)), "{printed} is of another day; {RENEW}");
    for name in pictures {
        assert!(read(&drawn.join(name)) == read(&example().join(name)), "{name} is of another day; {RENEW}");
    }
}

#[test]
fn the_committed_report_is_that_of_the_committed_plan() {
    is_committed(&["plan.toml", "--explain"], "report.md", &["cover.svg", "costs.svg", "tornado.svg"]);
}

#[test]
fn the_committed_comparison_is_that_of_the_committed_plans() {
    is_committed(&["compare", "plan.toml", "locked.toml"], "compare.md", &["compare.svg"]);
}

#[test]
fn the_page_quotes_what_is_committed_and_shows_the_pictures() {
    let page = read(&example().join("README.md"));
    let said = read(&example().join("report.md")) + &read(&example().join("compare.md"));
    let quoted: Vec<&str> = page.lines().filter(|line| line.starts_with('|')).collect();
    assert!(quoted.len() > 20, "the page quotes too little");
    for line in quoted {
        assert!(said.lines().any(|known| known == line), "nothing says: {line}");
    }
    for name in ["cover.svg", "costs.svg", "tornado.svg", "compare.svg"] {
        assert!(page.contains(&format!("]({name})")), "{name} is not shown");
    }
}
