//! An open loop: a launch is due each period, whether or not the one before is done.
//!
//! A closed loop asks for the next launch when the last has ended, so that it tells how long a launch takes and never how long one would
//! have waited (Tene's coordinated omission). Here each has an intended start that does not depend on the others; its response time
//! counts from there to the moment at which the host sees it end. Both are times of the host's clock: a device's own runs at another
//! pace.

use super::{
    policy,
    wait::{SHORT, Waiter},
};
use crate::{
    contract::{Fault, Prepared, Span},
    units::Nanos,
};

/// Close to the end of a launch, and of one whose length is not known, the device is looked at without a pause.
const NEAR: Nanos = Nanos(200_000);
const GLANCE: Nanos = Nanos(1_000);

/// When launches are due. Time in which the harness stands between two slices moves them all; a backlog is carried on.
#[derive(Debug, Default)]
pub struct Pacer {
    /// Intended start of the next launch, and when the slice before ended.
    next: Option<(Nanos, Nanos)>,
}

impl Pacer {
    /// Launches one by one, each when it is due or, where those before it are late, as soon as they have ended.
    ///
    /// # Errors
    /// As [`Waiter::launch`].
    pub fn launch(
        &mut self,
        period: Nanos,
        prepared: &mut dyn Prepared,
        (variant, launches): (usize, u32),
        expected: Nanos,
        waiter: &Waiter,
    ) -> Result<Vec<Span>, Fault> {
        let begin = waiter.now();
        let mut due = self.next.map_or(begin, |(due, ended)| due + begin.since(ended));
        let mut spans = Vec::with_capacity(launches as usize);
        waiter.on_behalf(variant, || {
            for _ in 0..launches {
                waiter.clock.wait_exactly_until(due);
                for span in one(prepared, variant, expected, waiter)? {
                    let begin = waiter.now().since(span.took);
                    spans.push(Span { begin, intended: Some(due), ..span });
                }
                due += period;
            }
            Ok(())
        })?;
        self.next = Some((due, waiter.now()));
        Ok(spans)
    }
}

/// One launch, seen to end as soon as it does.
fn one(prepared: &mut dyn Prepared, variant: usize, expected: Nanos, waiter: &Waiter) -> Result<Vec<Span>, Fault> {
    let begin = waiter.now();
    let most = policy::deadline(expected);
    prepared.start(variant, 1)?;
    if !prepared.finished()? {
        waiter.clock.wait_until(begin + expected.since(NEAR));
        while !prepared.finished()? {
            if waiter.now() > begin + most {
                return Err(Fault::Hung(most));
            }
            let now = waiter.now();
            let pause = if now > begin + expected + NEAR { SHORT } else { GLANCE };
            waiter.clock.wait_exactly_until(now + pause);
        }
    }
    prepared.spans()
}
