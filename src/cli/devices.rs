//! `assay devices`: what every backend found, or why it found nothing.

use super::Ending;
use crate::{
    contract::Listing,
    record::{Device, Kind},
    runner,
    units::Bytes,
};
use anyhow::Result;
use clap::Args;
use std::io::Write;

/// Lists accelerators, backend by backend, or says why there are none
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  assay devices\n  assay devices --json | jq '.[].devices[].model'")]
pub struct Arguments {
    /// Print JSON instead of lines
    #[arg(long)]
    json: bool,
}

/// # Errors
/// When stdout cannot be written.
pub fn run(arguments: &Arguments) -> Result<Ending> {
    let listings = runner::list();
    let mut output = std::io::stdout().lock();
    if arguments.json {
        writeln!(output, "{}", serde_json::to_string_pretty(&listings)?)?;
    } else {
        for line in lines(&listings) {
            writeln!(output, "{line}")?;
        }
    }
    let found = listings.iter().any(|listing| !listing.devices.is_empty());
    Ok(if found { Ending::Good } else { Ending::Nothing })
}

fn lines(listings: &[Listing]) -> Vec<String> {
    let all: Vec<&Device> = listings.iter().flat_map(|listing| &listing.devices).collect();
    let mut lines = Vec::new();
    for listing in listings {
        lines.extend(listing.devices.iter().map(|device| describe(device, &all)));
        if let Some(why) = listing.absent.as_ref().filter(|_| listing.devices.is_empty()) {
            lines.push(format!("{:<8} absent: {why}", listing.backend));
        }
    }
    lines
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
        let listing =
            |backend: &str, devices: &[Device]| Listing { backend: backend.into(), devices: devices.to_vec(), absent: None };
        let lines = lines(&[listing("cuda", &cuda), listing("wgpu", &wgpu)]);
        assert!(lines[2].contains("the same card as cuda:1"), "{lines:?}");
        assert!(!lines[3].contains("same card") && !lines[0].contains("same card"), "{lines:?}");
    }

    #[test]
    fn an_absent_backend_says_why() {
        let absent = Listing { backend: "cuda".into(), devices: Vec::new(), absent: Some("no libcuda".into()) };
        assert_eq!(lines(&[absent]), ["cuda     absent: no libcuda"]);
    }
}
