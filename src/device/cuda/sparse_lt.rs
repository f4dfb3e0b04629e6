//! cuSPARSELt by its own functions, loaded from wherever it lies, in the versions from 0.6 on: a product of which one matrix has two
//! elements of each four along k that are not zero.
//!
//! Nothing here knows of plans: [`super::sparse`] says what is to be multiplied, and in which formats. The numbers are those of
//! `cusparseLt.h`, `cusparse.h` and `library_types.h`.

// Raw calls of the library; each block gives its reason.
#![allow(unsafe_code)]

use super::{
    launch::Memory,
    lt_sys::{Pointer, calls},
};
use crate::contract::Fault;
use cudarc::driver::{CudaContext, CudaStream};
use libloading::Library;
use std::{
    cell::UnsafeCell,
    ffi::{c_int, c_void},
    mem::ManuallyDrop,
    path::Path,
    rc::Rc,
    sync::Arc,
};

calls! {
    property = "cusparseLtGetProperty": fn(c_int, *mut c_int) -> c_int;
    create = "cusparseLtInit": fn(Pointer) -> c_int;
    destroy = "cusparseLtDestroy": fn(Pointer) -> c_int;
    halved = "cusparseLtStructuredDescriptorInit": fn(Pointer, Pointer, i64, i64, i64, u32, c_int, c_int, c_int) -> c_int;
    dense = "cusparseLtDenseDescriptorInit": fn(Pointer, Pointer, i64, i64, i64, u32, c_int, c_int) -> c_int;
    end_matrix = "cusparseLtMatDescriptorDestroy": fn(Pointer) -> c_int;
    operation = "cusparseLtMatmulDescriptorInit":
        fn(Pointer, Pointer, c_int, c_int, Pointer, Pointer, Pointer, Pointer, c_int) -> c_int;
    selection = "cusparseLtMatmulAlgSelectionInit": fn(Pointer, Pointer, Pointer, c_int) -> c_int;
    choose = "cusparseLtMatmulAlgSetAttribute": fn(Pointer, Pointer, c_int, *const c_void, usize) -> c_int;
    ask = "cusparseLtMatmulAlgGetAttribute": fn(Pointer, Pointer, c_int, Pointer, usize) -> c_int;
    plan = "cusparseLtMatmulPlanInit": fn(Pointer, Pointer, Pointer, Pointer) -> c_int;
    end_plan = "cusparseLtMatmulPlanDestroy": fn(Pointer) -> c_int;
    workspace = "cusparseLtMatmulGetWorkspace": fn(Pointer, Pointer, *mut usize) -> c_int;
    sizes = "cusparseLtSpMMACompressedSize": fn(Pointer, Pointer, *mut usize, *mut usize) -> c_int;
    compress = "cusparseLtSpMMACompress": fn(Pointer, Pointer, Pointer, Pointer, Pointer, Pointer) -> c_int;
    matmul = "cusparseLtMatmul": fn(
        Pointer, Pointer, *const f32, Pointer, Pointer, *const f32, Pointer, Pointer, Pointer, *mut Pointer, c_int
    ) -> c_int;
}

/// Functions that destroy what a descriptor holds.
// SAFETY: of whoever calls one, with a descriptor that the library has initialised, once.
type End = unsafe extern "C" fn(Pointer) -> c_int;

const ROW_MAJOR: c_int = 2;
const AS_IT_IS: c_int = 0;
const TRANSPOSED: c_int = 1;
/// Of the addresses of matrices, in bytes.
const ALIGNMENT: u32 = 16;
const CONFIGURATION: c_int = 0;
const LAST_CONFIGURATION: c_int = 1;
/// Earlier versions take other arguments.
const OLDEST: (c_int, c_int) = (0, 6);
/// More algorithms than this are not looked at.
const MOST: c_int = 64;
const DOING: &str = "multiplying by cuSPARSELt";

/// Room for what the library keeps in its caller's memory: 13,072 bytes in 0.6, 1,024 in 0.7, 512 from 0.8 on, on boundaries of 16.
#[repr(C, align(16))]
struct Opaque(UnsafeCell<[u8; 16 << 10]>);

/// A structure of the library's, where it stays.
struct Descriptor {
    state: Box<Opaque>,
    end: Option<End>,
    /// Ends after this: the library is open as long as there is one.
    _library: Option<Rc<SparseLt>>,
}

