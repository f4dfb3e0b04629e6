//! Imports: which room a path leads to, and whether the table grants it.
//!
//! A room is the first segment under `src/`. From outside only its face may be named (`crate::room::Item`), which may offer a
//! module as a whole (`pub mod worker` in its mod.rs, then `worker::run()` where it is used); inside, any sibling may be. Paths
//! are found as text, in `use` trees and in expressions alike.

use crate::source::{Source, is_name, leading_name, past_closing};
use crate::{CRATE_HOMES, NO_SIBLINGS, ROOMS};

/// A path as written, with `super` resolved: the room first.
struct Path {
    at: usize,
    segments: Vec<String>,
}

/// Paths that break the import table, the face rule or the sibling rule.
pub fn against_the_table(tree: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in tree.iter().filter(|source| source.is_rust()) {
        let own = module(&source.path);
        for path in paths(source, own.as_deref().unwrap_or_default()) {
            let wrong = match &own {
                Some(own) if !own.is_empty() => violation(tree, own, &path.segments),
                Some(_) => None, // main and lib stand above the table
                None => past_the_face(tree, &path.segments),
            };
            found.extend(wrong.map(|message| source.at(path.at, &message)));
        }
    }
    found
}

/// Crates named outside the place they belong to.
pub fn crates_away_from_home(tree: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in tree.iter().filter(|source| source.is_rust()) {
        for (name, homes) in CRATE_HOMES {
            if homes.iter().any(|home| source.path.starts_with(home)) {
                continue;
            }
            // A module of our own may bear the name of the crate that it wraps.
            let own_module = [format!("mod {name};"), format!("::{name};"), format!("::{name},")];
            if own_module.iter().any(|spelling| source.code.contains(spelling)) {
                continue;
            }
            for at in source.words(name) {
                if source.code[at + name.len()..].starts_with("::") && !source.code[..at].ends_with("::") {
                    let message = format!("{name} belongs to {}; ask that room instead", homes.join(" and "));
                    found.push(source.at(at, &message));
                }
            }
        }
    }
    found
}

/// The module a file under `src/` is; empty for main and lib; nothing for files elsewhere.
fn module(path: &str) -> Option<Vec<String>> {
    let inside = path.strip_prefix("src/")?.strip_suffix(".rs")?;
    let mut segments: Vec<String> = inside.split('/').map(str::to_owned).collect();
    if segments.last().is_some_and(|last| last == "mod") || ["main", "lib"].contains(&inside) {
        segments.pop();
    }
    Some(segments)
}

fn violation(tree: &[Source], own: &[String], target: &[String]) -> Option<String> {
    let (here, there) = (own[0].as_str(), target[0].as_str());
    if there == here {
        let sibling = own.len() > 1 && target.get(1) != own.get(1) && names_a_file(tree, target);
        let stranger = sibling && NO_SIBLINGS.contains(&here);
        return stranger.then(|| format!("{here} files know no sibling; move what they share to {here}/mod.rs"));
    }
    let Some((_, granted)) = ROOMS.iter().find(|(room, _)| *room == here) else {
        return Some(format!("{here} is no room of the house; add it to the table in tests/tidy/main.rs"));
    };
    if !granted.contains(&there) {
        return Some(format!("{here} may not import {there}; it may import {granted:?}: see tests/tidy/main.rs"));
    }
    past_the_face(tree, target)
}

fn past_the_face(tree: &[Source], target: &[String]) -> Option<String> {
    let room = &target[0];
    let known = ROOMS.iter().any(|(name, _)| name == room);
    let offered = target.len() == 2 && offers(tree, room, &target[1]);
    (known && names_a_file(tree, target) && !offered)
        .then(|| format!("{} is inside {room}; import what {room}'s face offers", target.join("::")))
}

/// Whether the room's face makes the module public.
fn offers(tree: &[Source], room: &str, module: &str) -> bool {
    let (face, declaration) = (format!("src/{room}/mod.rs"), format!("pub mod {module};"));
    tree.iter().any(|source| source.path == face && source.code.contains(&declaration))
}

/// Whether the second segment is a file of the room rather than an item of its face.
fn names_a_file(tree: &[Source], target: &[String]) -> bool {
    let Some(second) = target.get(1) else { return false };
    let (file, folder) = (format!("src/{}/{second}.rs", target[0]), format!("src/{}/{second}/mod.rs", target[0]));
    tree.iter().any(|source| source.path == file || source.path == folder)
}

/// Every path that starts at the crate, in a file that is the module `own`.
fn paths(source: &Source, own: &[String]) -> Vec<Path> {
    let code = &source.code;
    let mut found = Vec::new();
    for root in ["crate", "assay"] {
        for at in source.words(root).filter(|at| code[at + root.len()..].starts_with("::")) {
            expand(code, at + root.len() + 2, &[], &mut found);
        }
    }
    for at in source.words("super").filter(|at| !code[..*at].ends_with("::")) {
        let mut module = [own, &inline_modules(code, at)].concat();
        let mut next = at;
        while code[next..].starts_with("super::") {
            module.pop();
            next += "super::".len();
        }
        expand(code, next, &module, &mut found);
    }
    found.retain(|path| path.segments.first().is_some_and(|first| first != "*"));
    found
}

