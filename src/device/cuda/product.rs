//! A matrix product by cuBLASLt: in which terms it is asked for, and what an algorithm must say of itself to be taken.
//!
//! Row-major `C = A·B` is `Cᵀ = Bᵀ·Aᵀ` by columns, so that our B is the library's left matrix. Where both lie along k, the left one
//! is transposed: the only way in which it takes 8-bit inputs.

use super::{
    library::{Library, Offer, workspace_of},
    lt::{self, Layout, Lt, Scales, Terms},
    lt_sys::Proposal,
};
use crate::{
    contract::{Fault, Unsupported},
    dtype::{Dtype, Precision},
    plan::{Plan, Product},
};
use cudarc::driver::CudaStream;
use std::rc::Rc;

/// Algorithms that the library is asked for.
const ASKED: u32 = 32;

// `cublasLtNumericalImplFlags_t`.
const UNITS: u64 = 0xff;
const ORDINARY: u64 = 0x01;
const TENSOR_16: u64 = 0x02;
const SUMS: u64 = 0xff << 8;
const INPUTS: u64 = 0xff << 16;

/// How the library calls a format (`cudaDataType`), and the flag by which an algorithm says that it multiplies it.
pub const fn named(dtype: Dtype) -> Option<(i32, u64)> {
    Some(match dtype {
        Dtype::Fp32 => (0, 0x08 << 16),
        Dtype::Tf32 => (0, 0x04 << 16),
        Dtype::Fp64 => (1, 0x10 << 16),
        Dtype::Fp16 => (2, 0x01 << 16),
        Dtype::Int8 => (3, 0x20 << 16),
        Dtype::Int32 => (10, 0),
        Dtype::Bf16 => (14, 0x02 << 16),
        Dtype::E4m3 => (28, 0x40 << 16),
        Dtype::E5m2 => (29, 0x80 << 16),
        // No flag says it.
        Dtype::Fp4 => (33, 0),
        Dtype::Uint32 => return None,
    })
}

/// `cublasComputeType_t`, the format of its factors, the number one in it, and the flag of its sums.
fn computed(Precision { input, accumulate, .. }: Precision) -> Option<(i32, i32, [u8; 8], u64)> {
    let narrow = |bytes: [u8; 4]| {
        let [a, b, c, d] = bytes;
        [a, b, c, d, 0, 0, 0, 0]
    };
    let single = narrow(1.0_f32.to_le_bytes());
    Some(match (input, accumulate) {
        // With TF32 the library is told to take it; without, plain fp32 is plain.
        (Dtype::Tf32, Dtype::Fp32) => (77, 0, single, 0x02 << 8),
        (_, Dtype::Fp32) => (68, 0, single, 0x02 << 8),
        (Dtype::Fp64, Dtype::Fp64) => (70, 1, 1.0_f64.to_le_bytes(), 0x04 << 8),
        (Dtype::Int8, Dtype::Int32) => (72, 10, narrow(1_i32.to_le_bytes()), 0x08 << 8),
        _ => return None,
    })
}

/// A plan in the library's terms; nothing where it is no product.
fn terms(plan: &Plan) -> Option<Result<(Terms, [usize; 3]), Unsupported>> {
    let Product { along_k: transpose_left, buffers: [a, b, c], m, n, k, .. } = plan.product().filter(|product| !product.halved)?;
    let none = || Unsupported::Precision(plan.precision.to_string());
    let found = || {
        let (compute, scale, one, _) = computed(plan.precision).ok_or_else(none)?;
        let (input, _) = named(plan.precision.input).ok_or_else(none)?;
        let (output, _) = named(plan.precision.output).ok_or_else(none)?;
        let (rows, columns) = if transpose_left { (k, n) } else { (n, k) };
        let terms = Terms {
            compute,
            scale,
            one,
            transpose_left,
            scales: match plan.precision.input {
                Dtype::E4m3 | Dtype::E5m2 => Scales::Matrix,
                Dtype::Fp4 => Scales::Block,
                _ => Scales::None,
            },
            left: Layout { kind: input, rows, columns },
            right: Layout { kind: input, rows: k, columns: m },
            result: Layout { kind: output, rows: n, columns: m },
        };
        Ok((terms, [b, a, c]))
    };
    Some(found())
}

/// Whether what an algorithm says of itself is what the precision promises. Where ordinary units could be mistaken for tensor cores,
/// it must say so; elsewhere it must not say otherwise.
fn keeps(precision: Precision, said: Option<u64>) -> Result<(), String> {
    let inputs = named(precision.input).map_or(0, |(_, flag)| flag);
    let sums = computed(precision).map_or(0, |(.., flag)| flag);
    let flags = said.unwrap_or(0);
    let differs = |mask: u64, wanted: u64| flags & mask != 0 && flags & mask != wanted;
    let must = match precision.input {
        Dtype::Fp32 => Some(ORDINARY),
        Dtype::Tf32 => Some(TENSOR_16),
        _ => None,
    };
    if must.is_some_and(|units| flags & UNITS != units || flags & INPUTS != inputs)
        || inputs != 0 && differs(INPUTS, inputs)
        || differs(SUMS, sums)
    {
        let says = said.map_or_else(|| "do not say how they multiply".to_owned(), |flags| format!("say {flags:#x} of themselves"));
        return Err(format!("its algorithms {says}, which is not {precision}"));
    }
    Ok(())
}

