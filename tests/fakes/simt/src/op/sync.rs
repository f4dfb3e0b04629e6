//! Barriers, warp-wide exchange and matrix instructions (PTX ISA, Parallel Synchronization; Warp-Level Matrix;
//! Asynchronous Warpgroup-Level Matrix Instructions).

use super::decode::{Operands, Refusal};
use super::{Element, MbarrierOp, Op, Product, ShuffleMode, Source, Space, VoteKind, Wgmma};
use crate::text::Term;

/// The instruction that is spelt so.
pub(super) fn find(parts: &[&str], operands: &mut Operands<'_>) -> Option<Result<Op, Refusal>> {
    Some(match parts {
        ["bar", "warp", "sync"] => operands.source(32).map(|members| Op::WarpSync { members }),
        ["barrier", "cluster", "arrive", ..] => Ok(Op::ClusterArrive),
        ["barrier", "cluster", "wait", ..] => Ok(Op::ClusterWait),
        ["bar" | "barrier", rest @ ..] => barrier(parts[0], rest, operands),
        ["mbarrier", kind, rest @ ..] => mbarrier(kind, rest, operands),
        ["fence", "proxy", "async", ..] => Ok(Op::FenceProxy),
        ["fence" | "membar" | "griddepcontrol", ..] => Ok(Op::Nothing),
        ["nanosleep", "u32"] => operands.source(32).map(|_| Op::Nothing),
        ["shfl", "sync", mode, "b32"] => shuffle(mode, operands),
        ["vote", "sync", kind, _] => vote(kind, operands),
        ["activemask", "b32"] => operands.register(32).map(|d| Op::ActiveMask { d }),
        ["elect", "sync"] => elect(operands),
        ["ldmatrix", "sync", "aligned", "m8n8", rest @ ..] => load_matrix(rest, operands),
        ["stmatrix", "sync", "aligned", "m8n8", rest @ ..] => store_matrix(rest, operands),
        ["mma", "sync", "aligned", rest @ ..] => multiply(rest, operands),
        ["wgmma", "fence", "sync", "aligned"] => Ok(Op::WgmmaFence),
        ["wgmma", "commit_group", "sync", "aligned"] => Ok(Op::WgmmaCommit),
        ["wgmma", "wait_group", "sync", "aligned"] => operands.constant().map(Op::WgmmaWait),
        ["wgmma", "mma_async", "sync", "aligned", rest @ ..] => wgmma(rest, operands),
        ["tcgen05", rest @ ..] => super::tensor::find(rest, operands),
        ["setmaxnreg", kind @ ("inc" | "dec"), "sync", "aligned", "u32"] => {
            operands.constant().map(|count| Op::SetRegisters { grow: *kind == "inc", count })
        }
        _ => return None,
    })
}

/// `bar.sync` is `barrier.sync.aligned`.
fn barrier(stem: &str, parts: &[&str], operands: &mut Operands<'_>) -> Result<Op, Refusal> {
    let parts: Vec<&str> = parts.iter().copied().filter(|part| *part != "cta").collect();
    let wait = match parts.first() {
        Some(&"sync") => true,
        Some(&"arrive") => false,
        _ => return Err("not supported".into()),
    };
    let aligned = stem == "bar" || parts.contains(&"aligned");
    let id = operands.source(32)?;
    let threads = if operands.left() > 0 { Some(operands.source(32)?) } else { None };
    Ok(Op::Barrier { wait, aligned, id, threads })
}

