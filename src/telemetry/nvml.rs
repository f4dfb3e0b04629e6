//! NVML: what NVIDIA's driver knows of a card.
//!
//! The library is found at run time, so a machine without the driver costs one sentence. Every getter may fail on its own (a
//! data-center card has no fan, a MIG slice no power of its own, an old driver lacks a symbol): its field is then blank.

use super::{
    Others,
    vitals::{CardGauges, plain},
};
use crate::{
    contract::Probe,
    record::{Device, Reading},
    units::{Celsius, Joules, Megahertz, Milliwatts, Nanos},
};
use nvml_wrapper::{
    Device as Card, Nvml,
    bitmasks::event::EventTypes,
    enum_wrappers::device::{Clock, TemperatureSensor, TemperatureThreshold},
    enums::event::XidError,
    error::{Bits, NvmlError},
    struct_wrappers::device::FieldValueSample,
    structs::device::FieldId,
    sys_exports::field_id,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    path::Path,
    sync::mpsc,
    thread,
    time::Duration,
};

/// Reasons that hold a clock down, by the bit that NVML gives each (`nvmlClocksEventReasons` in `nvml.h`).
const LIMITS: &[&str] = &[
    "gpu_idle",
    "applications_clocks_setting",
    "sw_power_cap",
    "hw_slowdown",
    "sync_boost",
    "sw_thermal_slowdown",
    "hw_thermal_slowdown",
    "hw_power_brake_slowdown",
    "display_clock_setting",
];

/// Milliseconds that one wait for an event takes at most.
const WAIT: u32 = 1000;
/// A storm of events is told at no more than a thousand a second.
const STORM: Duration = Duration::from_millis(1);
/// How long the library may take to say that it will tell of events.
const PATIENCE: Duration = Duration::from_secs(2);

/// The library, loaded and initialised.
#[derive(Clone, Copy)]
pub struct Library {
    /// Never unloaded: handles live in probes on other threads, and a driver's library does not survive being unloaded and
    /// loaded again as reliably as it survives the end of the process.
    nvml: &'static Nvml,
}

impl Library {
    /// Loads the library named, else the one that the driver installed.
    ///
    /// # Errors
    /// What is missing, in words, and what helps.
    pub fn open(path: Option<&Path>) -> Result<Self, String> {
        let loaded = path.map_or_else(Nvml::init, |path| Nvml::builder().lib_path(path.as_os_str()).init());
        let nvml = loaded.map_err(|error| absence(path, &error))?;
        Ok(Self { nvml: Box::leak(Box::new(nvml)) })
    }

    /// Versions of the driver, of NVML itself and of the newest CUDA that the driver runs.
    pub fn versions(self) -> BTreeMap<String, String> {
        let cuda = |version| format!("{}.{}", version / 1000, version % 1000 / 10);
        let found = [
            ("nvidia_driver", self.nvml.sys_driver_version().ok()),
            ("nvml", self.nvml.sys_nvml_version().ok()),
            ("cuda_driver", self.nvml.sys_cuda_driver_version().ok().map(cuda)),
        ];
        found.into_iter().filter_map(|(name, version)| Some((name.to_owned(), version?))).collect()
    }

    /// The slices of cards that are cut by MIG and the cards that are whole, by UUID; empty where none is cut, for a process sees all then.
    pub fn units(self) -> Vec<String> {
        let cards = (0..self.nvml.device_count().unwrap_or(0)).filter_map(|index| self.nvml.device_by_index(index).ok());
        let (cut, whole): (Vec<Card>, Vec<Card>) = cards.partition(|card| card.mig_mode().is_ok_and(|mode| mode.current != 0));
        let slices = |card: &Card| -> Vec<String> {
            let slice = |index| card.mig_device_by_index(index).ok()?.uuid().ok();
            (0..card.mig_device_count().unwrap_or(0)).filter_map(slice).collect()
        };
        let slices: Vec<String> = cut.iter().flat_map(slices).collect();
        if slices.is_empty() {
            slices
        } else {
            slices.into_iter().chain(whole.iter().filter_map(|card| card.uuid().ok())).collect()
        }
    }

