//! Whole runs: kernels that are compiled by the driver, and machine code by the PTX that it was made of; work that is done at once, and
//! work that is put off until it is waited for.

use crate::{
    compiled,
    fake::{Fake, text},
};
use assay::record::{Entry, Kind, Outcome};

const STREAM: [&str; 4] = ["--only", "stream/*", "--footprint", "1MiB"];
const MATMUL: [&str; 2] = ["--only", "matmul/fp32.fp32.fp32/128x128x128"];

/// A run that measures all it is asked for; its entries.
fn measured(fake: &Fake, arguments: &[&str]) -> Vec<Entry> {
    let entries = fake.entries(arguments, 0);
    assert!(!entries.is_empty());
    for entry in &entries {
        assert_eq!((entry.outcome, entry.device.kind), (Outcome::Measured, Kind::Fake), "{:?}", entry.reason);
        let verified = entry.verified.as_ref().expect("verified");
        assert!(verified.passed && verified.checked > 0 && verified.hashed > 0, "{verified:?}");
    }
    entries
}

#[test]
fn streams_are_measured_on_kernels_that_the_driver_compiles() {
    // An embedded part runs nobody else's machine code.
    let entries = measured(&Fake::new("streams-87", "sm=87"), &STREAM);
    let operations: Vec<_> = entries.iter().map(|entry| entry.workload.operation.as_str()).collect();
    assert_eq!(operations, ["read", "triad", "copy", "write", "scale", "add", "dot"]);
}

/// Whether an image is the newest base for a compute capability.
fn is_base(hash: &str, capability: &str) -> bool {
    let base = if capability < "80" { "70" } else { "80" };
    compiled::images("ptx").iter().any(|(_, _, image)| compiled::hash(image) == hash && image["architecture"] == base)
}

#[test]
fn matmul_is_measured_on_both_bases() {
    for (name, chip) in [("matmul-72", "sm=72"), ("matmul-87", "sm=87,mode=deferred")] {
        let fake = Fake::new(name, chip);
        let kernel = measured(&fake, &MATMUL).remove(0).kernel.expect("named");
        assert!(is_base(&kernel, &chip[3..5]), "{kernel}");
    }
}

/// Precisions by what carries them out, on each architecture.
#[test]
fn every_precision_is_multiplied_by_the_kernel_made_for_it_or_says_why_not() {
    const ONLY: [&str; 4] = ["--only", "matmul/*/128x128x128", "--only", "matmul/*/256x256x256"];
    for (chip, [wgmma, tcgen05, mma], skipped) in [
        ("75", [0, 0, 2], 7),
        ("80,mode=deferred", [0, 0, 4], 6),
        ("89", [0, 0, 6], 5),
        ("90,schedule=3", [6, 0, 0], 5),
        ("100,schedule=6", [0, 6, 0], 6),
        ("103,schedule=1", [0, 5, 1], 6),
    ] {
        let name = format!("precisions-{}", chip.split(',').next().unwrap_or(chip));
        let fake = Fake::new(&name, &format!("sm={chip}")).with_ptx(compiled::ptx());
        let mut entries = fake.entries(&ONLY, 0);
        // That there is no vendor's library is another test's affair.
        entries.retain(|entry| entry.workload.variant != "vendor");
        let by = |what: &str| {
            let of = |entry: &&Entry| entry.outcome == Outcome::Measured && entry.workload.variant.starts_with(what);
            let mut precisions: Vec<_> = entries.iter().filter(of).map(|entry| entry.workload.precision.clone()).collect();
            precisions.sort_unstable();
            precisions.dedup();
            precisions.len()
        };
        let reasons: Vec<_> = entries.iter().filter(|entry| entry.outcome == Outcome::Skipped).map(|entry| &entry.reason).collect();
        let found = ["wgmma/", "tcgen05/", "mma/"].map(by);
        assert_eq!((found, reasons.len()), ([wgmma, tcgen05, mma], skipped), "{chip}: {reasons:?}");
        for entry in entries.iter().filter(|entry| entry.outcome == Outcome::Measured) {
            let verified = entry.verified.as_ref().expect("verified");
            assert!(verified.passed && verified.hashed == verified.launches, "every launch is hashed: {verified:?}");
        }
        // Of what no kernel of ours does, a library that is not here.
        let why = [
            "on compute capability",
            "has no sparse tensor cores",
            "cuSPARSELt's alone",
            "no kernel of ours for fp4.fp32.bf16, and no cuBLASLt",
        ];
        let said = |reason: &Option<String>| reason.as_ref().is_some_and(|reason| why.iter().any(|why| reason.contains(why)));
        assert!(reasons.iter().all(|reason| said(reason)), "{reasons:?}");
    }
}

