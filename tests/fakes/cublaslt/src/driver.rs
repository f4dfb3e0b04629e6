//! The fake driver, where it is loaded: what the libraries over it ask.

use std::ffi::{CStr, c_char, c_int, c_void};

type Pointer = *mut c_void;

/// A function of the driver that is in this process.
pub fn in_driver(name: &CStr) -> Option<Pointer> {
    const LAZY_AND_ONLY_IF_LOADED: c_int = 1 | 4;
    // SAFETY: the C library's own functions, by their own signatures.
    unsafe extern "C" {
        fn dlopen(name: *const c_char, flags: c_int) -> Pointer;
        fn dlsym(library: Pointer, name: *const c_char) -> Pointer;
    }
    // SAFETY: the names end with a zero.
    unsafe {
        let open = |name: &CStr| dlopen(name.as_ptr(), LAZY_AND_ONLY_IF_LOADED);
        let library = [c"libcuda.so", c"libcuda.so.1"].into_iter().map(open).find(|library| !library.is_null())?;
        let found = dlsym(library, name.as_ptr());
        (!found.is_null()).then_some(found)
    }
}