/// Follows a path from `at`, branching at braces, and notes where each branch ends.
fn expand(code: &str, at: usize, prefix: &[String], found: &mut Vec<Path>) {
    let at = at + blank(&code[at..]);
    let rest = &code[at..];
    if rest.starts_with('{') {
        let end = past_closing(code, at) - 1;
        let mut item = at + 1;
        while item < end {
            expand(code, item, prefix, found);
            item = next_item(code, item, end);
        }
        return;
    }
    let name = if rest.starts_with('*') { "*" } else { leading_name(rest) };
    let mut segments = prefix.to_vec();
    segments.extend((!name.is_empty()).then(|| name.to_owned()));
    let tail = &rest[name.len()..];
    let goes_on = tail.strip_prefix("::").is_some_and(|next| next.trim_start().starts_with(|c| is_name(c) || "{*".contains(c)));
    if goes_on && !name.is_empty() {
        expand(code, at + name.len() + 2, &segments, found);
    } else {
        found.push(Path { at, segments });
    }
}

/// Past the comma that ends the item at `at` in a brace list that closes at `end`.
fn next_item(code: &str, at: usize, end: usize) -> usize {
    let mut next = at;
    while next < end {
        match code.as_bytes()[next] {
            b',' => return next + 1 + blank(&code[next + 1..end]),
            b'{' => next = past_closing(code, next),
            _ => next += 1,
        }
    }
    end
}

fn blank(text: &str) -> usize {
    text.len() - text.trim_start().len()
}

/// Names of the `mod name { … }` blocks around `at`, from the outside in.
fn inline_modules(code: &str, at: usize) -> Vec<String> {
    crate::source::whole_words(&code[..at], "mod")
        .filter_map(|start| {
            let name = leading_name(code[start + 3..].trim_start());
            let open = start + code[start..].find(['{', ';'])?;
            let around = code[open..].starts_with('{') && (open..past_closing(code, open)).contains(&at);
            around.then(|| name.to_owned())
        })
        .collect()
}

#[cfg(test)]
fn planted(path: &str, text: &str) -> Vec<String> {
    let face = |path: &str| Source::new(path, "//! Face.\n");
    let rooms = ["src/record/mod.rs", "src/record/entry.rs", "src/device/mod.rs", "src/cli/mod.rs", "src/cli/run.rs"];
    let mut tree: Vec<Source> = rooms.map(face).into_iter().collect();
    tree.push(Source::new("src/runner/mod.rs", "//! Face.\npub mod worker;\nmod child;"));
    tree.extend(["src/runner/worker.rs", "src/runner/child.rs"].map(face));
    tree.push(Source::new(path, text));
    against_the_table(&tree)
}

#[test]
fn an_import_against_the_table_is_seen() {
    let found = planted("src/telemetry/host.rs", "use crate::units::Nanos;\nuse crate::{record::Reading, device::Cpu};");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("src/telemetry/host.rs:2: telemetry may not import device"), "{found:?}");
    let found = planted("src/units.rs", "fn a() -> crate::dtype::Dtype { super::record::b() }");
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(planted("src/attic/mod.rs", "use crate::units::Nanos;").len(), 1, "an unknown room");
}

#[test]
fn a_path_past_the_face_is_seen() {
    assert_eq!(planted("src/telemetry/host.rs", "use crate::record::entry::Entry;").len(), 1);
    assert_eq!(planted("src/telemetry/host.rs", "use crate::record::{self, entry};").len(), 1);
    assert_eq!(planted("tests/commands.rs", "use assay::record::entry::Entry;").len(), 1);
    assert_eq!(planted("src/cli/worker.rs", "use crate::runner::child; use crate::runner::worker::list;").len(), 2);
    assert!(planted("src/cli/worker.rs", "use crate::runner::worker;\nfn a() { worker::list() }").is_empty());
    assert!(planted("src/record/file.rs", "use crate::record::entry::Entry; use super::entry;").is_empty());
    assert!(planted("src/telemetry/host.rs", "use crate::record::Entry; // crate::device::x").is_empty());
}

#[test]
fn a_sibling_of_a_command_is_seen() {
    assert_eq!(planted("src/cli/show.rs", "use super::run::Arguments;").len(), 1);
    assert_eq!(planted("src/cli/show.rs", "fn a() { crate::cli::run::run() }").len(), 1);
    assert!(planted("src/cli/show.rs", "use super::Output;\nmod tests { use super::*; }").is_empty());
    assert!(planted("src/cli/other/mod.rs", "mod tests { use super::super::Output; }").is_empty());
}

#[test]
fn a_crate_away_from_home_is_seen() {
    let found = crates_away_from_home(&[Source::new("src/measure/mod.rs", "use cudarc::driver;\nuse serde::Serialize;")]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(crates_away_from_home(&[Source::new("src/device/cuda/mod.rs", "use cudarc::driver;")]).is_empty());
    let wrapped = "pub mod wgpu;\nconst ROWS: &[Row] = &[wgpu::ROW];";
    assert!(crates_away_from_home(&[Source::new("src/device/mod.rs", wrapped)]).is_empty());
    assert!(crates_away_from_home(&[Source::new("src/cli/run.rs", "use crate::device::wgpu::x;")]).is_empty());
}
