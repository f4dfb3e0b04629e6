//! One adapter as a [`Machine`].

use super::{
    adapter,
    context::Context,
    kernels::configs,
    limits::{LARGEST_BINDING, Limits},
    loaded::Loaded,
    lower::lower,
};
use crate::{
    contract::{Clock, Fault, Machine, Monotonic, Prepared, Unsupported},
    plan::{Plan, Variant},
    record::{Device, Kind},
};

/// An adapter, opened.
pub(super) struct Wgpu {
    devices: [Device; 1],
    context: Context,
    limits: Limits,
    clock: Monotonic,
}

impl Wgpu {
    /// Opens the adapter with this id; no binding will be larger than `largest` bytes.
    ///
    /// # Errors
    /// [`Fault::Failed`] when there is no such adapter, or it cannot be opened.
    pub fn open(id: &str, largest: u64) -> Result<Self, Fault> {
        let found = adapter::find().map_err(|why| Fault::failed(id, why))?;
        let (adapter, device) = found
            .into_iter()
            .find(|(_, device)| device.id == id)
            .ok_or_else(|| Fault::failed(id, "no such adapter; `assay devices` lists what there is"))?;
        let allowed = adapter.limits();
        let software = device.kind == Kind::Software;
        let limits = Limits {
            binding: allowed.max_storage_buffer_binding_size.min(allowed.max_buffer_size).min(LARGEST_BINDING).min(largest),
            threads: allowed.max_compute_invocations_per_workgroup.min(allowed.max_compute_workgroup_size_x),
            memory: allowed.max_compute_workgroup_storage_size,
            cores: software.then(adapter::cores),
        };
        let context = Context::open(&adapter)?;
        Ok(Self { devices: [device], context, limits, clock: Monotonic::default() })
    }
}

impl Machine for Wgpu {
    fn devices(&self) -> &[Device] {
        &self.devices
    }

    fn supports(&self, plan: &Plan) -> Result<(), Unsupported> {
        let stem = plan.stems().next().unwrap_or("none");
        let found = configs(stem, &self.limits);
        let first = found.first().ok_or_else(|| Unsupported::Stem(stem.into()))?;
        lower(plan, &self.limits, first.name)?;
        let needed = plan.bytes_allocated();
        match self.devices[0].usable_bytes() {
            Some(free) if needed > free => Err(Unsupported::Memory { needed, free }),
            _ => Ok(()),
        }
    }

    fn variants(&self, plan: &Plan) -> Vec<Variant> {
        let found = plan.stems().next().map_or_else(Vec::new, |stem| configs(stem, &self.limits));
        let able = found.iter().filter(|config| lower(plan, &self.limits, config.name).is_ok());
        able.map(|config| config.variant()).collect()
    }

    fn prepare(&self, plan: &Plan, variants: &[Variant]) -> Result<Box<dyn Prepared + '_>, Fault> {
        self.supports(plan).map_err(|why| Fault::failed(plan.key.id(), why))?;
        Ok(Box::new(Loaded::new(&self.context, &self.limits, self.clock, plan, variants)?))
    }

    fn clock(&self) -> &dyn Clock {
        &self.clock
    }
}
