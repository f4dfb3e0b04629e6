//! A set of NVIDIA GPUs, opened: what runs on them, by which kernels, and how a plan is made ready.

use super::{
    geometry::{self, grid},
    image,
    launch::{self, Memory, fault},
    prepared::{Loaded, Ready},
};
use crate::{
    contract::{Clock, Fault, Machine, Monotonic, Prepared, Unsupported},
    dtype::Dtype,
    plan::{Arg, Configuration, Op, Place, Plan, Step, Submit, Variant, VariantKind, kernel},
    record::Device,
};
use cudarc::driver::CudaContext;
use std::{cell::RefCell, collections::BTreeMap, sync::Arc};

/// Stems that a plan may name, and the format of every buffer they take.
const STEMS: &[(&str, Dtype)] = &[
    ("read", Dtype::Uint32),
    ("write", Dtype::Uint32),
    ("copy", Dtype::Fp64),
    ("scale", Dtype::Fp64),
    ("add", Dtype::Fp64),
    ("triad", Dtype::Fp64),
    ("dot", Dtype::Fp64),
    ("matmul", Dtype::Fp32),
];
/// Left free for the driver's own needs, but never more than a sixteenth of what is free.
const RESERVE_BYTES: u64 = 64 << 20;

/// The opened devices.
pub struct Cuda {
    devices: Vec<Device>,
    opened: Vec<Opened>,
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
        let mut machine = Self { devices: Vec::new(), opened: Vec::new(), clock: Monotonic::default() };
        for (ordinal, mut device) in chosen {
            let context = launch::open(ordinal)?;
            let (free, _) = context.mem_get_info().map_err(|error| fault("asking for free memory", error))?;
            device.memory_free_bytes = Some(free as u64);
            machine.opened.push(Opened {
                capability: super::facts::capability(context.cu_device()).unwrap_or(0),
                units: device.units.unwrap_or(1),
                context,
                functions: RefCell::default(),
            });
            machine.devices.push(device);
        }
        Ok(machine)
    }

    fn place(&self, plan: &Plan) -> Result<&Opened, Unsupported> {
        let [place] = &plan.places[..] else {
            return Err(Unsupported::Other("one device at a time".into()));
        };
        let index = self.devices.iter().position(|device| device.id == *place);
        index.map(|index| &self.opened[index]).ok_or_else(|| Unsupported::Other(format!("{place} is not opened here")))
    }
}

impl Machine for Cuda {
    fn devices(&self) -> &[Device] {
        &self.devices
    }

    fn supports(&self, plan: &Plan) -> Result<(), Unsupported> {
        let opened = self.place(plan)?;
        shape(plan)?;
        for Step { op, .. } in &plan.program {
            let (stem, args) = known(plan, op)?;
            let configs = kernel(stem).map(|kernel| &kernel.configs[..]).unwrap_or_default();
            let configuration = configs.first().ok_or_else(|| Unsupported::Stem(stem.into()))?;
            if image::choose(configuration, opened.capability).is_none() {
                let (major, minor) = (opened.capability / 10, opened.capability % 10);
                return Err(Unsupported::Other(format!(
                    "compute capability {major}.{minor} is below 7.0, where our kernels begin"
                )));
            }
            for configuration in configs {
                grid(stem, configuration, args, opened.units)?;
            }
        }
        let free = opened.context.mem_get_info().map_or(0, |(free, _)| free as u64);
        let needed = plan.bytes_allocated().saturating_add(RESERVE_BYTES.min(free / 16));
        if needed > free {
            return Err(Unsupported::Memory { needed, free });
        }
        Ok(())
    }

    fn variants(&self, plan: &Plan) -> Vec<Variant> {
        let Ok(opened) = self.place(plan) else { return Vec::new() };
        let mut variants = Vec::new();
        for (stem, args) in plan.program.iter().filter_map(|step| known(plan, &step.op).ok()) {
            let configs = kernel(stem).map(|kernel| &kernel.configs[..]).unwrap_or_default();
            variants = ordered(stem, configs, args, opened.units);
        }
        variants
    }

    fn prepare(&self, plan: &Plan, variants: &[Variant]) -> Result<Box<dyn Prepared + '_>, Fault> {
        let opened = self.place(plan).map_err(|reason| Fault::failed("preparing", reason))?;
        let buffers: Vec<Memory> =
            plan.buffers.iter().map(|buffer| Memory::allocate(&opened.context, buffer.bytes())).collect::<Result<_, _>>()?;
        let loaded = variants.iter().map(|variant| opened.load(plan, variant, &buffers)).collect::<Result<_, _>>()?;
        Ok(Box::new(Ready::new(opened, plan, buffers, loaded, &self.clock)?))
    }

    fn clock(&self) -> &dyn Clock {
        &self.clock
    }
}

impl Opened {
    /// All of a variant's launches, one a step of the program.
    fn load(&self, plan: &Plan, variant: &Variant, buffers: &[Memory]) -> Result<Loaded, Fault> {
        let mut loaded = Loaded::default();
        for step in &plan.program {
            let (stem, args) = known(plan, &step.op).map_err(|reason| Fault::failed("preparing", reason))?;
            let function = self.function(stem, &variant.name)?;
            let blocks =
                grid(stem, function.configuration, args, self.units).map_err(|reason| Fault::failed("preparing", reason))?;
            let arguments = geometry::pack(args, |index| buffers.get(index).map_or(0, Memory::address));
            loaded.launches.push(launch::Launch::new(function.entry, arguments, blocks, geometry::threads(function.configuration)));
            loaded.identity = function.identity;
        }
        Ok(loaded)
    }

