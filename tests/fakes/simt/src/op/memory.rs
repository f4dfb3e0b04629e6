//! Loads, stores, atomics and copies (PTX ISA, Data Movement and Conversion Instructions; atom, red).

use super::decode::{Operands, Refusal, Row, lanewise};
use super::{Address, Bulk, Op, Source, Space};
use crate::address::{PARAMETER_WINDOW, RANK_SHIFT, SHARED_WINDOW};

/// `cvta` and `mapa`.
pub(super) fn conversion(parts: &[&str], operands: &mut Operands<'_>) -> Result<Op, Refusal> {
    let (run, bits): (super::Lanewise, u32) = match parts {
        ["cvta", "to", "global", "u64"] | ["cvta", "global", "u64"] => (lanewise!(a => a), 64),
        ["cvta", "shared" | "shared::cta" | "shared::cluster", "u64"] => (lanewise!(a => a + SHARED_WINDOW), 64),
        ["cvta", "to", "shared" | "shared::cta" | "shared::cluster", "u64"] => (lanewise!(a => a.wrapping_sub(SHARED_WINDOW)), 64),
        ["cvta", "param", "u64"] => (lanewise!(a => a + PARAMETER_WINDOW), 64),
        ["cvta", "to", "param", "u64"] => (lanewise!(a => a.wrapping_sub(PARAMETER_WINDOW)), 64),
        ["mapa", "shared::cluster", "u32"] => (lanewise!(a, rank => a & 0xff_ffff | rank << RANK_SHIFT), 32),
        ["mapa", "u64"] => (lanewise!(a, rank => a & !(0xff << RANK_SHIFT) | rank << RANK_SHIFT), 64),
        _ => return Err("not supported".into()),
    };
    let row = Row::uniform(run, bits, 1);
    let d = operands.register(row.d)?;
    let a = operands.source(bits)?;
    let rank = if parts[0] == "mapa" { operands.source(32)? } else { Source::Value(0) };
    Ok(Op::Lanewise { run, d, keep: u64::MAX >> (64 - bits), s: [a, rank, Source::Value(0), Source::Value(0)], flops: 0 })
}

/// The memory instruction that is spelt so.
pub(super) fn find(parts: &[&str], operands: &mut Operands<'_>) -> Option<Result<Op, Refusal>> {
    Some(match parts {
        ["ld" | "ldu", rest @ ..] => load(rest, operands),
        ["st", rest @ ..] => store(rest, operands),
        ["atom", rest @ ..] => atomic(rest, operands, true),
        ["red", rest @ ..] => atomic(rest, operands, false),
        ["prefetch" | "prefetchu", ..] => operands.next().map(|_| Op::Nothing),
        ["cp", "async", "commit_group"] => Ok(Op::CopyCommit),
        ["cp", "async", "wait_group"] => operands.constant().map(|pending| Op::CopyWait(Some(pending))),
        ["cp", "async", "wait_all"] => Ok(Op::CopyWait(None)),
        ["cp", "async", "bulk", "commit_group"] => Ok(Op::BulkCommit),
        ["cp", "async", "bulk", "wait_group"] | ["cp", "async", "bulk", "wait_group", "read"] => {
            operands.constant().map(Op::BulkWait)
        }
        ["cp", "async", "bulk", "tensor", rest @ ..] => tensor(rest, operands).map(Op::Bulk),
        ["cp", "async", "bulk", rest @ ..] => bulk(rest, operands).map(Op::Bulk),
        ["cp", "async", rest @ ..] => copy_async(rest, operands),
        _ => return None,
    })
}

/// What the modifiers of a load, store or atomic say.
struct Access {
    space: Space,
    /// Volatile, relaxed, acquire or release: such accesses may meet others.
    ordered: bool,
    hint: bool,
    elements: usize,
    bytes: u32,
    signed: bool,
}

fn access(parts: &[&str]) -> Result<Access, Refusal> {
    let (kind, flags) = parts.split_last().ok_or("a type is missing")?;
    let bits = super::bits::bits(kind).filter(|bits| *bits >= 8).ok_or("this type is not supported")?;
    let mut found =
        Access { space: Space::Generic, ordered: false, hint: false, elements: 1, bytes: bits / 8, signed: kind.starts_with('s') };
    for flag in flags {
        match *flag {
            "global" => found.space = Space::Global,
            "shared" | "shared::cta" => found.space = Space::Shared,
            "shared::cluster" => found.space = Space::ClusterShared,
            "param" => found.space = Space::Parameter,
            "v2" => found.elements = 2,
            "v4" => found.elements = 4,
            "v8" => found.elements = 8,
            "volatile" | "relaxed" | "acquire" | "release" => found.ordered = true,
            "L2::cache_hint" => found.hint = true,
            "weak" | "nc" | "gpu" | "sys" | "cta" | "cluster" | "ca" | "cg" | "cs" | "lu" | "cv" | "wb" | "wt" => {}
            other if other.starts_with("L1::") || other.starts_with("L2::") => {}
            other => return Err(format!("`.{other}` is not supported")),
        }
    }
    Ok(found)
}

