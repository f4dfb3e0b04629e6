//! The script that the GitHub Action and the GitLab job run, as they run it.

use crate::{junit, records::Place};
use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

fn deployed(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/ci").join(name)
}

/// With `assay` on the path, as a runner has it.
fn script(place: &Place, variables: &[(&str, &str)]) -> Output {
    let program = Path::new(env!("CARGO_BIN_EXE_assay")).parent().expect("a folder");
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new(deployed("check.sh"));
    command.current_dir(&place.0).env("PATH", path).env("XDG_DATA_HOME", place.0.join("data"));
    for name in ["GITHUB_STEP_SUMMARY", "ASSAY_BASELINE", "ASSAY_OUT", "ASSAY_UPDATE", "ASSAY_CHECK_ARGS", "ASSAY_OUTPUT"] {
        command.env_remove(name);
    }
    command.env("ASSAY_RUN_ARGS", "--backend cpu --footprint 4MiB --only 'stream/*/copy/*'").envs(variables.iter().copied());
    command.output().expect("starts")
}

#[test]
fn a_job_measures_checks_and_leaves_its_reports() {
    let place = Place::new("pipeline");
    let baseline = ("ASSAY_BASELINE", "base.json");
    let begun = script(&place, &[baseline, ("ASSAY_UPDATE", "true"), ("ASSAY_CHECK_ARGS", "--include-unsteady")]);
    assert_eq!(begun.status.code(), Some(0), "{}", String::from_utf8_lossy(&begun.stderr));
    assert!(place.read("base.json").contains("assay.baseline/1"));
    place.write("summary.md", "before\n");
    let lenient = ("ASSAY_CHECK_ARGS", "--margin 49% --least 49%");
    let checked = script(&place, &[baseline, lenient, ("GITHUB_STEP_SUMMARY", "summary.md"), ("ASSAY_OUT", "out")]);
    // A machine that is busy with other tests may be too noisy even for that; then it must say so.
    let text = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(matches!((checked.status.code(), text.contains("verdict ok")), (Some(0), true) | (Some(3), false)), "{text}");
    assert_eq!(junit::violations(&place.read("out/check.xml")), Vec::<String>::new());
    let summary = place.read("summary.md");
    assert!(summary.starts_with("before\n## assay check: "), "{summary}");
    for name in ["out/run.jsonl", "out/run.txt", "out/bencher.json", "out/benchmark.json"] {
        assert!(!place.read(name).is_empty(), "{name}");
    }
    let nameless = script(&place, &[]);
    assert!(!nameless.status.success() && String::from_utf8_lossy(&nameless.stderr).contains("ASSAY_BASELINE"), "{nameless:?}");
}

#[test]
fn what_is_deployed_names_only_what_there_is() {
    let help = |command: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_assay")).args([command, "--help"]).output().expect("starts");
        String::from_utf8(output.stdout).expect("text")
    };
    let known = help("run") + &help("check");
    for name in ["check.sh", "README.md", "action.yml", "gitlab.yml"] {
        let text = fs::read_to_string(deployed(name)).expect("a file");
        let flags: Vec<&str> =
            text.split(|c: char| !(c.is_ascii_lowercase() || c == '-')).filter(|word| word.starts_with("--")).collect();
        let strange: Vec<&&str> = flags.iter().filter(|flag| !known.contains(**flag)).collect();
        assert!(strange.is_empty(), "{name} names {strange:?}");
    }
    let lines = fs::read_to_string(deployed("README.md"))
        .expect("a file")
        .lines()
        .filter(|line| line.starts_with(char::is_numeric))
        .count();
    assert_eq!(lines, 5, "a README of five lines");
}
