//! Instructions of the tensor cores of sm_100 and their memory (PTX ISA, TensorCore 5th Generation Family Instructions).

use super::decode::{Operands, Refusal};
use super::{Address, Op, Source, Space};
use crate::tensor::instruction::Kind;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TensorOp {
    /// Columns; where they begin goes to shared memory.
    Allocate {
        to: Address,
        columns: Source,
    },
    Relinquish,
    Free {
        at: Source,
        columns: Source,
    },
    FenceBefore,
    FenceAfter,
    /// An arrival, here or in the blocks of the mask, when the products that the thread began are over.
    Commit {
        barrier: Address,
        blocks: Option<Source>,
    },
    Multiply {
        kind: Kind,
        d: Source,
        a: Source,
        b: Source,
        how: Source,
        accumulate: Source,
    },
    /// As many columns as registers.
    Load {
        d: Vec<u32>,
        from: Source,
    },
    WaitLoad,
}

/// The instruction that is spelt so, after `tcgen05`.
pub(super) fn find(parts: &[&str], operands: &mut Operands<'_>) -> Result<Op, Refusal> {
    let pair = match parts.iter().find(|part| part.starts_with("cta_group::")) {
        None => None,
        Some(&"cta_group::1") => Some(false),
        Some(&"cta_group::2") => Some(true),
        Some(_) => return Err("not supported".into()),
    };
    let parts: Vec<&str> = parts.iter().copied().filter(|part| !part.starts_with("cta_group::")).collect();
    let whose = matches!(parts.first(), Some(&("alloc" | "relinquish_alloc_permit" | "dealloc" | "commit" | "mma")));
    if pair.is_some() != whose {
        return Err("not supported".into());
    }
    operation(&parts, operands).map(|op| Op::Tensor(Box::new(op), pair))
}

fn operation(parts: &[&str], operands: &mut Operands<'_>) -> Result<TensorOp, Refusal> {
    Ok(match parts {
        ["alloc", "sync", "aligned", "shared::cta", "b32"] => {
            TensorOp::Allocate { to: operands.address(Space::Shared)?, columns: operands.source(32)? }
        }
        ["relinquish_alloc_permit", "sync", "aligned"] => TensorOp::Relinquish,
        ["dealloc", "sync", "aligned", "b32"] => TensorOp::Free { at: operands.source(32)?, columns: operands.source(32)? },
        ["fence::before_thread_sync"] => TensorOp::FenceBefore,
        ["fence::after_thread_sync"] => TensorOp::FenceAfter,
        ["commit", "mbarrier::arrive::one", "shared::cluster", "b64"] => {
            TensorOp::Commit { barrier: operands.address(Space::ClusterShared)?, blocks: None }
        }
        ["commit", "mbarrier::arrive::one", "shared::cluster", "multicast::cluster", "b64"] => {
            TensorOp::Commit { barrier: operands.address(Space::ClusterShared)?, blocks: Some(operands.source(16)?) }
        }
        ["mma", kind] => multiply(kind, operands)?,
        ["ld", "sync", "aligned", "32x32b", count, "b32"] => load(count, operands)?,
        ["wait::ld", "sync", "aligned"] => TensorOp::WaitLoad,
        _ => return Err("not supported".into()),
    })
}

/// An address of tensor memory in brackets, without an offset.
fn place(operands: &mut Operands<'_>) -> Result<Source, Refusal> {
    let found = operands.address(Space::Tensor)?;
    if found.offset == 0 { Ok(found.base) } else { Err("offsets are not supported here".into()) }
}

fn multiply(kind: &str, operands: &mut Operands<'_>) -> Result<TensorOp, Refusal> {
    let kind = match kind {
        "kind::f16" => Kind::F16,
        "kind::tf32" => Kind::Tf32,
        "kind::f8f6f4" => Kind::F8f6f4,
        "kind::i8" => Kind::I8,
        _ => return Err("not supported".into()),
    };
    let (d, a, b) = (place(operands)?, operands.source(64)?, operands.source(64)?);
    Ok(TensorOp::Multiply { kind, d, a, b, how: operands.source(32)?, accumulate: operands.source(1)? })
}

fn load(count: &str, operands: &mut Operands<'_>) -> Result<TensorOp, Refusal> {
    let d = operands.registers(32)?;
    let expected = count.strip_prefix('x').and_then(|count| count.parse::<usize>().ok());
    if expected != Some(d.len()) || !d.len().is_power_of_two() || d.len() > 128 {
        return Err(format!("{} registers", d.len()));
    }
    Ok(TensorOp::Load { d, from: place(operands)? })
}

impl TensorOp {
    /// What it reads, and the registers that it writes.
    pub(super) fn uses(&self) -> (Vec<Source>, Vec<u32>) {
        match self {
            Self::Allocate { to, columns } => (vec![to.base, *columns], vec![]),
            Self::Free { at, columns } => (vec![*at, *columns], vec![]),
            Self::Commit { barrier, blocks } => ([barrier.base].into_iter().chain(*blocks).collect(), vec![]),
            Self::Multiply { d, a, b, how, accumulate, .. } => (vec![*d, *a, *b, *how, *accumulate], vec![]),
            Self::Load { d, from } => (vec![*from], d.clone()),
            Self::Relinquish | Self::FenceBefore | Self::FenceAfter | Self::WaitLoad => (vec![], vec![]),
        }
    }
}
