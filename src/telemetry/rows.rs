//! Every value that NVML has of a card, a row each.
//!
//! What one call reads together is read together. What is dear or has no use ten times a second (counters of errors, links, what
//! runs there) is read only when all is asked for. Sources: NVML API Reference Guide, `nvml.h`.

use super::{monitor::Pace, nvml::limits, nvml_sys};
use crate::record::Vital;
use nvml_wrapper::{
    Device as Card,
    enum_wrappers::device::{
        Clock, EccCounter, MemoryError, MemoryLocation, PerformancePolicy, TemperatureSensor, TemperatureThreshold,
    },
    enums::gpm::GpmMetricId,
    error::NvmlError,
    sys_exports::field_id,
};

/// NVLink has no more links than this on a card so far (`NVML_NVLINK_MAX_LINKS`).
const LINKS: u32 = 18;
const KIB: f64 = 1024.0;
const MIB: f64 = 1024.0 * 1024.0;

/// How a row is read.
pub enum Of {
    /// A field of the batch, times a factor.
    Field(u32, f64),
    /// A call on the card.
    Card(fn(&Card) -> Result<Vital, NvmlError>),
    /// A call on the slice, where the device is one.
    Slice(fn(&Card) -> Result<Vital, NvmlError>),
    /// A counter of the performance monitor over a short while, times a factor.
    Gpm(GpmMetricId, f64),
}

pub struct Row {
    pub name: &'static str,
    pub pace: Pace,
    pub of: Of,
}

const fn often(name: &'static str, of: Of) -> Row {
    Row { name, pace: Pace::Often, of }
}

const fn seldom(name: &'static str, of: Of) -> Row {
    Row { name, pace: Pace::All, of }
}

