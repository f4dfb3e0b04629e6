//! NCCL by its own functions, loaded from wherever it lies: the vendor's all-reduce, to hold ours against.
//!
//! The numbers are those of `nccl.h`. One process drives all devices, as ours does.

// Raw calls of the library; each block gives its reason.
#![allow(unsafe_code)]

use super::{
    launch::{Memory, fault},
    libraries,
};
use crate::contract::Fault;
use cudarc::driver::{CudaContext, CudaStream};
use libloading::Library;
use std::{
    ffi::{c_int, c_void},
    mem::ManuallyDrop,
    path::Path,
    ptr::null_mut,
    sync::Arc,
};

type Pointer = *mut c_void;

const FLOAT32: c_int = 7;
const SUM: c_int = 0;
const DOING: &str = "summing by NCCL";

/// The functions that are used.
struct Calls {
    // SAFETY: of whoever calls them; each call says why.
    version: unsafe extern "C" fn(*mut c_int) -> c_int,
    // SAFETY: as above.
    create: unsafe extern "C" fn(*mut Pointer, c_int, *const c_int) -> c_int,
    // SAFETY: as above.
    destroy: unsafe extern "C" fn(Pointer) -> c_int,
    // SAFETY: as above.
    begin: unsafe extern "C" fn() -> c_int,
    // SAFETY: as above.
    end: unsafe extern "C" fn() -> c_int,
    // SAFETY: as above.
    all_reduce: unsafe extern "C" fn(*const c_void, Pointer, usize, c_int, c_int, Pointer, Pointer) -> c_int,
    /// Never unloaded: the library has threads of its own.
    _library: ManuallyDrop<Library>,
}

impl Calls {
    fn load(path: &Path) -> Result<Self, String> {
        /// A function by its name.
        macro_rules! found {
            ($library:ident, $name:literal) => {
                // SAFETY: the type of the field is that of this function in nccl.h.
                *unsafe { $library.get($name.as_bytes()) }.map_err(|_| format!("it lacks {}", $name))?
            };
        }
        // SAFETY: opens a shared library by its well-known name; its initialisers are its own.
        let library = unsafe { Library::new(path) }.map_err(|error| error.to_string())?;
        Ok(Self {
            version: found!(library, "ncclGetVersion"),
            create: found!(library, "ncclCommInitAll"),
            destroy: found!(library, "ncclCommDestroy"),
            begin: found!(library, "ncclGroupStart"),
            end: found!(library, "ncclGroupEnd"),
            all_reduce: found!(library, "ncclAllReduce"),
            _library: ManuallyDrop::new(library),
        })
    }

    /// `2.27.3`
    fn said(&self) -> String {
        let mut version = 0;
        // SAFETY: the pointer is to a local.
        unsafe { (self.version)(&raw mut version) };
        format!("{}.{}.{}", version / 10_000, version / 100 % 100, version % 100)
    }
}

/// Version of the library that is found, or why there is none.
///
/// # Errors
/// In words, with the way out.
pub fn version() -> Result<String, String> {
    Calls::load(&libraries::nccl()?).map(|calls| calls.said())
}

/// All-reduces over a set of devices.
pub struct Collective {
    calls: Calls,
    ranks: Vec<Rank>,
    elements: usize,
}

/// A device of them, its buffers, and the library's handle for it.
struct Rank {
    context: Arc<CudaContext>,
    handle: Pointer,
    from: u64,
    to: u64,
}

impl Collective {
    /// Makes ready to sum `elements` single-precision numbers from each of the first buffers into each of the second.
    ///
    /// # Errors
    /// In words.
    pub fn new(buffers: &[(&Memory, &Memory)], elements: u64) -> Result<Self, Fault> {
        let path = libraries::nccl().map_err(|why| Fault::failed(DOING, why))?;
        let calls = Calls::load(&path).map_err(|why| Fault::failed(DOING, why))?;
        let devices: Vec<c_int> = buffers.iter().map(|(from, _)| from.context().cu_device()).collect();
        let mut handles = vec![null_mut(); devices.len()];
        // SAFETY: as many handles may be written as there are devices, and both live through the call.
        let made = unsafe { (calls.create)(handles.as_mut_ptr(), devices.len() as c_int, devices.as_ptr()) };
        told(made, "ncclCommInitAll")?;
        let rank = |((from, to), handle): (&(&Memory, &Memory), Pointer)| Rank {
            context: from.context().clone(),
            handle,
            from: from.address(),
            to: to.address(),
        };
        Ok(Self { calls, ranks: buffers.iter().zip(handles).map(rank).collect(), elements: elements as usize })
    }

    #[must_use]
    pub fn identity(&self) -> String {
        format!("NCCL {}", self.calls.said())
    }

    /// Enqueues one all-reduce, each device's part on its own stream.
    ///
    /// # Errors
    /// [`Fault`] with the library's number.
    pub fn enqueue<'a>(&self, streams: impl Iterator<Item = &'a CudaStream>) -> Result<(), Fault> {
        // SAFETY: takes nothing.
        told(unsafe { (self.calls.begin)() }, "ncclGroupStart")?;
        let mut asked = Ok(());
        for (rank, stream) in self.ranks.iter().zip(streams) {
            rank.context.bind_to_thread().map_err(|error| fault("binding the device", error))?;
            let at = |address: u64| std::ptr::without_provenance_mut::<c_void>(address as usize);
            // SAFETY: the buffers hold so many elements each and live until the work is seen to end; handle and stream are of one device.
            let status = unsafe {
                let stream = stream.cu_stream().cast();
                (self.calls.all_reduce)(at(rank.from), at(rank.to), self.elements, FLOAT32, SUM, rank.handle, stream)
            };
            asked = asked.and(told(status, "ncclAllReduce"));
        }
        // A group ends even where one of its parts was refused.
        // SAFETY: takes nothing.
        let ended = told(unsafe { (self.calls.end)() }, "ncclGroupEnd");
        asked.and(ended)
    }
}

impl Drop for Collective {
    fn drop(&mut self) {
        for rank in &self.ranks {
            if rank.context.bind_to_thread().is_ok() {
                // SAFETY: the handle was made by the same library and is destroyed once, after the work was seen to end.
                unsafe { (self.calls.destroy)(rank.handle) };
            }
        }
    }
}

/// Turns an `ncclResult_t` into words.
fn told(status: c_int, call: &str) -> Result<(), Fault> {
    let meaning = match status {
        0 => return Ok(()),
        1 => "unhandled CUDA error",
        2 => "system error",
        3 => "internal error",
        4 => "invalid argument",
        5 => "invalid usage",
        6 => "remote error",
        _ => "failed",
    };
    Err(Fault::failed(DOING, format!("{call}: {meaning} (status {status})")))
}
