//! A worker that is killed, stopped, faults or ends of itself, at each phase: what it costs, and that nothing of it stays.

use crate::fake::{Fake, text};
use assay::record::Outcome;
use std::{
    path::PathBuf,
    process::{Output, Stdio},
    time::{Duration, Instant},
};

/// Three workloads, so that it shows what was before and comes after.
const THREE: [&str; 4] = ["--only", "stream/*/{copy,scale,add}/*", "--footprint", "1MiB"];
/// What befalls the worker, and the words for it.
const ENDS: [(&str, &str); 4] =
    [("kill", "SIGKILL"), ("segv", "SIGSEGV"), ("exit", "exit status: 3"), ("stop", "gave no sign of life for 10 s")];

/// Where the second workload's measurement meets its end, what it was doing, and how many are measured where its worker stood still: one
/// that does so in a launch costs that kernel alone, and the next is measured.
fn at(phase: &str, place: &str, beside_one_that_stands: usize) {
    std::thread::scope(|scope| {
        for (end, words) in ENDS {
            let measured = if end == "stop" { beside_one_that_stands } else { 2 };
            scope.spawn(move || costs_one_entry(phase, &format!("{end}@{place}"), words, measured));
        }
    });
}

/// One entry fails, and so many are measured.
fn costs_one_entry(phase: &str, script: &str, words: &str, rest: usize) {
    let name = format!("end-{}", script.replace(['@', '/', ':'], "-"));
    let fake = Fake::new(&name, "87").failing(script);
    let output = fake.run(&THREE);
    ended(&fake, script, &output);
    assert_eq!(output.status.code(), Some(1), "{script}: {}", text(&output.stderr));
    let document = fake.record();
    let failed: Vec<_> = document.entries.iter().filter(|entry| entry.outcome == Outcome::Failed).collect();
    let measured = document.entries.iter().filter(|entry| entry.outcome == Outcome::Measured).count();
    assert_eq!((failed.len(), measured), (1, rest), "{script}: {document:?}");
    let reason = failed[0].reason.clone().unwrap_or_default();
    assert!(reason.contains(words) && reason.ends_with(&format!(", while {phase}")), "{script}: {reason}");
}

/// It happened, was told in order, and left no process behind.
fn ended(fake: &Fake, script: &str, output: &Output) {
    let stderr = text(&output.stderr);
    assert!(fake.fired(script), "{script} never happened: {}", fake.log());
    assert!(!stderr.contains("panicked"), "{script}: {stderr}");
    let left = left(fake);
    assert!(left.is_empty(), "{script}: {left:?} outlived the run");
}

/// Processes of a run that are there: the fake's log is named in the environment of each.
fn left(fake: &Fake) -> Vec<PathBuf> {
    let mark = format!("ASSAY_FAKE_LOG={}", fake.path("log").display());
    let is_ours =
        |process: &PathBuf| std::fs::read(process.join("environ")).is_ok_and(|all| text(&all).split('\0').any(|one| one == mark));
    std::fs::read_dir("/proc").expect("Linux").filter_map(|process| Some(process.ok()?.path())).filter(is_ours).collect()
}

#[test]
fn a_killed_parent_leaves_no_worker_in_whatever_state_it_is() {
    // One that stands still, and one that waits for work which never ends.
    for script in ["stop@launch/copy:60", "hang@launch/copy:3"] {
        let fake = Fake::new(&format!("end-orphan-{}", &script[..4]), "87").failing(script);
        let mut command = fake.assay();
        command.args(["run", "--backend", "cuda", "--force", "-o"]).arg(fake.path("run.jsonl")).args(THREE);
        let mut run = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts");
        let deadline = Instant::now() + Duration::from_secs(20);
        while !fake.fired(script) {
            assert!(Instant::now() < deadline, "{script} never happened");
            std::thread::sleep(Duration::from_millis(20));
        }
        run.kill().expect("own child");
        run.wait().expect("own child");
        let deadline = Instant::now() + Duration::from_secs(3);
        while !left(&fake).is_empty() {
            assert!(Instant::now() < deadline, "{script}: {:?} outlived their parent", left(&fake));
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn while_a_device_is_opened() {
    at("opening the device", "cuDevicePrimaryCtxRetain:1", 2);
}

#[test]
fn while_a_measurement_is_prepared() {
    at("preparing", "alloc:4", 2);
}

#[test]
fn while_a_measurement_is_verified() {
    at("verifying", "launch/scale:1", 3);
}

#[test]
fn while_launches_are_timed() {
    at("timing launches", "cuGraphLaunch:3", 3);
}

#[test]
fn while_devices_are_listed() {
    for (end, words) in [("kill", "SIGKILL"), ("stop", "did not answer within 30 s")] {
        let script = format!("{end}@cuInit:1");
        let fake = Fake::new(&format!("end-list-{end}"), "87").failing(&script);
        let output = fake.run(&THREE);
        ended(&fake, &script, &output);
        assert!(!output.status.success() && text(&output.stderr).contains(words), "{}", text(&output.stderr));
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_device_that_is_lost_at_each_opening_is_given_up_after_the_second() {
    let script = "kill@cuDevicePrimaryCtxRetain:1+";
    let fake = Fake::new("end-open-always", "87").failing(script);
    let output = fake.run(&THREE);
    ended(&fake, script, &output);
    let document = fake.record();
    let reasons: Vec<_> = document.entries.iter().filter_map(|entry| entry.reason.clone()).collect();
    assert_eq!(document.entries.len(), 2, "{reasons:?}");
    assert!(document.entries.iter().all(|entry| entry.outcome == Outcome::Failed));
    assert!(reasons[1].contains("could not be opened, 1 more workloads were not tried"), "{reasons:?}");
    assert_eq!(output.status.code(), Some(1));
}
