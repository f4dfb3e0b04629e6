//! The start gate on a device: a kernel that holds back what is enqueued behind it until the host says that it is there.
//!
//! A device that idles passes a batch's first event as soon as it has it, and the time until the host's next call lies between two
//! events: a few microseconds a batch, which is a large part of short work.

use super::{host::Words, launch::Launch, machine::Opened, tensor::Argument};
use crate::contract::Fault;
use cudarc::driver::CudaStream;
use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

/// How long the device waits for the host.
const PATIENCE: Duration = Duration::from_secs(1);
/// Words that host and kernel tell each other things by (kernels/gate.cu): the batch that may begin, and the last that was not waited for.
const OPENED: usize = 0;
const MISSED: usize = 1;
/// The kernel's argument that is the number of the batch.
const NUMBER: usize = 1;

/// A device's gate.
pub struct Gate {
    launch: RefCell<Launch>,
    words: Words,
    /// Of the last batch that it was closed for.
    number: Cell<u32>,
    /// Cleared where the host's calls wait for the device, so that a gate only ever costs its patience.
    holds: Cell<bool>,
}

impl Gate {
    /// A gate that is passed once while it is open, so that its code is on the device.
    ///
    /// # Errors
    /// [`Fault`] with the driver's words.
    pub fn new(opened: &Opened, stream: &CudaStream) -> Result<Self, Fault> {
        let words = Words::new(&opened.context, 2)?;
        words.set(OPENED, 1);
        let arguments = [words.address(), 0, PATIENCE.as_nanos() as u64].map(Argument::word).to_vec();
        let launch = opened.launch("gate", &opened.function("gate", "host")?, &[], arguments)?;
        let gate = Self { launch: RefCell::new(launch), words, number: Cell::new(0), holds: Cell::new(true) };
        gate.close(stream)?;
        Ok(gate)
    }

    /// Holds back what is enqueued on a stream from now on, where it holds anything back.
    ///
    /// # Errors
    /// [`Fault`] with the driver's words.
    pub fn close(&self, stream: &CudaStream) -> Result<(), Fault> {
        if !self.holds() {
            return Ok(());
        }
        self.number.set(self.number.get().wrapping_add(1));
        let mut launch = self.launch.borrow_mut();
        launch.set(NUMBER, Argument::word(self.number.get().into()));
        launch.enqueue(stream)
    }

    /// Lets the stream go on, now or when it comes here.
    pub fn open(&self) {
        self.words.set(OPENED, self.number.get());
    }

    /// The work behind it is done: one that did not wait for the host was the last.
    pub fn look(&self) {
        if self.words.get(MISSED) == self.number.get() {
            self.holds.set(false);
        }
    }

    /// Whether it holds anything back.
    pub fn holds(&self) -> bool {
        self.holds.get()
    }
}