#[test]
fn machine_code_runs_on_its_architecture() {
    for sm in ["75", "90", "120"] {
        for mode in ["mode=immediate", "mode=deferred,schedule=5"] {
            let fake = Fake::new(&format!("code-{sm}-{}", mode.len()), &format!("sm={sm},{mode}")).with_ptx(compiled::ptx());
            let entry = measured(&fake, &["--only", "stream/*/triad/*", "--footprint", "1MiB"]).remove(0);
            let kernel = entry.kernel.expect("named");
            assert!(compiled::ptx().join(format!("{kernel}.ptx")).is_file(), "{kernel} ran, and no other");
        }
    }
}

/// What the interpreter counted, launch by launch of a kernel: operations, bytes read, bytes written.
fn counted(fake: &Fake, kernel: &str) -> Vec<[u64; 3]> {
    let log = fake.log();
    let lines = log.lines().filter_map(|line| line.strip_prefix(&format!("ran {kernel} ")).map(str::to_owned));
    let numbers = |line: String| -> Vec<u64> { line.split(' ').filter_map(|word| word.parse().ok()).collect() };
    lines.map(|line| numbers(line).try_into().expect("three numbers")).collect()
}

#[test]
fn the_work_that_a_record_claims_is_the_work_that_its_kernel_did() {
    let streams = Fake::new("work-stream", "sm=87");
    for entry in measured(&streams, &STREAM) {
        let (operation, work) = (entry.workload.operation.as_str(), entry.work);
        let bytes = work.bytes.0;
        let launches = counted(&streams, operation);
        // A reduction writes a partial a segment, which is not part of the claim: 4096 segments are a thousandth of these bytes.
        let close = |[_, read, written]: &[u64; 3]| (read + written).abs_diff(bytes) * 50 <= bytes;
        assert!(!launches.is_empty() && launches.iter().all(close), "{operation}: {bytes} bytes claimed, {launches:?} counted");
        let exact = matches!(operation, "copy" | "scale" | "add" | "triad" | "write");
        assert!(!exact || launches.iter().all(|[_, read, written]| read + written == bytes), "{operation}: {bytes}, {launches:?}");
    }
    let matmul = Fake::new("work-matmul", "sm=87");
    let entry = measured(&matmul, &MATMUL).remove(0);
    let flops = entry.work.flops.0;
    let launches = counted(&matmul, "matmul");
    assert!(!launches.is_empty() && launches.iter().all(|[operations, _, _]| *operations == flops), "{flops}: {launches:?}");
}

#[test]
fn a_chain_of_launches_is_told_by_the_link_and_seen_in_every_word() {
    let fake = Fake::new("launch", "sm=90").with_ptx(compiled::ptx());
    let entries = measured(&fake, &["--only", "launch/*/graph/*", "--only", "launch/*/stream/*"]);
    assert_eq!(entries.iter().map(|entry| entry.workload.operation.as_str()).collect::<Vec<_>>(), ["graph", "stream"]);
    for entry in &entries {
        // Two microseconds for a launch, and next to nothing for its eight bytes.
        let seconds = entry.rate.as_ref().and_then(|rate| rate.burst).expect("a burst").value;
        assert!((seconds / 2e-6 - 1.0).abs() < 1e-2, "{seconds}");
    }
    let old = Fake::new("launch-old", "sm=90").with_ptx(compiled::ptx()).without("cuGraphUpload");
    for graph in old.entries(&["--only", "launch/*"], 0).iter().filter(|entry| entry.workload.operation.starts_with("graph")) {
        assert!(graph.reason.as_ref().is_some_and(|reason| reason.contains("cuGraphUpload")), "{:?}", graph.outcome);
    }
}

#[test]
fn a_round_trip_is_timed_by_the_host_and_each_by_itself() {
    for mode in ["mode=immediate", "mode=deferred"] {
        let fake = Fake::new(&format!("trips-{mode}"), &format!("sm=90,{mode}")).with_ptx(compiled::ptx());
        for entry in measured(&fake, &["--only", "launch/*/*round-trip/*"]) {
            let latency = entry.latency.expect("timed");
            assert_eq!((latency.timer.as_str(), latency.per.as_str()), ("host monotonic clock", "launch"));
            let (overhead, trip) = (latency.overhead.expect("measured"), latency.service.expect("each by itself"));
            assert!(overhead <= trip.p50 && trip.count > 10, "{overhead} of {trip:?}");
        }
    }
    let failing_trip = Fake::new("trips-fail", "sm=90").with_ptx(compiled::ptx()).failing("1@cuStreamQuery:200");
    let output = failing_trip.run(&["--only", "launch/*/round-trip/*"]);
    assert!(matches!(output.status.code(), Some(1 | 3)) && failing_trip.unfired().is_empty(), "{}", text(&output.stderr));
    assert_eq!(failing_trip.record().entries[0].outcome, Outcome::Failed);
}

