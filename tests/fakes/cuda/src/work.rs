//! What streams are given to do, and doing it: the queues and the virtual clock.
//!
//! Time is that of the devices alone and has nothing to do with the machine's: a kernel takes as long as its bytes or its operations
//! need on the chip, whichever is longer, and a bit for being launched. So times are exact, and the same in every run.

use crate::{
    compressed::Compression,
    driver::{Driver, Handle},
    launch::{Code, Shape},
    product::Product,
    script::What,
    status::Status,
};
use std::{collections::VecDeque, sync::Arc};

/// From one kernel to the next.
pub const LAUNCH_NANOSECONDS: f64 = 2000.0;
/// Between host and device, in a nanosecond.
const BUS_BYTES: f64 = 16.0;
/// A kernel launch.
#[derive(Clone)]
pub struct Launch {
    pub code: Arc<Code>,
    /// Tells modules apart.
    pub module: Handle,
    pub kernel: String,
    pub shape: Shape,
    pub parameters: Vec<u8>,
    /// What a script plans for it.
    pub planned: Option<What>,
}

/// One thing to do.
#[derive(Clone)]
pub enum Work {
    Launch(Box<Launch>),
    /// Fills with copies of a pattern.
    Set {
        address: u64,
        pattern: Vec<u8>,
        bytes: usize,
    },
    ToDevice {
        address: u64,
        bytes: Vec<u8>,
    },
    /// From host memory that is pinned, and read when the work is done.
    FromPinned {
        address: u64,
        host: usize,
        bytes: usize,
    },
    ToHost {
        address: u64,
        host: usize,
        bytes: usize,
    },
    Between {
        to: u64,
        from: u64,
        bytes: usize,
    },
    /// Over the link between two devices.
    Across {
        to: u64,
        from: u64,
        bytes: usize,
        /// Whether the sender reaches the receiver's memory.
        joined: bool,
    },
    /// A vendor's library at work, or making an input ready for that.
    Product(Product),
    Compression(Compression),
    /// The same on several devices: inputs and outputs, and single-precision numbers in each.
    Sum(Vec<(u64, u64)>, usize),
    Record(Handle),
    /// Waits for an event's record of this number.
    Wait(Handle, u64),
    Free(u64),
}

/// A queue on a device.
#[derive(Default)]
pub struct Stream {
    pub device: u32,
    /// Whether it runs beside the null stream.
    pub apart: bool,
    /// With the time at which the host had asked for it.
    pub queue: VecDeque<(f64, Work)>,
    /// When its last work ended, in nanoseconds.
    pub clock: f64,
    pub hung: bool,
    /// Work that is noted for a graph instead of done.
    pub capture: Option<Vec<Work>>,
}

/// A point in a stream.
#[derive(Default)]
pub struct Event {
    pub timed: bool,
    /// How often it was asked to be recorded, and how often it was.
    pub asked: u64,
    pub done: u64,
    pub at: f64,
    pub stream: Handle,
}

enum Step {
    Done,
    Blocked(Handle),
    /// The host must do something first.
    Waits,
    Idle,
}

impl Driver {
    /// Gives a stream work; does it at once unless work is deferred.
    ///
    /// # Errors
    /// The stream's state.
    pub fn enqueue(&mut self, handle: Handle, work: Work) -> Result<(), Status> {
        let stream = self.streams.get_mut(&handle).ok_or(Status::INVALID_HANDLE)?;
        if let Some(capture) = &mut stream.capture {
            capture.push(work);
            return Ok(());
        }
        let (device, apart) = (stream.device, stream.apart);
        if !apart {
            self.order(handle, device);
        }
        if let Work::Record(event) = work {
            let event = self.events.get_mut(&event).ok_or(Status::INVALID_HANDLE)?;
            event.asked += 1;
            event.stream = handle;
        }
        self.streams.get_mut(&handle).ok_or(Status::INVALID_HANDLE)?.queue.push_back((self.host, work));
        if !self.chip.deferred {
            self.advance(handle);
        }
        Ok(())
    }

    /// The null stream and those that were not made to run beside it take turns.
    fn order(&mut self, handle: Handle, device: u32) {
        let null = Self::null(device);
        let before = |(other, stream): (&Handle, &Stream)| {
            (stream.device == device && !stream.apart && *other != handle && (handle == null || *other == null)).then_some(*other)
        };
        let before: Vec<_> = self.streams.iter().filter_map(before).collect();
        for other in before {
            self.advance(other);
        }
    }

    /// Does a stream's work, and what other streams must do first.
    pub fn advance(&mut self, handle: Handle) {
        // Each waits for the one after it; beside it, whether it has done anything since it came here.
        let mut waiting = vec![(handle, false)];
        while let Some((next, moved)) = waiting.last_mut() {
            match self.step(*next) {
                Step::Done => *moved = true,
                Step::Idle => drop(waiting.pop()),
                // So do all that wait for this one.
                Step::Waits => return,
                Step::Blocked(event) => {
                    let other = self.events.get(&event).map(|event| event.stream);
                    let Some(other) = other.filter(|other| self.streams.get(other).is_some_and(|other| !other.hung)) else {
                        return;
                    };
                    if !waiting.iter().any(|(one, _)| *one == other) {
                        waiting.push((other, false));
                    } else if waiting.pop().is_some_and(|(_, moved)| !moved) {
                        return;
                    }
                }
            }
        }
    }