    /// Fills the blanks of a device, and adds facts under names of their own.
    ///
    /// # Errors
    /// Why NVML does not know the device.
    pub fn describe(self, device: &mut Device) -> Result<(), String> {
        let (slice, card) = self.find(device)?;
        if device.model.is_empty() {
            device.model = slice.name().unwrap_or_default();
        }
        fill(&mut device.uuid, slice.uuid());
        fill(&mut device.bus, card.pci_info().map(|pci| canonical_bus(&pci.bus_id)));
        fill(&mut device.driver, self.nvml.sys_driver_version());
        fill(&mut device.boost_mhz, card.max_clock_info(Clock::SM).map(Megahertz));
        fill(&mut device.memory_mhz, card.max_clock_info(Clock::Memory).map(Megahertz));
        fill(&mut device.ecc, card.is_ecc_enabled().map(|mode| mode.currently_enabled));
        fill(&mut device.bus_bits, card.memory_bus_width());
        device.facts.extend(facts(&card));
        if slice.mig_is_mig_device_handle().unwrap_or(false) {
            share(&slice, &card, device);
        }
        Ok(())
    }

    /// The sensors of a device.
    ///
    /// # Errors
    /// Why NVML does not know the device.
    pub fn probe(self, device: &Device) -> Result<Box<dyn Probe>, String> {
        let (_, card) = self.find(device)?;
        Ok(Box::new(Sensors { card }))
    }

    /// What others do on a device.
    pub fn others(self, device: &Device) -> Option<Others> {
        let (slice, card) = self.find(device).ok()?;
        let processes = slice.running_compute_processes().ok()?;
        let processes = processes.iter().filter(|process| process.pid != std::process::id()).count() as u64;
        Some(Others { processes, utilisation: card.utilization_rates().ok().map(|rates| f64::from(rates.gpu) / 100.0) })
    }

    /// Words for a device that fell off its bus, as far as the driver knows.
    pub fn lost(self, device: &Device) -> Option<String> {
        let lost = matches!(self.find(device).ok()?.1.clock_info(Clock::SM), Err(NvmlError::GpuLost));
        lost.then(|| format!("NVML says that {} is lost: it fell off its bus, or no longer answers", device.id))
    }

    /// Everything that NVML has of a device.
    ///
    /// # Errors
    /// Why NVML does not know the device.
    pub fn gauges(self, device: &Device) -> Result<CardGauges, String> {
        let (slice, card) = self.find(device)?;
        Ok(CardGauges { slice, card })
    }

    /// Has `tell` called with the number of each Xid of a device, on a thread of its own.
    ///
    /// # Errors
    /// Why NVML tells of none.
    pub fn watch(self, device: &Device, mut tell: impl FnMut(u32) + Send + 'static) -> Result<(), String> {
        let (_, card) = self.find(device)?;
        let nvml = self.nvml;
        let (ready, begun) = mpsc::channel();
        let events = move || {
            let set = nvml.create_event_set().map_err(|error| error.to_string());
            let register = |set| card.register_events(EventTypes::CRITICAL_XID_ERROR, set).map_err(|error| error.to_string());
            let set = match set.and_then(register) {
                Ok(set) => set,
                Err(why) => return drop(ready.send(Err(why))),
            };
            let _ = ready.send(Ok(()));
            loop {
                match set.wait(WAIT) {
                    Ok(event) => {
                        event.event_data.into_iter().for_each(|error| tell(number(&error)));
                        thread::sleep(STORM);
                    }
                    Err(NvmlError::Timeout) => {}
                    // A card that is lost tells of nothing more; the kernel's log does.
                    Err(_) => break,
                }
            }
        };
        thread::Builder::new().name("faults".into()).spawn(events).map_err(|error| error.to_string())?;
        let waiting = || "it did not answer in time".to_owned();
        let begun = begun.recv_timeout(PATIENCE).map_err(|_| waiting()).flatten();
        begun.map_err(|why| format!("NVML tells of no faults of {}: {why}", device.id))
    }

    /// The device itself, and the card it is on: the same but for a MIG slice, which has no sensors of its own.
    fn find(self, device: &Device) -> Result<(Card<'static>, Card<'static>), String> {
        let slice = self.handle(device)?;
        let card = if slice.mig_is_mig_device_handle().unwrap_or(false) {
            slice.mig_parent_device().map_err(|error| format!("NVML does not tell which card {} is on: {error}", device.id))?
        } else {
            self.handle(device)?
        };
        Ok((slice, card))
    }

    fn handle(self, device: &Device) -> Result<Card<'static>, String> {
        let (name, found) = match (&device.uuid, &device.bus) {
            (Some(uuid), _) => (uuid, self.nvml.device_by_uuid(uuid.as_str())),
            (None, Some(bus)) => (bus, self.nvml.device_by_pci_bus_id(bus.as_str())),
            (None, None) => return Err(format!("{} tells neither UUID nor PCI address to find it by in NVML", device.id)),
        };
        found.map_err(|error| format!("NVML does not know {} ({name}): {error}", device.id))
    }
}

