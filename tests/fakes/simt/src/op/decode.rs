//! From statements to instructions: the opcode is looked up, each operand is held to the width that it takes.

use super::convert::Scalar;
use super::uses::{Uses, uses};
use super::{Address, Instruction, Lanewise, Op, Source, Space, Special, arithmetic, bits, compare, convert, float, memory, sync};
use crate::text::{Body, Class, ParseError, Statement, Term};

/// Lane by lane what the expression says of its sources.
macro_rules! lanewise {
    ($($source:ident),+ => $value:expr) => {{
        fn run(sources: [&crate::op::Lanes; 4], mask: u32, d: &mut crate::op::Lanes) {
            let mut number = 0..4;
            $(let $source = sources[number.next().unwrap_or(3)];)+
            if mask == u32::MAX {
                for lane in 0..32 {
                    $(let $source = $source[lane];)+
                    d[lane] = $value;
                }
                return;
            }
            for lane in (0..32).filter(|lane| mask >> lane & 1 == 1) {
                $(let $source = $source[lane];)+
                d[lane] = $value;
            }
        }
        run as crate::op::Lanewise
    }};
}
pub(super) use lanewise;

/// A lanewise instruction: what it does, and how many bits its destination and sources have.
pub(super) struct Row {
    pub run: Lanewise,
    pub d: u32,
    pub s: Vec<u32>,
    pub flops: u32,
}

impl Row {
    /// All of one width.
    pub(super) fn uniform(run: Lanewise, width: u32, sources: usize) -> Self {
        Self { run, d: width, s: vec![width; sources], flops: 0 }
    }
}

/// Why a statement cannot be executed.
pub(super) type Refusal = String;

/// A statement's operands, taken from the front.
pub(super) struct Operands<'a> {
    registers: &'a [Class],
    rest: std::slice::Iter<'a, Term>,
}

impl<'a> Operands<'a> {
    pub(super) fn next(&mut self) -> Result<&'a Term, Refusal> {
        self.rest.next().ok_or_else(|| "too few operands".into())
    }

    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn end(&self) -> Result<(), Refusal> {
        if self.rest.len() == 0 { Ok(()) } else { Err("too many operands".into()) }
    }

    pub(super) fn bits_of(&self, register: u32) -> u32 {
        match self.registers[register as usize] {
            Class::Predicate => 1,
            Class::Bits(bits) => bits,
        }
    }

    /// A register of exactly `bits`; `None` for `_`.
    pub(super) fn target(&self, term: &Term, bits: u32) -> Result<Option<u32>, Refusal> {
        match term {
            Term::Sink => Ok(None),
            Term::Register(register) if self.bits_of(*register) == bits => Ok(Some(*register)),
            Term::Register(register) => {
                Err(format!("the destination has {} bits where {bits} are written", self.bits_of(*register)))
            }
            _ => Err("the destination is no register".into()),
        }
    }

    pub(super) fn register(&mut self, bits: u32) -> Result<u32, Refusal> {
        let term = self.next()?;
        self.target(term, bits)?.ok_or_else(|| "the result may not be dropped".into())
    }

    pub(super) fn source(&mut self, bits: u32) -> Result<Source, Refusal> {
        let term = self.next()?;
        self.value(term, bits)
    }

    /// A value of `bits` bits.
    pub(super) fn value(&self, term: &Term, bits: u32) -> Result<Source, Refusal> {
        let kept = |value: u64| value & ones(bits);
        Ok(match term {
            Term::Register(register) if self.bits_of(*register) == bits => Source::Register(*register),
            Term::Register(register) => {
                return Err(format!("an operand has {} bits where {bits} are read", self.bits_of(*register)));
            }
            Term::Integer(value) => Source::Value(kept(*value)),
            Term::F32(value) if bits == 32 => Source::Value(u64::from(*value)),
            Term::F64(value) if bits == 64 => Source::Value(*value),
            Term::F64(value) if bits == 32 => Source::Value(u64::from((f64::from_bits(*value) as f32).to_bits())),
            Term::Shared(offset) => Source::Shared(*offset),
            Term::DynamicShared => Source::DynamicShared,
            Term::Parameter(offset) => Source::Parameter(*offset),
            Term::Special(name) => Source::Special(special(name)?),
            other => return Err(format!("{other:?} is no value of {bits} bits")),
        })
    }

    /// Registers of `bits` each, one or a vector of them.
    pub(super) fn registers(&mut self, bits: u32) -> Result<Vec<u32>, Refusal> {
        let all = self.targets(bits)?;
        all.into_iter().map(|one| one.ok_or_else(|| "the result may not be dropped".into())).collect()
    }

    /// As `registers`, each of them possibly `_`.
    pub(super) fn targets(&mut self, bits: u32) -> Result<Vec<Option<u32>>, Refusal> {
        match self.next()? {
            Term::Vector(terms) => terms.iter().map(|term| self.target(term, bits)).collect(),
            term => Ok(vec![self.target(term, bits)?]),
        }
    }

    /// Values of `bits` each, one or a vector of them.
    pub(super) fn sources(&mut self, bits: u32) -> Result<Vec<Source>, Refusal> {
        match self.next()? {
            Term::Vector(terms) => terms.iter().map(|term| self.value(term, bits)).collect(),
            term => Ok(vec![self.value(term, bits)?]),
        }
    }

    pub(super) fn address(&mut self, space: Space) -> Result<Address, Refusal> {
        Ok(self.place(space)?.0)
    }

    /// An address and, for a tensor map, the coordinates after it.
    pub(super) fn place(&mut self, space: Space) -> Result<(Address, Vec<Source>), Refusal> {
        let Term::Address { base, offset, coordinates } = self.next()? else {
            return Err("an address in brackets is expected".into());
        };
        // Shared addresses may be held in 32 or in 64 bits, those of tensor memory have 32.
        let base = match **base {
            Term::Register(register)
                if matches!(space, Space::Shared | Space::ClusterShared | Space::Tensor) && self.bits_of(register) == 32 =>
            {
                Source::Register(register)
            }
            ref other => self.value(other, 64)?,
        };
        let coordinates = coordinates.iter().map(|term| self.value(term, 32)).collect::<Result<_, _>>()?;
        Ok((Address { space, base, offset: *offset }, coordinates))
    }

    /// A predicate, perhaps inverted.
    pub(super) fn predicate(&mut self) -> Result<(Source, bool), Refusal> {
        match self.next()? {
            Term::Not(term) => Ok((self.value(term, 1)?, true)),
            term => Ok((self.value(term, 1)?, false)),
        }
    }

    pub(super) fn constant(&mut self) -> Result<u32, Refusal> {
        match self.next()? {
            Term::Integer(value) => u32::try_from(*value).map_err(|_| format!("{value} is no small number")),
            _ => Err("a constant is expected".into()),
        }
    }
}