fn mbarrier(kind: &str, parts: &[&str], operands: &mut Operands<'_>) -> Result<Op, Refusal> {
    let space = if parts.contains(&"shared::cluster") {
        Space::ClusterShared
    } else if parts.contains(&"shared") || parts.contains(&"shared::cta") {
        Space::Shared
    } else {
        Space::Generic
    };
    let (at, op) = match kind {
        "init" => (operands.address(space)?, MbarrierOp::Init { count: operands.source(32)? }),
        "inval" => (operands.address(space)?, MbarrierOp::Invalidate),
        "arrive" => {
            let term = operands.next()?;
            let state = operands.target(term, 64)?;
            let at = operands.address(space)?;
            let number = if operands.left() > 0 { Some(operands.source(32)?) } else { None };
            let one = Source::Value(1);
            let op = match (parts.contains(&"expect_tx"), number) {
                (true, Some(bytes)) => MbarrierOp::Arrive { count: one, expect: Some(bytes), state },
                (true, None) => return Err("the bytes to expect are missing".into()),
                (false, count) if !parts.contains(&"noComplete") => {
                    MbarrierOp::Arrive { count: count.unwrap_or(one), expect: None, state }
                }
                _ => return Err("not supported".into()),
            };
            (at, op)
        }
        "expect_tx" => (operands.address(space)?, MbarrierOp::Expect { bytes: operands.source(32)? }),
        "complete_tx" => (operands.address(space)?, MbarrierOp::Complete { bytes: operands.source(32)? }),
        "test_wait" | "try_wait" => {
            let done = operands.register(1)?;
            let at = operands.address(space)?;
            let parity = parts.contains(&"parity");
            let phase = operands.source(if parity { 32 } else { 64 })?;
            if operands.left() > 0 {
                operands.source(32)?;
            }
            (at, MbarrierOp::Test { done, phase, parity, blocking: kind == "try_wait" })
        }
        _ => return Err("not supported".into()),
    };
    Ok(Op::Mbarrier { at, op })
}

fn shuffle(mode: &str, operands: &mut Operands<'_>) -> Result<Op, Refusal> {
    let mode = match mode {
        "up" => ShuffleMode::Up,
        "down" => ShuffleMode::Down,
        "bfly" => ShuffleMode::Butterfly,
        "idx" => ShuffleMode::Index,
        _ => return Err("no such mode".into()),
    };
    let (d, valid) = match operands.next()? {
        Term::Pair(d, valid) => (operands.target(d, 32)?, operands.target(valid, 1)?),
        term => (operands.target(term, 32)?, None),
    };
    let (a, b) = (operands.source(32)?, operands.source(32)?);
    Ok(Op::Shuffle { mode, d, valid, a, b, clamp: operands.source(32)?, members: operands.source(32)? })
}

fn vote(kind: &str, operands: &mut Operands<'_>) -> Result<Op, Refusal> {
    let kind = match kind {
        "all" => VoteKind::All,
        "any" => VoteKind::Any,
        "uni" => VoteKind::Uniform,
        "ballot" => VoteKind::Ballot,
        _ => return Err("no such vote".into()),
    };
    let d = operands.register(if kind == VoteKind::Ballot { 32 } else { 1 })?;
    let (a, negate) = operands.predicate()?;
    Ok(Op::Vote { kind, d, a, negate, members: operands.source(32)? })
}

fn elect(operands: &mut Operands<'_>) -> Result<Op, Refusal> {
    let Term::Pair(d, elected) = operands.next()? else {
        return Err("a pair of destinations is expected".into());
    };
    let d = operands.target(d, 32)?;
    let elected = operands.target(elected, 1)?.ok_or("the predicate may not be dropped")?;
    Ok(Op::Elect { d, elected, members: operands.source(32)? })
}

/// How many matrices, whether transposed, and where: the parts after the shape.
fn matrices(parts: &[&str]) -> Result<(usize, bool, Space), Refusal> {
    let (count, rest) = match parts {
        ["x1", rest @ ..] => (1, rest),
        ["x2", rest @ ..] => (2, rest),
        ["x4", rest @ ..] => (4, rest),
        _ => return Err("not supported".into()),
    };
    let (mut transpose, mut space) = (false, Space::Generic);
    for part in rest {
        match *part {
            "trans" => transpose = true,
            "shared" | "shared::cta" => space = Space::Shared,
            "b16" => {}
            other => return Err(format!("`.{other}` is not supported")),
        }
    }
    Ok((count, transpose, space))
}

