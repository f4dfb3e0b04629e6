//! A block's shared memory and barriers.

use crate::address::{RANK_SHIFT, SHARED_RESERVED};
use crate::barrier::{Barrier, Mbarrier};
use crate::order::Shadow;
use crate::tensor::memory::TensorMemory;
use std::collections::BTreeMap;

/// What fresh shared memory is filled with: NaN as any float.
const POISON: u8 = 0xff;

pub(crate) struct Block {
    /// Its place in the grid.
    pub place: [u32; 3],
    /// Shared address of its first byte.
    pub base: u32,
    /// Where dynamic shared memory begins, from the first byte.
    pub dynamic: u32,
    pub bytes: Vec<u8>,
    pub shadow: Shadow,
    /// For every 16 bytes: 1 + the warp that wrote them by ordinary stores which it did not yet make visible to asynchronous
    /// accesses; 0 for none.
    pub unfenced: Vec<u16>,
    pub barriers: Vec<Barrier>,
    /// By offset.
    pub mbarriers: BTreeMap<u32, Mbarrier>,
    /// Warps that have not ended.
    pub running: u32,
    /// Registers that nobody holds.
    pub free_registers: u32,
    /// Where it has been asked for.
    pub tensor: Option<Box<TensorMemory>>,
}

impl Block {
    pub(crate) fn new(place: [u32; 3], rank: u32, shift: u32, fixed: u32, dynamic: u32, warps: u32, actors: usize) -> Self {
        // The shift is that of dynamic memory alone: hardware keeps the alignment of what is declared.
        let begin = fixed.next_multiple_of(128) + shift;
        let length = (begin + dynamic) as usize;
        Self {
            place,
            base: (rank << RANK_SHIFT) + SHARED_RESERVED,
            dynamic: begin,
            bytes: vec![POISON; length],
            shadow: Shadow::new(length, actors),
            unfenced: vec![0; length.div_ceil(16)],
            barriers: vec![Barrier::default(); 16],
            mbarriers: BTreeMap::new(),
            running: warps,
            free_registers: 0,
            tensor: None,
        }
    }

    /// The mbarrier that covers any of these bytes.
    pub(crate) fn mbarrier_within(&self, offset: u32, bytes: u32) -> Option<u32> {
        let nearest = self.mbarriers.range(..offset + bytes).next_back()?;
        (*nearest.0 + 8 > offset).then_some(*nearest.0)
    }
}
