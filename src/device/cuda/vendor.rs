//! Which of a vendor's libraries does what of a plan.

use super::{host::Storage, loaded::Loaded, machine::Opened, nccl::Collective};
use crate::{
    contract::Fault,
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
