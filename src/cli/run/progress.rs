//! What a person sees while it measures: a bar on a terminal, plain lines elsewhere, on stderr.

use super::Task;
use crate::{
    record::{Entry, Workload},
    report,
    units::Nanos,
};
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    collections::HashMap,
    io::IsTerminal,
    time::{Duration, Instant},
};

/// Before anything is measured, an entry is taken to need this beyond its own time.
const SETUP: f64 = 0.7;

pub struct Progress {
    bar: Option<ProgressBar>,
    lines: bool,
    begin: Instant,
    /// Time that each workload was given, of those that are to come.
    targets: HashMap<String, Nanos>,
    done: usize,
    total: usize,
    /// Seconds of launches in entries that are done.
    measured: f64,
    /// Seconds that the suite allows for all devices.
    budget: Option<f64>,
}

impl Progress {
    pub fn new(tasks: &[Task], quiet: bool, plain: bool) -> Self {
        let items =
            || tasks.iter().flat_map(|task| task.workloads.iter().map(move |item| (key(&task.device.id, &item.id), item.target)));
        let total = items().count();
        let terminal = std::io::stderr().is_terminal() && !plain;
        let progress = Self {
            bar: (terminal && !quiet).then(|| bar(total)),
            lines: !terminal && !quiet,
            begin: Instant::now(),
            targets: items().collect(),
            done: 0,
            total,
            measured: 0.0,
            budget: tasks.iter().map(|task| task.suite.budget.map(Nanos::seconds)).sum(),
        };
        if let Some(task) = tasks.first() {
            let names: Vec<_> = tasks.iter().map(|task| format!("{} ({})", task.device.id, task.device.model)).collect();
            let (suite, left) = (task.suite.name, progress.left());
            progress.say(&format!("{suite} suite: {total} workloads on {}, about {left}", names.join(", ")));
        }
        progress
    }

    pub fn begin(&mut self, workload: &Workload) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{}  {} left", workload.id, self.left()));
        }
    }

    pub fn entry(&mut self, entry: &Entry) {
        // A second entry of a workload is that of the kernel that ours took turns with.
        let first = self.targets.remove(&key(&entry.device.id, &entry.workload.id)).is_some();
        self.done += usize::from(first);
        self.measured += entry.sampling.as_ref().map_or(0.0, |sampling| sampling.seconds);
        if let Some(bar) = &self.bar {
            bar.inc(u64::from(first));
        }
        if self.lines {
            self.say(&format!("[{}/{}] {}, {} left", self.done, self.total, report::brief(entry), self.left()));
        }
    }

    pub fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None if self.lines => eprintln!("{line}"),
            None => {}
        }
    }

    /// Time that is left: the targets to come, and for each entry what the others needed beyond theirs; never past the suite's own.
    fn left(&self) -> String {
        let elapsed = self.begin.elapsed().as_secs_f64();
        let beyond = if self.done == 0 { SETUP } else { (elapsed - self.measured).max(0.0) / self.done as f64 };
        let targets = self.targets.values().copied().sum::<Nanos>().seconds();
        let left = targets + beyond * self.targets.len() as f64;
        let left = self.budget.map_or(left, |budget| left.min((budget - elapsed).max(0.0)));
        let seconds = left.ceil() as u64;
        if seconds >= 90 { format!("{} min", seconds.div_ceil(60)) } else { format!("{seconds} s") }
    }
}

fn key(device: &str, workload: &str) -> String {
    format!("{device} {workload}")
}

fn bar(total: usize) -> ProgressBar {
    let bar = ProgressBar::new(total as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:24} {pos}/{len}  {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
