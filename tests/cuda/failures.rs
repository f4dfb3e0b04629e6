//! Failures of a driver, one at a time: what becomes of the entry, of the run, and of the program.

use crate::{
    compiled,
    fake::{Fake, text},
};
use assay::record::{Document, Entry, Outcome};

/// Two workloads, so that it shows what the second makes of the first's end.
const TWO: [&str; 4] = ["--only", "stream/*/{copy,scale}/*", "--footprint", "1MiB"];

/// A run in which a failure happens; its record.
fn failed(fake: &Fake, script: &str) -> Document {
    let output = fake.run(&TWO);
    let stderr = text(&output.stderr);
    assert!(!stderr.contains("panicked"), "{stderr}");
    assert!(fake.fired(script), "{script} never happened: {}", fake.log());
    assert_eq!(output.status.code(), Some(1), "{script}: {stderr}\n{}", fake.log());
    fake.record()
}

/// The failure costs the first entry, for a reason with these words; the second is measured.
fn costs_one_entry(name: &str, chip: &str, script: &str, words: &[&str]) {
    let fake = Fake::new(name, chip).failing(script);
    let document = failed(&fake, script);
    let outcomes: Vec<_> = document.entries.iter().map(|entry| entry.outcome).collect();
    let reason = document.entries[0].reason.clone().unwrap_or_default();
    assert_eq!(outcomes, [Outcome::Failed, Outcome::Measured], "{script}: {reason}");
    assert!(words.iter().all(|word| reason.contains(word)), "{script}: {reason}");
}

#[test]
fn memory_that_is_not_there() {
    costs_one_entry("oom", "87", "oom@alloc:2", &["out of memory", "free"]);
}

#[test]
fn an_illegal_address_sticks_and_costs_one_entry() {
    for (mode, name) in [("immediate", "illegal"), ("deferred", "illegal-deferred")] {
        let chip = format!("87,mode={mode}");
        costs_one_entry(name, &chip, "illegal@launch:2", &["lost", "CUDA_ERROR_ILLEGAL_ADDRESS"]);
    }
    costs_one_entry("illegal-late", "87", "illegal@launch/copy:20", &["lost", "CUDA_ERROR_ILLEGAL_ADDRESS"]);
}

#[test]
fn work_that_never_ends_is_given_up_and_measured_by_the_next_kernel() {
    let script = "hang@launch/copy:3";
    let fake = Fake::new("hang", "87").failing(script);
    let entries = failed(&fake, script).entries;
    let found: Vec<_> = entries.iter().map(|entry| (entry.workload.operation.as_str(), entry.outcome)).collect();
    assert_eq!(found, [("copy", Outcome::Failed), ("copy", Outcome::Measured), ("scale", Outcome::Measured)]);
    let [first, second, _] = &entries[..] else { panic!("{entries:?}") };
    assert!(first.reason.as_ref().is_some_and(|reason| reason.contains("did not finish within")), "{:?}", first.reason);
    assert_eq!((first.workload.variant.as_str(), second.workload.variant.as_str()), ("vec4x8", "vec4x4"));
    let said = second.reason.as_deref().unwrap_or_default();
    assert_eq!(said, "measured in the place of vec4x8, which did not finish");
}

#[test]
fn of_a_pair_the_one_that_hangs_is_replaced_and_the_other_measured_once() {
    let script = "hang@launch/matmul_wgmma:2";
    let fake = Fake::new("hang-pair", "90").with_ptx(compiled::ptx()).with_cublaslt("libcublasLt.so.12", "").failing(script);
    let entries = fake.entries(&["--only", "matmul/bf16.fp32.bf16/128x128x128"], 1);
    assert!(fake.fired(script), "{}", fake.log());
    let found: Vec<_> = entries.iter().map(|entry| (entry.workload.variant.as_str(), entry.outcome)).collect();
    let wanted = [("wgmma/t128x128", Outcome::Failed), ("mma/t128x128", Outcome::Measured), ("vendor", Outcome::Measured)];
    assert_eq!(found, wanted);
    assert!(entries[1].pair.is_some(), "held against the library as ever");
}

