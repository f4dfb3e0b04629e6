//! The kernels' very PTX, executed without a GPU: right ones give no alarm under any schedule, and planted bugs are caught.
//!
//! `ASSAY_LONG=1` runs the long form: 100 schedules a kernel, and 300 random mutations a family.

#[path = "../compiled/mod.rs"]
mod compiled;
mod host;
mod issue;
mod job;
mod memory;
mod mutations;
mod planted;
mod products;
mod random;
mod residual;
mod shipped;
mod stems;
mod tile_hashes;

use job::{Job, Outcome};
use simt::{Module, Options};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Whether the long form is asked for.
fn long() -> bool {
    std::env::var_os("ASSAY_LONG").is_some_and(|value| value != "0")
}

/// Schedules that a kernel must hold under.
fn schedules() -> u32 {
    if long() { 100 } else { 12 }
}

/// The seed of this run's schedules: another in every commit, the same in every repetition.
fn seed() -> u64 {
    let head = std::process::Command::new("git").args(["rev-parse", "HEAD"]).output().ok().filter(|done| done.status.success());
    let text = head.map(|done| String::from_utf8_lossy(&done.stdout).into_owned()).unwrap_or_default();
    u64::from_str_radix(text.get(..15).unwrap_or("1"), 16).unwrap_or(1)
}

/// The first outcome that is not right, job by job and schedule by schedule.
fn first_alarm(
    jobs: &[Job],
    module: &Module,
    schedules: impl Iterator<Item = u32> + Clone,
    seed: u64,
    steps: u64,
) -> Option<(String, Outcome)> {
    for number in schedules {
        for job in jobs {
            let outcome = job.run(module, &Options { steps, ..Options::schedule(number, seed) });
            if !matches!(outcome, Outcome::Right(_)) {
                return Some((format!("{} under schedule {number} of seed {seed:#x}", job.name), outcome));
            }
        }
    }
    None
}

/// Does each piece of work on all cores and collects what they say, in order.
fn on_all_cores<W: Sync, R: Send>(work: &[W], act: impl Fn(&W) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(one) = work.get(at) else {
                        break;
                    };
                    let result = act(one);
                    results.lock().expect("no holder panics").push((at, result));
                }
            });
        }
    });
    let mut results = results.into_inner().expect("no holder panics");
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

#[test]
fn work_on_all_cores_keeps_its_order() {
    let work: Vec<u32> = (0..100).collect();
    assert_eq!(on_all_cores(&work, |one| one * 2), work.iter().map(|one| one * 2).collect::<Vec<_>>());
    assert!(schedules() >= 12 && seed() == seed());
}
