//! A variant's program, ready to be enqueued: kernels and copies on their streams, or all of it as one graph.

use super::{
    host::Copy,
    launch::{Launch, Memory, fault},
};
use crate::{contract::Fault, plan::Submit};
use cudarc::driver::{
    CudaContext, CudaEvent, CudaGraph, CudaStream,
    sys::{CUevent_flags, CUgraphInstantiate_flags, CUstreamCaptureMode},
};
use std::sync::Arc;

/// What a step does.
pub enum Action {
    Kernel(Launch),
    Copy(Copy),
}

/// The steps of a variant, and what they need besides.
#[derive(Default)]
pub struct Loaded {
    /// Each with the number of its stream.
    pub steps: Vec<(u32, Action)>,
    /// Hash of the bits.
    pub identity: String,
    /// Where the kernel keeps the hashes of its tiles, where it does.
    pub slots: Option<Memory>,
    graph: Option<CudaGraph>,
    /// Streams beside the first, which they wait for in the beginning and which waits for them in the end.
    beside: Vec<Beside>,
    begin: Option<CudaEvent>,
}

struct Beside {
    stream: Arc<CudaStream>,
    end: CudaEvent,
}

impl Loaded {
    /// Makes the streams that it needs beside `stream`, or the graph that the plan wants; nothing runs yet.
    ///
    /// # Errors
    /// [`Fault`] with the driver's words.
    pub fn make_ready(&mut self, context: &Arc<CudaContext>, stream: &Arc<CudaStream>, submit: Submit) -> Result<(), Fault> {
        let event =
            || context.new_event(Some(CUevent_flags::CU_EVENT_DISABLE_TIMING)).map_err(|error| fault("making an event", error));
        let most = self.steps.iter().map(|(number, _)| *number).max().unwrap_or(0);
        for _ in 0..most {
            let stream = context.new_stream().map_err(|error| fault("making a stream", error))?;
            self.beside.push(Beside { stream, end: event()? });
        }
        if most > 0 {
            self.begin = Some(event()?);
        }
        match submit {
            Submit::Graph(repetitions) => self.capture(stream, repetitions),
            Submit::RoundTrip { graph: true } => self.capture(stream, 1),
            _ => Ok(()),
        }
    }

    /// Records the steps, so many times over, as a graph.
    fn capture(&mut self, stream: &Arc<CudaStream>, repetitions: u32) -> Result<(), Fault> {
        let failed = |error| fault("capturing a graph", error);
        stream.begin_capture(CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL).map_err(failed)?;
        let enqueued = (0..repetitions).try_for_each(|_| self.enqueue(stream));
        // The capture ends even where a launch was refused.
        let graph = stream.end_capture(CUgraphInstantiate_flags(0)).map_err(failed);
        enqueued?;
        let graph = graph?.ok_or_else(|| Fault::failed("capturing a graph", "nothing was captured"))?;
        graph.upload().map_err(failed)?;
        self.graph = Some(graph);
        Ok(())
    }

    /// One launch of the program.
    ///
    /// # Errors
    /// [`Fault`] with the driver's words.
    pub fn enqueue(&mut self, stream: &CudaStream) -> Result<(), Fault> {
        if let Some(graph) = &self.graph {
            return graph.launch().map_err(|error| fault("launching a graph", error));
        }
        let failed = |error| fault("ordering streams", error);
        if let Some(begin) = &self.begin {
            begin.record(stream).map_err(failed)?;
            self.beside.iter().try_for_each(|beside| beside.stream.wait(begin)).map_err(failed)?;
        }
        for (number, action) in &mut self.steps {
            let on =
                number.checked_sub(1).and_then(|number| self.beside.get(number as usize)).map_or(stream, |beside| &beside.stream);
            match action {
                Action::Kernel(launch) => launch.enqueue(on)?,
                Action::Copy(copy) => copy.enqueue(on)?,
            }
        }
        for Beside { stream: other, end } in &self.beside {
            end.record(other).and_then(|()| stream.wait(end)).map_err(failed)?;
        }
        Ok(())
    }
}
