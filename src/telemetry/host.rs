//! The host's own sensors: load, clock and temperature of its cores, and memory in use.
//!
//! Cores that are measured pay for every look, so what is dear to read (the clock of each core interrupts that core) is read once
//! a second; between, those fields are blank.

use super::monitor::{Gauges, Pace};
use crate::{
    contract::Probe,
    record::{Absence, Reading, Vital},
    units::{Celsius, Megahertz, Nanos},
};
use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    time::{Duration, Instant},
};
use sysinfo::{Components, CpuRefreshKind, MINIMUM_CPU_UPDATE_INTERVAL, System};

/// Time between two looks at clocks and temperature.
const SLOW: Duration = Duration::from_secs(1);
/// Words in the label of a sensor that sits on the processor: Intel, AMD, and the usual names on ARM boards.
const PROCESSOR_SENSORS: &[&str] = &["package", "tctl", "tdie", "coretemp", "k10temp", "cpu", "soc"];

/// A probe of the whole machine.
pub struct Host {
    system: System,
    sensors: Option<Components>,
    load_read: Instant,
    slow_read: Option<Instant>,
}

impl Host {
    /// # Errors
    /// When the system tells nothing at all.
    pub fn open() -> Result<Self, String> {
        let mut system = System::new().map_err(|error| format!("the host's load cannot be read: {error}"))?;
        system.refresh_cpu_specifics(CpuRefreshKind::nothing().with_usage());
        let sensors = Components::new_with_refreshed_list().ok();
        Ok(Self { system, sensors, load_read: Instant::now(), slow_read: None })
    }

    /// Busy share of all cores since the last look, 0 to 1; blank when that was too short ago to tell.
    fn load(&mut self) -> Option<f64> {
        if self.load_read.elapsed() < MINIMUM_CPU_UPDATE_INTERVAL {
            return None;
        }
        self.load_read = Instant::now();
        self.system.refresh_cpu_specifics(CpuRefreshKind::nothing().with_usage());
        let share = f64::from(self.system.global_cpu_usage()) / 100.0;
        share.is_finite().then(|| share.clamp(0.0, 1.0))
    }

    fn memory_used(&mut self) -> Option<u64> {
        self.system.refresh_memory();
        let (total, available) = (self.system.total_memory(), self.system.available_memory());
        (total > 0).then(|| total.saturating_sub(available))
    }

    /// The hottest sensor on the processor.
    fn celsius(&mut self) -> Option<Celsius> {
        let sensors = self.sensors.iter_mut().flat_map(|sensors| sensors.iter_mut());
        let readings = sensors.filter(|sensor| is_on_the_processor(sensor.label())).filter_map(|sensor| {
            sensor.refresh();
            sensor.temperature().filter(|celsius| celsius.is_finite()).map(f64::from)
        });
        readings.reduce(f64::max).map(Celsius)
    }
}

/// The same values by name, for whoever wants to know why one is missing. What is read once a second holds until the next time.
pub struct HostGauges {
    host: Host,
    last: Reading,
}

impl HostGauges {
    pub fn new(host: Host) -> Self {
        Self { host, last: Reading::default() }
    }
}

impl Gauges for HostGauges {
    fn names(&self, _: Pace) -> BTreeSet<&'static str> {
        BTreeSet::from(["clock_core_mhz", "temperature_c", "utilisation_ratio", "memory_used_bytes"])
    }

    fn read(&mut self, _: Pace, tell: &mut dyn FnMut(&'static str, Vital)) {
        if self.last.utilisation.is_none() {
            // The first load is that since the gauges were opened.
            std::thread::sleep(MINIMUM_CPU_UPDATE_INTERVAL.saturating_sub(self.host.load_read.elapsed()));
        }
        let (now, last) = (self.host.read(Nanos(0)), &self.last);
        self.last = Reading {
            sm_mhz: now.sm_mhz.or(last.sm_mhz),
            celsius: now.celsius.or(last.celsius),
            utilisation: now.utilisation.or(last.utilisation),
            ..now
        };
        let told = [
            ("clock_core_mhz", self.last.sm_mhz.map(|clock| f64::from(clock.0))),
            ("temperature_c", self.last.celsius.map(|celsius| celsius.0)),
            ("utilisation_ratio", self.last.utilisation),
            ("memory_used_bytes", self.last.memory_used_bytes.map(|bytes| bytes as f64)),
        ];
        for (name, value) in told {
            tell(name, value.map_or(Vital::Absent { absent: Absence::NotSupported }, Vital::Number));
        }
    }
}