fn special(name: &str) -> Result<Special, Refusal> {
    let (stem, axis) = match name.rsplit_once('.') {
        Some((stem, axis)) => (stem, ["x", "y", "z"].iter().position(|one| *one == axis)),
        None => (name, None),
    };
    Ok(match (stem, axis) {
        ("%tid", Some(axis)) => Special::Thread(axis),
        ("%ntid", Some(axis)) => Special::BlockShape(axis),
        ("%ctaid", Some(axis)) => Special::Block(axis),
        ("%nctaid", Some(axis)) => Special::GridShape(axis),
        ("%cluster_ctaid", Some(axis)) => Special::BlockInCluster(axis),
        ("%cluster_nctaid", Some(axis)) => Special::ClusterShape(axis),
        ("%clusterid", Some(axis)) => Special::Cluster(axis),
        ("%nclusterid", Some(axis)) => Special::Clusters(axis),
        ("%cluster_ctarank", None) => Special::ClusterRank,
        ("%cluster_nctarank", None) => Special::ClusterBlocks,
        ("%laneid", None) => Special::Lane,
        ("%warpid", None) => Special::Warp,
        ("%nwarpid", None) => Special::Warps,
        ("%smid", None) => Special::Multiprocessor,
        ("%nsmid", None) => Special::Multiprocessors,
        ("%clock" | "%clock64", None) => Special::Clock,
        ("%globaltimer", None) => Special::GlobalTimer,
        ("%lanemask_eq", None) => Special::LaneMask(0),
        ("%lanemask_lt", None) => Special::LaneMask(1),
        ("%lanemask_le", None) => Special::LaneMask(2),
        ("%lanemask_gt", None) => Special::LaneMask(3),
        ("%lanemask_ge", None) => Special::LaneMask(4),
        ("%dynamic_smem_size", None) => Special::DynamicSharedBytes,
        ("%gridid", None) => Special::GridId,
        _ => return Err(format!("the special register {name} is not supported")),
    })
}

/// The body as instructions.
pub(crate) fn program(body: &Body) -> Result<Vec<Instruction>, ParseError> {
    body.statements.iter().map(|statement| instruction(body, statement)).collect()
}

fn instruction(body: &Body, statement: &Statement) -> Result<Instruction, ParseError> {
    let mut operands = Operands { registers: &body.registers, rest: statement.operands.iter() };
    let parts: Vec<&str> = statement.opcode.split('.').collect();
    let decoded = operation(&parts, &mut operands).and_then(|op| operands.end().map(|()| op));
    let op = decoded.map_err(|why| ParseError::new(statement.line, format!("`{}`: {why}", statement.opcode)))?;
    let moves = parts[0] == "mov" && matches!(op, Op::Lanewise { .. });
    Ok(Instruction {
        uses: Uses { moves, ..uses(&op) },
        op,
        guard: statement.guard,
        line: statement.line,
        opcode: statement.opcode.clone(),
    })
}

