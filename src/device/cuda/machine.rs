//! A set of NVIDIA GPUs, opened: what runs on them, by which kernels, and how a plan is made ready.

use super::{
    calls,
    candidates::{self, Candidate},
    gate::Gate,
    geometry::{self, grid},
    host::{Copy, Storage},
    image,
    launch::{self, Memory, Shape, fault},
    libraries,
    library::Library,
    loaded::{Action, Loaded},
    lt::Lt,
    nccl,
    peers::Links,
    prepared::Ready,
    product, sparse,
    sparse_lt::SparseLt,
    tensor::{self, Argument},
    vendor::{self, summed},
};
use crate::{
    contract::{Clock, Fault, Machine, Monotonic, Prepared, Unsupported},
    plan::{Arg, Buffer, Configuration, Op, Place, Plan, Step, Submit, Variant, VariantKind, kernel},
    record::Device,
};
use cudarc::driver::{CudaContext, CudaStream};
use std::{
    cell::{OnceCell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    sync::Arc,
};

/// Left free for the driver's own needs, but never more than a sixteenth of what is free.
const RESERVE_BYTES: u64 = 64 << 20;

/// The opened devices.
pub struct Cuda {
    devices: Vec<Device>,
    opened: Vec<Opened>,
    links: Links,
    clock: Monotonic,
}

/// One of them.
pub struct Opened {
    pub context: Arc<CudaContext>,
    /// Compute capability, `major * 10 + minor`.
    capability: u32,
    pub units: u32,
    /// By `stem/configuration`; a module stays loaded as long as the device is open.
    functions: RefCell<BTreeMap<String, Function>>,
    /// The vendor's library, or why there is none; looked for when it is first asked for.
    lt: OnceCell<Result<Rc<Lt>, String>>,
    /// Tried when the first plan is prepared.
    gate: OnceCell<Rc<Gate>>,
    /// That for products of which half of a matrix is zero.
    sparse: OnceCell<Result<Rc<SparseLt>, Unsupported>>,
    memory: u64,
}

/// A loaded kernel.
#[derive(Clone)]
pub struct Function {
    pub configuration: &'static Configuration,
    pub entry: launch::Entry,
    /// Hash of the bits.
    pub identity: String,
}

impl Cuda {
    /// Opens devices by the driver's ordinals.
    ///
    /// # Errors
    /// [`Fault`] with the driver's words.
    pub fn open(chosen: Vec<(usize, Device)>) -> Result<Self, Fault> {
        let mut machine = Self { devices: Vec::new(), opened: Vec::new(), links: Links::default(), clock: Monotonic::default() };
        for (ordinal, mut device) in chosen {
            let context = launch::open(ordinal)?;
            let (free, _) = context.mem_get_info().map_err(|error| fault("asking for free memory", error))?;
            device.memory_free_bytes = Some(free as u64);
            machine.opened.push(Opened {
                capability: super::facts::capability(context.cu_device()).unwrap_or(0),
                units: device.units.unwrap_or(1),
                context,
                functions: RefCell::default(),
                lt: OnceCell::new(),
                gate: OnceCell::new(),
                sparse: OnceCell::new(),
                memory: device.memory_bytes.unwrap_or(0),
            });
            machine.devices.push(device);
        }
        machine.links = Links::find(&machine.contexts())?;
        Ok(machine)
    }

    /// The plan's devices among those that are opened, by their numbers here.
    fn places(&self, plan: &Plan) -> Result<Vec<usize>, Unsupported> {
        let number = |place: &String| {
            let found = self.devices.iter().position(|device| device.id == *place);
            found.ok_or_else(|| Unsupported::Other(format!("{place} is not opened here")))
        };
        let places = plan.places.iter().map(number).collect::<Result<Vec<_>, _>>()?;
        let of = |buffer: &Buffer| if let Place::Device(device) = buffer.place { device + 1 } else { 1 };
        let needed = plan.buffers.iter().map(of).max().unwrap_or(1);
        match places.len() {
            have if have >= needed => Ok(places),
            have => Err(Unsupported::Other(format!("needs {needed} devices that are measured together, here is {have}"))),
        }
    }

    fn contexts(&self) -> Vec<&Arc<CudaContext>> {
        self.opened.iter().map(|opened| &opened.context).collect()
    }

    /// The devices of a plan, as opened.
    fn seats(&self, plan: &Plan) -> Result<Vec<&Opened>, Unsupported> {
        Ok(self.places(plan)?.into_iter().map(|index| &self.opened[index]).collect())
    }
}

/// Whether a plan moves bytes alone.
fn copies(plan: &Plan) -> bool {
    plan.program.iter().all(|step| matches!(step.op, Op::Copy { .. }))
}

impl Machine for Cuda {
    fn devices(&self) -> &[Device] {
        &self.devices
    }

    fn supports(&self, plan: &Plan) -> Result<(), Unsupported> {
        let (places, seats) = (self.places(plan)?, self.seats(plan)?);
        shape(plan)?;
        if !copies(plan) && !self.links.connect(&places) {
            return Err(Unsupported::Other("these devices do not reach each other's memory".into()));
        }
        for step in plan.program.iter().filter(|step| !matches!(step.op, Op::Copy { .. })) {
            seats[plan.device_of(step.stream)].carries(plan, step)?;
        }
        for (place, opened) in seats.into_iter().enumerate() {
            let free = opened.free();
            let here = plan.buffers.iter().filter(|buffer| buffer.place == Place::Device(place));
            let bytes = here.map(Buffer::bytes).fold(0, u64::saturating_add);
            let needed = bytes.saturating_add(RESERVE_BYTES.min(free / 16));
            if needed > free {
                return Err(Unsupported::Memory { needed, free });
            }
        }
        Ok(())
    }

    fn variants(&self, plan: &Plan) -> Vec<Variant> {
        let (Ok(places), Ok(seats)) = (self.places(plan), self.seats(plan)) else { return Vec::new() };
        if copies(plan) {
            // Without a link of their own the driver takes the bytes through the host's memory.
            return vec![Variant::own(if self.links.connect(&places) { "copy-engine" } else { "staged" })];
        }
        let of = |step: &Step| seats.get(plan.device_of(step.stream))?.candidates(plan, step).ok();
        let own: Vec<Variant> = plan.program.iter().find_map(of).unwrap_or_default().iter().map(Candidate::variant).collect();
        match seats.first() {
            Some(opened)
                if own.is_empty() && opened.is_left_to_the_library(plan) && opened.library(plan).is_some_and(|l| l.is_ok()) =>
            {
                vec![vendor::variant("vendor")]
            }
            _ => own,
        }
    }

    fn vendor(&self, plan: &Plan) -> Option<Result<Variant, Unsupported>> {
        if summed(plan).is_some() {
            let absent = |why| Unsupported::Absent(format!("no NCCL to hold it against: {why}"));
            return Some(nccl::version().map(|_| vendor::variant("nccl")).map_err(absent));
        }
        let opened = *self.seats(plan).ok()?.first()?;
        // What it does alone, it is not held against.
        let found = opened.library(plan).filter(|_| !opened.is_left_to_the_library(plan))?;
        Some(found.map(|_| vendor::variant("vendor")))
    }

    fn prepare(&self, plan: &Plan, variants: &[Variant]) -> Result<Box<dyn Prepared + '_>, Fault> {
        let places = self.places(plan).map_err(|reason| Fault::failed("preparing", reason))?;
        self.links.join(&self.contexts(), &places)?;
        let seats: Vec<&Opened> = places.into_iter().map(|index| &self.opened[index]).collect();
        let on = |buffer: &Buffer| if let Place::Device(place) = buffer.place { place } else { 0 };
        let buffers: Vec<Storage> =
            plan.buffers.iter().map(|buffer| Storage::allocate(&seats[on(buffer)].context, buffer)).collect::<Result<_, _>>()?;
        let loaded = variants.iter().map(|variant| load(&seats, plan, variant, &buffers)).collect::<Result<_, _>>()?;
        let mut ready = Ready::new(&seats, plan, buffers, loaded, &self.clock)?;
        ready.choose()?;
        Ok(Box::new(ready))
    }

    fn clock(&self) -> &dyn Clock {
        &self.clock
    }
}