/// Sensors of one device, read without ever failing whole.
struct Sensors {
    card: Card<'static>,
}

impl Probe for Sensors {
    fn source(&self) -> &'static str {
        "nvml"
    }

    fn read(&mut self, at: Nanos) -> Reading {
        let card = &self.card;
        let fields = Fields::read(card);
        let power = fields.get(field_id::NVML_FI_DEV_POWER_INSTANT).or_else(|| card.power_usage().ok().map(f64::from));
        let energy = || card.total_energy_consumption().ok().map(|millijoules| millijoules as f64);
        Reading {
            at,
            sm_mhz: card.clock_info(Clock::SM).ok().map(Megahertz),
            memory_mhz: card.clock_info(Clock::Memory).ok().map(Megahertz),
            power_mw: power.map(|milliwatts| Milliwatts(milliwatts as u64)),
            energy_j: fields.get(field_id::NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION).or_else(energy).map(|mj| Joules(mj * 1e-3)),
            celsius: card.temperature(TemperatureSensor::Gpu).ok().map(|celsius| Celsius(celsius.into())),
            memory_celsius: fields.get(field_id::NVML_FI_DEV_MEMORY_TEMP).map(Celsius),
            // What others do, and what they hold, is asked before and after: those calls are slow, and disturb.
            utilisation: None,
            memory_used_bytes: None,
            limits: limits(card).ok(),
            violation_ns: fields.violations(),
        }
    }
}

/// Running totals of the time under each reason, by the field that holds them.
const VIOLATIONS: &[(u32, &str)] = &[
    (field_id::NVML_FI_DEV_CLOCKS_EVENT_REASON_SW_POWER_CAP, "sw_power_cap"),
    (field_id::NVML_FI_DEV_CLOCKS_EVENT_REASON_SYNC_BOOST, "sync_boost"),
    (field_id::NVML_FI_DEV_CLOCKS_EVENT_REASON_SW_THERM_SLOWDOWN, "sw_thermal_slowdown"),
    (field_id::NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN, "hw_thermal_slowdown"),
    (field_id::NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN, "hw_power_brake_slowdown"),
];

/// Fields that one call reads together: power of this instant, where `nvmlDeviceGetPowerUsage` gives the mean of a second on most
/// cards since Ampere; energy; the memory's temperature; time under each reason.
struct Fields(Vec<f64>);

impl Fields {
    const FIRST: [u32; 3] =
        [field_id::NVML_FI_DEV_POWER_INSTANT, field_id::NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION, field_id::NVML_FI_DEV_MEMORY_TEMP];

    fn numbers() -> impl Iterator<Item = u32> {
        Self::FIRST.into_iter().chain(VIOLATIONS.iter().map(|(number, _)| *number))
    }

    /// What is absent is not a number. Samples come in the order in which they were asked for; drivers number some fields differently.
    fn read(card: &Card) -> Self {
        let wanted: Vec<FieldId> = Self::numbers().map(FieldId).collect();
        let samples = card.field_values_for(&wanted).unwrap_or_default();
        let value = |sample: Result<FieldValueSample, NvmlError>| sample.ok()?.value.ok().map(|value| plain(&value));
        Self(samples.into_iter().map(|sample| value(sample).unwrap_or(f64::NAN)).collect())
    }

    fn get(&self, number: u32) -> Option<f64> {
        let place = Self::numbers().position(|other| other == number)?;
        self.0.get(place).copied().filter(|value| !value.is_nan())
    }

    fn violations(&self) -> BTreeMap<String, u64> {
        let total = |(number, name): &(u32, &str)| Some(((*name).to_owned(), self.get(*number)? as u64));
        VIOLATIONS.iter().filter_map(total).collect()
    }
}

/// NVML gives 999 for what it has no number for.
fn number(error: &XidError) -> u32 {
    match error {
        XidError::Value(number) => u32::try_from(*number).unwrap_or(u32::MAX),
        XidError::Unknown => 999,
    }
}

