//! Every value that NVML has of a card, a row each.
//!
//! What one call reads together is read together. What is dear or has no use ten times a second (counters of errors, links, what
//! runs there) is read only when all is asked for. Sources: NVML API Reference Guide, `nvml.h`.

use super::{
    monitor::{Gauges, Pace},
    nvml::limits,
};
use crate::record::{Absence, Vital};
use nvml_wrapper::{
    Device as Card,
    enum_wrappers::device::{Clock, EccCounter, MemoryError, TemperatureSensor, TemperatureThreshold},
    enums::device::SampleValue,
    error::NvmlError,
    structs::device::FieldId,
    sys_exports::field_id,
};
use std::collections::BTreeSet;

/// NVLink has no more links than this on a card so far (`NVML_NVLINK_MAX_LINKS`).
const LINKS: u32 = 18;

/// How a row is read.
enum Of {
    /// A field of the batch, times a factor.
    Field(u32, f64),
    /// A call on the card.
    Card(fn(&Card) -> Result<Vital, NvmlError>),
    /// A call on the slice, where the device is one.
    Slice(fn(&Card) -> Result<Vital, NvmlError>),
}

struct Row {
    name: &'static str,
    pace: Pace,
    of: Of,
}

const fn often(name: &'static str, of: Of) -> Row {
    Row { name, pace: Pace::Often, of }
}

const fn seldom(name: &'static str, of: Of) -> Row {
    Row { name, pace: Pace::All, of }
}