pub const ROWS: &[Row] = &[
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
    often("temperature_margin_c", Of::Card(|card| nvml_sys::margin(card).map(Vital::Number))),
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
    often("performance_state", Of::Card(|card| card.performance_state().map(|state| words(&state)))),
    often("pcie_generation", Of::Card(|card| number(card.current_pcie_link_gen()))),
    often("pcie_width", Of::Card(|card| number(card.current_pcie_link_width()))),
    seldom("clock_max_graphics_mhz", Of::Card(|card| number(card.max_clock_info(Clock::Graphics)))),
    seldom("clock_max_video_mhz", Of::Card(|card| number(card.max_clock_info(Clock::Video)))),
    seldom("clock_max_sm_mhz", Of::Card(|card| number(card.max_clock_info(Clock::SM)))),
    seldom("clock_max_memory_mhz", Of::Card(|card| number(card.max_clock_info(Clock::Memory)))),
    seldom("power_limit_default_w", Of::Card(|card| scaled(card.power_management_limit_default(), 1e-3))),
    seldom("power_limit_min_w", Of::Card(|card| scaled(card.power_management_limit_constraints().map(|of| of.min_limit), 1e-3))),
    seldom("power_limit_max_w", Of::Card(|card| scaled(card.power_management_limit_constraints().map(|of| of.max_limit), 1e-3))),
    seldom("violation_power_seconds_total", Of::Card(|card| violation(card, PerformancePolicy::Power))),
    seldom("violation_thermal_seconds_total", Of::Card(|card| violation(card, PerformancePolicy::Thermal))),
    seldom("violation_sync_boost_seconds_total", Of::Card(|card| violation(card, PerformancePolicy::SyncBoost))),
    seldom("violation_board_limit_seconds_total", Of::Card(|card| violation(card, PerformancePolicy::BoardLimit))),
    seldom("violation_reliability_seconds_total", Of::Card(|card| violation(card, PerformancePolicy::Reliability))),
    seldom("utilisation_encoder_ratio", Of::Card(|card| scaled(card.encoder_utilization().map(|of| of.utilization), 1e-2))),
    seldom("utilisation_decoder_ratio", Of::Card(|card| scaled(card.decoder_utilization().map(|of| of.utilization), 1e-2))),
    seldom("gpm_sm_active_ratio", Of::Gpm(GpmMetricId::SmUtil, 1e-2)),
    seldom("gpm_sm_occupancy_ratio", Of::Gpm(GpmMetricId::SmOccupancy, 1e-2)),
    seldom("gpm_tensor_active_ratio", Of::Gpm(GpmMetricId::AnyTensorUtil, 1e-2)),
    seldom("gpm_dram_active_ratio", Of::Gpm(GpmMetricId::DramBwUtil, 1e-2)),
    seldom("gpm_pcie_sent_bytes_per_second", Of::Gpm(GpmMetricId::PcieTxPerSec, MIB)),
    seldom("gpm_pcie_received_bytes_per_second", Of::Gpm(GpmMetricId::PcieRxPerSec, MIB)),
    seldom("gpm_nvlink_sent_bytes_per_second", Of::Gpm(GpmMetricId::NvlinkTotalTxPerSec, MIB)),
    seldom("gpm_nvlink_received_bytes_per_second", Of::Gpm(GpmMetricId::NvlinkTotalRxPerSec, MIB)),
    seldom("temperature_shutdown_c", Of::Card(|card| number(card.temperature_threshold(TemperatureThreshold::Shutdown)))),
    seldom("temperature_gpu_max_c", Of::Card(|card| number(card.temperature_threshold(TemperatureThreshold::GpuMax)))),
    seldom("temperature_memory_max_c", Of::Card(|card| number(card.temperature_threshold(TemperatureThreshold::MemoryMax)))),
    seldom("temperature_shutdown_margin_c", Of::Field(field_id::NVML_FI_DEV_TEMPERATURE_SHUTDOWN_TLIMIT, 1.0)),
    seldom("temperature_slowdown_margin_c", Of::Field(field_id::NVML_FI_DEV_TEMPERATURE_SLOWDOWN_TLIMIT, 1.0)),
    seldom("temperature_memory_max_margin_c", Of::Field(field_id::NVML_FI_DEV_TEMPERATURE_MEM_MAX_TLIMIT, 1.0)),
    seldom("temperature_gpu_max_margin_c", Of::Field(field_id::NVML_FI_DEV_TEMPERATURE_GPU_MAX_TLIMIT, 1.0)),
    seldom("temperature_slowdown_c", Of::Card(|card| number(card.temperature_threshold(TemperatureThreshold::Slowdown)))),
    seldom("pcie_generation_max", Of::Card(|card| number(card.max_pcie_link_gen()))),
    seldom("pcie_width_max", Of::Card(|card| number(card.max_pcie_link_width()))),
    seldom("pcie_replays_total", Of::Card(|card| number(card.pcie_replay_counter()))),
    seldom("pcie_errors_fatal_total", Of::Field(field_id::NVML_FI_DEV_PCIE_COUNT_FATAL_ERROR, 1.0)),
    seldom("pcie_errors_non_fatal_total", Of::Field(field_id::NVML_FI_DEV_PCIE_COUNT_NON_FATAL_ERROR, 1.0)),
    seldom("pcie_errors_corrected_total", Of::Field(field_id::NVML_FI_DEV_PCIE_COUNT_CORRECTABLE_ERRORS, 1.0)),
    seldom("pcie_errors_receiver_total", Of::Field(field_id::NVML_FI_DEV_PCIE_COUNT_RECEIVER_ERROR, 1.0)),
    seldom("pcie_errors_lcrc_total", Of::Field(field_id::NVML_FI_DEV_PCIE_COUNT_LCRC_ERROR, 1.0)),
    seldom("pcie_errors_lane_total", Of::Field(field_id::NVML_FI_DEV_PCIE_COUNT_LANE_ERROR, 1.0)),
    seldom("pcie_errors_unsupported_request_total", Of::Field(field_id::NVML_FI_DEV_PCIE_COUNT_UNSUPPORTED_REQ, 1.0)),
    seldom("pcie_bad_tlp_total", Of::Field(field_id::NVML_FI_DEV_PCIE_COUNT_BAD_TLP, 1.0)),
    seldom("pcie_bad_dllp_total", Of::Field(field_id::NVML_FI_DEV_PCIE_COUNT_BAD_DLLP, 1.0)),
    seldom("pcie_naks_sent_total", Of::Field(field_id::NVML_FI_DEV_PCIE_COUNT_NAKS_SENT, 1.0)),
    seldom("pcie_naks_received_total", Of::Field(field_id::NVML_FI_DEV_PCIE_COUNT_NAKS_RECEIVED, 1.0)),
    seldom("pcie_recoveries_total", Of::Field(field_id::NVML_FI_DEV_PCIE_L0_TO_RECOVERY_COUNTER, 1.0)),
    seldom("pcie_replay_rollovers_total", Of::Field(field_id::NVML_FI_DEV_PCIE_REPLAY_ROLLOVER_COUNTER, 1.0)),
    seldom("pcie_sent_bytes_total", Of::Field(field_id::NVML_FI_DEV_PCIE_COUNT_TX_BYTES, 1.0)),
    seldom("pcie_received_bytes_total", Of::Field(field_id::NVML_FI_DEV_PCIE_COUNT_RX_BYTES, 1.0)),
    seldom("ecc_mode_pending", Of::Card(|card| switch(card.is_ecc_enabled().map(|mode| mode.pending_enabled)))),
    seldom("ecc_corrected_dram_total", Of::Card(|card| errors(card, MemoryError::Corrected, MemoryLocation::Device))),
    seldom("ecc_uncorrected_dram_total", Of::Card(|card| errors(card, MemoryError::Uncorrected, MemoryLocation::Device))),
    seldom("ecc_corrected_sram_total", Of::Card(|card| large(nvml_sys::sram(card).map(|of| of.corrected)))),
    seldom("ecc_uncorrected_sram_total", Of::Card(|card| large(nvml_sys::sram(card).map(|of| of.uncorrected)))),
    seldom("ecc_sram_threshold", Of::Card(|card| exceeded(nvml_sys::sram(card).map(|of| of.threshold_exceeded)))),
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
    seldom("row_banks_all_spare", Of::Card(|card| spare(card, 0))),
    seldom("row_banks_many_spare", Of::Card(|card| spare(card, 1))),
    seldom("row_banks_some_spare", Of::Card(|card| spare(card, 2))),
    seldom("row_banks_few_spare", Of::Card(|card| spare(card, 3))),
    seldom("row_banks_no_spare", Of::Card(|card| spare(card, 4))),
    seldom("pages_retired_corrected", Of::Field(field_id::NVML_FI_DEV_RETIRED_SBE, 1.0)),
    seldom("pages_retired_uncorrected", Of::Field(field_id::NVML_FI_DEV_RETIRED_DBE, 1.0)),
    seldom("pages_retired_pending_corrected", Of::Field(field_id::NVML_FI_DEV_RETIRED_PENDING_SBE, 1.0)),
    seldom("pages_retired_pending_uncorrected", Of::Field(field_id::NVML_FI_DEV_RETIRED_PENDING_DBE, 1.0)),
    seldom("pages_retired_pending", Of::Field(field_id::NVML_FI_DEV_RETIRED_PENDING, 1.0)),
    seldom("nvlink_active", Of::Card(links)),
    seldom("nvlink_speed_mbps", Of::Field(field_id::NVML_FI_DEV_NVLINK_GET_SPEED, 1.0)),
    seldom("nvlink_errors_replay_total", Of::Field(field_id::NVML_FI_DEV_NVLINK_ERROR_DL_REPLAY, 1.0)),
    seldom("nvlink_errors_recovery_total", Of::Field(field_id::NVML_FI_DEV_NVLINK_ERROR_DL_RECOVERY, 1.0)),
    seldom("nvlink_errors_crc_total", Of::Field(field_id::NVML_FI_DEV_NVLINK_ERROR_DL_CRC, 1.0)),
    seldom("nvlink_errors_effective_total", Of::Field(field_id::NVML_FI_DEV_NVLINK_COUNT_EFFECTIVE_ERRORS, 1.0)),
    seldom("nvlink_errors_symbol_total", Of::Field(field_id::NVML_FI_DEV_NVLINK_COUNT_SYMBOL_ERRORS, 1.0)),
    seldom("nvlink_error_rate_raw", Of::Field(field_id::NVML_FI_DEV_NVLINK_COUNT_RAW_BER, 1.0)),
    seldom("nvlink_error_rate_effective", Of::Field(field_id::NVML_FI_DEV_NVLINK_COUNT_EFFECTIVE_BER, 1.0)),
    seldom("nvlink_error_rate_symbol", Of::Field(field_id::NVML_FI_DEV_NVLINK_COUNT_SYMBOL_BER, 1.0)),
    seldom("nvlink_data_sent_bytes_total", Of::Field(field_id::NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX, KIB)),
    seldom("nvlink_data_received_bytes_total", Of::Field(field_id::NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX, KIB)),
    seldom("nvlink_sent_bytes_total", Of::Field(field_id::NVML_FI_DEV_NVLINK_COUNT_XMIT_BYTES, 1.0)),
    seldom("nvlink_received_bytes_total", Of::Field(field_id::NVML_FI_DEV_NVLINK_COUNT_RCV_BYTES, 1.0)),
    seldom("c2c_links", Of::Field(field_id::NVML_FI_DEV_C2C_LINK_COUNT, 1.0)),
    seldom("c2c_status", Of::Field(field_id::NVML_FI_DEV_C2C_LINK_GET_STATUS, 1.0)),
    seldom("c2c_max_mbps", Of::Field(field_id::NVML_FI_DEV_C2C_LINK_GET_MAX_BW, 1.0)),
    seldom("c2c_errors_interrupt_total", Of::Field(field_id::NVML_FI_DEV_C2C_LINK_ERROR_INTR, 1.0)),
    seldom("c2c_errors_replay_total", Of::Field(field_id::NVML_FI_DEV_C2C_LINK_ERROR_REPLAY, 1.0)),
    seldom("fabric_state", Of::Card(|card| nvml_sys::fabric(card).map(|of| fabric_state(of.state)))),
    seldom("fabric_clique", Of::Card(|card| number(nvml_sys::fabric(card).map(|of| of.clique)))),
    seldom("fabric_health_mask", Of::Card(|card| number(nvml_sys::fabric(card).map(|of| of.health)))),
    seldom("reset_required", Of::Field(field_id::NVML_FI_DEV_RESET_STATUS, 1.0)),
    seldom("drain_and_reset_recommended", Of::Field(field_id::NVML_FI_DEV_DRAIN_AND_RESET_STATUS, 1.0)),
    seldom("recovery_action", Of::Field(field_id::NVML_FI_DEV_GET_GPU_RECOVERY_ACTION, 1.0)),
    seldom("mig_mode", Of::Card(|card| switch(card.mig_mode().map(|mode| mode.current != 0)))),
    seldom("mig_devices_max", Of::Card(|card| number(card.mig_device_count()))),
    seldom("compute_mode", Of::Card(|card| card.compute_mode().map(|mode| words(&mode)))),
    seldom("virtualisation_mode", Of::Card(|card| card.virtualization_mode().map(|mode| words(&mode)))),
    seldom("confidential_computing", Of::Card(|card| switch(card.check_confidential_compute_status()))),
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

/// A mode by the wrapper's name for it.
fn words(mode: &impl std::fmt::Debug) -> Vital {
    Vital::Text(format!("{mode:?}").to_lowercase())
}

fn violation(card: &Card, policy: PerformancePolicy) -> Result<Vital, NvmlError> {
    card.violation_status(policy).map(|found| Vital::Number(found.violation_time as f64 * 1e-9))
}

fn errors(card: &Card, kind: MemoryError, location: MemoryLocation) -> Result<Vital, NvmlError> {
    large(card.memory_error_counter(kind, EccCounter::Volatile, location))
}

fn exceeded(value: Result<bool, NvmlError>) -> Result<Vital, NvmlError> {
    value.map(|yes| Vital::Text(if yes { "exceeded" } else { "kept" }.into()))
}

fn spare(card: &Card, place: usize) -> Result<Vital, NvmlError> {
    nvml_sys::spare_rows(card).map(|banks| Vital::Number(banks[place].into()))
}

/// `NVML_GPU_FABRIC_STATE_*` of `nvml.h`.
fn fabric_state(state: u8) -> Vital {
    const STATES: [&str; 4] = ["not_supported", "not_started", "in_progress", "completed"];
    Vital::Text(STATES.get(usize::from(state)).map_or_else(|| format!("state_{state}"), |name| (*name).to_owned()))
}
