//! `assay run --backend replay`: a trace in a file, and what is refused.

use assay::{
    device::Trace,
    record::{self, Entry, Kind, Outcome, Status},
    runner,
};
use std::{
    fmt::Write,
    path::{Path, PathBuf},
    process::{Command, Output},
};

const HEADER: &str = r#"{"schema":"assay.trace/1","device":{"model":"simulated","units":10,"boost_mhz":1000,"memory_mhz":1000,"bus_bits":80,"power_limit_w":300,"default_power_limit_w":300,"flop_per_clock":{}},"workload":{"id":"triad of theirs","flops":0,"bytes":100000000}}"#;

/// `seconds` of launches of 10 ms, fifty a line.
fn trace(seconds: u64) -> String {
    let launches = vec!["10000000"; 50].join(",");
    let mut text = format!("{HEADER}\n");
    for half in 0..2 * seconds {
        let t = half * 500_000_000;
        let _ = writeln!(text, "{{\"t_ns\":{t},\"launches\":[{launches}]}}");
        let _ = writeln!(text, "{{\"t_ns\":{t},\"reading\":{{\"memory_mhz\":1000,\"power_w\":250}}}}");
    }
    text
}

/// A file in a folder of the test's own.
fn file(name: &str, text: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    let path = folder.join("trace.jsonl");
    std::fs::write(&path, text).expect("a trace");
    path
}

fn replay(trace: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_assay"));
    command.env_remove("ASSAY_SUITE").env_remove("ASSAY_BACKEND").env_remove("ASSAY_OUTPUT");
    command.args(["run", "--backend", "replay", "--trace"]).arg(trace).args(more).output().expect("starts")
}

#[test]
fn a_trace_is_measured_without_waiting_and_shown_again() {
    let path = file("replayed", &trace(60));
    let record = path.with_file_name("run.jsonl");
    let output = replay(&path, &["--json", "-o", record.to_str().expect("utf-8")]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let entry = &record::read(&record).expect("own record").entries[0];
    let (rate, sampling) = (entry.rate.as_ref().expect("a rate"), entry.sampling.as_ref().expect("sampling"));
    assert_eq!(
        (entry.outcome, entry.device.kind, entry.workload.id.as_str()),
        (Outcome::Measured, Kind::Replay, "triad of theirs")
    );
    assert_eq!((rate.status, rate.steady, sampling.stopped_by.as_str()), (Status::Steady, true, "precision"));
    assert!((rate.sustained.expect("sustained").value - 1e10).abs() < 1.0 && sampling.seconds < 11.5);
    assert!(entry.verified.is_none(), "nothing was computed");
    let shown = Command::new(env!("CARGO_BIN_EXE_assay")).args(["show", "--plain"]).arg(&record).output().expect("starts");
    assert!(String::from_utf8_lossy(&shown.stdout).contains("REPLAY: NOT HARDWARE"));
}

#[test]
fn a_trace_that_ends_ends_the_measurement() {
    let path = file("ended", &trace(4));
    let record = path.with_file_name("run.jsonl");
    assert_eq!(replay(&path, &["-o", record.to_str().expect("utf-8")]).status.code(), Some(0));
    let entry = &record::read(&record).expect("own record").entries[0];
    assert_eq!(entry.rate.as_ref().map(|rate| rate.status), Some(Status::Budget));
    assert_eq!(entry.sampling.as_ref().map(|s| (s.launches, s.stopped_by.as_str())), Some((400, "end of the trace")));
}

#[test]
fn a_trace_recorded_here_replays_to_the_same_figures() {
    let path = file("recorded", "");
    let program = || Command::new(env!("CARGO_BIN_EXE_assay"));
    let record = |workload: &str, more: &[&str]| {
        let mut command = program();
        command.args(["record-trace", "--device", "cpu:0", "--workload", workload, "--footprint", "1MiB", "--time", "4s", "-o"]);
        command.arg(&path).args(more).output().expect("starts")
    };
    let refused = record("stream/fp64/triad/*", &[]);
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(2) && refused.stdout.is_empty() && why.contains("--force"), "{why}");
    for (workload, word) in [("stream/fp64/*", "holds one"), ("none/*", "no such workload"), ("stream/fp64/copy/*", "bursts")] {
        let refused = record(workload, &["--force"]);
        let why = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.status.code() == Some(2) && refused.stdout.is_empty() && why.contains(word), "{why}");
    }
    let output = record("stream/fp64/triad/*", &["--force", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let live: Entry = serde_json::from_slice(&output.stdout).expect("an entry");
    let replayed = path.with_file_name("run.jsonl");
    let output = replay(&path, &["-o", replayed.to_str().expect("utf-8")]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let again = &record::read(&replayed).expect("own record").entries[0];
    let of = |entry: &Entry| {
        let (rate, latency) = (entry.rate.clone().expect("a rate"), entry.latency.clone().expect("latency"));
        let service = latency.service.expect("single launches");
        (rate.sustained.expect("sustained").value, (rate.unit, rate.status, service, entry.sampling.as_ref().map(|s| s.launches)))
    };
    let ((rate, rest), (rate_again, rest_again)) = (of(&live), of(again));
    assert_eq!(rest, rest_again, "the same launches");
    // Blocks begin a little sooner without the time of the harness: another one may be left out at the start.
    assert!((rate_again / rate - 1.0).abs() < 0.02, "{rate} live, {rate_again} replayed");
    assert_eq!(live.workload.id, again.workload.id);
}

#[test]
fn three_hundred_thousand_launches_are_replayed_within_a_second() {
    let mut text = format!("{HEADER}\n");
    let launches = vec!["100000"; 1_000].join(",");
    for line in 0..330_u64 {
        let _ = writeln!(text, "{{\"t_ns\":{},\"launches\":[{launches}]}}", line * 100_000_000);
        let _ = writeln!(text, "{{\"t_ns\":{},\"reading\":{{\"memory_mhz\":1000,\"limits\":[]}}}}", line * 100_000_000 + 1);
    }
    let begin = std::time::Instant::now();
    let entry = runner::replay(Trace::parse("long", &text).expect("sound"), None);
    let took = begin.elapsed();
    println!("330,000 launches: {took:?}");
    assert!(entry.outcome == Outcome::Measured && took.as_secs_f64() < 1.0, "{took:?}");
}

#[test]
fn what_is_no_trace_is_refused_in_one_line() {
    let late = trace(4).replace("\"t_ns\":500000000,\"launches\"", "\"t_ns\":400000000,\"launches\"");
    for (name, text, word) in [
        ("empty", "", "empty"),
        ("torn", &trace(4)[..2_000], ":"),
        ("late", &late, "trace.jsonl:4"),
        ("header", HEADER, "no launches"),
        ("foreign", "{\"schema\":\"assay.run/1\"}", "no trace"),
        ("overlapping", &trace(4).replace("\"t_ns\":1500000000,", "\"t_ns\":1400000000,"), "trace.jsonl:8"),
        ("endless", &trace(4).replacen("[10000000,", "[99999999999999999,", 1), "24 h"),
        ("binary", "\u{0}\u{1}{", "trace.jsonl:1"),
    ] {
        let output = replay(&file(name, text), &[]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{name}: {stderr}");
        assert!(output.stdout.is_empty() && stderr.trim_end().lines().count() == 1 && stderr.contains(word), "{name}: {stderr}");
    }
    let absent = replay(Path::new("absent.jsonl"), &[]);
    assert!(absent.status.code() == Some(2) && String::from_utf8_lossy(&absent.stderr).contains("absent.jsonl"));
}
