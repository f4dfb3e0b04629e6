//! A plan on a device: buffers filled, kernels launched and timed, output sampled and folded.

use super::{
    calls, geometry,
    host::Storage,
    launch::{Memory, fault, idle},
    loaded::{BUNDLE, Loaded},
    machine::Opened,
    tensor::Argument,
    timing::Timing,
    trips::Trips,
};
use crate::{
    contract::{Clock, Fault, Prepared, Span, Tile, Tiles, Timer},
    plan::{Arg, Buffer, Fold, Op, Pass, Place, Plan, Product, Role, Step, Submit},
};
use cudarc::driver::CudaStream;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Filling, folding and single launches take milliseconds; work that takes this long hangs.
const PATIENCE: Duration = Duration::from_secs(30);
/// What work that was not waited for may still take.
const GRACE: Duration = Duration::from_secs(1);
/// Between two looks at the device.
const PAUSE: Duration = Duration::from_micros(50);

/// Of a link (kernels/cycle.cuh).
const LINE_BYTES: u64 = 128;

/// What an output's bytes are before it is written.
const POISON: u8 = 0xA5;

/// See [`Prepared`].
pub struct Ready<'a> {
    /// A seat a device of the plan; launches begin and end on the stream of the first.
    seats: Vec<Seat<'a>>,
    plan: Plan,
    loaded: Vec<Loaded>,
    timing: Timing,
    /// Where the host's clock takes the time instead.
    trips: Option<Trips>,
    /// The plan's.
    buffers: Vec<Storage>,
    /// Of a product, a double for each of its blocks.
    blocks: Option<Memory>,
    /// Whether short launches go to the device as graphs: not where it is told how soon one launch follows another.
    bundles: bool,
    /// What the inputs were filled with last.
    filled: Option<Pass>,
}

/// A device of a plan, and what the harness has there.
struct Seat<'a> {
    opened: &'a Opened,
    stream: Arc<CudaStream>,
    /// To which a fold adds.
    sum: Memory,
}

impl<'a> Ready<'a> {
    /// # Errors
    /// [`Fault`] with the driver's words.
    pub fn new(
        opened: &[&'a Opened],
        plan: &Plan,
        buffers: Vec<Storage>,
        mut loaded: Vec<Loaded>,
        clock: &dyn Clock,
    ) -> Result<Self, Fault> {
        let seat = |opened: &&'a Opened| {
            let stream = opened.context.new_stream().map_err(|error| fault("making a stream", error))?;
            Ok(Seat { opened, stream, sum: Memory::allocate(&opened.context, 4)? })
        };
        let seats = opened.iter().map(seat).collect::<Result<Vec<_>, Fault>>()?;
        let first = seats.first().ok_or_else(|| Fault::failed("preparing", "a plan without a device"))?;
        let (context, stream) = (&first.opened.context, &first.stream);
        let sides = plan.product().map(|product| product.blocks());
        let blocks = sides.map(|(down, across)| Memory::allocate(context, down * across * 8)).transpose()?;
        let contexts: Vec<_> = opened.iter().map(|opened| &opened.context).collect();
        loaded.iter_mut().try_for_each(|loaded| loaded.make_ready(&contexts, stream, plan))?;
        context.bind_to_thread().map_err(|error| fault("binding the device", error))?;
        let by_host = matches!(plan.submit, Submit::RoundTrip { .. });
        let timing = Timing::new(stream, loaded.len(), clock.now(), first.opened.gate(stream)?, is_gated(plan, &loaded))?;
        let trips = by_host.then(|| Trips::new(stream, clock.now())).transpose()?;
        let kernel = matches!(plan.program[..], [Step { op: Op::Kernel { .. }, .. }]);
        let bundles = kernel && plan.submit == Submit::Stream && plan.key.family != "launch" && calls::without_graphs().is_none();
        Ok(Self { plan: plan.clone(), loaded, timing, trips, buffers, blocks, bundles, filled: None, seats })
    }