    /// The entry point of a stem's configuration, loaded once.
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
        let entry = launch::Entry::load(&self.context, bits, &kernel.entry, &what)?;
        let function = Function { configuration, entry, identity: image.sha256.clone() };
        self.functions.borrow_mut().insert(key, function.clone());
        Ok(function)
    }
}

/// What no kernel of this backend does yet.
fn shape(plan: &Plan) -> Result<(), Unsupported> {
    if let Submit::Graph(_) = plan.submit {
        return Err(Unsupported::Other("captured graphs are not submitted on CUDA".into()));
    }
    if plan.program.iter().any(|step| step.stream != 0) {
        return Err(Unsupported::Other("one stream at a time".into()));
    }
    if plan.buffers.iter().any(|buffer| buffer.place != Place::Device(0)) {
        return Err(Unsupported::Other("buffers outside the device's memory".into()));
    }
    Ok(())
}

/// The stem and arguments of a step, where there is a kernel for its formats.
fn known<'a>(plan: &Plan, op: &'a Op) -> Result<(&'static str, &'a [Arg]), Unsupported> {
    let (stem, args) = match op {
        Op::Kernel { stem, args } => (*stem, args),
        Op::Library(name) => return Err(Unsupported::Stem((*name).into())),
        Op::Copy { .. } => return Err(Unsupported::Stem("copy between buffers".into())),
    };
    let (_, dtype) = STEMS.iter().find(|(known, _)| *known == stem).ok_or_else(|| Unsupported::Stem(stem.into()))?;
    let buffers = args.iter().filter_map(|arg| if let Arg::Buffer(index) = arg { plan.buffers.get(*index) } else { None });
    match buffers.map(|buffer| buffer.dtype).find(|other| other != dtype) {
        Some(other) => Err(Unsupported::Stem(format!("{stem}/{other}"))),
        None => Ok((stem, args)),
    }
}

/// Variants by preference: through L1 only where memory is gone over again, small tiles where large ones leave units idle.
fn ordered(stem: &str, configs: &[Configuration], args: &[Arg], units: u32) -> Vec<Variant> {
    let passes = match stem {
        "read" => geometry::counts(args).nth(2),
        "triad" => geometry::counts(args).nth(1),
        _ => None,
    };
    let again = passes.is_some_and(|passes| passes > 1);
    let idle = |configuration: &Configuration| {
        stem == "matmul" && grid(stem, configuration, args, units).is_ok_and(|blocks| blocks < units.saturating_mul(2))
    };
    let rank = |configuration: &&Configuration| match configuration.name.as_str() {
        "slow" => 3,
        "cached" => 0,
        _ if idle(configuration) => 2,
        _ => 1,
    };
    let mut chosen: Vec<&Configuration> = configs.iter().filter(|configuration| again || configuration.name != "cached").collect();
    // Where every tile leaves units idle, the smallest leaves the fewest.
    if chosen.iter().filter(|configuration| configuration.name != "slow").all(|configuration| idle(configuration)) {
        chosen.sort_by_key(|configuration| {
            (rank(configuration), configuration.constant("TILE_M") * configuration.constant("TILE_N"))
        });
    } else {
        chosen.sort_by_key(rank);
    }
    let kind = |name: &str| if name == "slow" { VariantKind::Slow } else { VariantKind::Own };
    chosen.iter().map(|configuration| Variant { name: configuration.name.clone(), kind: kind(&configuration.name) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(stem: &str, counts: &[u64]) -> Vec<String> {
        let args: Vec<Arg> = counts.iter().map(|count| Arg::Count(*count)).collect();
        let configs = &kernel(stem).expect("carried").configs;
        ordered(stem, configs, &args, 132).into_iter().map(|variant| variant.name).collect()
    }

    #[test]
    fn the_slow_twin_is_last_and_marked() {
        let args = [Arg::Count(1 << 27)];
        let variants = ordered("copy", &kernel("copy").expect("carried").configs, &args, 132);
        let slow: Vec<_> = variants.iter().map(|variant| variant.kind == VariantKind::Slow).collect();
        assert_eq!(slow, [false, false, true]);
    }

    #[test]
    fn l1_is_used_where_memory_is_gone_over_again() {
        assert_eq!(names("read", &[1 << 28, 4096, 1]), ["vec4x8", "vec4x4", "slow"]);
        assert_eq!(names("read", &[1 << 20, 64, 9]), ["cached", "vec4x8", "vec4x4", "slow"]);
        assert_eq!(names("triad", &[1 << 20, 9])[0], "cached");
    }

    #[test]
    fn small_matrices_get_small_tiles() {
        assert_eq!(names("matmul", &[8192, 8192, 8192]), ["t128x128", "t64x64", "slow"]);
        assert_eq!(names("matmul", &[1536, 1536, 1536]), ["t64x64", "t128x128", "slow"]);
        assert_eq!(names("matmul", &[128, 128, 128]), ["t64x64", "t128x128", "slow"]);
    }
}
