//! The start gate on the device: what is in a span while the host's calls take their time.

use crate::{
    compiled,
    fake::{Fake, text},
};
use assay::{
    record::{Entry, Outcome},
    units::Nanos,
};

/// What one run tells of workloads, on a device to which each of the host's calls takes so many nanoseconds.
fn run(name: &str, chip: &str, only: &str) -> Vec<Entry> {
    let fake = Fake::new(&format!("gate-{name}"), chip).with_ptx(compiled::ptx());
    let output = fake.run(&["--only", only, "--footprint", "1MiB", "--kernels", "own"]);
    assert_eq!(output.status.code(), Some(0), "{}\n{}", text(&output.stderr), fake.log());
    let entries = fake.record().entries;
    assert!(!entries.is_empty() && entries.iter().all(|entry| entry.outcome == Outcome::Measured), "{entries:?}");
    entries
}

/// Whether spans began behind the gate, what an empty one is, and the rate.
fn told(entry: &Entry) -> (bool, Option<Nanos>, f64) {
    let latency = entry.latency.as_ref().expect("a latency");
    (latency.start_gate, latency.overhead, entry.rate.as_ref().and_then(assay::record::Rate::best).map_or(0.0, |rate| rate.value))
}

#[test]
fn no_span_holds_the_time_that_the_hosts_calls_take() {
    // A launch alone, and many as a graph.
    for (name, only) in [("alone", "matmul/fp32.fp32.fp32/128x128x128"), ("many", "stream/*/copy/*")] {
        let fast = run(&format!("fast-{name}"), "sm=90", only);
        let slow = run(&format!("slow-{name}"), "sm=90,submit=20000", only);
        for (fast, slow) in fast.iter().zip(&slow) {
            let (fast, slow) = (told(fast), told(slow));
            assert_eq!((slow.0, slow.1), (true, Some(Nanos(0))), "{name}");
            assert!((slow.2 / fast.2 - 1.0).abs() < 1e-3, "{name}: {} and {}", fast.2, slow.2);
        }
    }
}

/// What the host's pace is the subject of is not held back, nor where the host itself copies.
#[test]
fn what_is_told_of_the_hosts_pace_holds_its_calls() {
    for entry in run("pace", "sm=90,submit=20000", "{launch/stream*,transfer/*pageable*/*}") {
        assert!(!told(&entry).0, "{}", entry.workload.id);
    }
}

#[test]
fn where_every_call_waits_for_the_device_the_gate_gives_up_once_and_says_so() {
    for entry in run("blocking", "sm=90,mode=blocking,submit=20000", "{stream/*/copy/*,matmul/fp32.fp32.fp32/128x128x128}") {
        assert_eq!((told(&entry).0, told(&entry).1), (false, Some(Nanos(20_000))), "{}", entry.workload.id);
    }
}
