//! The compiled kernels are those of the sources: a source that changed without `kernels/build`, or a compiled file that changed
//! by any other hand, fails here, without a compiler at hand.
#![cfg(feature = "cuda")]

use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{collections::BTreeSet, fmt::Write, fs, io::Read, path::PathBuf};

const STREAM: [&str; 7] = ["read", "write", "copy", "scale", "add", "triad", "dot"];
const ARCHITECTURES: [&str; 9] = ["70", "75", "80", "86", "89", "90a", "100a", "103a", "120"];

fn file(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("kernels").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string grows");
        text
    })
}

fn manifest() -> Value {
    serde_json::from_slice(&file("compiled/manifest.json")).expect("the manifest is JSON")
}

fn stems(manifest: &Value) -> impl Iterator<Item = (&String, &Value)> {
    manifest["stems"].as_object().expect("stems").iter()
}

fn images(stem: &Value) -> impl Iterator<Item = &Value> {
    stem["configs"].as_array().expect("configs").iter().flat_map(|config| config["images"].as_array().expect("images"))
}

fn number(value: &Value) -> usize {
    value.as_u64().and_then(|number| number.try_into().ok()).expect("a number")
}

fn names(extension: &str) -> BTreeSet<String> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("kernels");
    let paths = fs::read_dir(folder).expect("kernels/").map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.extension().is_some_and(|it| it == extension)).map(|path| stem(&path)).collect()
}

fn stem(path: &std::path::Path) -> String {
    path.file_stem().expect("a name").to_string_lossy().into_owned()
}

#[test]
fn sources_are_those_that_were_compiled() {
    let manifest = manifest();
    let build = [file("compiler.py"), file("build")].concat();
    assert_eq!(manifest["build_sha256"], hash(&build), "kernels/compiler.py or kernels/build changed; run kernels/build");
    for (name, sha256) in manifest["headers"].as_object().expect("headers") {
        assert_eq!(sha256, &hash(&file(name)), "{name} changed; run kernels/build");
    }
    for (stem, entry) in stems(&manifest) {
        assert_eq!(entry["source_sha256"], hash(&file(&format!("{stem}.cu"))), "{stem}.cu changed; run kernels/build");
    }
    assert_eq!(stems(&manifest).map(|(stem, _)| stem.clone()).collect::<BTreeSet<_>>(), names("cu"));
    let headers = manifest["headers"].as_object().expect("headers");
    assert_eq!(headers.len(), names("cuh").len(), "a header came or went; run kernels/build");
}

fn inflated(packed: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    lzma_rust2::XzReader::new(packed, false).read_to_end(&mut whole).expect("an xz stream");
    whole
}

#[test]
fn the_program_carries_the_manifest_that_people_read() {
    assert!(inflated(&file("compiled/manifest.xz")) == file("compiled/manifest.json"), "run kernels/build");
}

#[test]
fn every_image_is_the_one_that_was_built() {
    let manifest = manifest();
    for (stem, entry) in stems(&manifest) {
        let packed = file(&format!("compiled/{stem}.xz"));
        let whole = inflated(&packed);
        let mut end = 0;
        for image in images(entry) {
            let (offset, length) = (number(&image["offset"]), number(&image["length"]));
            assert_eq!(offset, end, "{stem}: images lie one after another");
            end = offset + length;
            assert_eq!(image["sha256"], hash(&whole[offset..end]), "{stem}: {}", image["architecture"]);
        }
        assert_eq!(end, whole.len(), "{stem}: nothing lies behind the last image");
    }
}

#[test]
fn every_stem_has_its_entry_for_every_architecture() {
    let manifest = manifest();
    for stem in STREAM.iter().chain(&["matmul", "fill", "fold"]) {
        let entry = &manifest["stems"][stem];
        assert_eq!(entry["entry"], *stem);
        let packed = file(&format!("compiled/{stem}.xz"));
        let whole = inflated(&packed);
        for config in entry["configs"].as_array().expect("configs") {
            let of = |kind: &str| {
                let images = config["images"].as_array().expect("images").iter();
                images.filter(|image| image["kind"] == kind).map(|image| image["architecture"].as_str().expect("text")).collect()
            };
            let (cubins, bases): (Vec<&str>, Vec<&str>) = (of("cubin"), of("ptx"));
            // Only newer ones have accesses of 32 bytes; others have this stem's other configurations.
            let wide = config["macros"].get("WIDE").is_some();
            assert_eq!(cubins, if wide { &ARCHITECTURES[6..] } else { &ARCHITECTURES });
            assert_eq!(bases, if wide { &[][..] } else { &["70", "80"] });
        }
        let bases = images(entry).filter(|image| image["kind"] == "ptx");
        for image in bases {
            let (offset, length) = (number(&image["offset"]), number(&image["length"]));
            let text = String::from_utf8_lossy(&whole[offset..offset + length]);
            assert!(text.contains(&format!(".visible .entry {stem}(")), "{stem}: no entry point in its PTX");
        }
    }
}

/// Spilled registers and stack frames are local memory: slow, and a sign that a configuration is too large.
#[test]
fn nothing_spills() {
    let manifest = manifest();
    for (stem, entry) in stems(&manifest) {
        for image in images(entry) {
            assert_eq!(image["spill_bytes"], 0, "{stem} {}", image["architecture"]);
            assert!((1..=255).contains(&number(&image["registers"])), "{stem} {}", image["architecture"]);
            assert!(number(&image["shared_bytes"]) <= 48 << 10, "{stem} {}", image["architecture"]);
        }
    }
}

/// Hexadecimal constants of a source, in order.
fn constants(source: &str) -> Vec<u32> {
    let text = String::from_utf8(file(source)).expect("a source is text");
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let numbers = code.split("0x").skip(1).map(|rest| {
        let digits: String = rest.chars().take_while(char::is_ascii_hexdigit).collect();
        u32::from_str_radix(&digits, 16).expect("a word")
    });
    numbers.collect()
}

/// The device's generator is the host's: the same multipliers in the same order give the same words.
#[test]
fn the_generator_has_the_constants_of_the_host() {
    let [first, second] = constants("generator.cuh")[..] else { panic!("two multipliers make the mixer") };
    let mix = |x: u32| {
        let x = (x ^ x >> 16).wrapping_mul(first);
        let x = (x ^ x >> 15).wrapping_mul(second);
        x ^ x >> 16
    };
    assert!((0..10_000).chain([u32::MAX]).all(|x| mix(x) == assay::plan::mix(x)));
    assert_eq!(constants("fold.cu")[..2], [assay::plan::ROW, assay::plan::COLUMN]);
    let step = constants("write.cu")[0];
    assert_eq!(step, assay::plan::weyl(7, 16).wrapping_sub(assay::plan::weyl(7, 0)));
}
