//! The bugs of `tests/mutants`: each must be caught, by the mechanism that its list names.

use crate::stems::{Macros, jobs};
use crate::{first_alarm, on_all_cores, seed};
use serde::Deserialize;
use simt::Module;
use std::path::PathBuf;
use std::process::Command;

/// Instructions after which a mutant is taken to run for ever; right jobs need a hundredth.
const STEPS: u64 = 20_000_000;

#[derive(Deserialize)]
struct Mutant {
    name: String,
    stem: String,
    macros: Macros,
    /// Mechanisms, any of which will do.
    caught: Vec<String>,
    right: String,
    wrong: String,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("mutants")
}

/// What became of a mutant: `Err` with the reason if it was not caught as it should be.
fn judged(mutant: &Mutant, seed: u64) -> Result<(), String> {
    let read = |name: &str| std::fs::read_to_string(folder().join(name)).map_err(|error| format!("{name}: {error}"));
    let parse = |name: &str| Module::parse(&read(name)?).map_err(|error| format!("{name}: {error}"));
    let jobs = jobs(&mutant.stem, &mutant.macros).ok_or("no jobs are known for it")?;
    if let Some((at, outcome)) = first_alarm(&jobs, &parse(&mutant.right)?, 0..1, seed, STEPS) {
        return Err(format!("the right kernel fails: {at}: {outcome:?}"));
    }
    match first_alarm(&jobs, &parse(&mutant.wrong)?, 0..12, seed, STEPS) {
        None => Err("not caught".into()),
        Some((_, outcome)) if mutant.caught.iter().any(|one| one == outcome.mechanism()) => Ok(()),
        Some((at, outcome)) => Err(format!("caught as {} and not as {:?}: {at}: {outcome:?}", outcome.mechanism(), mutant.caught)),
    }
}

#[test]
fn every_planted_bug_is_caught() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mutants/build");
    let built = Command::new(script).arg(folder()).output().expect("python3 runs");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let index = std::fs::read_to_string(folder().join("index.json")).expect("just written");
    let mutants: Vec<Mutant> = serde_json::from_str(&index).expect("as written");
    let seed = seed();
    let judged = on_all_cores(&mutants, |mutant| judged(mutant, seed));
    let missed: Vec<String> = mutants
        .iter()
        .zip(judged)
        .filter_map(|(mutant, judged)| judged.err().map(|why| format!("{}: {why}", mutant.name)))
        .collect();
    assert!(missed.is_empty(), "{} of {} mutants:\n{}", missed.len(), mutants.len(), missed.join("\n"));
    assert!(mutants.len() >= 30, "only {} mutants are listed", mutants.len());
}
