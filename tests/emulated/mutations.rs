//! Random mutations of every family's PTX: at least 95 in 100 must be caught, or argued equivalent in
//! `tests/mutants/equivalent.toml`; the others are printed.

use crate::planted::{Index, index, read};
use crate::random::{Dice, mutated};
use crate::stems::{Macros, jobs};
use crate::{first_alarm, long, on_all_cores};
use simt::Module;
use std::collections::BTreeMap;

/// Mutations of a family in the long form; the short form takes the first of them.
const LONG: usize = 300;
const SHORT: usize = 40;
/// Caught of a hundred, at the least.
const CAUGHT: usize = 95;

/// A kernel by its place in a family.
struct Subject<'a> {
    stem: &'a str,
    macros: &'a Macros,
    text: String,
    /// Instructions after which a mutation is taken to run for ever.
    steps: u64,
}

/// Which kernels are mutated together.
fn family(stem: &str, arch: &str) -> String {
    match stem {
        "copy" | "scale" | "add" | "triad" | "write" | "read" | "dot" => "stream".into(),
        "fill" | "fold" | "gate" | "prune" => "checking".into(),
        bulk if bulk.ends_with("_bulk") => "bulk".into(),
        atomic if atomic.starts_with("atomic") => "atomics".into(),
        "matmul" | "matmul_mma" if arch < "80" => format!("{stem} through registers"),
        other => other.into(),
    }
}

fn subjects(index: &Index) -> BTreeMap<String, Vec<Subject<'_>>> {
    let mut families: BTreeMap<String, Vec<Subject<'_>>> = BTreeMap::new();
    let mut seen = Vec::new();
    for mutant in &index.mutants {
        if seen.contains(&&mutant.right) {
            continue;
        }
        seen.push(&mutant.right);
        let text = read(&mutant.right).expect("just written");
        let steps = steps(&mutant.stem, &mutant.macros, &text);
        let subject = Subject { stem: &mutant.stem, macros: &mutant.macros, text, steps };
        families.entry(family(&mutant.stem, &mutant.arch)).or_default().push(subject);
    }
    families
}

/// Twenty times what the right kernel takes for its longest job.
fn steps(stem: &str, macros: &Macros, text: &str) -> u64 {
    let module = Module::parse(text).expect("a right kernel");
    let jobs = jobs(stem, macros).expect("known");
    let taken = jobs.iter().map(|job| match job.run(&module, &simt::Options::default()) {
        crate::Outcome::Right(counters) => counters.instructions,
        other => panic!("{stem}: {}: {other}", job.name),
    });
    taken.max().unwrap_or(0) * 20 + 10_000
}

struct Tried {
    change: String,
    mechanism: &'static str,
}

/// Mutations that parse, drawn in turn from the family's kernels, and what caught each.
fn tried(subjects: &[Subject<'_>], count: usize) -> Vec<Tried> {
    let mut dice = Dice::new(0x5eed_0001);
    let mut drawn = Vec::new();
    while drawn.len() < count {
        let subject = &subjects[drawn.len() % subjects.len()];
        let mutation = mutated(&subject.text, &mut dice);
        let module = mutation.as_ref().and_then(|mutation| Module::parse(&mutation.text).ok());
        if let (Some(mutation), Some(module)) = (mutation, module) {
            drawn.push((subject, mutation.change, module));
        }
    }
    on_all_cores(&drawn, |(subject, change, module)| {
        let jobs = jobs(subject.stem, subject.macros).expect("known");
        let alarm = first_alarm(&jobs, module, 0..12, 1, subject.steps);
        Tried {
            change: format!("{}: {change}", subject.stem),
            mechanism: alarm.map_or("right", |(_, outcome)| outcome.mechanism()),
        }
    })
}

#[test]
fn random_mutations_are_caught() {
    let index = index();
    let mut bad = Vec::new();
    // One family alone, where a person works on it.
    let alone = std::env::var("ASSAY_FAMILY").ok();
    let chosen = subjects(&index).into_iter().filter(|(family, _)| alone.as_ref().is_none_or(|alone| alone == family));
    for (family, subjects) in chosen {
        let tried = tried(&subjects, if long() { LONG } else { SHORT });
        let mut by: BTreeMap<&str, usize> = BTreeMap::new();
        for one in &tried {
            *by.entry(one.mechanism).or_default() += 1;
        }
        println!("{family}: {} mutations, {by:?}", tried.len());
        let alive: Vec<&Tried> = tried.iter().filter(|one| one.mechanism == "right").collect();
        let argued = |one: &&&Tried| index.equivalent.iter().any(|known| known.is(&one.change));
        let unargued: Vec<_> = alive.iter().filter(|one| !argued(one)).collect();
        // A survivor more or less says nothing in a short run.
        let missed = if long() { unargued.len() } else { unargued.len().saturating_sub(1) };
        if (tried.len() - missed) * 100 < CAUGHT * tried.len() {
            bad.push(format!("{family}: {} of {} survive", alive.len(), tried.len()));
        }
        for one in unargued {
            println!("{family}: survives and is not argued equivalent: {}", one.change);
        }
    }
    assert!(bad.is_empty(), "\n{}", bad.join("\n"));
}
