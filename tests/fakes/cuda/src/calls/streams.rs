//! Streams and events.

use super::{Pointer, export, give, give_handle};
use crate::{
    driver::{self, Driver, Handle},
    status::Status,
    work::{Event, Stream, Work},
};
use std::ffi::{c_int, c_uint};

const NON_BLOCKING: c_uint = 1;
const DISABLE_TIMING: c_uint = 2;
/// Names of the null stream besides none.
const LEGACY: u64 = 1;
const PER_THREAD: u64 = 2;

impl Driver {
    /// The stream that a caller means.
    ///
    /// # Errors
    /// `INVALID_HANDLE`.
    pub fn stream(&self, stream: Pointer) -> Result<Handle, Status> {
        match stream as u64 {
            0 | LEGACY | PER_THREAD => driver::device().map(Self::null),
            handle => self.streams.contains_key(&handle).then_some(handle).ok_or(Status::INVALID_HANDLE),
        }
    }

    fn create(&mut self, out: *mut Pointer, flags: c_uint) -> Result<(), Status> {
        let device = driver::device()?;
        let handle = self.handle();
        // A new stream begins when everything that was done so far has ended.
        let clock = self.streams.values().filter(|other| other.device == device).map(|other| other.clock).fold(0.0, f64::max);
        self.streams.insert(handle, Stream { device, apart: flags & NON_BLOCKING != 0, clock, ..Stream::default() });
        give_handle(out, handle)
    }

    fn event(&self, event: Pointer) -> Result<&Event, Status> {
        self.events.get(&(event as u64)).ok_or(Status::INVALID_HANDLE)
    }

    /// The host has seen a stream's work end.
    fn sees(&mut self, stream: Handle) {
        self.host = self.streams.get(&stream).map_or(self.host, |stream| stream.clock.max(self.host));
    }

    /// Work that was left to do is done now, and found done by the next to ask.
    fn query(&mut self, stream: Handle, done: impl Fn(&Self) -> bool) -> Result<(), Status> {
        if done(self) {
            self.sees(stream);
            return Ok(());
        }
        self.advance(stream);
        self.healthy()?;
        Err(Status::NOT_READY)
    }
}

export! {
    fn cuStreamCreate[Context](driver, out: *mut Pointer, flags: c_uint) { driver.create(out, flags) }
    fn cuStreamCreateWithPriority[Context](driver, out: *mut Pointer, flags: c_uint, _priority: c_int) { driver.create(out, flags) }
    fn cuCtxGetStreamPriorityRange[Context](_driver, least: *mut c_int, greatest: *mut c_int) {
        give(least, 0)?;
        give(greatest, -5)
    }
    fn cuStreamDestroy_v2[Context](driver, stream: Pointer) {
        // The real driver lets the work go on; here it is done before.
        driver.advance(stream as u64);
        driver.streams.remove(&(stream as u64)).map(|_| ()).ok_or(Status::INVALID_HANDLE)
    }
    fn cuStreamSynchronize[Context](driver, stream: Pointer) {
        let stream = driver.stream(stream)?;
        driver.advance(stream);
        driver.healthy()?;
        let state = driver.streams.get(&stream).ok_or(Status::INVALID_HANDLE)?;
        if state.capture.is_some() {
            return Err(Status::CAPTURE_UNSUPPORTED);
        }
        if !state.queue.is_empty() {
            return Err(Status::HANGS);
        }
        driver.sees(stream);
        Ok(())
    }
    fn cuStreamQuery[Context](driver, stream: Pointer) {
        let stream = driver.stream(stream)?;
        driver.query(stream, |driver| driver.streams.get(&stream).is_some_and(|state| state.queue.is_empty()))
    }
    fn cuStreamWaitEvent[Context](driver, stream: Pointer, event: Pointer, _flags: c_uint) {
        let stream = driver.stream(stream)?;
        let until = driver.event(event)?.asked;
        if until == 0 { Ok(()) } else { driver.enqueue(stream, Work::Wait(event as u64, until)) }
    }
    fn cuEventCreate[Context](driver, out: *mut Pointer, flags: c_uint) {
        let handle = driver.handle();
        driver.events.insert(handle, Event { timed: flags & DISABLE_TIMING == 0, ..Event::default() });
        give_handle(out, handle)
    }
    fn cuEventDestroy_v2[Context](driver, event: Pointer) {
        driver.events.remove(&(event as u64)).map(|_| ()).ok_or(Status::INVALID_HANDLE)
    }
    fn cuEventRecord[Context](driver, event: Pointer, stream: Pointer) {
        driver.event(event)?;
        let stream = driver.stream(stream)?;
        driver.enqueue(stream, Work::Record(event as u64))
    }
    fn cuEventQuery[Context](driver, event: Pointer) {
        let stream = driver.event(event)?.stream;
        driver.query(stream, |driver| driver.event(event).is_ok_and(|event| event.done == event.asked))
    }
    fn cuEventSynchronize[Context](driver, event: Pointer) {
        let stream = driver.event(event)?.stream;
        driver.advance(stream);
        driver.healthy()?;
        let state = driver.event(event)?;
        if state.done != state.asked {
            return Err(Status::HANGS);
        }
        driver.sees(stream);
        Ok(())
    }
    fn cuEventElapsedTime[Context](driver, out: *mut f32, begin: Pointer, end: Pointer) { elapsed(driver, out, begin, end) }
    fn cuEventElapsedTime_v2[Context](driver, out: *mut f32, begin: Pointer, end: Pointer) { elapsed(driver, out, begin, end) }
}

fn elapsed(driver: &mut Driver, out: *mut f32, begin: Pointer, end: Pointer) -> Result<(), Status> {
    let (begin, end) = (driver.event(begin)?, driver.event(end)?);
    if [begin, end].iter().any(|event| !event.timed || event.asked == 0) {
        return Err(Status::INVALID_HANDLE);
    }
    if [begin, end].iter().any(|event| event.done < event.asked) {
        return Err(Status::NOT_READY);
    }
    give(out, ((end.at - begin.at) / 1e6) as f32)
}
