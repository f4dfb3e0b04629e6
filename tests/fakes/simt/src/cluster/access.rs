//! Loads, stores and atomics, and what every access to shared memory is held to.

use super::Cluster;
use super::step::Flow;
use crate::Fault;
use crate::address::{PARAMETER_WINDOW, RANK_SHIFT, SHARED_WINDOW};
use crate::op::{Address, Op, Space, ones};
use crate::order::{Actor, Conflict};
use crate::warp::lanes;

/// Beginning of global addresses.
const GLOBAL: u64 = 0x7_0000_0000_0000;

/// What an address means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Global(u64),
    /// A byte of a block, by rank and offset.
    Shared(usize, u32),
    Parameter(u32),
}

impl Cluster<'_> {
    /// The addresses of all lanes.
    pub(super) fn addresses(&self, warp: usize, address: &Address) -> [u64; 32] {
        self.value(warp, address.base).map(|base| base.wrapping_add(address.offset as u64))
    }

    /// Where `bytes` at an address are.
    pub(super) fn place(&self, warp: usize, space: Space, address: u64, bytes: u32) -> Result<Place, Fault> {
        if !address.is_multiple_of(u64::from(bytes.max(1))) && bytes.is_power_of_two() && bytes <= 32 {
            return Err(Fault::Broken(format!("{bytes} bytes at {address:#x}, which is no multiple of them")));
        }
        match space {
            Space::Parameter => Ok(Place::Parameter(address as u32)),
            Space::Global | Space::Generic if address >= GLOBAL => Ok(Place::Global(address)),
            Space::Shared | Space::ClusterShared => {
                let (block, offset) = self.shared_place(address, bytes)?;
                if space == Space::Shared && block != self.warps[warp].block {
                    return Err(Fault::Broken(format!("shared address {address:#x} belongs to block {block} of the cluster")));
                }
                Ok(Place::Shared(block, offset))
            }
            Space::Generic if address >= PARAMETER_WINDOW => Ok(Place::Parameter((address - PARAMETER_WINDOW) as u32)),
            Space::Generic if address >= SHARED_WINDOW => {
                self.shared_place(address - SHARED_WINDOW, bytes).map(|(block, offset)| Place::Shared(block, offset))
            }
            Space::Tensor => Err(Fault::Broken("tensor memory is no place for this".into())),
            Space::Global | Space::Generic => Err(Fault::IllegalAddress { address, bytes: u64::from(bytes), what: "accessing" }),
        }
    }

    /// The block, by rank, and the offset there.
    pub(super) fn shared_place(&self, address: u64, bytes: u32) -> Result<(usize, u32), Fault> {
        let rank = (address >> RANK_SHIFT) as usize;
        let Some(block) = self.blocks.get(rank) else {
            return Err(Fault::Broken(format!("shared address {address:#x} belongs to no block of the cluster")));
        };
        if block.running == 0 {
            return Err(Fault::Broken(format!("shared address {address:#x} belongs to block {rank}, which has ended")));
        }
        let offset = address.wrapping_sub(u64::from(block.base));
        let length = block.bytes.len() as u64;
        if offset.checked_add(u64::from(bytes)).is_none_or(|end| end > length) {
            let begin = block.base;
            return Err(Fault::Broken(format!("{bytes} bytes at shared address {address:#x}, beyond the {length} at {begin:#x}")));
        }
        Ok((rank, offset as u32))
    }

    /// Reads up to eight bytes as a number.
    fn read(&mut self, warp: usize, place: Place, bytes: u32, ordered: bool) -> Result<u64, Fault> {
        let mut value = [0; 8];
        let length = bytes as usize;
        match place {
            Place::Global(address) => {
                value[..length].copy_from_slice(self.memory.bytes(address, length)?);
                self.counters.global_read += u64::from(bytes);
            }
            Place::Parameter(offset) => {
                let begin = offset as usize;
                let from = self.parameters.get(begin..begin + length);
                value[..length].copy_from_slice(from.ok_or_else(|| Fault::Broken("a read beyond the parameters".into()))?);
            }
            Place::Shared(block, offset) => {
                if !ordered {
                    self.note_read(block, offset, bytes, &self.order.actor(warp).owned())?;
                }
                value[..length].copy_from_slice(&self.blocks[block].bytes[offset as usize..][..length]);
            }
        }
        Ok(u64::from_le_bytes(value))
    }

    fn write(&mut self, warp: usize, place: Place, bytes: u32, value: u64, ordered: bool) -> Result<(), Fault> {
        let data = &value.to_le_bytes()[..bytes as usize];
        match place {
            Place::Global(address) => {
                self.memory.bytes_mut(address, data.len())?.copy_from_slice(data);
                self.counters.global_written += u64::from(bytes);
            }
            Place::Parameter(_) => return Err(Fault::Broken("a store to the parameters".into())),
            Place::Shared(block, offset) => {
                if !ordered {
                    self.note_write(block, offset, bytes, &self.order.actor(warp).owned())?;
                }
                self.generic_write(warp, block, offset, data);
            }
        }
        Ok(())
    }

    /// Ordinary stores are not seen by asynchronous accesses until a proxy fence.
    pub(super) fn generic_write(&mut self, warp: usize, block: usize, offset: u32, data: &[u8]) {
        let mark = warp as u16 + 1;
        let target = &mut self.blocks[block];
        target.bytes[offset as usize..][..data.len()].copy_from_slice(data);
        for granule in offset / 16..=(offset + data.len() as u32 - 1) / 16 {
            if target.unfenced[granule as usize] != mark {
                target.unfenced[granule as usize] = mark;
                self.warps[warp].unfenced.push((block, granule));
            }
        }
    }

    /// Holds a read of shared memory against the writes before it. Accesses of less than a word share its history and are let be.
    pub(super) fn note_read(&mut self, block: usize, offset: u32, bytes: u32, actor: &OwnedActor) -> Result<(), Fault> {
        if !self.options.races || bytes < 4 {
            return Ok(());
        }
        for word in offset / 4..(offset + bytes).div_ceil(4) {
            if let Some(conflict) = self.blocks[block].shadow.read(word as usize, &actor.borrowed()) {
                return Err(self.race("reads", block, word, actor, &conflict));
            }
        }
        Ok(())
    }

    pub(super) fn note_write(&mut self, block: usize, offset: u32, bytes: u32, actor: &OwnedActor) -> Result<(), Fault> {
        if let Some(barrier) = self.blocks[block].mbarrier_within(offset, bytes) {
            return Err(Fault::Broken(format!("a write to byte {offset:#x}, which is part of the mbarrier at {barrier:#x}")));
        }
        if !self.options.races || bytes < 4 {
            return Ok(());
        }
        for word in offset / 4..(offset + bytes).div_ceil(4) {
            if let Some(conflict) = self.blocks[block].shadow.write(word as usize, &actor.borrowed()) {
                return Err(self.race("writes", block, word, actor, &conflict));
            }
        }
        Ok(())
    }

    fn race(&self, verb: &str, block: usize, word: u32, actor: &OwnedActor, conflict: &Conflict) -> Fault {
        let (this, other) = (self.order.name(actor.number), self.order.name(conflict.other));
        let did = if conflict.wrote { "wrote" } else { "read" };
        Fault::Race(format!(
            "{this} {verb} shared byte {:#x} of block {block} that {other} {did}, and nothing orders the two",
            word * 4
        ))
    }

    pub(super) fn access(&mut self, warp: usize, mask: u32, op: &Op) -> Result<Flow, Fault> {
        match op {
            Op::Load { from, bytes, signed, to, ordered } => {
                let addresses = self.addresses(warp, from);
                self.count_banks(from.space, &addresses, mask, bytes * to.len() as u32);
                for lane in lanes(mask) {
                    let place = self.place(warp, from.space, addresses[lane], bytes * to.len() as u32)?;
                    for (number, register) in to.iter().enumerate() {
                        let value = self.read(warp, place.plus(number as u32 * bytes), *bytes, *ordered)?;
                        let value = if *signed { extended(value, *bytes) } else { value };
                        let width = register.map_or(64, |register| self.width(register));
                        self.set(warp, *register, lane, value & ones(width));
                    }
                }
            }
            Op::Store { to, bytes, from, ordered } => {
                let addresses = self.addresses(warp, to);
                let values: Vec<_> = from.iter().map(|source| self.value(warp, *source)).collect();
                self.count_banks(to.space, &addresses, mask, bytes * from.len() as u32);
                for lane in lanes(mask) {
                    let place = self.place(warp, to.space, addresses[lane], bytes * from.len() as u32)?;
                    for (number, value) in values.iter().enumerate() {
                        self.write(warp, place.plus(number as u32 * bytes), *bytes, value[lane], *ordered)?;
                    }
                }
            }
            Op::Atomic { at, bytes, d, change, b, c } => {
                let addresses = self.addresses(warp, at);
                let (b, c) = (self.value(warp, *b), self.value(warp, *c));
                for lane in lanes(mask) {
                    let place = self.place(warp, at.space, addresses[lane], *bytes)?;
                    let old = self.read(warp, place, *bytes, true)?;
                    let new = change(old, b[lane], c[lane]) & ones(bytes * 8);
                    self.write(warp, place, *bytes, new, true)?;
                    self.set(warp, *d, lane, old);
                }
            }
            _ => {}
        }
        Ok(Flow::Next)
    }

    fn width(&self, register: u32) -> u32 {
        match self.kernel.registers[register as usize] {
            crate::text::Class::Predicate => 1,
            crate::text::Class::Bits(bits) => bits,
        }
    }

    /// Counts turns of the banks: a turn serves 128 bytes, so wide accesses are served a part of the warp at a time.
    fn count_banks(&mut self, space: Space, addresses: &[u64; 32], mask: u32, bytes: u32) {
        if !matches!(space, Space::Shared | Space::ClusterShared) {
            return;
        }
        let together = (128 / bytes.max(4)).min(32) as usize;
        for part in (0..32).step_by(together) {
            let active: Vec<u64> =
                lanes(mask).filter(|lane| (part..part + together).contains(lane)).map(|lane| addresses[lane]).collect();
            if !active.is_empty() {
                self.counters.bank_turns += bank_turns(&active, bytes);
                self.counters.bank_turns_ideal += 1;
            }
        }
    }
}

