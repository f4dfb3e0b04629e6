//! Who was measured: the device and the node it sits in.

use crate::units::Megahertz;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a device is. A `software` adapter, a `replay` and a `fake` never stand for hardware.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Gpu,
    Cpu,
    Software,
    Replay,
    Fake,
}

impl Kind {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gpu => "gpu",
            Self::Cpu => "cpu",
            Self::Software => "software",
            Self::Replay => "replay",
            Self::Fake => "fake",
        }
    }
}

/// One level of a cache hierarchy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cache {
    /// 1, 2 or 3.
    pub level: u8,
    /// Bytes of all instances together that the measured units use.
    pub bytes: u64,
    /// How many instances there are.
    pub instances: u32,
}

/// Name of the fact that tells the host's memory next to a device.
pub const NUMA_NODE: &str = "numa_node";

/// Facts of one device as one backend sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Device {
    /// `backend:index`, for example `cuda:0`; the index counts in the backend's own order and is no identity.
    pub id: String,
    pub backend: String,
    pub kind: Kind,
    pub model: String,
    /// `GPU-…` or `MIG-…`; what telemetry is joined by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// PCI address `domain:bus:device.function`, lower case; joins the views of one card by several backends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bus: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// Interface below the backend, for example `Vulkan` or `CUDA 12.8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Free when the device was opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_free_bytes: Option<u64>,
    /// `major.minor` of CUDA, or an instruction set of a CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// Streaming multiprocessors, compute units, or physical cores in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub caches: Vec<Cache>,
    /// Highest clock of the units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boost_mhz: Option<Megahertz>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mhz: Option<Megahertz>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bus_bits: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ecc: Option<bool>,
    /// Formats that the backend can compute in on this device.
    #[serde(default)]
    pub precisions: Vec<String>,
    /// Everything else worth keeping, by name: VBIOS, limits, NUMA node.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, String>,
}

impl Device {
    /// A device of which nothing else is known.
    #[must_use]
    pub fn new(id: &str, backend: &str, kind: Kind, model: &str) -> Self {
        Self {
            id: id.into(),
            backend: backend.into(),
            kind,
            model: model.into(),
            uuid: None,
            bus: None,
            driver: None,
            api: None,
            memory_bytes: None,
            memory_free_bytes: None,
            architecture: None,
            units: None,
            caches: Vec::new(),
            boost_mhz: None,
            memory_mhz: None,
            bus_bits: None,
            ecc: None,
            precisions: Vec::new(),
            facts: BTreeMap::new(),
        }
    }

    /// Bytes of the last cache level, zero when it is unknown.
    #[must_use]
    pub fn last_cache_bytes(&self) -> u64 {
        self.caches.iter().max_by_key(|cache| cache.level).map_or(0, |cache| cache.bytes)
    }

    /// The same card as an earlier backend sees it, joined by UUID or bus address and never by index.
    #[must_use]
    pub fn twin<'a>(&self, all: &[&'a Self]) -> Option<&'a Self> {
        let same = |ours: &Option<String>, theirs: &Option<String>| ours.is_some() && ours == theirs;
        let twin = |other: &&&Self| same(&self.uuid, &other.uuid) || same(&self.bus, &other.bus);
        all.iter().take_while(|other| other.id != self.id).find(|other| other.backend != self.backend && twin(other)).copied()
    }

    /// The device of that id, UUID or bus address.
    ///
    /// # Errors
    /// What there is instead.
    pub fn named<'a>(name: &str, all: &[&'a Self]) -> Result<&'a Self, String> {
        let is = |device: &&&Self| device.id == name || device.uuid.as_deref() == Some(name) || device.bus.as_deref() == Some(name);
        all.iter().find(is).copied().ok_or_else(|| {
            let ids: Vec<_> = all.iter().map(|device| device.id.as_str()).collect();
            format!("--device {name}: no such device; there {} {}", if ids.len() == 1 { "is" } else { "are" }, ids.join(", "))
        })
    }

    /// Those of these names, each once however often it is named.
    ///
    /// # Errors
    /// As [`Self::named`].
    pub fn all_named(names: &[String], all: &[&Self]) -> Result<Vec<Self>, String> {
        let mut found: Vec<Self> = Vec::new();
        for name in names {
            let device = Self::named(name, all)?;
            if found.iter().all(|other| other.id != device.id) {
                found.push(device.clone());
            }
        }
        Ok(found)
    }

    /// Memory that can be planned with: what is free now, else what there is.
    #[must_use]
    pub fn usable_bytes(&self) -> Option<u64> {
        self.memory_free_bytes.or(self.memory_bytes)
    }
}

/// Facts of the machine around the devices. Blank where the machine does not say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Node {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sockets: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub physical_cores: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logical_cores: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numa_nodes: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distribution: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hypervisor: Option<String>,
    /// What shows that CUDA's Multi-Process Service shares the cards out among clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mps: Option<String>,
    /// System vendor by DMI; a cloud's name on its instances.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// Product name by DMI; the instance type on several clouds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// Versions of drivers and libraries found, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub versions: BTreeMap<String, String>,
}
