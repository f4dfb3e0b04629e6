//! `assay import` on output in each tool's documented format, and on what no tool wrote.

use assay::record::{self, Document, Entry, Interval, Kind, Outcome, RateUnit};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import/examples").join(name)
}

/// A folder of a test's own, emptied.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("import").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a temporary folder");
    folder
}

fn assay(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_assay"));
    command.env_remove("ASSAY_OUTPUT").args(arguments).output().expect("starts")
}

/// The record that an example becomes, which must be read back as it was printed.
fn imported(name: &str, code: i32) -> Document {
    let path = folder(name).join("run.jsonl");
    let (from, to) = (example(name), path.to_str().expect("utf-8"));
    let output = assay(&["import", from.to_str().expect("utf-8"), "-o", to, "--json"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{name}: {stderr}");
    let document = record::read(&path).expect("a record");
    let printed: Document = serde_json::from_slice(&output.stdout).expect("one document");
    assert!(printed == document && document.end.is_some() && document.header.assay.method == 0, "{name}");
    let shown = assay(&["show", to, "--plain"]);
    let sheet = String::from_utf8_lossy(&shown.stdout).into_owned();
    let tool = &document.header.assay.imported.as_ref().expect("an origin").tool;
    assert!(shown.status.code() == Some(0) && sheet.contains(&format!("IMPORTED from {tool}")), "{sheet}");
    for entry in &document.entries {
        assert!(entry.verified.is_none() && entry.reason.is_some() && entry.workload.family == *tool, "{entry:?}");
        assert!(entry.rate.as_ref().is_none_or(|rate| !rate.steady), "nobody knows: {entry:?}");
    }
    document
}

fn entry<'a>(document: &'a Document, id: &str) -> &'a Entry {
    let ids = || document.entries.iter().map(|entry| entry.workload.id.as_str()).collect::<Vec<_>>();
    document.entries.iter().find(|entry| entry.workload.id == id).unwrap_or_else(|| panic!("{id} is not among {:?}", ids()))
}

fn rate(document: &Document, id: &str) -> (RateUnit, Interval) {
    let rate = entry(document, id).rate.as_ref().unwrap_or_else(|| panic!("{id} has a rate"));
    (rate.unit, rate.burst.expect("a figure"))
}

fn single(unit: RateUnit, value: f64) -> (RateUnit, Interval) {
    (unit, Interval { value, low: value, high: value })
}

#[test]
fn nvbandwidth_counts_a_local_copy_once_and_a_record_twice() {
    let document = imported("nvbandwidth.json", 1);
    assert_eq!(rate(&document, "nvbandwidth/device_local_copy/gpu0"), single(RateUnit::Bytes, 2.501e12));
    assert_eq!(rate(&document, "nvbandwidth/host_to_device_memcpy_ce/gpu1"), single(RateUnit::Bytes, 55.28e9));
    assert_eq!(rate(&document, "nvbandwidth/device_to_device_memcpy_read_ce/gpu1-gpu0"), single(RateUnit::Bytes, 392.25e9));
    let both = "nvbandwidth/device_to_device_bidirectional_memcpy_read_ce";
    assert_eq!(rate(&document, &format!("{both}-total/gpu0-gpu1")), single(RateUnit::Bytes, 750e9));
    assert_eq!(rate(&document, &format!("{both}-second/gpu1-gpu0")), single(RateUnit::Bytes, 371e9));
    assert_eq!(rate(&document, "nvbandwidth/host_device_latency_sm/gpu0"), single(RateUnit::Seconds, 772.5 * 1e-9));
    let device = &entry(&document, "nvbandwidth/host_to_device_memcpy_ce/gpu1").device;
    let facts = (device.id.as_str(), device.model.as_str(), device.bus.as_deref(), device.api.as_deref());
    assert_eq!(facts, ("cuda:1", "Invented GPU 80GB", Some("0000:43:00.0"), Some("CUDA 12.8")));
    assert_eq!(entry(&document, "nvbandwidth/device_local_copy/gpu1").outcome, Outcome::Failed, "a rate of 0 is none");
    assert_eq!(entry(&document, "nvbandwidth/multinode_device_to_device_memcpy_read_ce").outcome, Outcome::Skipped);
    let failed = entry(&document, "nvbandwidth/all_to_one_write_ce");
    assert!(failed.outcome == Outcome::Failed && failed.reason.as_ref().is_some_and(|why| why.contains("pattern")), "{failed:?}");
    assert_eq!(document.entries.len(), 2 + 2 + 2 + 6 + 2 + 2 + 1 + 1);
}