/// Turns of 32 banks of 4 bytes that serve these accesses: different words of one bank wait for each other.
pub(super) fn bank_turns(addresses: &[u64], bytes: u32) -> u64 {
    let mut words: Vec<u64> = addresses.iter().flat_map(|address| address / 4..(address + u64::from(bytes)).div_ceil(4)).collect();
    words.sort_unstable();
    words.dedup();
    let mut banks = [0_u64; 32];
    for word in words {
        banks[(word % 32) as usize] += 1;
    }
    banks.into_iter().max().unwrap_or(0)
}

fn extended(value: u64, bytes: u32) -> u64 {
    let unused = 64 - bytes * 8;
    ((value << unused) as i64 >> unused) as u64
}

impl Place {
    pub(super) fn plus(self, bytes: u32) -> Self {
        match self {
            Self::Global(address) => Self::Global(address + u64::from(bytes)),
            Self::Shared(block, offset) => Self::Shared(block, offset + bytes),
            Self::Parameter(offset) => Self::Parameter(offset + bytes),
        }
    }
}

/// An actor apart from the clocks it was taken from.
pub(super) struct OwnedActor {
    pub number: usize,
    step: u32,
    knows: Vec<u32>,
}

impl OwnedActor {
    pub(super) fn borrowed(&self) -> Actor<'_> {
        Actor { number: self.number, step: self.step, knows: &self.knows }
    }
}

impl Actor<'_> {
    pub(super) fn owned(&self) -> OwnedActor {
        OwnedActor { number: self.number, step: self.step, knows: self.knows.to_vec() }
    }
}

#[test]
fn conflicts_of_banks_are_counted() {
    let strided = |stride: u64| (0..32).map(|lane| lane * stride).collect::<Vec<_>>();
    assert_eq!(bank_turns(&strided(4), 4), 1);
    assert_eq!(bank_turns(&strided(8), 4), 2);
    assert_eq!(bank_turns(&strided(128), 4), 32);
    assert_eq!(bank_turns(&[0; 32], 4), 1);
    assert_eq!(bank_turns(&[0, 16, 32, 48, 64, 80, 96, 112], 16), 1);
}
