//! A variant's program, ready to be enqueued: kernels and copies on their streams, or all of it as one graph.

use super::{
    graph::{Graph, record, wait},
    host::Copy,
    launch::{Launch, Memory, fault},
    library::Library,
    nccl::Collective,
};
use crate::{
    contract::Fault,
    plan::{Plan, Submit},
};
use cudarc::driver::{CudaContext, CudaEvent, CudaStream, sys::CUevent_flags};
use std::sync::Arc;

/// Short launches that go to the device at once.
pub const BUNDLE: u32 = 32;
/// Launches, each by itself, after which the host is ahead of the device.
const SINGLES: u32 = 4;

/// What a step does.
pub enum Action {
    Kernel(Launch),
    Copy(Copy),
    Library(Box<Library>),
    /// On the streams of all devices at once.
    Collective(Collective),
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
    /// It is of another device than the first.
    abroad: bool,
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

    /// A sum over several devices by a library.
    #[must_use]
    pub fn summing(collective: Collective) -> Self {
        Self { identity: collective.identity(), steps: vec![(0, Action::Collective(collective))], ..Self::default() }
    }

    /// Makes the streams that it needs beside `stream`, each of its device, or the graph that the plan wants; nothing runs yet.
    ///
    /// # Errors
    /// [`Fault`] with the driver's words.
    pub fn make_ready(&mut self, contexts: &[&Arc<CudaContext>], stream: &Arc<CudaStream>, plan: &Plan) -> Result<(), Fault> {
        let event = |context: &Arc<CudaContext>| {
            context.new_event(Some(CUevent_flags::CU_EVENT_DISABLE_TIMING)).map_err(|error| fault("making an event", error))
        };
        let last = |(number, action): &(u32, Action)| match action {
            Action::Collective(_) => contexts.len() as u32 - 1,
            _ => *number,
        };
        let most = self.steps.iter().map(last).max().unwrap_or(0);
        for number in 1..=most {
            let device = plan.device_of(number);
            let context = contexts.get(device).ok_or_else(|| Fault::failed("making a stream", "its device is not opened"))?;
            let stream = context.new_stream().map_err(|error| fault("making a stream", error))?;
            self.beside.push(Beside { stream, end: event(context)?, abroad: device > 0 });
        }
        if most > 0 {
            self.begin = Some(event(stream.context())?);
        }
        match plan.submit {
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

    /// Lets a library do what it must have done once the inputs were written.
    ///
    /// # Errors
    /// [`Fault`] with the library's words.
    pub fn digest(&self, stream: &CudaStream) -> Result<(), Fault> {
        self.steps.iter().try_for_each(|(_, action)| match action {
            Action::Library(library) => library.digest(stream),
            _ => Ok(()),
        })
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

    /// Launches that may go to the device before it begins with any: few calls, which its queue takes without waiting.
    #[must_use]
    pub fn head(&self) -> u32 {
        match (&self.graph, &self.bundle) {
            (Some(_), _) => 1,
            (None, Some(_)) => BUNDLE,
            (None, None) => SINGLES,
        }
    }

    /// Whether a library's sum over several devices is among them.
    #[must_use]
    pub fn is_collective(&self) -> bool {
        self.steps.iter().any(|(_, action)| matches!(action, Action::Collective(_)))
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
            let beside = number.checked_sub(1).and_then(|number| self.beside.get(number as usize));
            let on = beside.map_or(stream, |beside| &beside.stream);
            if beside.is_some_and(|beside| beside.abroad) {
                bind(on)?;
            }
            match action {
                Action::Kernel(launch) => launch.enqueue(on)?,
                Action::Copy(copy) => copy.enqueue(on)?,
                Action::Library(library) => library.enqueue(on)?,
                Action::Collective(collective) => {
                    collective.enqueue(std::iter::once(stream).chain(self.beside.iter().map(|beside| &*beside.stream)))?;
                }
            }
        }
        for Beside { stream: other, end, abroad } in &self.beside {
            if *abroad {
                bind(other)?;
            }
            record(end, other)?;
        }
        if self.beside.iter().any(|beside| beside.abroad) {
            bind(stream)?;
        }
        self.beside.iter().try_for_each(|beside| wait(stream, &beside.end))
    }
}

/// Makes a stream's device the current one.
fn bind(stream: &CudaStream) -> Result<(), Fault> {
    stream.context().bind_to_thread().map_err(|error| fault("binding the device", error))
}
