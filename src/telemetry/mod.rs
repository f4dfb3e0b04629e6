//! Telemetry: what the sensors of a device say, and the facts of the machine around it.
//!
//! A source is chosen by what a device is, and joined to it by UUID or PCI address, never by an index: the order in which a
//! driver counts is not the order in which a backend counts.

mod host;
mod monitor;
mod node;
#[cfg(feature = "nvml")]
mod nvml;
mod sampler;
#[cfg(feature = "nvml")]
mod vitals;
mod xid;

pub use monitor::{Monitor, Pace};
pub use node::node;
pub use sampler::Sampler;
pub use xid::{KERNEL_LOG, KernelLog, known as known_xid};

use crate::{
    contract::Probe,
    record::{Device, Kind},
};
use std::{collections::BTreeMap, path::Path};

/// A build that was made without the feature `nvml`: no library is ever found, so no value of this type exists.
#[cfg(not(feature = "nvml"))]
mod nvml {
    use super::{BTreeMap, Device, Path, Probe};

    pub enum Library {}

    impl Library {
        pub fn open(_: Option<&Path>) -> Result<Self, String> {
            Err("this assay was built without NVML (cargo feature `nvml`)".into())
        }

        pub fn versions(&self) -> BTreeMap<String, String> {
            match *self {}
        }

        pub fn describe(&self, _: &mut Device) -> Result<(), String> {
            match *self {}
        }

        pub fn probe(&self, _: &Device) -> Result<Box<dyn Probe>, String> {
            match *self {}
        }

        pub fn watch(&self, _: &Device, _: impl FnMut(u32)) -> Result<(), String> {
            match *self {}
        }

        pub fn others(&self, _: &Device) -> Option<u64> {
            match *self {}
        }

        pub fn gauges(&self, _: &Device) -> Result<super::host::HostGauges, String> {
            match *self {}
        }
    }
}

/// The telemetry sources of this machine. Opening loads the vendor's library, so it belongs in a worker process.
pub struct Sources {
    nvml: Result<nvml::Library, String>,
    /// The library was named, and not merely found.
    named: bool,
}

impl Sources {
    /// Opens what is there; what is absent is told when it is asked for. `nvml_library` names NVML's file, else the driver's own
    /// is looked for.
    #[must_use]
    pub fn open(nvml_library: Option<&Path>) -> Self {
        Self { nvml: nvml::Library::open(nvml_library), named: nvml_library.is_some() }
    }

    /// Why NVML is not there, in words; blank when it is.
    #[must_use]
    pub fn absent(&self) -> Option<&str> {
        self.nvml.as_ref().err().map(String::as_str)
    }

    /// Versions of the driver and its libraries, by name; empty where there is no NVML.
    #[must_use]
    pub fn versions(&self) -> BTreeMap<String, String> {
        self.nvml.as_ref().map(nvml::Library::versions).unwrap_or_default()
    }

    /// Adds what the device's driver knows: model, UUID, bus, driver, clocks, ECC; and as facts by name VBIOS, limits, MIG mode.
    /// What the backend said stays; only blanks are filled.
    ///
    /// # Errors
    /// Why there is no source for this device, in words. The device is then left as it was.
    pub fn describe(&self, device: &mut Device) -> Result<(), String> {
        match device.kind {
            Kind::Cpu | Kind::Software => Ok(()),
            _ => self.library(device)?.describe(device),
        }
    }

    /// The sensors of a device: NVML for a GPU, the host's own for a CPU and for what runs on it.
    ///
    /// # Errors
    /// Why there is none, in words; a measurement then goes on without.
    pub fn probe(&self, device: &Device) -> Result<Box<dyn Probe>, String> {
        match device.kind {
            Kind::Cpu | Kind::Software => Ok(Box::new(host::Host::open()?)),
            _ => self.library(device)?.probe(device),
        }
    }

    /// Has `tell` called with the number of each fault that the driver reports of a device, on a thread of its own, until the process
    /// ends.
    ///
    /// # Errors
    /// Why nothing will be told, in words.
    pub fn watch(&self, device: &Device, tell: impl FnMut(u32) + Send + 'static) -> Result<(), String> {
        self.library(device)?.watch(device, tell)
    }

    /// Reads everything that there is of a device, within a deadline.
    ///
    /// # Errors
    /// Why there is nothing to read, in words.
    pub fn monitor(&self, device: &Device) -> Result<Monitor, String> {
        let gauges: Box<dyn monitor::Gauges> = match device.kind {
            Kind::Cpu | Kind::Software => Box::new(host::HostGauges::new(host::Host::open()?)),
            _ => Box::new(self.library(device)?.gauges(device)?),
        };
        Monitor::new(gauges).map_err(|error| error.to_string())
    }

    /// Processes other than this one that hold a device; blank where nobody tells.
    #[must_use]
    pub fn others(&self, device: &Device) -> Option<u64> {
        self.library(device).ok()?.others(device)
    }

    /// NVML, for a device that it can know: a GPU, or a fake where a fake library was named too.
    fn library(&self, device: &Device) -> Result<&nvml::Library, String> {
        match device.kind {
            Kind::Gpu => self.nvml.as_ref().map_err(Clone::clone),
            Kind::Fake if self.named => self.nvml.as_ref().map_err(Clone::clone),
            kind => Err(format!("{} is a {} and has no sensors", device.id, kind.name())),
        }
    }
}
