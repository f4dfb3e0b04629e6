//! Words: what must not stand in the tree, and what must.

use crate::lengths::functions;
use crate::source::{Source, past_closing};

/// Words that mark unfinished work; in code only, so that prose may speak of them.
const UNFINISHED: &[&str] = &["todo!", "unimplemented!", "dbg!"];
/// Marks for later, wherever they stand. Split here, or this very line would be found.
const MARKS: &[&str] = &[concat!("FIX", "ME"), concat!("XX", "X")];
/// Places that exist on one person's machine only.
const PRIVATE_PLACES: &[&str] = &[concat!("/wo", "rk/"), concat!("../sha", "red")];
/// What shows that a test can fail.
const ASSERTIONS: &[&str] = &["assert", "panic!", "unwrap_err", "expect_err", "?;", "?)", "?."];

/// Files and folders (ending in `/`) that may hold `unsafe`.
const UNSAFE_PLACES: &[&str] = &[
    "src/device/cuda/graph.rs",
    "src/device/cuda/host.rs",
    "src/device/cuda/launch.rs",
    "src/device/cuda/tensor.rs",
    "src/device/cuda/lt.rs",
    "src/device/cuda/lt_sys.rs",
    "src/device/cuda/nccl.rs",
    "src/device/cuda/peers.rs",
    "src/device/cuda/sparse_lt.rs",
    "src/device/wgpu/trusted.rs",
    "src/device/cpu/stream.rs",
    "src/telemetry/nvml_sys.rs",
    "tests/fakes/",
    "tests/gpu/src/driver.rs",
];
/// Lines above an `unsafe` within which its reason must stand.
const REASON_WITHIN: usize = 4;

/// Unfinished work, marks for later, private places.
pub fn banned(tree: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in tree {
        for word in UNFINISHED.iter().filter(|_| source.is_rust()) {
            let name = word.trim_end_matches('!');
            let uses = source.words(name).filter(|at| source.code[at + name.len()..].starts_with('!'));
            found.extend(uses.map(|at| source.at(at, &format!("{word} is not for the tree; write the real part"))));
        }
        for mark in MARKS {
            let uses = crate::source::whole_words(&source.text, mark);
            found.extend(uses.map(|at| source.at(at, &format!("{mark} is a debt nobody collects; do it or file it"))));
        }
        for place in PRIVATE_PLACES {
            let uses = source.text.match_indices(place);
            found.extend(uses.map(|(at, _)| source.at(at, &format!("{place} exists on one machine only; drop it"))));
        }
    }
    found
}

/// `unsafe` outside its listed files, or without a reason.
pub fn unsafe_code(tree: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in tree.iter().filter(|source| source.is_rust()) {
        let listed = UNSAFE_PLACES.iter().any(|place| source.path == *place || in_folder(&source.path, place));
        let lines: Vec<&str> = source.text.lines().collect();
        for at in source.words("unsafe") {
            let line = source.line(at);
            let above = &lines[line.saturating_sub(REASON_WITHIN + 1)..line];
            if !listed {
                found.push(source.at(at, "unsafe outside the listed files; use a safe call or the file made for it"));
            } else if !above.iter().any(|text| text.contains("SAFETY:") || text.contains("# Safety")) {
                found.push(source.at(at, "unsafe without a `// SAFETY:` reason right above it; say why it holds"));
            }
        }
    }
    found
}

fn in_folder(path: &str, place: &str) -> bool {
    place.ends_with('/') && path.starts_with(place)
}

/// Rust files that do not say what they are.
pub fn headless(tree: &[Source]) -> Vec<String> {
    tree.iter()
        .filter(|source| source.is_rust() && !source.text.starts_with("//! "))
        .map(|source| source.at(0, "no `//!` head; say in a sentence what this file is and why it exists"))
        .collect()
}

