//! A fake of NVIDIA's management library, loaded in its place by path.
//!
//! Cards are healthy until the script lets something happen to them; a call that an old driver lacks is taken out of the file by
//! the test. A slice of the second card has memory but no sensors of its own.

mod cards;
mod script;

use cards::{CARDS, CUT, Card, SLICE};
use script::{Script, What};
use std::{
    ffi::{CStr, c_char, c_int, c_uint, c_ulonglong, c_void},
    sync::{Mutex, PoisonError},
    time::Duration,
};

const SUCCESS: c_int = 0;
const NOT_SUPPORTED: c_int = 3;
const NOT_FOUND: c_int = 6;
const INSUFFICIENT_SIZE: c_int = 7;
const TIMEOUT: c_int = 10;
const GPU_IS_LOST: c_int = 15;
const ARGUMENT_VERSION_MISMATCH: c_int = 25;
/// `NVML_VALUE_TYPE_UNSIGNED_LONG_LONG`, `nvmlEventTypeXidCriticalError`.
const UNSIGNED: c_uint = 3;
const XID: c_ulonglong = 8;

/// What has happened so far.
struct State {
    script: Script,
    throttled: bool,
    lost: bool,
    xid: Option<u64>,
}

static STATE: Mutex<Option<State>> = Mutex::new(None);

fn with_state<T>(work: impl FnOnce(&mut State) -> T) -> T {
    let mut lock = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    work(lock.get_or_insert_with(|| State { script: Script::find(), throttled: false, lost: false, xid: None }))
}

fn is_throttled() -> bool {
    with_state(|state| state.throttled)
}

/// Counts a call and lets happen what the script says; the result with which it fails, if it does. What is slow holds no lock.
fn enter(call: &'static str) -> Option<c_int> {
    let is_getter = call.starts_with("nvmlDeviceGet") && !call.starts_with("nvmlDeviceGetHandle");
    let (slow, failed) = with_state(|state| {
        let (mut slow, mut failed) = (0, None);
        for what in state.script.pass(call, is_getter) {
            match what {
                What::Fails(result) => failed = Some(result),
                What::Slow(time) => slow = time,
                What::Xid(number) => state.xid = Some(number),
                What::Throttle => state.throttled = true,
                What::Lost => state.lost = true,
            }
        }
        (slow, failed.or((state.lost && is_getter).then_some(GPU_IS_LOST)))
    });
    std::thread::sleep(Duration::from_millis(slow));
    failed
}

/// `nvmlMemory_v2_t` of `nvml.h`.
#[repr(C)]
pub struct Memory {
    version: c_uint,
    total: c_ulonglong,
    reserved: c_ulonglong,
    free: c_ulonglong,
    used: c_ulonglong,
}

/// `nvmlFieldValue_t` of `nvml.h`.
#[repr(C)]
pub struct FieldValue {
    number: c_uint,
    scope: c_uint,
    timestamp: i64,
    latency: i64,
    kind: c_uint,
    result: c_int,
    value: c_ulonglong,
}

/// `nvmlDeviceAttributes_t` of `nvml.h`: multiprocessors, shared engines, slices of both kinds, memory in MB.
#[repr(C)]
pub struct Attributes {
    units: c_uint,
    engines: [c_uint; 5],
    slices: [c_uint; 2],
    memory: c_ulonglong,
}

/// `nvmlEventData_t` of `nvml.h`.
#[repr(C)]
pub struct EventData {
    device: Handle,
    kind: c_ulonglong,
    data: c_ulonglong,
    gpu_instance: c_uint,
    compute_instance: c_uint,
}

/// `nvmlProcessInfo_t` of `nvml.h`.
#[repr(C)]
pub struct Process {
    pid: c_uint,
    memory: c_ulonglong,
    gpu_instance: c_uint,
    compute_instance: c_uint,
}

/// `nvmlUtilization_t` of `nvml.h`, in per cent.
#[repr(C)]
pub struct Utilisation {
    gpu: c_uint,
    memory: c_uint,
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

/// Writes what a getter found.
fn give<T>(out: *mut T, value: T) -> c_int {
    // SAFETY: callers of NVML pass a pointer that may be written.
    unsafe { out.write(value) };
    SUCCESS
}

fn give_text(out: *mut c_char, length: c_uint, text: &CStr) -> c_int {
    let bytes = text.to_bytes_with_nul();
    if bytes.len() > length as usize {
        return INSUFFICIENT_SIZE;
    }
    // SAFETY: callers of NVML pass `length` bytes that may be written.
    unsafe { out.copy_from_nonoverlapping(bytes.as_ptr().cast(), bytes.len()) };
    SUCCESS
}

fn card(handle: Handle) -> &'static Card {
    // SAFETY: handles are handed out by `find` and point to statics of this library.
    unsafe { &*handle.cast() }
}

