//! Where `assay check` writes: never over what it reads, never half, and no run is lost between two that renew one baseline.

use crate::records::{Place, document};
use std::{
    fs::File,
    process::{Command, Stdio},
};

#[test]
fn nothing_that_is_read_is_written_over() {
    let place = Place::with_baseline("outputs");
    let run = place.run("run.jsonl", &document(7));
    let (baseline, record) = (place.read("base.json"), place.read(&run));
    for (arguments, words) in [
        (&["--junit", "base.json"][..], "that file is read"),
        (&["--bencher", "./run.jsonl"], "that file is read"),
        (&["--junit", "out", "--bencher", "out"], "--junit is written there"),
        (&["--junit", "out", "--bencher", "nowhere/out"], "there is no folder nowhere"),
    ] {
        let output = place.check(&[&[run.as_str()], arguments].concat());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{stderr}");
        assert!(stderr.contains(words), "{stderr}");
        assert!(!place.0.join("out").exists(), "nothing is written");
        assert_eq!((place.read("base.json"), place.read(&run)), (baseline.clone(), record.clone()));
    }
}

#[test]
fn several_that_renew_a_baseline_at_once_lose_nothing() {
    let place = Place::new("outputs-at-once");
    let runs: Vec<String> = (1..=8).map(|seed| place.run(&format!("{seed}.jsonl"), &document(seed))).collect();
    let begin = |run: &String| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_assay"));
        command.current_dir(&place.0).args(["check", "--baseline", "base.json", "--partial", "--update-baseline", run]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts")
    };
    let children: Vec<_> = runs.iter().map(begin).collect();
    for mut child in children {
        assert!(child.wait().expect("own child").code().is_some_and(|code| code != 2));
    }
    let kept = place.read("base.json");
    let lost: Vec<_> = (1..=8).filter(|seed| !kept.contains(&format!("00000000-0000-7000-8000-{seed:012}"))).collect();
    assert!(lost.is_empty(), "{lost:?} were taken in and are gone");
    assert!(
        std::fs::read_dir(&place.0).expect("a folder").flatten().all(|file| !file.file_name().to_string_lossy().starts_with('.'))
    );
}

#[test]
fn a_verdict_is_an_exit_code_whoever_reads() {
    let place = Place::with_baseline("outputs-read");
    let bad = place.run("bad.jsonl", &crate::records::changed(7, "matmul", 0.8));
    let code = |stdout: Stdio, stderr: Stdio| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_assay"));
        command.current_dir(&place.0).args(["check", "--baseline", "base.json", &bad]).stdout(stdout).stderr(stderr);
        command.status().expect("starts").code()
    };
    let full = || Stdio::from(File::options().write(true).open("/dev/full").expect("Linux has it"));
    let (reader, closed) = std::io::pipe().expect("a pipe");
    drop(reader);
    assert_eq!(code(Stdio::null(), Stdio::null()), Some(1));
    assert_eq!(code(closed.into(), Stdio::null()), Some(1), "`assay check | head` fails a pipeline all the same");
    assert_eq!(code(Stdio::null(), full()), Some(1));
    assert_eq!(code(full(), Stdio::null()), Some(2), "what was asked for could not be said");
}
