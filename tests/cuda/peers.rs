//! Several devices in one worker: copies between them, sums over them, by us and by NCCL, and what becomes of them without a link.

use crate::{
    compiled,
    fake::{Fake, reason},
};
use assay::record::{Entry, Outcome, RateUnit};
use std::collections::BTreeMap;

const SHARED: [&str; 6] = ["--only", "peer/*", "--only", "collective/*", "--footprint", "1MiB"];

fn fake(name: &str, chip: &str) -> Fake {
    Fake::new(&format!("peers-{name}"), chip).with_ptx(compiled::ptx())
}

/// Entries by what they are of: device, workload and variant.
fn of(fake: &Fake, arguments: &[&str], code: i32) -> BTreeMap<String, Entry> {
    let name = |entry: &Entry| format!("{} {}@{}", entry.device.id, entry.workload.id, entry.workload.variant);
    fake.entries(arguments, code).into_iter().map(|entry| (name(&entry), entry)).collect()
}

fn passed(entry: &Entry) -> bool {
    entry.outcome == Outcome::Measured && entry.verified.as_ref().is_some_and(|verified| verified.passed && verified.hashed > 0)
}

#[test]
fn every_pair_and_every_sum_is_measured_and_verified() {
    // Apart, for a suite's time is that of the machine that runs the fake, too.
    let chip = "sm=90,devices=2";
    let mut found = of(&fake("pairs", chip), &["--only", "peer/*", "--footprint", "1MiB"], 0);
    found.append(&mut of(&fake("sums", chip), &["--only", "collective/*", "--footprint", "1MiB"], 0));
    let wanted = [
        "cuda:0 collective/fp32/all-reduce-time/2x8KiB@once",
        "cuda:0 collective/fp32/all-reduce/2x256KiB@once",
        "cuda:0 collective/fp32/all-reduce/2x64KiB@once",
        "cuda:0 peer/uint32/both/1-256KiB@copy-engine",
        "cuda:0 peer/uint32/to/1-256KiB@copy-engine",
        "cuda:1 peer/uint32/to/0-256KiB@copy-engine",
    ];
    assert_eq!(found.keys().map(String::as_str).collect::<Vec<_>>(), wanted);
    assert!(found.values().all(passed), "{found:?}");
    // The fake's link carries 16 bytes in a nanosecond, one way or both ways at once.
    let rate = |name: &str| found[name].rate.as_ref().and_then(|rate| rate.burst).expect("a burst").value;
    let (one, both) = (rate("cuda:1 peer/uint32/to/0-256KiB@copy-engine"), rate("cuda:0 peer/uint32/both/1-256KiB@copy-engine"));
    let right = f64::from(1 << 18) / (f64::from(1 << 18) / 16.0 + 2000.0) * 1e9;
    assert!((one / right - 1.0).abs() < 0.01 && (both / right - 2.0).abs() < 0.02, "{one} {both} {right}");
    let time = &found["cuda:0 collective/fp32/all-reduce-time/2x8KiB@once"];
    assert_eq!((time.rate.as_ref().map(|rate| rate.unit), time.work.items), (Some(RateUnit::Seconds), 1));
}

#[test]
fn work_that_is_put_off_crosses_devices_in_the_right_order() {
    for (name, only) in [("deferred-sum", "collective/fp32/all-reduce-time/*"), ("deferred-pair", "peer/uint32/both/*")] {
        let found = of(&fake(name, "sm=80,devices=2,mode=deferred,schedule=3"), &["--only", only, "--footprint", "1MiB"], 0);
        assert!(found.len() == 1 && found.values().all(passed), "{found:?}");
    }
}

#[test]
fn three_devices_sum_in_every_way_and_a_bit_that_flips_on_one_of_them_is_seen() {
    let fake = fake("three", "sm=90,devices=3");
    let all = of(&fake, &["--only", "collective/*", "--footprint", "1MiB", "--kernels", "all"], 0);
    let variants: Vec<&str> = all.values().map(|entry| entry.workload.variant.as_str()).collect();
    assert_eq!(variants.len(), 9, "three sizes by three kernels: {variants:?}");
    assert!(all.values().all(passed), "{all:?}");
    let bytes = |entry: &Entry| entry.work.bytes.0;
    assert!(all.values().any(|entry| bytes(entry) == 4 * (256 << 10) / 3), "{all:?}");
    let broken = crate::peers::fake("flip", "sm=90,devices=3").failing("flip@launch/all_reduce:5");
    let found = of(&broken, &["--only", "collective/*", "--footprint", "1MiB"], 1);
    assert!(broken.unfired().is_empty() && found.values().any(|entry| entry.outcome == Outcome::Invalid), "{found:?}");
}

