//! cuBLASLt without a GPU, found and loaded like the real one; the fake driver multiplies for it, in its own memory and time.
//!
//! It knows what the real one refuses: narrow inputs that do not lie along k, e5m2 times e5m2, fp8 without scales, fp4 without a scale
//! for each block or below compute capability 10.0. What else goes wrong is up to a [`script`].

mod common;
mod driver;
mod script;

use common::{Script, tell};
use driver::in_driver;
use script::Library;
use std::{
    ffi::{c_int, c_void},
    sync::LazyLock,
};

type Pointer = *mut c_void;

const SUCCESS: c_int = 0;
const NOT_INITIALIZED: c_int = 1;
const INVALID_VALUE: c_int = 7;
const EXECUTION_FAILED: c_int = 13;
const NOT_SUPPORTED: c_int = 15;

static SCRIPT: LazyLock<Library> = LazyLock::new(|| Library::find("ASSAY_FAKE_LT"));

/// A product in the midst of being described.
#[derive(Default)]
struct Operation {
    compute: c_int,
    transpose_left: bool,
    scales: [u64; 2],
    /// `cublasLtMatmulMatrixScale_t` of each.
    modes: [u64; 2],
}

const FP4: c_int = 33;
/// Elements of a block that share a scale, in ue4m3.
const BLOCKS_OF_16: u64 = 1;

struct Layout {
    kind: c_int,
    rows: u64,
    columns: u64,
    leading: i64,
}

#[derive(Default)]
struct Preference {
    workspace: u64,
}

/// `cublasLtMatmulHeuristicResult_t`.
#[repr(C)]
pub struct Proposal {
    algorithm: [u64; 8],
    workspace: usize,
    status: c_int,
    waves: f32,
    reserved: [c_int; 4],
}

/// `assayFakeProduct` of the fake driver.
// SAFETY: of whoever calls it, with a pointer to the words.
type Multiply = unsafe extern "C" fn(Pointer, *const [u64; 14]) -> c_int;

/// `cuDeviceGetAttribute`.
// SAFETY: of whoever calls it, with a pointer to the value.
type Attribute = unsafe extern "C" fn(*mut c_int, c_int, c_int) -> c_int;

/// Compute capability of the fake driver's devices, its major part.
fn generation() -> c_int {
    const MAJOR: c_int = 75;
    let mut value = 0;
    // SAFETY: a function of that name has that type; the pointer is to a local.
    unsafe {
        let found = in_driver(c"cuDeviceGetAttribute");
        if let Some(found) = found {
            std::mem::transmute::<Pointer, Attribute>(found)(&raw mut value, MAJOR, 0);
        }
    }
    value
}

/// The fake driver's product, if that driver is in this process.
fn multiply() -> Option<Multiply> {
    // SAFETY: a function of that name has that type, for no other library exports it.
    in_driver(c"assayFakeProduct").map(|found| unsafe { std::mem::transmute::<Pointer, Multiply>(found) })
}

fn give<T>(out: *mut Pointer, made: T) -> c_int {
    if out.is_null() {
        return INVALID_VALUE;
    }
    // SAFETY: callers pass a pointer that may be written.
    unsafe { out.write(Box::into_raw(Box::new(made)).cast()) };
    SUCCESS
}

fn end<T>(handle: Pointer) -> c_int {
    if handle.is_null() {
        return INVALID_VALUE;
    }
    // SAFETY: callers pass what `give` made of this type, once.
    drop(unsafe { Box::from_raw(handle.cast::<T>()) });
    SUCCESS
}

fn borrowed<'a, T>(handle: Pointer) -> Option<&'a mut T> {
    // SAFETY: callers pass what `give` made of this type, and use it from one thread.
    unsafe { handle.cast::<T>().as_mut() }
}

/// A number of up to eight bytes.
fn number(from: *const c_void, bytes: usize) -> u64 {
    let mut value = [0_u8; 8];
    // SAFETY: callers pass a pointer to as many bytes as they say.
    unsafe { value.as_mut_ptr().copy_from_nonoverlapping(from.cast(), bytes.min(8)) };
    u64::from_le_bytes(value)
}

fn written(value: u64, to: Pointer, bytes: usize, count: *mut usize) -> c_int {
    if to.is_null() || bytes > 8 {
        return INVALID_VALUE;
    }
    // SAFETY: callers pass a pointer to as many bytes as they say, and one for the count, which may be null.
    unsafe {
        to.cast::<u8>().copy_from_nonoverlapping(value.to_le_bytes().as_ptr(), bytes);
        if let Some(count) = count.as_mut() {
            *count = bytes;
        }
    }
    SUCCESS
}

