//! A plan on the device: its arrays, its kernels' variants, and the launches in flight.

use super::{
    arrays::Arrays,
    context::Context,
    limits::Limits,
    lower::lower,
    residual::Residual,
    timing::{self, MOST_SPANS},
};
use crate::{
    contract::{Clock, Fault, Monotonic, Prepared, Span, Timer},
    plan::{Fold, Pass, Plan, Submit, Variant, shader},
    units::Nanos,
};
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    fmt::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use wgpu::{
    BindGroup, Buffer, BufferUsages, CommandEncoderDescriptor, ComputePass, ComputePassDescriptor, ComputePassTimestampWrites,
    ComputePipeline, PollType, QuerySet, QuerySetDescriptor, QueryType,
};

/// One dispatch, ready to be recorded.
struct Ready {
    kernel: usize,
    bind_group: BindGroup,
    scalars: Vec<u8>,
    groups: [u32; 3],
}

/// A variant: its pipelines and what one launch dispatches.
struct Program {
    pipelines: Vec<ComputePipeline>,
    dispatches: Vec<Ready>,
    identity: String,
    /// Nanoseconds that a launch took when last seen.
    estimate: Option<f64>,
}

/// Stamps of the device's clock.
struct Stamps {
    tick: f64,
    queries: QuerySet,
    resolved: Buffer,
    staging: Buffer,
    /// Host and device time that were read together first, so that all spans share one origin.
    origin: Option<(Nanos, u64)>,
}

/// Launches in flight.
struct Flight {
    variant: usize,
    begun: Nanos,
    /// Launches of each timed pass.
    passes: Vec<u32>,
    done: Arc<AtomicBool>,
}

/// A plan, ready to be launched.
pub(super) struct Loaded<'m> {
    context: &'m Context,
    clock: Monotonic,
    arrays: Arrays<'m>,
    /// Of a product, the check of all of it.
    residual: Option<Residual>,
    programs: Vec<Program>,
    /// Each dispatch of a chain is a submission of its own, as fast as the host can ask for them.
    apart: bool,
    /// Blank where the device has no stamps, or has shown that they cannot be trusted.
    stamps: Option<Stamps>,
    flight: Option<Flight>,
    spans: Vec<Span>,
}

impl<'m> Loaded<'m> {
    /// # Errors
    /// [`Fault`] when memory is short or a shader does not compile.
    pub fn new(context: &'m Context, limits: &Limits, clock: Monotonic, plan: &Plan, variants: &[Variant]) -> Result<Self, Fault> {
        let arrays = Arrays::new(context, limits, plan)?;
        let programs = variants.iter().map(|variant| program(context, limits, &arrays, plan, variant)).collect::<Result<_, _>>()?;
        let stamps = context.tick.map(|tick| stamps(context, tick)).transpose()?;
        let apart = plan.submit == Submit::Stream && plan.program.len() > 1;
        let residual = Residual::new(context, limits, plan)?;
        let loaded = Self { context, clock, arrays, residual, programs, apart, stamps, flight: None, spans: Vec::new() };
        loaded.warm()?;
        Ok(loaded)
    }

    /// Runs every pipeline once on no data: drivers compile at the first dispatch, some for half a second.
    fn warm(&self) -> Result<(), Fault> {
        for program in &self.programs {
            let mut encoder = self.context.device.create_command_encoder(&CommandEncoderDescriptor::default());
            {
                let mut pass = encoder.begin_compute_pass(&ComputePassDescriptor::default());
                for (kernel, pipeline) in program.pipelines.iter().enumerate() {
                    let Some(ready) = program.dispatches.iter().find(|ready| ready.kernel == kernel) else { continue };
                    pass.set_pipeline(pipeline);
                    pass.set_bind_group(0, &ready.bind_group, &[]);
                    pass.set_immediates(0, &vec![0; ready.scalars.len()]);
                    pass.dispatch_workgroups(1, 1, 1);
                }
            }
            self.context.queue.submit([encoder.finish()]);
        }
        self.context.settle()
    }

    /// Records and submits; the command buffers are all made before the first is handed over, so that the device never waits.
    fn submit(&self, variant: usize, cut: &[Vec<u32>]) -> Nanos {
        let program = &self.programs[variant];
        let mut commands = Vec::with_capacity(cut.len());
        let mut query = 0;
        for (index, passes) in cut.iter().enumerate() {
            let mut encoder = self.context.device.create_command_encoder(&CommandEncoderDescriptor::default());
            for launches in passes {
                let timestamp_writes = self.stamps.as_ref().map(|stamps| ComputePassTimestampWrites {
                    query_set: &stamps.queries,
                    beginning_of_pass_write_index: Some(query),
                    end_of_pass_write_index: Some(query + 1),
                });
                query += 2;
                let mut pass = encoder.begin_compute_pass(&ComputePassDescriptor { label: None, timestamp_writes });
                for _ in 0..*launches {
                    program.record(&mut pass);
                }
            }
            if let Some(stamps) = self.stamps.as_ref().filter(|_| index + 1 == cut.len()) {
                encoder.resolve_query_set(&stamps.queries, 0..query, &stamps.resolved, 0);
                encoder.copy_buffer_to_buffer(&stamps.resolved, 0, &stamps.staging, 0, u64::from(query) * 8);
            }
            commands.push(encoder.finish());
        }
        let begun = self.clock.now();
        for command in commands {
            self.context.queue.submit([command]);
        }
        begun
    }

