//! `assay devices`: what every backend found, or why it found nothing.

use super::Ending;
use crate::{
    console,
    contract::{Library, Listing},
    judge::{self, Health, Verdict},
    record::{Device, Kind, Xid},
    report::{self, Paper},
    runner::{self, Look, Seen},
    telemetry::{KERNEL_LOG, KernelLog},
    units::{Bytes, Nanos},
};
use anyhow::Result;
use clap::Args;
use serde::Serialize;
use std::{collections::BTreeMap, path::Path};

/// Lists accelerators, backend by backend, or says why there are none
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  assay devices
  assay devices --health
  assay devices --json | jq '.[].devices[].model'")]
pub struct Arguments {
    /// Judge each card by what its driver says of it: pass, fail, or unknown where that does not suffice
    #[arg(long)]
    health: bool,
    /// Print JSON instead of lines
    #[arg(long)]
    json: bool,
    /// cuBLASLt to load instead of the one that is found
    #[arg(long, env = "ASSAY_CUBLASLT_LIB", value_name = "PATH", value_parser = super::existing)]
    cublaslt_lib: Option<String>,
    /// NVML library to load instead of the driver's own
    #[arg(long, env = "ASSAY_NVML_LIB", value_name = "PATH")]
    nvml_lib: Option<String>,
    /// Log of the kernel to find the driver's faults in, instead of /dev/kmsg
    #[arg(long, env = "ASSAY_KERNEL_LOG", value_name = "PATH")]
    kernel_log: Option<String>,
}

/// A device's verdict with all that it rests on, as `--json` prints it.
#[derive(Serialize)]
struct Judged<'a> {
    device: &'a Device,
    #[serde(flatten)]
    health: Health,
    /// What was seen of it.
    #[serde(flatten)]
    seen: &'a Seen,
}

type Faults = BTreeMap<String, Vec<Xid>>;

/// # Errors
/// When stdout cannot be written.
pub fn run(arguments: &Arguments) -> Result<Ending> {
    let listings = runner::list_with(arguments.cublaslt_lib.as_deref());
    if arguments.health {
        return health(arguments, &listings);
    }
    if arguments.json {
        console::print_json(&listings)?;
    } else {
        console::print(lines(&listings).into_iter().map(|line| line + "\n").collect::<String>())?;
    }
    let found = listings.iter().any(|listing| !listing.devices.is_empty());
    Ok(if found { Ending::Good } else { Ending::Nothing })
}

/// Every card once, with its verdict: bad where one fails, nothing where none could be judged.
fn health(arguments: &Arguments, listings: &[Listing]) -> Result<Ending> {
    let all: Vec<&Device> = listings.iter().flat_map(|listing| &listing.devices).collect();
    let is_card = |device: &&&Device| matches!(device.kind, Kind::Gpu | Kind::Fake) && device.twin(&all).is_none();
    let devices: Vec<Device> = all.iter().filter(is_card).map(|device| (*device).clone()).collect();
    let look = Look {
        devices: devices.clone(),
        nvml_library: arguments.nvml_lib.clone(),
        all: true,
        interval: Nanos::from_seconds(1.0),
        count: Some(1),
    };
    let mut seen = Vec::new();
    if !devices.is_empty() {
        runner::watch(&look, &mut |looked| {
            seen = looked;
            Ok(())
        })?;
    }
    let log = KernelLog::past(Path::new(arguments.kernel_log.as_deref().unwrap_or(KERNEL_LOG)));
    let judged: Vec<Judged> = devices.iter().zip(&seen).map(|(device, seen)| judged(device, seen, &log)).collect();
    if arguments.json {
        console::print_json(&judged)?;
    } else if judged.is_empty() {
        console::print("no card to judge; assay devices says what was looked for\n")?;
    } else {
        let of = |one: &Judged| {
            let absent = one.seen.absent.as_ref().map(|why| format!("  {why}\n")).unwrap_or_default();
            report::health(one.device, &one.health, Paper::of_environment()) + &absent
        };
        console::print_styled(judged.iter().map(of).collect::<String>())?;
    }
    let any = |verdict| judged.iter().any(|one| one.health.verdict == verdict);
    Ok(if any(Verdict::Fail) {
        Ending::Bad
    } else if any(Verdict::Pass) {
        Ending::Good
    } else {
        Ending::Nothing
    })
}

