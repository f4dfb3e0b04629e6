//! Gauges that are read on a thread of their own, so that a driver that does not answer delays nobody.

use crate::record::{Absence, Vital, Vitals};
use std::{
    collections::BTreeSet,
    sync::mpsc::{self, Receiver, Sender},
    thread,
    time::{Duration, Instant},
};

/// How much is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pace {
    /// What is cheap and changes.
    Often,
    /// Everything.
    All,
}

/// Where values come from, one by one.
pub trait Gauges: Send {
    /// Every name that [`Gauges::read`] tells.
    fn names(&self, pace: Pace) -> BTreeSet<&'static str>;

    /// Reads all of a pace; a value that is not there is told as absent.
    fn read(&mut self, pace: Pace, tell: &mut dyn FnMut(&'static str, Vital));
}

/// What the thread says: a value of a look, or that the look is over.
type Said = (u64, Option<(&'static str, Vital)>);

/// Reads gauges within a deadline.
pub struct Monitor {
    wanted: Sender<(u64, Pace)>,
    said: Receiver<Said>,
    often: BTreeSet<&'static str>,
    all: BTreeSet<&'static str>,
    looks: u64,
}

impl Monitor {
    /// # Errors
    /// When the system gives no thread.
    pub fn new(mut gauges: Box<dyn Gauges>) -> std::io::Result<Self> {
        let (wanted, looks) = mpsc::channel::<(u64, Pace)>();
        let (tell, said) = mpsc::channel::<Said>();
        let (often, all) = (gauges.names(Pace::Often), gauges.names(Pace::All));
        thread::Builder::new().name("gauges".into()).spawn(move || {
            for (look, pace) in looks {
                gauges.read(pace, &mut |name, value| drop(tell.send((look, Some((name, value))))));
                if tell.send((look, None)).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self { wanted, said, often, all, looks: 0 })
    }

    /// Every value of a pace. What was not told `within` the time is told as timed out: nothing waits for a driver that hangs, and what
    /// it says of an earlier look is not taken for this one.
    pub fn read(&mut self, pace: Pace, within: Duration) -> Vitals {
        self.looks += 1;
        let names = if pace == Pace::All { &self.all } else { &self.often };
        let missing = Vital::Absent { absent: Absence::TimedOut };
        let mut vitals: Vitals = names.iter().map(|name| ((*name).to_owned(), missing.clone())).collect();
        if self.wanted.send((self.looks, pace)).is_err() {
            return vitals;
        }
        let deadline = Instant::now() + within;
        while let Ok((look, said)) = self.said.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            match said {
                _ if look != self.looks => {}
                Some((name, value)) => drop(vitals.insert(name.to_owned(), value)),
                None => break,
            }
        }
        vitals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two values; the second takes its time at the looks that are named.
    struct Slow {
        look: u64,
        slow: u64,
    }

    impl Gauges for Slow {
        fn names(&self, pace: Pace) -> BTreeSet<&'static str> {
            if pace == Pace::All { BTreeSet::from(["a", "b", "c"]) } else { BTreeSet::from(["a", "b"]) }
        }

        fn read(&mut self, pace: Pace, tell: &mut dyn FnMut(&'static str, Vital)) {
            self.look += 1;
            tell("a", Vital::Number(self.look as f64));
            if self.look == self.slow {
                thread::sleep(Duration::from_millis(300));
            }
            tell("b", Vital::Number(self.look as f64));
            if pace == Pace::All {
                tell("c", Vital::Text("x".into()));
            }
        }
    }

    const TIMED_OUT: Option<Absence> = Some(Absence::TimedOut);

    #[test]
    fn what_hangs_is_timed_out_and_what_came_before_is_kept() {
        let mut monitor = Monitor::new(Box::new(Slow { look: 0, slow: 2 })).expect("a thread");
        let within = Duration::from_millis(100);
        let first = monitor.read(Pace::Often, within);
        assert_eq!((first["a"].number(), first["b"].number(), first.len()), (Some(1.0), Some(1.0), 2));
        let second = monitor.read(Pace::Often, within);
        assert_eq!((second["a"].number(), second["b"].absence()), (Some(2.0), TIMED_OUT));
        let third = monitor.read(Pace::Often, Duration::ZERO);
        assert_eq!((third["a"].absence(), third["b"].absence()), (TIMED_OUT, TIMED_OUT));
        thread::sleep(Duration::from_millis(400));
        let fourth = monitor.read(Pace::All, Duration::from_secs(5));
        assert_eq!((fourth["a"].number(), fourth["b"].number(), fourth.len()), (Some(4.0), Some(4.0), 3));
    }
}