    /// The same with a submission for each dispatch, recorded when it is its turn, since that is part of asking for it.
    fn submit_apart(&self, variant: usize, cut: &[Vec<u32>]) -> Nanos {
        let dispatches = &self.programs[variant].dispatches;
        let begun = self.clock.now();
        let mut query = 0;
        for launches in cut.iter().flatten() {
            let last = *launches as usize * dispatches.len() - 1;
            for (at, ready) in (0..*launches).flat_map(|_| dispatches).enumerate() {
                let ends = self.stamps.as_ref().filter(|_| at == 0 || at == last);
                let timestamp_writes = ends.map(|stamps| ComputePassTimestampWrites {
                    query_set: &stamps.queries,
                    beginning_of_pass_write_index: (at == 0).then_some(query),
                    end_of_pass_write_index: (at == last).then_some(query + 1),
                });
                let mut encoder = self.context.device.create_command_encoder(&CommandEncoderDescriptor::default());
                {
                    let mut pass = encoder.begin_compute_pass(&ComputePassDescriptor { label: None, timestamp_writes });
                    pass.set_pipeline(&self.programs[variant].pipelines[ready.kernel]);
                    ready.record(&mut pass);
                }
                self.context.queue.submit([encoder.finish()]);
            }
            query += 2;
        }
        if let Some(stamps) = &self.stamps {
            let mut encoder = self.context.device.create_command_encoder(&CommandEncoderDescriptor::default());
            encoder.resolve_query_set(&stamps.queries, 0..query, &stamps.resolved, 0);
            encoder.copy_buffer_to_buffer(&stamps.resolved, 0, &stamps.staging, 0, u64::from(query) * 8);
            self.context.queue.submit([encoder.finish()]);
        }
        begun
    }

    /// Turns a finished flight into spans.
    fn land(&mut self, flight: &Flight) -> Result<(), Fault> {
        let waited = self.clock.now().since(flight.begun);
        let launches: u32 = flight.passes.iter().sum();
        let stamped = self.read_stamps(flight, waited)?;
        if stamped.is_none() {
            // Ticks that cannot be trusted once are not asked again; the timer says so from now on.
            self.stamps = None;
        }
        let spans = stamped.unwrap_or_else(|| vec![Span { begin: flight.begun, took: waited, launches, intended: None }]);
        let total: u64 = spans.iter().map(|span| span.took.0).sum();
        self.programs[flight.variant].estimate = Some(total as f64 / f64::from(launches.max(1)));
        self.spans.extend(spans);
        Ok(())
    }

    fn read_stamps(&mut self, flight: &Flight, waited: Nanos) -> Result<Option<Vec<Span>>, Fault> {
        let Some(stamps) = &mut self.stamps else { return Ok(None) };
        let words = self.context.words(&stamps.staging, flight.passes.len() * 4)?;
        let ticks: Vec<u64> = words.chunks_exact(2).map(|pair| u64::from(pair[0]) | u64::from(pair[1]) << 32).collect();
        let Some(pairs) = timing::read_ticks(&ticks, stamps.tick, waited) else { return Ok(None) };
        let (host, device) = *stamps.origin.get_or_insert((flight.begun, ticks[0]));
        let since = Nanos((ticks[0].saturating_sub(device) as f64 * stamps.tick) as u64);
        Ok(Some(timing::spans(&pairs, &flight.passes, host + since)))
    }
}

impl Program {
    fn record(&self, pass: &mut ComputePass<'_>) {
        let mut current = usize::MAX;
        for ready in &self.dispatches {
            if ready.kernel != current {
                pass.set_pipeline(&self.pipelines[ready.kernel]);
                current = ready.kernel;
            }
            ready.record(pass);
        }
    }
}

impl Ready {
    fn record(&self, pass: &mut ComputePass<'_>) {
        pass.set_bind_group(0, &self.bind_group, &[]);
        pass.set_immediates(0, &self.scalars);
        let [x, y, z] = self.groups;
        pass.dispatch_workgroups(x, y, z);
    }
}