impl Opened {
    fn candidates(&self, plan: &Plan, step: &Step) -> Result<Vec<Candidate>, Unsupported> {
        let (name, args) = kernel_step(&step.op)?;
        let named = args.iter().find_map(|arg| if let Arg::Buffer(index) = arg { plan.buffers.get(*index) } else { None });
        let dtype = named.map_or(plan.precision.input, |buffer| buffer.dtype);
        candidates::candidates(name, dtype, args, self.capability, self.units)
    }

    fn free(&self) -> u64 {
        self.context.mem_get_info().map_or(0, |(free, _)| free as u64)
    }

    /// The device's start gate.
    ///
    /// # Errors
    /// [`Fault`] with the driver's words.
    pub fn gate(&self, stream: &CudaStream) -> Result<Rc<Gate>, Fault> {
        if let Some(gate) = self.gate.get() {
            return Ok(gate.clone());
        }
        let gate = Rc::new(Gate::new(self, stream)?);
        Ok(self.gate.get_or_init(|| gate).clone())
    }

    /// Whether tensor cores do a plan's product and none of our kernels does.
    fn is_left_to_the_library(&self, plan: &Plan) -> bool {
        let by_library = || candidates::by_library(plan.precision.input, self.capability);
        plan.product().is_some_and(|product| product.halved || by_library())
    }

