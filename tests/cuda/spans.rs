//! What happens between the two events of a timed span, and what verification sees of a whole product.

use crate::{
    compiled,
    fake::{Fake, text},
};
use assay::record::Outcome;
use std::collections::BTreeSet;

/// Calls that one run made in timed spans.
fn within(name: &str, only: &str, cublaslt: bool) -> BTreeSet<String> {
    let mut fake = Fake::new(&format!("spans-{name}"), "sm=90").with_ptx(compiled::ptx());
    if cublaslt {
        fake = fake.with_cublaslt("libcublasLt.so.12", "count=16");
    }
    let output = fake.run(&["--only", only, "--footprint", "1MiB"]);
    assert_eq!(output.status.code(), Some(0), "{}\n{}", text(&output.stderr), fake.log());
    let log = fake.log();
    log.lines().filter_map(|line| line.strip_prefix("within a timed span ").map(str::to_owned)).collect()
}

/// Not one allocation, event, module or question for the context: only what gives the device work.
#[test]
fn a_timed_span_holds_launches_and_nothing_else() {
    const WORK: [&str; 4] = ["cuLaunchKernel", "cuGraphLaunch", "assayFakeProduct", "cuStreamWaitEvent"];
    for (name, only, cublaslt, must) in [
        ("product", "matmul/{fp32,bf16}*/128x128x128", true, "assayFakeProduct"),
        ("stream", "stream/*/{copy,read}/*", false, "cuGraphLaunch"),
        ("chain", "launch/*", false, "cuLaunchKernel"),
        ("latency", "latency/*/16KiB", false, "cuLaunchKernel"),
    ] {
        let calls = within(name, only, cublaslt);
        let others: Vec<&String> = calls.iter().filter(|call| !WORK.contains(&call.as_str())).collect();
        assert!(others.is_empty() && calls.contains(must), "{name}: {calls:?}");
    }
}

/// One bit, in the launch of the random pass alone: too late for the exact pass, and before the hashes have a reference.
#[test]
fn damage_that_no_sample_meets_is_found_in_its_block() {
    for (sm, format, kernel) in [
        (90, "bf16.fp32.bf16", "matmul_wgmma"),
        (90, "int8.int32.int32", "matmul_wgmma"),
        (100, "bf16.fp32.bf16", "matmul_tcgen05"),
        (90, "fp32.fp32.fp32", "matmul"),
        (90, "fp64.fp64.fp64", "matmul"),
    ] {
        let script = format!("flip@launch/{kernel}:2");
        let name = format!("damage-{sm}-{}", &format[..4]);
        let fake = Fake::new(&name, &format!("sm={sm}")).with_ptx(compiled::ptx()).failing(&script);
        let only = format!("matmul/{format}/128x128x128");
        let output = fake.run(&["--only", &only, "--kernels", "own"]);
        assert!(fake.fired(&script), "{}", fake.log());
        assert_eq!(output.status.code(), Some(1), "{format}: {}", text(&output.stderr));
        let entry = fake.record().entries.remove(0);
        let reason = entry.reason.expect("a reason");
        assert_eq!(entry.outcome, Outcome::Invalid);
        assert!(reason.contains("Random pass: the block at row 0, column "), "{format}: {reason}");
    }
}

#[test]
fn the_record_says_that_every_block_was_checked() {
    let fake = Fake::new("blocks", "sm=90").with_ptx(compiled::ptx());
    let entries = fake.entries(&["--only", "matmul/*/{128x128x128,256x256x256}", "--kernels", "own"], 0);
    let (measured, other): (Vec<_>, Vec<_>) = entries.into_iter().partition(|one| one.outcome == Outcome::Measured);
    assert!(measured.len() > 12 && other.iter().all(|one| one.outcome == Outcome::Skipped), "{other:?}");
    for entry in measured {
        let blocks = if entry.workload.shape.starts_with("128") { "all 2 blocks" } else { "all 8 blocks" };
        let method = entry.verified.expect("verified").method;
        assert!(method.contains(blocks), "{}: {method}", entry.workload.id);
    }
}