#[test]
fn nccl_tests_give_the_bus_bandwidth_and_what_was_wrong() {
    let document = imported("nccl-tests.json", 1);
    let id = "nccl-tests/float/all_reduce-sum/128MiB";
    let places: Vec<&str> =
        document.entries.iter().filter(|entry| entry.workload.id == id).map(|entry| entry.workload.variant.as_str()).collect();
    assert_eq!(places, ["out-of-place", "in-place"]);
    assert_eq!(rate(&document, id), single(RateUnit::Bytes, 333.791_913e9));
    assert_eq!((entry(&document, id).load.as_str(), entry(&document, id).counters["time_us"]), ("together(2)", 402.1));
    let wrong = entry(&document, "nccl-tests/float/all_reduce-sum/256MiB");
    assert!(
        wrong.outcome == Outcome::Invalid && wrong.rate.is_none() && wrong.reason.as_ref().is_some_and(|why| why.contains("12"))
    );
    let text = serde_json::to_string(&document).expect("plain data");
    assert!(!text.contains("SECRET") && !text.contains("build"), "neither the environment nor paths are kept");
    assert_eq!(document.header.assay.imported.expect("an origin").version.as_deref(), Some("with NCCL 2.27.3"));
}

#[test]
fn lines_of_nccl_tests_are_read_as_their_json_is() {
    let document = imported("nccl-tests.log", 0);
    assert_eq!(rate(&document, "nccl-tests/float/all_gather/8B"), single(RateUnit::Bytes, 0.01e9));
    assert_eq!(rate(&document, "nccl-tests/float/all_gather/128MiB"), single(RateUnit::Bytes, 333.87e9));
    assert_eq!((document.entries.len(), document.entries[3].load.as_str()), (4, "together(2)"));
    assert!(document.entries[3].reason.as_ref().is_some_and(|note| note.contains("not checked")));
    assert_eq!(document.header.devices[1].bus.as_deref(), Some("0000:43:00.0"));
    let alone = text("nccl-tests.log").replace("    11.50    0.01    0.01       0", &" ".repeat(32));
    let path = folder("nccl-tests-in-place").join("out.log");
    fs::write(&path, alone).expect("a temporary file");
    let output = assay(&["import", path.to_str().expect("utf-8"), "-o", path.with_extension("jsonl").to_str().expect("utf-8")]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let document = record::read(&path.with_extension("jsonl")).expect("a record");
    let of_eight = document.entries.iter().filter(|entry| entry.workload.shape == "8B");
    assert_eq!(of_eight.map(|entry| entry.workload.variant.as_str()).collect::<Vec<_>>(), ["in-place"]);
}

#[test]
fn dcgmi_counts_in_binary_gigaflops() {
    let four = imported("dcgmi-diag-4.json", 1);
    assert_eq!(rate(&four, "dcgmi-diag/diagnostic/products"), single(RateUnit::Flops, 1000.0 * 1_073_741_824.0));
    assert_eq!(rate(&four, "dcgmi-diag/pcie/both"), single(RateUnit::Bytes, 47.25e9));
    assert_eq!(rate(&four, "dcgmi-diag/pcie/d2h-latency"), single(RateUnit::Seconds, 2.125 * 1e-6));
    let failed = entry(&four, "dcgmi-diag/pcie");
    assert!(
        failed.outcome == Outcome::Failed && failed.device.id == "dcgm:1" && failed.device.driver.as_deref() == Some("570.00.01")
    );
    assert_eq!(entry(&four, "dcgmi-diag/targeted_power").outcome, Outcome::Skipped);
    let three = imported("dcgmi-diag-3.json", 0);
    assert_eq!(rate(&three, "dcgmi-diag/Diagnostic/products"), single(RateUnit::Flops, 500.0 * 1_073_741_824.0));
    let warned = three.entries.last().expect("entries");
    assert!(warned.outcome == Outcome::Skipped && warned.reason.as_ref().is_some_and(|why| why.contains("Thermal")), "{warned:?}");
    assert_eq!(three.header.devices.len(), 2);
}

#[test]
fn clpeak_is_read_in_both_of_its_formats() {
    let three = imported("clpeak-3.json", 0);
    assert_eq!(rate(&three, "clpeak/global_memory_bandwidth/float4"), single(RateUnit::Bytes, 3011.25e9));
    assert_eq!(rate(&three, "clpeak/cublas_gemm/int8"), single(RateUnit::Flops, 1400.5e12));
    assert_eq!(rate(&three, "clpeak/kernel_launch_latency/launch"), single(RateUnit::Seconds, 6.25 * 1e-6));
    assert_eq!(entry(&three, "clpeak/numeric_error/fp16").outcome, Outcome::Skipped, "a ratio is no rate");
    assert_eq!(entry(&three, "clpeak/cublas_gemm/mxf4_e2m1").outcome, Outcome::Skipped);
    assert_eq!(three.header.started_at, "2026-01-02T03:04:05Z");
    let two = imported("clpeak-2.json", 1);
    assert_eq!(rate(&two, "clpeak/single_precision_compute/float"), single(RateUnit::Flops, 51_000.25e9));
    let failed = entry(&two, "clpeak/dram_bandwidth/copy");
    assert_eq!(
        (failed.outcome, failed.device.kind, failed.device.model.as_str()),
        (Outcome::Failed, Kind::Cpu, "Invented processor")
    );
}

#[test]
fn repetitions_of_google_benchmark_become_an_interval() {
    let document = imported("google-benchmark.json", 1);
    let (unit, copy) = rate(&document, "google-benchmark/bytes/BM_Copy/64/repeats:3");
    // t(0.975, 2) = 4.3027; the deviation is 1e9, over the root of three.
    assert!(
        unit == RateUnit::Bytes && copy.value == 1e10 && (copy.high - 1e10 - 4.302_653 * 1e9 / 3_f64.sqrt()).abs() < 1e4,
        "{copy:?}"
    );
    assert_eq!(rate(&document, "google-benchmark/time/BM_Parse"), single(RateUnit::Seconds, 2.5 * 1e-6));
    let (_, kept) = rate(&document, "google-benchmark/time/BM_Kept");
    // t(0.975, 3) = 3.1824, from the aggregates.
    assert!((kept.value - 0.1).abs() < 1e-12 && (kept.high - kept.value - 3.182_446 * 0.002 / 2.0).abs() < 1e-8, "{kept:?}");
    assert_eq!(rate(&document, "google-benchmark/items/BM_Items"), single(RateUnit::Items, 2e6));
    assert_eq!(entry(&document, "google-benchmark/BM_Broken").outcome, Outcome::Failed);
    assert_eq!(document.entries.len(), 5, "a fit of a complexity is no measurement");
    let text = serde_json::to_string(&document).expect("plain data");
    assert!(!text.contains("invented_benchmarks"), "no path of the host is kept");
}

/// Exit code 2, nothing on stdout, nothing written, one line on stderr with every one of `words`.
fn refused(name: &str, contents: impl AsRef<[u8]>, more: &[&str], words: &[&str]) {
    let path = folder(name).join("out.json");
    fs::write(&path, contents).expect("a temporary file");
    let record = path.with_file_name("run.jsonl");
    let arguments = ["import", path.to_str().expect("utf-8"), "-o", record.to_str().expect("utf-8")];
    let output = assay(&[&arguments, more].concat());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len(), record.exists()), (Some(2), 0, false), "{name}: {stderr}");
    assert!(
        stderr.lines().count() == 1 && stderr.len() < 1_000 && stderr.starts_with("assay: ") && stderr.contains("out.json"),
        "{stderr}"
    );
    assert!(words.iter().all(|word| stderr.contains(word)), "{name}: {stderr} lacks one of {words:?}");
    assert!(!stderr.contains("panicked") && !stderr.contains('\u{1b}'), "{stderr}");
}

