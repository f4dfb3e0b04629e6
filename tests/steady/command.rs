//! `assay run --backend replay`: a trace in a file, and what is refused.

use assay::record::{self, Kind, Outcome, Status};
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
    assert!((rate.sustained.expect("sustained").value - 1e10).abs() < 1.0 && sampling.seconds < 7.0);
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
fn what_is_no_trace_is_refused_in_one_line() {
    let late = trace(4).replace("\"t_ns\":500000000,\"launches\"", "\"t_ns\":400000000,\"launches\"");
    for (name, text, word) in [
        ("empty", "", "empty"),
        ("torn", &trace(4)[..2_000], ":"),
        ("late", &late, "trace.jsonl:4"),
        ("header", HEADER, "no launches"),
        ("foreign", "{\"schema\":\"assay.run/1\"}", "no trace"),
    ] {
        let output = replay(&file(name, text), &[]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{name}: {stderr}");
        assert!(output.stdout.is_empty() && stderr.trim_end().lines().count() == 1 && stderr.contains(word), "{name}: {stderr}");
    }
    let absent = replay(Path::new("absent.jsonl"), &[]);
    assert!(absent.status.code() == Some(2) && String::from_utf8_lossy(&absent.stderr).contains("absent.jsonl"));
}
