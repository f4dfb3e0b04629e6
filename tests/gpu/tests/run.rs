//! `tests/gpu/run`, the whole of it in its short form, on the fake driver.

#[path = "../../compiled/mod.rs"]
mod compiled;

use serde_json::Value;
use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt, symlink},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn json(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}\n{text}", path.display()))
}

fn succeed(command: &mut Command) -> String {
    let output = command.output().expect("starts");
    let said = [output.stdout.as_slice(), &output.stderr].concat();
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&said));
    String::from_utf8_lossy(&said).into_owned()
}

/// What `tests/gpu/pack` collects, without its build: the programs as this test's build left them.
fn packed(folder: &Path) {
    let checks = Path::new(env!("CARGO_BIN_EXE_gpu-checks"));
    let assay = checks.with_file_name("assay");
    assert!(assay.is_file(), "{} is not there: build the program first", assay.display());
    fs::copy(checks, folder.join("gpu-checks")).expect("copies");
    fs::copy(assay, folder.join("assay")).expect("copies");
    fs::copy(root().join("tests/gpu/run"), folder.join("run")).expect("copies");
    succeed(Command::new(root().join("tests/conformance/build")).arg(folder.join("conformance")));
}

/// A library of this workspace, as it was built with this test.
fn library(name: &str) -> PathBuf {
    std::env::current_exe().expect("a path").with_file_name(name)
}

/// The fake driver under both names, and all PTX by the hash of its machine code.
fn fake(folder: &Path) -> PathBuf {
    let library = library("libfake_cuda.so");
    let place = folder.join("fake");
    fs::create_dir_all(place.join("ptx")).expect("a folder");
    for name in ["libcuda.so", "libcuda.so.1"] {
        fs::copy(&library, place.join(name)).expect("the fake was built with this test");
    }
    for kernel in json(&folder.join("conformance/index.json"))["kernels"].as_array().expect("kernels") {
        for image in kernel["images"].as_array().expect("images") {
            let (from, sha256) = (image["ptx"].as_str().expect("a file"), image["sha256"].as_str().expect("a hash"));
            let _ = symlink(folder.join("conformance").join(from), place.join(format!("ptx/{sha256}.ptx")));
        }
    }
    for (_, _, image) in compiled::images("cubin") {
        let name = format!("{}.ptx", compiled::hash(&image));
        let _ = symlink(compiled::ptx().join(&name), place.join("ptx").join(&name));
    }
    place
}

/// Name, status and exit code of every step.
fn steps(results: &Path, summary: &str) -> Vec<(String, String, i64)> {
    let word = |value: &Value| value.as_str().expect("a word").to_owned();
    let summary = json(&results.join(summary));
    let steps = summary["steps"].as_array().expect("steps").iter();
    steps.map(|step| (word(&step["step"]), word(&step["status"]), step["code"].as_i64().expect("a code"))).collect()
}

/// An executable that runs a line of shell.
fn script(path: &Path, line: &str) {
    fs::write(path, format!("#!/bin/sh\n{line}\n")).expect("writes");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("may be run");
}

/// A folder with the script alone, and checks that answer nothing.
fn staged(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a temporary folder");
    fs::copy(root().join("tests/gpu/run"), folder.join("run")).expect("copies");
    script(&folder.join("gpu-checks"), "echo '{}'");
    folder
}

