//! The CPU: all physical cores, matrix products by faer, stream kernels of our own.

mod machine;
mod memory;
mod pool;
mod run;
mod stream;
mod topology;

use crate::{
    contract::{Backend, Fault, Listing},
    record::{Device, Kind},
    units::Megahertz,
};
use std::collections::BTreeMap;
use stream::Level;
use topology::Topology;

/// The row of this backend.
pub const BACKEND: Backend = Backend {
    name: "cpu",
    probe: || Listing { backend: "cpu".into(), devices: vec![describe(&Topology::read())], absent: None },
    open: |ids| match ids {
        [id] if id == "cpu:0" => Ok(Box::new(machine::Cpu::open(Topology::read())?)),
        _ => Err(Fault::failed("opening a CPU", format!("{ids:?} is not cpu:0"))),
    },
};

fn describe(topology: &Topology) -> Device {
    let mut facts = BTreeMap::from([("numa_nodes".to_owned(), topology.numa_nodes.to_string())]);
    let ids: Vec<String> = topology.cores.iter().map(|core| core.id.to_string()).collect();
    facts.insert("pinned_to".into(), ids.join(","));
    Device {
        memory_bytes: topology.memory_bytes,
        memory_free_bytes: topology.memory_free_bytes,
        architecture: Some(Level::best().name().into()),
        units: u32::try_from(topology.cores.len()).ok(),
        caches: topology.caches.clone(),
        boost_mhz: topology.boost_mhz.map(Megahertz),
        precisions: vec!["fp64".into(), "fp32".into(), "uint32".into()],
        facts,
        ..Device::new("cpu:0", "cpu", Kind::Cpu, &topology.model)
    }
}