#[test]
fn without_a_link_copies_are_staged_and_sums_are_skipped() {
    let found = of(&fake("unlinked", "sm=90,devices=2,peers=0"), &SHARED, 0);
    let (copies, sums): (Vec<_>, Vec<_>) = found.values().partition(|entry| entry.workload.family == "peer");
    assert!(copies.len() == 3 && copies.iter().all(|entry| passed(entry) && entry.workload.variant == "staged"), "{copies:?}");
    assert!(
        sums.iter().all(|entry| entry.outcome == Outcome::Skipped && reason(entry).contains("do not reach each other's memory"))
    );
}

#[test]
fn more_devices_than_one_may_reach_at_a_time_are_joined_pair_by_pair() {
    let found = of(&fake("crowd", "sm=90,devices=3,peers=1"), &["--only", "peer/uint32/*", "--footprint", "1MiB"], 0);
    assert_eq!(found.len(), 9, "each of three both ways with each of the others, and at once");
    assert!(found.values().all(|entry| passed(entry) && entry.workload.variant == "copy-engine"), "{found:?}");
    let rates: Vec<f64> = found
        .iter()
        .filter(|(name, _)| name.contains("/to/"))
        .map(|(_, entry)| entry.rate.as_ref().and_then(|rate| rate.burst).expect("a burst").value)
        .collect();
    let (least, most) = rates.iter().fold((f64::MAX, 0.0f64), |(least, most), rate| (least.min(*rate), most.max(*rate)));
    assert!(rates.len() == 6 && least > 0.99 * most, "none goes through the host: {rates:?}");
}

#[test]
fn one_device_says_that_it_is_alone() {
    let found = of(&fake("one", "sm=90"), &SHARED, 3);
    assert_eq!(found.len(), 2);
    for entry in found.values() {
        assert_eq!(entry.outcome, Outcome::Skipped);
        assert!(reason(entry).contains("needs 2 devices that are measured together, here is 1"), "{}", reason(entry));
    }
}

#[test]
fn a_device_that_breaks_costs_what_it_took_part_in() {
    let broken = fake("broken", "sm=90,devices=2").failing("illegal@launch/all_reduce:2");
    let found = of(&broken, &SHARED, 1);
    let failed: Vec<_> = found.values().filter(|entry| entry.outcome == Outcome::Failed).collect();
    assert!(broken.unfired().is_empty() && failed.len() == 1 && failed[0].workload.family == "collective", "{found:?}");
    assert_eq!(found.values().filter(|entry| passed(entry)).count(), 5);
}

#[test]
fn nccl_is_held_against_ours_where_it_is() {
    const LARGE: [&str; 4] = ["--only", "collective/fp32/all-reduce/2x256KiB", "--footprint", "1MiB"];
    let found = of(&fake("nccl", "sm=90,devices=2").with_nccl(""), &LARGE, 0);
    let [ours, theirs] = ["once", "nccl"].map(|by| &found[&format!("cuda:0 collective/fp32/all-reduce/2x256KiB@{by}")]);
    assert!(passed(ours) && passed(theirs), "{found:?}");
    assert_eq!(theirs.kernel.as_deref(), Some("NCCL 2.27.3"));
    assert!(ours.pair.as_ref().is_some_and(|pair| pair.with.ends_with("@nccl") && pair.pairs >= 3), "{ours:?}");
    for (script, outcome, words) in
        [("broken", Outcome::Failed, "ncclCommInitAll: system error"), ("short", Outcome::Invalid, "pass")]
    {
        let found = of(&fake(&format!("nccl-{script}"), "sm=90,devices=2").with_nccl(script), &LARGE, 1);
        let theirs = found.values().find(|entry| entry.workload.variant == "nccl").expect("told");
        assert!(theirs.outcome == outcome && reason(theirs).contains(words), "{theirs:?}");
        assert!(found.values().any(passed), "ours is measured all the same");
    }
}
