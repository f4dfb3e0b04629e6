//! The driver's calls that the checks make, each behind a safe function.

// Raw driver calls live in this file alone; each block gives its reason.
#![allow(unsafe_code)]

use anyhow::{Context, Result, anyhow, bail};
use cudarc::driver::{
    CudaContext, CudaStream, DriverError, result,
    sys::{self, CUdevice_attribute as Attribute},
};
use std::{
    ffi::{CString, c_void},
    path::Path,
    sync::Arc,
};

/// The first device, its primary context current on this thread.
pub struct Device {
    pub context: Arc<CudaContext>,
    pub stream: Arc<CudaStream>,
    pub name: String,
    /// Compute capability, `major * 10 + minor`.
    pub capability: i32,
    /// `major * 1000 + minor * 10`.
    pub driver: i32,
}

/// With the driver's own words; taking them from a driver that lacks a call would panic.
fn said(error: DriverError) -> anyhow::Error {
    anyhow!("the driver said {:?}", error.0)
}

/// Whether the library, which is present, has a call; the wrapper panics at one that is missing.
fn has(name: &str) -> bool {
    // SAFETY: the library is only asked for an address, which is not used.
    unsafe { sys::culib().get::<unsafe extern "C" fn()>(name.as_bytes()).is_ok() }
}

/// Opens the first device.
pub fn open() -> Result<Device> {
    // SAFETY: opens a shared library by its well-known name; its initialisers are the driver's own.
    if !unsafe { sys::is_culib_present() } {
        bail!("there is no CUDA driver here");
    }
    let context = CudaContext::new(0).map_err(said).context("opening the first device")?;
    // SAFETY: nothing of the wrapper's memory type is used, so there is nothing whose use it would have to order.
    unsafe { context.disable_event_tracking() };
    let stream = context.new_stream().map_err(said)?;
    let attribute = |which| context.attribute(which).map_err(said);
    let major = attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?;
    let minor = attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?;
    let mut driver = 0;
    // SAFETY: the pointer is to a local that outlives the call.
    unsafe { sys::cuDriverGetVersion(&raw mut driver) }.result().map_err(said)?;
    let name = context.name().map_err(said)?;
    Ok(Device { context, stream, name, capability: major * 10 + minor, driver })
}

/// A function of a loaded module, which stays loaded as long as the process lives.
pub struct Function(sys::CUfunction);

/// Loads an image, machine code or PTX, and finds its kernel.
pub fn load(image: &Path, kernel: &str) -> Result<Function> {
    let mut bytes = std::fs::read(image).with_context(|| image.display().to_string())?;
    bytes.push(0);
    function(&bytes, kernel)
}

/// The same of an image in memory; PTX ends with a zero.
pub fn function(image: &[u8], kernel: &str) -> Result<Function> {
    let name = CString::new(kernel)?;
    // SAFETY: the image is a whole cubin or ends with a zero.
    let module = unsafe { result::module::load_data(image.as_ptr().cast()) }.map_err(said).context("loading the image")?;
    // SAFETY: the module was loaded just now, and is never unloaded.
    unsafe { result::module::get_function(module, name) }.map(Function).map_err(said)
}

/// Words of device memory.
pub struct Words {
    pub address: u64,
    count: usize,
}

impl Words {
    pub fn holding(words: &[u32]) -> Result<Self> {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        // SAFETY: the context is current on this thread.
        let address = unsafe { result::malloc_sync(bytes.len().max(16)) }.map_err(said)?;
        // The call returns once the driver has taken the bytes; they arrive in the order of the default stream, for which others do not wait.
        // SAFETY: the allocation is as long as the bytes; no stream at all is the default one.
        unsafe { result::memcpy_htod_sync(address, &bytes).and_then(|()| result::stream::synchronize(std::ptr::null_mut())) }
            .map_err(said)?;
        Ok(Self { address, count: words.len() })
    }

    pub fn read(&self) -> Result<Vec<u32>> {
        let mut bytes = vec![0_u8; self.count * 4];
        // SAFETY: the allocation is as long as the bytes; the call waits for the work before it.
        unsafe { result::memcpy_dtoh_sync(&mut bytes, self.address) }.map_err(said)?;
        Ok(bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect())
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        // SAFETY: the address came from an allocation and is freed once. An error here is told by the next call.
        let _ = unsafe { result::free_sync(self.address) };
    }
}

/// Device memory of no particular contents.
pub struct Room {
    pub address: u64,
}