fn text(name: &str) -> String {
    fs::read_to_string(example(name)).expect("an example")
}

#[test]
fn what_no_tool_wrote_is_refused() {
    refused("empty", "", &[], &["not JSON", "nvbandwidth -j"]);
    refused("foreign", "{\"a\": 1}", &[], &["no tool", "clpeak"]);
    refused("list", "[1, 2]", &[], &["no tool"]);
    refused("not-utf-8", b"{\"nvbandwidth\": \"\xff\"}", &[], &["byte 17", "UTF-8"]);
    refused("huge", vec![b' '; (16 << 20) + 1], &[], &["16 MiB"]);
    refused("deep", "[".repeat(1 << 20), &[], &["recursion"]);
    refused("prose", "a log of something else\n1 2 3\n", &["--from", "dcgmi-diag"], &["not JSON"]);
    refused("another", text("clpeak-3.json"), &["--from", "nvbandwidth"], &["nvbandwidth", "missing field"]);
    let missing = assay(&["import", "absent.json"]);
    assert!(missing.status.code() == Some(2) && String::from_utf8_lossy(&missing.stderr).contains("absent.json: No such file"));
}

#[test]
fn output_that_is_cut_anywhere_is_refused() {
    for name in ["nvbandwidth.json", "nccl-tests.json", "dcgmi-diag-4.json", "clpeak-2.json", "google-benchmark.json"] {
        let whole = text(name);
        for tenth in 1..10 {
            let cut = whole.trim_end().len() * tenth / 10;
            refused("cut", &whole.as_bytes()[..cut], &[], &["not JSON", "line"]);
        }
    }
}

