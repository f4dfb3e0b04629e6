//! Every shipped image's PTX, for every architecture, right under every schedule and doing the work that is claimed.

use crate::stems::{Macros, jobs};
use crate::{first_alarm, on_all_cores, schedules, seed};
use serde_json::Value;
use simt::Module;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// Instructions after which a kernel is taken to run for ever.
const STEPS: u64 = 20_000_000;
/// A kernel's text without what does not reach the interpreter, and those for whom it was compiled.
type Texts = BTreeMap<(String, String, String), Vec<String>>;

fn root(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// PTX by the hash of its cubin, written by `kernels/build` unless it is there already.
fn ptx(sha256: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("ptx");
    let path = folder.join(format!("{sha256}.ptx"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Builds the PTX where any of it is missing.
fn build(images: &[&str]) {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("ptx");
    if images.iter().all(|sha256| folder.join(format!("{sha256}.ptx")).exists()) {
        return;
    }
    let built = Command::new(root("kernels/build")).args(["--check", "--ptx"]).arg(&folder).output().expect("python3 runs");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
}

/// The distinct texts of all images. Most architectures share theirs but for the line that names the target.
pub fn texts() -> (Texts, BTreeMap<(String, String), Macros>) {
    let manifest = std::fs::read_to_string(root("kernels/compiled/manifest.json")).expect("the manifest");
    let manifest: Value = serde_json::from_str(&manifest).expect("JSON");
    let mut images = Vec::new();
    let mut macros = BTreeMap::new();
    for (stem, entry) in manifest["stems"].as_object().expect("stems") {
        for config in entry["configs"].as_array().expect("configs") {
            let name = config["name"].as_str().expect("a name");
            macros.insert((stem.clone(), name.to_owned()), serde_json::from_value(config["macros"].clone()).expect("macros"));
            let cubins = config["images"].as_array().expect("images").iter().filter(|image| image["kind"] == "cubin");
            images.extend(cubins.map(|image| (stem.clone(), name.to_owned(), image.clone())));
        }
    }
    let hash = |image: &Value| image["sha256"].as_str().expect("a hash").to_owned();
    let hashes: Vec<String> = images.iter().map(|(_, _, image)| hash(image)).collect();
    build(&hashes.iter().map(String::as_str).collect::<Vec<_>>());
    let mut texts = Texts::new();
    for (stem, config, image) in images {
        let text = ptx(&hash(&image));
        let kept: Vec<&str> = text.lines().filter(|line| !line.starts_with("//")).collect();
        let target = kept.iter().position(|line| line.starts_with(".target")).expect("a target");
        let without = [&kept[..target], &[".target sm_90a"], &kept[target + 1..]].concat().join("\n");
        let architecture = image["architecture"].as_str().expect("an architecture").to_owned();
        texts.entry((stem, config, without)).or_default().push(architecture);
    }
    (texts, macros)
}

#[test]
fn no_shipped_kernel_gives_an_alarm() {
    let (texts, macros) = texts();
    let seed = seed();
    let work: Vec<_> = texts.into_iter().collect();
    let found = on_all_cores(&work, |((stem, config, text), architectures)| {
        let begin = Instant::now();
        let module = Module::parse(text).map_err(|error| format!("{stem}/{config} for {architectures:?}: {error}"));
        let jobs = jobs(stem, &macros[&(stem.clone(), config.clone())]).expect("every stem has jobs");
        let alarm = module.map(|module| {
            // A launch without barriers has one order of events only: two schedules will do. Formats of a product wait in the same
            // way, so that all but one of them need few.
            let another = macros[&(stem.clone(), config.clone())].get("INPUT").is_some_and(|input| input != "bf16");
            let count = match text.contains("bar.sync") {
                true if another => schedules().div_ceil(6),
                true => schedules(),
                false => 2,
            };
            first_alarm(&jobs, &module, 0..count, seed, STEPS)
        });
        let alarm = alarm.map(|alarm| alarm.map(|(at, outcome)| format!("{stem}/{config} for {architectures:?}: {at}: {outcome}")));
        (alarm.unwrap_or_else(Some), begin.elapsed())
    });
    let alarms: Vec<&String> = found.iter().filter_map(|(alarm, _)| alarm.as_ref()).collect();
    assert!(alarms.is_empty(), "{alarms:#?}");
    let taken: Duration = found.iter().map(|(_, taken)| *taken).sum();
    println!("{} distinct texts, {} schedules, {taken:.1?} of processor time", found.len(), schedules());
    assert!(found.len() >= 60, "only {} texts", found.len());
}