impl Room {
    pub fn of(bytes: u64) -> Result<Self> {
        let size = usize::try_from(bytes)?;
        // SAFETY: the context is current on this thread.
        let address = unsafe { result::malloc_sync(size) }.map_err(said).with_context(|| format!("allocating {bytes} bytes"))?;
        // What nobody wrote may not lie in memory at all. It is set in the order of the default stream, for which others do not wait.
        // SAFETY: the allocation is that long; no stream at all is the default one.
        unsafe { result::memset_d8_sync(address, 0x3f, size).and_then(|()| result::stream::synchronize(std::ptr::null_mut())) }
            .map_err(said)?;
        Ok(Self { address })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // SAFETY: the address came from an allocation and is freed once. An error here is told by the next call.
        let _ = unsafe { result::free_sync(self.address) };
    }
}

impl Device {
    /// Bytes that are free.
    pub fn free(&self) -> u64 {
        self.context.mem_get_info().map_or(0, |(free, _)| free as u64)
    }
}

/// Enqueues the driver's own copy within the device.
pub fn copy(device: &Device, to: u64, from: u64, bytes: u64) -> Result<()> {
    // SAFETY: both are allocations of so many bytes that live until the work is seen to end.
    unsafe { result::memcpy_dtod_async(to, from, usize::try_from(bytes)?, device.stream.cu_stream()) }.map_err(said)
}

/// A tensor map as the driver packs it. It is passed by value, on the boundary that the driver's header wants: 64 bytes, from CUDA 13 on 128.
#[repr(C, align(128))]
#[derive(Clone, Copy)]
pub struct TensorMap([u8; 128]);

/// A map over a row-major matrix: bytes of an element, rows, columns, rows and columns of a box, the swizzle's span in bytes.
pub fn tensor_map([element, rows, columns, box_rows, box_columns, swizzle]: [u32; 6], address: u64) -> Result<TensorMap> {
    use sys::{CUtensorMapDataType as Type, CUtensorMapSwizzle as Swizzle};
    if !has("cuTensorMapEncodeTiled") {
        bail!("this driver knows no tensor maps");
    }
    let kind = match element {
        1 => Type::CU_TENSOR_MAP_DATA_TYPE_UINT8,
        2 => Type::CU_TENSOR_MAP_DATA_TYPE_UINT16,
        _ => Type::CU_TENSOR_MAP_DATA_TYPE_UINT32,
    };
    let swizzle = match swizzle {
        0 => Swizzle::CU_TENSOR_MAP_SWIZZLE_NONE,
        32 => Swizzle::CU_TENSOR_MAP_SWIZZLE_32B,
        64 => Swizzle::CU_TENSOR_MAP_SWIZZLE_64B,
        _ => Swizzle::CU_TENSOR_MAP_SWIZZLE_128B,
    };
    let (dimensions, strides) = ([u64::from(columns), u64::from(rows)], [u64::from(columns * element)]);
    let (sides, steps) = ([box_columns, box_rows], [1, 1]);
    let mut map = TensorMap([0; 128]);
    // SAFETY: the map is 128 bytes on a boundary of as many; the arrays have two entries, the strides one, as the rank says.
    let status = unsafe {
        sys::cuTensorMapEncodeTiled(
            (&raw mut map).cast(),
            kind,
            2,
            address as *mut c_void,
            dimensions.as_ptr(),
            strides.as_ptr(),
            sides.as_ptr(),
            steps.as_ptr(),
            sys::CUtensorMapInterleave::CU_TENSOR_MAP_INTERLEAVE_NONE,
            swizzle,
            sys::CUtensorMapL2promotion::CU_TENSOR_MAP_L2_PROMOTION_NONE,
            sys::CUtensorMapFloatOOBfill::CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE,
        )
    };
    status.result().map_err(said).context("packing a tensor map")?;
    Ok(map)
}

/// Enqueues a launch of blocks in a row. `addresses` and `map` are the kernel's parameters.
pub fn launch(
    device: &Device,
    function: &Function,
    (blocks, threads, shared): (u32, u32, u32),
    addresses: &[u64],
    map: Option<&TensorMap>,
) -> Result<()> {
    let mut words = addresses.to_vec();
    let mut map = map.copied();
    let mut pointers: Vec<*mut c_void> = words.iter_mut().map(|word| std::ptr::from_mut(word).cast()).collect();
    pointers.extend(map.as_mut().map(|map| std::ptr::from_mut(map).cast::<c_void>()));
    // SAFETY: each pointer is to a parameter of the kernel's own size and order, which the driver copies before it returns.
    unsafe { result::launch_kernel(function.0, (blocks, 1, 1), (threads, 1, 1), shared, device.stream.cu_stream(), &mut pointers) }
        .map_err(said)
        .context("launching")
}
