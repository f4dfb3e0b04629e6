//! All devices of the node at once: a worker for each, on threads of their own, and one gate that they start at.

use super::{
    News, Task,
    gate::{Gate, Pass},
    work_off,
};
use anyhow::{Result, anyhow};
use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::channel,
    },
    time::Instant,
};

/// One device's place at the gate.
pub struct Lane<'a> {
    gate: &'a Mutex<Gate>,
    index: usize,
    /// Devices that set out together.
    pub devices: usize,
}

impl Lane<'_> {
    fn gate(&self) -> MutexGuard<'_, Gate> {
        // What is changed under the lock is changed whole.
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn sets_out(&self) {
        self.gate().sets_out(self.index, Instant::now());
    }

    pub fn comes(&self) {
        self.gate().comes(self.index, Instant::now());
    }

    pub fn leaves(&self, workload: &str) {
        self.gate().leaves(self.index, workload, Instant::now());
    }

    pub fn pass(&self) -> Option<Pass> {
        self.gate().pass(self.index, Instant::now())
    }
}

/// Carries tasks out at once, one a device, each measurement from a common start; tells `news` of every step of any.
///
/// # Errors
/// Those of `news`, which end all of it, and when no worker can be started.
pub fn carry_out_together(
    tasks: &[Task],
    interrupted: &(dyn Fn() -> bool + Sync),
    news: &mut dyn FnMut(News) -> Result<()>,
) -> Result<()> {
    let ids = |task: &Task| task.workloads.iter().map(|item| item.id.clone()).collect();
    let gate = Mutex::new(Gate::new(tasks.iter().map(ids), Instant::now()));
    let ended = AtomicBool::new(false);
    let stop = || ended.load(Ordering::Relaxed) || interrupted();
    std::thread::scope(|scope| {
        let (tell, told) = channel();
        let threads: Vec<_> = tasks
            .iter()
            .enumerate()
            .map(|(index, task)| {
                let (tell, stop) = (tell.clone(), &stop);
                let lane = Lane { gate: &gate, index, devices: tasks.len() };
                scope.spawn(move || {
                    let mut pass_on = |news: News| tell.send(news).map_err(|_| anyhow!("nobody listens"));
                    let outcome = work_off(task, Some(&lane), stop, &mut pass_on);
                    // Whoever still waits at the gate need not wait for this one.
                    lane.gate().gives_up(index);
                    outcome
                })
            })
            .collect();
        drop(tell);
        let mut outcome = Ok(());
        for told in told {
            outcome = news(told);
            if outcome.is_err() {
                // The threads find out when they look whether to stop.
                ended.store(true, Ordering::Relaxed);
                break;
            }
        }
        let ends = threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err(anyhow!("a device's thread broke"))));
        outcome.and(ends.collect())
    })
}
