//! A variant's program, ready to be enqueued: kernels and copies on their streams, or all of it as one graph.

use super::{
    graph::{Graph, record, wait},
    host::Copy,
    launch::{Launch, Memory, fault},
    product::Library,
};
use crate::{contract::Fault, plan::Submit};
use cudarc::driver::{CudaContext, CudaEvent, CudaStream, sys::CUevent_flags};
use std::sync::Arc;

/// Short launches that go to the device at once.
pub const BUNDLE: u32 = 32;

/// What a step does.
pub enum Action {
    Kernel(Launch),
    Copy(Copy),
    Library(Box<Library>),
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
    graph: Option<Graph>,
    /// [`BUNDLE`] launches as one graph, once they are known to be short.
    bundle: Option<Graph>,
    /// Streams beside the first, which they wait for in the beginning and which waits for them in the end.
    beside: Vec<Beside>,
    begin: Option<CudaEvent>,
}

struct Beside {
    stream: Arc<CudaStream>,
    end: CudaEvent,
}

impl Loaded {
    /// A product by a library, on buffers at these addresses.
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`].
    pub fn of(mut library: Library, address: impl Fn(usize) -> u64) -> Result<Self, Fault> {
        library.bind(address)?;
        Ok(Self { identity: library.identity(), steps: vec![(0, Action::Library(Box::new(library)))], ..Self::default() })
    }

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
            Submit::Graph(repetitions) => self.graph = Some(self.capture(stream, repetitions)?),
            Submit::RoundTrip { graph: true } => self.graph = Some(self.capture(stream, 1)?),
            _ => {}
        }
        Ok(())
    }

    /// Where a library carries the steps out: times its algorithms on the inputs as they are, and keeps the fastest.
    ///
    /// # Errors
    /// [`Fault`] when none runs.
    pub fn choose(&mut self, context: &Arc<CudaContext>, stream: &CudaStream) -> Result<(), Fault> {
        for (_, action) in &mut self.steps {
            if let Action::Library(library) = action {
                library.choose(context, stream)?;
                self.identity = library.identity();
            }
        }
        Ok(())
    }

    /// Whether a library carries the steps out.
    #[must_use]
    pub fn by_library(&self) -> bool {
        self.steps.iter().any(|(_, action)| matches!(action, Action::Library(_)))
    }

    /// Records the steps, so many times over, as a graph.
    fn capture(&mut self, stream: &CudaStream, repetitions: u32) -> Result<Graph, Fault> {
        Graph::record(stream, || (0..repetitions).try_for_each(|_| self.enqueue(stream)))
    }

    /// Makes ready to launch many times in few calls, where a launch is short: the host could not enqueue it as fast as it runs.
    ///
    /// # Errors
    /// [`Fault`] with the driver's words.
    pub fn bundle(&mut self, stream: &CudaStream) -> Result<(), Fault> {
        if self.bundle.is_none() && self.graph.is_none() {
            self.bundle = Some(self.capture(stream, BUNDLE)?);
        }
        Ok(())
    }

    /// So many launches of the program.
    ///
    /// # Errors
    /// [`Fault`] with the driver's words.
    pub fn enqueue_all(&mut self, stream: &CudaStream, mut launches: u32) -> Result<(), Fault> {
        if let Some(bundle) = &self.bundle {
            while launches >= BUNDLE {
                bundle.launch(stream)?;
                launches -= BUNDLE;
            }
        }
        (0..launches).try_for_each(|_| self.enqueue(stream))
    }

    /// One launch of the program.
    ///
    /// # Errors
    /// [`Fault`] with the driver's words.
    pub fn enqueue(&mut self, stream: &CudaStream) -> Result<(), Fault> {
        if let Some(graph) = &self.graph {
            return graph.launch(stream);
        }
        if let Some(begin) = &self.begin {
            record(begin, stream)?;
            self.beside.iter().try_for_each(|beside| wait(&beside.stream, begin))?;
        }
        for (number, action) in &mut self.steps {
            let on =
                number.checked_sub(1).and_then(|number| self.beside.get(number as usize)).map_or(stream, |beside| &beside.stream);
            match action {
                Action::Kernel(launch) => launch.enqueue(on)?,
                Action::Copy(copy) => copy.enqueue(on)?,
                Action::Library(library) => library.enqueue(on)?,
            }
        }
        for Beside { stream: other, end } in &self.beside {
            record(end, other)?;
            wait(stream, end)?;
        }
        Ok(())
    }
}