fn find(name: *const c_char, handle: *mut Handle, field: fn(&Card) -> &CStr) -> c_int {
    // SAFETY: callers of NVML pass a string that ends.
    let name = unsafe { CStr::from_ptr(name) }.to_string_lossy().to_lowercase();
    let same = |card: &&Card| field(card).to_string_lossy().to_lowercase().ends_with(&name);
    let Some(card) = CARDS.iter().chain([&SLICE]).chain(&CUT).find(same) else { return NOT_FOUND };
    // SAFETY: callers of NVML pass a pointer that may be written.
    unsafe { handle.write(std::ptr::from_ref(card).cast()) };
    SUCCESS
}

fn is_slice(handle: Handle) -> bool {
    std::ptr::eq(card(handle), &raw const SLICE) || is_cut(handle)
}

fn is_cut(handle: Handle) -> bool {
    CUT.iter().any(|slice| std::ptr::eq(card(handle), slice))
}

/// Slices that the card is cut into: the last one's, as the fake CUDA driver is told to cut it.
fn slices(handle: Handle) -> &'static [Card] {
    let is_last = CARDS.last().is_some_and(|last| std::ptr::eq(card(handle), last));
    let chip = std::env::var("ASSAY_FAKE_CUDA").unwrap_or_default();
    if is_last && chip.contains("mig=2") { &CUT } else { &[] }
}

/// Exports functions under their C names.
macro_rules! export {
    ($(fn $name:ident($($argument:ident: $kind:ty),*) $body:block)*) => {
        $(
            // SAFETY: the names are NVML's own, and nothing else in this library bears them.
            #[unsafe(no_mangle)]
            pub extern "C" fn $name($($argument: $kind),*) -> c_int {
                enter(stringify!($name)).unwrap_or_else(|| $body)
            }
        )*
    };
}

