//! Starting, devices and contexts.

use super::{Pointer, export, give, give_handle, give_text};
use crate::{
    driver::{self, Driver, current, make_current},
    status::{self, Status},
};
use std::ffi::{CStr, c_char, c_int, c_uint};

/// Contexts are told apart by their address, which is that of nothing.
const CONTEXTS: u64 = 0xc000;

fn known(driver: &Driver, device: c_int) -> Result<u32, Status> {
    u32::try_from(device).ok().filter(|device| *device < driver.chip.devices).ok_or(Status::INVALID_DEVICE)
}

fn context(device: u32) -> u64 {
    CONTEXTS + 0x10 * u64::from(device)
}

pub fn device_of(driver: &Driver, handle: Pointer) -> Result<Option<u32>, Status> {
    if handle.is_null() {
        return Ok(None);
    }
    let found = (0..driver.chip.devices).find(|device| context(*device) == handle as u64);
    found.filter(|device| driver.retained[*device as usize] > 0).map(Some).ok_or(Status::INVALID_CONTEXT)
}

/// Of a device, or of a slice of it.
fn uuid(driver: &Driver, device: c_int, slice: u32) -> Result<[u8; 16], Status> {
    let device = known(driver, device)? as u8;
    let sm = driver.chip.sm as u8;
    Ok([0xfa, 0xce, 0, 0, 0, 0, 0x40, 0, 0x80, 0, 0, 0, 0, slice as u8, sm, device])
}

export! {
    fn cuInit[Start](driver, _flags: c_uint) {
        driver.started = true;
        if driver.chip.devices == 0 { Err(Status::NO_DEVICE) } else { Ok(()) }
    }
    fn cuDriverGetVersion[Nothing](driver, version: *mut c_int) { give(version, driver.chip.driver) }
    fn cuDeviceGetCount[Start](driver, count: *mut c_int) { give(count, driver.chip.devices as c_int) }
    fn cuDeviceGet[Start](driver, device: *mut c_int, ordinal: c_int) { give(device, known(driver, ordinal)? as c_int) }
    fn cuDeviceGetName[Start](driver, name: *mut c_char, room: c_int, device: c_int) {
        known(driver, device)?;
        give_text(name, usize::try_from(room).unwrap_or(0), &driver.chip.name)
    }
    fn cuDeviceTotalMem_v2[Start](driver, bytes: *mut usize, device: c_int) {
        known(driver, device)?;
        give(bytes, driver.chip.memory_bytes as usize)
    }
    fn cuDeviceGetUuid[Start](driver, out: *mut [u8; 16], device: c_int) { give(out, uuid(driver, device, 0)?) }
    fn cuDeviceGetUuid_v2[Start](driver, out: *mut [u8; 16], device: c_int) {
        give(out, uuid(driver, device, driver.chip.slice)?)
    }
    fn cuDeviceGetPCIBusId[Start](driver, out: *mut c_char, room: c_int, device: c_int) {
        let text = format!("0000:{:02X}:00.0", known(driver, device)? + 1);
        give_text(out, usize::try_from(room).unwrap_or(0), &text)
    }
    fn cuDeviceGetAttribute[Start](driver, value: *mut c_int, attribute: c_int, device: c_int) {
        let device = known(driver, device)?;
        give(value, driver.chip.attribute(attribute, device).ok_or(Status::INVALID_VALUE)?)
    }
    fn cuDeviceComputeCapability[Start](driver, major: *mut c_int, minor: *mut c_int, device: c_int) {
        known(driver, device)?;
        give(major, driver.chip.sm as c_int / 10)?;
        give(minor, driver.chip.sm as c_int % 10)
    }
    fn cuDeviceCanAccessPeer[Start](driver, can: *mut c_int, device: c_int, peer: c_int) {
        let linked = known(driver, device)? != known(driver, peer)? && driver.chip.peers > 0;
        give(can, c_int::from(linked))
    }
    fn cuDevicePrimaryCtxRetain[Start](driver, out: *mut Pointer, device: c_int) {
        let device = known(driver, device)?;
        driver.retained[device as usize] += 1;
        give_handle(out, context(device))
    }
    fn cuDevicePrimaryCtxRelease_v2[Start](driver, device: c_int) {
        let device = known(driver, device)?;
        let retained = &mut driver.retained[device as usize];
        *retained = retained.checked_sub(1).ok_or(Status::INVALID_CONTEXT)?;
        Ok(())
    }
    fn cuCtxGetCurrent[Start](_driver, out: *mut Pointer) { give_handle(out, current().map_or(0, context)) }
    fn cuCtxSetCurrent[Start](driver, handle: Pointer) {
        make_current(device_of(driver, handle)?);
        Ok(())
    }
    fn cuCtxPushCurrent_v2[Start](driver, handle: Pointer) {
        make_current(device_of(driver, handle)?);
        Ok(())
    }
    fn cuCtxPopCurrent_v2[Start](_driver, out: *mut Pointer) {
        give_handle(out, current().map_or(0, context))?;
        make_current(None);
        Ok(())
    }
    fn cuCtxGetDevice[Start](_driver, out: *mut c_int) { give(out, driver::device()? as c_int) }
    fn cuCtxEnablePeerAccess[Context](driver, peer: Pointer, _flags: c_uint) {
        let (device, peer) = (driver::device()?, device_of(driver, peer)?.ok_or(Status::INVALID_CONTEXT)?);
        if device == peer || driver.chip.peers == 0 {
            return Err(Status::PEER_ACCESS_UNSUPPORTED);
        }
        if driver.joined.contains(&(device, peer)) {
            return Err(Status::PEER_ACCESS_ALREADY_ENABLED);
        }
        if driver.joined.iter().filter(|(from, _)| *from == device).count() >= driver.chip.peers {
            return Err(Status::TOO_MANY_PEERS);
        }
        driver.joined.insert((device, peer));
        Ok(())
    }
    fn cuCtxDisablePeerAccess[Context](driver, peer: Pointer) {
        let (device, peer) = (driver::device()?, device_of(driver, peer)?.ok_or(Status::INVALID_CONTEXT)?);
        if driver.joined.remove(&(device, peer)) { Ok(()) } else { Err(Status::PEER_ACCESS_NOT_ENABLED) }
    }
    fn cuCtxSynchronize[Context](driver) {
        let device = driver::device()?;
        driver.advance_device(device);
        driver.healthy()?;
        let waits = driver.streams.values().any(|stream| stream.device == device && !stream.queue.is_empty());
        if waits { Err(Status::HANGS) } else { Ok(()) }
    }
    fn cuGetErrorName[Nothing](_driver, code: c_int, out: *mut *const c_char) { text(out, status::name(code)) }
    fn cuGetErrorString[Nothing](_driver, code: c_int, out: *mut *const c_char) { text(out, status::words(code)) }
}

fn text(out: *mut *const c_char, text: Option<&'static CStr>) -> Result<(), Status> {
    give(out, text.map_or(std::ptr::null(), CStr::as_ptr))?;
    text.map(|_| ()).ok_or(Status::INVALID_VALUE)
}
