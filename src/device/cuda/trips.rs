//! Time by the host's clock, a launch at a time: from before it is asked for until it is seen to have ended.
//!
//! The host looks without a pause, as a program does that cannot go on before it has an answer.

use super::launch::idle;
use crate::{
    contract::{Fault, Span, Timer},
    units::Nanos,
};
use cudarc::driver::CudaStream;
use std::time::{Duration, Instant};

/// A launch that takes this long hangs.
const PATIENCE: Duration = Duration::from_secs(30);
/// Empty spans by which overhead and resolution are measured.
const EMPTY: usize = 64;

/// Round trips on one stream.
pub struct Trips {
    /// A time of the host's clock, and what it is on the machine's.
    origin: (Instant, Nanos),
    spans: Vec<Span>,
    timer: Timer,
}

impl Trips {
    /// The stream is idle; `now` is the time of the machine's clock.
    ///
    /// # Errors
    /// [`Fault`] with the driver's words.
    pub fn new(stream: &CudaStream, now: Nanos) -> Result<Self, Fault> {
        let mut trips = Self {
            origin: (Instant::now(), now),
            spans: Vec::new(),
            timer: Timer { name: "host monotonic clock", resolution: step(), overhead: None, gated: false },
        };
        for _ in 0..EMPTY {
            trips.make(stream, || Ok(()))?;
        }
        trips.timer.overhead = trips.spans.drain(..).map(|span| span.took).min();
        Ok(trips)
    }

    /// What the host's clock tells, as measured when this was made.
    pub fn timer(&self) -> Timer {
        self.timer
    }

    /// Launches, and sees the launch end.
    ///
    /// # Errors
    /// [`Fault::Hung`], [`Fault`] of the launch, or with the driver's words.
    pub fn make(&mut self, stream: &CudaStream, launch: impl FnOnce() -> Result<(), Fault>) -> Result<(), Fault> {
        let begin = Instant::now();
        launch()?;
        while !idle(stream)? {
            if begin.elapsed() > PATIENCE {
                return Err(Fault::Hung(PATIENCE.into()));
            }
            std::hint::spin_loop();
        }
        let took = begin.elapsed();
        let (origin, at) = self.origin;
        self.spans.push(Span { begin: at + begin.duration_since(origin).into(), took: took.into(), launches: 1, intended: None });
        Ok(())
    }

    /// Spans since the last call.
    pub fn take(&mut self) -> Vec<Span> {
        std::mem::take(&mut self.spans)
    }
}

/// The smallest step of the clock that was seen.
fn step() -> Nanos {
    let next = |_| {
        let begin = Instant::now();
        loop {
            let passed = begin.elapsed();
            if passed > Duration::ZERO {
                return Nanos::from(passed);
            }
        }
    };
    (0..EMPTY).map(next).min().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_goes_on_in_steps_far_shorter_than_a_launch() {
        assert!((Nanos(1)..Nanos(1_000_000)).contains(&step()), "{}", step());
    }
}
