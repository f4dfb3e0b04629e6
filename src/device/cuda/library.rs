//! A vendor's library at work on a product: its algorithms are timed, the fastest is kept, named and launched.

use super::{
    graph::record,
    launch::{event, idle},
    timing::elapsed,
};
use crate::contract::Fault;
use cudarc::driver::{CudaContext, CudaEvent, CudaStream};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Of the algorithms that are offered, this many are timed however long they take.
const TIMED: usize = 16;
/// The best so many are timed again.
const FINALISTS: usize = 4;
/// Beyond the first [`TIMED`] no further algorithm is begun once so much time has gone by.
const BUDGET: Duration = Duration::from_secs(2);
/// A span should last this long, so that events tell it well.
const SPAN_NANOSECONDS: f64 = 200_000.0;
const MOST_REPETITIONS: u32 = 16;
/// The most that an algorithm may use beside the matrices, and the part of the device's memory that it may be.
const WORKSPACE_BYTES: u64 = 64 << 20;
const WORKSPACE_PART: u64 = 64;
/// An algorithm that runs longer hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// The most that an algorithm may use beside the matrices, on a device of so much memory.
#[must_use]
pub fn workspace_of(memory: u64) -> u64 {
    WORKSPACE_BYTES.min(memory / WORKSPACE_PART)
}

/// What a library has for a product: algorithms by number. Addresses are those of the buffers, in the library's order.
pub trait Offer {
    /// Name and version.
    fn library(&self) -> String;
    fn algorithms(&self) -> usize;
    /// What tells an algorithm from the others.
    fn name(&self, algorithm: usize) -> String;
    /// Allocates what the algorithms need beside the matrices.
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`].
    fn make_room(&mut self, addresses: [u64; 3]) -> Result<(), Fault>;
    /// Enqueues what an algorithm must have done once whenever the inputs were written.
    ///
    /// # Errors
    /// [`Fault`] with the library's words.
    fn digest(&self, _algorithm: usize, _addresses: [u64; 3], _stream: &CudaStream) -> Result<(), Fault> {
        Ok(())
    }
    /// # Errors
    /// [`Fault`] with the library's words.
    fn enqueue(&self, algorithm: usize, addresses: [u64; 3], stream: &CudaStream) -> Result<(), Fault>;
}

/// A plan's product by a library.
pub struct Library {
    offer: Box<dyn Offer>,
    /// The plan's buffers, in the library's order.
    buffers: [usize; 3],
    addresses: [u64; 3],
    chosen: usize,
    /// Algorithms that were timed.
    timed: usize,
}

impl Library {
    #[must_use]
    pub fn new(offer: Box<dyn Offer>, buffers: [usize; 3]) -> Self {
        Self { offer, buffers, addresses: [0; 3], chosen: 0, timed: 0 }
    }

    /// Gives it the buffers, and the memory that its algorithms work in.
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`].
    pub fn bind(&mut self, address: impl Fn(usize) -> u64) -> Result<(), Fault> {
        self.addresses = self.buffers.map(address);
        self.offer.make_room(self.addresses)
    }

    /// Enqueues what must be done once whenever the inputs were written.
    ///
    /// # Errors
    /// [`Fault`] with the library's words.
    pub fn digest(&self, stream: &CudaStream) -> Result<(), Fault> {
        self.offer.digest(self.chosen, self.addresses, stream)
    }

    /// # Errors
    /// [`Fault`] with the library's words.
    pub fn enqueue(&self, stream: &CudaStream) -> Result<(), Fault> {
        self.offer.enqueue(self.chosen, self.addresses, stream)
    }

    /// Version, algorithm, and out of how many it is the fastest.
    #[must_use]
    pub fn identity(&self) -> String {
        format!("{}, {}, best of {} timed", self.offer.library(), self.offer.name(self.chosen), self.timed)
    }

    /// Times the algorithms on the inputs as they are, and keeps the fastest. The measurement that follows takes samples of its own.
    ///
    /// # Errors
    /// [`Fault`] when none of them runs, or the device is lost.
    pub fn choose(&mut self, context: &Arc<CudaContext>, stream: &CudaStream) -> Result<(), Fault> {
        let begin = Instant::now();
        let watch = Stopwatch { begin: event(context)?, end: event(context)? };
        let mut found: Vec<(f64, usize)> = Vec::new();
        let mut refused = None;
        for index in 0..self.offer.algorithms() {
            if self.timed >= TIMED && begin.elapsed() > BUDGET {
                break;
            }
            // The first launch of an algorithm loads it.
            let digested = self.offer.digest(index, self.addresses, stream);
            let loaded = digested.and_then(|()| self.time(index, 1, &watch, stream));
            match loaded.and_then(|_| self.time(index, 1, &watch, stream)) {
                Ok(time) => found.push((time, index)),
                Err(fault) if fault.is_final() => return Err(fault),
                Err(fault) => refused = Some(fault),
            }
            self.timed = found.len();
        }
        found.sort_by(|a, b| a.0.total_cmp(&b.0));
        found.truncate(FINALISTS);
        let Some((fastest, _)) = found.first().copied() else {
            return Err(
                refused.unwrap_or_else(|| Fault::failed(format!("multiplying by {}", self.offer.library()), "no algorithm runs"))
            );
        };
        let repetitions = ((SPAN_NANOSECONDS / fastest.max(1.0)) as u32).clamp(1, MOST_REPETITIONS);
        for _ in 0..2 {
            for (best, index) in &mut found {
                self.offer.digest(*index, self.addresses, stream)?;
                *best = best.min(self.time(*index, repetitions, &watch, stream)?);
            }
        }
        self.chosen = found.iter().min_by(|a, b| a.0.total_cmp(&b.0)).map_or(0, |(_, index)| *index);
        self.digest(stream)
    }

    /// Nanoseconds of a launch by a proposal.
    fn time(&self, index: usize, repetitions: u32, watch: &Stopwatch, stream: &CudaStream) -> Result<f64, Fault> {
        record(&watch.begin, stream)?;
        for _ in 0..repetitions {
            self.offer.enqueue(index, self.addresses, stream)?;
        }
        record(&watch.end, stream)?;
        let begin = Instant::now();
        while !idle(stream)? {
            if begin.elapsed() > PATIENCE {
                return Err(Fault::Hung(PATIENCE.into()));
            }
            std::thread::sleep(Duration::from_micros(50));
        }
        elapsed(&watch.begin, &watch.end).map(|nanoseconds| nanoseconds / f64::from(repetitions))
    }
}

struct Stopwatch {
    begin: CudaEvent,
    end: CudaEvent,
}
