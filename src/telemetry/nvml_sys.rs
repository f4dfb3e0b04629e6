//! Calls of NVML that its safe wrapper lacks. Each is looked up by name, so that an old driver gives an answer and no panic.
//!
//! Structures carry their size and version in their first word (`NVML_STRUCT_VERSION` of `nvml.h`).

#![allow(unsafe_code)]

use nvml_wrapper::{
    Device as Card,
    error::{NvmlError, nvml_sym, nvml_try},
};
use nvml_wrapper_sys::bindings::{
    nvmlEccSramErrorStatus_t, nvmlGpuFabricInfo_v2_t, nvmlMarginTemperature_t, nvmlRowRemapperHistogramValues_t,
};

const fn version<T>(number: u32) -> u32 {
    size_of::<T>() as u32 | number << 24
}

/// Degrees Celsius below the temperature at which clocks are slowed down.
pub fn margin(card: &Card) -> Result<f64, NvmlError> {
    let call = nvml_sym(card.nvml().lib().nvmlDeviceGetMarginTemperature.as_ref())?;
    let mut found = nvmlMarginTemperature_t { version: version::<nvmlMarginTemperature_t>(1), marginTemperature: 0 };
    // SAFETY: the handle is the library's own, and the structure may be written and says which it is.
    nvml_try(unsafe { call(card.handle(), &raw mut found) })?;
    Ok(found.marginTemperature.into())
}

/// What a node's NVLink fabric says of the card.
pub struct Fabric {
    /// `NVML_GPU_FABRIC_STATE_*`.
    pub state: u8,
    pub clique: u32,
    /// Two bits or three for each kind of trouble (`NVML_GPU_FABRIC_HEALTH_MASK_*`).
    pub health: u32,
}

pub fn fabric(card: &Card) -> Result<Fabric, NvmlError> {
    let call = nvml_sym(card.nvml().lib().nvmlDeviceGetGpuFabricInfoV.as_ref())?;
    let version = version::<nvmlGpuFabricInfo_v2_t>(2);
    let mut found = nvmlGpuFabricInfo_v2_t { version, clusterUuid: [0; 16], status: 0, cliqueId: 0, state: 0, healthMask: 0 };
    // SAFETY: the handle is the library's own; the structure may be written, and its version keeps the library within its size.
    nvml_try(unsafe { call(card.handle(), (&raw mut found).cast()) })?;
    nvml_try(found.status)?;
    Ok(Fabric { state: found.state, clique: found.cliqueId, health: found.healthMask })
}

/// Errors of the memories on the chip since the driver was loaded, and whether there were so many that the board should be replaced.
pub struct Sram {
    pub uncorrected: u64,
    pub corrected: u64,
    pub threshold_exceeded: bool,
}

pub fn sram(card: &Card) -> Result<Sram, NvmlError> {
    let call = nvml_sym(card.nvml().lib().nvmlDeviceGetSramEccErrorStatus.as_ref())?;
    // SAFETY: zeros are a value of this structure of integers.
    let mut found: nvmlEccSramErrorStatus_t = unsafe { std::mem::zeroed() };
    found.version = version::<nvmlEccSramErrorStatus_t>(1);
    // SAFETY: the handle is the library's own, and the structure may be written and says which it is.
    nvml_try(unsafe { call(card.handle(), &raw mut found) })?;
    Ok(Sram {
        uncorrected: found.volatileUncParity + found.volatileUncSecDed,
        corrected: found.volatileCor,
        threshold_exceeded: found.bThresholdExceeded != 0,
    })
}

/// Banks of memory by how many spare rows are left to them: all, many, some, few, none.
pub fn spare_rows(card: &Card) -> Result<[u32; 5], NvmlError> {
    let call = nvml_sym(card.nvml().lib().nvmlDeviceGetRowRemapperHistogram.as_ref())?;
    let mut found = nvmlRowRemapperHistogramValues_t { max: 0, high: 0, partial: 0, low: 0, none: 0 };
    // SAFETY: the handle is the library's own, and the structure may be written.
    nvml_try(unsafe { call(card.handle(), &raw mut found) })?;
    Ok([found.max, found.high, found.partial, found.low, found.none])
}
