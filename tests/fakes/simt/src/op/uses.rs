//! Which registers an instruction reads and writes.

use super::{Bulk, MbarrierOp, Op, Source};

/// Registers by number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Uses {
    pub reads: Vec<u32>,
    pub writes: Vec<u32>,
    /// Only a copy from register to register: what was never written may be copied, and stays unwritten.
    pub moves: bool,
}

impl Uses {
    fn read(mut self, sources: &[Source]) -> Self {
        self.reads.extend(sources.iter().filter_map(|source| match source {
            Source::Register(register) => Some(*register),
            _ => None,
        }));
        self
    }

    fn maybe(self, source: Option<Source>) -> Self {
        self.read(source.as_slice())
    }

    fn write(mut self, registers: impl IntoIterator<Item = u32>) -> Self {
        self.writes.extend(registers);
        self
    }
}

/// What an operation reads and writes. Accumulators of wgmma are not listed: whether they are read is known only when it runs.
pub(super) fn uses(op: &Op) -> Uses {
    let none = Uses::default();
    match op {
        Op::Lanewise { d, s, .. } => none.read(s).write([*d]),
        Op::Convert { d, a, b, .. } => none.read(&[*a]).maybe(*b).write([*d]),
        Op::Compare { d, opposite, a, b, join, .. } => {
            none.read(&[*a, *b]).maybe(join.map(|(_, c, _)| c)).write(d.iter().chain(opposite).copied())
        }
        Op::Pack { d, parts, .. } => none.read(parts).write([*d]),
        Op::Unpack { parts, a, .. } => none.read(&[*a]).write(parts.iter().flatten().copied()),
        Op::Load { from, to, .. } => none.read(&[from.base]).write(to.iter().flatten().copied()),
        Op::Store { to, from, .. } | Op::StoreMatrix { to, from, .. } => none.read(&[to.base]).read(from),
        Op::Atomic { at, d, b, c, .. } => none.read(&[at.base, *b, *c]).write(*d),
        Op::Shuffle { d, valid, a, b, clamp, members, .. } => {
            none.read(&[*a, *b, *clamp, *members]).write(d.iter().chain(valid).copied())
        }
        Op::Vote { d, a, members, .. } => none.read(&[*a, *members]).write([*d]),
        Op::Elect { d, elected, members } => none.read(&[*members]).write(d.iter().chain([elected]).copied()),
        Op::WarpSync { members } => none.read(&[*members]),
        Op::ActiveMask { d } => none.write([*d]),
        Op::Barrier { id, threads, .. } => none.read(&[*id]).maybe(*threads),
        Op::Mbarrier { at, op } => mbarrier(none.read(&[at.base]), op),
        Op::CopyAsync { to, from, size, .. } => none.read(&[to.base, from.base]).maybe(*size),
        Op::Bulk(bulk) => bulk_uses(none, bulk),
        Op::LoadMatrix { d, from, .. } => none.read(&[from.base]).write(d.iter().copied()),
        Op::Multiply { d, a, b, c, .. } => none.read(a).read(b).read(c).write(d.iter().copied()),
        Op::Wgmma(wgmma) => {
            let mut found = none.read(&[wgmma.b, wgmma.accumulate]).write(wgmma.d.iter().copied());
            match &wgmma.a {
                Ok(descriptor) => found = found.read(&[*descriptor]),
                Err(registers) => found.reads.extend(registers),
            }
            found
        }
        Op::Tensor(tensor, _) => {
            let (reads, writes) = tensor.uses();
            none.read(&reads).write(writes)
        }
        _ => none,
    }
}

fn mbarrier(none: Uses, op: &MbarrierOp) -> Uses {
    match op {
        MbarrierOp::Init { count } => none.read(&[*count]),
        MbarrierOp::Invalidate => none,
        MbarrierOp::Arrive { count, expect, state } => none.read(&[*count]).maybe(*expect).write(*state),
        MbarrierOp::Expect { bytes } | MbarrierOp::Complete { bytes } => none.read(&[*bytes]),
        MbarrierOp::Test { done, phase, .. } => none.read(&[*phase]).write([*done]),
    }
}

fn bulk_uses(none: Uses, bulk: &Bulk) -> Uses {
    match bulk {
        Bulk::Load { to, from, bytes, barrier, multicast } => {
            none.read(&[to.base, from.base, *bytes, barrier.base]).maybe(*multicast)
        }
        Bulk::Store { to, from, bytes } => none.read(&[to.base, from.base, *bytes]),
        Bulk::TensorLoad { to, map, coordinates, barrier, multicast, .. } => {
            none.read(&[to.base, *map, barrier.base]).read(coordinates).maybe(*multicast)
        }
        Bulk::TensorStore { map, coordinates, from } => none.read(&[*map, from.base]).read(coordinates),
    }
}
