//! Memory of devices and pinned memory of the host, fills and copies.

use super::{Pointer, devices::device_of, export, give, taken};
use crate::{
    driver::{self, Driver, Handle},
    status::Status,
    work::Work,
};
use std::ffi::{c_uint, c_ushort, c_void};

fn allocate(driver: &mut Driver, out: *mut u64, bytes: usize) -> Result<(), Status> {
    let (device, total) = (driver::device()?, driver.chip.memory_bytes);
    give(out, driver.memory.allocate(device, bytes as u64, total)?)
}

/// Does a stream's work and sees it end.
fn finish(driver: &mut Driver, stream: Handle) -> Result<(), Status> {
    driver.advance(stream);
    driver.healthy()?;
    let waits = driver.streams.get(&stream).is_none_or(|stream| !stream.queue.is_empty());
    if waits { Err(Status::HANGS) } else { Ok(()) }
}

/// Whether a range of the host lies in pinned memory.
fn pinned(driver: &Driver, host: usize, bytes: usize) -> bool {
    let own = driver.pinned.range(..=host).next_back().map(|(begin, held)| (*begin, held.len()));
    let registered = driver.registered.range(..=host).next_back().map(|(begin, length)| (*begin, *length));
    [own, registered].into_iter().flatten().any(|(begin, length)| host - begin + bytes <= length)
}

fn to_device(driver: &mut Driver, to: u64, from: *const c_void, bytes: usize, stream: Handle) -> Result<(), Status> {
    driver.memory.read(to, bytes)?;
    let host = from as usize;
    let work = if pinned(driver, host, bytes) {
        Work::FromPinned { address: to, host, bytes }
    } else {
        Work::ToDevice { address: to, bytes: taken(from, bytes)?.to_vec() }
    };
    driver.enqueue(stream, work)
}

/// Into pageable memory only at once, as the real driver does.
fn to_host(driver: &mut Driver, to: Pointer, from: u64, bytes: usize, stream: Handle) -> Result<(), Status> {
    driver.memory.read(from, bytes)?;
    let host = to as usize;
    let later = pinned(driver, host, bytes);
    driver.enqueue(stream, Work::ToHost { address: from, host, bytes })?;
    if later { Ok(()) } else { finish(driver, stream) }
}

fn set(driver: &mut Driver, address: u64, pattern: &[u8], count: usize, stream: Handle) -> Result<(), Status> {
    let bytes = count.checked_mul(pattern.len()).ok_or(Status::INVALID_VALUE)?;
    driver.memory.read(address, bytes)?;
    if !address.is_multiple_of(pattern.len() as u64) {
        return Err(Status::INVALID_VALUE);
    }
    driver.enqueue(stream, Work::Set { address, pattern: pattern.into(), bytes })
}

fn null() -> Result<Handle, Status> {
    driver::device().map(Driver::null)
}

