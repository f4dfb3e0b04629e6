//! What a backend, a telemetry source and time must offer, so that everything above them is the same for all.

use crate::{
    plan::{Fold, Pass, Plan, Variant},
    record::{Device, Reading},
    units::Nanos,
};
use std::time::Instant;
use thiserror::Error;

/// Why a plan cannot run on a machine: an answer, not a failure.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unsupported {
    #[error("needs {needed} bytes, {free} are free. Free memory, or choose a smaller footprint: --footprint 256MiB")]
    Memory { needed: u64, free: u64 },
    #[error("no {0} arithmetic here")]
    Precision(String),
    #[error("no kernel `{0}` for this backend")]
    Stem(String),
    /// A library without which it cannot be done.
    #[error("{0}")]
    Absent(String),
    #[error("{0}")]
    Other(String),
}

/// What broke while a plan ran.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    #[error("out of memory: {needed} bytes asked for{}", .free.map(|free| format!(", {free} free")).unwrap_or_default())]
    OutOfMemory { needed: u64, free: Option<u64> },
    #[error("the device was lost: {0}")]
    Lost(String),
    #[error("did not finish within {0}")]
    Hung(Nanos),
    #[error("{what}: {why}")]
    Failed { what: String, why: String },
}

impl Fault {
    /// Whether the machine can no longer be used by the process that met this.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Lost(_) | Self::Hung(_))
    }

    pub fn failed(what: impl Into<String>, why: impl std::fmt::Display) -> Self {
        Self::Failed { what: what.into(), why: why.to_string() }
    }
}

/// One backend opened on a set of devices.
pub trait Machine {
    /// The devices it is opened on, in the order that a plan's places count.
    fn devices(&self) -> &[Device];

    /// # Errors
    /// [`Unsupported`], with the figures that a person needs.
    fn supports(&self, plan: &Plan) -> Result<(), Unsupported>;

    /// Kernels that can carry the plan out, the preferred one first. Slow twins come last and are never chosen by default.
    fn variants(&self, plan: &Plan) -> Vec<Variant>;

    /// The vendor's own library as one more variant, to hold ours against, or why it cannot be; nothing where no such library does what
    /// the plan wants. It is verified like any other, and never the oracle.
    fn vendor(&self, _plan: &Plan) -> Option<Result<Variant, Unsupported>> {
        None
    }