fn load_matrix(parts: &[&str], operands: &mut Operands<'_>) -> Result<Op, Refusal> {
    let (count, transpose, space) = matrices(parts)?;
    let d = operands.registers(32)?;
    if d.len() != count {
        return Err(format!("{} registers for {count} matrices", d.len()));
    }
    Ok(Op::LoadMatrix { d, from: operands.address(space)?, transpose })
}

fn store_matrix(parts: &[&str], operands: &mut Operands<'_>) -> Result<Op, Refusal> {
    let (count, transpose, space) = matrices(parts)?;
    let to = operands.address(space)?;
    let from = operands.sources(32)?;
    if from.len() != count {
        return Err(format!("{} registers for {count} matrices", from.len()));
    }
    Ok(Op::StoreMatrix { to, from, transpose })
}

fn element(name: &str) -> Option<Element> {
    Some(match name {
        "f64" => Element::F64,
        "tf32" => Element::Tf32,
        "f32" => Element::F32,
        "f16" => Element::F16,
        "bf16" => Element::Bf16,
        "e4m3" => Element::E4m3,
        "e5m2" => Element::E5m2,
        "s8" => Element::S8,
        "u8" => Element::U8,
        "s32" => Element::S32,
        _ => return None,
    })
}

impl Element {
    /// Bits of one element.
    pub(crate) fn bits(self) -> u32 {
        match self {
            Self::F64 => 64,
            Self::Tf32 | Self::F32 | Self::S32 => 32,
            Self::F16 | Self::Bf16 => 16,
            Self::E4m3 | Self::E5m2 | Self::S8 | Self::U8 => 8,
        }
    }
}

/// `m16n8k16` as numbers.
fn shape(name: &str) -> Option<(u32, u32, u32)> {
    let (m, rest) = name.strip_prefix('m')?.split_once('n')?;
    let (n, k) = rest.split_once('k')?;
    Some((m.parse().ok()?, n.parse().ok()?, k.parse().ok()?))
}

/// `m16n8k16.row.col{.satfinite}.d.a.b.c`.
fn multiply(parts: &[&str], operands: &mut Operands<'_>) -> Result<Op, Refusal> {
    let saturate = parts.contains(&"satfinite");
    let parts: Vec<&str> = parts.iter().copied().filter(|part| *part != "satfinite").collect();
    let [name, "row", "col", d, a, b, c] = parts.as_slice() else {
        return Err("not supported".into());
    };
    let (m, n, k) = shape(name).ok_or("no such shape")?;
    let types = (element(d), element(a), element(b), element(c));
    let (Some(d), Some(a), Some(b), Some(c)) = types else {
        return Err("no such type".into());
    };
    let product = Product { m, n, k, a, b, d, saturate };
    if c != d || !is_mma(product) {
        return Err("this shape is not supported for these types".into());
    }
    // Elements of each operand a lane holds, packed into registers of 32 bits, or 64 for fp64.
    let packed = |rows: u32, columns: u32, bits: u32| (rows * columns * bits / 32 / bits.max(32)) as usize;
    let width = if d == Element::F64 { 64 } else { 32 };
    let (found, a, b, c) =
        (operands.registers(width)?, operands.sources(width)?, operands.sources(width)?, operands.sources(width)?);
    let expected = (packed(m, n, product.d.bits()), packed(m, k, product.a.bits()), packed(k, n, product.b.bits()));
    if (found.len(), a.len(), b.len()) != expected || c.len() != found.len() {
        return Err(format!("{expected:?} registers of D, A and B are expected"));
    }
    Ok(Op::Multiply { product, d: found, a, b, c })
}

