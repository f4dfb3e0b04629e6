//! Threads pinned one to a core, and the launches that they make together.

use crate::{
    contract::{Clock, Fault, Monotonic, Span},
    units::Nanos,
};
use core_affinity::CoreId;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// Looks at the barrier before the core is offered to somebody else: about 20 µs.
const SPINS: u32 = 20_000;

/// One thread a core.
pub struct Pool {
    pub threads: ThreadPool,
    pub clock: Monotonic,
}

impl Pool {
    /// # Errors
    /// When the system gives no threads.
    pub fn new(cores: Vec<CoreId>) -> Result<Self, Fault> {
        let threads = ThreadPoolBuilder::new()
            .num_threads(cores.len())
            .thread_name(|index| format!("cpu-{index}"))
            .start_handler(move |index| {
                // A core that may not be had leaves the thread where the system puts it.
                core_affinity::set_for_current(cores[index % cores.len()]);
            })
            .build()
            .map_err(|error| Fault::failed("starting threads", error))?;
        Ok(Self { threads, clock: Monotonic::default() })
    }

    #[must_use]
    pub fn size(&self) -> usize {
        self.threads.current_num_threads()
    }

    /// Every thread does its part once.
    pub fn each<P: Send>(&self, parts: Vec<P>, work: impl Fn(&mut P) + Sync) {
        let parts: Vec<Mutex<P>> = parts.into_iter().map(Mutex::new).collect();
        self.threads.broadcast(|context| {
            if let Some(part) = parts.get(context.index()) {
                work(&mut part.lock().unwrap_or_else(PoisonError::into_inner));
            }
        });
    }

    /// `launches` launches back to back: every thread does its part of each, and a launch ends when the last has. The first thread
    /// takes the time, at the barrier that ends one launch and begins the next.
    pub fn launch<P: Send>(&self, parts: Vec<P>, launches: u32, work: impl Fn(&mut P) + Sync) -> Vec<Span> {
        let barrier = Barrier::new(parts.len());
        let parts: Vec<Mutex<P>> = parts.into_iter().map(Mutex::new).collect();
        let times = self.threads.broadcast(|context| {
            let mut part = parts.get(context.index())?.lock().unwrap_or_else(PoisonError::into_inner);
            let mut times = Vec::with_capacity(if context.index() == 0 { launches as usize + 1 } else { 0 });
            barrier.wait();
            if context.index() == 0 {
                times.push(self.clock.now());
            }
            for _ in 0..launches {
                work(&mut part);
                barrier.wait();
                if context.index() == 0 {
                    times.push(self.clock.now());
                }
            }
            Some(times)
        });
        let times = times.into_iter().next().flatten().unwrap_or_default();
        times.windows(2).map(|two| Span { begin: two[0], took: two[1].since(two[0]), launches: 1, intended: None }).collect()
    }
}

/// The smallest difference that the clock tells.
#[must_use]
pub fn resolution(clock: &Monotonic) -> Nanos {
    let step = || {
        let begin = clock.now();
        std::iter::repeat_with(|| clock.now().since(begin)).find(|step| step.0 > 0).unwrap_or_default()
    };
    (0..100).map(|_| step()).min().unwrap_or_default()
}

/// A barrier that is waited at by looking, since a launch may be shorter than it takes to wake a thread.
struct Barrier {
    threads: usize,
    arrived: AtomicUsize,
    generation: AtomicUsize,
}

impl Barrier {
    fn new(threads: usize) -> Self {
        Self { threads, arrived: AtomicUsize::new(0), generation: AtomicUsize::new(0) }
    }

    fn wait(&self) {
        let generation = self.generation.load(Ordering::Acquire);
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == self.threads {
            self.arrived.store(0, Ordering::Relaxed);
            self.generation.fetch_add(1, Ordering::Release);
            return;
        }
        let mut looks = 0;
        while self.generation.load(Ordering::Acquire) == generation {
            looks += 1;
            if looks < SPINS {
                std::hint::spin_loop();
            } else {
                // More threads than cores that are free: whoever is awaited needs one.
                thread::yield_now();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(threads: usize) -> Pool {
        Pool::new((0..threads).map(|id| CoreId { id }).collect()).expect("threads")
    }

    #[test]
    fn every_part_is_done_in_every_launch() {
        for threads in [1, 2, 5] {
            let mut counts = vec![0_u32; threads];
            let spans = pool(threads).launch(counts.iter_mut().collect(), 100, |count| **count += 1);
            assert_eq!(counts, vec![100; threads], "more threads than cores must not hang");
            assert_eq!(spans.len(), 100);
            assert!(spans.windows(2).all(|two| two[0].end() == two[1].begin), "back to back");
        }
    }

    #[test]
    fn fewer_parts_than_threads_leave_the_others_out() {
        let mut counts = [0_u32; 1];
        assert_eq!(pool(2).launch(counts.iter_mut().collect(), 3, |count| **count += 1).len(), 3);
        pool(2).each(counts.iter_mut().collect(), |count| **count += 1);
        assert_eq!(counts, [4]);
    }

    #[test]
    fn a_launch_lasts_until_the_last_thread_is_done() {
        let spans = pool(2).launch(vec![0_u64, 5], 4, |millis| thread::sleep(std::time::Duration::from_millis(*millis)));
        // The second thread may be off before the first has looked at the clock, hence one launch less.
        let total: Nanos = spans.iter().map(|span| span.took).sum();
        assert!(total >= Nanos(15_000_000), "{spans:?}");
    }

    #[test]
    fn the_clock_tells_small_differences() {
        let resolution = resolution(&Monotonic::default());
        assert!(resolution.0 > 0 && resolution.0 < 100_000, "{resolution:?}");
    }
}
