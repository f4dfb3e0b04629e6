//! Waiting for a device with a deadline, without disturbing it.

use super::policy;
use crate::{
    contract::{Clock, Fault, Prepared, Span},
    units::Nanos,
};
use std::cell::Cell;

/// First and longest pause between two looks at the device.
pub const SHORT: Nanos = Nanos(20_000);
const LONG: Nanos = Nanos(1_000_000);

/// Starts launches and sees them end.
pub struct Waiter<'a> {
    pub clock: &'a dyn Clock,
    /// Told of the variant that is about to be launched, and of nothing once its launches have ended.
    told: &'a dyn Fn(Option<usize>),
    /// The variant of which a launch is under way, or failed.
    launching: Cell<Option<usize>>,
}

impl<'a> Waiter<'a> {
    #[must_use]
    pub fn new(clock: &'a dyn Clock, told: &'a dyn Fn(Option<usize>)) -> Self {
        Self { clock, told, launching: Cell::new(None) }
    }

    /// The variant whose launch did not end well; nothing where it was the harness's own work.
    #[must_use]
    pub fn launching(&self) -> Option<usize> {
        self.launching.get()
    }

    #[must_use]
    pub fn now(&self) -> Nanos {
        self.clock.now()
    }

    /// Does what launches a variant. Of work that does not finish it stays known whose it is: what is tidied up behind it may hang, too.
    ///
    /// # Errors
    /// Those of the work.
    pub fn on_behalf<T>(&self, variant: usize, work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
        self.launching.set(Some(variant));
        (self.told)(Some(variant));
        let done = work();
        if done.is_ok() {
            self.launching.set(None);
        }
        if !matches!(done, Err(Fault::Hung(_))) {
            (self.told)(None);
        }
        done
    }

    /// Launches and waits; `launch` is what one launch is expected to take.
    ///
    /// # Errors
    /// [`Fault::Hung`] past the deadline, and whatever the device says.
    pub fn launch(
        &self,
        prepared: &mut dyn Prepared,
        variant: usize,
        launches: u32,
        launch: Option<Nanos>,
    ) -> Result<Vec<Span>, Fault> {
        self.on_behalf(variant, || self.launched(prepared, variant, launches, launch))
    }

    fn launched(
        &self,
        prepared: &mut dyn Prepared,
        variant: usize,
        launches: u32,
        launch: Option<Nanos>,
    ) -> Result<Vec<Span>, Fault> {
        let expected = Nanos(launch.unwrap_or_default().0.saturating_mul(u64::from(launches)));
        let deadline = self.now() + policy::deadline(expected);
        prepared.start(variant, launches)?;
        let mut pause = SHORT;
        while !prepared.finished()? {
            let now = self.now();
            if now > deadline {
                return Err(Fault::Hung(policy::deadline(expected)));
            }
            self.clock.wait_until(now + pause);
            pause = Nanos((pause.0 * 2).min(LONG.0));
        }
        let spans = prepared.spans()?;
        let told: u64 = spans.iter().map(|span| u64::from(span.launches)).sum();
        if told != u64::from(launches) {
            return Err(Fault::failed("timing", format!("{launches} launches were made, {told} were seen to end")));
        }
        Ok(spans)
    }
}
