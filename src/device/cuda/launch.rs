//! The driver: every raw call of this backend, each behind a safe function.
//!
//! Buffers are allocated plainly and launches are made from prepared pointers, so that a timed launch allocates nothing, records no
//! hidden events and costs one driver call.

// Raw driver calls live in this file alone; each block gives its reason.
#![allow(unsafe_code)]

use super::tensor::{self, Argument};
use crate::contract::Fault;
use cudarc::driver::{
    CudaContext, CudaEvent, CudaStream, DriverError, result,
    sys::{self, CUdevice_attribute as Attribute, CUevent_flags, CUjit_option, CUresult},
};
use std::{
    ffi::{CString, c_void},
    rc::Rc,
    sync::Arc,
};

/// Whether the driver's library can be loaded. Any other call without it would panic.
#[must_use]
pub fn library_present() -> bool {
    // SAFETY: opens a shared library by its well-known name; its initialisers are the driver's own.
    unsafe { sys::is_culib_present() }
}

/// Whether the driver's library, which is present, has a call.
#[must_use]
pub fn has(name: &str) -> bool {
    // SAFETY: the library is only asked for an address, which is not used.
    unsafe { sys::culib().get::<unsafe extern "C" fn()>(name.as_bytes()).is_ok() }
}

/// Whether the driver says of itself that there is no GPU behind it.
#[must_use]
pub fn is_fake() -> bool {
    has("assayFakeDriver")
}

/// Version of the CUDA interface that the driver offers, `major * 1000 + minor * 10`.
///
/// # Errors
/// [`Fault`] with the driver's words.
pub fn interface_version() -> Result<i32, Fault> {
    let mut version = 0;
    // SAFETY: the pointer is to a local that outlives the call.
    unsafe { sys::cuDriverGetVersion(&raw mut version) }
        .result()
        .map_err(|error| fault("asking for the driver's version", error))?;
    Ok(version)
}

/// Identity of a device as NVML writes it: `GPU-…`, or `MIG-…` for a slice, blank where the driver gives none.
#[must_use]
pub fn uuid(device: sys::CUdevice) -> Option<String> {
    let whole = result::device::get_uuid(device).ok()?;
    let mut own = sys::CUuuid { bytes: [0; 16] };
    // Drivers before 11.4 lack the call; a slice needs it, for the older call names the whole card.
    // SAFETY: the pointer is to a local that outlives the call.
    let told = has("cuDeviceGetUuid_v2") && unsafe { sys::cuDeviceGetUuid_v2(&raw mut own, device) }.result().is_ok();
    let own = if told { own } else { whole };
    let prefix = if own.bytes == whole.bytes { "GPU" } else { "MIG" };
    Some(format!("{prefix}-{}", uuid::Uuid::from_bytes(own.bytes.map(|byte| byte as u8))))
}

/// PCI address of a device, `0000:01:00.0`.
///
/// # Errors
/// [`Fault`] with the driver's words.
pub fn bus(device: sys::CUdevice) -> Result<String, Fault> {
    let mut text = [0_u8; 32];
    // SAFETY: the buffer is writable and its length is given; the driver ends the text with a zero.
    unsafe { sys::cuDeviceGetPCIBusId(text.as_mut_ptr().cast(), 32, device) }
        .result()
        .map_err(|error| fault("asking for the bus address", error))?;
    Ok(text.iter().take_while(|byte| **byte != 0).map(|byte| byte.to_ascii_lowercase() as char).collect())
}

/// Bytes of memory of a device.
///
/// # Errors
/// [`Fault`] with the driver's words.
pub fn memory_total(device: sys::CUdevice) -> Result<u64, Fault> {
    // SAFETY: `device` came from the driver.
    let bytes = unsafe { result::device::total_mem(device) }.map_err(|error| fault("asking for the memory's size", error))?;
    Ok(bytes as u64)
}

/// A number that the driver knows of a device; blank where it does not know it.
#[must_use]
pub fn attribute(device: sys::CUdevice, attribute: Attribute) -> Option<u32> {
    // SAFETY: `device` came from the driver.
    unsafe { result::device::get_attribute(device, attribute) }.ok().and_then(|value| u32::try_from(value).ok())
}

