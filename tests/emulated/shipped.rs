//! Every shipped image's PTX, for every architecture, right under every schedule and doing the work that is claimed.

use crate::stems::{Macros, jobs};
use crate::{compiled, first_alarm, on_all_cores, schedules, seed};
use serde_json::Value;
use simt::Module;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Instructions after which a kernel is taken to run for ever.
const STEPS: u64 = 20_000_000;
/// A kernel's text without what does not reach the interpreter, and those for whom it was compiled.
type Texts = BTreeMap<(String, String, String), Vec<String>>;

/// The PTX that an image was made of.
fn text(image: &Value) -> String {
    let path = compiled::ptx().join(format!("{}.ptx", compiled::hash(image)));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The distinct texts of all images. Most architectures share theirs but for the line that names the target.
pub fn texts() -> (Texts, BTreeMap<(String, String), Macros>) {
    let mut texts = Texts::new();
    let mut macros = BTreeMap::new();
    for (stem, config, image) in compiled::images("cubin") {
        let name = config["name"].as_str().expect("a name").to_owned();
        macros.insert((stem.clone(), name.clone()), serde_json::from_value(config["macros"].clone()).expect("macros"));
        let text = text(&image);
        let kept: Vec<&str> = text.lines().filter(|line| !line.starts_with("//")).collect();
        let target = kept.iter().position(|line| line.starts_with(".target")).expect("a target");
        let without = [&kept[..target], &[".target sm_90a"], &kept[target + 1..]].concat().join("\n");
        let architecture = image["architecture"].as_str().expect("an architecture").to_owned();
        texts.entry((stem, name, without)).or_default().push(architecture);
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

/// A kernel's parameters as its PTX declares them, type and name.
fn parameters<'a>(text: &'a str, stem: &str) -> Vec<&'a str> {
    let entry = text.split_once(&format!(".entry {stem}(")).map(|(_, rest)| rest).expect("an entry point");
    let list = entry.split_once(')').expect("a list").0;
    list.split(',').filter_map(|one| one.trim().strip_prefix(".param ")).collect()
}

/// Whether a parameter is a word of eight bytes, as the host packs them, or a tensor map, of which it knows the size.
fn is_packed(parameter: &str) -> bool {
    let word = ["u64", "s64", "b64", "f64"].iter().any(|kind| parameter.starts_with(&format!(".{kind} ")));
    word || parameter.starts_with(".align 64 .b8 ") && parameter.ends_with("[128]")
}

#[test]
fn every_parameter_is_a_word_of_the_host() {
    // The base PTX declares the same parameters: it is compiled from the same source.
    for (stem, config, image) in compiled::images("cubin") {
        let text = text(&image);
        let parameters = parameters(&text, &stem);
        assert!(!parameters.is_empty(), "{stem}");
        let wrong: Vec<_> = parameters.into_iter().filter(|one| !is_packed(one)).collect();
        assert!(wrong.is_empty(), "{stem}/{} for {}: {wrong:?}", config["name"], image["architecture"]);
    }
    let planted = ".entry a(\n\t.param .u64 a_0,\n\t.param .u32 a_1,\n\t.param .align 64 .b8 a_2[128]\n)\n.maxntid 256\n{";
    let packed: Vec<bool> = parameters(planted, "a").into_iter().map(is_packed).collect();
    assert_eq!(packed, [true, false, true]);
}
