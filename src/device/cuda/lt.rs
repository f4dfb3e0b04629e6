//! cuBLASLt by its own functions, loaded from wherever it lies. Versions 12 and 13 have the same ones.
//!
//! Nothing here knows of plans: [`super::product`] says what is to be multiplied, and in which formats.

// Raw calls of the library; each block gives its reason.
#![allow(unsafe_code)]

use super::{launch::Memory, lt_sys::*};
use crate::contract::Fault;
use cudarc::driver::{CudaContext, CudaStream};
use libloading::Library;
use std::{
    ffi::{c_int, c_void},
    path::Path,
    ptr::null_mut,
    rc::Rc,
    sync::Arc,
};

/// A matrix as the library takes it: by columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// `cudaDataType`.
    pub kind: i32,
    pub rows: u64,
    pub columns: u64,
}

/// A product in the library's terms: `result = left · right`, or `leftᵀ · right`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms {
    /// `cublasComputeType_t`.
    pub compute: i32,
    /// `cudaDataType` of the factor that products are multiplied by, and the number one in it.
    pub scale: i32,
    pub one: [u8; 8],
    pub transpose_left: bool,
    pub scales: Scales,
    pub left: Layout,
    pub right: Layout,
    pub result: Layout,
}

/// What narrow inputs are scaled by. All scales are one, so that the result is the product itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scales {
    None,
    /// A number a matrix: 8 bits.
    Matrix,
    /// A number every 16 elements along k, in ue4m3: 4 bits.
    Block,
}

/// Whether a library can be loaded.
#[must_use]
pub fn is_loadable(path: &Path) -> bool {
    // SAFETY: opens a shared library by its well-known name; its initialisers are its own.
    unsafe { Library::new(path) }.is_ok_and(|library| {
        // Never unloaded: it may have registered itself with the driver.
        std::mem::forget(library);
        true
    })
}

/// The library, opened on a device.
pub struct Lt {
    calls: Calls,
    handle: Pointer,
    context: Arc<CudaContext>,
}

/// Version of the library at a path, `12.8.5`.
///
/// # Errors
/// In words, where it cannot be loaded or lacks a function.
pub fn version(path: &Path) -> Result<String, String> {
    Calls::load(path).map(|calls| calls.said())
}

impl Lt {
    /// # Errors
    /// In words.
    pub fn open(context: &Arc<CudaContext>, path: &Path) -> Result<Self, String> {
        let calls = Calls::load(path)?;
        context.bind_to_thread().map_err(|error| format!("{:?}", error.0))?;
        let mut handle = null_mut();
        // SAFETY: the context is current on this thread, and the pointer is to a local.
        told(unsafe { (calls.create)(&raw mut handle) }, "cublasLtCreate")?;
        Ok(Self { calls, handle, context: context.clone() })
    }

    #[must_use]
    pub fn version(&self) -> String {
        self.calls.said()
    }

    /// Which formats and units an algorithm multiplies by (`cublasLtNumericalImplFlags_t`), where it says.
    #[must_use]
    pub fn implementation(&self, proposal: &Proposal) -> Option<u64> {
        let mut flags = 0_u64;
        let mut written = 0;
        // SAFETY: the algorithm came from the library, and the pointers are to locals of the size that is said.
        let status = unsafe {
            (self.calls.capability)(&raw const proposal.algorithm, IMPLEMENTATION, (&raw mut flags).cast(), 8, &raw mut written)
        };
        (status == 0 && flags != 0).then_some(flags)
    }

    /// What tells an algorithm from the others: `algorithm 66, tile 24, stages 35, …`.
    #[must_use]
    pub fn name(&self, proposal: &Proposal) -> String {
        let part = |(word, attribute, bytes): (&str, c_int, usize)| {
            let mut value = 0_u32;
            let mut written = 0;
            // SAFETY: as above; a little-endian number of fewer bytes leaves the upper ones zero.
            let status = unsafe {
                let to = (&raw mut value).cast();
                (self.calls.configuration)(&raw const proposal.algorithm, attribute, to, bytes, &raw mut written)
            };
            (status == 0).then(|| format!("{word} {value}"))
        };
        CONFIGURATION.into_iter().filter_map(part).collect::<Vec<_>>().join(", ")
    }
}

