//! Launches recorded as a graph, and what surrounds launches in a timed span: each is one call of the driver and no other.
//!
//! The wrapper's own calls ask for the current context first; between two events that is one question a launch too many.

// Raw driver calls; each block gives its reason.
#![allow(unsafe_code)]

use super::launch::fault;
use crate::contract::Fault;
use cudarc::driver::{
    CudaContext, CudaEvent, CudaStream, result,
    sys::{self, CUevent_wait_flags, CUgraphInstantiate_flags, CUstreamCaptureMode},
};
use std::sync::Arc;

/// A graph, ready to be launched.
pub struct Graph {
    context: Arc<CudaContext>,
    recorded: sys::CUgraph,
    ready: sys::CUgraphExec,
}

impl Graph {
    /// Records what `work` enqueues on a stream, and makes it ready; nothing runs yet.
    ///
    /// # Errors
    /// [`Fault`] of the work, or with the driver's words.
    pub fn record(stream: &CudaStream, work: impl FnOnce() -> Result<(), Fault>) -> Result<Self, Fault> {
        let failed = |error| fault("capturing a graph", error);
        let context = stream.context().clone();
        context.bind_to_thread().map_err(failed)?;
        let mode = CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        // SAFETY: the stream lives as long as it is borrowed, and its context is current.
        unsafe { result::stream::begin_capture(stream.cu_stream(), mode) }.map_err(failed)?;
        let enqueued = work();
        // The capture ends even where a launch was refused.
        // SAFETY: as above.
        let recorded = unsafe { result::stream::end_capture(stream.cu_stream()) }.map_err(failed);
        enqueued?;
        let mut graph = Self { context, recorded: recorded?, ready: std::ptr::null_mut() };
        if graph.recorded.is_null() {
            return Err(Fault::failed("capturing a graph", "nothing was captured"));
        }
        // SAFETY: the graph was captured just now, and `Self` keeps it.
        graph.ready = unsafe { result::graph::instantiate(graph.recorded, CUgraphInstantiate_flags(0)) }.map_err(failed)?;
        // SAFETY: as above; the stream is borrowed.
        unsafe { result::graph::upload(graph.ready, stream.cu_stream()) }.map_err(failed)?;
        Ok(graph)
    }

    /// Enqueues all of it. The context is current.
    ///
    /// # Errors
    /// [`Fault`] with the driver's words.
    pub fn launch(&self, stream: &CudaStream) -> Result<(), Fault> {
        // SAFETY: the graph is ready, and what it launches is kept by whoever recorded it; the stream is borrowed.
        unsafe { result::graph::launch(self.ready, stream.cu_stream()) }.map_err(|error| fault("launching a graph", error))
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        let mut ended = self.context.bind_to_thread();
        if !self.ready.is_null() {
            // SAFETY: it was made by this and is destroyed once.
            ended = ended.and(unsafe { result::graph::exec_destroy(self.ready) });
        }
        if !self.recorded.is_null() {
            // SAFETY: as above.
            ended = ended.and(unsafe { result::graph::destroy(self.recorded) });
        }
        self.context.record_err(ended);
    }
}

/// Records an event. The context is current.
///
/// # Errors
/// [`Fault`] with the driver's words.
pub fn record(event: &CudaEvent, stream: &CudaStream) -> Result<(), Fault> {
    // SAFETY: event and stream live as long as they are borrowed.
    unsafe { result::event::record(event.cu_event(), stream.cu_stream()) }.map_err(|error| fault("recording an event", error))
}

/// Lets a stream wait for an event. The context is current.
///
/// # Errors
/// [`Fault`] with the driver's words.
pub fn wait(stream: &CudaStream, event: &CudaEvent) -> Result<(), Fault> {
    let flags = CUevent_wait_flags::CU_EVENT_WAIT_DEFAULT;
    // SAFETY: as above.
    unsafe { result::stream::wait_event(stream.cu_stream(), event.cu_event(), flags) }
        .map_err(|error| fault("ordering streams", error))
}