/// Exports functions under their C names.
macro_rules! export {
    ($(fn $name:ident($($argument:ident: $kind:ty),*) -> $result:ty $body:block)*) => {
        $(
            // SAFETY: the names are cuBLASLt's own, and nothing else in this library bears them.
            #[unsafe(no_mangle)]
            pub extern "C" fn $name($($argument: $kind),*) -> $result $body
        )*
    };
}

export! {
    fn cublasLtGetVersion() -> usize { SCRIPT.version }
    fn cublasLtCreate(out: *mut Pointer) -> c_int {
        if multiply().is_some() { give(out, 0_u64) } else { NOT_INITIALIZED }
    }
    fn cublasLtDestroy(handle: Pointer) -> c_int { end::<u64>(handle) }
    fn cublasLtMatmulDescCreate(out: *mut Pointer, compute: c_int, _scale: c_int) -> c_int {
        give(out, Operation { compute, ..Operation::default() })
    }
    fn cublasLtMatmulDescSetAttribute(handle: Pointer, attribute: c_int, from: *const c_void, bytes: usize) -> c_int {
        let Some(operation) = borrowed::<Operation>(handle) else { return INVALID_VALUE };
        match (attribute, bytes) {
            (3, 4) => operation.transpose_left = number(from, 4) == 1,
            (17 | 18, 8) => operation.scales[attribute as usize - 17] = number(from, 8),
            (25, 1) => {}
            (31 | 32, 4) => operation.modes[attribute as usize - 31] = number(from, 4),
            _ => return INVALID_VALUE,
        }
        SUCCESS
    }
    fn cublasLtMatmulDescDestroy(handle: Pointer) -> c_int { end::<Operation>(handle) }
    fn cublasLtMatrixLayoutCreate(out: *mut Pointer, kind: c_int, rows: u64, columns: u64, leading: i64) -> c_int {
        give(out, Layout { kind, rows, columns, leading })
    }
    fn cublasLtMatrixLayoutDestroy(handle: Pointer) -> c_int { end::<Layout>(handle) }
    fn cublasLtMatmulPreferenceCreate(out: *mut Pointer) -> c_int { give(out, Preference::default()) }
    fn cublasLtMatmulPreferenceSetAttribute(handle: Pointer, attribute: c_int, from: *const c_void, bytes: usize) -> c_int {
        let Some(preference) = borrowed::<Preference>(handle) else { return INVALID_VALUE };
        match (attribute, bytes) {
            (1, 8) => preference.workspace = number(from, 8),
            (3, 4) => {}
            _ => return INVALID_VALUE,
        }
        SUCCESS
    }
    fn cublasLtMatmulPreferenceDestroy(handle: Pointer) -> c_int { end::<Preference>(handle) }
    fn cublasLtMatmulAlgoGetHeuristic(
        _handle: Pointer, operation: Pointer, left: Pointer, right: Pointer, _c: Pointer, result: Pointer, preference: Pointer,
        most: c_int, out: *mut Proposal, count: *mut c_int
    ) -> c_int {
        let described = (borrowed::<Operation>(operation), borrowed::<Layout>(left), borrowed::<Layout>(right), borrowed::<Layout>(result));
        let ((Some(operation), Some(left), Some(right), Some(result)), Some(preference)) = (described, borrowed::<Preference>(preference))
        else { return INVALID_VALUE };
        if SCRIPT.none || !supported(operation, left, right, result) {
            return NOT_SUPPORTED;
        }
        let flags = implementation(operation, left.kind);
        let proposed = SCRIPT.count.min(most as u64);
        for index in 0..proposed {
            let workspace = (preference.workspace as usize).min(1 << 10);
            let proposal =
                Proposal { algorithm: [index, flags, 0, 0, 0, 0, 0, 0], workspace, status: SUCCESS, waves: 1.0, reserved: [0; 4] };
            // SAFETY: callers pass room for as many as they ask for.
            unsafe { out.add(index as usize).write(proposal) };
        }
        // SAFETY: callers pass a pointer that may be written.
        unsafe { count.write(proposed as c_int) };
        SUCCESS
    }
    fn cublasLtMatmulAlgoCapGetAttribute(algorithm: *const [u64; 8], attribute: c_int, to: Pointer, bytes: usize, count: *mut usize) -> c_int {
        // SAFETY: callers pass an algorithm that was proposed.
        let flags = unsafe { (*algorithm)[1] };
        if attribute == 15 { written(flags, to, bytes, count) } else { INVALID_VALUE }
    }
    fn cublasLtMatmulAlgoConfigGetAttribute(algorithm: *const [u64; 8], attribute: c_int, to: Pointer, bytes: usize, count: *mut usize) -> c_int {
        // SAFETY: as above.
        let index = unsafe { (*algorithm)[0] };
        match attribute {
            0 => written(index, to, bytes, count),
            1 => written(20, to, bytes, count),
            // An older library has fewer.
            7.. if SCRIPT.version < 120_000 => INVALID_VALUE,
            2..=8 => written(0, to, bytes, count),
            _ => INVALID_VALUE,
        }
    }
    fn cublasLtMatmul(
        _handle: Pointer, operation: Pointer, _alpha: *const c_void, left: u64, of_left: Pointer, right: u64, of_right: Pointer,
        _beta: *const c_void, _c: u64, _of_c: Pointer, result: u64, of_result: Pointer, algorithm: *const [u64; 8], workspace: Pointer,
        room: usize, stream: Pointer
    ) -> c_int {
        let described = (borrowed::<Operation>(operation), borrowed::<Layout>(of_left), borrowed::<Layout>(of_right), borrowed::<Layout>(of_result));
        let (Some(operation), Some(of_left), Some(of_right), Some(of_result)) = described else { return INVALID_VALUE };
        // SAFETY: callers pass an algorithm that was proposed.
        let index = unsafe { (*algorithm)[0] };
        if room > 0 && workspace.is_null() {
            return INVALID_VALUE;
        }
        if SCRIPT.fails.contain(index) {
            return EXECUTION_FAILED;
        }
        tell(&format!("cublasLt algorithm {index}"));
        let depth = of_right.rows;
        let slower = if index == SCRIPT.best { 100 } else { 110 + 5 * index.abs_diff(SCRIPT.best) };
        let [of_a, of_b] = operation.scales;
        let words = [
            left, right, result, of_left.kind as u64, of_result.kind as u64, u64::from(operation.transpose_left), of_result.rows,
            of_result.columns, depth, slower * SCRIPT.pace, u64::from(SCRIPT.wrong.contain(index)), of_a,
            of_b, 0,
        ];
        // SAFETY: the driver copies the words before it returns.
        multiply().map_or(NOT_INITIALIZED, |multiply| unsafe { multiply(stream, &raw const words) })
    }
}

