//! Our products against the vendor's library: found where it may lie, verified like ours, timed in turns with them, and never able to
//! cost ours their measurement.

use crate::{
    compiled,
    fake::{Fake, reason, text},
    library,
};
use assay::record::{Entry, Outcome};
use std::{collections::BTreeSet, process::Output};

const BF16: [&str; 2] = ["--only", "matmul/bf16.fp32.bf16/128x128x128"];
const SINGLE: [&str; 2] = ["--only", "matmul/fp32.fp32.fp32/128x128x128"];

fn hopper(name: &str, script: &str) -> Fake {
    Fake::new(&format!("vendor-{name}"), "sm=90").with_ptx(compiled::ptx()).with_cublaslt("libcublasLt.so.12", script)
}

/// Ours and the vendor's entry of a run of one product.
fn pair(fake: &Fake, only: &[&str], code: i32) -> [Entry; 2] {
    let mut entries = fake.entries(only, code);
    entries.sort_by_key(|entry| entry.workload.variant == "vendor");
    let entries: [Entry; 2] = entries.try_into().expect("two entries");
    assert_eq!((entries[0].workload.variant == "vendor", entries[1].workload.variant.as_str()), (false, "vendor"));
    entries
}

#[test]
fn the_fastest_algorithm_is_kept_and_held_against_ours_in_turns() {
    let fake = hopper("pair", "");
    let [ours, vendor] = pair(&fake, &BF16, 0);
    assert_eq!((ours.outcome, vendor.outcome), (Outcome::Measured, Outcome::Measured), "{vendor:?}");
    let kernel = vendor.kernel.as_deref().expect("named");
    assert!(kernel.starts_with("cuBLASLt 12.8.5, algorithm 7, tile 20") && kernel.ends_with("best of 20 timed"), "{kernel}");
    let log = fake.log();
    let tried: BTreeSet<&str> = log.lines().filter(|line| line.starts_with("cublasLt algorithm ")).collect();
    assert!(tried.len() >= 16, "{tried:?}");
    // What was timed to choose is not what is told: the samples are fresh ones.
    assert!(log.matches("cublasLt algorithm 7\n").count() as u64 > vendor.sampling.as_ref().expect("sampled").launches);
    let against = ours.pair.expect("a pair");
    assert_eq!(against.with, format!("{}@vendor", ours.workload.id));
    let burst = |entry: &Entry| entry.rate.as_ref().and_then(|rate| rate.burst).expect("a burst").value;
    let ratio = vendor.pair.clone().expect("a pair").ratio.value;
    assert!((against.ratio.value * ratio - 1.0).abs() < 1e-9 && against.pairs >= 3 && against.ratio.low <= against.ratio.value);
    assert!((burst(&vendor) / vendor.work.flops.0 as f64 * (2.0 * 128_f64.powi(3) / 16e9 + 2e-6) - 1.0).abs() < 0.02);
    let verified = vendor.verified.expect("verified");
    assert!(verified.passed && verified.hashed > 0 && verified.checked > 256, "{verified:?}");
    let sheet = text(&fake.assay().arg("show").arg(fake.path("run.jsonl")).output().expect("starts").stdout);
    assert!(sheet.contains("times the rate of @vendor"), "{sheet}");
}

#[test]
fn every_precision_is_asked_for_in_its_own_terms() {
    let entries = hopper("precisions", "count=16,best=3").entries(&["--only", "matmul/*/128x128x128"], 0);
    let vendors: Vec<&Entry> = entries.iter().filter(|entry| entry.workload.variant == "vendor").collect();
    assert_eq!(vendors.len(), 8, "fp4 is not of this chip");
    for entry in vendors {
        if entry.workload.precision.starts_with("e5m2") {
            assert_eq!(entry.outcome, Outcome::Skipped);
            assert!(reason(entry).contains("not supported"), "{}", reason(entry));
        } else {
            assert_eq!(entry.outcome, Outcome::Measured, "{}: {}", entry.workload.precision, reason(entry));
        }
    }
}

#[test]
fn blocks_of_four_bits_are_multiplied_by_the_library_alone_where_the_chip_has_them() {
    const ONLY: [&str; 2] = ["--only", "matmul/fp4.fp32.bf16/256x256x256"];
    let run = |name: &str, sm: u32, script| {
        let chip = format!("sm={sm}");
        let fake =
            Fake::new(&format!("vendor-fp4-{name}"), &chip).with_ptx(compiled::ptx()).with_cublaslt("libcublasLt.so.12", script);
        let output = fake.run(&ONLY);
        let entries = fake.record().entries;
        assert_eq!(entries.len(), 1, "{}", text(&output.stderr));
        entries.into_iter().next().map(|entry| (entry, output.status.code())).expect("one")
    };
    for (name, sm) in [("100", 100), ("120", 120)] {
        let (entry, code) = run(name, sm, "");
        assert_eq!((entry.outcome, code, entry.workload.variant.as_str()), (Outcome::Measured, Some(0), "vendor"), "{entry:?}");
        assert!(entry.kernel.as_ref().is_some_and(|kernel| kernel.starts_with("cuBLASLt 12.8.5, algorithm 7")), "{entry:?}");
        let verified = entry.verified.as_ref().expect("verified");
        assert!(verified.passed && verified.method.contains("all 8 blocks") && entry.pair.is_none(), "{verified:?}");
        assert_eq!(entry.work.bytes.0, 2 * 256 * 128 + 256 * 256 * 2);
    }
    let (entry, code) = run("wrong", 100, "wrong=all");
    assert_eq!((entry.outcome, code), (Outcome::Invalid, Some(1)));
    let (entry, code) = run("none", 100, "none");
    assert_eq!((entry.outcome, code), (Outcome::Skipped, Some(3)));
    assert!(reason(&entry).contains("not supported"), "{}", reason(&entry));
    let (entry, _) = run("90", 90, "");
    assert!(
        entry.outcome == Outcome::Skipped && reason(&entry).contains("no fp4 products on compute capability 9.0"),
        "{}",
        reason(&entry)
    );
}

