//! What NVML and the kernel's log say while something is measured, and what becomes of the entries.

use crate::fake::{Fake, text};
use assay::record::{Document, Outcome, Severity};
use std::{
    fs::OpenOptions,
    io::{BufRead, BufReader, Write},
    process::Stdio,
};

/// Two workloads, so that it shows what the second makes of the first's end.
const TWO: [&str; 4] = ["--only", "stream/*/{copy,scale}/*", "--footprint", "1MiB"];

/// A run with NVML, of which the script is true; its record and exit code.
fn with(name: &str, script: &str) -> (Document, Option<i32>) {
    let fake = Fake::new(&format!("sensors-{name}"), "87").with_nvml(script);
    let output = fake.run(&TWO);
    let stderr = text(&output.stderr);
    assert!(!stderr.contains("panicked"), "{script}: {stderr}");
    (fake.record(), output.status.code())
}

fn outcomes(document: &Document) -> Vec<Outcome> {
    document.entries.iter().map(|entry| entry.outcome).collect()
}

const GOOD: [Outcome; 2] = [Outcome::Measured; 2];

#[test]
fn readings_are_joined_by_uuid_and_stand_in_the_entry() {
    let (document, code) = with("healthy", "");
    assert_eq!((outcomes(&document), code), (GOOD.to_vec(), Some(0)));
    let entry = &document.entries[0];
    let telemetry = entry.telemetry.as_ref().expect("readings");
    assert_eq!(telemetry.source, "nvml");
    assert_eq!(telemetry.watts.map(|watts| watts.mean), Some(333.0));
    assert_eq!(telemetry.memory_celsius.map(|celsius| celsius.mean), Some(71.0));
    assert_eq!(telemetry.sm_mhz.map(|clock| clock.high), Some(1333.0));
    // The fake always tells of one process besides whoever asks.
    assert_eq!(entry.neighbours.map(|others| (others.before, others.after)), Some((1, 1)));
    let faults = entry.faults.as_ref().expect("watched");
    assert!(faults.watched.contains("nvml") && faults.xids.is_empty(), "{faults:?}");
}

#[test]
fn a_power_cap_is_seen_and_named() {
    let (document, code) = with("throttle", "throttle@any:1+");
    assert_eq!(code, Some(0));
    let telemetry = document.entries[1].telemetry.as_ref().expect("readings");
    assert!(telemetry.limits.as_ref().is_some_and(|limits| limits.contains("sw_power_cap")), "{telemetry:?}");
    assert_eq!(telemetry.sm_mhz.map(|clock| clock.high), Some(799.0));
    assert_eq!(document.entries[1].rate.as_ref().and_then(|rate| rate.limiter.as_deref()), Some("power"));
}

#[test]
fn what_cannot_be_read_is_blank_and_costs_nothing() {
    for (name, script) in [("denied", "4@any:1+"), ("unsupported", "3@any:1+"), ("lost", "lost@nvmlDeviceGetClockInfo:3")] {
        let (document, code) = with(name, script);
        assert_eq!((outcomes(&document), code), (GOOD.to_vec(), Some(0)), "{name}");
        let last = document.entries[1].telemetry.as_ref();
        assert!(last.is_none_or(|telemetry| telemetry.watts.is_none() && telemetry.limits.is_none()), "{name}: {last:?}");
    }
}

#[test]
fn a_slow_library_delays_nothing() {
    let (document, code) = with("slow", "slow=2000@nvmlDeviceGetFieldValues:2+");
    assert_eq!((outcomes(&document), code), (GOOD.to_vec(), Some(0)));
    let setup = document.entries.iter().filter_map(|entry| entry.sampling.as_ref()).map(|sampling| sampling.setup);
    assert!(setup.clone().all(|seconds| seconds < 1.5), "{:?}", setup.collect::<Vec<_>>());
}

#[test]
fn the_catalogue_decides_what_a_fault_costs() {
    for (number, outcome, severity, code) in [
        (43, Outcome::Measured, Severity::Warning, 0),
        (94, Outcome::Invalid, Severity::Error, 1),
        (79, Outcome::Invalid, Severity::Critical, 1),
        (4242, Outcome::Invalid, Severity::Error, 1),
    ] {
        let (document, exit) = with(&format!("xid-{number}"), &format!("xid={number}@nvmlEventSetWait_v2:1"));
        assert_eq!((outcomes(&document), exit), (vec![outcome, Outcome::Measured], Some(code)), "Xid {number}");
        let first = &document.entries[0];
        let told: Vec<_> =
            first.faults.iter().flat_map(|faults| &faults.xids).map(|xid| (xid.xid, xid.severity, xid.count)).collect();
        assert_eq!(told, [(number, severity, 1)]);
        let reason = first.reason.clone().unwrap_or_default();
        assert_eq!(reason.contains(&format!("Xid {number}")), outcome == Outcome::Invalid, "{reason}");
        assert_eq!(reason.contains("unfit"), severity == Severity::Critical, "{reason}");
    }
}

#[test]
fn a_storm_of_faults_is_one_line_with_its_count() {
    let (document, code) = with("storm", "xid=94@nvmlEventSetWait_v2:1+");
    assert_eq!((outcomes(&document), code), (vec![Outcome::Invalid; 2], Some(1)));
    for entry in &document.entries {
        let faults = entry.faults.as_ref().expect("watched");
        assert!(faults.xids.len() == 1 && faults.xids[0].count > 20, "{faults:?}");
    }
}

#[test]
fn the_kernels_log_tells_what_nvml_misses_and_both_are_joined() {
    let fake = Fake::new("sensors-log", "87").with_nvml("xid=79@nvmlEventSetWait_v2:1").with_kernel_log();
    let mut command = fake.assay();
    command.args(["run", "--backend", "cuda", "--force", "--no-progress", "-o"]).arg(fake.path("run.jsonl"));
    let three = ["--only", "stream/*/{copy,scale,add}/*", "--footprint", "1MiB", "--suite", "standard"];
    let mut run = command.args(three).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("starts");
    let lines = BufReader::new(run.stderr.take().expect("piped")).lines().map_while(Result::ok);
    for line in lines {
        if line.starts_with("[1/3]") {
            let mut log = OpenOptions::new().append(true).open(fake.path("kmsg")).expect("its own file");
            let faults = [("01", 79, "fell off"), ("01", 48, "double bit"), ("02", 62, "of another card")];
            for (bus, number, words) in faults {
                writeln!(log, "3,9,9,-;NVRM: Xid (PCI:0000:{bus}:00): {number}, {words}").expect("writes");
            }
        }
    }
    assert_eq!(run.wait().expect("own child").code(), Some(1));
    let document = fake.record();
    let of = |index: usize| document.entries[index].faults.clone().expect("watched").xids;
    let all: Vec<_> = (0..3).flat_map(of).collect();
    assert!(of(0).iter().all(|xid| !xid.seen_by.contains("kernel log")), "what was logged before the run is not told: {:?}", of(0));
    let double: Vec<_> = all.iter().filter(|xid| xid.xid == 48).collect();
    assert_eq!(double.len(), 1, "once: {all:?}");
    assert_eq!(double[0].message.as_deref(), Some("double bit"));
    assert!(all.iter().any(|xid| xid.xid == 79 && xid.seen_by.contains("nvml")));
    assert!(all.iter().any(|xid| xid.xid == 79 && xid.seen_by.contains("kernel log")));
    assert!(all.iter().all(|xid| xid.xid != 62), "another card's: {all:?}");
}
