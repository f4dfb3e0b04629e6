//! cuSPARSELt without a GPU, found and loaded like the real one; the fake driver compresses and multiplies for it, in its own memory and
//! time.
//!
//! What it initialises in its caller's memory begins with a mark, so that what was not initialised, was moved or is destroyed already is
//! refused; what more goes wrong is up to a [`script`].

#[path = "../../cublaslt/src/common.rs"]
mod common;
#[path = "../../cublaslt/src/driver.rs"]
mod driver;
mod script;

use common::{Script, tell};
use driver::in_driver;
use script::Library;
use std::{
    ffi::{c_int, c_void},
    sync::{
        LazyLock,
        atomic::{AtomicBool, Ordering},
    },
};

type Pointer = *mut c_void;

const SUCCESS: c_int = 0;
const NOT_INITIALIZED: c_int = 1;
const INVALID_VALUE: c_int = 3;
const EXECUTION_FAILED: c_int = 6;
const NOT_SUPPORTED: c_int = 10;

const ROW_MAJOR: c_int = 2;
const ALIGNMENT: u32 = 16;

static SCRIPT: LazyLock<Library> = LazyLock::new(|| Library::find("ASSAY_FAKE_SPARSE"));
static COMPRESSED: AtomicBool = AtomicBool::new(false);

/// What the library keeps in its caller's memory.
trait Kept: Copy {
    const MARK: u64;
}

/// A structure there: its mark, where it was initialised, and what it says.
#[repr(C)]
struct Place<T> {
    mark: u64,
    at: usize,
    says: T,
}

#[derive(Clone, Copy)]
struct Handle;

#[derive(Clone, Copy)]
struct Matrix {
    halved: bool,
    rows: i64,
    columns: i64,
    kind: c_int,
}

/// Matrices are named by where their descriptors lie.
#[derive(Clone, Copy)]
struct Operation {
    matrices: [usize; 3],
    transposed: [c_int; 2],
    compute: c_int,
}

#[derive(Clone, Copy)]
struct Selection {
    number: c_int,
}

#[derive(Clone, Copy)]
struct Plan {
    operation: usize,
    number: c_int,
}

macro_rules! kept {
    ($($kind:ty = $mark:literal;)*) => { $(impl Kept for $kind { const MARK: u64 = $mark; })* };
}

kept! {
    Handle = 0xfa4e_0001;
    Matrix = 0xfa4e_0002;
    Operation = 0xfa4e_0003;
    Selection = 0xfa4e_0004;
    Plan = 0xfa4e_0005;
}

fn put<T: Kept>(at: Pointer, says: T) -> c_int {
    if at.is_null() || !(at as usize).is_multiple_of(16) {
        return INVALID_VALUE;
    }
    // SAFETY: callers pass room for the library's structures, which are larger than these.
    unsafe { at.cast::<Place<T>>().write(Place { mark: T::MARK, at: at as usize, says }) };
    SUCCESS
}

fn found<T: Kept>(at: Pointer) -> Option<T> {
    // SAFETY: callers pass room for the library's structures; the mark says whether one of this kind lies there.
    let place = unsafe { at.cast::<Place<T>>().as_ref() }?;
    (place.mark == T::MARK && place.at == at as usize).then_some(place.says)
}

fn end<T: Kept>(at: Pointer) -> c_int {
    if found::<T>(at).is_none() {
        tell("cusparseLt destroyed what was not there");
        return INVALID_VALUE;
    }
    // SAFETY: as above.
    unsafe { (*at.cast::<Place<T>>()).mark = 0 };
    SUCCESS
}

/// Hands words to a function of the fake driver, for a stream.
fn ask<const N: usize>(name: &std::ffi::CStr, stream: Pointer, words: [u64; N]) -> c_int {
    let Some(found) = in_driver(name) else { return NOT_INITIALIZED };
    // SAFETY: functions of these names take a stream and as many words, which they copy; no other library exports them.
    unsafe {
        let call = std::mem::transmute::<Pointer, unsafe extern "C" fn(Pointer, *const [u64; N]) -> c_int>(found);
        call(stream, &raw const words)
    }
}

/// What a plan multiplies: the halved matrix, the dense one, the result.
fn multiplied(plan: Pointer) -> Option<(Plan, Operation, [Matrix; 3])> {
    let plan = found::<Plan>(plan)?;
    let operation = found::<Operation>(plan.operation as Pointer)?;
    let [a, b, c] = operation.matrices.map(|at| found::<Matrix>(at as Pointer));
    Some((plan, operation, [a?, b?, c?]))
}

/// Whether the real library would have an algorithm.
fn supported(Operation { transposed, compute, .. }: Operation, [a, b, c]: [Matrix; 3]) -> bool {
    let fits = a.halved && !b.halved && !c.halved && a.columns == b.columns && c.rows == a.rows && c.columns == b.rows;
    let whole = a.rows % 16 == 0 && a.columns % 32 == 0 && b.rows % 16 == 0;
    let formats = matches!((a.kind, c.kind, compute), (14 | 28, 14, 2) | (2, 2, 2) | (3, 10, 0));
    fits && whole && formats && a.kind == b.kind && transposed == [0, 1]
}