#[test]
fn a_chase_tells_clocks_beside_time_and_atomics_count_additions() {
    let fake = Fake::new("chase", "sm=90,schedule=2").with_ptx(compiled::ptx());
    for entry in measured(&fake, &["--only", "latency/*", "--footprint", "1MiB"]) {
        let told = |name: &str| *entry.counters.get(name).expect("told");
        // The interpreter's clock goes on by an instruction, of which there is little more than one a load.
        assert!((1.0..2.5).contains(&told("clocks_per_load")) && (1.0..2.5).contains(&told("ns_per_load")), "{:?}", entry.counters);
    }
    let additions = measured(&fake, &["--only", "atomics/*"]);
    assert_eq!(additions.iter().map(|entry| entry.workload.operation.as_str()).collect::<Vec<_>>(), ["spread", "shared", "one"]);
    for (entry, stem) in additions.iter().zip(["atomic_spread", "atomic_shared", "atomic_one"]) {
        let launches = counted(&fake, stem);
        // An addition in L2 reads and writes four bytes; words are set, and blocks count themselves, by a few more.
        let right = |[_, read, written]: &[u64; 3]| {
            stem == "atomic_shared" || read / 4 >= entry.work.items && written / 4 - entry.work.items <= entry.work.items / 2
        };
        assert!(!launches.is_empty() && launches.iter().all(right), "{stem}: {} additions, {launches:?}", entry.work.items);
        assert_eq!(entry.rate.as_ref().map(|rate| rate.unit), Some(assay::record::RateUnit::Items));
    }
}

#[test]
fn transfers_are_verified_at_both_ends_and_both_ways_run_at_once() {
    for mode in ["mode=immediate", "mode=deferred"] {
        let fake = Fake::new(&format!("transfer-{mode}"), &format!("sm=90,{mode}")).with_ptx(compiled::ptx());
        let entries = measured(&fake, &["--only", "transfer/*"]);
        let rate = |operation: &str| {
            let entry = entries.iter().find(|entry| entry.workload.operation == operation).expect("measured");
            (
                entry.rate.as_ref().and_then(|rate| rate.burst).expect("a burst").value,
                entry.verified.clone().expect("verified").checked,
            )
        };
        let (one, checked) = rate("h2d");
        let (both, twice) = rate("both");
        assert!((both / one - 2.0).abs() < 0.01, "{one} and {both}: the ways do not share a stream");
        assert!(twice > checked * 3 / 2, "{twice} and {checked}: both outputs are compared");
        assert_eq!(entries.len(), 5);
        // Where the machine that this runs on has nodes, all pinned pages lie on the fake's, which is the first, unless there are more.
        let on_node = |entry: &&Entry| entry.counters.contains_key("pinned_on_node");
        let nodes = std::path::Path::new("/sys/devices/system/node/node0").is_dir()
            && std::path::Path::new("/proc/self/numa_maps").is_file();
        assert_eq!(entries.iter().filter(on_node).count(), if nodes { 3 } else { 0 });
        assert!(fake.log().contains("calls cuMemHostRegister_v2"), "{}", fake.log());
    }
    let old = Fake::new("transfer-old", "sm=90").with_ptx(compiled::ptx()).without("cuMemHostRegister_v2");
    assert!(measured(&old, &["--only", "transfer/*/h2d/*"]).iter().all(|entry| entry.counters.is_empty()));
    let failing = Fake::new("transfer-fails", "sm=90").with_ptx(compiled::ptx()).failing("1@cuMemcpyDtoHAsync_v2:2");
    let outcomes: Vec<_> = failing.entries(&["--only", "transfer/*/d2h*/*"], 1).iter().map(|entry| entry.outcome).collect();
    assert_eq!(outcomes, [Outcome::Failed, Outcome::Measured]);
}

#[test]
fn every_device_is_measured() {
    let fake = Fake::new("two", "87,devices=2");
    let entries = measured(&fake, &["--only", "stream/*/copy/*", "--footprint", "1MiB"]);
    assert_eq!(entries.iter().map(|entry| entry.device.id.as_str()).collect::<Vec<_>>(), ["cuda:0", "cuda:1"]);
}

#[test]
fn times_are_those_of_the_chip_to_the_digit() {
    let fake = Fake::new("exact", "sm=87,sms=4");
    let entry = measured(&fake, &["--only", "stream/*/copy/*", "--footprint", "1MiB"]).remove(0);
    // Two microseconds for a launch; 2 MiB at 64 bytes a nanosecond.
    let seconds = 2e-6 + 2_097_152.0 / 64e9;
    let burst = entry.rate.and_then(|rate| rate.burst).expect("a burst").value;
    assert!((burst * seconds / 2_097_152.0 - 1.0).abs() < 1e-3, "{burst}");
}
