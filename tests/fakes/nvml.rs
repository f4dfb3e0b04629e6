//! A fake of NVIDIA's management library: a C library of two cards that `tests/telemetry.rs` compiles and loads in its place.
//!
//! It counts the cards in another order than a backend would, so that a join by index is found out. Symbols that it lacks
//! (utilisation, ECC, MIG mode) stand for an old driver. A slice of the second card has memory but no sensors of its own. With `--cfg lost` every getter fails as if the card had fallen off
//! the bus; with `--cfg unloaded` the library refuses to start.

#![allow(non_snake_case)]

use std::ffi::{CStr, c_char, c_int, c_uint, c_ulonglong, c_void};

const SUCCESS: c_int = 0;
const NOT_SUPPORTED: c_int = 3;
const NOT_FOUND: c_int = 6;
const INSUFFICIENT_SIZE: c_int = 7;
const DRIVER_NOT_LOADED: c_int = 9;
const GPU_IS_LOST: c_int = 15;

struct Card {
    uuid: &'static CStr,
    bus: &'static CStr,
    milliwatts: c_uint,
    sm_mhz: c_uint,
    celsius: c_uint,
    /// Bit 40 has no name yet.
    reasons: c_ulonglong,
}

/// In the order of this library.
static CARDS: [Card; 2] = [
    Card {
        uuid: c"GPU-bbbbbbbb-0000-0000-0000-000000000002",
        bus: c"00000000:0B:00.0",
        milliwatts: 222_000,
        sm_mhz: 1_222,
        celsius: 62,
        reasons: 0,
    },
    Card {
        uuid: c"GPU-aaaaaaaa-0000-0000-0000-000000000001",
        bus: c"00000000:0A:00.0",
        milliwatts: 111_000,
        sm_mhz: 1_111,
        celsius: 51,
        reasons: 0x4 | 0x20 | 1 << 40,
    },
];

/// A MIG slice of the second card; what a slice has no sensor for is never read from here.
static SLICE: Card = Card {
    uuid: c"MIG-aaaaaaaa-0000-0000-0000-00000000000a",
    bus: CARDS[1].bus,
    milliwatts: 0,
    sm_mhz: 0,
    celsius: 0,
    reasons: 0,
};

/// `nvmlMemory_v2_t` of `nvml.h`.
#[repr(C)]
pub struct Memory {
    version: c_uint,
    total: c_ulonglong,
    reserved: c_ulonglong,
    free: c_ulonglong,
    used: c_ulonglong,
}

/// `nvmlPciInfo_t` of `nvml.h`.
#[repr(C)]
pub struct PciInfo {
    bus_id_legacy: [c_char; 16],
    domain: c_uint,
    bus: c_uint,
    device: c_uint,
    pci_device_id: c_uint,
    pci_sub_system_id: c_uint,
    bus_id: [c_char; 32],
}

type Handle = *const c_void;

/// Writes what a getter found, or fails as a lost card does.
fn give<T>(out: *mut T, value: T) -> c_int {
    if cfg!(lost) {
        return GPU_IS_LOST;
    }
    // SAFETY: callers of NVML pass a pointer that may be written.
    unsafe { out.write(value) };
    SUCCESS
}

fn give_text(out: *mut c_char, length: c_uint, text: &CStr) -> c_int {
    let bytes = text.to_bytes_with_nul();
    if cfg!(lost) {
        return GPU_IS_LOST;
    }
    if bytes.len() > length as usize {
        return INSUFFICIENT_SIZE;
    }
    // SAFETY: callers of NVML pass `length` bytes that may be written.
    unsafe { out.copy_from_nonoverlapping(bytes.as_ptr().cast(), bytes.len()) };
    SUCCESS
}

fn card(handle: Handle) -> &'static Card {
    // SAFETY: handles are handed out by `find` and point to statics of this file.
    unsafe { &*handle.cast() }
}

fn find(name: *const c_char, handle: *mut Handle, field: fn(&Card) -> &CStr) -> c_int {
    // SAFETY: callers of NVML pass a string that ends.
    let name = unsafe { CStr::from_ptr(name) }.to_string_lossy().to_lowercase();
    let same = |card: &&Card| field(card).to_string_lossy().to_lowercase().ends_with(&name);
    let Some(card) = CARDS.iter().chain([&SLICE]).find(same) else { return NOT_FOUND };
    // SAFETY: callers of NVML pass a pointer that may be written.
    unsafe { handle.write(std::ptr::from_ref(card).cast()) };
    SUCCESS
}

fn is_slice(handle: Handle) -> bool {
    std::ptr::eq(card(handle), &raw const SLICE)
}