fn load(parts: &[&str], operands: &mut Operands<'_>) -> Result<Op, Refusal> {
    let access = access(parts)?;
    let to = wide_registers(operands, access.bytes * 8)?;
    if to.len() != access.elements {
        return Err(format!("{} destinations for {} elements", to.len(), access.elements));
    }
    let from = operands.address(access.space)?;
    if access.hint {
        operands.source(64)?;
    }
    Ok(Op::Load { from, bytes: access.bytes, signed: access.signed, to, ordered: access.ordered })
}

/// A register may be wider than what is loaded into it.
fn wide_registers(operands: &mut Operands<'_>, bits: u32) -> Result<Vec<Option<u32>>, Refusal> {
    use crate::text::Term;
    let one = |operands: &Operands<'_>, term: &Term| match term {
        Term::Register(register) if operands.bits_of(*register) > bits => Ok(Some(*register)),
        term => operands.target(term, bits),
    };
    match operands.next()? {
        Term::Vector(terms) => terms.iter().map(|term| one(operands, term)).collect(),
        term => Ok(vec![one(operands, term)?]),
    }
}

fn store(parts: &[&str], operands: &mut Operands<'_>) -> Result<Op, Refusal> {
    use crate::text::Term;
    let access = access(parts)?;
    let to = operands.address(access.space)?;
    let bits = access.bytes * 8;
    let one = |operands: &Operands<'_>, term: &Term| match term {
        Term::Register(register) if operands.bits_of(*register) > bits => Ok(Source::Register(*register)),
        term => operands.value(term, bits),
    };
    let from = match operands.next()? {
        Term::Vector(terms) => terms.iter().map(|term| one(operands, term)).collect::<Result<Vec<_>, _>>()?,
        term => vec![one(operands, term)?],
    };
    if from.len() != access.elements {
        return Err(format!("{} sources for {} elements", from.len(), access.elements));
    }
    if access.hint {
        operands.source(64)?;
    }
    Ok(Op::Store { to, bytes: access.bytes, from, ordered: access.ordered })
}

fn atomic(parts: &[&str], operands: &mut Operands<'_>, returns: bool) -> Result<Op, Refusal> {
    const CHANGES: &[&str] = &["add", "min", "max", "and", "or", "xor", "exch", "cas", "inc", "dec"];
    let name = parts.iter().find(|part| CHANGES.contains(part)).ok_or("the operation is not supported")?;
    let others: Vec<&str> = parts.iter().copied().filter(|part| part != name && *part != "acq_rel").collect();
    let access = access(&others)?;
    let kind = parts[parts.len() - 1];
    let bits = access.bytes * 8;
    let change = change(name, kind).ok_or("the operation is not supported for this type")?;
    let d = if returns {
        let term = operands.next()?;
        operands.target(term, bits)?
    } else {
        None
    };
    let at = operands.address(access.space)?;
    let b = operands.source(bits)?;
    let c = if *name == "cas" { operands.source(bits)? } else { Source::Value(0) };
    Ok(Op::Atomic { at, bytes: access.bytes, d, change, b, c })
}

fn change(name: &str, kind: &str) -> Option<fn(u64, u64, u64) -> u64> {
    Some(match (name, kind) {
        ("add", "u32" | "s32" | "u64") => |old, b, _| old.wrapping_add(b),
        ("add", "f32") => |old, b, _| u64::from((super::float::f32(old) + super::float::f32(b)).to_bits()),
        ("add", "f64") => |old, b, _| (f64::from_bits(old) + f64::from_bits(b)).to_bits(),
        ("min", "u32" | "u64") => |old, b, _| old.min(b),
        ("max", "u32" | "u64") => |old, b, _| old.max(b),
        ("min", "s32") => |old, b, _| (old as i32).min(b as i32) as u64,
        ("max", "s32") => |old, b, _| (old as i32).max(b as i32) as u64,
        ("and", "b32" | "b64") => |old, b, _| old & b,
        ("or", "b32" | "b64") => |old, b, _| old | b,
        ("xor", "b32" | "b64") => |old, b, _| old ^ b,
        ("exch", "b32" | "b64") => |_, b, _| b,
        ("cas", "b32" | "b64") => |old, b, c| if old == b { c } else { old },
        ("inc", "u32") => |old, b, _| if old >= b { 0 } else { old + 1 },
        ("dec", "u32") => |old, b, _| if old == 0 || old > b { b } else { old - 1 },
        _ => return None,
    })
}