    /// Lets a library choose its algorithms, on the inputs that are timed.
    ///
    /// # Errors
    /// [`Fault`] when none of them runs.
    pub fn choose(&mut self) -> Result<(), Fault> {
        if self.loaded.iter().any(Loaded::by_library) {
            self.fill(Pass::Random)?;
            let Self { seats, loaded, .. } = self;
            let Seat { opened, stream, .. } = &seats[0];
            loaded.iter_mut().try_for_each(|loaded| loaded.choose(&opened.context, stream))?;
        }
        Ok(())
    }

    /// The seat of the device that a buffer lies on; the first for the host's.
    fn seat_of(&self, buffer: &Buffer) -> &Seat<'a> {
        &self.seats[if let Place::Device(device) = buffer.place { device } else { 0 }]
    }

    /// Sets every byte of an output, in the order of its device's stream.
    fn poison(&mut self, index: usize, buffer: &Buffer) -> Result<(), Fault> {
        let stream = self.seat_of(buffer).stream.clone();
        self.buffers[index].set(POISON, &stream)
    }

    /// Sees the work of all devices end, as the driver's own wait would, but not for ever.
    fn synchronize(&self) -> Result<(), Fault> {
        let begin = Instant::now();
        for seat in &self.seats {
            while !idle(&seat.stream)? {
                if begin.elapsed() > PATIENCE {
                    return Err(Fault::Hung(PATIENCE.into()));
                }
                std::thread::sleep(PAUSE);
            }
        }
        Ok(())
    }

    fn buffer(&self, index: usize) -> Result<(Buffer, &Storage), Fault> {
        let found = self.plan.buffers.get(index).zip(self.buffers.get(index));
        found
            .map(|(buffer, memory)| (*buffer, memory))
            .ok_or_else(|| Fault::failed("finding a buffer", format!("no buffer {index}")))
    }
}

/// Whether batches begin behind the gate: not where it is told how soon launches follow each other as the host enqueues them, nor where
/// the host itself moves the bytes or waits while it enqueues, as it may in a library's sum over devices.
fn is_gated(plan: &Plan, loaded: &[Loaded]) -> bool {
    let paced_by_host = plan.key.family == "launch" && plan.submit == Submit::Stream;
    let pageable = plan.buffers.iter().any(|buffer| buffer.place == Place::Pageable);
    !paced_by_host && !pageable && !loaded.iter().any(Loaded::is_collective)
}

impl Seat<'_> {
    /// Launches a kernel of the harness itself; it runs in the stream's order.
    fn harness(&self, stem: &str, name: &str, args: &[Arg], addresses: &[u64]) -> Result<(), Fault> {
        self.opened.context.bind_to_thread().map_err(|error| fault("binding the device", error))?;
        let function = self.opened.function(stem, name)?;
        let arguments = geometry::pack(args, |index| addresses[index]).into_iter().map(Argument::word).collect();
        self.opened.launch(stem, &function, args, arguments)?.enqueue(&self.stream)
    }
}

