//! `assay run` as a person drives it: what it leaves behind, what it refuses, and what survives a violent end.

mod violence;

use assay::record::{self, Outcome};
use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// A quick selection: three operations of the stream family on small arrays, a third of a second each.
const SMALL: [&str; 6] = ["--backend", "cpu", "--footprint", "4MiB", "--only", "stream/*/{copy,scale,add}/*"];

fn assay() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_assay"));
    command.env_remove("ASSAY_SUITE").env_remove("ASSAY_BACKEND").env_remove("ASSAY_OUTPUT").env_remove("ASSAY_NVML_LIB");
    command
}

/// A folder of a test's own, emptied.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    folder
}

fn run(arguments: &[&str]) -> Output {
    assay().arg("run").args(arguments).output().expect("starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Bad input: exit code 2, nothing on stdout, one message on stderr with every one of `words`, no file.
fn refused(arguments: &[&str], words: &[&str]) {
    let output = run(arguments);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
    assert!(words.iter().all(|word| stderr.contains(word)), "{arguments:?}: {stderr} lacks one of {words:?}");
    assert!(!stderr.contains("panicked") && !stderr.contains('\u{1b}'), "{stderr}");
}

#[test]
fn a_measurement_goes_on_when_nobody_reads_what_it_says() {
    let path = folder("unread").join("run.jsonl");
    let (reader, closed) = std::io::pipe().expect("a pipe");
    drop(reader);
    let full = std::fs::File::options().write(true).open("/dev/full").expect("Linux has it");
    for (stdout, stderr) in [(closed.try_clone().expect("a handle").into(), closed.into()), (Stdio::null(), Stdio::from(full))] {
        let ended = assay().arg("run").args(SMALL).arg("--force").arg("-o").arg(&path).stdout(stdout).stderr(stderr).status();
        assert_eq!(ended.expect("starts").code(), Some(0));
        let document = record::read(&path).expect("own record");
        assert!(document.end.is_some() && document.entries.len() == 3, "{:?}", document.end);
    }
}

#[test]
fn a_device_that_is_named_twice_is_measured_once_and_one_of_another_backend_is_refused() {
    let path = folder("named-twice").join("run.jsonl");
    let path = path.to_str().expect("utf-8");
    let output = run(&[&SMALL[..], &["--device", "cpu:0", "--device", "cpu:0", "-o", path, "--json"]].concat());
    let printed: record::Document = serde_json::from_slice(&output.stdout).expect("one document");
    assert_eq!(printed.entries.len(), 3);
    refused(&["--device", "cpu:0", "--backend", "wgpu"], &["cpu:0", "--backend wgpu"]);
}

#[test]
fn a_record_is_written_read_back_and_verified() {
    let path = folder("written").join("run.jsonl");
    let path_text = path.to_str().expect("utf-8");
    let output = run(&[&SMALL[..], &["-o", path_text, "--json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let document = record::read(&path).expect("own record");
    let printed: record::Document = serde_json::from_slice(&output.stdout).expect("one document");
    assert_eq!(printed.entries.len(), 3);
    assert_eq!(printed.entries, document.entries);
    for entry in &document.entries {
        assert_eq!(entry.outcome, Outcome::Measured, "{:?}", entry.reason);
        let (verified, sampling) = (entry.verified.as_ref().expect("verified"), entry.sampling.as_ref().expect("sampled"));
        assert!(verified.passed && verified.hashed >= 1 && verified.checked > 256, "{verified:?}");
        assert!(sampling.launches >= 3 && entry.latency.as_ref().is_some_and(|latency| latency.service.is_some()));
        assert!(entry.kernel.is_some() && entry.data.is_some() && entry.seed == 1);
        assert!(entry.telemetry.as_ref().is_some_and(|telemetry| telemetry.source == "host"), "{:?}", entry.telemetry);
    }
    assert!(document.header.node.cpu_model.is_some() && document.header.assay.method == record::METHOD);
    let end = document.end.expect("ended");
    assert_eq!((end.measured, end.interrupted), (3, false));
}

#[test]
fn without_a_file_the_record_goes_to_the_users_data_folder() {
    let home = folder("home");
    // A folder of pipes that is named, as a container of a shared card has it.
    let mut command = assay();
    let output =
        command.arg("run").args(SMALL).env("XDG_DATA_HOME", &home).env("CUDA_MPS_PIPE_DIRECTORY", &home).output().expect("starts");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let runs: Vec<_> = std::fs::read_dir(home.join("assay/runs")).expect("made").filter_map(Result::ok).collect();
    assert_eq!(runs.len(), 1);
    let path = runs[0].path();
    assert!(text(&output.stderr).contains(path.to_str().expect("utf-8")), "the path is printed");
    let document = record::read(&path).expect("own record");
    assert_eq!(document.entries.len(), 3);
    assert!(document.header.node.mps.is_some_and(|how| how.starts_with("CUDA_MPS_PIPE_DIRECTORY /")), "{:?}", runs[0]);
    assert!(text(&output.stdout).contains("MPS (CUDA_MPS_PIPE_DIRECTORY"), "{}", text(&output.stdout));
}

#[test]
fn a_seed_is_identity_and_the_same_seed_gives_the_same_inputs() {
    let folder = folder("seeds");
    let seed = |name: &str, seed: &str| {
        let path = folder.join(name);
        let output =
            run(&[&SMALL[..4], &["--only", "stream/*/copy/*", "--seed", seed, "-o", path.to_str().expect("utf-8")]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        record::read(&path).expect("own record").entries.remove(0).seed
    };
    assert_eq!((seed("a", "7"), seed("b", "8")), (7, 8));
}

#[test]
fn unknown_devices_globs_and_suites_are_told_what_exists() {
    refused(&["--device", "cuda:9"], &["cuda:9", "no such device", "cpu:0"]);
    refused(&["--backend", "cpu", "--only", "matmal/*"], &["matmal/*", "'matmul/*'", "'stream/*'"]);
    refused(&["--only", "matmul/[x"], &["matches no workload", "'matmul/*'"]);
    refused(&["--suite", "eternal"], &["quick", "standard", "soak"]);
    refused(&["--time", "10m"], &["--suite soak"]);
    refused(&["--suite", "soak", "--time", "0s"], &["between"]);
    refused(&["--suite", "soak", "--time", "fortnight"], &["10m"]);
    if !cfg!(feature = "cuda") {
        refused(&["--backend", "cuda"], &["no device"]);
    }
}

#[test]
fn absurd_sizes_are_refused() {
    for size in ["0", "12", "-1MiB", "lots", "99999999999TiB"] {
        refused(&["--backend", "cpu", &format!("--footprint={size}")], &["--footprint"]);
    }
    refused(&["--backend", "cpu", "--footprint", "900TiB"], &["three arrays", "free"]);
}

#[test]
fn an_existing_or_unwritable_record_is_refused_before_anything_is_measured() {
    let folder = folder("existing");
    let path = folder.join("run.jsonl");
    std::fs::write(&path, "precious").expect("writes");
    let path_text = path.to_str().expect("utf-8");
    refused(&[&SMALL[..], &["-o", path_text]].concat(), &[path_text, "--force"]);
    assert_eq!(std::fs::read_to_string(&path).expect("kept"), "precious");
    let missing = folder.join("nowhere/run.jsonl");
    refused(&[&SMALL[..], &["-o", missing.to_str().expect("utf-8")]].concat(), &["no such folder", "-o FILE"]);
    refused(&[&SMALL[..], &["-o", "/proc/run.jsonl"]].concat(), &["/proc/run.jsonl", "-o FILE"]);
    let forced = run(&[&SMALL[..], &["-o", path_text, "--force"]].concat());
    assert_eq!(forced.status.code(), Some(0), "{}", text(&forced.stderr));
    assert_eq!(record::read(&path).expect("overwritten").entries.len(), 3);
}

#[test]
fn a_full_disk_ends_the_run_with_a_clear_word() {
    refused(&[&SMALL[..], &["-o", "/dev/full", "--force"]].concat(), &["/dev/full", "No space left"]);
}

#[test]
fn piped_output_is_plain_and_quiet_is_quiet() {
    let path = folder("plain").join("run.jsonl");
    let output = run(&[&SMALL[..], &["-o", path.to_str().expect("utf-8")]].concat());
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(!stdout.contains('\u{1b}') && !stderr.contains('\u{1b}'));
    assert!(stderr.contains("[1/3]") && stderr.contains("left") && stdout.contains("stream"), "{stderr}\n{stdout}");
    let output = run(&[&SMALL[..], &["-o", path.to_str().expect("utf-8"), "--force", "--quiet", "--json"]].concat());
    assert_eq!(text(&output.stderr).lines().count(), 1, "only where the record is: {}", text(&output.stderr));
}

#[test]
fn nothing_measured_is_exit_code_three() {
    // More than two devices could hold, yet small enough to be asked for: every workload is skipped or there is none.
    let devices = assay().arg("devices").output().expect("starts");
    assert!(matches!(devices.status.code(), Some(0)), "a CPU is always there");
    let listed: serde_json::Value =
        serde_json::from_slice(&assay().args(["devices", "--json"]).output().expect("starts").stdout).expect("JSON");
    let cpu = listed.as_array().expect("backends").iter().find(|listing| listing["backend"] == "cpu").expect("the CPU backend");
    assert_eq!(cpu["devices"][0]["id"], "cpu:0");
    for listing in listed.as_array().expect("backends") {
        let found = listing["devices"].as_array().is_some_and(|devices| !devices.is_empty());
        assert!(found || listing["absent"].as_str().is_some_and(|why| !why.is_empty()), "{listing}");
    }
}

/// A record that was cut off anywhere is still read: nothing before the cut is lost.
fn entries(path: &Path) -> Option<usize> {
    path.exists().then(|| record::read(path).map_or_else(|error| panic!("{error}"), |document| document.entries.len()))
}
