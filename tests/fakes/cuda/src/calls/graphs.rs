//! Graphs: work that a stream was given while it was captured, done again whenever they are launched.

use super::{Pointer, export, give, give_handle};
use crate::{driver::Driver, status::Status};
use std::ffi::{c_int, c_uint, c_ulonglong};

fn remove(driver: &mut Driver, graph: Pointer) -> Result<(), Status> {
    driver.graphs.remove(&(graph as u64)).map(|_| ()).ok_or(Status::INVALID_VALUE)
}

export! {
    fn cuStreamBeginCapture_v2[Context](driver, stream: Pointer, _mode: c_int) {
        let stream = driver.stream(stream)?;
        let state = driver.streams.get_mut(&stream).ok_or(Status::INVALID_HANDLE)?;
        if state.capture.is_some() || stream < 0x1000 {
            return Err(Status::CAPTURE_UNSUPPORTED);
        }
        state.capture = Some(Vec::new());
        Ok(())
    }
    fn cuStreamEndCapture[Context](driver, stream: Pointer, out: *mut Pointer) {
        let stream = driver.stream(stream)?;
        let captured = driver.streams.get_mut(&stream).and_then(|state| state.capture.take()).ok_or(Status::INVALID_VALUE)?;
        let handle = driver.handle();
        driver.graphs.insert(handle, captured);
        give_handle(out, handle)
    }
    fn cuStreamIsCapturing[Context](driver, stream: Pointer, out: *mut c_int) {
        let stream = driver.stream(stream)?;
        give(out, c_int::from(driver.streams.get(&stream).is_some_and(|state| state.capture.is_some())))
    }
    fn cuGraphInstantiateWithFlags[Context](driver, out: *mut Pointer, graph: Pointer, _flags: c_ulonglong) {
        let work = driver.graphs.get(&(graph as u64)).ok_or(Status::INVALID_VALUE)?.clone();
        let handle = driver.handle();
        driver.graphs.insert(handle, work);
        give_handle(out, handle)
    }
    fn cuGraphUpload[Context](driver, graph: Pointer, _stream: Pointer) {
        driver.graphs.get(&(graph as u64)).map(|_| ()).ok_or(Status::INVALID_VALUE)
    }
    fn cuGraphLaunch[Context](driver, graph: Pointer, stream: Pointer) {
        let stream = driver.stream(stream)?;
        let work = driver.graphs.get(&(graph as u64)).ok_or(Status::INVALID_VALUE)?.clone();
        work.into_iter().try_for_each(|one| driver.enqueue(stream, one))
    }
    fn cuGraphDestroy[Context](driver, graph: Pointer) { remove(driver, graph) }
    fn cuGraphExecDestroy[Context](driver, graph: Pointer) { remove(driver, graph) }
    fn cuThreadExchangeStreamCaptureMode[Context](_driver, _mode: *mut c_uint) { Ok(()) }
}