impl Drop for Lt {
    fn drop(&mut self) {
        if self.context.bind_to_thread().is_ok() {
            // SAFETY: the handle was created by the same library and is destroyed once; products, which hold it, are gone.
            unsafe { (self.calls.destroy)(self.handle) };
        }
    }
}

/// A product that the library knows of, with its algorithms.
pub struct Product {
    lt: Rc<Lt>,
    operation: Pointer,
    layouts: [Pointer; 3],
    one: [u8; 8],
    /// Ones on the device, by which narrow inputs are scaled.
    scales: Option<Memory>,
    workspace: Option<Memory>,
    workspace_bytes: u64,
    pub proposals: Vec<Proposal>,
}

impl Product {
    /// Describes a product and asks for `most` algorithms that need no more workspace than is said. Nothing runs, and the workspace
    /// is not allocated yet.
    ///
    /// # Errors
    /// In words, above all where the library has no algorithm for it.
    pub fn new(lt: &Rc<Lt>, terms: &Terms, most: u32, workspace_bytes: u64) -> Result<Self, String> {
        lt.context.bind_to_thread().map_err(|error| format!("{:?}", error.0))?;
        let mut product = Self {
            lt: lt.clone(),
            operation: null_mut(),
            layouts: [null_mut(); 3],
            one: terms.one,
            scales: None,
            workspace: None,
            workspace_bytes,
            proposals: Vec::new(),
        };
        let calls = &lt.calls;
        // SAFETY: the pointer is to a field that holds no handle yet.
        let made = unsafe { (calls.operation)(&raw mut product.operation, terms.compute, terms.scale) };
        told(made, "cublasLtMatmulDescCreate")?;
        for (layout, Layout { kind, rows, columns }) in product.layouts.iter_mut().zip([terms.left, terms.right, terms.result]) {
            // SAFETY: as above.
            let made = unsafe { (calls.layout)(std::ptr::from_mut(layout), kind, rows, columns, rows as i64) };
            told(made, "cublasLtMatrixLayoutCreate")?;
        }
        product.set(TRANSPOSE_LEFT, &c_int::from(terms.transpose_left).to_le_bytes())?;
        match terms.scales {
            Scales::None => {}
            Scales::Matrix => {
                product.scale_by(&1.0_f32.to_le_bytes())?;
                // As our own kernels sum: by the tensor cores, without a detour.
                product.set(FAST_ACCUMULATION, &[1])?;
            }
            Scales::Block => {
                let bytes = block_scales(terms.left).max(block_scales(terms.right));
                product.scale_by(&vec![ONE_UE4M3; bytes as usize])?;
                product.set(LEFT_SCALE_MODE, &BY_BLOCKS.to_le_bytes())?;
                product.set(RIGHT_SCALE_MODE, &BY_BLOCKS.to_le_bytes())?;
            }
        }
        product.propose(most)?;
        Ok(product)
    }

    /// Gives both inputs the same scales.
    fn scale_by(&mut self, scales: &[u8]) -> Result<(), String> {
        let mut memory = Memory::allocate(&self.lt.context, scales.len() as u64).map_err(|fault| fault.to_string())?;
        memory.write(0, scales).map_err(|fault| fault.to_string())?;
        let address = self.scales.insert(memory).address().to_le_bytes();
        self.set(LEFT_SCALE, &address)?;
        self.set(RIGHT_SCALE, &address)
    }

    fn set(&self, attribute: c_int, value: &[u8]) -> Result<(), String> {
        // SAFETY: the operation exists, and the value is as long as is said.
        let status = unsafe { (self.lt.calls.set_operation)(self.operation, attribute, value.as_ptr().cast(), value.len()) };
        told(status, "cublasLtMatmulDescSetAttribute")
    }