impl Prepared for Ready<'_> {
    fn fill(&mut self, pass: Pass) -> Result<(), Fault> {
        let code = match pass {
            Pass::Exact => 0,
            Pass::Random => 1,
            Pass::Zeros => 2,
        };
        // The host's memory is written at once: nothing may be under way there.
        self.synchronize()?;
        for (index, buffer) in self.plan.buffers.clone().iter().enumerate() {
            if buffer.role == Role::Links {
                let args = [Arg::Buffer(0), Arg::Count(buffer.bytes() / LINE_BYTES)];
                self.seat_of(buffer).harness("links", "lines", &args, &[self.buffers[index].address()])?;
                continue;
            }
            if buffer.role != Role::In {
                self.poison(index, buffer)?;
                continue;
            }
            let seed = self.plan.buffer_seed(index);
            if let Storage::Host(host) = &mut self.buffers[index] {
                host.fill(buffer, seed, pass);
                continue;
            }
            let seed = u64::from(seed);
            let counts = [buffer.elements, seed, code, buffer.gap].map(Arg::Count);
            let args = [&[Arg::Buffer(0)], &counts[..]].concat();
            self.seat_of(buffer).harness("fill", buffer.dtype.name(), &args, &[self.buffers[index].address()])?;
            if buffer.halved {
                let name = format!("bytes{}", buffer.dtype.bytes());
                let args = [Arg::Buffer(0), Arg::Count(buffer.elements / 4), Arg::Count(seed)];
                self.seat_of(buffer).harness("prune", &name, &args, &[self.buffers[index].address()])?;
            }
        }
        // Other inputs have other hashes; the same inputs filled in again have the same.
        if self.filled != Some(pass) {
            for slots in self.loaded.iter_mut().filter_map(|loaded| loaded.slots.as_mut()) {
                slots.set(0, &self.seats[0].stream)?;
            }
            self.filled = Some(pass);
        }
        self.loaded.iter().try_for_each(|loaded| loaded.digest(&self.seats[0].stream))?;
        self.synchronize()
    }

    fn start(&mut self, variant: usize, launches: u32) -> Result<(), Fault> {
        let Self { seats, loaded, timing, trips, bundles, .. } = self;
        let Seat { opened, stream, .. } = &seats[0];
        opened.context.bind_to_thread().map_err(|error| fault("binding the device", error))?;
        let loaded = loaded.get_mut(variant).ok_or_else(|| Fault::failed("launching", format!("no variant {variant}")))?;
        if let Some(trips) = trips {
            return (0..launches).try_for_each(|_| trips.make(stream, || loaded.enqueue(stream)));
        }
        if *bundles && launches >= BUNDLE && timing.are_short(variant) {
            loaded.bundle(stream)?;
        }
        timing.batch(stream, variant, launches, loaded.head(), |count| loaded.enqueue_all(stream, count))
    }

    fn finished(&mut self) -> Result<bool, Fault> {
        self.timing.finished()
    }

    fn spans(&mut self) -> Result<Vec<Span>, Fault> {
        Ok(self.trips.as_mut().map_or_else(|| self.timing.take(), Trips::take))
    }

    fn sample(&mut self, buffer: usize, elements: &[u64]) -> Result<Vec<f64>, Fault> {
        let (buffer, memory) = self.buffer(buffer)?;
        self.synchronize()?;
        let size = buffer.dtype.bytes();
        let mut bytes = [0_u8; 8];
        let one = |element: &u64| {
            memory.read(element.saturating_mul(size), &mut bytes[..size as usize])?;
            buffer.dtype.decode(&bytes).ok_or_else(|| Fault::failed("sampling", format!("{} takes more bytes", buffer.dtype)))
        };
        elements.iter().map(one).collect()
    }

    fn fold(&mut self, buffer: usize, fold: Fold, seeds: &[u32]) -> Result<Vec<u32>, Fault> {
        let (of, memory) = self.buffer(buffer)?;
        if let Storage::Host(host) = memory {
            self.synchronize()?;
            return Ok(seeds.iter().map(|seed| host.fold(fold, *seed)).collect());
        }
        let (address, of_place) = (memory.address(), of.place);
        let (name, elements) = match fold {
            Fold::Bits => ("bits", of.bytes() / 4),
            Fold::Values => (of.dtype.name(), of.elements),
        };
        let mut sums = Vec::with_capacity(seeds.len());
        let place = if let Place::Device(place) = of_place { place } else { 0 };
        for seed in seeds {
            let Seat { stream, sum, .. } = &mut self.seats[place];
            sum.set(0, stream)?;
            let counts = [elements, of.columns.max(1), u64::from(*seed)].map(Arg::Count);
            let args = [&[Arg::Buffer(0), Arg::Buffer(1)], &counts[..]].concat();
            let seat = &self.seats[place];
            seat.harness("fold", name, &args, &[address, seat.sum.address()])?;
            self.synchronize()?;
            let mut word = [0_u8; 4];
            self.seats[place].sum.read(0, &mut word)?;
            sums.push(u32::from_le_bytes(word));
        }
        Ok(sums)
    }

    fn residual(&mut self, seed: u32) -> Result<Option<Vec<f64>>, Fault> {
        let Some(product) = self.plan.product() else { return Ok(None) };
        let Product { buffers: [a, b, c], m, n, k, .. } = product;
        let Some(blocks) = &self.blocks else { return Ok(None) };
        let [a, b, c] = [a, b, c].map(|index| self.buffers.get(index).map_or(0, Storage::address));
        let args: Vec<Arg> = (0..4).map(Arg::Buffer).chain([m, n, k, u64::from(seed)].map(Arg::Count)).collect();
        self.seats[0].harness("residual", self.plan.precision.input.name(), &args, &[a, b, c, blocks.address()])?;
        self.synchronize()?;
        let (down, across) = product.blocks();
        let mut bytes = vec![0_u8; (down * across * 8) as usize];
        blocks.read(0, &mut bytes)?;
        Ok(Some(bytes.as_chunks::<8>().0.iter().map(|double| f64::from_le_bytes(*double)).collect()))
    }

    fn tiles(&mut self, variant: usize) -> Result<Option<Tiles>, Fault> {
        let Some(slots) = self.loaded.get(variant).and_then(|loaded| loaded.slots.as_ref()) else { return Ok(None) };
        self.synchronize()?;
        let mut bytes = [0_u8; 8 * (1 + geometry::LOGGED as usize)];
        slots.read(0, &mut bytes)?;
        let words: Vec<u32> = bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
        let wrong = words[0];
        let logged = words[2..].as_chunks::<2>().0.iter().take(wrong as usize);
        Ok(Some(Tiles { wrong, first: logged.map(|[slot, unit]| Tile { slot: *slot, unit: *unit }).collect() }))
    }

    fn places(&self) -> Option<(&'static str, f64)> {
        let hosts = self.buffers.iter().filter_map(|storage| if let Storage::Host(host) = storage { host.local() } else { None });
        hosts.reduce(f64::min).map(|share| ("pinned_on_node", share))
    }

    fn flip(&mut self, buffer: usize, bit: u64) -> Result<(), Fault> {
        self.buffer(buffer)?;
        self.synchronize()?;
        let mut byte = [0_u8];
        self.buffers[buffer].read(bit / 8, &mut byte)?;
        byte[0] ^= 1 << (bit % 8);
        self.buffers[buffer].write(bit / 8, &byte)
    }

    fn timer(&self) -> Timer {
        self.trips.as_ref().map_or_else(|| self.timing.timer(), Trips::timer)
    }

    fn identity(&self, variant: usize) -> String {
        self.loaded.get(variant).map(|loaded| loaded.identity.clone()).unwrap_or_default()
    }
}

