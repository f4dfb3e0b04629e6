//! What NVML and the kernel's log say while something is measured, and what becomes of the entries.

use crate::{
    fake::{Fake, text},
    library,
};
use assay::record::{Document, Entry, Outcome, Severity};
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
    // The fake always tells of one process besides whoever asks, and of a quarter of the time in use.
    let others = entry.neighbours.expect("told");
    assert_eq!((others.before, others.after, others.utilisation_before, others.utilisation_after), (1, 1, Some(0.25), Some(0.25)));
    assert_eq!(telemetry.utilisation, None, "nor is it asked in between");
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
    for (name, script) in [("denied", "4@any:1+"), ("unsupported", "3@any:1+"), ("broken", "999@any:1+")] {
        let (document, code) = with(name, script);
        assert_eq!((outcomes(&document), code), (GOOD.to_vec(), Some(0)), "{name}");
        let last = document.entries[1].telemetry.as_ref();
        assert!(last.is_none_or(|telemetry| telemetry.watts.is_none() && telemetry.limits.is_none()), "{name}: {last:?}");
    }
}

#[test]
fn a_card_that_is_lost_in_mid_run_makes_what_was_measured_invalid() {
    let (document, code) = with("lost", "lost@nvmlDeviceGetClockInfo:6");
    // How many looks an entry takes hangs on the machine: one that was over before the card was lost stands, with its readings.
    let struck = document.entries.iter().position(|entry| entry.outcome == Outcome::Invalid).expect("one that was under way");
    let (before, since) = document.entries.split_at(struck);
    assert_eq!((document.entries.len(), code), (2, Some(1)));
    let whole = |entry: &Entry| entry.telemetry.as_ref().is_some_and(|telemetry| telemetry.watts.is_some());
    assert!(before.iter().all(|entry| entry.outcome == Outcome::Measured && whole(entry)), "{before:?}");
    for entry in since {
        assert_eq!(entry.outcome, Outcome::Invalid);
        assert!(entry.reason.as_ref().is_some_and(|reason| reason.contains("lost")), "{:?}", entry.reason);
    }
    // What was read before it was lost may stand; from then on it is blank, and never zero.
    let watts = |entry: &Entry| entry.telemetry.as_ref().and_then(|telemetry| telemetry.watts).map(|watts| watts.low);
    assert!(since.iter().all(|entry| watts(entry).is_none_or(|watts| watts == 333.0)), "{since:?}");
    let blank =
        |entry: &Entry| entry.telemetry.as_ref().is_none_or(|telemetry| telemetry.watts.is_none() && telemetry.limits.is_none());
    assert!(since[1..].iter().all(blank), "{since:?}");
}

#[test]
fn an_old_driver_leaves_blank_what_it_lacks() {
    let fake = Fake::new("sensors-old", "87").with_nvml("");
    let old = library::without("fake_nvml", "nvmlDeviceGetFieldValues");
    std::fs::write(fake.path("libnvidia-ml.so.1"), old).expect("writes");
    let output = fake.run(&TWO);
    assert_eq!((outcomes(&fake.record()), output.status.code()), (GOOD.to_vec(), Some(0)), "{}", text(&output.stderr));
    let telemetry = fake.record().entries[0].telemetry.clone().expect("readings");
    // The older call gives the mean of a second; nothing stands in for the memory's temperature.
    assert_eq!((telemetry.watts.map(|watts| watts.mean), telemetry.memory_celsius), (Some(333.0), None));
}

#[test]
fn a_fault_around_a_lost_worker_stands_in_its_entry() {
    // A worker that stands still is given up after ten seconds: time enough to write the kernel's log.
    let fake = Fake::new("sensors-struck", "87").failing("stop@launch/copy:60").with_kernel_log();
    let (mut command, log) = (fake.assay(), fake.path("kmsg"));
    command.args(["run", "--backend", "cuda", "--force", "-o"]).arg(fake.path("run.jsonl")).args(TWO);
    let mut run = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts");
    while !fake.fired("stop@launch/copy:60") && run.try_wait().expect("own child").is_none() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let mut log = OpenOptions::new().append(true).open(log).expect("its own file");
    writeln!(log, "3,9,9,-;NVRM: Xid (PCI:0000:01:00): 119, timeout waiting for RPC").expect("writes");
    assert_eq!(run.wait().expect("own child").code(), Some(1));
    let document = fake.record();
    // What it struck is measured by the next kernel.
    assert_eq!(outcomes(&document), [Outcome::Failed, Outcome::Measured, Outcome::Measured]);
    let first = &document.entries[0];
    assert_eq!(first.faults.iter().flat_map(|faults| &faults.xids).map(|xid| xid.xid).collect::<Vec<_>>(), [119]);
    let reason = first.reason.clone().unwrap_or_default();
    assert!(reason.contains("no sign of life") && reason.contains("Xid 119"), "{reason}");
}

#[test]
fn a_slow_library_delays_nothing() {
    for (name, script) in [
        ("fields", "slow=2000@nvmlDeviceGetFieldValues:2+"),
        ("processes", "slow=60000@nvmlDeviceGetComputeRunningProcesses_v3:1"),
        ("describing", "slow=60000@nvmlDeviceGetName:1"),
    ] {
        let begin = std::time::Instant::now();
        let (document, code) = with(&format!("slow-{name}"), script);
        assert_eq!((outcomes(&document), code), (GOOD.to_vec(), Some(0)), "{script}");
        let setup = document.entries.iter().filter_map(|entry| entry.sampling.as_ref()).map(|sampling| sampling.setup);
        assert!(setup.clone().all(|seconds| seconds < 1.5), "{script}: {:?}", setup.collect::<Vec<_>>());
        assert!(begin.elapsed().as_secs() < 40, "{script} took {:?}", begin.elapsed());
        assert!(name == "fields" || document.entries[1].neighbours.is_none(), "{script}: what was not told is blank");
    }
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