/// The driver's words for an error, sorted by what they mean to a run.
pub fn fault(what: &str, error: DriverError) -> Fault {
    let name =
        |text: Result<&std::ffi::CStr, DriverError>| text.map(|text| text.to_string_lossy().into_owned()).unwrap_or_default();
    let words = format!("{} ({})", name(error.error_string()), name(error.error_name()));
    match error.0 {
        // Errors after which every call on this context fails, until the process ends.
        CUresult::CUDA_ERROR_ILLEGAL_ADDRESS
        | CUresult::CUDA_ERROR_LAUNCH_FAILED
        | CUresult::CUDA_ERROR_LAUNCH_TIMEOUT
        | CUresult::CUDA_ERROR_ILLEGAL_INSTRUCTION
        | CUresult::CUDA_ERROR_MISALIGNED_ADDRESS
        | CUresult::CUDA_ERROR_INVALID_ADDRESS_SPACE
        | CUresult::CUDA_ERROR_INVALID_PC
        | CUresult::CUDA_ERROR_ASSERT
        | CUresult::CUDA_ERROR_HARDWARE_STACK_ERROR
        | CUresult::CUDA_ERROR_TENSOR_MEMORY_LEAK
        | CUresult::CUDA_ERROR_ECC_UNCORRECTABLE
        | CUresult::CUDA_ERROR_NVLINK_UNCORRECTABLE
        | CUresult::CUDA_ERROR_CONTAINED
        | CUresult::CUDA_ERROR_EXTERNAL_DEVICE
        | CUresult::CUDA_ERROR_MPS_CLIENT_TERMINATED
        | CUresult::CUDA_ERROR_CONTEXT_IS_DESTROYED
        | CUresult::CUDA_ERROR_UNKNOWN => Fault::Lost(format!("{words} while {what}")),
        _ => Fault::Failed { what: what.into(), why: words },
    }
}

/// Opens a device's primary context, without the bookkeeping that would hide events in launches.
///
/// # Errors
/// [`Fault`] with the driver's words.
pub fn open(ordinal: usize) -> Result<Arc<CudaContext>, Fault> {
    let context = CudaContext::new(ordinal).map_err(|error| fault("opening the device", error))?;
    // SAFETY: nothing of the wrapper's memory type is used, so there is nothing whose use it would have to order.
    unsafe { context.disable_event_tracking() };
    Ok(context)
}

/// Device memory, freed when dropped.
pub struct Memory {
    context: Arc<CudaContext>,
    address: u64,
    bytes: u64,
}

impl Memory {
    /// # Errors
    /// [`Fault::OutOfMemory`] with what is free.
    pub fn allocate(context: &Arc<CudaContext>, bytes: u64) -> Result<Self, Fault> {
        context.bind_to_thread().map_err(|error| fault("binding the device", error))?;
        let size = usize::try_from(bytes.max(1)).map_err(|_| Fault::OutOfMemory { needed: bytes, free: None })?;
        // SAFETY: the context is current on this thread.
        let address = unsafe { result::malloc_sync(size) }.map_err(|error| match error.0 {
            CUresult::CUDA_ERROR_OUT_OF_MEMORY => {
                Fault::OutOfMemory { needed: bytes, free: context.mem_get_info().ok().map(|(free, _)| free as u64) }
            }
            _ => fault("allocating memory", error),
        })?;
        Ok(Self { context: context.clone(), address, bytes })
    }

    /// As a kernel's argument.
    #[must_use]
    pub fn address(&self) -> u64 {
        self.address
    }

    /// The context that it was allocated in.
    #[must_use]
    pub fn context(&self) -> &Arc<CudaContext> {
        &self.context
    }

    /// Sets every byte, in the order of the stream.
    ///
    /// # Errors
    /// [`Fault`] with the driver's words.
    pub fn set(&mut self, byte: u8, stream: &CudaStream) -> Result<(), Fault> {
        self.context.bind_to_thread().map_err(|error| fault("binding the device", error))?;
        // SAFETY: address and length are those of this allocation; the exclusive borrow and the stream order its use.
        unsafe { result::memset_d8_async(self.address, byte, self.bytes as usize, stream.cu_stream()) }
            .map_err(|error| fault("setting memory", error))
    }

