//! NCCL without a GPU, found and loaded like the real one; the fake driver sums for it, in its own memory and time.
//!
//! `ASSAY_FAKE_NCCL=broken` has it make no handles; `short` has it leave the last element out.

#[path = "../../cublaslt/src/driver.rs"]
mod driver;

use driver::in_driver;
use std::{
    cell::RefCell,
    ffi::{c_int, c_void},
};

type Pointer = *mut c_void;

const SUCCESS: c_int = 0;
const SYSTEM_ERROR: c_int = 2;
const INVALID_ARGUMENT: c_int = 4;
const INVALID_USAGE: c_int = 5;
const FLOAT32: c_int = 7;

/// `assayFakeSum` of the fake driver.
// SAFETY: of whoever calls it, with pointers to as many streams and pairs of addresses as it says.
type Sum = unsafe extern "C" fn(*const Pointer, *const [u64; 2], usize, usize) -> c_int;

/// What one device is to do.
struct Part {
    rank: usize,
    stream: Pointer,
    pair: [u64; 2],
    elements: usize,
}

thread_local! {
    /// Devices of the group, and their parts since it began; none outside of a group.
    static RANKS: RefCell<usize> = const { RefCell::new(0) };
    static GROUP: RefCell<Option<Vec<Part>>> = const { RefCell::new(None) };
}

fn script() -> String {
    std::env::var("ASSAY_FAKE_NCCL").unwrap_or_default()
}

/// The fake driver's sum, if that driver is in this process.
fn sum() -> Option<Sum> {
    // SAFETY: a function of that name has that type, for no other library exports it.
    in_driver(c"assayFakeSum").map(|found| unsafe { std::mem::transmute::<Pointer, Sum>(found) })
}

/// Exports functions under their C names.
macro_rules! export {
    ($(fn $name:ident($($argument:ident: $kind:ty),*) $body:block)*) => {
        $(
            // SAFETY: the names are NCCL's own, and nothing else in this library bears them.
            #[unsafe(no_mangle)]
            pub extern "C" fn $name($($argument: $kind),*) -> c_int $body
        )*
    };
}

export! {
    fn ncclGetVersion(out: *mut c_int) {
        if out.is_null() {
            return INVALID_ARGUMENT;
        }
        // SAFETY: callers pass a pointer that may be written.
        unsafe { out.write(22_703) };
        SUCCESS
    }
    fn ncclCommInitAll(out: *mut Pointer, count: c_int, devices: *const c_int) {
        if out.is_null() || devices.is_null() || count < 1 {
            return INVALID_ARGUMENT;
        }
        if sum().is_none() || script() == "broken" {
            return SYSTEM_ERROR;
        }
        for rank in 0..count as usize {
            // SAFETY: callers pass room for as many handles as they say.
            unsafe { out.add(rank).write(std::ptr::without_provenance_mut(rank + 1)) };
        }
        RANKS.set(count as usize);
        SUCCESS
    }
    fn ncclCommDestroy(handle: Pointer) {
        if handle.is_null() { INVALID_ARGUMENT } else { SUCCESS }
    }
    fn ncclGroupStart() {
        GROUP.with_borrow_mut(|group| if group.is_some() { INVALID_USAGE } else { *group = Some(Vec::new()); SUCCESS })
    }
    fn ncclGroupEnd() {
        GROUP.with_borrow_mut(Option::take).map_or(INVALID_USAGE, |parts| together(&parts))
    }
    fn ncclAllReduce(
        from: *const c_void, to: Pointer, elements: usize, kind: c_int, operation: c_int, handle: Pointer, stream: Pointer
    ) {
        if kind != FLOAT32 || operation != 0 || handle.is_null() || elements == 0 {
            return INVALID_ARGUMENT;
        }
        let part = Part { rank: handle as usize, stream, pair: [from as u64, to as u64], elements };
        // One device of several outside of a group would wait for the others for ever.
        GROUP.with_borrow_mut(|group| group.as_mut().map_or(INVALID_USAGE, |parts| {
            parts.push(part);
            SUCCESS
        }))
    }
}

/// All parts of a group, which are those of all devices.
fn together(parts: &[Part]) -> c_int {
    let mut ranks: Vec<usize> = parts.iter().map(|part| part.rank).collect();
    ranks.sort_unstable();
    ranks.dedup();
    let all = RANKS.with_borrow(|count| *count == ranks.len() && *count == parts.len());
    if !all || parts.windows(2).any(|two| two[0].elements != two[1].elements) {
        return INVALID_USAGE;
    }
    let (streams, pairs): (Vec<Pointer>, Vec<[u64; 2]>) = parts.iter().map(|part| (part.stream, part.pair)).unzip();
    let elements = parts.first().map_or(0, |part| part.elements) - usize::from(script() == "short");
    // SAFETY: as many streams and pairs are passed as is said.
    let done = sum().map(|sum| unsafe { sum(streams.as_ptr(), pairs.as_ptr(), parts.len(), elements) });
    if done == Some(0) { SUCCESS } else { SYSTEM_ERROR }
}

#[cfg(test)]
use std::ptr::null_mut;

#[test]
fn a_group_is_of_all_devices_or_refused() {
    assert_eq!((ncclGroupEnd(), ncclGroupStart(), ncclGroupStart()), (INVALID_USAGE, SUCCESS, INVALID_USAGE));
    let stream = std::ptr::without_provenance_mut(8);
    let reduce =
        |rank: usize, kind| ncclAllReduce(null_mut(), null_mut(), 4, kind, 0, std::ptr::without_provenance_mut(rank), stream);
    assert_eq!((reduce(1, 0), reduce(0, FLOAT32), reduce(1, FLOAT32)), (INVALID_ARGUMENT, INVALID_ARGUMENT, SUCCESS));
    RANKS.set(2);
    assert_eq!((ncclGroupEnd(), reduce(1, FLOAT32)), (INVALID_USAGE, INVALID_USAGE), "one of two, and none outside of a group");
    let mut version = 0;
    assert_eq!((ncclGetVersion(&raw mut version), version), (SUCCESS, 22_703));
    let mut handle = null_mut();
    assert_eq!(ncclCommInitAll(&raw mut handle, 1, &raw const version), SYSTEM_ERROR, "there is no fake driver here");
    assert_eq!(ncclCommDestroy(handle), INVALID_ARGUMENT);
}
