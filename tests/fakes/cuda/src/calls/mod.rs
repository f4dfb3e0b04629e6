//! The exported calls, by what they are about.

mod devices;
#[cfg(test)]
mod face;
mod graphs;
mod launches;
mod memory;
mod modules;
mod products;
mod streams;
mod tensors;

use crate::status::Status;
use std::ffi::{c_char, c_void};

/// Whatever the caller sees as a pointer of the driver's.
type Pointer = *mut c_void;

/// Exports functions under their C names. Each is a call that needs `Nothing`, the `Start` or a `Context`; its body gives a result.
macro_rules! export {
    ($(fn $name:ident[$needs:ident]($driver:ident $(, $argument:ident: $kind:ty)*) $body:block)*) => {
        $(
            // SAFETY: the names are the CUDA driver's own, and nothing else in this library bears them.
            #[unsafe(no_mangle)]
            pub extern "C" fn $name($($argument: $kind),*) -> std::ffi::c_int {
                crate::driver::call(stringify!($name), crate::driver::Needs::$needs, |$driver| $body)
            }
        )*
    };
}
pub(crate) use export;

/// Writes what a call found.
fn give<T>(out: *mut T, value: T) -> Result<(), Status> {
    if out.is_null() {
        return Err(Status::INVALID_VALUE);
    }
    // SAFETY: callers of the driver pass a pointer that may be written.
    unsafe { out.write(value) };
    Ok(())
}

/// Writes a handle.
fn give_handle(out: *mut Pointer, handle: u64) -> Result<(), Status> {
    give(out, handle as Pointer)
}

/// Writes a text that a zero ends, cut to the room there is.
fn give_text(out: *mut c_char, room: usize, text: &str) -> Result<(), Status> {
    if out.is_null() || room == 0 {
        return Err(Status::INVALID_VALUE);
    }
    let bytes = &text.as_bytes()[..text.len().min(room - 1)];
    // SAFETY: callers of the driver pass `room` bytes that may be written.
    unsafe {
        out.copy_from_nonoverlapping(bytes.as_ptr().cast(), bytes.len());
        out.add(bytes.len()).write(0);
    }
    Ok(())
}

/// The caller's bytes.
fn taken<'a>(from: *const c_void, bytes: usize) -> Result<&'a [u8], Status> {
    if from.is_null() {
        return Err(Status::INVALID_VALUE);
    }
    // SAFETY: callers of the driver pass a pointer to as many bytes as they say.
    Ok(unsafe { std::slice::from_raw_parts(from.cast(), bytes) })
}

/// So that a program can tell this driver from a real one.
// SAFETY: no other library has a symbol of this name.
#[unsafe(no_mangle)]
pub extern "C" fn assayFakeDriver() {}