fn is_mma(product: Product) -> bool {
    let Product { m, n, k, a, b, d, saturate } = product;
    let same = a == b;
    match (m, n, k) {
        (8, 8, 4) | (16, 8, 4 | 8 | 16) if a == Element::F64 => same && d == Element::F64 && !saturate,
        (16, 8, 4 | 8) if a == Element::Tf32 => same && d == Element::F32,
        (16, 8, 8 | 16) if a == Element::Bf16 => same && d == Element::F32,
        (16, 8, 8 | 16) if a == Element::F16 => same && matches!(d, Element::F32 | Element::F16),
        (16, 8, 32) if matches!(a, Element::E4m3 | Element::E5m2) => {
            matches!(b, Element::E4m3 | Element::E5m2) && d == Element::F32
        }
        (8, 8, 16) | (16, 8, 16 | 32) if matches!(a, Element::S8 | Element::U8) => {
            matches!(b, Element::S8 | Element::U8) && d == Element::S32
        }
        _ => false,
    }
}

/// `m64n256k16.f32.bf16.bf16`.
fn wgmma(parts: &[&str], operands: &mut Operands<'_>) -> Result<Op, Refusal> {
    let saturate = parts.contains(&"satfinite");
    let parts: Vec<&str> = parts.iter().copied().filter(|part| *part != "satfinite").collect();
    let [name, d, a, b] = parts.as_slice() else {
        return Err("not supported".into());
    };
    let (m, n, k) = shape(name).ok_or("no such shape")?;
    let (Some(d), Some(a), Some(b)) = (element(d), element(a), element(b)) else {
        return Err("no such type".into());
    };
    let product = Product { m, n, k, a, b, d, saturate };
    if !is_wgmma(product) {
        return Err("this shape is not supported for these types".into());
    }
    let registers = operands.registers(32)?;
    // 128 threads share m x n elements.
    let expected = (n * d.bits().min(32) / 64) as usize;
    if registers.len() != expected {
        return Err(format!("{} registers of D where {expected} are expected", registers.len()));
    }
    let first = operands.next()?;
    let a_source = match first {
        Term::Vector(terms) => {
            let each = terms.iter().map(|term| operands.target(term, 32)).collect::<Result<Option<Vec<u32>>, _>>()?;
            Err(each.filter(|registers| registers.len() == 4).ok_or("four registers of A are expected")?)
        }
        term => Ok(operands.value(term, 64)?),
    };
    let b_source = operands.source(64)?;
    let accumulate = match operands.next()? {
        Term::Integer(value) => Source::Value(u64::from(*value != 0)),
        term => operands.value(term, 1)?,
    };
    let mut found = Wgmma {
        product,
        d: registers,
        a: a_source,
        b: b_source,
        accumulate,
        negate_a: false,
        negate_b: false,
        transpose_a: false,
        transpose_b: false,
    };
    if d != Element::S32 {
        found.negate_a = sign(operands)?;
        found.negate_b = sign(operands)?;
    }
    if matches!(a, Element::F16 | Element::Bf16) {
        if found.a.is_ok() {
            found.transpose_a = operands.constant()? != 0;
        }
        found.transpose_b = operands.constant()? != 0;
    }
    Ok(Op::Wgmma(Box::new(found)))
}

/// 1 or -1.
fn sign(operands: &mut Operands<'_>) -> Result<bool, Refusal> {
    match operands.next()? {
        Term::Integer(1) => Ok(false),
        Term::Integer(u64::MAX) => Ok(true),
        _ => Err("a scale of 1 or -1 is expected".into()),
    }
}

fn is_wgmma(product: Product) -> bool {
    let Product { m, n, k, a, b, d, .. } = product;
    let step = if d == Element::S32 && n > 32 { 16 } else { 8 };
    let same = a == b;
    m == 64
        && (8..=256).contains(&n)
        && n % step == 0
        && match a {
            Element::Tf32 => k == 8 && same && d == Element::F32,
            Element::Bf16 => k == 16 && same && d == Element::F32,
            Element::F16 => k == 16 && same && matches!(d, Element::F32 | Element::F16),
            Element::E4m3 | Element::E5m2 => {
                k == 32 && matches!(b, Element::E4m3 | Element::E5m2) && matches!(d, Element::F32 | Element::F16)
            }
            Element::S8 | Element::U8 => k == 32 && matches!(b, Element::S8 | Element::U8) && d == Element::S32,
            _ => false,
        }
}