/// Work that is still under way uses the buffers, which are freed after this. Freeing waits for work, so that where work does not end
/// all of it is left to the end of the process.
impl Drop for Ready<'_> {
    fn drop(&mut self) {
        // A failure was told where the work was waited for; here there is nobody left to tell.
        let begin = Instant::now();
        while self.seats.iter().any(|seat| matches!(idle(&seat.stream), Ok(false))) {
            if begin.elapsed() > GRACE {
                let (buffers, loaded) = (std::mem::take(&mut self.buffers), std::mem::take(&mut self.loaded));
                std::mem::forget((buffers, loaded, self.blocks.take(), std::mem::take(&mut self.seats)));
                return;
            }
            std::thread::sleep(PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        dtype::Dtype,
        plan::{Configuration, kernel},
    };

    #[test]
    fn every_format_that_kernels_use_can_be_filled_and_folded() {
        use Dtype::{Bf16, E4m3, E5m2, Fp4, Fp16, Fp32, Fp64, Int8, Int32, Tf32, Uint32};
        let inputs = [Fp32, Fp64, Uint32, Tf32, Fp16, Bf16, E4m3, E5m2, Fp4, Int8].map(|dtype| ("fill", dtype));
        let outputs = [Fp32, Fp64, Uint32, Fp16, Bf16, Int32].map(|dtype| ("fold", dtype));
        let products = [Fp32, Fp64, Tf32, Fp16, Bf16, E4m3, E5m2, Fp4, Int8].map(|dtype| ("residual", dtype));
        for bytes in [Bf16, Fp16, E4m3, Int8].map(Dtype::bytes) {
            assert!(kernel("prune").is_some_and(|kernel| kernel.configuration(&format!("bytes{bytes}")).is_some()), "{bytes}");
        }
        for (stem, dtype) in inputs.into_iter().chain(outputs).chain(products) {
            let found: Option<&Configuration> = kernel(stem).and_then(|kernel| kernel.configuration(dtype.name()));
            assert!(found.is_some(), "{stem}/{dtype}");
        }
    }
}
