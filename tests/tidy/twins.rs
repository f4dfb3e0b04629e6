//! Twins and dead files: every kernel and shader is one that plans can ask for, and every Rust file is compiled.

use crate::source::{Source, leading_name};
use std::collections::BTreeSet;

/// Kernel sources with one stem each; headers (`.cuh`) are parts, not kernels.
fn kernels(tree: &[Source]) -> impl Iterator<Item = (&Source, &str)> {
    tree.iter().filter_map(|source| {
        let (folder, file) = source.path.split_once('/')?;
        let stem = match folder {
            "kernels" => file.strip_suffix(".cu"),
            "shaders" => file.strip_suffix(".wgsl"),
            _ => None,
        };
        stem.map(|stem| (source, stem))
    })
}

/// The code of `src/plan`, the sole door to kernels and shaders.
fn plan(tree: &[Source]) -> impl Iterator<Item = &Source> {
    tree.iter().filter(|source| source.path == "src/plan.rs" || source.path.starts_with("src/plan/"))
}

/// Kernel files that no plan names, and stems named by plans that no file has.
///
/// A stem is a row of the table in the head of `src/plan` (``//! | `name` |``); a step names one as `stem: "name"`. Kernels
/// that serve the harness (the generator, the folds) are named in `src/plan` by their file.
pub fn stems(tree: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for (source, stem) in kernels(tree) {
        let spellings = [format!("\"{stem}\""), format!("`{stem}`"), format!("/{stem}."), format!("\"{stem}.")];
        if !plan(tree).any(|plan| spellings.iter().any(|spelling| plan.text.contains(spelling))) {
            found.push(source.at(0, &format!("no plan asks for `{stem}`; add its row to src/plan or delete the file")));
        }
    }
    let rows = plan(tree).flat_map(|plan| named(plan, "//! | `"));
    let steps = tree.iter().filter(|source| source.path.starts_with("src/workload/")).flat_map(|s| named(s, "stem: \""));
    for (source, at, stem) in rows.chain(steps) {
        // One that several kernels share is in a backend's table under its own name.
        let carried_out = |other: &&Source| other.path.starts_with("src/device/") && other.text.contains(&format!("\"{stem}\""));
        if !kernels(tree).any(|(_, name)| name == stem) && !tree.iter().any(|other| carried_out(&other)) {
            found.push(source.at(at, &format!("no kernels/{stem}.cu and no shaders/{stem}.wgsl; write one")));
        }
    }
    found
}

/// The names that follow `marker` in a file.
fn named<'a>(source: &'a Source, marker: &'a str) -> impl Iterator<Item = (&'a Source, usize, &'a str)> {
    source.text.match_indices(marker).map(move |(at, _)| (source, at, leading_name(&source.text[at + marker.len()..])))
}

/// Rust files that no `mod` reaches, headers that no kernel includes, and test files without a test.
pub fn dead_files(tree: &[Source]) -> Vec<String> {
    let alive = alive(tree);
    let mut found = Vec::new();
    for source in tree {
        if source.is_rust() && !alive.contains(source.path.as_str()) {
            found.push(source.at(0, "no `mod` reaches this file; name it in its parent or delete it"));
        }
        if let Some(header) = source.path.strip_prefix("kernels/").filter(|_| source.is_any(&[".cuh"])) {
            let include = format!("#include \"{header}\"");
            if !tree.iter().any(|other| other.path != source.path && other.text.contains(&include)) {
                found.push(source.at(0, "no kernel includes this header; include it or delete it"));
            }
        }
        let is_test_root = source.is_rust() && is_root(tree, &source.path) && source.path.starts_with("tests/");
        let in_fakes = source.path.starts_with("tests/fakes/");
        if is_test_root && !in_fakes && !source.code.contains("#[test]") {
            found.push(source.at(0, "a test file without a test; write one or delete it"));
        }
    }
    found
}

/// Paths of the Rust files that the compiler sees.
fn alive(tree: &[Source]) -> BTreeSet<&str> {
    let mut waiting: Vec<&Source> = tree.iter().filter(|source| source.is_rust() && is_root(tree, &source.path)).collect();
    let mut alive = BTreeSet::new();
    while let Some(source) = waiting.pop() {
        if alive.insert(source.path.as_str()) {
            let children = [declared(source, is_root(tree, &source.path)), elsewhere(source)].concat();
            waiting.extend(tree.iter().filter(|other| children.contains(&other.path)));
        }
    }
    alive
}