const ROWS: &[Row] = &[
    often("clock_sm_mhz", Of::Card(|card| number(card.clock_info(Clock::SM)))),
    often("clock_memory_mhz", Of::Card(|card| number(card.clock_info(Clock::Memory)))),
    often("clock_graphics_mhz", Of::Card(|card| number(card.clock_info(Clock::Graphics)))),
    often("clock_video_mhz", Of::Card(|card| number(card.clock_info(Clock::Video)))),
    often("power_instant_w", Of::Field(field_id::NVML_FI_DEV_POWER_INSTANT, 1e-3)),
    often("power_average_w", Of::Card(|card| scaled(card.power_usage(), 1e-3))),
    often("power_limit_w", Of::Card(|card| scaled(card.enforced_power_limit(), 1e-3))),
    often("energy_joules_total", Of::Field(field_id::NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION, 1e-3)),
    often("temperature_c", Of::Card(|card| number(card.temperature(TemperatureSensor::Gpu)))),
    often("temperature_memory_c", Of::Field(field_id::NVML_FI_DEV_MEMORY_TEMP, 1.0)),
    often("clock_events", Of::Card(|card| limits(card).map(Vital::Names))),
    often("clock_event_sw_power_cap_seconds_total", Of::Field(field_id::NVML_FI_DEV_CLOCKS_EVENT_REASON_SW_POWER_CAP, 1e-9)),
    often("clock_event_sync_boost_seconds_total", Of::Field(field_id::NVML_FI_DEV_CLOCKS_EVENT_REASON_SYNC_BOOST, 1e-9)),
    often(
        "clock_event_sw_thermal_slowdown_seconds_total",
        Of::Field(field_id::NVML_FI_DEV_CLOCKS_EVENT_REASON_SW_THERM_SLOWDOWN, 1e-9),
    ),
    often(
        "clock_event_hw_thermal_slowdown_seconds_total",
        Of::Field(field_id::NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN, 1e-9),
    ),
    often(
        "clock_event_hw_power_brake_slowdown_seconds_total",
        Of::Field(field_id::NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN, 1e-9),
    ),
    often("utilisation_ratio", Of::Card(|card| scaled(card.utilization_rates().map(|rates| rates.gpu), 1e-2))),
    often("utilisation_memory_ratio", Of::Card(|card| scaled(card.utilization_rates().map(|rates| rates.memory), 1e-2))),
    often("memory_used_bytes", Of::Slice(|slice| large(slice.memory_info().map(|memory| memory.used)))),
    often("memory_total_bytes", Of::Slice(|slice| large(slice.memory_info().map(|memory| memory.total)))),
    often(
        "performance_state",
        Of::Card(|card| card.performance_state().map(|state| Vital::Text(format!("{state:?}").to_lowercase()))),
    ),
    often("pcie_generation", Of::Card(|card| number(card.current_pcie_link_gen()))),
    often("pcie_width", Of::Card(|card| number(card.current_pcie_link_width()))),
    seldom("clock_max_sm_mhz", Of::Card(|card| number(card.max_clock_info(Clock::SM)))),
    seldom("clock_max_memory_mhz", Of::Card(|card| number(card.max_clock_info(Clock::Memory)))),
    seldom("power_limit_default_w", Of::Card(|card| scaled(card.power_management_limit_default(), 1e-3))),
    seldom("temperature_slowdown_c", Of::Card(|card| number(card.temperature_threshold(TemperatureThreshold::Slowdown)))),
    seldom("pcie_generation_max", Of::Card(|card| number(card.max_pcie_link_gen()))),
    seldom("pcie_width_max", Of::Card(|card| number(card.max_pcie_link_width()))),
    seldom("pcie_replays_total", Of::Card(|card| number(card.pcie_replay_counter()))),
    seldom("pcie_errors_fatal_total", Of::Field(field_id::NVML_FI_DEV_PCIE_COUNT_FATAL_ERROR, 1.0)),
    seldom("pcie_errors_non_fatal_total", Of::Field(field_id::NVML_FI_DEV_PCIE_COUNT_NON_FATAL_ERROR, 1.0)),
    seldom("ecc_mode", Of::Card(|card| switch(card.is_ecc_enabled().map(|mode| mode.currently_enabled)))),
    seldom("ecc_corrected_total", Of::Card(|card| large(card.total_ecc_errors(MemoryError::Corrected, EccCounter::Volatile)))),
    seldom("ecc_uncorrected_total", Of::Card(|card| large(card.total_ecc_errors(MemoryError::Uncorrected, EccCounter::Volatile)))),
    seldom(
        "ecc_uncorrected_lifetime_total",
        Of::Card(|card| large(card.total_ecc_errors(MemoryError::Uncorrected, EccCounter::Aggregate))),
    ),
    seldom("rows_remapped_corrected", Of::Field(field_id::NVML_FI_DEV_REMAPPED_COR, 1.0)),
    seldom("rows_remapped_uncorrected", Of::Field(field_id::NVML_FI_DEV_REMAPPED_UNC, 1.0)),
    seldom("row_remap_pending", Of::Field(field_id::NVML_FI_DEV_REMAPPED_PENDING, 1.0)),
    seldom("row_remap_failed", Of::Field(field_id::NVML_FI_DEV_REMAPPED_FAILURE, 1.0)),
    seldom("pages_retired_pending", Of::Field(field_id::NVML_FI_DEV_RETIRED_PENDING, 1.0)),
    seldom("nvlink_active", Of::Card(links)),
    seldom("recovery_action", Of::Field(field_id::NVML_FI_DEV_GET_GPU_RECOVERY_ACTION, 1.0)),
    seldom("mig_mode", Of::Card(|card| switch(card.mig_mode().map(|mode| mode.current != 0)))),
    seldom("persistence_mode", Of::Card(|card| switch(card.is_in_persistent_mode()))),
    seldom(
        "processes",
        Of::Card(|card| number(card.running_compute_processes().map(|all| u32::try_from(all.len()).unwrap_or(u32::MAX)))),
    ),
];

fn number(value: Result<u32, NvmlError>) -> Result<Vital, NvmlError> {
    scaled(value, 1.0)
}

fn scaled(value: Result<u32, NvmlError>, factor: f64) -> Result<Vital, NvmlError> {
    value.map(|value| Vital::Number(f64::from(value) * factor))
}

fn large(value: Result<u64, NvmlError>) -> Result<Vital, NvmlError> {
    value.map(|value| Vital::Number(value as f64))
}

fn switch(value: Result<bool, NvmlError>) -> Result<Vital, NvmlError> {
    value.map(|on| Vital::Text(if on { "on" } else { "off" }.into()))
}

/// Links that are up; not supported where the first cannot be asked.
fn links(card: &Card) -> Result<Vital, NvmlError> {
    let first = card.link_wrapper_for(0).is_active()?;
    let others = (1..LINKS).map_while(|link| card.link_wrapper_for(link).is_active().ok()).filter(|up| *up).count();
    Ok(Vital::Number(others as f64 + f64::from(u8::from(first))))
}