    /// Does all work of a device.
    pub fn advance_device(&mut self, device: u32) {
        let all: Vec<_> = self.streams.iter().filter(|(_, stream)| stream.device == device).map(|(handle, _)| *handle).collect();
        for handle in all {
            self.advance(handle);
        }
    }

    fn step(&mut self, handle: Handle) -> Step {
        let Some(stream) = self.streams.get_mut(&handle) else { return Step::Idle };
        if stream.hung {
            return Step::Idle;
        }
        let device = stream.device;
        let Some((asked, work)) = stream.queue.pop_front() else { return Step::Idle };
        stream.clock = stream.clock.max(asked);
        if self.poison(device).is_some() {
            return Step::Done;
        }
        if let Work::Wait(event, until) = work {
            let at = self.events.get(&event).map_or(Some(0.0), |event| (event.done >= until).then_some(event.at));
            let Some(stream) = self.streams.get_mut(&handle) else { return Step::Idle };
            let Some(at) = at else {
                stream.queue.push_front((asked, work));
                return Step::Blocked(event);
            };
            stream.clock = stream.clock.max(at);
            return Step::Done;
        }
        let took = match self.perform(device, handle, &work) {
            Ok(took) => took,
            Err(status @ (Status::HANGS | Status::WAITS)) => {
                let Some(stream) = self.streams.get_mut(&handle) else { return Step::Idle };
                stream.hung = status == Status::HANGS;
                stream.queue.push_front((asked, work));
                return if stream.hung { Step::Idle } else { Step::Waits };
            }
            Err(status) => {
                self.poison[device as usize] = Some(status);
                0.0
            }
        };
        if let Some(stream) = self.streams.get_mut(&handle) {
            stream.clock += took;
        }
        Step::Done
    }

    /// Does one thing; the nanoseconds that it took.
    fn perform(&mut self, device: u32, stream: Handle, work: &Work) -> Result<f64, Status> {
        let moved = |bytes: usize| bytes as f64 / BUS_BYTES;
        let within = |bytes: usize, chip: f64| LAUNCH_NANOSECONDS + bytes as f64 / chip * 1e9;
        let bandwidth = self.chip.bandwidth();
        match work {
            Work::Launch(launch) => self.execute(device, stream, launch),
            Work::Set { address, pattern, bytes } => {
                let to = self.memory.write(*address, *bytes)?;
                to.iter_mut().zip(pattern.iter().cycle()).for_each(|(to, from)| *to = *from);
                Ok(within(*bytes, bandwidth))
            }
            Work::ToDevice { address, bytes } => {
                self.memory.write(*address, bytes.len())?.copy_from_slice(bytes);
                Ok(moved(bytes.len()))
            }
            Work::FromPinned { address, host, bytes } => {
                // SAFETY: the range was found within a pinned allocation; a program that frees it before the work is done is at fault,
                // and would be on hardware.
                let from = unsafe { std::slice::from_raw_parts(*host as *const u8, *bytes) };
                self.memory.write(*address, *bytes)?.copy_from_slice(from);
                Ok(moved(*bytes))
            }
            Work::ToHost { address, host, bytes } => {
                let from = self.memory.read(*address, *bytes)?;
                // SAFETY: the caller of the copy gave a place of this length that lives until the work is done.
                unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), *host as *mut u8, *bytes) };
                Ok(moved(*bytes))
            }
            Work::Between { to, from, bytes } => {
                let copied = self.memory.read(*from, *bytes)?.to_vec();
                self.memory.write(*to, *bytes)?.copy_from_slice(&copied);
                Ok(within(2 * bytes, bandwidth))
            }
            Work::Across { to, from, bytes, joined } => {
                let copied = self.memory.read(*from, *bytes)?.to_vec();
                self.memory.write(*to, *bytes)?.copy_from_slice(&copied);
                // Through the host it crosses two links.
                Ok(LAUNCH_NANOSECONDS + moved(*bytes) * if *joined { 1.0 } else { 2.0 })
            }
            Work::Sum(ranks, elements) => self.sum(ranks, *elements).map(|()| LAUNCH_NANOSECONDS + moved(8 * elements)),
            Work::Record(event) => {
                let clock = self.streams.get(&stream).map_or(0.0, |stream| stream.clock);
                if let Some(event) = self.events.get_mut(event) {
                    event.at = clock;
                    event.done += 1;
                }
                Ok(0.0)
            }
            Work::Product(product) => self.multiply(product).map(|took| LAUNCH_NANOSECONDS + took),
            Work::Compression(compression) => self.compress(*compression).map(|bytes| within(bytes, bandwidth)),
            Work::Free(address) => self.memory.free(*address).map(|()| 0.0),
            Work::Wait(..) => Ok(0.0),
        }
        .map_err(|status| if matches!(work, Work::Launch(_)) { status } else { self.stray(device, status) })
    }

    /// A copy or fill outside memory that was still there when it was asked for.
    fn stray(&mut self, device: u32, status: Status) -> Status {
        self.log.write(&format!("fault stray copy on device {device}: {}", status.0));
        Status::ILLEGAL_ADDRESS
    }
}
