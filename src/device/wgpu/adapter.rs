//! Finding adapters and telling what they are, without opening them.

use crate::record::{Device, Kind};
use std::{
    collections::BTreeMap,
    pin::pin,
    task::{Context, Poll, Waker},
};
use wgpu::{Adapter, Backends, DeviceType, Features, Instance, InstanceDescriptor, InstanceFlags, RequestAdapterOptions};

/// Native interfaces; OpenGL is left out, since it has neither timestamps nor dependable compute.
const BACKENDS: Backends = Backends::VULKAN.union(Backends::METAL).union(Backends::DX12);

/// What every kernel needs: scalars travel as immediates, so that dispatches of one pass differ without a buffer between them.
pub(super) const REQUIRED: Features = Features::IMMEDIATES;

/// Result of a future that native backends have ready, or nearly so.
pub(super) fn wait<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        std::thread::yield_now();
    }
}

fn instance() -> Instance {
    let mut descriptor = InstanceDescriptor::new_without_display_handle();
    descriptor.backends = BACKENDS;
    // Validation layers and debug names would be measured, too.
    descriptor.flags = InstanceFlags::empty();
    Instance::new(descriptor)
}

/// Every adapter that can run the kernels, with its facts, in the order of the interfaces below.
///
/// # Errors
/// Why there is none.
pub(super) fn find() -> Result<Vec<(Adapter, Device)>, String> {
    let instance = instance();
    let all = wait(instance.enumerate_adapters(BACKENDS));
    if all.is_empty() {
        return Err(why_none(&instance));
    }
    let fit: Vec<Adapter> = all.into_iter().filter(|adapter| adapter.features().contains(REQUIRED)).collect();
    if fit.is_empty() {
        return Err("adapters were found, but none passes immediate data to shaders".into());
    }
    Ok(fit.into_iter().enumerate().map(|(index, adapter)| describe(index, adapter)).collect())
}

/// wgpu's own words tell a missing loader from a loader without drivers.
fn why_none(instance: &Instance) -> String {
    match wait(instance.request_adapter(&RequestAdapterOptions::default())) {
        Ok(_) => "no adapter was listed".into(),
        Err(error) => {
            let why = pertinent(&error.to_string());
            format!("no adapter: {why}. On Linux a GPU needs libvulkan.so.1 and its vendor's Vulkan driver")
        }
    }
}

/// Leaves out interfaces that this build never asks.
fn pertinent(reasons: &str) -> String {
    let all = reasons.rsplit_once("; ").map_or(reasons, |(_, reasons)| reasons);
    let asked: Vec<&str> =
        all.split(", ").filter(|reason| !reason.contains(" not requested") && !reason.contains(" not compiled in")).collect();
    if asked.is_empty() { reasons.to_owned() } else { asked.join(", ") }
}

fn describe(index: usize, adapter: Adapter) -> (Adapter, Device) {
    let info = adapter.get_info();
    let kind = if info.device_type == DeviceType::Cpu { Kind::Software } else { Kind::Gpu };
    let (memory_bytes, memory_free_bytes) = if kind == Kind::Software { host_memory() } else { (None, None) };
    let device = Device {
        id: format!("wgpu:{index}"),
        backend: "wgpu".into(),
        kind,
        model: info.name.clone(),
        uuid: None,
        bus: Some(info.device_pci_bus_id.to_lowercase()).filter(|bus| !bus.is_empty()),
        driver: Some(format!("{} {}", info.driver, info.driver_info).trim().to_owned()).filter(|driver| !driver.is_empty()),
        api: Some(format!("{:?}", info.backend)),
        memory_bytes,
        memory_free_bytes,
        architecture: None,
        units: (kind == Kind::Software).then(cores),
        caches: Vec::new(),
        boost_mhz: None,
        memory_mhz: None,
        bus_bits: None,
        ecc: None,
        precisions: vec!["fp32".into(), "uint32".into()],
        facts: facts(&adapter),
    };
    (adapter, device)
}

/// Processors that a software adapter may use.
pub(super) fn cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32)
}

/// A software adapter computes in the host's memory; of others wgpu does not tell.
fn host_memory() -> (Option<u64>, Option<u64>) {
    sysinfo::System::new().map_or((None, None), |mut system| {
        system.refresh_memory();
        (Some(system.total_memory()), Some(system.available_memory()))
    })
}

fn facts(adapter: &Adapter) -> BTreeMap<String, String> {
    let (info, limits, features) = (adapter.get_info(), adapter.limits(), adapter.features());
    [
        ("adapter_type", format!("{:?}", info.device_type)),
        ("vendor_id", format!("{:#06x}", info.vendor)),
        ("device_id", format!("{:#06x}", info.device)),
        ("subgroup_size", format!("{}..{}", info.subgroup_min_size, info.subgroup_max_size)),
        ("max_binding_bytes", limits.max_storage_buffer_binding_size.to_string()),
        ("max_buffer_bytes", limits.max_buffer_size.to_string()),
        ("max_workgroup_bytes", limits.max_compute_workgroup_storage_size.to_string()),
        ("max_workgroup_threads", limits.max_compute_invocations_per_workgroup.to_string()),
        ("timestamps", features.contains(Features::TIMESTAMP_QUERY).to_string()),
        ("fp16", features.contains(Features::SHADER_F16).to_string()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_interfaces_that_were_asked_are_blamed() {
        let all = "Nothing found; noop not requested, vulkan drivers/libraries could not be loaded, metal support not compiled in";
        assert_eq!(pertinent(all), "vulkan drivers/libraries could not be loaded");
        assert_eq!(pertinent("other words"), "other words");
    }

    #[test]
    fn a_future_that_is_not_ready_at_once_is_polled_again() {
        let mut left = 3;
        let late = std::future::poll_fn(|_| {
            left -= 1;
            if left == 0 { Poll::Ready("done") } else { Poll::Pending }
        });
        assert_eq!(wait(late), "done");
    }
}
