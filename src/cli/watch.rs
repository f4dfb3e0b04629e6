//! `assay watch`: what devices say of themselves, again and again.

use super::Ending;
use crate::{
    record::{Device, Kind, Vitals},
    report::{self, Paper},
    runner::{self, Look, Seen},
    units::Nanos,
};
use anyhow::{Error, Result, bail};
use clap::Args;
use serde::Serialize;
use std::io::Write;

/// Shows clocks, power, temperature and what holds the clocks down, until it is stopped
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  assay watch
  assay watch --interval 200ms --count 50 --json | jq '.devices[0].vitals.power_instant_w'
  assay watch --prometheus > /var/lib/node_exporter/assay.prom")]
pub struct Arguments {
    /// Devices by id, UUID or bus address; every card and the CPU by default
    #[arg(long, value_name = "DEVICE")]
    device: Vec<String>,
    /// From one look to the next, for example 200ms or 10s
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_interval)]
    interval: Nanos,
    /// Looks to take; without end by default
    #[arg(long, value_name = "N", conflicts_with = "prometheus", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Print one JSON object a look
    #[arg(long, conflicts_with = "prometheus")]
    json: bool,
    /// Print Prometheus' text format: one look at the GPUs
    #[arg(long)]
    prometheus: bool,
    /// NVML library to load instead of the driver's own
    #[arg(long, env = "ASSAY_NVML_LIB", value_name = "PATH")]
    nvml_lib: Option<String>,
}

fn parse_interval(text: &str) -> Result<Nanos, String> {
    super::parse_time(text, 0.05)
}

/// A look as `--json` prints it.
#[derive(Serialize)]
struct Printed<'a> {
    at: String,
    devices: &'a [Seen],
}

/// # Errors
/// A device that there is not; a driver that breaks again and again; stdout that cannot be written.
pub fn run(arguments: &Arguments) -> Result<Ending> {
    let devices = devices(arguments)?;
    let look = Look {
        devices: devices.clone(),
        nvml_library: arguments.nvml_lib.clone(),
        all: arguments.prometheus,
        interval: arguments.interval,
        count: arguments.count.or(arguments.prometheus.then_some(1)),
    };
    let mut nothing = true;
    let mut drawn = 0;
    runner::watch(&look, &mut |seen| {
        nothing &= seen.iter().all(|one| one.absent.is_some());
        let mut text = text(arguments, &devices, &seen)?;
        let mut output = anstream::stdout().lock();
        if output.is_terminal() && !arguments.json && !arguments.prometheus {
            // The table stands where the one before stood. Lines end at the terminal's edge: those that go on below could not be counted.
            let back = if drawn > 0 { format!("\x1b[{drawn}A\x1b[J") } else { String::new() };
            drawn = text.lines().count();
            text = format!("{back}\x1b[?7l{text}\x1b[?7h");
        }
        write!(output, "{text}")?;
        Ok(output.flush()?)
    })?;
    Ok(if nothing { Ending::Nothing } else { Ending::Good })
}

/// The devices that are meant: by default each card once, however many backends see it.
fn devices(arguments: &Arguments) -> Result<Vec<Device>> {
    let listings = runner::list();
    let all: Vec<&Device> = listings.iter().flat_map(|listing| &listing.devices).collect();
    if !arguments.device.is_empty() {
        return Device::all_named(&arguments.device, &all).map_err(Error::msg);
    }
    let distinct = |device: &&&Device| device.twin(&all).is_none() && device.kind != Kind::Software;
    let distinct: Vec<Device> = all.iter().filter(distinct).map(|device| (*device).clone()).collect();
    if distinct.is_empty() {
        bail!("there is no device to watch; assay devices says why");
    }
    Ok(distinct)
}

fn text(arguments: &Arguments, devices: &[Device], seen: &[Seen]) -> Result<String> {
    if arguments.json {
        let at = jiff::Timestamp::now().round(jiff::Unit::Millisecond).unwrap_or_default().to_string();
        return Ok(serde_json::to_string(&Printed { at, devices: seen })? + "\n");
    }
    let of = |one: &Seen| devices.iter().find(|device| device.id == one.id);
    if arguments.prometheus {
        let known: Vec<(&Device, &Vitals)> = seen.iter().filter_map(|one| Some((of(one)?, &one.vitals))).collect();
        return Ok(report::prometheus(&known)?);
    }
    let rows: Vec<_> = seen.iter().filter_map(|one| Some((of(one)?, &one.vitals, one.absent.as_deref()))).collect();
    Ok(report::look(&rows, Paper::of_environment()))
}