export! {
    fn cuMemGetInfo_v2[Context](driver, free: *mut usize, total: *mut usize) {
        let used = driver.memory.used(driver::device()?);
        give(free, driver.chip.memory_bytes.saturating_sub(used) as usize)?;
        give(total, driver.chip.memory_bytes as usize)
    }
    fn cuMemAlloc_v2[Context](driver, out: *mut u64, bytes: usize) { allocate(driver, out, bytes) }
    fn cuMemAllocAsync[Context](driver, out: *mut u64, bytes: usize, stream: Pointer) {
        driver.stream(stream)?;
        allocate(driver, out, bytes)
    }
    fn cuMemFree_v2[Context](driver, address: u64) {
        let device = driver::device()?;
        driver.advance_device(device);
        driver.healthy()?;
        if driver.streams.values().any(|stream| stream.device == device && !stream.queue.is_empty()) {
            return Err(Status::HANGS);
        }
        driver.memory.free(address)
    }
    fn cuMemFreeAsync[Context](driver, address: u64, stream: Pointer) {
        let stream = driver.stream(stream)?;
        driver.enqueue(stream, Work::Free(address))
    }
    fn cuMemHostAlloc[Context](driver, out: *mut Pointer, bytes: usize, _flags: c_uint) {
        let mut held = vec![0_u8; bytes.max(1)].into_boxed_slice();
        let address = held.as_mut_ptr();
        driver.pinned.insert(address as usize, held);
        give(out, address.cast())
    }
    fn cuMemHostRegister_v2[Context](driver, host: Pointer, bytes: usize, _flags: c_uint) {
        if host.is_null() || bytes == 0 || pinned(driver, host as usize, 1) {
            return Err(Status::INVALID_VALUE);
        }
        driver.registered.insert(host as usize, bytes);
        Ok(())
    }
    fn cuMemHostUnregister[Context](driver, host: Pointer) {
        let device = driver::device()?;
        driver.advance_device(device);
        driver.registered.remove(&(host as usize)).map(|_| ()).ok_or(Status::INVALID_VALUE)
    }
    fn cuMemFreeHost[Context](driver, host: Pointer) {
        let device = driver::device()?;
        driver.advance_device(device);
        driver.pinned.remove(&(host as usize)).map(|_| ()).ok_or(Status::INVALID_VALUE)
    }
    fn cuMemcpyHtoD_v2[Context](driver, to: u64, from: *const c_void, bytes: usize) {
        let stream = null()?;
        to_device(driver, to, from, bytes, stream)?;
        // Of pageable memory the bytes are taken, and arrive later.
        let later = driver.chip.deferred && !pinned(driver, from as usize, bytes);
        if later { Ok(()) } else { finish(driver, stream) }
    }
    fn cuMemcpyDtoH_v2[Context](driver, to: Pointer, from: u64, bytes: usize) {
        let stream = null()?;
        to_host(driver, to, from, bytes, stream)?;
        finish(driver, stream)
    }
    fn cuMemcpyDtoD_v2[Context](driver, to: u64, from: u64, bytes: usize) {
        let stream = null()?;
        driver.memory.read(to, bytes)?;
        driver.memory.read(from, bytes)?;
        driver.enqueue(stream, Work::Between { to, from, bytes })
    }
    fn cuMemcpyHtoDAsync_v2[Context](driver, to: u64, from: *const c_void, bytes: usize, stream: Pointer) {
        let stream = driver.stream(stream)?;
        to_device(driver, to, from, bytes, stream)
    }
    fn cuMemcpyDtoHAsync_v2[Context](driver, to: Pointer, from: u64, bytes: usize, stream: Pointer) {
        let stream = driver.stream(stream)?;
        to_host(driver, to, from, bytes, stream)
    }
    fn cuMemcpyDtoDAsync_v2[Context](driver, to: u64, from: u64, bytes: usize, stream: Pointer) {
        let stream = driver.stream(stream)?;
        driver.memory.read(to, bytes)?;
        driver.memory.read(from, bytes)?;
        driver.enqueue(stream, Work::Between { to, from, bytes })
    }
    fn cuMemcpyPeerAsync[Context](driver, to: u64, receiver: Pointer, from: u64, sender: Pointer, bytes: usize, stream: Pointer) {
        let stream = driver.stream(stream)?;
        for (address, context) in [(to, receiver), (from, sender)] {
            driver.memory.read(address, bytes)?;
            if driver.memory.device_of(address) != device_of(driver, context)? {
                return Err(Status::INVALID_VALUE);
            }
        }
        let [sender, receiver] = [from, to].map(|address| driver.memory.device_of(address));
        let joined = sender.zip(receiver).is_some_and(|pair| driver.joined.contains(&pair));
        driver.enqueue(stream, Work::Across { to, from, bytes, joined })
    }
    fn cuMemsetD8_v2[Context](driver, address: u64, value: u8, count: usize) {
        let stream = null()?;
        set(driver, address, &[value], count, stream)
    }
    fn cuMemsetD8Async[Context](driver, address: u64, value: u8, count: usize, stream: Pointer) {
        let stream = driver.stream(stream)?;
        set(driver, address, &[value], count, stream)
    }
    fn cuMemsetD16Async[Context](driver, address: u64, value: c_ushort, count: usize, stream: Pointer) {
        let stream = driver.stream(stream)?;
        set(driver, address, &value.to_le_bytes(), count, stream)
    }
    fn cuMemsetD32_v2[Context](driver, address: u64, value: c_uint, count: usize) {
        let stream = null()?;
        set(driver, address, &value.to_le_bytes(), count, stream)
    }
    fn cuMemsetD32Async[Context](driver, address: u64, value: c_uint, count: usize, stream: Pointer) {
        let stream = driver.stream(stream)?;
        set(driver, address, &value.to_le_bytes(), count, stream)
    }
}