impl Descriptor {
    /// Lets the library initialise one; what it could not initialise is not destroyed.
    fn made(
        library: Option<&Rc<SparseLt>>,
        end: Option<End>,
        call: &str,
        initialise: impl FnOnce(Pointer) -> c_int,
    ) -> Result<Self, String> {
        let state = Box::new(Opaque(UnsafeCell::new([0; 16 << 10])));
        let mut made = Self { state, end: None, _library: library.cloned() };
        told(initialise(made.at()), call)?;
        made.end = end;
        Ok(made)
    }

    fn at(&self) -> Pointer {
        self.state.0.get().cast()
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        if let Some(end) = self.end {
            // SAFETY: the library has initialised it, and it is destroyed once; what refers to it is gone.
            unsafe { end(self.at()) };
        }
    }
}

/// Version of the library at a path, `0.8.1`.
///
/// # Errors
/// In words, where it cannot be loaded, lacks a function or is too old.
pub fn version(path: &Path) -> Result<String, String> {
    let calls = Calls::load(path)?;
    let part = |which: c_int| {
        let mut value = 0;
        // SAFETY: the pointer is to a local, and no device is asked.
        unsafe { (calls.property)(which, &raw mut value) };
        value
    };
    let [major, minor, fix] = [0, 1, 2].map(part);
    if (major, minor) < OLDEST {
        return Err(format!("version {major}.{minor}.{fix} is older than {}.{}", OLDEST.0, OLDEST.1));
    }
    Ok(format!("{major}.{minor}.{fix}"))
}

/// The library, opened on a device.
pub struct SparseLt {
    handle: Descriptor,
    calls: Calls,
    /// From 0.8 on.
    end_selection: Option<End>,
    context: Arc<CudaContext>,
    pub version: String,
}

impl SparseLt {
    /// # Errors
    /// In words.
    pub fn open(context: &Arc<CudaContext>, path: &Path) -> Result<Self, String> {
        let version = version(path)?;
        let calls = Calls::load(path)?;
        // SAFETY: it is loaded already; the type is that of this function in the library's header.
        let end_selection = unsafe {
            let again = ManuallyDrop::new(Library::new(path).map_err(|error| error.to_string())?);
            again.get::<End>(b"cusparseLtMatmulAlgSelectionDestroy").ok().map(|found| *found)
        };
        context.bind_to_thread().map_err(|error| format!("{:?}", error.0))?;
        // SAFETY: the context is current on this thread, and there is room for the handle.
        let handle = Descriptor::made(None, Some(calls.destroy), "cusparseLtInit", |at| unsafe { (calls.create)(at) })?;
        Ok(Self { handle, calls, end_selection, context: context.clone(), version })
    }
}

/// A product in the library's terms, all matrices by rows: `result[m,n] = halved[m,k] · dense[n,k]ᵀ`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// `cudaDataType` of both inputs, and of the result.
    pub input: c_int,
    pub output: c_int,
    /// `cusparseComputeType`.
    pub compute: c_int,
    pub m: u64,
    pub n: u64,
    pub k: u64,
}

/// One of the library's ways to multiply.
struct Algorithm {
    plan: Descriptor,
    _selection: Descriptor,
    number: c_int,
    workspace: usize,
    compressed: usize,
    scratch: usize,
}

/// What the library works in beside the matrices.
struct Room {
    compressed: Memory,
    scratch: Memory,
    workspace: Memory,
}

/// A product that the library knows of, with its algorithms. What refers to a descriptor is declared, hence dropped, before it.
pub struct Product {
    algorithms: Vec<Algorithm>,
    _operation: Descriptor,
    _matrices: [Descriptor; 3],
    room: Option<Room>,
    lt: Rc<SparseLt>,
}

