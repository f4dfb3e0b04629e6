//! A thread that looks at the sensors while something is measured.
//!
//! It stops at once when told to, even when a driver hangs in a call: then its thread is left behind and the readings so far are
//! handed out. Memory is bounded, so that a soak of any length stays flat.

use crate::{
    contract::{Clock, Monotonic, Probe},
    record::Reading,
    units::Nanos,
};
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::Duration,
};

/// Readings kept at most. At ten a second that is all of nearly seven minutes, then every second one, and so on.
const CAPACITY: usize = 4096;
/// How long a look may take after the end was called before its thread is given up.
const PATIENCE: Duration = Duration::from_secs(1);

/// Looks at a probe in the background until it is stopped or dropped.
pub struct Sampler {
    /// Dropping it tells the thread to end.
    stop: Option<Sender<()>>,
    ended: Receiver<()>,
    history: Arc<Mutex<History>>,
    source: &'static str,
}

impl Sampler {
    /// The customary time between two looks: ten a second.
    pub const PERIOD: Nanos = Nanos(100_000_000);

    /// Starts to look, at once and then every `period` ([`Sampler::PERIOD`] is the customary one). Readings carry the time at
    /// which their look began, on `clock`, which must run with real time.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(mut probe: Box<dyn Probe>, clock: &dyn Clock, period: Nanos) -> std::io::Result<Self> {
        let (stop, stopped) = mpsc::channel::<()>();
        let (ending, ended) = mpsc::channel();
        let history = Arc::new(Mutex::new(History::new(CAPACITY)));
        let source = probe.source();
        let shared = Arc::clone(&history);
        // A clock need not be one that threads can share; any two monotonic clocks differ by a constant.
        let (origin, elapsed) = (clock.now(), Monotonic::default());
        thread::Builder::new().name("telemetry".into()).spawn(move || {
            let _ending = ending; // dropped, hence heard, however this thread ends
            loop {
                let begin = elapsed.now();
                let reading = probe.read(origin + begin);
                lock(&shared).push(reading);
                let rest = period.since(elapsed.now().since(begin)).into();
                if stopped.recv_timeout(rest) != Err(RecvTimeoutError::Timeout) {
                    break;
                }
            }
        })?;
        Ok(Self { stop: Some(stop), ended, history, source })
    }

    /// Where the readings come from.
    #[must_use]
    pub fn source(&self) -> &'static str {
        self.source
    }

    /// The readings of a stretch of time, both ends included.
    #[must_use]
    pub fn between(&self, begin: Nanos, end: Nanos) -> Vec<Reading> {
        let history = lock(&self.history);
        history.kept.iter().filter(|reading| (begin..=end).contains(&reading.at)).cloned().collect()
    }

    /// Ends the looking and hands out every reading that was kept.
    #[must_use]
    pub fn stop(mut self) -> Vec<Reading> {
        self.end();
        std::mem::take(&mut lock(&self.history).kept)
    }

    fn end(&mut self) {
        if self.stop.take().is_some() {
            // A thread that does not answer sits in a driver's call: nobody can end it but the process.
            let _ = self.ended.recv_timeout(PATIENCE);
        }
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.end();
    }
}

/// A probe that panicked leaves readings that are whole: a push is the only change made under the lock.
fn lock(history: &Mutex<History>) -> MutexGuard<'_, History> {
    history.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Readings of bounded number: when full, every second one is let go, and from then on only every second one is kept.
struct History {
    kept: Vec<Reading>,
    capacity: usize,
    /// One in so many readings is kept.
    stride: u64,
    seen: u64,
}

impl History {
    fn new(capacity: usize) -> Self {
        Self { kept: Vec::new(), capacity, stride: 1, seen: 0 }
    }

    fn push(&mut self, reading: Reading) {
        let keep = self.seen.is_multiple_of(self.stride);
        self.seen += 1;
        if !keep {
            merge_limits(self.kept.last_mut(), reading.limits);
            return;
        }
        if self.kept.len() == self.capacity {
            self.halve();
        }
        self.kept.push(reading);
    }

