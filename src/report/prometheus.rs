//! Prometheus' text format, after its guide for names: base units, `_total` on counters, ratios from 0 to 1, and what merely
//! describes in `assay_gpu_info`, to be joined by `gpu_uuid`. A value that is not there has no line.

use crate::record::{Device, Kind, Vitals};
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};
use std::{fmt, sync::atomic::AtomicU64};

type Labels = Vec<(&'static str, String)>;

/// A metric, and the vitals that it holds, each under a value of its label; blank: without one.
struct Metric {
    name: &'static str,
    help: &'static str,
    unit: &'static str,
    counts: bool,
    /// From a vital's unit to the metric's.
    factor: f64,
    label: &'static str,
    of: &'static [(&'static str, &'static str)],
}

const fn gauge(name: &'static str, help: &'static str, unit: &'static str, label: &'static str) -> Metric {
    Metric { name, help, unit, counts: false, factor: 1.0, label, of: &[] }
}

const fn counter(name: &'static str, help: &'static str, unit: &'static str, label: &'static str) -> Metric {
    Metric { counts: true, ..gauge(name, help, unit, label) }
}

const METRICS: &[Metric] = &[
    Metric {
        of: &[("power_instant_w", "instant"), ("power_average_w", "average"), ("power_limit_w", "limit")],
        ..gauge("gpu_power", "Power of the board: of this instant, over a second, and its limit", "watts", "kind")
    },
    Metric { of: &[("energy_joules_total", "")], ..counter("gpu_energy", "Energy since the driver was loaded", "joules", "") },
    Metric {
        of: &[("temperature_c", "gpu"), ("temperature_memory_c", "memory")],
        ..gauge("gpu_temperature", "Temperature", "celsius", "sensor")
    },
    Metric {
        factor: 1e6,
        of: &[
            ("clock_sm_mhz", "sm"),
            ("clock_memory_mhz", "memory"),
            ("clock_graphics_mhz", "graphics"),
            ("clock_video_mhz", "video"),
        ],
        ..gauge("gpu_clock", "Clock", "hertz", "domain")
    },
    Metric {
        of: &[
            ("clock_event_sw_power_cap_seconds_total", "sw_power_cap"),
            ("clock_event_sync_boost_seconds_total", "sync_boost"),
            ("clock_event_sw_thermal_slowdown_seconds_total", "sw_thermal_slowdown"),
            ("clock_event_hw_thermal_slowdown_seconds_total", "hw_thermal_slowdown"),
            ("clock_event_hw_power_brake_slowdown_seconds_total", "hw_power_brake_slowdown"),
        ],
        ..counter("gpu_clock_event", "Time for which a reason held the clock down", "seconds", "reason")
    },
    Metric {
        of: &[("utilisation_ratio", "gpu"), ("utilisation_memory_ratio", "memory")],
        ..gauge("gpu_utilization", "Share of time in which some kernel ran, or memory was accessed", "ratio", "engine")
    },
    Metric { of: &[("memory_used_bytes", "")], ..gauge("gpu_memory_used", "Memory in use", "bytes", "") },
    Metric { of: &[("memory_total_bytes", "")], ..gauge("gpu_memory_size", "Memory there is", "bytes", "") },
    Metric { of: &[("pcie_replays_total", "")], ..counter("gpu_pcie_replays", "Retried transfers on PCIe", "", "") },
    Metric {
        of: &[("ecc_corrected_total", "corrected"), ("ecc_uncorrected_total", "uncorrected")],
        ..counter("gpu_ecc_errors", "Errors of memory since the driver was loaded", "", "kind")
    },
    Metric {
        of: &[("rows_remapped_corrected", "corrected"), ("rows_remapped_uncorrected", "uncorrected")],
        ..gauge("gpu_remapped_rows", "Rows of memory that were replaced, by what they had", "", "cause")
    },
];

/// One exposition of all GPUs; other devices have no such metrics.
///
/// # Errors
/// None that a string can give.
pub fn prometheus(devices: &[(&Device, &Vitals)]) -> Result<String, fmt::Error> {
    let gpus = || devices.iter().filter(|(device, _)| matches!(device.kind, Kind::Gpu | Kind::Fake));
    let mut registry = Registry::with_prefix("assay");
    let info = Family::<Labels, Gauge>::default();
    for (device, _) in gpus() {
        info.get_or_create(&described(device)).set(1);
    }
    registry.register("gpu_info", "What describes a GPU", info);
    for metric in METRICS {
        let values: Vec<(Labels, f64)> = gpus().flat_map(|(device, vitals)| metric.values(device, vitals)).collect();
        metric.register(values, &mut registry);
    }
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(in_order(&text))
}

/// The same exposition with the lines of each metric in order: the library keeps them in none, and a file that is written again and again
/// should change where figures do.
pub(super) fn in_order(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.chunk_by_mut(|a, b| a.starts_with('#') == b.starts_with('#')).for_each(|group| {
        if !group[0].starts_with('#') {
            group.sort_unstable();
        }
    });
    lines.join("\n") + "\n"
}

fn described(device: &Device) -> Labels {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    vec![
        ("gpu", device.id.clone()),
        ("gpu_uuid", text(&device.uuid)),
        ("model", device.model.clone()),
        ("driver", text(&device.driver)),
        ("vbios", device.facts.get("vbios").cloned().unwrap_or_default()),
        ("pci_bdf", text(&device.bus)),
    ]
}

impl Metric {
    fn values(&self, device: &Device, vitals: &Vitals) -> Vec<(Labels, f64)> {
        let who = ("gpu_uuid", device.uuid.clone().unwrap_or_else(|| device.id.clone()));
        let labels = |value: &str| {
            let own = (!self.label.is_empty()).then(|| (self.label, value.to_owned()));
            std::iter::once(who.clone()).chain(own).collect()
        };
        let value = |(name, label): &(&str, &str)| Some((labels(label), vitals.get(*name)?.number()? * self.factor));
        self.of.iter().filter_map(value).collect()
    }

    /// A metric without any value is left out.
    fn register(&self, values: Vec<(Labels, f64)>, registry: &mut Registry) {
        if values.is_empty() {
            return;
        }
        let unit = Unit::Other(self.unit.to_owned());
        if self.counts {
            let family = Family::<Labels, Counter<f64, AtomicU64>>::default();
            for (labels, value) in values {
                family.get_or_create(&labels).inc_by(value);
            }
            add(registry, self, unit, family);
        } else {
            let family = Family::<Labels, Gauge<f64, AtomicU64>>::default();
            for (labels, value) in values {
                family.get_or_create(&labels).set(value);
            }
            add(registry, self, unit, family);
        }
    }
}

fn add(registry: &mut Registry, metric: &Metric, unit: Unit, family: impl prometheus_client::registry::Metric) {
    if metric.unit.is_empty() {
        registry.register(metric.name, metric.help, family);
    } else {
        registry.register_with_unit(metric.name, metric.help, unit, family);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Absence, Vital};

    #[test]
    fn metrics_bear_base_units_and_what_is_absent_has_no_line() {
        let device = Device { uuid: Some("GPU-1".into()), ..Device::new("cuda:0", "cuda", Kind::Gpu, "NVIDIA \"H200\"") };
        let vitals = Vitals::from([
            ("power_instant_w".into(), Vital::Number(333.0)),
            ("energy_joules_total".into(), Vital::Number(5000.5)),
            ("clock_sm_mhz".into(), Vital::Number(1980.0)),
            ("clock_event_sw_power_cap_seconds_total".into(), Vital::Number(2.0)),
            ("temperature_c".into(), Vital::Absent { absent: Absence::Lost }),
            ("ecc_uncorrected_total".into(), Vital::Number(0.0)),
        ]);
        let text = prometheus(&[(&device, &vitals)]).expect("a string");
        for line in [
            "assay_gpu_power_watts{gpu_uuid=\"GPU-1\",kind=\"instant\"} 333.0",
            "assay_gpu_energy_joules_total{gpu_uuid=\"GPU-1\"} 5000.5",
            "assay_gpu_clock_hertz{gpu_uuid=\"GPU-1\",domain=\"sm\"} 1980000000.0",
            "assay_gpu_clock_event_seconds_total{gpu_uuid=\"GPU-1\",reason=\"sw_power_cap\"} 2.0",
            "assay_gpu_ecc_errors_total{gpu_uuid=\"GPU-1\",kind=\"uncorrected\"} 0.0",
            "# TYPE assay_gpu_power_watts gauge",
            "# EOF",
        ] {
            assert!(text.lines().any(|other| other == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("temperature"), "{text}");
        assert!(text.contains("model=\"NVIDIA \\\"H200\\\"\""), "{text}");
        assert!(!prometheus(&[(&Device::new("cpu:0", "cpu", Kind::Cpu, "x"), &vitals)]).expect("a string").contains("333"));
    }
}