    /// Whether something carries a step out.
    ///
    /// # Errors
    /// [`Unsupported`] with the reason.
    fn carries(&self, plan: &Plan, step: &Step) -> Result<(), Unsupported> {
        if self.is_left_to_the_library(plan) {
            return self.library(plan).map_or(Ok(()), |found| found.map(|_| ())).map_err(|why| match why {
                Unsupported::Absent(why) => Unsupported::Absent(format!("no kernel of ours for {}, and {why}", plan.key.precision)),
                other => other,
            });
        }
        self.candidates(plan, step).map(|_| ())
    }

    /// The vendor's library on a plan; nothing where the plan is no product.
    pub fn library(&self, plan: &Plan) -> Option<Result<Library, Unsupported>> {
        let open = || {
            let version = launch::interface_version().map_err(|fault| fault.to_string())?;
            let found = libraries::cublaslt(version)?;
            Lt::open(&self.context, &found.path).map(Rc::new).map_err(|why| format!("{}: {why}", found.path.display()))
        };
        if plan.product()?.halved {
            let opened = self.sparse.get_or_init(|| sparse::open(&self.context, self.capability));
            return Some(opened.clone().and_then(|lt| sparse::library(&lt, plan, self.memory)));
        }
        match self.lt.get_or_init(open) {
            Ok(lt) => product::library(lt, plan, self.memory),
            Err(why) => Some(Err(Unsupported::Absent(format!("no cuBLASLt to hold it against: {why}")))),
        }
    }

    /// A step's launch by a variant, added to the others.
    fn add(&self, plan: &Plan, step: &Step, variant: &Variant, buffers: &[Storage], loaded: &mut Loaded) -> Result<(), Fault> {
        let unfit = |reason: Unsupported| Fault::failed("preparing", reason);
        let (_, args) = kernel_step(&step.op).map_err(unfit)?;
        let candidates = self.candidates(plan, step).map_err(unfit)?;
        let Candidate { kernel, configuration, .. } = candidates
            .into_iter()
            .find(|candidate| candidate.name == variant.name)
            .ok_or_else(|| Fault::failed("preparing", format!("no variant {}", variant.name)))?;
        let function = self.function(kernel, &configuration.name)?;
        let address = |index: usize| buffers.get(index).map_or(0, Storage::address);
        let mut arguments = tensor::arguments(kernel, configuration, args, &plan.buffers, address)?;
        let slots = geometry::slots(kernel, configuration, args);
        if slots > 0 {
            let memory = Memory::allocate(&self.context, (1 + geometry::LOGGED + slots) * 8)?;
            arguments.push(Argument::word(memory.address()));
            loaded.slots = Some(memory);
        }
        loaded.steps.push((step.stream, Action::Kernel(self.launch(kernel, &function, args, arguments)?)));
        loaded.identity = function.identity;
        Ok(())
    }

