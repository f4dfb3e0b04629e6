//! What a person sees while it measures: a bar on a terminal, plain lines elsewhere, on stderr.

use super::{Item, Task};
use crate::{
    console,
    record::{Decline, Entry, Workload},
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
    /// Of those that are measured on several devices at once, so many take the time of one.
    devices_at_once: usize,
    done: usize,
    total: usize,
    /// Seconds of launches in entries that are done.
    measured: f64,
    /// Seconds that the suite allows for all devices.
    budget: Option<f64>,
}

impl Progress {
    pub fn new(tasks: &[Task], at_once: &[Task], quiet: bool, plain: bool) -> Self {
        let items = |tasks: &[Task], load: &str| -> Vec<(String, Nanos)> {
            let of = |task: &Task| task.workloads.iter().map(|item| (key(&task.device.id, &item.id, load), item.target)).collect();
            tasks.iter().flat_map(|task| -> Vec<_> { of(task) }).collect()
        };
        let (alone, together) = (items(tasks, ALONE), items(at_once, TOGETHER));
        let total = alone.len() + together.len();
        let terminal = std::io::stderr().is_terminal() && !plain;
        let at_once_take = at_once.iter().map(|task| spent(&task.workloads)).fold(0.0, f64::max);
        let progress = Self {
            bar: (terminal && !quiet).then(|| bar(total)),
            lines: !terminal && !quiet,
            begin: Instant::now(),
            targets: alone.into_iter().chain(together).collect(),
            devices_at_once: at_once.len().max(1),
            done: 0,
            total,
            measured: 0.0,
            budget: tasks
                .iter()
                .map(|task| task.suite.budget.map(Nanos::seconds))
                .sum::<Option<f64>>()
                .map(|all| all + at_once_take),
        };
        progress.announce(tasks, at_once);
        progress
    }

    /// What will be spent, said before it is.
    fn announce(&self, tasks: &[Task], at_once: &[Task]) {
        let Some(suite) = tasks.first().map(|task| task.suite) else { return };
        let names: Vec<_> = tasks.iter().map(|task| format!("{} ({})", task.device.id, task.device.model)).collect();
        self.say(&format!("{} suite: {} workloads on {}, about {}", suite.name, self.total, names.join(", "), self.left()));
        for task in tasks {
            let (sustained, bursts): (Vec<_>, Vec<_>) = task.workloads.iter().partition(|item| item.sustained);
            let each = |items: &[&Item], what: &str| {
                items.first().map(|item| format!("{} {what} of {}", items.len(), in_words(item.target.seconds())))
            };
            let parts: Vec<_> = [each(&sustained, "sustained"), each(&bursts, "bursts")].into_iter().flatten().collect();
            let most = task.suite.budget.map(|budget| format!(", at most {}", in_words(budget.seconds()))).unwrap_or_default();
            self.say(&format!("  {}: {}{most}", task.device.id, parts.join(", ")));
        }
        if let Some(first) = at_once.first() {
            let (count, each) = (first.workloads.len(), in_words(first.suite.sustained.seconds()));
            self.say(&format!("  then together on {} devices: {count} sustained of {each}", at_once.len()));
        }
    }

    pub fn begin(&mut self, workload: &Workload) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{}  {} left", workload.id, self.left()));
        }
    }

    /// Said at once: whoever watches a soak need not wait for its end.
    pub fn fell(&self, device: &str, workload: &Workload, decline: &Decline) {
        self.say(&format!("{device} {}: {}", workload.id, report::fell(decline)));
    }

    pub fn entry(&mut self, entry: &Entry) {
        // A second entry of a workload is that of the kernel that ours took turns with.
        let load = if entry.load == ALONE { ALONE } else { TOGETHER };
        let first = self.targets.remove(&key(&entry.device.id, &entry.workload.id, load)).is_some();
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
            None if self.lines => console::tell(line),
            None => {}
        }
    }

    /// Time that is left: the targets to come, and for each entry what the others needed beyond theirs; never past the suite's own.
    fn left(&self) -> String {
        let elapsed = self.begin.elapsed().as_secs_f64();
        let beyond = if self.done == 0 { SETUP } else { (elapsed - self.measured).max(0.0) / self.done as f64 };
        let share = |key: &str| if key.starts_with(TOGETHER) { 1.0 / self.devices_at_once as f64 } else { 1.0 };
        let each = self.targets.iter().map(|(key, target)| (target.seconds() + beyond) * share(key));
        // A sum of nothing would be a negative zero.
        let left = each.fold(0.0, |sum, one| sum + one);
        in_words(self.budget.map_or(left, |budget| left.min((budget - elapsed).max(0.0))).ceil())
    }
}

/// Seconds that workloads are given, and what they need beyond.
fn spent(items: &[Item]) -> f64 {
    items.iter().map(|item| item.target.seconds() + SETUP).sum()
}

fn in_words(seconds: f64) -> String {
    if seconds >= 90.0 { format!("{} min", (seconds / 60.0).ceil()) } else { format!("{} s", (seconds * 10.0).round() / 10.0) }
}

const ALONE: &str = "alone";
const TOGETHER: &str = "together";

fn key(device: &str, workload: &str, load: &str) -> String {
    format!("{load} {device} {workload}")
}

fn bar(total: usize) -> ProgressBar {
    let bar = ProgressBar::new(total as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:24} {pos}/{len}  {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