fn program(context: &Context, limits: &Limits, arrays: &Arrays<'_>, plan: &Plan, variant: &Variant) -> Result<Program, Fault> {
    let kernels = lower(plan, limits, &variant.name).map_err(|why| Fault::failed(plan.key.id(), why))?;
    let mut program = Program { pipelines: Vec::new(), dispatches: Vec::new(), identity: String::new(), estimate: None };
    let mut groups: HashMap<Vec<(usize, usize)>, BindGroup> = HashMap::new();
    let mut compiled: HashMap<String, usize> = HashMap::new();
    let mut hash = Sha256::new();
    for kernel in kernels {
        let key = format!("{} {:?}", kernel.config.shader, kernel.constants);
        let index = if let Some(index) = compiled.get(&key) {
            *index
        } else {
            program.pipelines.push(context.pipeline(kernel.config.shader, kernel.config.inputs, &kernel.constants)?);
            hash.update(shader(kernel.config.shader).unwrap_or_default());
            hash.update(format!("{key} {:?}", kernel.config.shape));
            compiled.insert(key, program.pipelines.len() - 1);
            program.pipelines.len() - 1
        };
        for dispatch in kernel.dispatches {
            let bind_group = groups.entry(dispatch.bindings.clone()).or_insert_with(|| {
                context.bind(&dispatch.bindings.iter().map(|&(buffer, piece)| arrays.piece(buffer, piece)).collect::<Vec<_>>())
            });
            let scalars = bytemuck::cast_slice(&dispatch.scalars).to_vec();
            program.dispatches.push(Ready { kernel: index, bind_group: bind_group.clone(), scalars, groups: dispatch.groups });
        }
    }
    program.identity = hash.finalize().iter().take(8).fold("wgsl:".to_owned(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    });
    context.check().map(|()| program)
}

fn stamps(context: &Context, tick: f64) -> Result<Stamps, Fault> {
    let count = 2 * MOST_SPANS as u32;
    let bytes = u64::from(count) * 8;
    Ok(Stamps {
        tick,
        queries: context.device.create_query_set(&QuerySetDescriptor { label: Some("stamps"), ty: QueryType::Timestamp, count }),
        resolved: context.buffer("stamps", bytes, BufferUsages::QUERY_RESOLVE | BufferUsages::COPY_SRC)?,
        staging: context.buffer("stamps read back", bytes, BufferUsages::MAP_READ | BufferUsages::COPY_DST)?,
        origin: None,
    })
}

impl Prepared for Loaded<'_> {
    fn fill(&mut self, pass: Pass) -> Result<(), Fault> {
        self.arrays.fill(pass)
    }

    fn start(&mut self, variant: usize, launches: u32) -> Result<(), Fault> {
        if self.flight.is_some() {
            self.context.settle()?;
            self.finished()?;
        }
        let program =
            self.programs.get(variant).ok_or_else(|| Fault::failed("wgpu", format!("no variant {variant} was prepared")))?;
        if launches == 0 {
            return Ok(());
        }
        let cut = timing::cut(launches, program.estimate);
        let begun = if self.apart { self.submit_apart(variant, &cut) } else { self.submit(variant, &cut) };
        let done = Arc::new(AtomicBool::new(false));
        let tell = Arc::clone(&done);
        self.context.queue.on_submitted_work_done(move || tell.store(true, Ordering::Release));
        self.flight = Some(Flight { variant, begun, passes: cut.concat(), done });
        self.context.check()
    }

    fn finished(&mut self) -> Result<bool, Fault> {
        let polled = self.context.device.poll(PollType::Poll);
        self.context.check()?;
        polled.map_err(|error| Fault::failed("asking the device", error))?;
        match self.flight.take() {
            Some(flight) if flight.done.load(Ordering::Acquire) => self.land(&flight).map(|()| true),
            None => Ok(true),
            running => {
                self.flight = running;
                Ok(false)
            }
        }
    }

    fn spans(&mut self) -> Result<Vec<Span>, Fault> {
        self.finished()?;
        Ok(std::mem::take(&mut self.spans))
    }

    fn sample(&mut self, buffer: usize, elements: &[u64]) -> Result<Vec<f64>, Fault> {
        self.arrays.sample(buffer, elements)
    }

    fn fold(&mut self, buffer: usize, fold: Fold, seeds: &[u32]) -> Result<Vec<u32>, Fault> {
        self.arrays.fold(buffer, fold, seeds)
    }

    fn residual(&mut self, seed: u32) -> Result<Option<Vec<f64>>, Fault> {
        self.residual.as_ref().map(|residual| residual.look(self.context, &self.arrays, seed)).transpose()
    }

    fn flip(&mut self, buffer: usize, bit: u64) -> Result<(), Fault> {
        self.arrays.flip(buffer, bit)
    }

    fn timer(&self) -> Timer {
        match &self.stamps {
            Some(stamps) => {
                Timer { name: "timestamp queries", resolution: Nanos(stamps.tick.ceil() as u64), overhead: None, gated: false }
            }
            None => Timer { name: "host monotonic clock", resolution: Nanos(1), overhead: None, gated: false },
        }
    }

    fn identity(&self, variant: usize) -> String {
        self.programs.get(variant).map_or_else(String::new, |program| program.identity.clone())
    }
}
