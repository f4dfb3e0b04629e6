//! Several devices from a common start; one that never comes to it; one that is lost afterwards.

use crate::fake::{Fake, text};
use assay::record::{Entry, Outcome};

/// A second alone and a second together, of one workload.
const SOAK: [&str; 8] = ["--suite", "soak", "--time", "2s", "--only", "stream/*/read/*", "--footprint", "1MiB"];

/// A run of three devices to which the script happens; its entries, alone and together, and its exit code.
fn of_three(name: &str, script: &str) -> (Vec<Entry>, Vec<Entry>, Option<i32>) {
    let fake = Fake::new(&format!("together-{name}"), "87,devices=3").failing(script);
    let output = fake.run(&SOAK);
    let stderr = text(&output.stderr);
    assert!(script.is_empty() || fake.fired(script), "{script} never happened: {}", fake.log());
    assert!(stderr.contains("then together on 3 devices: 1 sustained of 1 s") && !stderr.contains("panicked"), "{stderr}");
    let (alone, together) = fake.record().entries.into_iter().partition(|entry| entry.load == "alone");
    (alone, together, output.status.code())
}

fn told(entries: &[Entry]) -> Vec<(&str, Outcome, &str)> {
    entries.iter().map(|entry| (entry.device.id.as_str(), entry.outcome, entry.load.as_str())).collect()
}

#[test]
fn each_device_is_measured_alone_and_all_of_them_together() {
    let (alone, mut together, code) = of_three("all", "");
    let ids = ["cuda:0", "cuda:1", "cuda:2"];
    assert_eq!(told(&alone), ids.map(|id| (id, Outcome::Measured, "alone")));
    together.sort_by(|a, b| a.device.id.cmp(&b.device.id));
    assert_eq!((told(&together), code), (ids.map(|id| (id, Outcome::Measured, "together(3)")).to_vec(), Some(0)));
    for entry in &together {
        assert!(entry.verified.as_ref().is_some_and(|verified| verified.passed && verified.hashed > 0));
    }
}

#[test]
fn a_device_that_never_comes_to_the_gate_is_not_waited_for() {
    // The worker stands still while it verifies, the second time that this device is opened.
    let (alone, together, code) = of_three("absent", "stop@launch/read:1#1/2");
    assert!(alone.len() == 3 && alone.iter().all(|entry| entry.outcome == Outcome::Measured), "{:?}", told(&alone));
    assert_eq!((together.len(), code), (3, Some(1)), "{:?}", told(&together));
    // Had the others waited, its end would have come first.
    let (started, absent) = together.split_at(2);
    assert!(started.iter().all(|entry| entry.outcome == Outcome::Measured && entry.load == "together(2)"), "{:?}", told(started));
    assert_eq!((absent[0].device.id.as_str(), absent[0].outcome), ("cuda:1", Outcome::Failed));
    assert!(absent[0].reason.as_ref().is_some_and(|reason| reason.ends_with("while verifying")), "{:?}", absent[0].reason);
}

#[test]
fn a_device_that_is_lost_after_the_start_costs_its_own_entry() {
    let (_, mut together, code) = of_three("lost", "kill@cuGraphLaunch:2#2/2");
    together.sort_by(|a, b| a.device.id.cmp(&b.device.id));
    let outcomes: Vec<_> = together.iter().map(|entry| entry.outcome).collect();
    assert_eq!((outcomes, code), (vec![Outcome::Measured, Outcome::Measured, Outcome::Failed], Some(1)));
    assert!(together.iter().all(|entry| entry.load == "together(3)"), "{:?}", told(&together));
}

#[test]
fn where_only_one_is_left_nothing_was_measured_together() {
    let script = "kill@launch/read:1#1/2,kill@launch/read:1#2/2";
    let fake = Fake::new("together-one", "87,devices=3").failing(script);
    let entries = fake.entries(&SOAK, 1);
    let last = entries.iter().filter(|entry| entry.load != "alone").find(|entry| entry.device.id == "cuda:0").expect("told");
    assert_eq!(last.outcome, Outcome::Skipped);
    assert!(last.reason.as_ref().is_some_and(|reason| reason.contains("no other device")), "{:?}", last.reason);
}

#[test]
fn a_quick_run_measures_each_device_alone() {
    let fake = Fake::new("together-quick", "87,devices=2");
    let output = fake.run(&["--only", "stream/*/copy/*", "--footprint", "1MiB"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let entries = fake.record().entries;
    assert!(entries.len() == 2 && entries.iter().all(|entry| entry.load == "alone"), "{:?}", told(&entries));
    let stderr = text(&output.stderr);
    assert!(stderr.contains("cuda:0: 1 bursts of 0.3 s, at most 60 s"), "{stderr}");
}