#[test]
fn only_what_the_sanitizer_found_is_held_against_the_kernels() {
    let folder = staged("gpu-sanitizer");
    script(&folder.join("nvidia-smi"), r#"echo "NVIDIA A, 1, asked for $*""#);
    // A Python that is a wrapper of another one, in whose folder the libraries lie.
    let libraries = folder.join("venv/lib/python3.9/site-packages/nvidia/cu13/lib");
    fs::create_dir_all(&libraries).expect("a folder");
    script(&folder.join("python3"), &format!("echo {}/venv", folder.display()));
    script(&folder.join("assay"), r#"[ "$1" = devices ] && echo "$VIRTUAL_ENV and $LD_LIBRARY_PATH"; exit 0"#);
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").expect("a path"));
    for (line, status, code) in [
        ("exit 0", "ok", 0),
        ("exit 3", "unavailable", 77),
        ("exit 86", "failed", 86),
        // One hazard among checks that could not look.
        (r#"case "$*" in *racecheck*copies) exit 86;; esac; exit 3"#, "failed", 86),
    ] {
        script(&folder.join("compute-sanitizer"), line);
        let output = Command::new(folder.join("run"))
            .arg(folder.join("results"))
            .env("PATH", &path)
            .env_remove("VIRTUAL_ENV")
            .output()
            .expect("starts");
        assert_eq!(output.status.success(), status != "failed", "{line}");
        assert!(
            steps(&folder.join("results"), "summary.json").contains(&("sanitizer".to_owned(), status.to_owned(), code)),
            "{line}"
        );
        let log = fs::read_to_string(folder.join("results/log.txt")).expect("a log");
        assert!(log.contains("asked for -q") && log.contains("asked for topo -m"), "{log}");
        assert!(log.contains(&format!("{}/venv and ", folder.display())) && log.contains(&*libraries.to_string_lossy()), "{log}");
        assert_eq!(log.matches("--query-gpu=clocks.sm").count(), 2 * 6, "clocks and watts around each of six steps");
        let device = json(&folder.join("results/summary.json"))["device"].as_str().map(str::to_owned);
        assert!(device.is_some_and(|device| device.starts_with("NVIDIA A, 1, ")), "which GPU it was");
    }
}

#[test]
fn a_call_that_is_cut_off_leaves_what_it_had() {
    let folder = staged("gpu-cut");
    script(&folder.join("assay"), &format!(r#"[ "$1" = devices ] || {{ touch {}/begun; sleep 20; }}"#, folder.display()));
    let mut run = Command::new(folder.join("run")).arg(folder.join("results")).process_group(0).spawn().expect("starts");
    let deadline = Instant::now() + Duration::from_secs(20);
    while !folder.join("begun").exists() {
        assert!(Instant::now() < deadline, "the second step never began");
        std::thread::sleep(Duration::from_millis(20));
    }
    run.kill().expect("own child");
    run.wait().expect("own child");
    assert_eq!(steps(&folder.join("results"), "summary.json"), [("conformance".to_owned(), "answered".to_owned(), 0)]);
    assert_eq!(json(&folder.join("results/conformance.json")), serde_json::json!({}));
}

#[test]
fn every_step_runs_without_a_gpu() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gpu-run");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a temporary folder");
    packed(&folder);
    let fake = fake(&folder);
    let results = folder.join("results");
    succeed(
        Command::new(folder.join("run"))
            .arg(&results)
            .env("ASSAY_GPU_SHORT", "1")
            .env("LD_LIBRARY_PATH", &fake)
            .env("ASSAY_FAKE_CUDA", "90")
            .env("ASSAY_FAKE_PTX", fake.join("ptx")),
    );
    let wanted = [
        ("conformance", "answered", 0),
        ("correctness", "ok", 0),
        ("launches", "ok", 0),
        ("bandwidth", "ok", 0),
        ("flips", "ok", 0),
        ("sanitizer", "unavailable", 77),
    ];
    assert_eq!(steps(&results, "summary.json"), wanted.map(|(step, status, code)| (step.to_owned(), status.to_owned(), code)));
    assert!(fs::read_dir(&results).expect("results").count() <= 8);
    let kernels = json(&results.join("conformance.json"))["kernels"].as_array().expect("kernels").clone();
    // What is made for another generation says so; all else answers.
    let (answered, other): (Vec<&Value>, Vec<&Value>) = kernels.iter().partition(|kernel| kernel["words"].is_string());
    let foreign = |kernel: &&Value| kernel["skipped"].as_str().is_some_and(|why| why.starts_with("made for sm_100a"));
    assert!(answered.len() >= 30 && other.len() == 2 && other.iter().all(foreign), "{other:#?}");
    let launches = json(&results.join("launches.json"));
    assert_eq!(launches["dependent_launch_in_stream"]["p50"], 2000.0, "the fake's own time for a launch");
    let flips = json(&results.join("flips.json"));
    assert_eq!((&flips["wanted"], &flips["planted"], &flips["found"]), (&3.into(), &3.into(), &3.into()), "{flips:#}");
    let late = succeed(
        Command::new(folder.join("gpu-checks"))
            .args(["flips", "3"])
            .env("LD_LIBRARY_PATH", &fake)
            .env("ASSAY_FAKE_CUDA", "sm=90,mode=deferred")
            .env("ASSAY_FAKE_PTX", fake.join("ptx")),
    );
    assert!(late.contains(r#""found": 3"#), "a bit that is written arrives before what is launched behind it: {late}");
    let bandwidth = json(&results.join("bandwidth.json"));
    assert!(bandwidth["readings"]["babelstream_triad"]["best"].as_f64().is_some_and(|best| best > 1e9), "{bandwidth:#}");
    the_other_parts_run(&folder, &fake);

    // A table is printed of it, and nothing of a fake is filed.
    let tables = root().join("tests/gpu/tables");
    let table = succeed(Command::new(&tables).arg("--print").arg(&results));
    assert!(table.contains("| conformance | answered |") && table.contains("dependent_launch_in_graph"), "{table}");
    let refused = Command::new(&tables).arg(&results).output().expect("starts");
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("not filed"));
}

/// The beginning of the hash of every slow twin's machine code, and a factor on its time: the fake knows no slow code by itself.
fn slow_twins() -> String {
    let slow = |(_, config, image): &(String, Value, Value)| {
        config["name"].as_str().is_some_and(|name| name.starts_with("slow")) && image["architecture"] == "90a"
    };
    let images = compiled::images("cubin");
    let pair = |(_, _, image): &(String, Value, Value)| format!("{}:2", &compiled::hash(image)[..16]);
    images.iter().filter(|one| slow(one)).map(pair).collect::<Vec<_>>().join(",")
}

fn the_other_parts_run(folder: &Path, fake: &Path) {
    let part = |part: &str, pace: &str, results: &Path| {
        let mut command = Command::new(folder.join("run"));
        command.arg(results).arg(part).env("ASSAY_GPU_SHORT", "1").env("LD_LIBRARY_PATH", fake).env("ASSAY_FAKE_PACE", pace);
        command.env("ASSAY_FAKE_CUDA", "90").env("ASSAY_FAKE_PTX", fake.join("ptx"));
        command.output().expect("starts").status.success()
    };
    let results = folder.join("parts");
    let good = |step: &str| (step.to_owned(), "ok".to_owned(), 0);
    assert!(part("tune", &slow_twins(), &results));
    assert_eq!(steps(&results, "tune.summary.json"), [good("sweep"), good("slower"), good("table")]);
    let slower = json(&results.join("slower.json"));
    assert!(slower["families"]["matmul"]["times_as_fast"].as_f64().is_some_and(|times| times > 1.5), "{slower:#}");
    let table = json(&results.join("tuned.json"));
    assert!(table["hardware"] == false && !table["rows"].as_array().expect("rows").is_empty(), "{table:#}");
    // Twins that are not slower are a broken clock, and a verdict.
    assert!(!part("tune", "", &folder.join("equal")));
    assert_eq!(json(&folder.join("equal/slower.json"))["verdict"], "bad");
    for (name, step) in [("reference", "reference"), ("standard", "quick"), ("standard", "standard"), ("soak", "soak")] {
        assert!(part(name, "", &results), "{name}");
        assert!(steps(&results, &format!("{name}.summary.json")).contains(&good(step)), "{name}");
    }
    let missing = ("sparse".to_owned(), "unavailable".to_owned(), 77);
    assert!(steps(&results, "reference.summary.json").contains(&missing), "without the library");
    fs::copy(library("libfake_cusparselt.so"), fake.join("libcusparseLt.so.0")).expect("the fake was built with this test");
    let sparse = folder.join("sparse");
    assert!(part("reference", "", &sparse) && steps(&sparse, "reference.summary.json").contains(&good("sparse")));
    let record = fs::read_to_string(sparse.join("sparse.jsonl")).expect("a record");
    assert!(record.contains("cuSPARSELt 0.8.1") && record.contains("sparse-int8.int32.int32"), "{record}");
    several_devices_are_a_part_of_their_own(folder, fake);
    let nonsense = Command::new(folder.join("run")).arg(folder.join("none")).arg("everything").output().expect("starts");
    assert_eq!(nonsense.status.code(), Some(2));
    assert!(!folder.join("none").exists(), "nothing is written");
}

fn several_devices_are_a_part_of_their_own(folder: &Path, fake: &Path) {
    for (chip, status, code) in [("sm=90,devices=2", "ok", 0), ("sm=90", "unavailable", 77)] {
        let results = folder.join(format!("peers-{code}"));
        succeed(
            Command::new(folder.join("run"))
                .arg(&results)
                .arg("peers")
                .env("ASSAY_GPU_SHORT", "1")
                .env("LD_LIBRARY_PATH", fake)
                .env("ASSAY_FAKE_CUDA", chip)
                .env("ASSAY_FAKE_PTX", fake.join("ptx")),
        );
        assert_eq!(steps(&results, "peers.summary.json"), [("peers".to_owned(), status.to_owned(), code)]);
    }
}

/// Results of a real device are filed where CI and the README look for them.
#[test]
fn answers_are_filed_and_named() {
    let tree = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gpu-tables");
    let _ = fs::remove_dir_all(&tree);
    for folder in ["tests/gpu", "results", "back"] {
        fs::create_dir_all(tree.join(folder)).expect("a folder");
    }
    for file in ["tests/gpu/tables", "README.md"] {
        fs::copy(root().join(file), tree.join(file)).expect("copies");
    }
    let steps = r#"{"steps": [{"step": "launches", "status": "ok", "seconds": 2}]}"#;
    let launches = r#"{"device": "NVIDIA A", "event_resolution": 32.0, "single_launch": {"min": 1.5, "p50": 2.5}}"#;
    fs::write(tree.join("back/summary.json"), steps).expect("writes");
    fs::write(tree.join("back/launches.json"), launches).expect("writes");
    // Another part, brought back into the same folder.
    fs::write(tree.join("back/reference.summary.json"), steps.replace("launches", "sparse")).expect("writes");
    fs::write(tree.join("back/sparse.jsonl"), "{}\n").expect("writes");
    succeed(Command::new(tree.join("tests/gpu/tables")).arg(tree.join("back")));
    let table = fs::read_to_string(tree.join("results/nvidia-a.md")).expect("filed");
    assert!(table.contains("| launches | ok | 2 |") && table.contains("| sparse | ok | 2 |"), "{table}");
    assert!(tree.join("results/nvidia-a.sparse.jsonl").is_file());
    // A part that came back alone names its device itself.
    let alone = format!(r#"{{"part": "reference", "device": "NVIDIA B, 580.1", {}"#, &steps[1..]);
    fs::remove_file(tree.join("back/launches.json")).expect("there");
    fs::remove_file(tree.join("back/summary.json")).expect("there");
    fs::write(tree.join("back/reference.summary.json"), alone).expect("writes");
    succeed(Command::new(tree.join("tests/gpu/tables")).arg(tree.join("back")));
    assert!(tree.join("results/nvidia-b.sparse.jsonl").is_file() && tree.join("results/nvidia-b.reference.md").is_file());
    assert!(table.contains("| single_launch | 1.5 | 2.5 |"), "{table}");
    let readme = fs::read_to_string(tree.join("README.md")).expect("kept");
    assert_eq!(readme.matches("[nvidia-a](results/nvidia-a.md)").count(), 1);
    assert_eq!(json(&tree.join("results/nvidia-a.launches.json"))["event_resolution"], 32.0);
}