/// Where compilation starts: the crate's own roots, each test and bench, and the same in nested crates. A fake of one file is
/// compiled by the test that names it.
fn is_root(tree: &[Source], path: &str) -> bool {
    let Some((folder, file)) = path.rsplit_once('/') else {
        return path == "build.rs";
    };
    let parent = folder.rsplit_once('/').map_or("", |(parent, _)| parent);
    let is_crate = |folder: &str| {
        let manifest = if folder.is_empty() { "Cargo.toml".to_owned() } else { format!("{folder}/Cargo.toml") };
        tree.iter().any(|source| source.path == manifest)
    };
    match folder.rsplit_once('/').map_or(folder, |(_, last)| last) {
        "src" => ["main.rs", "lib.rs"].contains(&file) && (folder == "src" || is_crate(parent)),
        "bin" | "tests" | "benches" | "examples" => true,
        "fakes" => tree.iter().any(|source| source.path.starts_with("tests/") && source.text.contains(&format!("\"{path}\""))),
        _ => file == "main.rs" && ["tests", "benches"].contains(&parent),
    }
}

/// The files that this one names by `#[path = "..."]`, which is relative to its folder.
fn elsewhere(source: &Source) -> Vec<String> {
    let folder = source.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let given = source.text.split("#[path = \"").skip(1).filter_map(|rest| rest.split_once('"'));
    let resolved = given.map(|(path, _)| {
        let mut segments: Vec<&str> = folder.split('/').collect();
        for segment in path.split('/') {
            if segment == ".." {
                segments.pop();
            } else {
                segments.push(segment);
            }
        }
        segments.join("/")
    });
    resolved.collect()
}

/// The files a `mod name;` of this file may stand for.
fn declared(source: &Source, root: bool) -> Vec<String> {
    let (folder, file) = source.path.rsplit_once('/').unwrap_or(("", &source.path));
    let base = if root || file == "mod.rs" { folder.to_owned() } else { source.path.trim_end_matches(".rs").to_owned() };
    source
        .words("mod")
        .filter_map(|at| {
            let after = source.code[at + 3..].trim_start();
            let name = leading_name(after);
            after[name.len()..].trim_start().starts_with(';').then_some(name)
        })
        .flat_map(|name| [format!("{base}/{name}.rs"), format!("{base}/{name}/mod.rs")])
        .collect()
}

#[test]
fn an_orphan_kernel_and_a_missing_one_are_seen() {
    let tree = [
        Source::new("src/plan/mod.rs", "//! | `copy` | a, c, n | c = a |\nconst FILL: &str = \"shaders/fill.wgsl\";"),
        Source::new("src/workload/stream.rs", "Op::Kernel { stem: \"gone\", args }"),
        Source::new("shaders/fill.wgsl", "// fill"),
        Source::new("kernels/copy.cu", "// copy"),
        Source::new("shaders/copy.wgsl", "// copy"),
        Source::new("shaders/orphan.wgsl", "// orphan"),
    ];
    let found = stems(&tree);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("shaders/orphan.wgsl:1: ") && found[1].contains("kernels/gone.cu"), "{found:?}");
}

#[test]
fn a_dead_file_is_seen() {
    let tree = [
        Source::new("Cargo.toml", ""),
        Source::new("src/lib.rs", "pub mod units;\n// mod dead;\nmod room;"),
        Source::new("src/units.rs", "mod inner;"),
        Source::new("src/units/inner.rs", ""),
        Source::new("src/room/mod.rs", ""),
        Source::new("src/dead.rs", ""),
        Source::new("tests/empty.rs", "//! Nothing."),
        Source::new("tests/common/mod.rs", ""),
        Source::new("tests/one/main.rs", "#[path = \"../common/mod.rs\"]\nmod common;\nmod part;\n#[test] fn a() {}"),
        Source::new("tests/one/part.rs", "const FAKE: &str = \"tests/fakes/named.rs\";"),
        Source::new("tests/fakes/named.rs", ""),
        Source::new("tests/fakes/forgotten.rs", ""),
        Source::new("tests/fakes/nvml/Cargo.toml", ""),
        Source::new("tests/fakes/nvml/src/lib.rs", ""),
        Source::new("kernels/ptx.cuh", ""),
    ];
    let found = dead_files(&tree);
    let dead: Vec<&str> = found.iter().filter_map(|message| message.split(':').next()).collect();
    assert_eq!(dead, ["src/dead.rs", "tests/empty.rs", "tests/fakes/forgotten.rs", "kernels/ptx.cuh"]);
}