    /// A launch of a loaded kernel, as large as the device and the arguments say.
    ///
    /// # Errors
    /// [`Fault`] for sizes that it cannot index.
    pub fn launch(
        &self,
        kernel: &str,
        function: &Function,
        args: &[Arg],
        arguments: Vec<Argument>,
    ) -> Result<launch::Launch, Fault> {
        let shape = shape_of(kernel, function.configuration);
        // A cluster needs neighbouring units, of which there may be fewer than there are units.
        let room = function.entry.clusters.map_or(self.units, |clusters| clusters * shape.cluster);
        let blocks = grid(kernel, function.configuration, args, room).map_err(|reason| Fault::failed("preparing", reason))?;
        Ok(launch::Launch::new(function.entry.clone(), arguments, blocks, shape))
    }

    /// The entry point of a kernel's configuration, loaded once.
    ///
    /// # Errors
    /// [`Fault`] when there is none, or with the driver's words.
    pub fn function(&self, stem: &str, name: &str) -> Result<Function, Fault> {
        let key = format!("{stem}/{name}");
        if let Some(function) = self.functions.borrow().get(&key) {
            return Ok(function.clone());
        }
        let missing = || Fault::failed(format!("loading {key}"), "no such kernel for this device");
        let kernel = kernel(stem).ok_or_else(missing)?;
        let configuration = kernel.configuration(name).ok_or_else(missing)?;
        let image = image::choose(configuration, self.capability).ok_or_else(missing)?;
        let what = format!("loading {key} for {}", image.architecture);
        let bits = kernel.bits(image).map_err(|why| Fault::failed(&*what, why))?;
        let entry = launch::Entry::load(&self.context, bits, &kernel.entry, shape_of(stem, configuration), &what)?;
        let function = Function { configuration, entry, identity: image.sha256.clone() };
        self.functions.borrow_mut().insert(key, function.clone());
        Ok(function)
    }
}

/// All of a variant's launches, one a step of the program, each on the device of its stream.
fn load(seats: &[&Opened], plan: &Plan, variant: &Variant, buffers: &[Storage]) -> Result<Loaded, Fault> {
    if variant.kind == VariantKind::Vendor {
        return vendor::load(seats, plan, buffers);
    }
    let mut loaded = Loaded::default();
    for step in &plan.program {
        let Op::Copy { from, to } = step.op else {
            seats[plan.device_of(step.stream)].add(plan, step, variant, buffers, &mut loaded)?;
            continue;
        };
        let missing = || Fault::failed("preparing", "a copy names a buffer that is not there");
        let (from, to) = (buffers.get(from).ok_or_else(missing)?, buffers.get(to).ok_or_else(missing)?);
        let bytes = plan.buffers.iter().map(Buffer::bytes).min().unwrap_or(0);
        loaded.steps.push((step.stream, Action::Copy(Copy::new(from, to, bytes))));
        loaded.identity = "copies by the driver".into();
    }
    Ok(loaded)
}

fn shape_of(kernel: &str, configuration: &Configuration) -> Shape {
    Shape {
        threads: geometry::threads(kernel, configuration),
        shared: configuration.constant("SHARED") as u32,
        cluster: configuration.constant("CLUSTER").max(1) as u32,
    }
}

/// What no kernel of this backend does yet.
fn shape(plan: &Plan) -> Result<(), Unsupported> {
    if let (Submit::Graph(_) | Submit::RoundTrip { graph: true }, Some(call)) = (plan.submit, calls::without_graphs()) {
        return Err(Unsupported::Other(format!("the NVIDIA driver is too old for graphs: its library lacks {call}")));
    }
    let kernels = plan.program.iter().any(|step| matches!(step.op, Op::Kernel { .. }));
    if kernels && plan.buffers.iter().any(|buffer| !matches!(buffer.place, Place::Device(_))) {
        return Err(Unsupported::Other("kernels work on memory of devices here".into()));
    }
    if plan.places.len() > 1 && plan.submit != Submit::Stream {
        return Err(Unsupported::Other("what several devices do is launched back to back here".into()));
    }
    Ok(())
}

/// The stem and arguments of a step that is a kernel.
fn kernel_step(op: &Op) -> Result<(&'static str, &[Arg]), Unsupported> {
    match op {
        Op::Kernel { stem, args } => Ok((*stem, args)),
        Op::Library(name) => Err(Unsupported::Stem((*name).into())),
        Op::Copy { .. } => Err(Unsupported::Stem("copy between buffers".into())),
    }
}