impl Product {
    /// Describes a product and asks for every algorithm that needs no more workspace than is said. Nothing runs, and nothing is allocated
    /// on the device.
    ///
    /// # Errors
    /// In words, above all where the library has no algorithm for it.
    pub fn new(lt: &Rc<SparseLt>, terms: &Terms, most_workspace: u64) -> Result<Self, String> {
        let Terms { input, output, compute, m, n, k } = *terms;
        lt.context.bind_to_thread().map_err(|error| format!("{:?}", error.0))?;
        let (calls, handle) = (&lt.calls, lt.handle.at());
        let sides = |rows: u64, columns: u64| (rows as i64, columns as i64);
        let dense = |(rows, columns): (i64, i64), kind: c_int| {
            Descriptor::made(Some(lt), Some(calls.end_matrix), "cusparseLtDenseDescriptorInit", |at| {
                // SAFETY: the handle is initialised, and there is room for the descriptor.
                unsafe { (calls.dense)(handle, at, rows, columns, columns, ALIGNMENT, kind, ROW_MAJOR) }
            })
        };
        let (rows, columns) = sides(m, k);
        let halved = Descriptor::made(Some(lt), Some(calls.end_matrix), "cusparseLtStructuredDescriptorInit", |at| {
            // SAFETY: as above; the last number says two of each four, the only ratio there is.
            unsafe { (calls.halved)(handle, at, rows, columns, columns, ALIGNMENT, input, ROW_MAJOR, 0) }
        })?;
        let matrices = [halved, dense(sides(n, k), input)?, dense(sides(m, n), output)?];
        let [a, b, c] = matrices.each_ref().map(Descriptor::at);
        let operation = Descriptor::made(Some(lt), None, "cusparseLtMatmulDescriptorInit", |at| {
            // SAFETY: as above; the matrices' descriptors stay where they are as long as this one.
            unsafe { (calls.operation)(handle, at, AS_IT_IS, TRANSPOSED, a, b, c, c, compute) }
        })?;
        let (algorithms, refused) = algorithms(lt, &operation, most_workspace)?;
        match refused {
            Some(why) if algorithms.is_empty() => Err(why),
            _ => Ok(Self { algorithms, _operation: operation, _matrices: matrices, room: None, lt: lt.clone() }),
        }
    }

    #[must_use]
    pub fn lt(&self) -> &SparseLt {
        &self.lt
    }

    #[must_use]
    pub fn count(&self) -> usize {
        self.algorithms.len()
    }

    /// The library's own number of an algorithm.
    #[must_use]
    pub fn number(&self, algorithm: usize) -> Option<c_int> {
        self.algorithms.get(algorithm).map(|found| found.number)
    }

