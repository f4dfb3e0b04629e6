//! Time by device events: an interval for each launch that is long enough to bear it, else one for the whole batch.
//!
//! Every begin is measured from the event before it, not from one origin, because the driver tells differences in single precision:
//! over long runs a common origin would cost microseconds.

use super::{
    gate::Gate,
    graph::record,
    launch::{event, fault},
};
use crate::{
    contract::{Fault, Span, Timer},
    units::Nanos,
};
use cudarc::driver::{CudaContext, CudaEvent, CudaStream};
use std::{rc::Rc, sync::Arc};

/// Launches shorter than this are timed together: two event records cost about a microsecond of device time.
pub const ALONE: Nanos = Nanos(100_000);
/// The driver's statement for differences of events (CUDA driver API, cuEventElapsedTime), where no smaller one was seen.
const RESOLUTION: Nanos = Nanos(500);
/// Empty spans by which overhead and resolution are measured.
const EMPTY: usize = 64;

/// A batch of launches under way.
struct Batch {
    variant: usize,
    launches: u32,
    apart: bool,
}

/// Events of one stream.
pub struct Timing {
    context: Arc<CudaContext>,
    /// Begin and end of each interval; grows before a batch begins, never during one.
    pairs: Vec<(CudaEvent, CudaEvent)>,
    /// An event whose time is known.
    anchor: CudaEvent,
    anchor_at: f64,
    /// Mean length of a variant's launch, when it is known.
    expected: Vec<Option<Nanos>>,
    batch: Option<Batch>,
    spans: Vec<Span>,
    timer: Timer,
    gate: Rc<Gate>,
}

impl Timing {
    /// The stream is idle; `now` is the time of the machine's clock. Batches begin behind the gate where they are `gated`.
    ///
    /// # Errors
    /// [`Fault`] with the driver's words.
    pub fn new(stream: &CudaStream, variants: usize, now: Nanos, gate: Rc<Gate>, gated: bool) -> Result<Self, Fault> {
        let context = stream.context();
        let anchor = event(context)?;
        record(&anchor, stream)?;
        anchor.synchronize().map_err(|error| fault("waiting for an event", error))?;
        let timer = measured(stream, &gate)?;
        Ok(Self {
            timer: Timer { gated, ..timer },
            gate,
            context: context.clone(),
            pairs: Vec::new(),
            anchor,
            anchor_at: now.0 as f64,
            expected: vec![None; variants],
            batch: None,
            spans: Vec::new(),
        })
    }

    /// What the events of this stream tell, as measured when it was made.
    pub fn timer(&self) -> Timer {
        Timer { gated: self.timer.gated && self.gate.holds(), ..self.timer }
    }

    /// Enqueues `launches`, as many at a time as `launch` is told, with events around them. The device begins once `head` of them are
    /// enqueued; but at once with what never ran, whose code may still have to be loaded, for which the host waits for the device.
    ///
    /// # Errors
    /// [`Fault`] of the launch, or when a batch is still under way.
    pub fn batch(
        &mut self,
        stream: &CudaStream,
        variant: usize,
        launches: u32,
        head: u32,
        launch: impl FnMut(u32) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if self.batch.is_some() {
            return Err(Fault::failed("launching", "the launches before were not waited for"));
        }
        let apart = launches == 1 || apart(self.expected[variant]);
        let intervals = if apart { launches as usize } else { 1 };
        while self.pairs.len() < intervals {
            self.pairs.push((event(&self.context)?, event(&self.context)?));
        }
        if self.timer.gated && self.expected[variant].is_some() {
            self.gate.close(stream)?;
        }
        let enqueued = self.enqueue(stream, intervals, if apart { 1 } else { launches }, head, launch);
        // Also where a launch was refused.
        self.gate.open();
        enqueued?;
        self.batch = Some(Batch { variant, launches, apart });
        Ok(())
    }

    /// So many intervals of so many launches.
    fn enqueue(
        &self,
        stream: &CudaStream,
        intervals: usize,
        launches: u32,
        head: u32,
        mut launch: impl FnMut(u32) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        for (begin, end) in &self.pairs[..intervals] {
            record(begin, stream)?;
            launch(launches.min(head))?;
            if launches > head {
                self.gate.open();
                launch(launches - head)?;
            }
            record(end, stream)?;
            self.gate.open();
        }
        Ok(())
    }