/// `cp.async.cg.shared.global [to], [from], 16{, size}`.
fn copy_async(parts: &[&str], operands: &mut Operands<'_>) -> Result<Op, Refusal> {
    let hint = match parts {
        ["ca" | "cg", "shared" | "shared::cta", "global", rest @ ..] => rest.contains(&"L2::cache_hint"),
        _ => return Err("not supported".into()),
    };
    let to = operands.address(Space::Shared)?;
    let from = operands.address(Space::Global)?;
    let bytes = operands.constant()?;
    if !(bytes == 16 || parts[0] == "ca" && (bytes == 4 || bytes == 8)) {
        return Err(format!("{bytes} bytes cannot be copied at once"));
    }
    let size = if operands.left() > usize::from(hint) { Some(operands.source(32)?) } else { None };
    if hint {
        operands.source(64)?;
    }
    Ok(Op::CopyAsync { to, from, bytes, size })
}

/// The flags of a bulk copy after its direction.
fn flags(parts: &[&str], mechanism: &str) -> Result<(bool, bool), Refusal> {
    let (mut multicast, mut hint, mut found) = (false, false, false);
    for part in parts {
        match *part {
            "tile" => {}
            "multicast::cluster" => multicast = true,
            "L2::cache_hint" => hint = true,
            part if part == mechanism => found = true,
            other => return Err(format!("`.{other}` is not supported")),
        }
    }
    if found { Ok((multicast, hint)) } else { Err(format!("`.{mechanism}` is missing")) }
}

const COUNTED: &str = "mbarrier::complete_tx::bytes";

fn bulk(parts: &[&str], operands: &mut Operands<'_>) -> Result<Bulk, Refusal> {
    match parts {
        ["shared::cluster" | "shared::cta", from @ ("global" | "shared::cta"), rest @ ..] => {
            let (multicast, hint) = flags(rest, COUNTED)?;
            let to = operands.address(Space::ClusterShared)?;
            let from = operands.address(if *from == "global" { Space::Global } else { Space::Shared })?;
            let bytes = operands.source(32)?;
            let barrier = operands.address(Space::ClusterShared)?;
            let multicast = if multicast { Some(operands.source(16)?) } else { None };
            if hint {
                operands.source(64)?;
            }
            Ok(Bulk::Load { to, from, bytes, barrier, multicast })
        }
        ["global", "shared::cta", rest @ ..] => {
            let (_, hint) = flags(rest, "bulk_group")?;
            let to = operands.address(Space::Global)?;
            let from = operands.address(Space::Shared)?;
            let bytes = operands.source(32)?;
            if hint {
                operands.source(64)?;
            }
            Ok(Bulk::Store { to, from, bytes })
        }
        _ => Err("not supported".into()),
    }
}

fn tensor(parts: &[&str], operands: &mut Operands<'_>) -> Result<Bulk, Refusal> {
    let (rank, parts) = parts.split_first().ok_or("the rank is missing")?;
    let rank = ["1d", "2d", "3d", "4d", "5d"].iter().position(|one| one == rank).ok_or("no such rank")? + 1;
    let held = |coordinates: &[Source]| {
        if coordinates.len() == rank { Ok(()) } else { Err(format!("{} coordinates for rank {rank}", coordinates.len())) }
    };
    match parts {
        ["cta_group::2", "shared::cluster", "global", rest @ ..] | ["shared::cluster" | "shared::cta", "global", rest @ ..] => {
            let (multicast, hint) = flags(rest, COUNTED)?;
            let to = operands.address(Space::ClusterShared)?;
            let (Address { base: map, .. }, coordinates) = operands.place(Space::Generic)?;
            held(&coordinates)?;
            let barrier = operands.address(Space::ClusterShared)?;
            let multicast = if multicast { Some(operands.source(16)?) } else { None };
            if hint {
                operands.source(64)?;
            }
            Ok(Bulk::TensorLoad { to, map, coordinates, barrier, multicast, pair: parts[0] == "cta_group::2" })
        }
        ["global", "shared::cta", rest @ ..] => {
            let (_, hint) = flags(rest, "bulk_group")?;
            let (Address { base: map, .. }, coordinates) = operands.place(Space::Generic)?;
            held(&coordinates)?;
            let from = operands.address(Space::Shared)?;
            if hint {
                operands.source(64)?;
            }
            Ok(Bulk::TensorStore { map, coordinates, from })
        }
        _ => Err("not supported".into()),
    }
}