/// Whether the real library would have an algorithm.
fn supported(operation: &Operation, left: &Layout, right: &Layout, result: &Layout) -> bool {
    let depth = if operation.transpose_left { left.rows } else { left.columns };
    let fits =
        depth == right.rows && result.columns == right.columns && left.leading == left.rows as i64 && left.kind == right.kind;
    if left.kind == FP4 && !(generation() >= 10 && operation.modes == [BLOCKS_OF_16; 2] && depth.is_multiple_of(32)) {
        return false;
    }
    let narrow = matches!(left.kind, 3 | 28 | 29 | FP4);
    let fp8 = matches!(left.kind, 28 | 29 | FP4);
    let aligned = !narrow || operation.transpose_left && depth.is_multiple_of(16) && result.rows.is_multiple_of(8);
    fits && aligned && left.kind != 29 && (!fp8 || operation.scales.iter().all(|scale| *scale > 0)) && operation.compute >= 64
}

/// `cublasLtNumericalImplFlags_t` of every algorithm.
fn implementation(operation: &Operation, kind: c_int) -> u64 {
    let tf32 = operation.compute == 77 || SCRIPT.tf32;
    match kind {
        0 if tf32 => 0x02 | 0x02 << 8 | 0x04 << 16,
        0 => 0x01 | 0x02 << 8 | 0x08 << 16,
        1 => 0x08 | 0x04 << 8 | 0x10 << 16,
        2 => 0x02 | 0x02 << 8 | 0x01 << 16,
        3 => 0x04 | 0x08 << 8 | 0x20 << 16,
        14 => 0x02 | 0x02 << 8 | 0x02 << 16,
        // No flag is known to say this format.
        FP4 => 0x02 | 0x02 << 8,
        _ => 0x02 | 0x02 << 8 | 0x40 << 16,
    }
}

#[test]
fn without_the_fake_driver_there_is_nothing_to_multiply_with() {
    let mut handle = std::ptr::null_mut();
    assert_eq!(cublasLtCreate(&raw mut handle), NOT_INITIALIZED);
    assert_eq!(cublasLtGetVersion(), 120_805);
}

#[test]
fn what_the_real_one_refuses_is_refused() {
    let layout = |kind, rows, columns| Layout { kind, rows, columns, leading: rows as i64 };
    let operation = |transpose_left, scale| Operation { compute: 68, transpose_left, scales: [scale; 2], modes: [0; 2] };
    let fits = |kind, transpose_left, scale| {
        let left = if transpose_left { layout(kind, 64, 32) } else { layout(kind, 32, 64) };
        supported(&operation(transpose_left, scale), &left, &layout(kind, 64, 48), &layout(14, 32, 48))
    };
    assert!(fits(14, true, 0) && fits(0, false, 0) && fits(28, true, 8) && fits(3, true, 0));
    assert!(!fits(28, true, 0) && !fits(28, false, 8) && !fits(29, true, 8) && !fits(3, false, 0));
}
