//! What the driver tells of a device, before anything is opened.

use super::{
    candidates,
    launch::{attribute, bus, fault, interface_version, is_fake, memory_total, uuid},
};
use crate::{
    contract::Fault,
    record::{Cache, Device, Kind, NUMA_NODE},
    units::Megahertz,
};
use cudarc::driver::{
    result,
    sys::{CUdevice, CUdevice_attribute as Attribute},
};

/// Every device that the driver shows, in its order. The driver has been initialised.
///
/// # Errors
/// [`Fault`] with the driver's words; facts that are missing leave blanks instead.
pub fn devices() -> Result<Vec<Device>, Fault> {
    let count = result::device::get_count().map_err(|error| fault("counting devices", error))?;
    (0..count).map(device).collect()
}

fn device(ordinal: i32) -> Result<Device, Fault> {
    let handle = result::device::get(ordinal).map_err(|error| fault("finding a device", error))?;
    let model = result::device::get_name(handle).map_err(|error| fault("naming a device", error))?;
    let kind = if is_fake() { Kind::Fake } else { Kind::Gpu };
    let megahertz =
        |which| attribute(handle, which).filter(|kilohertz| *kilohertz > 0).map(|kilohertz| Megahertz(kilohertz / 1000));
    let l2 = attribute(handle, Attribute::CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE).filter(|bytes| *bytes > 0);
    let numa = attribute(handle, Attribute::CU_DEVICE_ATTRIBUTE_HOST_NUMA_ID).or_else(|| numa_node(&bus(handle).ok()?));
    Ok(Device {
        facts: numa.map(|node| (NUMA_NODE.to_owned(), node.to_string())).into_iter().collect(),
        uuid: uuid(handle),
        bus: bus(handle).ok(),
        driver: driver_version(),
        api: interface_version().ok().map(|version| format!("CUDA {}.{}", version / 1000, version % 1000 / 10)),
        memory_bytes: memory_total(handle).ok(),
        architecture: capability(handle).map(|number| format!("{}.{}", number / 10, number % 10)),
        units: attribute(handle, Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT),
        caches: l2.map(|bytes| Cache { level: 2, bytes: u64::from(bytes), instances: 1 }).into_iter().collect(),
        boost_mhz: megahertz(Attribute::CU_DEVICE_ATTRIBUTE_CLOCK_RATE),
        memory_mhz: megahertz(Attribute::CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE),
        bus_bits: attribute(handle, Attribute::CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH),
        ecc: attribute(handle, Attribute::CU_DEVICE_ATTRIBUTE_ECC_ENABLED).map(|enabled| enabled != 0),
        precisions: capability(handle).map(candidates::precisions).unwrap_or_default(),
        ..Device::new(&format!("cuda:{ordinal}"), "cuda", kind, &model)
    })
}

/// Compute capability, `major * 10 + minor`.
#[must_use]
pub fn capability(handle: CUdevice) -> Option<u32> {
    let major = attribute(handle, Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?;
    let minor = attribute(handle, Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?;
    Some(major * 10 + minor)
}

/// The node that the kernel says a card is on, for drivers that do not know it.
fn numa_node(bus: &str) -> Option<u32> {
    std::fs::read_to_string(format!("/sys/bus/pci/devices/{bus}/numa_node")).ok()?.trim().parse().ok()
}

/// Version of the kernel module, where its file tells.
fn driver_version() -> Option<String> {
    version_in(&std::fs::read_to_string("/proc/driver/nvidia/version").ok()?)
}

/// The first word that looks like `570.86.15`.
fn version_in(text: &str) -> Option<String> {
    let numbers = |word: &&str| word.contains('.') && word.split('.').all(|part| !part.is_empty() && part.parse::<u32>().is_ok());
    text.split_whitespace().find(numbers).map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_driver_version_is_found_among_words() {
        let open = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build  (dvs-builder)\nGCC version:";
        assert_eq!(version_in(open).as_deref(), Some("570.86.15"));
        assert_eq!(version_in("NVRM version: unknown"), None);
    }
}