export! {
    fn nvmlInit_v2() { SUCCESS }
    fn nvmlShutdown() { SUCCESS }
    fn nvmlSystemGetDriverVersion(out: *mut c_char, length: c_uint) { give_text(out, length, c"570.86.15") }
    fn nvmlSystemGetNVMLVersion(out: *mut c_char, length: c_uint) { give_text(out, length, c"12.570.86.15") }
    fn nvmlSystemGetCudaDriverVersion_v2(out: *mut c_int) { give(out, 12_080) }
    fn nvmlDeviceGetCount_v2(out: *mut c_uint) { give(out, CARDS.len() as c_uint) }
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
    fn nvmlDeviceGetDeviceHandleFromMigDeviceHandle(slice: Handle, out: *mut Handle) {
        let of = if is_cut(slice) { CARDS.len() - 1 } else { 1 };
        give(out, std::ptr::from_ref(&CARDS[of]).cast())
    }
    fn nvmlDeviceGetMaxMigDeviceCount(_device: Handle, out: *mut c_uint) { give(out, 7) }
    fn nvmlDeviceGetMigDeviceHandleByIndex(device: Handle, index: c_uint, out: *mut Handle) {
        let Some(slice) = slices(device).get(index as usize) else { return NOT_FOUND };
        give(out, std::ptr::from_ref(slice).cast())
    }
    fn nvmlDeviceGetMemoryInfo_v2(device: Handle, out: *mut Memory) {
        let (version, total, used) = (0, if is_slice(device) { 10_000 } else { 80_000 }, 4_000);
        give(out, Memory { version, total, reserved: 0, free: total - used, used })
    }
    fn nvmlDeviceGetMemoryBusWidth(_device: Handle, out: *mut c_uint) { give(out, 5_120) }
    fn nvmlDeviceGetAttributes_v2(device: Handle, out: *mut Attributes) {
        let (units, memory) = (16, 10_000);
        let attributes = Attributes { units, engines: [1; 5], slices: [1; 2], memory };
        if is_slice(device) { give(out, attributes) } else { NOT_SUPPORTED }
    }
    fn nvmlDeviceGetPowerManagementLimitConstraints(_device: Handle, least: *mut c_uint, most: *mut c_uint) {
        give(least, 200_000) | give(most, 700_000)
    }
    fn nvmlDeviceGetMarginTemperature(device: Handle, out: *mut [c_uint; 2]) {
        // SAFETY: callers of NVML pass a structure that may be read, with its size and version first.
        let version = unsafe { out.read() }[0];
        if version != 8 | 1 << 24 { return ARGUMENT_VERSION_MISMATCH }
        give(out, [version, 91 - card(device).celsius])
    }
    fn nvmlDeviceGetRowRemapperHistogram(_device: Handle, out: *mut [c_uint; 5]) { give(out, [639, 1, 0, 0, 0]) }
    fn nvmlDeviceGetPowerUsage(device: Handle, out: *mut c_uint) {
        if is_slice(device) { NOT_SUPPORTED } else { give(out, card(device).milliwatts) }
    }
    fn nvmlDeviceGetPowerManagementDefaultLimit(_device: Handle, out: *mut c_uint) { give(out, 700_000) }
    fn nvmlDeviceGetEnforcedPowerLimit(_device: Handle, out: *mut c_uint) { give(out, 650_000) }
    fn nvmlDeviceGetTotalEnergyConsumption(_device: Handle, out: *mut c_ulonglong) { give(out, 5_000_000) }
    fn nvmlDeviceGetTemperature(device: Handle, _sensor: c_int, out: *mut c_uint) { give(out, card(device).celsius) }
    fn nvmlDeviceGetTemperatureThreshold(_device: Handle, kind: c_uint, out: *mut c_uint) { give(out, 90 + kind) }
    fn nvmlDeviceGetClockInfo(device: Handle, kind: c_uint, out: *mut c_uint) {
        let sm = card(device).sm_mhz;
        give(out, if kind == 2 { 2_619 } else if is_throttled() { sm * 3 / 5 } else { sm })
    }
    fn nvmlDeviceGetMaxClockInfo(_device: Handle, kind: c_uint, out: *mut c_uint) {
        give(out, if kind == 2 { 2_619 } else { 1_980 })
    }
    fn nvmlDeviceGetCurrentClocksThrottleReasons(device: Handle, out: *mut c_ulonglong) {
        give(out, card(device).reasons | if is_throttled() { 0x4 } else { 0 })
    }
    fn nvmlDeviceGetUtilizationRates(device: Handle, out: *mut Utilisation) {
        if is_slice(device) { NOT_SUPPORTED } else { give(out, Utilisation { gpu: 25, memory: 10 }) }
    }
    fn nvmlDeviceGetFieldValues(device: Handle, count: c_int, values: *mut FieldValue) {
        // SAFETY: callers of NVML pass so many values that may be read and written.
        let values = unsafe { std::slice::from_raw_parts_mut(values, usize::try_from(count).unwrap_or(0)) };
        for value in values {
            let found = cards::field(card(device), value.number).filter(|_| !is_slice(device));
            (value.kind, value.value) = (UNSIGNED, found.unwrap_or_default());
            value.result = if found.is_some() { SUCCESS } else { NOT_SUPPORTED };
        }
        SUCCESS
    }
    fn nvmlDeviceGetCurrPcieLinkGeneration(_device: Handle, out: *mut c_uint) { give(out, 5) }
    fn nvmlDeviceGetMaxPcieLinkGeneration(_device: Handle, out: *mut c_uint) { give(out, 5) }
    fn nvmlDeviceGetCurrPcieLinkWidth(_device: Handle, out: *mut c_uint) { give(out, 16) }
    fn nvmlDeviceGetMaxPcieLinkWidth(_device: Handle, out: *mut c_uint) { give(out, 16) }
    fn nvmlDeviceGetPcieReplayCounter(_device: Handle, out: *mut c_uint) { give(out, 7) }
    fn nvmlDeviceGetEccMode(_device: Handle, current: *mut c_uint, pending: *mut c_uint) { give(current, 1) | give(pending, 1) }
    fn nvmlDeviceGetTotalEccErrors(_device: Handle, _kind: c_uint, _scope: c_uint, out: *mut c_ulonglong) { give(out, 0) }
    fn nvmlDeviceGetMigMode(device: Handle, current: *mut c_uint, pending: *mut c_uint) {
        let mode = c_uint::from(!slices(device).is_empty());
        give(current, mode) | give(pending, mode)
    }
    fn nvmlDeviceGetPersistenceMode(_device: Handle, out: *mut c_uint) { give(out, 1) }
    fn nvmlDeviceGetPerformanceState(_device: Handle, out: *mut c_uint) { give(out, 0) }
    fn nvmlDeviceGetComputeRunningProcesses_v3(_device: Handle, count: *mut c_uint, out: *mut Process) {
        // SAFETY: callers of NVML pass a count that may be read, and room for as many processes.
        let room = unsafe { count.read() };
        // Whoever asks is there, and somebody else.
        let all = [std::process::id(), 1];
        give(count, all.len() as c_uint);
        if room < 2 {
            return INSUFFICIENT_SIZE;
        }
        for (place, pid) in all.into_iter().enumerate() {
            // SAFETY: there is room for two.
            unsafe { out.add(place).write(Process { pid, memory: 1 << 20, gpu_instance: 0, compute_instance: 0 }) };
        }
        SUCCESS
    }
    fn nvmlEventSetCreate(out: *mut Handle) { give(out, std::ptr::from_ref(&CARDS[0]).cast()) }
    fn nvmlEventSetFree(_set: Handle) { SUCCESS }
    fn nvmlDeviceRegisterEvents(_device: Handle, _kinds: c_ulonglong, _set: Handle) { SUCCESS }
    fn nvmlEventSetWait_v2(_set: Handle, out: *mut EventData, milliseconds: c_uint) {
        let device = std::ptr::from_ref(&CARDS[2]).cast();
        if let Some(data) = with_state(|state| state.xid.take()) {
            return give(out, EventData { device, kind: XID, data, gpu_instance: 0, compute_instance: 0 });
        }
        std::thread::sleep(Duration::from_millis(milliseconds.into()));
        TIMEOUT
    }
}