    fn halve(&mut self) {
        let mut halved: Vec<Reading> = Vec::with_capacity(self.capacity);
        for (place, reading) in self.kept.drain(..).enumerate() {
            if place % 2 == 0 {
                halved.push(reading);
            } else {
                merge_limits(halved.last_mut(), reading.limits);
            }
        }
        self.kept = halved;
        self.stride *= 2;
    }
}

/// A reason that held the clock down is never forgotten: the reading before takes over those of one that is let go.
fn merge_limits(into: Option<&mut Reading>, limits: Option<BTreeSet<String>>) {
    if let (Some(reading), Some(limits)) = (into, limits) {
        reading.limits.get_or_insert_default().extend(limits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    /// Counts its looks in the clock's field and takes `takes` for each.
    struct Counting {
        looks: u32,
        takes: Duration,
    }

    impl Probe for Counting {
        fn source(&self) -> &'static str {
            "counting"
        }

        fn read(&mut self, at: Nanos) -> Reading {
            self.looks += 1;
            thread::sleep(if self.looks > 1 { self.takes } else { Duration::ZERO });
            Reading { at, memory_used_bytes: Some(u64::from(self.looks)), ..Reading::default() }
        }
    }

    fn sampler(takes: Duration, period: Nanos) -> Sampler {
        let probe = Box::new(Counting { looks: 0, takes });
        Sampler::start(probe, &Monotonic::default(), period).expect("a thread")
    }

    #[test]
    fn readings_come_in_order_and_time() {
        let sampler = sampler(Duration::ZERO, Nanos(2_000_000));
        thread::sleep(Duration::from_millis(60));
        assert_eq!(sampler.source(), "counting");
        assert!(!sampler.between(Nanos(0), Nanos(u64::MAX)).is_empty());
        assert!(sampler.between(Nanos(u64::MAX), Nanos(u64::MAX)).is_empty());
        let readings = sampler.stop();
        assert!(readings.len() >= 3, "{} readings", readings.len());
        assert!(readings.windows(2).all(|pair| pair[0].at + Nanos(1_900_000) <= pair[1].at));
    }

    #[test]
    fn a_long_period_ends_at_once() {
        let sampler = sampler(Duration::ZERO, Nanos::from_seconds(3600.0));
        thread::sleep(Duration::from_millis(20));
        let begin = Instant::now();
        assert_eq!(sampler.stop().len(), 1);
        assert!(begin.elapsed() < Duration::from_millis(500));
    }

    #[test]
    fn a_hanging_driver_costs_a_second_and_no_reading() {
        let sampler = sampler(Duration::from_secs(20), Nanos(1_000_000));
        thread::sleep(Duration::from_millis(20));
        let begin = Instant::now();
        assert_eq!(sampler.stop().len(), 1);
        assert!(begin.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn memory_stays_flat_and_no_reason_is_lost() {
        let mut history = History::new(16);
        for at in 0..10_000_u64 {
            let limits = if at == 7_777 { BTreeSet::from(["sw_power_cap".to_owned()]) } else { BTreeSet::new() };
            history.push(Reading { at: Nanos(at), limits: Some(limits), ..Reading::default() });
        }
        assert!((8..=16).contains(&history.kept.len()), "{} kept", history.kept.len());
        assert_eq!(history.kept[0].at, Nanos(0));
        let gaps: BTreeSet<u64> = history.kept.windows(2).map(|pair| pair[1].at.since(pair[0].at).0).collect();
        assert_eq!(gaps.len(), 1, "evenly spaced: {gaps:?}");
        let limited = history.kept.iter().filter(|reading| reading.limits.as_ref().is_some_and(|set| !set.is_empty()));
        assert_eq!(limited.count(), 1);
    }
}
