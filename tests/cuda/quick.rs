//! The whole quick suite on a chip of every generation: each entry is measured and verified, or skipped with its reason.

use crate::{compiled, fake::Fake};
use assay::record::Outcome;

/// Measures everything on a fake of one architecture. `formats` are those that its tensor cores have a kernel for.
fn quick(sm: &str, formats: &[&str]) {
    let fake = Fake::new(&format!("quick-{sm}"), &format!("sm={sm}")).with_ptx(compiled::ptx());
    let entries = fake.entries(&["--suite", "quick", "--footprint", "1MiB"], 0);
    for entry in &entries {
        let id = &entry.workload.id;
        match entry.outcome {
            Outcome::Measured => assert!(entry.verified.as_ref().is_some_and(|verified| verified.passed), "{id}"),
            Outcome::Skipped => assert!(entry.reason.as_ref().is_some_and(|reason| reason.len() > 20), "{id}: {:?}", entry.reason),
            other => panic!("{id} is {other:?}: {:?}", entry.reason),
        }
    }
    let timers: Vec<_> = entries.iter().filter_map(|entry| entry.latency.as_ref()).collect();
    assert!(
        !timers.is_empty() && timers.iter().all(|latency| latency.overhead.is_some()),
        "events are measured before they measure"
    );
    let measured = |family: &str, precision: &str| {
        let of = |entry: &&assay::record::Entry| {
            entry.workload.family == family && entry.workload.precision.starts_with(precision) && entry.outcome == Outcome::Measured
        };
        entries.iter().filter(of).count()
    };
    for family in assay::workload::FAMILIES {
        assert!(measured(family.name, "") > 0, "no entry of {} on sm_{sm}", family.name);
    }
    // One device is alone: what takes several says so.
    for family in assay::workload::SHARED {
        let said = entries
            .iter()
            .filter(|entry| entry.workload.family == family.name)
            .map(|entry| entry.reason.clone().unwrap_or_default());
        let said: Vec<String> = said.collect();
        assert!(
            said.len() == 1 && said[0].contains("needs 2 devices that are measured together, here is 1"),
            "{}: {said:?}",
            family.name
        );
    }
    for format in ["fp64", "fp32", "tf32", "fp16", "bf16", "e4m3", "e5m2", "int8"] {
        let expected = matches!(format, "fp64" | "fp32") || formats.contains(&format);
        assert_eq!(measured("matmul", format) > 0, expected, "{format} on sm_{sm}");
    }
}

#[test]
fn turing() {
    quick("75", &["fp16", "int8"]);
}

#[test]
fn ampere() {
    quick("80", &["fp16", "int8", "bf16", "tf32"]);
}

#[test]
fn ada() {
    quick("89", &["fp16", "int8", "bf16", "tf32", "e4m3", "e5m2"]);
}

#[test]
fn hopper() {
    quick("90", &["fp16", "int8", "bf16", "tf32", "e4m3", "e5m2"]);
}

#[test]
fn blackwell() {
    quick("100", &["fp16", "int8", "bf16", "tf32", "e4m3", "e5m2"]);
}

#[test]
fn blackwell_for_desktops() {
    quick("120", &["fp16", "int8", "bf16", "tf32", "e4m3", "e5m2"]);
}
