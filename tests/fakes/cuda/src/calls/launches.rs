//! Launching kernels, with the driver's own checks of shape and memory.

use super::{Pointer, export, taken};
use crate::{
    chip::Chip,
    driver::{Driver, Function},
    launch::Shape,
    status::Status,
    work::{Launch, Work},
};
use std::ffi::{c_uint, c_void};

const CLUSTER: u32 = 4;
/// Blocks of a cluster that need no leave.
const PORTABLE: u32 = 8;
const LARGE: u32 = 16;

/// `CUlaunchConfig` of `cuda.h`.
#[repr(C)]
pub struct Configuration {
    grid: [c_uint; 3],
    block: [c_uint; 3],
    shared: c_uint,
    stream: Pointer,
    attributes: *const Attribute,
    count: c_uint,
}

/// `CUlaunchAttribute` of `cuda.h`.
#[repr(C)]
pub struct Attribute {
    which: c_uint,
    pad: c_uint,
    /// A union; a cluster's shape is its first three words.
    value: [u64; 8],
}

#[cfg(test)]
impl Attribute {
    pub fn cluster([x, y, z]: [u32; 3]) -> Self {
        Self { which: CLUSTER, pad: 0, value: [u64::from(y) << 32 | u64::from(x), z.into(), 0, 0, 0, 0, 0, 0] }
    }
}

#[cfg(test)]
impl Configuration {
    pub fn new(blocks: u32, threads: u32, stream: Pointer, attributes: &[Attribute]) -> Self {
        let (grid, block) = ([blocks, 1, 1], [threads, 1, 1]);
        Self { grid, block, shared: 0, stream, attributes: attributes.as_ptr(), count: attributes.len() as u32 }
    }
}

impl Configuration {
    pub fn threads(&self) -> u32 {
        self.block.iter().fold(1, |product, side| product.saturating_mul(*side))
    }

    /// Bytes of dynamic shared memory.
    pub fn shared(&self) -> u32 {
        self.shared
    }

    /// The shape of its clusters, where an attribute says it.
    pub fn cluster(&self) -> Option<[u32; 3]> {
        let none = self.attributes.is_null() || self.count == 0;
        // SAFETY: callers of the driver pass as many attributes as they say.
        let attributes = if none { &[][..] } else { unsafe { std::slice::from_raw_parts(self.attributes, self.count as usize) } };
        let words = |value: &[u64; 8]| [value[0] as u32, (value[0] >> 32) as u32, value[1] as u32];
        attributes.iter().find(|attribute| attribute.which == CLUSTER).map(|attribute| words(&attribute.value))
    }
}

const _: () = assert!(size_of::<Configuration>() == 56 && size_of::<Attribute>() == 72);

fn checked(function: &Function, shape: &Shape, chip: &Chip) -> Result<(), Status> {
    let block = shape.block.iter().try_fold(1_u32, |product, side| product.checked_mul(*side)).unwrap_or(u32::MAX);
    let cluster = shape.cluster.iter().try_fold(1_u32, |product, side| product.checked_mul(*side)).unwrap_or(u32::MAX);
    let sides = shape.grid.iter().chain(&shape.block).chain(&shape.cluster).all(|side| *side > 0);
    let grid = i32::try_from(shape.grid[0]).is_ok() && shape.grid[1] <= 65535 && shape.grid[2] <= 65535;
    let block_fits = shape.block[0] <= 1024 && shape.block[1] <= 1024 && shape.block[2] <= 64;
    if !(sides && grid && block_fits) || block > 1024.min(function.facts.max_threads) {
        return Err(Status::INVALID_VALUE);
    }
    let over = shape.dynamic_shared.saturating_add(function.facts.static_shared) > chip.shared_optin();
    if over || shape.dynamic_shared > function.dynamic_shared {
        return Err(Status::INVALID_VALUE);
    }
    let whole = shape.grid.iter().zip(&shape.cluster).all(|(grid, cluster)| grid % cluster == 0);
    if !whole || cluster > 1 && chip.sm < 90 || function.facts.cluster.is_some_and(|required| required != shape.cluster) {
        return Err(Status::INVALID_VALUE);
    }
    if cluster > if function.large_cluster { LARGE } else { PORTABLE } {
        return Err(Status::INVALID_CLUSTER_SIZE);
    }
    Ok(())
}

/// Copies the parameters to where the kernel looks for them.
fn parameters(function: &Function, pointers: *const *const c_void) -> Result<Vec<u8>, Status> {
    let length = function.facts.parameters.iter().map(|(offset, bytes)| offset + bytes).max().unwrap_or(0);
    let mut all = vec![0; length];
    if pointers.is_null() && length > 0 {
        return Err(Status::INVALID_VALUE);
    }
    for (index, (offset, bytes)) in function.facts.parameters.iter().enumerate() {
        // SAFETY: callers of the driver pass an array of as many pointers as the kernel has parameters.
        let pointer = unsafe { *pointers.add(index) };
        all[*offset..offset + bytes].copy_from_slice(taken(pointer, *bytes)?);
    }
    Ok(all)
}

fn launch(
    driver: &mut Driver,
    handle: Pointer,
    shape: (Shape, Option<[u32; 3]>),
    stream: Pointer,
    pointers: *const *const c_void,
) -> Result<(), Status> {
    let stream = driver.stream(stream)?;
    let (shape, cluster) = shape;
    let function = driver.functions.get(&(handle as u64)).ok_or(Status::INVALID_HANDLE)?;
    let cluster = cluster.or(function.facts.cluster).unwrap_or([1; 3]);
    let shape = Shape { cluster, ..shape };
    checked(function, &shape, &driver.chip)?;
    let (code, module, kernel) = (function.code.clone(), function.module, function.name.clone());
    let parameters = parameters(function, pointers)?;
    let planned = driver.meet(|place| place == "launch" || place.strip_prefix("launch/") == Some(&kernel))?;
    driver.enqueue(stream, Work::Launch(Box::new(Launch { code, module, kernel, shape, parameters, planned })))
}

export! {
    fn cuLaunchKernel[Context](
        driver, function: Pointer, gx: c_uint, gy: c_uint, gz: c_uint, bx: c_uint, by: c_uint, bz: c_uint, shared: c_uint,
        stream: Pointer, pointers: *const *const c_void, _extra: *const Pointer
    ) {
        let shape = Shape { grid: [gx, gy, gz], block: [bx, by, bz], cluster: [1; 3], dynamic_shared: shared };
        launch(driver, function, (shape, None), stream, pointers)
    }
    fn cuLaunchKernelEx[Context](
        driver, configuration: *const Configuration, function: Pointer, pointers: *const *const c_void, _extra: *const Pointer
    ) {
        // SAFETY: callers of the driver pass a pointer to a configuration.
        let given = unsafe { configuration.as_ref() }.ok_or(Status::INVALID_VALUE)?;
        let cluster = given.cluster();
        let shape = Shape { grid: given.grid, block: given.block, cluster: [1; 3], dynamic_shared: given.shared };
        launch(driver, function, (shape, cluster), given.stream, pointers)
    }
}