    /// Whether launches of a variant are known to be so short that they are timed together.
    pub fn are_short(&self, variant: usize) -> bool {
        self.expected.get(variant).is_some_and(|expected| !apart(*expected))
    }

    /// Whether the batch under way is done; takes its times when it is.
    ///
    /// # Errors
    /// [`Fault`] when its work failed.
    pub fn finished(&mut self) -> Result<bool, Fault> {
        let Some(Batch { variant, launches, apart }) = self.batch else { return Ok(true) };
        let intervals = if apart { launches as usize } else { 1 };
        let done = self.pairs[intervals - 1].1.try_is_complete().map_err(|error| fault("running a kernel", error))?;
        if !done {
            return Ok(false);
        }
        self.batch = None;
        self.gate.look();
        let mut total = 0.0;
        for index in 0..intervals {
            let (begin, end) = &self.pairs[index];
            let begin_at = self.anchor_at + elapsed(&self.anchor, begin)?;
            let took = elapsed(begin, end)?;
            total += took;
            self.anchor_at = begin_at + took;
            std::mem::swap(&mut self.anchor, &mut self.pairs[index].1);
            self.spans.push(Span {
                begin: Nanos(begin_at as u64),
                took: Nanos(took as u64),
                launches: if apart { 1 } else { launches },
                intended: None,
            });
        }
        self.expected[variant] = Some(Nanos((total / f64::from(launches)) as u64));
        Ok(true)
    }

    /// Spans since the last call.
    pub fn take(&mut self) -> Vec<Span> {
        std::mem::take(&mut self.spans)
    }
}

/// The timer that events are: the shortest and the smallest step of spans in which nothing is done. They are enqueued behind the gate, so
/// that the device passes them as fast as it can; where it is not held back, the shortest is what an empty span is at the most.
fn measured(stream: &CudaStream, gate: &Gate) -> Result<Timer, Fault> {
    let events: Vec<CudaEvent> = (0..EMPTY).map(|_| event(stream.context())).collect::<Result<_, _>>()?;
    gate.close(stream)?;
    let recorded = events.iter().try_for_each(|event| record(event, stream));
    gate.open();
    recorded?;
    if let Some(last) = events.last() {
        last.synchronize().map_err(|error| fault("waiting for an event", error))?;
    }
    gate.look();
    let mut empty: Vec<f64> = events.windows(2).map(|pair| elapsed(&pair[0], &pair[1])).collect::<Result<_, _>>()?;
    empty.sort_by(f64::total_cmp);
    Ok(Timer { name: "device events", resolution: step(&empty), overhead: Some(Nanos(empty[0].round() as u64)), gated: false })
}

/// The smallest step between times in ascending order, when it is below what the driver promises.
fn step(sorted: &[f64]) -> Nanos {
    // Single precision in milliseconds tells such times to far less than this.
    const NOISE: f64 = 1.0;
    let steps = sorted.windows(2).map(|pair| pair[1] - pair[0]).filter(|step| *step >= NOISE);
    Nanos(steps.fold(RESOLUTION.0 as f64, f64::min).round() as u64)
}

/// Whether launches of this length are timed each by itself.
fn apart(expected: Option<Nanos>) -> bool {
    expected.is_none_or(|length| length >= ALONE)
}

/// Nanoseconds between two events that have happened.
///
/// # Errors
/// [`Fault`] with the driver's words.
pub fn elapsed(begin: &CudaEvent, end: &CudaEvent) -> Result<f64, Fault> {
    begin.elapsed_ms(end).map(|milliseconds| f64::from(milliseconds) * 1e6).map_err(|error| fault("reading an event", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_step_is_the_resolution_unless_the_driver_promises_less() {
        assert_eq!(step(&[800.0, 800.0, 832.0, 928.0]), Nanos(32));
        assert_eq!(step(&[800.0, 800.000_06]), RESOLUTION, "a rounding is no step");
        assert_eq!(step(&[800.0, 4000.0]), RESOLUTION);
    }

    #[test]
    fn short_launches_are_timed_together_once_they_are_known() {
        assert!(apart(None), "an unknown length is measured first");
        assert!(apart(Some(ALONE)));
        assert!(!apart(Some(Nanos(ALONE.0 - 1))));
    }
}
