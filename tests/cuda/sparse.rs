//! Products of which half of a matrix is zero, by cuSPARSELt: found, compressed, verified like any other, and never taken for dense ones.

use crate::{
    compiled,
    fake::{Fake, reason},
    library,
};
use assay::record::{Entry, Outcome};
use std::collections::BTreeSet;

const BF16: [&str; 2] = ["--only", "matmul/sparse-bf16.fp32.bf16/256x256x256"];

fn hopper(name: &str, script: &str) -> Fake {
    Fake::new(&format!("sparse-{name}"), "sm=90").with_ptx(compiled::ptx()).with_cusparselt("libcusparseLt.so.0", script)
}

fn one(fake: &Fake, code: i32) -> Entry {
    one_of(fake, &BF16, code)
}

fn one_of(fake: &Fake, only: &[&str], code: i32) -> Entry {
    let [entry]: [Entry; 1] = fake.entries(only, code).try_into().expect("one entry");
    entry
}

#[test]
fn the_fastest_algorithm_is_kept_verified_and_named_apart() {
    let fake = hopper("kept", "");
    let entry = one(&fake, 0);
    assert_eq!((entry.outcome, entry.workload.variant.as_str()), (Outcome::Measured, "vendor"), "{entry:?}");
    let kernel = entry.kernel.as_deref().expect("named");
    assert_eq!(kernel, "cuSPARSELt 0.8.1, algorithm 4, best of 6 timed");
    let log = fake.log();
    let tried: BTreeSet<&str> = log.lines().filter(|line| line.starts_with("cusparseLt algorithm ")).collect();
    assert_eq!(tried.len(), 6, "{tried:?}");
    assert!(!log.contains("destroyed what was not there"), "{log}");
    // What was timed to choose is not what is told: the samples are fresh ones.
    assert!(log.matches("cusparseLt algorithm 4\n").count() as u64 > entry.sampling.as_ref().expect("sampled").launches);
    let verified = entry.verified.as_ref().expect("verified");
    assert!(verified.passed && verified.hashed > 0 && verified.method.contains("all 8 blocks"), "{verified:?}");
    // Operations by zero are not counted: as many are done as are paid for at the rate of dense ones.
    assert_eq!(entry.work.flops.0, 256_u64.pow(3));
    let burst = entry.rate.as_ref().and_then(|rate| rate.burst).expect("a burst").value;
    assert!((burst / entry.work.flops.0 as f64 * (256_f64.powi(3) / 16e9 + 2e-6) - 1.0).abs() < 0.02, "{burst}");
    assert!(entry.pair.is_none());
}

#[test]
fn every_format_is_multiplied() {
    let entries = hopper("formats", "count=2,best=1").entries(&["--only", "matmul/sparse-*"], 0);
    let measured = entries.iter().filter(|entry| entry.outcome == Outcome::Measured).map(|entry| entry.workload.precision.as_str());
    let wanted = ["sparse-bf16.fp32.bf16", "sparse-fp16.fp32.fp16", "sparse-e4m3.fp32.bf16", "sparse-int8.int32.int32"];
    assert_eq!(measured.collect::<Vec<_>>(), wanted, "{entries:?}");
}

#[test]
fn a_wrong_result_is_caught_however_it_came_about() {
    for (name, script, says) in [
        ("wrong", "wrong=all", "pass"),
        ("best-wrong", "best=2,wrong=2", "pass"),
        // What was compressed is of other inputs than those that are there.
        ("crude", "crude", "pass"),
    ] {
        let entry = one(&hopper(name, script), 1);
        assert_eq!(entry.outcome, Outcome::Invalid, "{name}");
        assert!(reason(&entry).contains(says), "{name}: {}", reason(&entry));
    }
}

#[test]
fn what_the_library_cannot_do_is_said() {
    for (name, script, outcome, code, said) in [
        ("none", "none", Outcome::Skipped, 3, "cuSPARSELt 0.8.1: cusparseLtMatmulAlgSetAttribute: invalid value"),
        ("old", "version=0.5.2", Outcome::Skipped, 3, "version 0.5.2 is older than 0.6"),
        ("fails", "fails=all", Outcome::Failed, 1, "execution failed"),
    ] {
        let entry = one(&hopper(name, script), code);
        assert_eq!(entry.outcome, outcome, "{name}: {}", reason(&entry));
        assert!(reason(&entry).contains(said), "{name}: {}", reason(&entry));
    }
    // One algorithm that does not run leaves the others.
    let kernel = one(&hopper("one-fails", "fails=4"), 0).kernel.expect("named");
    assert!(kernel.contains("algorithm 3,") || kernel.contains("algorithm 5,"), "{kernel}");
    // Before 0.8 there is nothing that ends a selection.
    let bare = Fake::new("sparse-seven", "sm=90").with_ptx(compiled::ptx()).with_cusparselt("libcusparseLt.so.0", "version=0.7.1");
    let bytes = library::without("fake_cusparselt", "cusparseLtMatmulAlgSelectionDestroy");
    std::fs::write(bare.path("libcusparseLt.so.0"), bytes).expect("writes");
    assert_eq!(one(&bare, 0).kernel.as_deref(), Some("cuSPARSELt 0.7.1, algorithm 4, best of 6 timed"));
}

#[test]
fn it_is_found_wherever_it_lies_or_said_to_be_missing() {
    let listed = |fake: &Fake| fake.listed("cuSPARSELt", &[]);
    let bare = |name: &str| Fake::new(&format!("sparse-{name}"), "90");
    assert!(listed(&hopper("found", "")).contains("cuSPARSELt 0.8.1, libcusparseLt.so.0"));
    // 0.6 has a folder of its own, later ones are among NVIDIA's.
    for package in ["cusparselt", "nvidia/cusparselt"] {
        let python = format!("venv/lib/python3.11/site-packages/{package}/lib/libcusparseLt.so.0");
        let line = listed(&bare("python").with_cusparselt(&python, "").with_folder("VIRTUAL_ENV", "venv"));
        assert!(line.contains(&python), "{line}");
    }
    let named = bare("named").with_cusparselt("elsewhere.so", "version=0.7.1").with_folder("ASSAY_CUSPARSELT_LIB", "elsewhere.so");
    assert!(listed(&named).contains("cuSPARSELt 0.7.1, "));
    let lacking = bare("lacking").with_folder("ASSAY_CUSPARSELT_LIB", "old.so");
    std::fs::write(lacking.path("old.so"), library::without("fake_cusparselt", "cusparseLtSpMMACompress")).expect("writes");
    assert!(listed(&lacking).contains("it lacks cusparseLtSpMMACompress"));
    let absent = Fake::new("sparse-absent", "sm=90").with_ptx(compiled::ptx());
    assert!(listed(&absent).contains("absent: libcusparseLt.so.0 was not found"));
    let entry = one(&absent, 3);
    assert!(
        entry.outcome == Outcome::Skipped && reason(&entry).contains("cuSPARSELt's alone: libcusparseLt.so.0 was not found"),
        "{entry:?}"
    );
    let early = Fake::new("sparse-75", "sm=75").with_ptx(compiled::ptx()).with_cusparselt("libcusparseLt.so.0", "");
    let entry = one_of(&early, &["--only", "matmul/sparse-fp16.fp32.fp16/256x256x256"], 3);
    assert_eq!(reason(&entry), "compute capability 7.5 has no sparse tensor cores");
}
