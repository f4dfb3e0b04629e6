//! What devices there are: every backend is asked in a worker of its own, all at once.
//!
//! Where a card is cut by MIG, a process sees one slice and nothing else, whichever its environment names. NVML tells of them all; each is
//! then listed, and later measured, by a worker that sees it alone.

use super::{
    child::{Child, Heard},
    event::Event,
};
use crate::{
    contract::Listing,
    device::BACKENDS,
    record::{Device, Kind},
    telemetry::Sources,
};
use anyhow::Result;
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

/// Listing a backend takes this long at the most: a driver that nobody uses begins anew with each process, 1 to 3 s for each GPU.
const LISTING: Duration = Duration::from_secs(30);
/// Names by UUID the devices that the driver shows to a process.
const VISIBLE: &str = "CUDA_VISIBLE_DEVICES";
/// Fact of a device that only a process sees which is told so, with what it is told.
const SEEN_BY: &str = "cuda_visible_devices";

/// Variables that a worker finds set.
pub type Environment = Vec<(&'static str, String)>;

/// Asks every backend what it finds.
#[must_use]
pub fn list() -> Vec<Listing> {
    list_with(None)
}

/// The same with a cuBLASLt that a person named.
#[must_use]
pub fn list_with(cublaslt: Option<&str>) -> Vec<Listing> {
    let asked: Vec<_> = BACKENDS.iter().map(|backend| (backend.name, environment(cublaslt, None))).collect();
    let each = listed(asked).into_iter().map(
        |(listing, units)| {
            if units.is_empty() { listing } else { one_by_one(listing, &units, cublaslt) }
        },
    );
    each.collect()
}

/// The devices of a backend, each as a process of its own sees it; what a process that sees all was told where that gives none.
fn one_by_one(whole: Listing, units: &[String], cublaslt: Option<&str>) -> Listing {
    let name = BACKENDS.iter().find(|backend| backend.name == whole.backend).map_or("", |backend| backend.name);
    let seen_by = |unit: &String| [environment(cublaslt, None), vec![(VISIBLE, unit.clone())]].concat();
    let alone = listed(units.iter().map(|unit| (name, seen_by(unit))).collect());
    let mut devices: Vec<Device> = Vec::new();
    for (unit, (listing, _)) in units.iter().zip(alone) {
        for mut device in listing.devices {
            device.id = format!("{name}:{}", devices.len());
            device.facts.insert(SEEN_BY.into(), unit.clone());
            devices.push(device);
        }
    }
    if devices.is_empty() { whole } else { Listing { devices, absent: None, ..whole } }
}

/// Whether a process that sees the device sees no other.
#[must_use]
pub fn is_seen_alone(device: &Device) -> bool {
    device.facts.contains_key(SEEN_BY)
}

/// By what a worker opens a device: its name among those that the worker sees.
pub fn address(device: &Device) -> String {
    device.uuid.clone().filter(|_| is_seen_alone(device)).unwrap_or_else(|| device.id.clone())
}

/// What a worker's environment must hold for a device.
pub fn environment(cublaslt: Option<&str>, device: Option<&Device>) -> Environment {
    let library = cublaslt.map(|path| ("ASSAY_CUBLASLT_LIB", path.to_owned()));
    let visible = device.and_then(|device| device.facts.get(SEEN_BY)).map(|unit| (VISIBLE, unit.clone()));
    library.into_iter().chain(visible).collect()
}

/// What backends found, in the order in which they are named, and the devices that must be asked for one by one.
fn listed(asked: Vec<(&'static str, Environment)>) -> Vec<(Listing, Vec<String>)> {
    let start = |(name, environment): (&'static str, Environment)| (name, Child::start_with("list", &name, environment));
    let children: Vec<_> = asked.into_iter().map(start).collect();
    let deadline = Instant::now() + LISTING;
    children.into_iter().map(|(name, child)| heard(name, child, deadline)).collect()
}

fn heard(backend: &str, child: Result<Child>, deadline: Instant) -> (Listing, Vec<String>) {
    let absent = |why: String| (Listing { backend: backend.into(), absent: Some(why), ..Listing::default() }, Vec::new());
    let mut child = match child {
        Ok(child) => child,
        Err(error) => return absent(format!("{error:#}")),
    };
    loop {
        match child.listen(deadline.saturating_duration_since(Instant::now())) {
            Heard::Event(Event::Listed { listing, units }) => return (listing, units),
            Heard::Event(_) => {}
            Heard::Silence if Instant::now() < deadline => {}
            Heard::Silence => {
                child.kill();
                return absent(format!("its driver did not answer within {} s", LISTING.as_secs()));
            }
            Heard::Gone(how) => return absent(format!("its driver broke while it was asked: {how}")),
        }
    }
}

/// Adds to GPUs what their driver's management library knows, and tells what of cards that are cut by MIG can be seen one by one. Where
/// there is none they stay as the backend saw them.
pub fn described(mut listing: Listing) -> (Listing, Vec<String>) {
    let named = std::env::var_os("ASSAY_NVML_LIB").map(PathBuf::from);
    let known = |kind: Kind| kind == Kind::Gpu || kind == Kind::Fake && named.is_some();
    if !listing.devices.iter().any(|device| known(device.kind)) {
        return (listing, Vec::new());
    }
    let sources = Sources::open(named.as_deref());
    for device in &mut listing.devices {
        let _ = sources.describe(device);
    }
    // Whoever says what is to be seen is not overruled.
    let open = listing.backend == "cuda" && std::env::var_os(VISIBLE).is_none();
    (listing, if open { sources.units() } else { Vec::new() })
}
