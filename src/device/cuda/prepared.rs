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
    plan::{Arg, Buffer, Fold, Op, Pass, Plan, Product, Role, Step, Submit},
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
    opened: &'a Opened,
    plan: Plan,
    stream: Arc<CudaStream>,
    loaded: Vec<Loaded>,
    timing: Timing,
    /// Where the host's clock takes the time instead.
    trips: Option<Trips>,
    /// The plan's, and behind them one word to which a fold adds, and for a product a double for each of its blocks.
    buffers: Vec<Storage>,
    /// Whether short launches go to the device as graphs: not where it is told how soon one launch follows another.
    bundles: bool,
    /// What the inputs were filled with last.
    filled: Option<Pass>,
}

impl<'a> Ready<'a> {
    /// # Errors
    /// [`Fault`] with the driver's words.
    pub fn new(
        opened: &'a Opened,
        plan: &Plan,
        mut buffers: Vec<Storage>,
        mut loaded: Vec<Loaded>,
        clock: &dyn Clock,
    ) -> Result<Self, Fault> {
        let stream = opened.context.new_stream().map_err(|error| fault("making a stream", error))?;
        buffers.push(Storage::Device(Memory::allocate(&opened.context, 4)?));
        if let Some((down, across)) = plan.product().map(|product| product.blocks()) {
            buffers.push(Storage::Device(Memory::allocate(&opened.context, down * across * 8)?));
        }
        loaded.iter_mut().try_for_each(|loaded| loaded.make_ready(&opened.context, &stream, plan.submit))?;
        let timing = Timing::new(&opened.context, &stream, loaded.len(), clock.now())?;
        let by_host = matches!(plan.submit, Submit::RoundTrip { .. });
        let trips = by_host.then(|| Trips::new(&stream, clock.now())).transpose()?;
        let kernel = matches!(plan.program[..], [Step { op: Op::Kernel { .. }, .. }]);
        let bundles = kernel && plan.submit == Submit::Stream && plan.key.family != "launch" && calls::without_graphs().is_none();
        Ok(Self { opened, plan: plan.clone(), stream, loaded, timing, trips, buffers, bundles, filled: None })
    }

    /// Lets a library choose its algorithms, on the inputs that are timed.
    ///
    /// # Errors
    /// [`Fault`] when none of them runs.
    pub fn choose(&mut self) -> Result<(), Fault> {
        if self.loaded.iter().any(Loaded::by_library) {
            self.fill(Pass::Random)?;
            let Self { opened, loaded, stream, .. } = self;
            loaded.iter_mut().try_for_each(|loaded| loaded.choose(&opened.context, stream))?;
        }
        Ok(())
    }

    /// Launches a kernel of the harness itself; it runs in the stream's order.
    fn harness(&self, stem: &str, name: &str, args: &[Arg], addresses: &[u64]) -> Result<(), Fault> {
        self.opened.context.bind_to_thread().map_err(|error| fault("binding the device", error))?;
        let function = self.opened.function(stem, name)?;
        let arguments = geometry::pack(args, |index| addresses[index]).into_iter().map(Argument::word).collect();
        self.opened.launch(stem, &function, args, arguments)?.enqueue(&self.stream)
    }