impl Probe for Host {
    fn source(&self) -> &'static str {
        "host"
    }

    fn read(&mut self, at: Nanos) -> Reading {
        let mut reading = Reading { at, utilisation: self.load(), memory_used_bytes: self.memory_used(), ..Reading::default() };
        if self.slow_read.is_none_or(|last| last.elapsed() >= SLOW) {
            self.slow_read = Some(Instant::now());
            reading.sm_mhz = clock(Path::new("/"));
            reading.celsius = self.celsius();
        }
        reading
    }
}

fn is_on_the_processor(label: &str) -> bool {
    let label = label.to_lowercase();
    PROCESSOR_SENSORS.iter().any(|word| label.contains(word))
}

/// Mean clock of all cores: by the frequency driver, else by what x86 prints in `cpuinfo`. The bogus rate that ARM prints there
/// (`BogoMIPS`) is no clock and is not taken for one.
fn clock(root: &Path) -> Option<Megahertz> {
    let driver: Vec<f64> = fs::read_dir(root.join("sys/devices/system/cpu"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|core| fs::read_to_string(core.path().join("cpufreq/scaling_cur_freq")).ok())
        .filter_map(|kilohertz| Some(kilohertz.trim().parse::<f64>().ok()? * 1e-3))
        .collect();
    if !driver.is_empty() {
        return mean(&driver);
    }
    let printed = fs::read_to_string(root.join("proc/cpuinfo")).ok()?;
    let printed: Vec<f64> = printed
        .lines()
        .filter(|line| line.starts_with("cpu MHz"))
        .filter_map(|line| line.split_once(':')?.1.trim().parse().ok())
        .collect();
    mean(&printed)
}

#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "megahertz of some cores")]
fn mean(megahertz: &[f64]) -> Option<Megahertz> {
    let mean = megahertz.iter().sum::<f64>() / megahertz.len() as f64;
    (mean > 0.0).then(|| Megahertz(mean.round() as u32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::node::tests::Root;
    use std::thread;

    #[test]
    fn a_busy_core_shows_as_load() {
        let mut host = Host::open().expect("a host");
        let first = host.read(Nanos(0));
        assert_eq!(first.utilisation, None, "no time has passed: blank, not zero");
        let begin = Instant::now();
        let mut spins = 0_u64;
        while begin.elapsed() < Duration::from_millis(300) {
            spins = std::hint::black_box(spins + 1);
        }
        let second = host.read(Nanos(1));
        let load = second.utilisation.expect("time has passed");
        assert!(load > 0.0 && load <= 1.0, "load {load} after {spins} spins");
        assert!(second.memory_used_bytes.is_some_and(|used| used > 0 && used < host.system.total_memory()));
        assert_eq!(second.sm_mhz, None, "the clock is read once a second");
        thread::sleep(SLOW);
        assert_eq!(host.read(Nanos(2)).at, Nanos(2));
    }

    #[test]
    fn only_sensors_on_the_processor_count() {
        for label in ["coretemp Package id 0", "k10temp Tctl", "cpu_thermal temp1"] {
            assert!(is_on_the_processor(label), "{label}");
        }
        for label in ["nvme Composite Samsung", "acpitz temp1", "iwlwifi_1 temp1"] {
            assert!(!is_on_the_processor(label), "{label}");
        }
    }

    #[test]
    fn the_clock_is_the_drivers_then_cpuinfos_then_blank() {
        let root = Root::new("clock");
        assert_eq!(clock(root.path()), None);
        root.write("proc/cpuinfo", "processor\t: 0\nBogoMIPS\t: 50.00\n");
        assert_eq!(clock(root.path()), None, "BogoMIPS is no clock");
        root.write("proc/cpuinfo", "cpu MHz\t\t: 2000.4\nbogomips\t: 9.9\ncpu MHz\t\t: 3000.0\n");
        assert_eq!(clock(root.path()), Some(Megahertz(2500)));
        root.write("sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "3600000\n");
        root.write("sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq", "3400000\n");
        assert_eq!(clock(root.path()), Some(Megahertz(3500)));
    }
}