#[test]
fn a_wrong_result_is_caught_and_costs_ours_nothing() {
    for (name, script) in [("wrong", "wrong=all"), ("best-wrong", "best=5,wrong=5")] {
        let [ours, vendor] = pair(&hopper(name, script), &BF16, 1);
        assert_eq!((ours.outcome, vendor.outcome), (Outcome::Measured, Outcome::Invalid));
        assert!(reason(&vendor).contains("pass"), "{}", reason(&vendor));
        assert!(ours.pair.is_none() && ours.rate.is_some());
    }
}

#[test]
fn what_the_library_cannot_do_is_said() {
    for (name, script, only, outcome, code, said) in [
        ("none", "none", &BF16, Outcome::Skipped, 0, "not supported"),
        ("zero", "count=0", &BF16, Outcome::Skipped, 0, "knows no algorithm"),
        ("confused", "tf32", &SINGLE, Outcome::Skipped, 0, "which is not fp32.fp32.fp32"),
        ("fails", "fails=all", &BF16, Outcome::Failed, 1, "execution failed"),
    ] {
        let [ours, vendor] = pair(&hopper(name, script), only, code);
        assert_eq!((ours.outcome, vendor.outcome), (Outcome::Measured, outcome), "{name}");
        assert!(reason(&vendor).contains(said), "{name}: {}", reason(&vendor));
    }
    // One algorithm that does not run leaves the others.
    let [_, vendor] = pair(&hopper("one-fails", "fails=7"), &BF16, 0);
    let kernel = vendor.kernel.expect("named");
    assert!(kernel.contains("algorithm 6,") || kernel.contains("algorithm 8,"), "{kernel}");
}

/// The line of `assay devices` about the library.
fn listed(fake: &Fake, arguments: &[&str]) -> String {
    fake.listed("cuBLASLt", arguments)
}

#[test]
fn both_versions_are_found_wherever_they_lie() {
    let bare = |name: &str, chip: &str| Fake::new(&format!("vendor-{name}"), chip);
    let twelve = bare("12", "90").with_cublaslt("libcublasLt.so.12", "");
    assert!(listed(&twelve, &[]).contains("cuBLASLt 12.8.5, libcublasLt.so.12"));
    let thirteen =
        |chip| bare("13", chip).with_cublaslt("home/lib64/libcublasLt.so.13", "version=130100").with_folder("CUDA_HOME", "home");
    assert!(listed(&thirteen("sm=90,driver=13000"), &[]).contains("cuBLASLt 13.1.0, "));
    let line = listed(&thirteen("sm=90,driver=12080"), &[]);
    assert!(line.contains("absent") && line.contains("needs a newer driver than one of CUDA 12.8"), "{line}");
    let python = "venv/lib/python3.11/site-packages/nvidia/cublas/lib/libcublasLt.so.12";
    let line = listed(&bare("python", "90").with_cublaslt(python, "").with_folder("VIRTUAL_ENV", "venv"), &[]);
    assert!(line.contains(python), "{line}");
    let named = bare("named", "90").with_cublaslt("elsewhere.so", "version=120300");
    let path = named.path("elsewhere.so").display().to_string();
    assert!(listed(&named, &["--cublaslt-lib", &path]).contains("cuBLASLt 12.3.0, "));
}

#[test]
fn a_library_that_is_missing_or_lacks_a_call_is_one_line_and_a_reason() {
    let only = ["--only", "matmul/bf16.fp32.bf16/256x256x256"];
    let fake = Fake::new("vendor-absent", "sm=90").with_ptx(compiled::ptx());
    assert!(listed(&fake, &[]).contains("absent: libcublasLt.so.12 or .13 was not found"));
    let [ours, vendor] = pair(&fake, &only, 0);
    assert_eq!((ours.outcome, vendor.outcome), (Outcome::Measured, Outcome::Skipped));
    assert!(reason(&vendor).contains("no cuBLASLt") && reason(&vendor).contains("--cublaslt-lib"), "{}", reason(&vendor));
    let old = Fake::new("vendor-old", "sm=90");
    let path = old.path("old.so");
    std::fs::write(&path, library::without("fake_cublaslt", "cublasLtMatmulAlgoCapGetAttribute")).expect("writes");
    let line = listed(&old, &["--cublaslt-lib", &path.display().to_string()]);
    assert!(line.contains("it lacks cublasLtMatmulAlgoCapGetAttribute"), "{line}");
}

fn refused(output: &Output) -> String {
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
    text(&output.stderr)
}

#[test]
fn a_named_library_that_is_not_there_is_bad_input() {
    let fake = Fake::new("vendor-nowhere", "sm=90");
    for command in ["devices", "run"] {
        let said = refused(&fake.assay().args([command, "--cublaslt-lib", "/nowhere/libcublasLt.so.12"]).output().expect("starts"));
        assert!(said.contains("no such file `/nowhere/libcublasLt.so.12`"), "{said}");
    }
}
