//! Which of a vendor's libraries does what of a plan.

use super::{host::Storage, libraries, loaded::Loaded, machine::Opened, nccl::Collective};
use crate::{
    contract::{Fault, Unsupported},
    plan::{Arg, Op, Plan, Variant, VariantKind},
};

/// Devices that sum together, where a plan is that.
pub fn summed(plan: &Plan) -> Option<usize> {
    let Op::Kernel { stem: "all_reduce", args } = &plan.program.first()?.op else { return None };
    args.iter().find_map(|arg| if let Arg::Peers(devices) = arg { Some(*devices) } else { None })
}

/// A plan's launches by the library that does it.
///
/// # Errors
/// [`Fault`] where there is none, or with its words.
pub fn load(seats: &[&Opened], plan: &Plan, buffers: &[Storage]) -> Result<Loaded, Fault> {
    if let Some(devices) = summed(plan) {
        let (ins, outs) = buffers.split_at(devices.min(buffers.len()));
        let pairs: Vec<_> = ins.iter().zip(outs).filter_map(|(from, to)| from.memory().zip(to.memory())).collect();
        let collective = Collective::new(&pairs, plan.buffers.first().map_or(0, |buffer| buffer.elements))?;
        return Ok(Loaded::summing(collective));
    }
    let none = || Fault::failed("preparing", "no library does this");
    let found = seats.first().and_then(|opened| opened.library(plan)).ok_or_else(none)?;
    let library = found.map_err(|why| Fault::failed("preparing", why))?;
    Loaded::of(library, |index| buffers.get(index).map_or(0, Storage::address))
}

/// A library as a variant.
pub fn variant(name: &str) -> Variant {
    Variant { name: name.into(), kind: VariantKind::Vendor }
}

/// Why a product with half of its left matrix zero is not measured.
pub fn sparse(capability: u32) -> Unsupported {
    const BEGIN: u32 = 80;
    if capability < BEGIN {
        let (major, minor) = (capability / 10, capability % 10);
        return Unsupported::Other(format!("compute capability {major}.{minor} has no sparse tensor cores"));
    }
    match libraries::cusparselt() {
        Ok(path) => Unsupported::Other(format!(
            "products with 2:4 sparsity are cuSPARSELt's alone; {} is here, and is not called yet",
            path.display()
        )),
        Err(why) => Unsupported::Absent(format!("products with 2:4 sparsity are cuSPARSELt's alone: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_sparse_tensor_cores_no_library_is_looked_for() {
        assert_eq!(sparse(75).to_string(), "compute capability 7.5 has no sparse tensor cores");
        assert!(sparse(90).to_string().contains("cuSPARSELt"));
    }
}