/// Tests left out without a GPU as the reason.
pub fn ignored(tree: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in tree.iter().filter(|source| source.is_rust()) {
        for (at, _) in source.code.match_indices("#[ignore") {
            let attribute = &source.text[at..past_closing(&source.code, at + 1)];
            if !attribute.contains("GPU") {
                found.push(source.at(at, "an ignored test; only one that needs a GPU may be, and it must say so"));
            }
        }
    }
    found
}

/// Tests that can only pass.
pub fn toothless(tree: &[Source]) -> Vec<String> {
    let rust: Vec<&Source> = tree.iter().filter(|source| source.is_rust()).collect();
    let helpers: Vec<&str> = rust
        .iter()
        .filter(|source| source.path.starts_with("tests/") || source.code.contains("#[cfg(test)]"))
        .flat_map(|source| functions(&source.code))
        .filter(|function| asserts(function.body))
        .map(|function| function.name)
        .collect();
    let mut found = Vec::new();
    for source in rust {
        for (attribute, _) in source.code.match_indices("#[test]") {
            let Some(test) = functions(&source.code[attribute..]).into_iter().next() else {
                continue;
            };
            let expects_panic = source.code[attribute..attribute + test.at].contains("should_panic");
            let calls_helper = helpers.iter().any(|name| calls(test.body, name));
            if !expects_panic && !asserts(test.body) && !calls_helper {
                let message = format!("test {} asserts nothing; say what must hold", test.name);
                found.push(source.at(attribute, &message));
            }
        }
    }
    found
}

fn asserts(body: &str) -> bool {
    ASSERTIONS.iter().any(|assertion| body.contains(assertion))
}

fn calls(body: &str, name: &str) -> bool {
    crate::source::whole_words(body, name).any(|at| body[at + name.len()..].starts_with('('))
}

#[test]
fn a_banned_word_is_seen() {
    let planted = format!("fn a() {{ todo!() }}\n// {} later\n// see {}x", MARKS[0], PRIVATE_PLACES[0]);
    let found = banned(&[Source::new("src/a.rs", &planted)]);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[1].starts_with("src/a.rs:2: "), "{found:?}");
    assert!(banned(&[Source::new("src/a.rs", "fn a() { say(\"todo!\") } // no dbg! here")]).is_empty());
}

#[test]
fn an_unsafe_is_seen() {
    let reasoned = "fn a() {\n    // SAFETY: planted.\n    unsafe { b() }\n}";
    assert_eq!(unsafe_code(&[Source::new("src/plan.rs", reasoned)]).len(), 1);
    assert!(unsafe_code(&[Source::new("src/device/cuda/launch.rs", reasoned)]).is_empty());
    assert!(unsafe_code(&[Source::new("tests/fakes/a/src/lib.rs", reasoned)]).is_empty());
    assert_eq!(unsafe_code(&[Source::new("src/device/cuda/launch.rs", "fn a() { unsafe { b() } }")]).len(), 1);
    assert!(unsafe_code(&[Source::new("src/lib.rs", "#![deny(unsafe_code)] // unsafe")]).is_empty());
}

#[test]
fn a_file_without_a_head_is_seen() {
    assert_eq!(headless(&[Source::new("src/a.rs", "fn a() {}"), Source::new("src/b.rs", "//! B.\n")]).len(), 1);
}

#[test]
fn an_ignored_test_is_seen() {
    let tests = "#[ignore]\nfn a() {}\n#[ignore = \"slow\"]\nfn b() {}\n#[ignore = \"needs a GPU\"]\nfn c() {}";
    let found = ignored(&[Source::new("src/a.rs", tests)]);
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn a_toothless_test_is_seen() {
    let tests = "#[test]\nfn a() { helper(); }\n#[test]\nfn b() { run(); }\nfn helper() { assert!(true); }\n\
                 #[test]\n#[should_panic]\nfn c() { run(); }\n#[test]\nfn d() { assert_eq!(1, 1); }";
    let found = toothless(&[Source::new("tests/a.rs", tests)]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("tests/a.rs:3: test b "), "{found:?}");
}
