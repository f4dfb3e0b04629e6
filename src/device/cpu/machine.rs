//! The machine: what it can run, and with which kernels.

use super::{
    describe,
    memory::Spare,
    pool::{self, Pool},
    run::Run,
    topology::{self, Topology},
};
use crate::{
    contract::{Clock, Fault, Machine, Prepared, Unsupported},
    dtype::Dtype,
    plan::{Op, Plan, Submit, Variant, VariantKind},
    record::Device,
    units::Nanos,
};

const STEMS: [&str; 7] = ["read", "write", "copy", "scale", "add", "triad", "dot"];
/// Of the memory that is free, a plan may take this share.
const SHARE: f64 = 0.9;

pub struct Cpu {
    devices: Vec<Device>,
    pub pool: Pool,
    pub resolution: Nanos,
    pub spare: Spare,
}

impl Cpu {
    /// # Errors
    /// When the system gives no threads.
    pub fn open(topology: Topology) -> Result<Self, Fault> {
        let devices = vec![describe(&topology)];
        let pool = Pool::new(topology.cores)?;
        let resolution = pool::resolution(&pool.clock);
        Ok(Self { devices, pool, resolution, spare: Spare::default() })
    }

    /// Outputs beyond this are stored past the caches.
    pub fn last_cache_bytes(&self) -> u64 {
        self.devices[0].last_cache_bytes()
    }
}

fn formats(plan: &Plan, known: &[Dtype]) -> Result<(), Unsupported> {
    let unknown = plan.buffers.iter().map(|buffer| buffer.dtype).find(|dtype| !known.contains(dtype));
    unknown.map_or(Ok(()), |dtype| Err(Unsupported::Precision(dtype.to_string())))
}

impl Machine for Cpu {
    fn devices(&self) -> &[Device] {
        &self.devices
    }

    fn supports(&self, plan: &Plan) -> Result<(), Unsupported> {
        let [step] = &plan.program[..] else { return Err(Unsupported::Other("more than one step a launch".into())) };
        let Op::Kernel { stem, .. } = &step.op else { return Err(Unsupported::Other("only kernels run on a CPU".into())) };
        match *stem {
            "matmul" => formats(plan, &[Dtype::Fp32, Dtype::Fp64])?,
            stream if STEMS.contains(&stream) => formats(plan, &[Dtype::Fp64, Dtype::Uint32])?,
            unknown => return Err(Unsupported::Stem(unknown.into())),
        }
        if matches!(plan.submit, Submit::Graph(_)) {
            return Err(Unsupported::Other("a CPU has no graphs of launches".into()));
        }
        let free = topology::available().map_or(u64::MAX, |free| ((free + self.spare.bytes()) as f64 * SHARE) as u64);
        let needed = plan.bytes_allocated();
        if needed > free { Err(Unsupported::Memory { needed, free }) } else { Ok(()) }
    }

    fn variants(&self, plan: &Plan) -> Vec<Variant> {
        let own = match plan.stems().next() {
            Some("matmul") => Variant { name: "faer".into(), kind: VariantKind::Own },
            _ => Variant::own(super::Level::best().name()),
        };
        vec![own, Variant::slow("slow")]
    }

    fn prepare(&self, plan: &Plan, variants: &[Variant]) -> Result<Box<dyn Prepared + '_>, Fault> {
        let arrays = self.spare.arrays(&plan.buffers)?;
        Ok(Box::new(Run::new(self, plan.clone(), variants, arrays)))
    }

    fn clock(&self) -> &dyn Clock {
        &self.pool.clock
    }
}