fn bytes(kind: c_int) -> i64 {
    if matches!(kind, 3 | 28) { 1 } else { 2 }
}

/// Exports functions under their C names.
macro_rules! export {
    ($(fn $name:ident($($argument:ident: $kind:ty),*) -> $result:ty $body:block)*) => {
        $(
            // SAFETY: the names are cuSPARSELt's own, and nothing else in this library bears them.
            #[unsafe(no_mangle)]
            pub extern "C" fn $name($($argument: $kind),*) -> $result $body
        )*
    };
}

export! {
    fn cusparseLtGetProperty(which: c_int, value: *mut c_int) -> c_int {
        let Some(part) = SCRIPT.version.get(which as usize) else { return INVALID_VALUE };
        // SAFETY: callers pass a pointer that may be written.
        unsafe { value.write(*part) };
        SUCCESS
    }
    fn cusparseLtInit(handle: Pointer) -> c_int {
        if in_driver(c"assayFakeProduct").is_some() { put(handle, Handle) } else { NOT_INITIALIZED }
    }
    fn cusparseLtDestroy(handle: Pointer) -> c_int { end::<Handle>(handle) }
    fn cusparseLtStructuredDescriptorInit(
        handle: Pointer, at: Pointer, rows: i64, columns: i64, leading: i64, alignment: u32, kind: c_int, order: c_int, ratio: c_int
    ) -> c_int {
        let right = found::<Handle>(handle).is_some() && leading == columns && alignment == ALIGNMENT && order == ROW_MAJOR && ratio == 0;
        if right { put(at, Matrix { halved: true, rows, columns, kind }) } else { INVALID_VALUE }
    }
    fn cusparseLtDenseDescriptorInit(
        handle: Pointer, at: Pointer, rows: i64, columns: i64, leading: i64, alignment: u32, kind: c_int, order: c_int
    ) -> c_int {
        let right = found::<Handle>(handle).is_some() && leading == columns && alignment == ALIGNMENT && order == ROW_MAJOR;
        if right { put(at, Matrix { halved: false, rows, columns, kind }) } else { INVALID_VALUE }
    }
    fn cusparseLtMatDescriptorDestroy(at: Pointer) -> c_int { end::<Matrix>(at) }
    fn cusparseLtMatmulDescriptorInit(
        handle: Pointer, at: Pointer, of_a: c_int, of_b: c_int, a: Pointer, b: Pointer, c: Pointer, d: Pointer, compute: c_int
    ) -> c_int {
        let there = [a, b, c, d].iter().all(|at| found::<Matrix>(*at).is_some());
        if found::<Handle>(handle).is_none() || !there || c != d {
            return INVALID_VALUE;
        }
        put(at, Operation { matrices: [a, b, c].map(|at| at as usize), transposed: [of_a, of_b], compute })
    }
    fn cusparseLtMatmulAlgSelectionInit(handle: Pointer, at: Pointer, operation: Pointer, kind: c_int) -> c_int {
        let right = found::<Handle>(handle).is_some() && found::<Operation>(operation).is_some() && kind == 0;
        if right { put(at, Selection { number: 0 }) } else { INVALID_VALUE }
    }
    fn cusparseLtMatmulAlgSelectionDestroy(at: Pointer) -> c_int { end::<Selection>(at) }
    fn cusparseLtMatmulAlgSetAttribute(handle: Pointer, at: Pointer, attribute: c_int, from: *const c_void, bytes: usize) -> c_int {
        if found::<Handle>(handle).is_none() || found::<Selection>(at).is_none() || (attribute, bytes) != (0, 4) {
            return INVALID_VALUE;
        }
        // SAFETY: callers pass a pointer to as many bytes as they say.
        let number = unsafe { from.cast::<c_int>().read_unaligned() };
        if (0..SCRIPT.count).contains(&number) { put(at, Selection { number }) } else { INVALID_VALUE }
    }
    fn cusparseLtMatmulAlgGetAttribute(handle: Pointer, at: Pointer, attribute: c_int, to: Pointer, bytes: usize) -> c_int {
        if found::<Handle>(handle).is_none() || found::<Selection>(at).is_none() || (attribute, bytes) != (1, 4) {
            return INVALID_VALUE;
        }
        // SAFETY: as above, to be written.
        unsafe { to.cast::<c_int>().write_unaligned(SCRIPT.count) };
        SUCCESS
    }
    fn cusparseLtMatmulPlanInit(handle: Pointer, at: Pointer, operation: Pointer, selection: Pointer) -> c_int {
        let (Some(Handle), Some(of), Some(selected)) = (found(handle), found::<Operation>(operation), found::<Selection>(selection))
        else { return INVALID_VALUE };
        let [a, b, c] = of.matrices.map(|at| found::<Matrix>(at as Pointer));
        let (Some(a), Some(b), Some(c)) = (a, b, c) else { return INVALID_VALUE };
        if !supported(of, [a, b, c]) {
            return NOT_SUPPORTED;
        }
        put(at, Plan { operation: operation as usize, number: selected.number })
    }
    fn cusparseLtMatmulPlanDestroy(at: Pointer) -> c_int { end::<Plan>(at) }
    fn cusparseLtMatmulGetWorkspace(handle: Pointer, plan: Pointer, size: *mut usize) -> c_int {
        if found::<Handle>(handle).is_none() || found::<Plan>(plan).is_none() {
            return INVALID_VALUE;
        }
        // SAFETY: callers pass a pointer that may be written.
        unsafe { size.write(1 << 10) };
        SUCCESS
    }
    fn cusparseLtSpMMACompressedSize(handle: Pointer, plan: Pointer, size: *mut usize, scratch: *mut usize) -> c_int {
        let (Some(Handle), Some((.., [a, _, _]))) = (found(handle), multiplied(plan)) else { return INVALID_VALUE };
        let elements = a.rows * a.columns;
        // SAFETY: callers pass pointers that may be written.
        unsafe {
            size.write((elements / 2 * bytes(a.kind) + elements / 4) as usize);
            scratch.write(16);
        }
        SUCCESS
    }
    fn cusparseLtSpMMACompress(handle: Pointer, plan: Pointer, from: u64, to: u64, scratch: u64, stream: Pointer) -> c_int {
        let (Some(Handle), Some((.., [a, _, _]))) = (found(handle), multiplied(plan)) else { return INVALID_VALUE };
        if scratch == 0 || !from.is_multiple_of(u64::from(ALIGNMENT)) {
            return INVALID_VALUE;
        }
        if SCRIPT.crude && COMPRESSED.swap(true, Ordering::Relaxed) {
            return SUCCESS;
        }
        ask(c"assayFakeCompression", stream, [from, to, a.kind as u64, (a.rows * a.columns) as u64])
    }
    fn cusparseLtMatmul(
        handle: Pointer, plan: Pointer, one: *const f32, compressed: u64, dense: u64, zero: *const f32, c: u64, result: u64,
        workspace: u64, streams: *const Pointer, count: c_int
    ) -> c_int {
        let (Some(Handle), Some((plan, _, [a, b, of_result]))) = (found(handle), multiplied(plan)) else { return INVALID_VALUE };
        // SAFETY: callers pass pointers to single-precision factors, and as many streams as they say.
        let (factors, stream) = unsafe { ([(*one).to_bits(), (*zero).to_bits()], *streams) };
        if factors != [1.0_f32.to_bits(), 0] || count != 1 || c != result || workspace == 0 {
            return INVALID_VALUE;
        }
        if SCRIPT.fails.contain(plan.number as u64) {
            return EXECUTION_FAILED;
        }
        tell(&format!("cusparseLt algorithm {}", plan.number));
        let part = if plan.number == SCRIPT.best { 100 } else { 110 + 5 * u64::from(plan.number.abs_diff(SCRIPT.best)) };
        let wrong = u64::from(SCRIPT.wrong.contain(plan.number as u64));
        let sides = [b.rows, a.rows, a.columns].map(|side| side as u64);
        let kinds = [a.kind, of_result.kind].map(|kind| kind as u64);
        let words = [
            dense, compressed, result, kinds[0], kinds[1], 1, sides[0], sides[1], sides[2], part * 100, wrong, 0, 0, 1,
        ];
        ask(c"assayFakeProduct", stream, words)
    }
}