/// Exports functions under their C names.
macro_rules! export {
    ($(fn $name:ident($($argument:ident: $kind:ty),*) $body:block)*) => {
        $(
            // SAFETY: the names are NVML's own, and nothing else in this library bears them.
            #[unsafe(no_mangle)]
            pub extern "C" fn $name($($argument: $kind),*) -> c_int $body
        )*
    };
}

export! {
    fn nvmlInit_v2() { if cfg!(unloaded) { DRIVER_NOT_LOADED } else { SUCCESS } }
    fn nvmlShutdown() { SUCCESS }
    fn nvmlSystemGetDriverVersion(out: *mut c_char, length: c_uint) { give_text(out, length, c"570.86.15") }
    fn nvmlSystemGetNVMLVersion(out: *mut c_char, length: c_uint) { give_text(out, length, c"12.570.86.15") }
    fn nvmlSystemGetCudaDriverVersion_v2(out: *mut c_int) { give(out, 12_080) }
    fn nvmlDeviceGetCount_v2(out: *mut c_uint) { give(out, 2) }
    fn nvmlDeviceGetHandleByIndex_v2(index: c_uint, out: *mut Handle) {
        let Some(card) = CARDS.get(index as usize) else { return NOT_FOUND };
        give(out, std::ptr::from_ref(card).cast())
    }
    fn nvmlDeviceGetHandleByUUID(uuid: *const c_char, out: *mut Handle) { find(uuid, out, |card| card.uuid) }
    fn nvmlDeviceGetHandleByPciBusId_v2(bus: *const c_char, out: *mut Handle) { find(bus, out, |card| card.bus) }
    fn nvmlDeviceGetName(_device: Handle, out: *mut c_char, length: c_uint) { give_text(out, length, c"Fake H100") }
    fn nvmlDeviceGetUUID(device: Handle, out: *mut c_char, length: c_uint) { give_text(out, length, card(device).uuid) }
    fn nvmlDeviceGetVbiosVersion(_device: Handle, out: *mut c_char, length: c_uint) { give_text(out, length, c"96.00.5E") }
    fn nvmlDeviceGetPciInfo_v3(device: Handle, out: *mut PciInfo) {
        let mut bus_id = [0; 32];
        let bytes = card(device).bus.to_bytes();
        bus_id.iter_mut().zip(bytes).for_each(|(to, from)| *to = from.cast_signed() as c_char);
        let (domain, bus, slot) = (0, 0, 0);
        give(out, PciInfo { bus_id_legacy: [0; 16], domain, bus, device: slot, pci_device_id: 0, pci_sub_system_id: 0, bus_id })
    }
    fn nvmlDeviceIsMigDeviceHandle(device: Handle, out: *mut c_uint) { give(out, is_slice(device).into()) }
    fn nvmlDeviceGetDeviceHandleFromMigDeviceHandle(_slice: Handle, out: *mut Handle) {
        give(out, std::ptr::from_ref(&CARDS[1]).cast())
    }
    fn nvmlDeviceGetMemoryInfo_v2(device: Handle, out: *mut Memory) {
        let (version, total, used) = (0, 10_000, 4_000);
        if is_slice(device) { give(out, Memory { version, total, reserved: 0, free: total - used, used }) } else { NOT_SUPPORTED }
    }
    fn nvmlDeviceGetPowerUsage(device: Handle, out: *mut c_uint) {
        if is_slice(device) { NOT_SUPPORTED } else { give(out, card(device).milliwatts) }
    }
    fn nvmlDeviceGetPowerManagementDefaultLimit(_device: Handle, out: *mut c_uint) { give(out, 700_000) }
    fn nvmlDeviceGetEnforcedPowerLimit(_device: Handle, out: *mut c_uint) { give(out, 650_000) }
    fn nvmlDeviceGetTotalEnergyConsumption(_device: Handle, out: *mut c_ulonglong) { give(out, 5_000_000) }
    fn nvmlDeviceGetTemperature(device: Handle, _sensor: c_int, out: *mut c_uint) { give(out, card(device).celsius) }
    fn nvmlDeviceGetTemperatureThreshold(_device: Handle, kind: c_uint, out: *mut c_uint) { give(out, 90 + kind) }
    fn nvmlDeviceGetClockInfo(device: Handle, kind: c_uint, out: *mut c_uint) {
        give(out, if kind == 1 { card(device).sm_mhz } else { 2_619 })
    }
    fn nvmlDeviceGetMaxClockInfo(_device: Handle, kind: c_uint, out: *mut c_uint) {
        give(out, if kind == 1 { 1_980 } else { 2_619 })
    }
    fn nvmlDeviceGetCurrentClocksThrottleReasons(device: Handle, out: *mut c_ulonglong) { give(out, card(device).reasons) }
}
