//! Telemetry: what the sensors of a device say, and the facts of the machine around it.
//!
//! A source is chosen by what a device is, and joined to it by UUID or PCI address, never by an index: the order in which a
//! driver counts is not the order in which a backend counts.

mod host;
mod monitor;
mod node;
#[cfg(feature = "nvml")]
mod nvml;
#[cfg(feature = "nvml")]
mod nvml_sys;
#[cfg(feature = "nvml")]
mod rows;
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
    record::{Device, Kind, Neighbours},
};
use std::{cell::Cell, collections::BTreeMap, path::Path, sync::mpsc, thread, time::Duration};

/// A build that was made without the feature `nvml`: no library is ever found, so no value of this type exists.
#[cfg(not(feature = "nvml"))]
mod nvml {
    use super::{BTreeMap, Device, Path, Probe};

    #[derive(Clone, Copy)]
    pub enum Library {}

    impl Library {
        pub fn open(_: Option<&Path>) -> Result<Self, String> {
            Err("this assay was built without NVML (cargo feature `nvml`)".into())
        }

        pub fn versions(self) -> BTreeMap<String, String> {
            match self {}
        }

        pub fn units(self) -> Vec<String> {
            match self {}
        }

        pub fn describe(self, _: &mut Device) -> Result<(), String> {
            match self {}
        }

        pub fn probe(self, _: &Device) -> Result<Box<dyn Probe>, String> {
            match self {}
        }

        pub fn watch(self, _: &Device, _: impl FnMut(u32)) -> Result<(), String> {
            match self {}
        }

        pub fn others(self, _: &Device) -> Option<super::Others> {
            match self {}
        }

        pub fn lost(self, _: &Device) -> Option<String> {
            match self {}
        }

        pub fn gauges(self, _: &Device) -> Result<super::host::HostGauges, String> {
            match self {}
        }
    }
}

/// What others do on a device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Others {
    /// Processes other than this one that hold it.
    pub processes: u64,
    /// Share of the last second or less in which some kernel ran, 0 to 1.
    pub utilisation: Option<f64>,
}

impl Others {
    /// What a record says of them, before and after a measurement.
    #[must_use]
    pub fn until(self, after: Self) -> Neighbours {
        Neighbours {
            before: self.processes,
            after: after.processes,
            utilisation_before: self.utilisation,
            utilisation_after: after.utilisation,
        }
    }
}

/// Loading a vendor's library takes this long at the most: a driver that keeps no state initialises every card.
const LOADING: Duration = Duration::from_secs(20);
/// A question between two measurements takes this long at the most.
const ASKING: Duration = Duration::from_secs(3);

/// The telemetry sources of this machine. Opening loads the vendor's library, so it belongs in a worker process.
pub struct Sources {
    nvml: Result<nvml::Library, String>,
    /// The library was named, and not merely found.
    named: bool,
    /// It did not answer in time once, and is asked nothing more that could wait.
    hangs: Cell<bool>,
}

/// What a call gives within the time; one that hangs is left behind on its thread.
fn within<T: Send + 'static>(time: Duration, call: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (tell, told) = mpsc::channel();
    let asked = thread::Builder::new().name("question".into()).spawn(move || drop(tell.send(call())));
    asked.ok().and_then(|_| told.recv_timeout(time).ok())
}

impl Sources {
    /// Opens what is there; what is absent is told when it is asked for. `nvml_library` names NVML's file, else the driver's own
    /// is looked for.
    #[must_use]
    pub fn open(nvml_library: Option<&Path>) -> Self {
        let path = nvml_library.map(Path::to_owned);
        let opened = within(LOADING, move || nvml::Library::open(path.as_deref()));
        let nvml = opened.unwrap_or_else(|| Err(format!("NVML did not answer within {} s", LOADING.as_secs())));
        Self { nvml, named: nvml_library.is_some(), hangs: Cell::new(false) }
    }

    /// What the library says of a device, unless it does not answer in time.
    fn ask<T: Send + 'static>(
        &self,
        device: &Device,
        question: impl FnOnce(nvml::Library, &Device) -> T + Send + 'static,
    ) -> Result<T, String> {
        let (library, asked) = (*self.library(device)?, device.clone());
        let answer = if self.hangs.get() { None } else { within(ASKING, move || question(library, &asked)) };
        self.hangs.set(answer.is_none());
        answer.ok_or_else(|| format!("NVML does not answer for {}", device.id))
    }

    /// Why NVML is not there, in words; blank when it is.
    #[must_use]
    pub fn absent(&self) -> Option<&str> {
        self.nvml.as_ref().err().map(String::as_str)
    }

    /// Versions of the driver and its libraries, by name; empty where there is no NVML.
    #[must_use]
    pub fn versions(&self) -> BTreeMap<String, String> {
        self.nvml.as_ref().map(|library| library.versions()).unwrap_or_default()
    }

    /// By UUID, what processes of their own see of cards some of which are cut by MIG; empty where none is, or nobody tells.
    #[must_use]
    pub fn units(&self) -> Vec<String> {
        let Ok(library) = self.nvml.as_ref().copied() else { return Vec::new() };
        within(ASKING, move || library.units()).unwrap_or_default()
    }

    /// Adds what the device's driver knows: model, UUID, bus, driver, clocks, ECC; and as facts by name VBIOS, limits, MIG mode.
    /// What the backend said stays; only blanks are filled.
    ///
    /// # Errors
    /// Why there is no source for this device, in words. The device is then left as it was.
    pub fn describe(&self, device: &mut Device) -> Result<(), String> {
        match device.kind {
            Kind::Cpu | Kind::Software => Ok(()),
            _ => {
                let described = self.ask(device, |library, device| {
                    let mut device = device.clone();
                    library.describe(&mut device).map(|()| device)
                })??;
                *device = described;
                Ok(())
            }
        }
    }

    /// The sensors of a device: NVML for a GPU, the host's own for a CPU and for what runs on it.
    ///
    /// # Errors
    /// Why there is none, in words; a measurement then goes on without.
    pub fn probe(&self, device: &Device) -> Result<Box<dyn Probe>, String> {
        match device.kind {
            Kind::Cpu | Kind::Software => Ok(Box::new(host::Host::open()?)),
            _ => self.ask(device, nvml::Library::probe)?,
        }
    }

    /// Has `tell` called with the number of each fault that the driver reports of a device, on a thread of its own, until the process
    /// ends.
    ///
    /// # Errors
    /// Why nothing will be told, in words.
    pub fn watch(&self, device: &Device, tell: impl FnMut(u32) + Send + 'static) -> Result<(), String> {
        self.ask(device, move |library, device| library.watch(device, tell))?
    }

    /// Reads everything that there is of a device, within a deadline.
    ///
    /// # Errors
    /// Why there is nothing to read, in words.
    pub fn monitor(&self, device: &Device) -> Result<Monitor, String> {
        let gauges: Box<dyn monitor::Gauges> = match device.kind {
            Kind::Cpu | Kind::Software => Box::new(host::HostGauges::new(host::Host::open()?)),
            _ => Box::new(self.ask(device, nvml::Library::gauges)??),
        };
        Monitor::new(gauges).map_err(|error| error.to_string())
    }

    /// What others do on a device; blank where nobody tells. Slow: nothing to ask while something is measured.
    #[must_use]
    pub fn others(&self, device: &Device) -> Option<Others> {
        self.ask(device, nvml::Library::others).ok()?
    }

    /// Words for a device that its driver has lost; blank where it is there, or nobody tells.
    #[must_use]
    pub fn lost(&self, device: &Device) -> Option<String> {
        self.ask(device, nvml::Library::lost).ok()?
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