#[test]
fn what_was_moved_or_destroyed_is_not_taken() {
    #[repr(C, align(16))]
    struct Room([u64; 64]);
    let (mut first, mut second) = (Room([0; 64]), Room([0; 64]));
    let (one, other) = ((&raw mut first).cast::<c_void>(), (&raw mut second).cast::<c_void>());
    assert_eq!(cusparseLtInit(one), NOT_INITIALIZED, "there is no driver here");
    assert_eq!(put(one, Selection { number: 3 }), SUCCESS);
    assert!(found::<Selection>(one).is_some_and(|says| says.number == 3) && found::<Plan>(one).is_none());
    second.0.copy_from_slice(&first.0);
    assert!(found::<Selection>(other).is_none());
    assert_eq!([end::<Selection>(one), end::<Selection>(one)], [SUCCESS, INVALID_VALUE]);
}

#[test]
fn what_the_real_one_refuses_is_refused() {
    let matrix = |halved, rows, columns, kind| Matrix { halved, rows, columns, kind };
    let fits = |kind, output, compute, transposed| {
        let of = [matrix(true, 64, 32, kind), matrix(false, 48, 32, kind), matrix(false, 64, 48, output)];
        supported(Operation { matrices: [0; 3], transposed, compute }, of)
    };
    assert!(fits(14, 14, 2, [0, 1]) && fits(3, 10, 0, [0, 1]) && fits(28, 14, 2, [0, 1]));
    assert!(!fits(14, 14, 0, [0, 1]) && !fits(14, 14, 2, [0, 0]) && !fits(14, 0, 2, [0, 1]));
}
