//! The worked example in `results/sizing`: what is committed is what the program says today, and the page for those who pay for it
//! quotes it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const PICTURES: [&str; 3] = ["cover.svg", "costs.svg", "tornado.svg"];
const RENEW: &str = "renew it by results/sizing/renew";

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("results/sizing/seven-years")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_committed_report_and_pictures_are_those_of_the_committed_plan() {
    let drawn = super::command::folder("worked");
    let printed = Command::new(env!("CARGO_BIN_EXE_assay"))
        .args(["size", "plan.toml", "--explain", "--markdown", "--pictures"])
        .arg(&drawn)
        .current_dir(example())
        .output()
        .expect("starts");
    assert_eq!(printed.status.code(), Some(0), "{}", String::from_utf8_lossy(&printed.stderr));
    assert!(String::from_utf8_lossy(&printed.stdout) == read(&example().join("report.md")), "report.md is of another day; {RENEW}");
    for name in PICTURES {
        assert!(read(&drawn.join(name)) == read(&example().join(name)), "{name} is of another day; {RENEW}");
    }
}

#[test]
fn the_page_quotes_the_report_and_shows_the_pictures() {
    let (page, report) = (read(&example().join("README.md")), read(&example().join("report.md")));
    let quoted: Vec<&str> = page.lines().filter(|line| line.starts_with('|')).collect();
    assert!(quoted.len() > 8, "the page quotes too little");
    for line in quoted {
        assert!(report.lines().any(|said| said == line), "the report does not say: {line}");
    }
    for name in PICTURES {
        assert!(page.contains(name), "{name} is not shown");
    }
}