    /// Reads bytes, blocking. The caller has seen the work that writes them end.
    ///
    /// # Errors
    /// [`Fault`] outside the allocation, or with the driver's words.
    pub fn read(&self, offset: u64, to: &mut [u8]) -> Result<(), Fault> {
        self.within(offset, to.len())?;
        // SAFETY: the range lies within this allocation and `to` is as long.
        unsafe { result::memcpy_dtoh_sync(to, self.address + offset) }.map_err(|error| fault("reading memory", error))
    }

    /// Writes bytes, blocking.
    ///
    /// # Errors
    /// [`Fault`] outside the allocation, or with the driver's words.
    pub fn write(&mut self, offset: u64, from: &[u8]) -> Result<(), Fault> {
        self.within(offset, from.len())?;
        // From pageable memory the driver returns once it has taken the bytes: they arrive later, in the order of the default stream, for
        // which ours do not wait.
        // SAFETY: the range lies within this allocation and `from` is as long; no stream at all is the default one.
        unsafe {
            result::memcpy_htod_sync(self.address + offset, from).and_then(|()| result::stream::synchronize(std::ptr::null_mut()))
        }
        .map_err(|error| fault("writing memory", error))
    }

    fn within(&self, offset: u64, length: usize) -> Result<(), Fault> {
        if offset.checked_add(length as u64).is_none_or(|end| end > self.bytes) {
            return Err(Fault::failed("reading or writing memory", format!("{length} bytes at {offset} of {}", self.bytes)));
        }
        self.context.bind_to_thread().map_err(|error| fault("binding the device", error))
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let freed = self.context.bind_to_thread().and_then(|()| {
            // SAFETY: the address came from an allocation of this context and is freed once; freeing waits for work that uses it.
            unsafe { result::free_sync(self.address) }
        });
        self.context.record_err(freed);
    }
}

/// Loaded code.
struct Module {
    context: Arc<CudaContext>,
    raw: sys::CUmodule,
}

impl Drop for Module {
    fn drop(&mut self) {
        let unloaded = self.context.bind_to_thread().and_then(|()| {
            // SAFETY: it was loaded in this context and is unloaded once; its entries, which hold it, are gone.
            unsafe { result::module::unload(self.raw) }
        });
        self.context.record_err(unloaded);
    }
}

/// Where loaded code begins; the code stays loaded as long as it is held.
#[derive(Clone)]
pub struct Entry {
    function: sys::CUfunction,
    /// Clusters of it that can be at work at the same time, where the driver says.
    pub clusters: Option<u32>,
    _module: Rc<Module>,
}

impl Entry {
    /// Loads an image, compiling it if it is PTX, and finds an entry in it, and grants it the shared memory that it is launched with.
    /// All the way: asking for its registers makes a lazy driver load it now.
    ///
    /// # Errors
    /// [`Fault`] with the driver's words, and its compiler's.
    pub fn load(context: &Arc<CudaContext>, mut image: Vec<u8>, name: &str, shape: Shape, what: &str) -> Result<Self, Fault> {
        context.bind_to_thread().map_err(|error| fault("binding the device", error))?;
        // The driver reads PTX up to a zero; behind machine code it does no harm.
        image.push(0);
        let mut said = [0_u8; 4096];
        let mut options = [CUjit_option::CU_JIT_ERROR_LOG_BUFFER, CUjit_option::CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES];
        let mut values = [said.as_mut_ptr().cast::<c_void>(), std::ptr::without_provenance_mut(said.len())];
        let mut raw = std::ptr::null_mut();
        // SAFETY: the image is a whole cubin or ends with a zero; the options are two, as said, and the buffer that they name is as
        // long as they say and outlives the call.
        let loaded =
            unsafe { sys::cuModuleLoadDataEx(&raw mut raw, image.as_ptr().cast(), 2, options.as_mut_ptr(), values.as_mut_ptr()) };
        loaded.result().map_err(|error| with_words(fault(what, error), &said))?;
        let module = Rc::new(Module { context: context.clone(), raw });
        let name = CString::new(name).map_err(|error| Fault::failed(what, error))?;
        // SAFETY: the module is loaded, and `Self` keeps it so.
        let function = unsafe { result::module::get_function(raw, name) }.map_err(|error| fault(what, error))?;
        // SAFETY: the function was found just now.
        unsafe { result::function::get_function_attribute(function, sys::CUfunction_attribute::CU_FUNC_ATTRIBUTE_NUM_REGS) }
            .map_err(|error| fault(what, error))?;
        if shape.shared > 0 {
            let granted = sys::CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
            // SAFETY: the function was found just now.
            unsafe { result::function::set_function_attribute(function, granted, shape.shared as i32) }
                .map_err(|error| fault(what, error))?;
        }
        let clusters =
            (shape.cluster > 1).then(|| tensor::resident_clusters(function, shape.cluster, shape.threads, shape.shared)).flatten();
        Ok(Self { function, clusters, _module: module })
    }
}