#[test]
fn a_figure_or_unit_that_makes_no_sense_is_named() {
    let changed = |name: &str, from: &str, to: &str| {
        let changed = text(name).replacen(from, to, 1);
        assert_ne!(changed, text(name), "{from} is in {name}");
        changed
    };
    let nvbandwidth = |from, to| changed("nvbandwidth.json", from, to);
    refused("gibibytes", nvbandwidth("bandwidth (GB/s)", "bandwidth (GiB/s)"), &[], &["host_to_device_memcpy_ce", "GiB/s", "GB/s"]);
    refused("words", nvbandwidth("\"55.31\"", "\"fast\\u001b[2J\""), &[], &["`fast"]);
    refused("negative", nvbandwidth("\"55.31\"", "\"-3\""), &[], &["-3"]);
    refused("infinite", nvbandwidth("\"55.31\"", "\"inf\""), &[], &["inf"]);
    refused("matrix", nvbandwidth("[[\"55.31\", \"55.28\"]]", "[7]"), &[], &["testcases[0].bandwidth_matrix[0]"]);
    refused("status", changed("dcgmi-diag-4.json", "\"status\": \"Pass\"", "\"status\": \"Fine\""), &[], &["software", "Fine"]);
    refused("version", changed("clpeak-3.json", "\"format_version\": 3", "\"format_version\": 4"), &[], &["format_version is 4"]);
    refused("unit", changed("clpeak-2.json", "\"gflops\"", "\"mflops\""), &[], &["mflops", "gflops"]);
    refused("blank", changed("clpeak-2.json", ",\"value\":51000.2500", ""), &[], &["no value"]);
    refused("schema", changed("google-benchmark.json", "json_schema_version\": 1", "json_schema_version\": 2"), &[], &["2"]);
    refused("time", changed("google-benchmark.json", "\"time_unit\": \"us\"", "\"time_unit\": \"h\""), &[], &["BM_Parse", "`h`"]);
    refused("nothing", "{\"context\": {}, \"benchmarks\": []}", &[], &["nothing"]);
    refused("row", changed("nccl-tests.log", "   11.50", "     x"), &[], &["line 12", "`x`"]);
    refused("size", changed("nccl-tests.json", "\"size\":134217728", "\"size\":-1"), &[], &["results[0].size"]);
}

#[test]
fn a_crowd_of_figures_is_refused_before_it_fills_the_memory() {
    let row = format!("[{}\"1\"]", "\"1\",".repeat(999));
    let matrix = vec![row; 60].join(",");
    let huge = text("nvbandwidth.json").replacen("[[\"55.31\", \"55.28\"]]", &format!("[{matrix}]"), 1);
    refused("crowd", huge, &[], &["matrix"]);
    let bench = (0..60_000).map(|i| format!(r#"{{"name":"b{i}","real_time":1.0,"time_unit":"ns"}}"#)).collect::<Vec<_>>().join(",");
    refused("benchmarks", format!(r#"{{"context":{{}},"benchmarks":[{bench}]}}"#), &[], &["more than 50000"]);
}

#[test]
fn stdin_is_read_and_an_existing_record_kept() {
    let path = folder("stdin").join("run.jsonl");
    let run = |more: &[&str]| {
        let arguments = [&["import", "-", "-o", path.to_str().expect("utf-8")], more].concat();
        let mut child = Command::new(env!("CARGO_BIN_EXE_assay"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        // It may be refused before it is read.
        let _ = child.stdin.take().expect("a pipe").write_all(text("clpeak-3.json").as_bytes());
        child.wait_with_output().expect("ends")
    };
    assert_eq!(run(&[]).status.code(), Some(0));
    let again = run(&[]);
    assert!(again.status.code() == Some(2) && String::from_utf8_lossy(&again.stderr).contains("--force"), "{again:?}");
    assert_eq!(run(&["--force"]).status.code(), Some(0));
}