/// Asks cuBLASLt for a plan's product; nothing where the plan is none of its. No memory is allocated for it yet.
pub fn library(lt: &Rc<Lt>, plan: &Plan, memory: u64) -> Option<Result<Library, Unsupported>> {
    let (terms, buffers) = match terms(plan)? {
        Ok(found) => found,
        Err(none) => return Some(Err(none)),
    };
    let refused = |why: String| Unsupported::Other(format!("cuBLASLt {}: {why}", lt.version()));
    let made = lt::Product::new(lt, &terms, ASKED, workspace_of(memory)).and_then(|mut product| {
        let verdict = |proposal: &Proposal| keeps(plan.precision, lt.implementation(proposal));
        let first = product.proposals.first().map(verdict);
        product.proposals.retain(|proposal| verdict(proposal).is_ok());
        match first {
            Some(Err(why)) if product.proposals.is_empty() => Err(why),
            _ => Ok(Library::new(Box::new(product), buffers)),
        }
    });
    Some(made.map_err(refused))
}

impl Offer for lt::Product {
    fn library(&self) -> String {
        format!("cuBLASLt {}", self.lt().version())
    }

    fn algorithms(&self) -> usize {
        self.proposals.len()
    }

    fn name(&self, algorithm: usize) -> String {
        self.proposals.get(algorithm).map(|proposal| self.lt().name(proposal)).unwrap_or_default()
    }

    fn make_room(&mut self, _: [u64; 3]) -> Result<(), Fault> {
        lt::Product::make_room(self)
    }

    fn enqueue(&self, algorithm: usize, addresses: [u64; 3], stream: &CudaStream) -> Result<(), Fault> {
        lt::Product::enqueue(self, algorithm, addresses, stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn precision(input: Dtype, accumulate: Dtype, output: Dtype) -> Precision {
        Precision { input, accumulate, output }
    }

    #[test]
    fn tf32_and_fp32_are_never_confused() {
        let (single, tensor) = (Precision::uniform(Dtype::Fp32), precision(Dtype::Tf32, Dtype::Fp32, Dtype::Fp32));
        assert_ne!(computed(single).map(|c| c.0), computed(tensor).map(|c| c.0));
        let (plain, tf32) = (0x01 | 0x02 << 8 | 0x08 << 16, 0x02 | 0x02 << 8 | 0x04 << 16);
        assert!(keeps(single, Some(plain)).is_ok() && keeps(tensor, Some(tf32)).is_ok());
        for (precision, said) in [(single, Some(tf32)), (single, None), (tensor, Some(plain)), (tensor, None)] {
            assert!(keeps(precision, said).is_err(), "{precision} {said:?}");
        }
        // fp32 put together from narrower products is not fp32 either.
        assert!(keeps(single, Some(0x02 | 0x02 << 8 | 0x02 << 16)).is_err());
    }

    #[test]
    fn sums_in_another_format_are_refused() {
        let half = precision(Dtype::Fp16, Dtype::Fp32, Dtype::Fp16);
        assert!(keeps(half, Some(0x02 | 0x02 << 8 | 0x01 << 16)).is_ok());
        assert!(keeps(half, Some(0x02 | 0x01 << 8 | 0x01 << 16)).is_err_and(|why| why.contains("fp16.fp32.fp16")));
        let bytes = precision(Dtype::Int8, Dtype::Int32, Dtype::Int32);
        assert!(keeps(bytes, Some(0x04 | 0x08 << 8 | 0x20 << 16)).is_ok() && keeps(bytes, None).is_ok());
        assert!(keeps(Precision::uniform(Dtype::Fp64), Some(0x02 | 0x04 << 8 | 0x20 << 16)).is_err(), "fp64 out of integers");
    }

    #[test]
    fn every_number_of_the_headers_is_where_it_belongs() {
        let kind = |dtype| named(dtype).map(|(kind, _)| kind);
        let kinds = [Dtype::Fp32, Dtype::Fp64, Dtype::Fp16, Dtype::Int8, Dtype::Int32, Dtype::Bf16, Dtype::E4m3, Dtype::E5m2];
        assert_eq!(kinds.map(kind), [0, 1, 2, 3, 10, 14, 28, 29].map(Some));
        assert_eq!(kind(Dtype::Fp4), Some(33));
        assert_eq!(kind(Dtype::Uint32), None);
        assert_eq!(computed(Precision::uniform(Dtype::Fp64)).map(|c| (c.0, c.1)), Some((70, 1)));
    }
}