/// Adds what the driver's compiler said, up to a zero, on one line.
fn with_words(fault: Fault, said: &[u8]) -> Fault {
    let said = said.split(|byte| *byte == 0).next().unwrap_or_default();
    let said = String::from_utf8_lossy(said).split_whitespace().collect::<Vec<_>>().join(" ");
    match fault {
        Fault::Failed { what, why } if !said.is_empty() => Fault::Failed { what, why: format!("{why}: {said}") },
        other => other,
    }
}

/// What a block of a kernel takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub threads: u32,
    /// Bytes of dynamic shared memory.
    pub shared: u32,
    /// Blocks of a cluster, which the kernel itself says as well.
    pub cluster: u32,
}

/// A kernel with its arguments and geometry, ready to be launched again and again.
pub struct Launch {
    entry: Entry,
    arguments: Box<[Argument]>,
    grid: u32,
    shape: Shape,
}

impl Launch {
    #[must_use]
    pub fn new(entry: Entry, arguments: Vec<Argument>, grid: u32, shape: Shape) -> Self {
        Self { entry, arguments: arguments.into_boxed_slice(), grid, shape }
    }

    /// Gives an argument another value.
    pub fn set(&mut self, index: usize, argument: Argument) {
        self.arguments[index] = argument;
    }

    /// Enqueues one launch. The memory that the arguments point to must live until the work is seen to end.
    ///
    /// # Errors
    /// [`Fault`] with the driver's words.
    pub fn enqueue(&mut self, stream: &CudaStream) -> Result<(), Fault> {
        const MOST: usize = 8;
        let count = self.arguments.len();
        if count > MOST {
            return Err(Fault::failed("launching a kernel", format!("{count} arguments, {MOST} at the most")));
        }
        let mut pointers = [std::ptr::null_mut::<c_void>(); MOST];
        for (pointer, argument) in pointers.iter_mut().zip(self.arguments.iter_mut()) {
            *pointer = std::ptr::from_mut(argument).cast();
        }
        // SAFETY: the entry keeps its module loaded; each pointer is to one argument, which is as wide as the widest parameter, and the
        // driver copies what the kernel takes of it before it returns. Buffers are sized by the same plan as the counts.
        unsafe {
            result::launch_kernel(
                self.entry.function,
                (self.grid, 1, 1),
                (self.shape.threads, 1, 1),
                self.shape.shared,
                stream.cu_stream(),
                &mut pointers[..count],
            )
        }
        .map_err(|error| fault("launching a kernel", error))
    }
}

/// Whether all work of a stream is done.
///
/// # Errors
/// [`Fault`] with the driver's words, also those of work that failed.
pub fn idle(stream: &CudaStream) -> Result<bool, Fault> {
    stream.context().bind_to_thread().map_err(|error| fault("binding the device", error))?;
    // SAFETY: the stream lives as long as it is borrowed.
    match unsafe { sys::cuStreamQuery(stream.cu_stream()) } {
        CUresult::CUDA_ERROR_NOT_READY => Ok(false),
        result => result.result().map(|()| true).map_err(|error| fault("running a kernel", error)),
    }
}

/// An event that takes the time.
///
/// # Errors
/// [`Fault`] with the driver's words.
pub fn event(context: &Arc<CudaContext>) -> Result<CudaEvent, Fault> {
    context.new_event(Some(CUevent_flags::CU_EVENT_DEFAULT)).map_err(|error| fault("making an event", error))
}