#[test]
fn one_that_hangs_while_kernels_are_chosen_is_not_chosen() {
    let script = "hang@launch/matmul_wgmma:2";
    let fake = Fake::new("hang-tuning", "90").with_ptx(compiled::ptx()).failing(script);
    let entries = fake.entries(&["--only", "matmul/bf16.fp32.bf16/128x128x128", "--tuning", "anew", "--kernels", "own"], 1);
    let outcomes: Vec<_> = entries.iter().map(|entry| entry.outcome).collect();
    assert_eq!(outcomes, [Outcome::Failed, Outcome::Measured], "{entries:?}");
    let [first, second] = &entries[..] else { panic!("{entries:?}") };
    assert!(first.reason.as_ref().is_some_and(|reason| reason.contains("when kernels were tried")), "{:?}", first.reason);
    assert_ne!(first.workload.variant, second.workload.variant);
}

/// Entries by what they are of, the kernel, and their outcome.
fn outline(entries: &[Entry]) -> Vec<(&str, &str, Outcome)> {
    entries.iter().map(|entry| (entry.workload.operation.as_str(), entry.workload.variant.as_str(), entry.outcome)).collect()
}

#[test]
fn a_launch_from_which_the_driver_never_returns_costs_its_kernel_alone() {
    // The worker cannot say so itself, and is ended by its parent.
    let script = "stop@launch/copy:3";
    let fake = Fake::new("silent", "87").failing(script);
    let entries = failed(&fake, script).entries;
    let wanted =
        [("copy", "vec4x8", Outcome::Failed), ("copy", "vec4x4", Outcome::Measured), ("scale", "vec4x8", Outcome::Measured)];
    assert_eq!(outline(&entries), wanted);
    let reasons: Vec<_> = entries.iter().map(|entry| entry.reason.as_deref().unwrap_or_default()).collect();
    assert!(reasons[0].contains("the worker gave no sign of life") && reasons[0].contains(", while "), "{reasons:?}");
    assert_eq!(reasons[1], "measured in the place of vec4x8, which did not finish");
}

#[test]
fn of_a_pair_the_one_in_whose_launch_the_driver_stays_is_named_and_replaced() {
    let ours = ("stop@launch/matmul_wgmma:2", "wgmma/t128x128");
    let fake = Fake::new("silent-pair", "90").with_ptx(compiled::ptx()).with_cublaslt("libcublasLt.so.12", "").failing(ours.0);
    fake.run(&["--only", "matmul/bf16.fp32.bf16/128x128x128"]);
    assert!(fake.fired(ours.0), "{}", fake.log());
    let entries = fake.record().entries;
    let found: Vec<_> = entries.iter().map(|entry| (entry.workload.variant.as_str(), entry.outcome)).collect();
    assert_eq!(found, [(ours.1, Outcome::Failed), ("mma/t128x128", Outcome::Measured), ("vendor", Outcome::Measured)]);
}

#[test]
fn where_the_driver_stays_while_kernels_are_chosen_the_device_is_not_given_up() {
    let script = "stop@launch/matmul_wgmma:2";
    let fake = Fake::new("silent-tuning", "90").with_ptx(compiled::ptx()).failing(script);
    fake.run(&["--only", "matmul/bf16.fp32.bf16/{128x128x128,256x256x256}", "--tuning", "anew", "--kernels", "own"]);
    assert!(fake.fired(script), "{}", fake.log());
    let entries = fake.record().entries;
    let outcomes: Vec<_> = entries.iter().map(|entry| entry.outcome).collect();
    assert_eq!(outcomes, [Outcome::Failed, Outcome::Measured, Outcome::Measured], "{entries:?}");
    assert!(entries[0].reason.as_ref().is_some_and(|reason| reason.ends_with("while kernels were tried")), "{entries:?}");
    assert_ne!(entries[0].workload.variant, entries[1].workload.variant);
}

