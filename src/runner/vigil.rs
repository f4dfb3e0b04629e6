//! How long a worker may be silent.

use std::time::{Duration, Instant};

/// A worker that runs is heard of every second; one that is not heard of for this long has been stopped.
const SILENT: Duration = Duration::from_secs(10);
/// A watcher that looks this late was stopped itself, and has missed nothing by its own fault.
const ASLEEP: Duration = Duration::from_secs(1);

/// What is known of a worker's silence. Every time is given, so that it can be tested.
pub struct Vigil {
    deadline: Instant,
    heard: Instant,
    looked: Instant,
}

impl Vigil {
    /// The worker's first step takes at most `within`.
    pub fn new(now: Instant, within: Duration) -> Self {
        Self { deadline: now + within, heard: now, looked: now }
    }

    /// The worker's next step takes at most `within`.
    pub fn expect(&mut self, now: Instant, within: Duration) {
        self.deadline = now + within;
    }

    /// The watcher looked, and heard the worker or not. Time in which the watcher itself was stopped, as a batch system or a debugger
    /// does with whole process trees, is not counted against the worker.
    pub fn look(&mut self, now: Instant, heard: bool) {
        let gap = now.saturating_duration_since(self.looked);
        if gap > ASLEEP {
            self.deadline += gap;
            self.heard += gap;
        }
        self.looked = now;
        if heard {
            self.heard = now;
        }
    }

    /// Why the worker is given up, or nothing while there is hope.
    pub fn lost(&self, now: Instant) -> Option<String> {
        if now >= self.deadline {
            Some("hung".into())
        } else if now.saturating_duration_since(self.heard) >= SILENT {
            Some(format!("gave no sign of life for {} s", SILENT.as_secs()))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK: Duration = Duration::from_millis(100);

    /// Looks every 100 ms for `time`; the worker is heard of each second if it `lives`.
    fn watch(vigil: &mut Vigil, from: Instant, time: Duration, lives: bool) -> Instant {
        let looks = u32::try_from(time.as_millis() / LOOK.as_millis()).expect("short");
        for look in 1..=looks {
            vigil.look(from + LOOK * look, lives && look % 10 == 0);
        }
        from + LOOK * looks
    }

    #[test]
    fn a_worker_that_shows_life_has_until_its_deadline() {
        let begin = Instant::now();
        let mut vigil = Vigil::new(begin, Duration::from_mins(1));
        let now = watch(&mut vigil, begin, Duration::from_secs(59), true);
        assert_eq!(vigil.lost(now), None);
        let now = watch(&mut vigil, now, Duration::from_secs(1), true);
        assert_eq!(vigil.lost(now).as_deref(), Some("hung"));
        vigil.expect(now, Duration::from_secs(5));
        assert_eq!(vigil.lost(now), None);
    }

    #[test]
    fn a_worker_that_is_stopped_is_given_up_after_ten_seconds() {
        let begin = Instant::now();
        let mut vigil = Vigil::new(begin, Duration::from_mins(1));
        let now = watch(&mut vigil, begin, Duration::from_millis(9_900), false);
        assert_eq!(vigil.lost(now), None);
        let now = watch(&mut vigil, now, LOOK, false);
        assert!(vigil.lost(now).is_some_and(|why| why.contains("10 s")));
    }

    #[test]
    fn a_watcher_that_was_stopped_itself_does_not_blame_the_worker() {
        let begin = Instant::now();
        let mut vigil = Vigil::new(begin, Duration::from_mins(1));
        let now = begin + Duration::from_hours(1);
        vigil.look(now, false);
        assert_eq!(vigil.lost(now), None);
        let now = watch(&mut vigil, now, Duration::from_secs(10), false);
        assert!(vigil.lost(now).is_some());
    }
}
