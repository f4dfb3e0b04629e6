//! Modules, functions and what is known of them.

use super::{Pointer, export, give, give_handle, give_text, launches::Configuration};
use crate::{
    driver::{Driver, Function},
    image::{self, Refused},
    status::Status,
};
use std::{
    ffi::{CStr, c_char, c_int, c_uint, c_void},
    sync::Arc,
};

const ERROR_LOG: c_int = 5;
const ERROR_LOG_BYTES: c_int = 6;
const MAX_DYNAMIC_SHARED: c_int = 8;
const LARGE_CLUSTER: c_int = 14;
/// Dynamic shared memory that needs no leave.
const SHARED_BYTES: u32 = 48 << 10;

fn load(driver: &mut Driver, out: *mut Pointer, image: *const c_void) -> Result<(), Refused> {
    let plain = |status| Refused(status, String::new());
    if image.is_null() {
        return Err(plain(Status::INVALID_VALUE));
    }
    // SAFETY: callers of the driver pass a whole cubin or a text that a zero ends.
    let bytes = unsafe { image::bytes(image.cast()) }.ok_or_else(|| plain(Status::INVALID_IMAGE))?;
    let code = image::load(bytes, &driver.chip, driver.ptx.as_deref()).inspect_err(|Refused(status, words)| {
        driver.log.write(&format!("refused {} {words}", status.0));
    })?;
    let handle = driver.handle();
    driver.modules.insert(handle, Arc::new(code));
    driver.paces.insert(handle, driver.pace.of(bytes));
    give_handle(out, handle).map_err(plain)
}

/// Where a caller wants the compiler's words, and how many fit.
fn error_log(count: c_uint, options: *const c_int, values: *const Pointer) -> Option<(*mut c_char, usize)> {
    // SAFETY: callers of the driver pass two arrays of `count` elements.
    let pair = |index| unsafe { (*options.add(index), *values.add(index)) };
    let value = |wanted: c_int| (0..count as usize).map(pair).find(|(option, _)| *option == wanted).map(|(_, value)| value);
    Some((value(ERROR_LOG)?.cast(), value(ERROR_LOG_BYTES)? as usize))
}

fn function(driver: &Driver, handle: Pointer) -> Result<&Function, Status> {
    driver.functions.get(&(handle as u64)).ok_or(Status::INVALID_HANDLE)
}

export! {
    fn cuModuleLoadData[Context](driver, out: *mut Pointer, image: *const c_void) {
        load(driver, out, image).map_err(|Refused(status, _)| status)
    }
    fn cuModuleLoadDataEx[Context](
        driver, out: *mut Pointer, image: *const c_void, count: c_uint, options: *const c_int, values: *const Pointer
    ) {
        load(driver, out, image).map_err(|Refused(status, words)| {
            if let Some((buffer, room)) = error_log(count, options, values) {
                // Without room for them the words are lost, as in the real driver.
                let _ = give_text(buffer, room, &words);
            }
            status
        })
    }
    fn cuModuleUnload[Context](driver, module: Pointer) {
        driver.functions.retain(|_, function| function.module != module as u64);
        driver.modules.remove(&(module as u64)).map(|_| ()).ok_or(Status::INVALID_HANDLE)
    }
    fn cuModuleGetFunction[Context](driver, out: *mut Pointer, module: Pointer, name: *const c_char) {
        let code = driver.modules.get(&(module as u64)).ok_or(Status::INVALID_HANDLE)?.clone();
        if name.is_null() {
            return Err(Status::INVALID_VALUE);
        }
        // SAFETY: callers of the driver pass a text that a zero ends.
        let name = unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned();
        let facts = code.facts(&name).ok_or(Status::NOT_FOUND)?;
        let handle = driver.handle();
        let (module, dynamic_shared) = (module as u64, SHARED_BYTES.saturating_sub(facts.static_shared));
        driver.functions.insert(handle, Function { module, code, name, facts, dynamic_shared, large_cluster: false });
        give_handle(out, handle)
    }
    fn cuFuncGetAttribute[Context](driver, value: *mut c_int, attribute: c_int, handle: Pointer) {
        let (function, sm) = (function(driver, handle)?, driver.chip.sm as c_int);
        give(value, match attribute {
            0 => function.facts.max_threads as c_int,
            1 => function.facts.static_shared as c_int,
            4 => 64,
            5 => { let (major, minor) = function.code.version(); (major * 10 + minor) as c_int }
            6 => sm,
            MAX_DYNAMIC_SHARED => function.dynamic_shared as c_int,
            10 => c_int::from(function.facts.cluster.is_some()),
            11..=13 => function.facts.cluster.map_or(0, |cluster| cluster[attribute as usize - 11] as c_int),
            LARGE_CLUSTER => c_int::from(function.large_cluster),
            2 | 3 | 7 | 9 | 15 => 0,
            _ => return Err(Status::INVALID_VALUE),
        })
    }
    fn cuFuncSetAttribute[Context](driver, handle: Pointer, attribute: c_int, value: c_int) {
        let most = driver.chip.shared_optin();
        let function = driver.functions.get_mut(&(handle as u64)).ok_or(Status::INVALID_HANDLE)?;
        let value = u32::try_from(value).map_err(|_| Status::INVALID_VALUE)?;
        match attribute {
            MAX_DYNAMIC_SHARED if value.saturating_add(function.facts.static_shared) > most => return Err(Status::INVALID_VALUE),
            MAX_DYNAMIC_SHARED => function.dynamic_shared = value,
            LARGE_CLUSTER => function.large_cluster = value != 0,
            9 => {}
            _ => return Err(Status::INVALID_VALUE),
        }
        Ok(())
    }
    fn cuOccupancyMaxActiveBlocksPerMultiprocessor[Context](
        driver, out: *mut c_int, handle: Pointer, threads: c_int, dynamic_shared: usize
    ) {
        let shared = function(driver, handle)?.facts.static_shared.saturating_add(dynamic_shared as u32);
        let threads = u32::try_from(threads).map_err(|_| Status::INVALID_VALUE)?;
        give(out, driver.chip.occupancy(threads, shared) as c_int)
    }
    fn cuOccupancyMaxActiveClusters[Context](driver, out: *mut c_int, handle: Pointer, configuration: *const Configuration) {
        let facts = function(driver, handle)?.facts.clone();
        // SAFETY: callers of the driver pass a pointer to a configuration.
        let given = unsafe { configuration.as_ref() }.ok_or(Status::INVALID_VALUE)?;
        let cluster = given.cluster().or(facts.cluster).unwrap_or([1; 3]).iter().product::<u32>().max(1);
        let held = driver.chip.occupancy(given.threads(), facts.static_shared.saturating_add(given.shared()));
        give(out, (held * driver.chip.multiprocessors / cluster) as c_int)
    }
}