#[test]
fn where_there_is_no_other_kernel_a_launch_that_never_returns_costs_the_workload() {
    let script = "stop@launch/chase:1";
    let fake = Fake::new("silent-alone", "87").failing(script);
    fake.run(&["--only", "latency/uint32/chase/{16KiB,128KiB}"]);
    assert!(fake.fired(script), "{}", fake.log());
    let entries = fake.record().entries;
    let outcomes: Vec<_> = entries.iter().map(|entry| entry.outcome).collect();
    assert_eq!(outcomes, [Outcome::Failed, Outcome::Measured], "{entries:?}");
    let reason = entries[0].reason.as_deref().unwrap_or_default();
    assert_eq!(reason, "the worker gave no sign of life for 10 s, and was ended, while verifying");
}

#[test]
fn a_driver_that_returns_from_no_launch_of_a_workload_costs_no_more_than_three_workers() {
    // Of copy two kernels are given up; with the first of scale it is three workers in a row, and the device may be to blame.
    let scripts = ["stop@launch/copy:1+", "stop@launch/scale:1+"];
    let fake = Fake::new("silent-always", "87").failing(&scripts.join(","));
    let output = fake.run(&TWO);
    assert!(scripts.iter().all(|script| fake.fired(script)), "{}", fake.log());
    let entries = fake.record().entries;
    let wanted = [("copy", "vec4x8", Outcome::Failed), ("copy", "vec4x4", Outcome::Failed), ("scale", "vec4x8", Outcome::Failed)];
    assert_eq!(outline(&entries), wanted, "{}", text(&output.stderr));
    assert!(entries.iter().all(|entry| entry.reason.as_ref().is_some_and(|reason| reason.contains("while verifying"))));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_harness_kernel_that_never_ends_is_given_up_too() {
    costs_one_entry("hang-fill", "87,mode=deferred", "hang@launch/fill:1", &["did not finish within"]);
}

#[test]
fn a_flipped_bit_makes_the_entry_invalid() {
    for (mode, name) in [("immediate", "flip"), ("deferred", "flip-deferred")] {
        // From then on, as broken hardware does.
        let script = "flip@launch/copy:30+";
        let fake = Fake::new(name, &format!("87,mode={mode}")).failing(script);
        let document = failed(&fake, script);
        let outcomes: Vec<_> = document.entries.iter().map(|entry| entry.outcome).collect();
        assert_eq!(outcomes, [Outcome::Invalid, Outcome::Measured], "{:?}", document.entries[0].reason);
    }
}

#[test]
fn a_lost_device_costs_one_entry() {
    costs_one_entry("lost-launch", "87", "lost@cuLaunchKernel:9", &["lost", "CUDA_ERROR_UNKNOWN"]);
    costs_one_entry("lost-query", "87,mode=deferred", "lost@cuEventQuery:5", &["lost", "CUDA_ERROR_UNKNOWN"]);
}

#[test]
fn a_call_that_fails_is_named() {
    costs_one_entry("busy", "87", "304@cuEventRecord:6", &["CUDA_ERROR_OPERATING_SYSTEM", "event"]);
    // Whatever sticks to the context is the end of it, not of what comes after.
    for code in ["710", "717", "718", "220"] {
        costs_one_entry(&format!("sticks-{code}"), "87", &format!("{code}@cuStreamQuery:2"), &["the device was lost"]);
    }
    costs_one_entry("ecc", "87", "214@cuStreamQuery:2", &["lost", "CUDA_ERROR_ECC_UNCORRECTABLE"]);
}

#[test]
fn a_kernel_that_the_driver_refuses_is_named() {
    let words = ["loading copy/vec4x8 for 80", "CUDA_ERROR_INVALID_PTX"];
    costs_one_entry("refused", "87", "218@cuModuleLoadDataEx:1", &words);
}

#[test]
fn machine_code_that_nobody_knows_is_refused() {
    let fake = Fake::new("unknown-code", "90");
    let reason = fake.entries(&TWO, 1)[0].reason.clone().unwrap_or_default();
    assert!(reason.contains("ASSAY_FAKE_PTX"), "the log of the driver's compiler is part of the reason: {reason}");
}