    /// Sees the work end, as the driver's own wait would, but not for ever.
    fn synchronize(&self) -> Result<(), Fault> {
        let begin = Instant::now();
        while !idle(&self.stream)? {
            if begin.elapsed() > PATIENCE {
                return Err(Fault::Hung(PATIENCE.into()));
            }
            std::thread::sleep(PAUSE);
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

impl Prepared for Ready<'_> {
    fn fill(&mut self, pass: Pass) -> Result<(), Fault> {
        let code = match pass {
            Pass::Exact => 0,
            Pass::Random => 1,
            Pass::Zeros => 2,
        };
        // The host's memory is written at once: nothing may be under way there.
        self.synchronize()?;
        for (index, buffer) in self.plan.buffers.iter().enumerate() {
            if buffer.role == Role::Links {
                let args = [Arg::Buffer(0), Arg::Count(buffer.bytes() / LINE_BYTES)];
                self.harness("links", "lines", &args, &[self.buffers[index].address()])?;
                continue;
            }
            if buffer.role != Role::In {
                self.buffers[index].set(POISON, &self.stream)?;
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
            self.harness("fill", buffer.dtype.name(), &args, &[self.buffers[index].address()])?;
        }
        // Other inputs have other hashes; the same inputs filled in again have the same.
        if self.filled != Some(pass) {
            for slots in self.loaded.iter_mut().filter_map(|loaded| loaded.slots.as_mut()) {
                slots.set(0, &self.stream)?;
            }
            self.filled = Some(pass);
        }
        self.synchronize()
    }

    fn start(&mut self, variant: usize, launches: u32) -> Result<(), Fault> {
        let Self { opened, loaded, timing, trips, stream, bundles, .. } = self;
        opened.context.bind_to_thread().map_err(|error| fault("binding the device", error))?;
        let loaded = loaded.get_mut(variant).ok_or_else(|| Fault::failed("launching", format!("no variant {variant}")))?;
        if let Some(trips) = trips {
            return (0..launches).try_for_each(|_| trips.make(stream, || loaded.enqueue(stream)));
        }
        if *bundles && launches >= BUNDLE && timing.are_short(variant) {
            loaded.bundle(stream)?;
        }
        timing.batch(stream, variant, launches, |count| loaded.enqueue_all(stream, count))
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
        let (address, sum) = (memory.address(), self.plan.buffers.len());
        let (name, elements) = match fold {
            Fold::Bits => ("bits", of.bytes() / 4),
            Fold::Values => (of.dtype.name(), of.elements),
        };
        let mut sums = Vec::with_capacity(seeds.len());
        for seed in seeds {
            self.buffers[sum].set(0, &self.stream)?;
            let counts = [elements, of.columns.max(1), u64::from(*seed)].map(Arg::Count);
            let args = [&[Arg::Buffer(0), Arg::Buffer(1)], &counts[..]].concat();
            self.harness("fold", name, &args, &[address, self.buffers[sum].address()])?;
            self.synchronize()?;
            let mut word = [0_u8; 4];
            self.buffers[sum].read(0, &mut word)?;
            sums.push(u32::from_le_bytes(word));
        }
        Ok(sums)
    }

    fn residual(&mut self, seed: u32) -> Result<Option<Vec<f64>>, Fault> {
        let Some(product) = self.plan.product() else { return Ok(None) };
        let Product { buffers: [a, b, c], m, n, k, .. } = product;
        let addresses = [a, b, c, self.plan.buffers.len() + 1].map(|index| self.buffers.get(index).map_or(0, Storage::address));
        let args: Vec<Arg> = (0..4).map(Arg::Buffer).chain([m, n, k, u64::from(seed)].map(Arg::Count)).collect();
        self.harness("residual", self.plan.precision.input.name(), &args, &addresses)?;
        self.synchronize()?;
        let (down, across) = product.blocks();
        let mut bytes = vec![0_u8; (down * across * 8) as usize];
        self.buffers[self.plan.buffers.len() + 1].read(0, &mut bytes)?;
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
        while matches!(idle(&self.stream), Ok(false)) {
            if begin.elapsed() > GRACE {
                std::mem::forget((std::mem::take(&mut self.buffers), std::mem::take(&mut self.loaded), self.stream.clone()));
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
        use Dtype::{Bf16, E4m3, E5m2, Fp16, Fp32, Fp64, Int8, Int32, Tf32, Uint32};
        let inputs = [Fp32, Fp64, Uint32, Tf32, Fp16, Bf16, E4m3, E5m2, Int8].map(|dtype| ("fill", dtype));
        let outputs = [Fp32, Fp64, Uint32, Fp16, Bf16, Int32].map(|dtype| ("fold", dtype));
        let products = [Fp32, Fp64, Tf32, Fp16, Bf16, E4m3, E5m2, Int8].map(|dtype| ("residual", dtype));
        for (stem, dtype) in inputs.into_iter().chain(outputs).chain(products) {
            let found: Option<&Configuration> = kernel(stem).and_then(|kernel| kernel.configuration(dtype.name()));
            assert!(found.is_some(), "{stem}/{dtype}");
        }
    }
}