fn judged<'a>(device: &'a Device, seen: &'a Seen, log: &Result<Faults, String>) -> Judged<'a> {
    let slot = device.bus.as_deref().and_then(|bus| bus.rsplit_once('.')).map(|(slot, _)| slot.to_lowercase());
    let faults = match (log, slot) {
        (Ok(log), Some(slot)) => Ok(log.get(&slot).map_or(&[][..], Vec::as_slice)),
        (Ok(_), None) => Err("the device does not tell its address"),
        (Err(why), _) => Err(why.as_str()),
    };
    Judged { device, health: judge::health(&seen.vitals, faults), seen }
}

fn lines(listings: &[Listing]) -> Vec<String> {
    let all: Vec<&Device> = listings.iter().flat_map(|listing| &listing.devices).collect();
    let mut lines = Vec::new();
    for listing in listings {
        lines.extend(listing.devices.iter().map(|device| describe(device, &all)));
        if let Some(why) = listing.absent.as_ref().filter(|_| listing.devices.is_empty()) {
            lines.push(format!("{:<8} absent: {why}", listing.backend));
        }
        lines.extend(listing.libraries.iter().map(|library| beside(&listing.backend, library)));
    }
    lines
}

/// A library beside the driver: where it is, or why it is of no use.
fn beside(backend: &str, library: &Library) -> String {
    let Library { name, version, path, absent } = library;
    let found: Vec<&str> = [version, path].into_iter().flatten().map(String::as_str).collect();
    let said = absent.as_ref().map_or_else(|| found.join(", "), |why| format!("absent: {why}"));
    format!("{backend:<8} {name} {said}")
}

fn describe(device: &Device, all: &[&Device]) -> String {
    let mut parts = vec![device.model.clone()];
    if device.kind == Kind::Software {
        parts.push("software adapter, not hardware".into());
    }
    parts.extend(device.units.map(|units| format!("{units} {}", if device.kind == Kind::Cpu { "cores" } else { "units" })));
    parts.extend(device.memory_bytes.map(|bytes| Bytes(bytes).to_string()));
    parts.extend(device.api.clone());
    parts.extend(device.driver.as_ref().map(|driver| format!("driver {driver}")));
    parts.extend(device.uuid.clone());
    parts.extend(device.bus.clone());
    parts.extend(device.twin(all).map(|twin| format!("the same card as {}", twin.id)));
    format!("{:<8} {}", device.id, parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gpu(id: &str, backend: &str, uuid: Option<&str>, bus: Option<&str>) -> Device {
        Device { uuid: uuid.map(Into::into), bus: bus.map(Into::into), ..Device::new(id, backend, Kind::Gpu, "H200") }
    }

    #[test]
    fn views_of_one_card_are_joined_by_uuid_or_bus_and_never_by_index() {
        let cuda = [
            gpu("cuda:0", "cuda", Some("GPU-1"), Some("0000:01:00.0")),
            gpu("cuda:1", "cuda", Some("GPU-2"), Some("0000:02:00.0")),
        ];
        let wgpu = [gpu("wgpu:0", "wgpu", None, Some("0000:02:00.0")), gpu("wgpu:1", "wgpu", None, None)];
        let listing = |backend: &str, devices: &[Device]| Listing {
            backend: backend.into(),
            devices: devices.to_vec(),
            ..Listing::default()
        };
        let lines = lines(&[listing("cuda", &cuda), listing("wgpu", &wgpu)]);
        assert!(lines[2].contains("the same card as cuda:1"), "{lines:?}");
        assert!(!lines[3].contains("same card") && !lines[0].contains("same card"), "{lines:?}");
    }

    #[test]
    fn a_library_is_named_with_its_place_or_says_why_it_is_not_there() {
        let library = Library { name: "cuBLASLt".into(), ..Library::default() };
        let found = Library { version: Some("12.8.5".into()), path: Some("/lib/libcublasLt.so.12".into()), ..library.clone() };
        let absent = Library { absent: Some("not found".into()), ..library };
        let listing = Listing { backend: "cuda".into(), libraries: vec![found, absent], ..Listing::default() };
        assert_eq!(lines(&[listing]), ["cuda     cuBLASLt 12.8.5, /lib/libcublasLt.so.12", "cuda     cuBLASLt absent: not found"]);
    }

    #[test]
    fn an_absent_backend_says_why() {
        let absent = Listing { backend: "cuda".into(), absent: Some("no libcuda".into()), ..Listing::default() };
        assert_eq!(lines(&[absent]), ["cuda     absent: no libcuda"]);
    }
}