    /// Allocates the plan's buffers and loads the kernels of all `variants`, which share the buffers, so that they can be
    /// launched in turns on the same memory.
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`] above all; nothing stays allocated after an error.
    fn prepare(&self, plan: &Plan, variants: &[Variant]) -> Result<Box<dyn Prepared + '_>, Fault>;

    fn clock(&self) -> &dyn Clock;
}

/// A plan ready to be launched. Nothing is allocated between `start` and `finished`.
pub trait Prepared {
    /// Fills inputs by the generator and poisons outputs (every byte 0xA5), so that an element never written is seen.
    ///
    /// # Errors
    /// [`Fault`] when the device refuses.
    fn fill(&mut self, pass: Pass) -> Result<(), Fault>;

    /// Begins `launches` launches of one variant, back to back.
    ///
    /// # Errors
    /// [`Fault`] when the device refuses.
    fn start(&mut self, variant: usize, launches: u32) -> Result<(), Fault>;

    /// Whether all that was started is done. May block where the host itself does the work; otherwise it must not.
    ///
    /// # Errors
    /// [`Fault`] when the work failed.
    fn finished(&mut self) -> Result<bool, Fault>;

    /// When the launches ran, in order, since the last call. Only completed launches are told.
    ///
    /// # Errors
    /// [`Fault`] when the timer cannot be read.
    fn spans(&mut self) -> Result<Vec<Span>, Fault>;

    /// Launches that can still be made; blank where there is no end to them.
    fn left(&self) -> Option<u64> {
        None
    }

    /// Values of elements of a buffer.
    ///
    /// # Errors
    /// [`Fault`] when the device refuses.
    fn sample(&mut self, buffer: usize, elements: &[u64]) -> Result<Vec<f64>, Fault>;

    /// The fold of a whole buffer, one word a seed (see [`Fold`]).
    ///
    /// # Errors
    /// [`Fault`] when the device refuses.
    fn fold(&mut self, buffer: usize, fold: Fold, seeds: &[u32]) -> Result<Vec<u32>, Fault>;

    /// How far the output of a plan that is a product is from `A·(B·x)`, with the entries of x, 1 or -1, drawn from the seed: the largest
    /// difference in each block of [`crate::plan::BLOCK`], row by row of blocks. Blank where there is no such check.
    ///
    /// # Errors
    /// [`Fault`] when the device refuses.
    fn residual(&mut self, _seed: u32) -> Result<Option<Vec<f64>>, Fault> {
        Ok(None)
    }

    /// What a variant's kernel found when it hashed every tile of every launch since the inputs changed; blank where it does not.
    ///
    /// # Errors
    /// [`Fault`] when the device refuses.
    fn tiles(&mut self, _variant: usize) -> Result<Option<Tiles>, Fault> {
        Ok(None)
    }

    /// What is to be known of where its buffers lie, for the record's counters.
    fn places(&self) -> Option<(&'static str, f64)> {
        None
    }

    /// Inverts one bit of a buffer: the planted fault that verification must find.
    ///
    /// # Errors
    /// [`Fault`] when the device refuses.
    fn flip(&mut self, buffer: usize, bit: u64) -> Result<(), Fault>;

    fn timer(&self) -> Timer;

    /// Identity of the bits that run for a variant: a hash, or a library's name and version.
    fn identity(&self, variant: usize) -> String;
}

/// Time that launches took on the clock of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// On the machine's clock, or a clock that differs from it by a constant.
    pub begin: Nanos,
    pub took: Nanos,
    /// More than one where launches were too short to be timed apart.
    pub launches: u32,
    /// When a paced launch should have begun.
    pub intended: Option<Nanos>,
}

impl Span {
    #[must_use]
    pub fn end(&self) -> Nanos {
        self.begin + self.took
    }
}

/// Parts of output tiles whose hash differed from that of the first launch on the same inputs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tiles {
    /// How often that happened.
    pub wrong: u32,
    /// The first of them.
    pub first: Vec<Tile>,
}

/// A part of an output tile, and the unit that computed it wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    pub slot: u32,
    pub unit: u32,
}

/// What spans are taken with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timer {
    /// `device events`, `timestamp queries` or `host monotonic clock`.
    pub name: &'static str,
    /// Smallest difference that it tells.
    pub resolution: Nanos,
    /// What it tells of a span in which nothing is done, where that was measured; it is part of every span.
    pub overhead: Option<Nanos>,
    /// Whether the device is held back until the host has enqueued what a span begins with, so that no span holds the enqueueing.
    pub gated: bool,
}

/// A telemetry source. A field that cannot be read stays blank; a look never fails whole.
pub trait Probe: Send {
    /// Where the readings come from, for example `nvml`.
    fn source(&self) -> &'static str;

    fn read(&mut self, at: Nanos) -> Reading;
}

/// Time; virtual in replay and tests.
pub trait Clock {
    fn now(&self) -> Nanos;
    fn wait_until(&self, when: Nanos);

    /// The same to well under a microsecond, at the price of a busy core at the end. Real clocks wake up late from [`Clock::wait_until`].
    fn wait_exactly_until(&self, when: Nanos) {
        self.wait_until(when);
    }
}

/// The machine's monotonic clock, counted from when it was made. Copies share that origin.
#[derive(Clone, Copy, Debug)]
pub struct Monotonic(Instant);

impl Default for Monotonic {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for Monotonic {
    fn now(&self) -> Nanos {
        self.0.elapsed().into()
    }

    fn wait_until(&self, when: Nanos) {
        std::thread::sleep(when.since(self.now()).into());
    }

    fn wait_exactly_until(&self, when: Nanos) {
        /// Systems wake a thread up to about this late.
        const LATE: Nanos = Nanos(200_000);
        self.wait_until(when.since(LATE));
        while self.now() < when {
            std::hint::spin_loop();
        }
    }
}

/// Opens a backend on devices by id.
pub type Open = fn(&[String]) -> Result<Box<dyn Machine>, Fault>;

/// A row of the table of backends.
pub struct Backend {
    pub name: &'static str,
    /// Finds devices without opening them. Never panics; runs in a worker process.
    pub probe: fn() -> Listing,
    pub open: Open,
}

/// What a backend found, or why it found nothing.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Listing {
    pub backend: String,
    pub devices: Vec<Device>,
    /// Why there is no device, in words that lead on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent: Option<String>,
    /// Libraries beside the driver that were looked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub libraries: Vec<Library>,
}

/// A library beside the driver: which, and where, or why it cannot be used.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Library {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_carry_figures_and_a_way_out() {
        let memory = Unsupported::Memory { needed: 3_200, free: 1_100 }.to_string();
        assert!(memory.contains("3200") && memory.contains("1100") && memory.contains("--footprint"));
        assert_eq!(Fault::OutOfMemory { needed: 8, free: None }.to_string(), "out of memory: 8 bytes asked for");
    }

    #[test]
    fn the_monotonic_clock_waits() {
        let clock = Monotonic::default();
        let until = clock.now() + Nanos(2_000_000);
        clock.wait_until(until);
        assert!(clock.now() >= until);
        let until = clock.now() + Nanos(1_000_000);
        clock.wait_exactly_until(until);
        assert!(clock.now() >= until);
    }
}
