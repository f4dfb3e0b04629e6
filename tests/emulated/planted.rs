//! The bugs of `tests/mutants`: each must be caught, by the mechanism that its list names.

use crate::stems::{Macros, jobs};
use crate::{first_alarm, on_all_cores, seed};
use serde::Deserialize;
use simt::Module;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// Instructions after which a mutant is taken to run for ever; right jobs need a hundredth.
const STEPS: u64 = 4_000_000;

/// Schedules after which a mutant is taken not to be caught. Nearly all are caught by the first; the seed is the commit's.
const MOST_SCHEDULES: u32 = 100;

/// A kernel with a bug, and without.
#[derive(Clone, Deserialize)]
pub struct Mutant {
    name: String,
    pub stem: String,
    pub macros: Macros,
    pub arch: String,
    /// Mechanisms, any of which will do.
    caught: Vec<String>,
    pub right: String,
    wrong: String,
}

/// The host's side of a launch with a bug.
#[derive(Clone, Deserialize)]
pub struct HostMutant {
    pub name: String,
    pub caught: Vec<String>,
    /// Name of a file, to be read by [`read`].
    pub source: String,
}

/// A mutation that changes nothing that can be seen.
#[derive(Clone, Deserialize)]
pub struct Equivalent {
    /// The change, with `*` for what differs between compilations: registers, labels, offsets.
    change: String,
    /// Why it changes nothing.
    because: String,
}

impl Equivalent {
    pub fn is(&self, change: &str) -> bool {
        let mut parts = self.change.split('*');
        let first = parts.next().unwrap_or("");
        let Some(mut rest) = change.strip_prefix(first) else { return false };
        for part in parts {
            match rest.find(part) {
                Some(at) if !rest[..at].contains(char::is_whitespace) => rest = &rest[at + part.len()..],
                _ => return false,
            }
        }
        rest.is_empty()
    }
}

/// What `tests/mutants/build` wrote.
#[derive(Clone, Deserialize)]
pub struct Index {
    pub mutants: Vec<Mutant>,
    pub host: Vec<HostMutant>,
    pub equivalent: Vec<Equivalent>,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("mutants")
}

/// A file that `tests/mutants/build` wrote.
pub fn read(name: &str) -> Result<String, String> {
    std::fs::read_to_string(folder().join(name)).map_err(|error| format!("{name}: {error}"))
}

/// The mutants, compiled once a run.
pub fn index() -> Index {
    static INDEX: OnceLock<Index> = OnceLock::new();
    let build = || {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mutants/build");
        let built = Command::new(script).arg(folder()).output().expect("python3 runs");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        serde_json::from_str(&read("index.json").expect("just written")).expect("as written")
    };
    INDEX.get_or_init(build).clone()
}

/// What is wrong with a kernel that is meant to be right.
fn alarm(mutant: &Mutant, seed: u64) -> Option<String> {
    let module = Module::parse(&read(&mutant.right).expect("just written")).expect("a kernel");
    let jobs = jobs(&mutant.stem, &mutant.macros).expect("known");
    first_alarm(&jobs, &module, 0..2, seed, STEPS).map(|(at, outcome)| format!("{} without a bug: {at}: {outcome}", mutant.stem))
}

/// What became of a mutant: `Err` with the reason if it was not caught as it should be.
fn judged(mutant: &Mutant, seed: u64) -> Result<(), String> {
    let parse = |name: &str| Module::parse(&read(name)?).map_err(|error| format!("{name}: {error}"));
    let jobs = jobs(&mutant.stem, &mutant.macros).ok_or("no jobs are known for it")?;
    match first_alarm(&jobs, &parse(&mutant.wrong)?, 0..MOST_SCHEDULES, seed, STEPS) {
        None => Err("not caught".into()),
        Some((_, outcome)) if mutant.caught.iter().any(|one| one == outcome.mechanism()) => Ok(()),
        Some((at, outcome)) => Err(format!("caught as {} and not as {:?}: {at}: {outcome}", outcome.mechanism(), mutant.caught)),
    }
}

#[test]
fn every_planted_bug_is_caught() {
    let mutants = index().mutants;
    let seed = seed();
    let mut right = mutants.clone();
    right.sort_by(|a, b| a.right.cmp(&b.right));
    right.dedup_by(|a, b| a.right == b.right);
    let alarms: Vec<String> = on_all_cores(&right, |mutant| alarm(mutant, seed)).into_iter().flatten().collect();
    assert!(alarms.is_empty(), "{alarms:#?}");
    let judged = on_all_cores(&mutants, |mutant| judged(mutant, seed));
    let missed: Vec<String> = mutants
        .iter()
        .zip(judged)
        .filter_map(|(mutant, judged)| judged.err().map(|why| format!("{}: {why}", mutant.name)))
        .collect();
    assert!(missed.is_empty(), "{} of {} mutants:\n{}", missed.len(), mutants.len(), missed.join("\n"));
    assert!(mutants.len() >= 70, "only {} mutants are listed", mutants.len());
}

#[test]
fn every_equivalent_mutation_says_why() {
    assert!(index().equivalent.iter().all(|one| one.because.len() > 20));
}