/// What is worth keeping of a card, by name and with the unit in it; what it does not tell is left out.
fn facts(card: &Card) -> BTreeMap<String, String> {
    let threshold = |kind| text(card.temperature_threshold(kind));
    let found = [
        ("vbios", text(card.vbios_version())),
        ("power_limit_default_mw", text(card.power_management_limit_default())),
        ("power_limit_enforced_mw", text(card.enforced_power_limit())),
        ("celsius_slowdown", threshold(TemperatureThreshold::Slowdown)),
        ("celsius_shutdown", threshold(TemperatureThreshold::Shutdown)),
        ("celsius_gpu_max", threshold(TemperatureThreshold::GpuMax)),
        ("celsius_memory_max", threshold(TemperatureThreshold::MemoryMax)),
        ("mig", card.mig_mode().ok().map(|mode| if mode.current == 0 { "off".into() } else { "on".into() })),
        ("nvml_name", text(card.name())),
    ];
    found.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// What of its card a MIG slice has, so that its peak is that of the slice: multiprocessors, and eighths of the memory, each with its part of
/// the bus (NVIDIA MIG User Guide, GPU instance profiles). A backend may have told the slice's own already.
fn share(slice: &Card, card: &Card, device: &mut Device) {
    if let Ok(attributes) = slice.attributes() {
        let units = attributes.multiprocessor_count;
        device.facts.insert("mig_units".into(), units.to_string());
        device.units = Some(device.units.map_or(units, |known| known.min(units)));
    }
    let memory = |card: &Card| card.memory_info().map(|memory| memory.total as f64);
    let (Ok(own), Ok(all), Ok(bits)) = (memory(slice), memory(card), card.memory_bus_width()) else { return };
    let eighths = (own / all * 8.0).round().clamp(1.0, 8.0) as u32;
    device.facts.insert("mig_memory_eighths".into(), eighths.to_string());
    if device.bus_bits == Some(bits) {
        device.bus_bits = Some(bits * eighths / 8);
    }
}

fn text<T: Display>(value: Result<T, NvmlError>) -> Option<String> {
    value.ok().map(|value| value.to_string())
}

fn fill<T>(blank: &mut Option<T>, value: Result<T, NvmlError>) {
    if blank.is_none() {
        *blank = value.ok();
    }
}

/// The reasons as a set. The strict getter is asked, since its error hands out the bits that the wrapper has no name for.
pub fn limits(card: &Card) -> Result<BTreeSet<String>, NvmlError> {
    match card.current_throttle_reasons_strict() {
        Ok(reasons) => Ok(names(reasons.bits())),
        Err(NvmlError::IncorrectBits(Bits::U64(bits))) => Ok(names(bits)),
        Err(error) => Err(error),
    }
}

fn names(bits: u64) -> BTreeSet<String> {
    let set = (0..64).filter(|bit| bits >> bit & 1 == 1);
    set.map(|bit| LIMITS.get(bit).map_or_else(|| format!("bit_{bit}"), |name| (*name).to_owned())).collect()
}

/// `domain:bus:device.function` in lower case with four digits of domain, where NVML prints eight.
fn canonical_bus(bus: &str) -> String {
    let bus = bus.to_lowercase();
    match bus.split_once(':') {
        Some((domain, rest)) => match u32::from_str_radix(domain, 16) {
            Ok(domain) => format!("{domain:04x}:{rest}"),
            Err(_) => bus,
        },
        None => bus,
    }
}

/// Why there is no NVML, and what helps.
fn absence(path: Option<&Path>, error: &NvmlError) -> String {
    let library = path.map_or_else(|| "libnvidia-ml.so.1".to_owned(), |path| path.display().to_string());
    match error {
        NvmlError::LibloadingError(_) => {
            format!("no NVML library ({library} cannot be loaded): install the NVIDIA driver, or name the file with --nvml-lib")
        }
        NvmlError::FailedToLoadSymbol(_) => format!("{library} is not NVML: name another file with --nvml-lib"),
        NvmlError::DriverNotLoaded => {
            "NVML is installed, but the NVIDIA driver is not loaded: modprobe nvidia, or restart".to_owned()
        }
        NvmlError::NoPermission => "NVML may not talk to the NVIDIA driver: check who may open /dev/nvidiactl".to_owned(),
        other => format!("NVML does not start: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_a_set_and_unknown_bits_survive() {
        assert!(names(0).is_empty());
        let expected = ["bit_40", "sw_power_cap", "sw_thermal_slowdown"].map(String::from);
        assert_eq!(names(1 << 40 | 0x4 | 0x20), BTreeSet::from(expected));
        assert_eq!(names(u64::MAX).len(), 64);
    }

    #[test]
    fn addresses_are_spelled_in_one_way() {
        assert_eq!(canonical_bus("00000000:0A:00.0"), "0000:0a:00.0");
        assert_eq!(canonical_bus("00010002:3B:00.0"), "10002:3b:00.0");
        assert_eq!(canonical_bus("odd"), "odd");
    }
}
