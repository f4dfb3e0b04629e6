//! What a person sees while it measures: a bar on a terminal, plain lines elsewhere, on stderr.

use super::Task;
use crate::{
    record::{Entry, Workload},
    units::scaled,
    workload::Suite,
};
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

/// Before anything is measured, an entry is taken to need this beyond its own time.
const SETUP: f64 = 0.7;

pub struct Progress {
    bar: Option<ProgressBar>,
    lines: bool,
    begin: Instant,
    /// Time of entries that are done, and of all that are to come.
    done: usize,
    total: usize,
    targets_done: f64,
    targets: f64,
    suite: Option<Suite>,
    devices: usize,
}

impl Progress {
    pub fn new(tasks: &[Task], quiet: bool, plain: bool) -> Self {
        let total = tasks.iter().map(|task| task.workloads.len()).sum();
        let target = |task: &Task| task.suite.burst.seconds() * task.workloads.len() as f64;
        let terminal = std::io::stderr().is_terminal() && !plain;
        let mut progress = Self {
            bar: (terminal && !quiet).then(|| bar(total)),
            lines: !terminal && !quiet,
            begin: Instant::now(),
            done: 0,
            total,
            targets_done: 0.0,
            targets: tasks.iter().map(target).sum(),
            suite: tasks.first().map(|task| task.suite),
            devices: tasks.len(),
        };
        if let Some(suite) = progress.suite {
            // At most six entries of a device are measured long enough for a sustained figure.
            let long = tasks.iter().map(|task| task.workloads.len().min(4)).sum::<usize>() as f64;
            progress.targets += long * (suite.sustained.seconds() - suite.burst.seconds()).max(0.0);
            let names: Vec<_> = tasks.iter().map(|task| format!("{} ({})", task.device.id, task.device.model)).collect();
            let left = progress.left();
            progress.say(&format!("{} suite: {total} workloads on {}, about {left}", suite.name, names.join(", ")));
        }
        progress
    }

    pub fn begin(&mut self, workload: &Workload) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{}  {} left", workload.id, self.left()));
        }
    }

    pub fn entry(&mut self, entry: &Entry) {
        self.done += 1;
        self.targets_done += entry.sampling.as_ref().map_or(0.0, |sampling| sampling.seconds);
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
        let line = format!("[{}/{}] {}", self.done, self.total, brief(entry));
        if self.lines {
            self.say(&format!("{line}, {} left", self.left()));
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
        let beyond = if self.done == 0 { SETUP } else { (elapsed - self.targets_done).max(0.0) / self.done as f64 };
        let mut left = (self.targets - self.targets_done).max(0.0) + beyond * (self.total - self.done.min(self.total)) as f64;
        if let Some(budget) = self.suite.and_then(|suite| suite.budget) {
            left = left.min((budget.seconds() * self.devices as f64 - elapsed).max(0.0));
        }
        let seconds = left.ceil() as u64;
        if seconds >= 90 { format!("{} min", seconds.div_ceil(60)) } else { format!("{seconds} s") }
    }
}

fn bar(total: usize) -> ProgressBar {
    let bar = ProgressBar::new(total as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:24} {pos}/{len}  {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// One line of an entry.
fn brief(entry: &Entry) -> String {
    let id = format!("{}@{}", entry.workload.id, entry.workload.variant);
    match entry.rate.as_ref().and_then(|rate| rate.best().map(|best| (rate, best))) {
        Some((rate, best)) if entry.reason.is_none() => {
            format!("{id}  {} ({})", scaled(best.value, rate.unit.symbol()), rate.status.name())
        }
        _ => format!("{id}  {}: {}", entry.outcome.name(), entry.reason.as_deref().unwrap_or("no rate")),
    }
}