    /// Asks for algorithms.
    fn propose(&mut self, most: u32) -> Result<(), String> {
        let calls = &self.lt.calls;
        let mut preference = null_mut();
        // SAFETY: the pointer is to a local.
        told(unsafe { (calls.preference)(&raw mut preference) }, "cublasLtMatmulPreferenceCreate")?;
        let (bytes, schemes) = (self.workspace_bytes, IN_COMPUTE_TYPE);
        let mut found = vec![Proposal::default(); most as usize];
        let mut count = 0;
        let [left, right, result] = self.layouts;
        // SAFETY: the handles exist; values and results are locals as long as is said, and the preference is destroyed once.
        let status = unsafe {
            let kept = (calls.set_preference)(preference, WORKSPACE_BYTES, (&raw const bytes).cast(), 8)
                | (calls.set_preference)(preference, REDUCTION_SCHEMES, (&raw const schemes).cast(), 4);
            let asked = if kept == 0 {
                let (handle, first) = (self.lt.handle, found.as_mut_ptr());
                (calls.heuristic)(
                    handle,
                    self.operation,
                    left,
                    right,
                    result,
                    result,
                    preference,
                    most as c_int,
                    first,
                    &raw mut count,
                )
            } else {
                kept
            };
            (calls.end_preference)(preference);
            asked
        };
        told(status, "cublasLtMatmulAlgoGetHeuristic")?;
        found.truncate(count.max(0) as usize);
        found.retain(|proposal| proposal.status == 0);
        if found.is_empty() {
            return Err("cublasLtMatmulAlgoGetHeuristic knows no algorithm".into());
        }
        self.proposals = found;
        Ok(())
    }

    #[must_use]
    pub fn lt(&self) -> &Lt {
        &self.lt
    }

    /// Allocates what the hungriest algorithm needs.
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`].
    pub fn make_room(&mut self) -> Result<(), Fault> {
        self.workspace_bytes = self.proposals.iter().map(|proposal| proposal.workspace as u64).max().unwrap_or(0);
        self.workspace =
            (self.workspace_bytes > 0).then(|| Memory::allocate(&self.lt.context, self.workspace_bytes)).transpose()?;
        Ok(())
    }

    /// Enqueues the product by a proposal. The matrices must live until the work is seen to end, and be as large as was described.
    ///
    /// # Errors
    /// [`Fault`] with the library's number.
    pub fn enqueue(&self, proposal: usize, [left, right, result]: [u64; 3], stream: &CudaStream) -> Result<(), Fault> {
        const DOING: &str = "multiplying by cuBLASLt";
        let algorithm = self.proposals.get(proposal).ok_or_else(|| Fault::failed(DOING, "there is no such algorithm"))?;
        let zero = [0_u8; 8];
        let [of_left, of_right, of_result] = self.layouts;
        let at = |address: u64| std::ptr::without_provenance_mut::<c_void>(address as usize);
        let workspace = self.workspace.as_ref().map_or(0, Memory::address);
        // SAFETY: handles and algorithm are the library's own; the factors are as wide as the widest scale; addresses are those of
        // device memory of the sizes that the layouts say, and so is the workspace; the stream lives as long as it is borrowed.
        let status = unsafe {
            (self.lt.calls.matmul)(
                self.lt.handle,
                self.operation,
                self.one.as_ptr().cast(),
                at(left),
                of_left,
                at(right),
                of_right,
                zero.as_ptr().cast(),
                at(result),
                of_result,
                at(result),
                of_result,
                &raw const algorithm.algorithm,
                at(workspace),
                self.workspace_bytes as usize,
                stream.cu_stream().cast(),
            )
        };
        told(status, "cublasLtMatmul").map_err(|why| Fault::failed(DOING, why))
    }
}

/// Bytes of the scales of a matrix that lies along k: one for 16 elements, in tiles of 128 columns and four of them along k.
fn block_scales(Layout { rows: depth, columns, .. }: Layout) -> u64 {
    columns.next_multiple_of(128) * depth.div_ceil(BLOCK).next_multiple_of(4)
}

impl Drop for Product {
    fn drop(&mut self) {
        let calls = &self.lt.calls;
        for layout in self.layouts.into_iter().filter(|layout| !layout.is_null()) {
            // SAFETY: the layout was created by this library and is destroyed once.
            unsafe { (calls.end_layout)(layout) };
        }
        if !self.operation.is_null() {
            // SAFETY: as above.
            unsafe { (calls.end_operation)(self.operation) };
        }
    }
}