/// Why a call gave nothing. A call that an old driver lacks is one that it does not support.
fn absent(error: &NvmlError) -> Vital {
    let absent = match error {
        NvmlError::NotSupported | NvmlError::FailedToLoadSymbol(_) | NvmlError::InvalidArg | NvmlError::NotFound => {
            Absence::NotSupported
        }
        NvmlError::NoPermission => Absence::NoPermission,
        NvmlError::GpuLost => Absence::Lost,
        NvmlError::Timeout => Absence::TimedOut,
        _ => Absence::Failed,
    };
    Vital::Absent { absent }
}

pub fn plain(value: &SampleValue) -> f64 {
    match *value {
        SampleValue::F64(value) => value,
        SampleValue::U32(value) => value.into(),
        SampleValue::U64(value) => value as f64,
        SampleValue::I64(value) => value as f64,
    }
}

/// A card's gauges; for a MIG slice also its own handle.
pub struct CardGauges {
    pub slice: Card<'static>,
    pub card: Card<'static>,
}

impl CardGauges {
    /// All fields of a pace by one call, in the order of their rows.
    fn fields(&self, pace: Pace) -> impl Iterator<Item = Result<f64, NvmlError>> {
        let wanted = || {
            let numbers = ROWS
                .iter()
                .filter(move |row| row.pace <= pace)
                .filter_map(|row| if let Of::Field(id, _) = row.of { Some(id) } else { None });
            numbers.map(FieldId)
        };
        let samples = self.card.field_values_for(&wanted().collect::<Vec<_>>());
        let values: Vec<_> = match samples {
            Ok(samples) => samples.into_iter().map(|sample| sample?.value.map(|value| plain(&value))).collect(),
            Err(error) => {
                let why = absent(&error);
                wanted().map(|_| Err(again(&why))).collect()
            }
        };
        values.into_iter()
    }
}

/// The failure of a whole batch, once for each of its fields: errors of the wrapper cannot be copied.
fn again(why: &Vital) -> NvmlError {
    match why.absence() {
        Some(Absence::NotSupported) => NvmlError::NotSupported,
        Some(Absence::NoPermission) => NvmlError::NoPermission,
        Some(Absence::Lost) => NvmlError::GpuLost,
        Some(Absence::TimedOut) => NvmlError::Timeout,
        _ => NvmlError::Unknown,
    }
}

impl Gauges for CardGauges {
    fn names(&self, pace: Pace) -> BTreeSet<&'static str> {
        ROWS.iter().filter(|row| row.pace <= pace).map(|row| row.name).collect()
    }

    fn read(&mut self, pace: Pace, tell: &mut dyn FnMut(&'static str, Vital)) {
        let mut fields = self.fields(pace);
        for row in ROWS.iter().filter(|row| row.pace <= pace) {
            let value = match row.of {
                Of::Field(_, factor) => fields.next().unwrap_or(Err(NvmlError::Unknown)).map(|value| Vital::Number(value * factor)),
                Of::Card(call) => call(&self.card),
                Of::Slice(call) => call(&self.slice),
            };
            tell(row.name, value.unwrap_or_else(|error| absent(&error)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_a_name_of_its_own_and_numbers_say_their_unit() {
        let names: BTreeSet<_> = ROWS.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), ROWS.len());
        let fields: BTreeSet<_> =
            ROWS.iter().filter_map(|row| if let Of::Field(id, _) = row.of { Some(id) } else { None }).collect();
        let count = ROWS.iter().filter(|row| matches!(row.of, Of::Field(..))).count();
        assert_eq!(fields.len(), count);
    }

    #[test]
    fn absence_keeps_its_reason() {
        let of = |error: NvmlError| absent(&error).absence();
        assert_eq!(of(NvmlError::NoPermission), Some(Absence::NoPermission));
        assert_eq!(of(NvmlError::FailedToLoadSymbol("nvmlDeviceGetMigMode".into())), Some(Absence::NotSupported));
        assert_eq!(of(again(&absent(&NvmlError::GpuLost))), Some(Absence::Lost));
        assert_eq!(of(NvmlError::Uninitialized), Some(Absence::Failed));
    }
}