fn operation(parts: &[&str], operands: &mut Operands<'_>) -> Result<Op, Refusal> {
    match parts {
        ["bra"] | ["bra", "uni"] => match operands.next()? {
            Term::Label(target) => Ok(Op::Branch(*target)),
            _ => Err("a label is expected".into()),
        },
        ["ret" | "exit"] | ["ret", "uni"] => Ok(Op::Exit),
        ["trap"] => Ok(Op::Trap),
        ["mov", kind @ ("b16" | "b32" | "b64" | "b128")] if is_packing(operands) => packing(kind, operands),
        ["mov", "f16x2" | "bf16x2"] => Err("not supported".into()),
        ["setp", ..] => comparison(&parts[1..], operands),
        ["cvt", rest @ ..] => conversion(rest, operands),
        ["cvta" | "mapa", ..] => memory::conversion(parts, operands),
        _ => {
            let row = arithmetic::find(parts).or_else(|| bits::find(parts)).or_else(|| float::find(parts));
            match row {
                Some(row) => lanes(&row, operands),
                None => match memory::find(parts, operands).or_else(|| sync::find(parts, operands)) {
                    Some(found) => found,
                    None => Err("this instruction is not supported".into()),
                },
            }
        }
    }
}

fn lanes(row: &Row, operands: &mut Operands<'_>) -> Result<Op, Refusal> {
    let d = operands.register(row.d)?;
    let mut s = [Source::Value(0); 4];
    for (source, bits) in s.iter_mut().zip(&row.s) {
        *source = operands.source(*bits)?;
    }
    Ok(Op::Lanewise { run: row.run, d, keep: ones(row.d), s, flops: row.flops })
}

fn is_packing(operands: &Operands<'_>) -> bool {
    operands.rest.as_slice().iter().any(|term| matches!(term, Term::Vector(_)))
}

/// `mov.b64 %rd, {%r1, %r2}` and its inverse.
fn packing(kind: &str, operands: &mut Operands<'_>) -> Result<Op, Refusal> {
    let whole: u32 = kind[1..].parse().map_err(|_| "no such width")?;
    if whole == 128 {
        return Err("128-bit values are not supported".into());
    }
    let each = |count: usize| match whole.checked_div(count as u32) {
        Some(bits) if bits * count as u32 == whole && bits >= 8 => Ok(bits),
        _ => Err(format!("{count} parts do not make up {whole} bits")),
    };
    match operands.rest.as_slice() {
        [Term::Vector(parts), _] => {
            let bits = each(parts.len())?;
            let parts = operands.targets(bits)?;
            Ok(Op::Unpack { parts, a: operands.source(whole)?, bits })
        }
        [_, Term::Vector(parts)] => {
            let bits = each(parts.len())?;
            let d = operands.register(whole)?;
            Ok(Op::Pack { d, parts: operands.sources(bits)?, bits })
        }
        _ => Err("one side is a vector, the other is not".into()),
    }
}

/// `setp.lt.and.s32 p|q, a, b, c`.
fn comparison(parts: &[&str], operands: &mut Operands<'_>) -> Result<Op, Refusal> {
    let (name, joined, kind) = match parts {
        [name, kind] => (name, None, kind),
        [name, "and", kind] => (name, Some(super::Join::And), kind),
        [name, "or", kind] => (name, Some(super::Join::Or), kind),
        [name, "xor", kind] => (name, Some(super::Join::Xor), kind),
        _ => return Err("not supported".into()),
    };
    let test = compare::test(name, kind).ok_or("not supported")?;
    let bits = bits::bits(kind).ok_or("not supported")?;
    let (d, opposite) = match operands.next()? {
        Term::Pair(d, opposite) => (operands.target(d, 1)?, operands.target(opposite, 1)?),
        term => (operands.target(term, 1)?, None),
    };
    let (a, b) = (operands.source(bits)?, operands.source(bits)?);
    let join = match joined {
        None => None,
        Some(join) => {
            let (c, negate) = operands.predicate()?;
            Some((join, c, negate))
        }
    };
    Ok(Op::Compare { test, d, opposite, a, b, join })
}

/// Sources and destinations of a conversion may be wider than their types.
fn conversion(parts: &[&str], operands: &mut Operands<'_>) -> Result<Op, Refusal> {
    let found = convert::find(parts).ok_or("this conversion is not supported")?;
    let wide = |operands: &mut Operands<'_>, scalar: Scalar| -> Result<Source, Refusal> {
        match operands.next()? {
            Term::Register(register) if operands.bits_of(*register) > scalar.bits() => Ok(Source::Register(*register)),
            term => operands.value(term, scalar.bits()),
        }
    };
    let d = match operands.next()? {
        Term::Register(register) if operands.bits_of(*register) >= found.to.bits() => *register,
        _ => return Err(format!("the destination has fewer than {} bits", found.to.bits())),
    };
    let width = operands.bits_of(d);
    let a = wide(operands, found.from)?;
    let b = if found.to.is_pair() && !found.from.is_pair() { Some(wide(operands, found.from)?) } else { None };
    Ok(Op::Convert { conversion: found, d, width, a, b })
}

/// So many low bits.
pub(crate) fn ones(bits: u32) -> u64 {
    if bits >= 64 { u64::MAX } else { (1 << bits) - 1 }
}