    /// Allocates what the hungriest algorithm needs.
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`].
    pub fn make_room(&mut self) -> Result<(), Fault> {
        let most = |of: fn(&Algorithm) -> usize| self.algorithms.iter().map(of).max().unwrap_or(0) as u64;
        let allocate = |bytes| Memory::allocate(&self.lt.context, bytes);
        self.room = Some(Room {
            compressed: allocate(most(|found| found.compressed))?,
            scratch: allocate(most(|found| found.scratch))?,
            workspace: allocate(most(|found| found.workspace))?,
        });
        Ok(())
    }

    fn found(&self, algorithm: usize) -> Result<(&Algorithm, &Room), Fault> {
        let found = self.algorithms.get(algorithm).zip(self.room.as_ref());
        found.ok_or_else(|| Fault::failed(DOING, "there is no such algorithm, or no room for it"))
    }

    /// Enqueues the compression of the halved matrix, for an algorithm; later products take what it was then.
    ///
    /// # Errors
    /// [`Fault`] with the library's number.
    pub fn compress(&self, algorithm: usize, halved: u64, stream: &CudaStream) -> Result<(), Fault> {
        let (Algorithm { plan, .. }, Room { compressed, scratch, .. }) = self.found(algorithm)?;
        let [from, to, scratch] = [halved, compressed.address(), scratch.address()].map(pointer);
        // SAFETY: the plan is the library's own; the addresses are those of device memory of the sizes that it asked for, and of a matrix
        // as large as was described; the stream lives as long as it is borrowed, and orders the use of all.
        let status =
            unsafe { (self.lt.calls.compress)(self.lt.handle.at(), plan.at(), from, to, scratch, stream.cu_stream().cast()) };
        told(status, "cusparseLtSpMMACompress").map_err(|why| Fault::failed(DOING, why))
    }

    /// Enqueues the product of what was compressed. The matrices must live until the work is seen to end, and be as large as was described.
    ///
    /// # Errors
    /// [`Fault`] with the library's number.
    pub fn enqueue(&self, algorithm: usize, [dense, result]: [u64; 2], stream: &CudaStream) -> Result<(), Fault> {
        let (Algorithm { plan, .. }, Room { compressed, workspace, .. }) = self.found(algorithm)?;
        let (one, zero) = (1.0_f32, 0.0_f32);
        let [left, right, to, workspace] = [compressed.address(), dense, result, workspace.address()].map(pointer);
        let mut streams: [Pointer; 1] = [stream.cu_stream().cast()];
        // SAFETY: as above; factors are single precision whatever is multiplied, and one stream is given, in an array of one.
        let status = unsafe {
            let (handle, first) = (self.lt.handle.at(), streams.as_mut_ptr());
            (self.lt.calls.matmul)(handle, plan.at(), &raw const one, left, right, &raw const zero, to, to, workspace, first, 1)
        };
        told(status, "cusparseLtMatmul").map_err(|why| Fault::failed(DOING, why))
    }
}

fn pointer(address: u64) -> Pointer {
    std::ptr::without_provenance_mut::<c_void>(address as usize)
}

/// Every algorithm that the library makes a plan by, and the words of the first refusal.
fn algorithms(lt: &Rc<SparseLt>, operation: &Descriptor, most_workspace: u64) -> Result<(Vec<Algorithm>, Option<String>), String> {
    let select = || {
        Descriptor::made(Some(lt), lt.end_selection, "cusparseLtMatmulAlgSelectionInit", |at| {
            // SAFETY: handle and operation are initialised, and there is room; zero is the only kind of choice there is.
            unsafe { (lt.calls.selection)(lt.handle.at(), at, operation.at(), 0) }
        })
    };
    let mut last: c_int = 0;
    let first = select()?;
    // SAFETY: the selection is initialised, and the pointer is to a local of the size that is said.
    let asked =
        unsafe { (lt.calls.ask)(lt.handle.at(), first.at(), LAST_CONFIGURATION, (&raw mut last).cast(), size_of::<c_int>()) };
    told(asked, "cusparseLtMatmulAlgGetAttribute")?;
    let (mut found, mut refused) = (Vec::new(), None);
    // Whether the last number is one of an algorithm, the library says when it is taken at its word.
    for number in 0..=last.clamp(0, MOST) {
        match algorithm(lt, operation, select()?, number) {
            Ok(algorithm) if algorithm.workspace as u64 > most_workspace => {
                refused = refused.or_else(|| Some(format!("an algorithm wants {} bytes of workspace", algorithm.workspace)));
            }
            Ok(algorithm) => found.push(algorithm),
            Err(why) => refused = refused.or(Some(why)),
        }
    }
    Ok((found, refused))
}

fn algorithm(lt: &Rc<SparseLt>, operation: &Descriptor, selection: Descriptor, number: c_int) -> Result<Algorithm, String> {
    let (calls, handle) = (&lt.calls, lt.handle.at());
    // SAFETY: the selection is initialised, and the pointer is to a local of the size that is said.
    let chosen = unsafe { (calls.choose)(handle, selection.at(), CONFIGURATION, (&raw const number).cast(), size_of::<c_int>()) };
    told(chosen, "cusparseLtMatmulAlgSetAttribute")?;
    let plan = Descriptor::made(Some(lt), Some(calls.end_plan), "cusparseLtMatmulPlanInit", |at| {
        // SAFETY: operation and selection are initialised and stay where they are as long as the plan.
        unsafe { (calls.plan)(handle, at, operation.at(), selection.at()) }
    })?;
    let (mut workspace, mut compressed, mut scratch) = (0, 0, 0);
    // SAFETY: the plan is initialised, and the pointers are to locals.
    let (first, second) = unsafe {
        (
            (calls.workspace)(handle, plan.at(), &raw mut workspace),
            (calls.sizes)(handle, plan.at(), &raw mut compressed, &raw mut scratch),
        )
    };
    told(first, "cusparseLtMatmulGetWorkspace")?;
    told(second, "cusparseLtSpMMACompressedSize")?;
    Ok(Algorithm { plan, _selection: selection, number, workspace, compressed, scratch })
}

/// Turns a `cusparseStatus_t` into words.
fn told(status: c_int, call: &str) -> Result<(), String> {
    let meaning = match status {
        0 => return Ok(()),
        1 => "not initialised",
        2 => "out of memory",
        3 => "invalid value",
        4 => "this device is not among those that it supports",
        6 => "execution failed",
        10 => "not supported",
        11 => "insufficient resources",
        _ => "failed",
    };
    Err(format!("{call}: {meaning} (status {status})"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    thread_local! {
        static ENDED: Cell<u32> = const { Cell::new(0) };
    }

    extern "C" fn end(at: Pointer) -> c_int {
        assert_eq!(at as usize % 16, 0);
        ENDED.set(ENDED.get() + 1);
        0
    }

    #[test]
    fn what_was_made_is_destroyed_once_and_what_was_refused_never() {
        let made = Descriptor::made(None, Some(end), "making", |_| 0).expect("made");
        let moved = made;
        drop(moved);
        assert_eq!(ENDED.get(), 1);
        let refused = Descriptor::made(None, Some(end), "making", |_| 10).map(|_| ());
        assert_eq!(refused, Err("making: not supported (status 10)".into()));
        assert_eq!(ENDED.get(), 1);
    }
}
