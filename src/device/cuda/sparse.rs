//! A matrix product by cuSPARSELt, of which two of each four elements of A along k are zero: in which terms it is asked for.
//!
//! Our own generator prunes A, so that the host knows every element; the library is given what is pruned, and only compresses it.

use super::{
    libraries,
    library::{Library, Offer, workspace_of},
    product::named,
    sparse_lt::{Product, SparseLt, Terms},
};
use crate::{
    contract::{Fault, Unsupported},
    dtype::Dtype,
    plan::{self, Plan},
};
use cudarc::driver::{CudaContext, CudaStream};
use std::{rc::Rc, sync::Arc};

/// Sparse tensor cores begin at this compute capability.
const BEGIN: u32 = 80;
/// Sums, as `cusparseComputeType`.
const INT32: i32 = 0;
const FP32: i32 = 2;

/// Opens the library on a device.
///
/// # Errors
/// [`Unsupported`] where the device has no use for it, or it is not there.
pub fn open(context: &Arc<CudaContext>, capability: u32) -> Result<Rc<SparseLt>, Unsupported> {
    if capability < BEGIN {
        let (major, minor) = (capability / 10, capability % 10);
        return Err(Unsupported::Other(format!("compute capability {major}.{minor} has no sparse tensor cores")));
    }
    let absent = |why: String| Unsupported::Absent(format!("products with 2:4 sparsity are cuSPARSELt's alone: {why}"));
    let found = libraries::cusparselt().map_err(absent)?;
    SparseLt::open(context, &found.path).map(Rc::new).map_err(|why| absent(format!("{}: {why}", found.path.display())))
}

/// Asks the library for a plan's product. No memory is allocated for it yet.
///
/// # Errors
/// [`Unsupported`] with its words.
pub fn library(lt: &Rc<SparseLt>, plan: &Plan, memory: u64) -> Result<Library, Unsupported> {
    let none = || Unsupported::Precision(plan.key.precision.clone());
    let (terms, buffers) = terms(plan).ok_or_else(none)?;
    let refused = |why: String| Unsupported::Other(format!("cuSPARSELt {}: {why}", lt.version));
    let product = Product::new(lt, &terms, workspace_of(memory)).map_err(refused)?;
    Ok(Library::new(Box::new(product), buffers))
}

fn terms(plan: &Plan) -> Option<(Terms, [usize; 3])> {
    let plan::Product { buffers, m, n, k, .. } = plan.product().filter(|product| product.halved)?;
    let kind = |dtype: Dtype| named(dtype).map(|(kind, _)| kind);
    let compute = match plan.precision.accumulate {
        Dtype::Int32 => INT32,
        Dtype::Fp32 => FP32,
        _ => return None,
    };
    let (input, output) = (kind(plan.precision.input)?, kind(plan.precision.output)?);
    Some((Terms { input, output, compute, m, n, k }, buffers))
}

impl Offer for Product {
    fn library(&self) -> String {
        format!("cuSPARSELt {}", self.lt().version)
    }

    fn algorithms(&self) -> usize {
        self.count()
    }

    fn name(&self, algorithm: usize) -> String {
        self.number(algorithm).map(|number| format!("algorithm {number}")).unwrap_or_default()
    }

    fn make_room(&mut self, _: [u64; 3]) -> Result<(), Fault> {
        Product::make_room(self)
    }

    fn digest(&self, algorithm: usize, [halved, ..]: [u64; 3], stream: &CudaStream) -> Result<(), Fault> {
        self.compress(algorithm, halved, stream)
    }

    fn enqueue(&self, algorithm: usize, [_, dense, result]: [u64; 3], stream: &CudaStream) -> Result<(), Fault> {
        Product::enqueue(self, algorithm, [dense, result], stream)
    }
}
