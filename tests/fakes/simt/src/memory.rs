//! Global memory: allocations far apart, so that a stray access hits nothing instead of a neighbour.

use crate::fault::Fault;

/// Address of the first allocation; every further one begins [`APART`] bytes later. Looks like a device address, and is none of the
/// host's.
const BASE: u64 = 0x7_0000_0000_0000;
/// Distance between the beginnings of two allocations, so that an address tells its allocation by a shift.
const APART: u64 = 1 << 36;
/// What fresh memory is filled with: no small integer, no plausible float.
const POISON: u8 = 0xa5;

/// The memory of one device. Addresses are never used twice, so that a dangling pointer is always seen.
#[derive(Default)]
pub struct Memory {
    /// By number; freed ones leave a gap.
    allocations: Vec<Option<Allocation>>,
}

/// Bytes that can be reached, from an offset on.
struct Allocation {
    from: usize,
    bytes: Vec<u8>,
}

/// Allocations that were taken out of sight.
pub struct Hidden(Vec<(usize, Allocation)>);

impl Memory {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Address of `bytes` new bytes, poisoned. Allocations of nothing still have an address.
    pub fn allocate(&mut self, bytes: usize) -> u64 {
        self.allocate_window(0, bytes)
    }

    /// Address of an allocation of which only `bytes` from `offset` on can be reached: for the far end of what is too large for a
    /// test, up to 64 GiB.
    pub fn allocate_window(&mut self, offset: usize, bytes: usize) -> u64 {
        self.allocations.push(Some(Allocation { from: offset, bytes: vec![POISON; bytes] }));
        BASE + (self.allocations.len() as u64 - 1) * APART
    }

    /// # Errors
    /// [`Fault::IllegalAddress`] where no allocation begins.
    pub fn free(&mut self, address: u64) -> Result<(), Fault> {
        let stray = Fault::IllegalAddress { address, bytes: 0, what: "freeing" };
        let slot = address.checked_sub(BASE).filter(|offset| offset % APART == 0).map(|offset| offset / APART);
        let kept = slot.and_then(|slot| self.allocations.get_mut(usize::try_from(slot).ok()?)).ok_or(stray.clone())?;
        kept.take().map(|_| ()).ok_or(stray)
    }

    /// Takes allocations out of sight by their addresses: what lies on another device, which a kernel cannot reach.
    pub fn hide(&mut self, addresses: impl Iterator<Item = u64>) -> Hidden {
        let slot = |address: u64| usize::try_from((address - BASE) / APART).ok();
        let slots = addresses.filter(|address| *address >= BASE).filter_map(slot);
        Hidden(slots.filter_map(|slot| Some((slot, self.allocations.get_mut(slot)?.take()?))).collect())
    }

    /// Brings them back.
    pub fn show(&mut self, hidden: Hidden) {
        for (slot, allocation) in hidden.0 {
            self.allocations[slot] = Some(allocation);
        }
    }

    /// Beginning and length of the allocation that holds `address`.
    #[must_use]
    pub fn allocation(&self, address: u64) -> Option<(u64, u64)> {
        let slot = address.checked_sub(BASE)? / APART;
        let kept = self.allocations.get(usize::try_from(slot).ok()?)?.as_ref()?;
        let begin = BASE + slot * APART + kept.from as u64;
        (begin..begin + kept.bytes.len() as u64).contains(&address).then_some((begin, kept.bytes.len() as u64))
    }

    /// The bytes at `address`.
    ///
    /// # Errors
    /// [`Fault::IllegalAddress`] where any of them lies outside an allocation.
    pub fn bytes(&self, address: u64, length: usize) -> Result<&[u8], Fault> {
        let find = || {
            let slot = address.checked_sub(BASE)? / APART;
            let begin = usize::try_from(address - BASE - slot * APART).ok()?;
            let kept = self.allocations.get(usize::try_from(slot).ok()?)?.as_ref()?;
            let begin = begin.checked_sub(kept.from)?;
            kept.bytes.get(begin..begin.checked_add(length)?)
        };
        find().ok_or(Fault::IllegalAddress { address, bytes: length as u64, what: "reading" })
    }

    /// The bytes at `address`, to be written.
    ///
    /// # Errors
    /// [`Fault::IllegalAddress`] where any of them lies outside an allocation.
    pub fn bytes_mut(&mut self, address: u64, length: usize) -> Result<&mut [u8], Fault> {
        let stray = Fault::IllegalAddress { address, bytes: length as u64, what: "writing" };
        let Some(offset) = address.checked_sub(BASE) else {
            return Err(stray);
        };
        let (slot, begin) = (offset / APART, (offset % APART) as usize);
        let kept = usize::try_from(slot).ok().and_then(|slot| self.allocations.get_mut(slot)?.as_mut());
        let within = kept.and_then(|kept| {
            let begin = begin.checked_sub(kept.from)?;
            kept.bytes.get_mut(begin..begin.checked_add(length)?)
        });
        within.ok_or(stray)
    }
}

#[test]
fn an_access_past_the_end_is_illegal() {
    let mut memory = Memory::new();
    let at = memory.allocate(16);
    assert_eq!(memory.bytes(at, 16).unwrap(), [POISON; 16]);
    memory.bytes_mut(at + 12, 4).unwrap().copy_from_slice(&7_u32.to_le_bytes());
    assert_eq!(memory.bytes(at + 12, 4).unwrap(), 7_u32.to_le_bytes());
    assert!(memory.bytes(at + 13, 4).is_err() && memory.bytes_mut(at + 16, 1).is_err() && memory.bytes(at - 1, 1).is_err());
    assert_eq!(memory.allocation(at + 15), Some((at, 16)));
    assert_eq!(memory.allocation(at + 16), None);
    assert!(memory.bytes(0, 1).is_err() && memory.bytes(u64::MAX, 1).is_err());
}

#[test]
fn a_window_is_reached_at_its_offset_only() {
    let mut memory = Memory::new();
    let at = memory.allocate_window(1 << 35, 8);
    memory.bytes_mut(at + (1 << 35) + 4, 4).unwrap().fill(1);
    assert_eq!(memory.bytes(at + (1 << 35), 8).unwrap(), [POISON, POISON, POISON, POISON, 1, 1, 1, 1]);
    assert!(memory.bytes(at, 1).is_err() && memory.bytes(at + (1 << 35) + 8, 1).is_err() && memory.bytes_mut(at, 1).is_err());
}

#[test]
fn what_is_hidden_cannot_be_reached_until_it_is_shown() {
    let mut memory = Memory::new();
    let (mine, other) = (memory.allocate(4), memory.allocate(4));
    let hidden = memory.hide([other].into_iter());
    assert!(memory.bytes(mine, 4).is_ok() && memory.bytes(other, 4).is_err() && memory.bytes_mut(other, 1).is_err());
    memory.show(hidden);
    assert!(memory.bytes(other, 4).is_ok());
}

#[test]
fn freed_memory_is_gone_for_good() {
    let mut memory = Memory::new();
    let at = memory.allocate(4);
    assert!(memory.free(at + 1).is_err());
    memory.free(at).unwrap();
    assert!(memory.free(at).is_err() && memory.bytes(at, 4).is_err());
    assert_ne!(memory.allocate(4), at);
}
