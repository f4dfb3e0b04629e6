//! Interrupted, killed, stopped: what was measured is kept, and no process is left behind.

use super::{SMALL, assay, entries, folder};
use assay::{plan::mix, record};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

fn start(path: &Path) -> Child {
    let mut command = assay();
    command.arg("run").args(SMALL).arg("-o").arg(path).arg("--no-progress");
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("starts")
}

fn signal(process: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(process.id()).expect("a process id")), signal).expect("own process");
}

/// Workers whose parent was `parent` when they started, by the command line that they were given.
fn workers_of(path: &Path) -> Vec<i32> {
    let processes = std::fs::read_dir("/proc").expect("Linux").filter_map(Result::ok);
    let own = |id: &i32| {
        let read = |file: &str| std::fs::read(format!("/proc/{id}/{file}")).unwrap_or_default();
        let environment = String::from_utf8_lossy(&read("environ")).into_owned();
        let command = String::from_utf8_lossy(&read("cmdline")).into_owned();
        command.contains("\0worker\0") && environment.contains(&format!("ASSAY_TEST_MARK={}", path.display()))
    };
    processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(own).collect()
}

/// Lines that say that an entry is in the record.
fn announced(stderr: &mut impl Read) -> usize {
    BufReader::new(stderr).lines().map_while(Result::ok).filter(|line| line.starts_with('[')).count()
}

#[test]
fn killed_at_fifty_random_moments_every_record_is_readable_and_no_finished_entry_is_lost() {
    let folder = folder("killed");
    let mut seen = [0_usize; 4];
    for moment in 0..50 {
        let path = folder.join(format!("{moment}.jsonl"));
        let mut process = start(&path);
        std::thread::sleep(Duration::from_micros(u64::from(mix(moment) % 2_200_000)));
        signal(&process, Signal::SIGKILL);
        process.wait().expect("own child");
        let announced = announced(process.stderr.as_mut().expect("piped"));
        let kept = entries(&path).unwrap_or(0);
        assert!(kept >= announced, "moment {moment}: {announced} entries were announced, {kept} are in the record");
        seen[kept] += 1;
    }
    assert!(seen[0] > 0 && seen[1] + seen[2] + seen[3] > 0, "the moments fall before and after entries: {seen:?}");
}

#[test]
fn a_killed_parent_leaves_no_worker_behind() {
    let path = folder("orphans").join("run.jsonl");
    let mut command = assay();
    command.arg("run").args(SMALL).arg("-o").arg(&path).env("ASSAY_TEST_MARK", &path);
    let mut process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts");
    let deadline = Instant::now() + Duration::from_secs(20);
    while workers_of(&path).is_empty() || !path.exists() {
        assert!(Instant::now() < deadline, "no worker was seen");
        std::thread::sleep(Duration::from_millis(20));
    }
    signal(&process, Signal::SIGKILL);
    process.wait().expect("own child");
    let deadline = Instant::now() + Duration::from_secs(10);
    while !workers_of(&path).is_empty() {
        assert!(Instant::now() < deadline, "workers {:?} outlived their parent", workers_of(&path));
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn ctrl_c_keeps_what_was_measured_and_says_so() {
    let path = folder("interrupted").join("run.jsonl");
    let mut process = start(&path);
    let mut lines = BufReader::new(process.stderr.take().expect("piped")).lines();
    let first = lines.by_ref().map_while(Result::ok).find(|line| line.starts_with("[1/3]"));
    assert!(first.is_some());
    signal(&process, Signal::SIGINT);
    let status = process.wait().expect("own child");
    assert_eq!(status.code(), Some(130));
    let document = record::read(&path).expect("ended cleanly");
    assert!(document.end.as_ref().is_some_and(|end| end.interrupted));
    assert!((1..=3).contains(&document.entries.len()));
}

#[test]
fn a_worker_that_dies_costs_one_entry_and_the_run_goes_on() {
    let path = folder("crash").join("run.jsonl");
    let mut command = assay();
    command.arg("run").args(SMALL).arg("-o").arg(&path).arg("--no-progress").env("ASSAY_TEST_MARK", &path);
    let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("starts");
    let mut lines = BufReader::new(process.stderr.take().expect("piped")).lines();
    assert!(lines.by_ref().map_while(Result::ok).any(|line| line.starts_with("[1/3]")));
    let mut struck = false;
    let deadline = Instant::now() + Duration::from_secs(20);
    while !struck && Instant::now() < deadline {
        for worker in workers_of(&path) {
            struck |= kill(Pid::from_raw(worker), Signal::SIGSEGV).is_ok();
        }
    }
    assert!(struck);
    let status = process.wait().expect("own child");
    let document = record::read(&path).expect("own record");
    let failed: Vec<_> = document.entries.iter().filter(|entry| entry.outcome == record::Outcome::Failed).collect();
    assert_eq!(document.entries.len(), 3, "every workload has its entry");
    // Between two entries a crash costs nothing; at one it costs that one.
    assert!(failed.len() <= 1, "{failed:?}");
    assert_eq!(status.code(), Some(i32::from(!failed.is_empty())));
    assert!(failed.iter().all(|entry| entry.reason.as_ref().is_some_and(|reason| reason.contains("SIGSEGV"))), "{failed:?}");
}
