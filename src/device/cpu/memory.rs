//! Memory of a plan: anonymous maps in huge pages, asked for only when they fit.
//!
//! Ordinary pages cost a walk of the page table every 4 KiB, which shows in every stream kernel; most systems give huge pages
//! only to those who ask. Pages are touched first by the thread that uses them, so that they lie on its memory node.

use crate::contract::Fault;
use bytemuck::Pod;
use memmap2::{MmapMut, MmapOptions};
use std::cell::RefCell;
use sysinfo::System;

/// A huge page of x86-64 and of most ARM systems.
const HUGE: usize = 2 << 20;

/// Left to the system and to ourselves when a plan asks for memory.
const RESERVE: u64 = 64 << 20;

/// A zeroed buffer that begins with a huge page.
#[derive(Debug)]
pub struct Memory {
    map: MmapMut,
    begin: usize,
    bytes: usize,
}

impl Memory {
    /// # Errors
    /// [`Fault::OutOfMemory`] when the system refuses; whether it fits is asked before, by [`free`], since systems promise
    /// more than they have.
    pub fn new(bytes: u64) -> Result<Self, Fault> {
        let refused = || Fault::OutOfMemory { needed: bytes, free: free() };
        let size = usize::try_from(bytes).map_err(|_| refused())?;
        let slack = if size >= HUGE { HUGE } else { 0 };
        let whole = size.checked_add(slack).filter(|whole| isize::try_from(*whole).is_ok()).ok_or_else(refused)?;
        let map = MmapOptions::new().len(whole.max(1)).map_anon().map_err(|_| refused())?;
        let begin = if slack == 0 { 0 } else { map.as_ptr().addr().next_multiple_of(HUGE) - map.as_ptr().addr() };
        #[cfg(target_os = "linux")]
        if slack != 0 {
            // Advice that is not taken costs speed, and that is what is measured.
            let _ = map.advise(memmap2::Advice::HugePage);
        }
        Ok(Self { map, begin, bytes: size })
    }

    #[must_use]
    pub fn view<T: Pod>(&self) -> &[T] {
        bytemuck::cast_slice(&self.map[self.begin..self.begin + self.bytes])
    }

    #[must_use]
    pub fn view_mut<T: Pod>(&mut self) -> &mut [T] {
        bytemuck::cast_slice_mut(&mut self.map[self.begin..self.begin + self.bytes])
    }
}

/// Memory of earlier plans, kept because a first touch takes longer than a launch. It is given again for the same size only, so
/// that every page stays with the thread that touched it first.
#[derive(Debug, Default)]
pub struct Spare(RefCell<Vec<Memory>>);

impl Spare {
    /// Bytes that a plan may ask for now: what the system has, and what is kept here.
    #[must_use]
    pub fn free(&self) -> Option<u64> {
        let kept: u64 = self.0.borrow().iter().map(|memory| memory.bytes as u64).sum();
        free().map(|free| free + kept)
    }

    /// Memory of these sizes, in order.
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`], before the system would have to take memory from others.
    pub fn take(&self, sizes: &[u64]) -> Result<Vec<Memory>, Fault> {
        let needed = sizes.iter().copied().fold(0, u64::saturating_add);
        if let Some(free) = self.free().filter(|free| needed > *free) {
            return Err(Fault::OutOfMemory { needed, free: Some(free) });
        }
        let kept: Vec<Option<Memory>> = sizes.iter().map(|&bytes| self.find(bytes)).collect();
        let missing: u64 = sizes.iter().zip(&kept).filter(|(_, kept)| kept.is_none()).map(|(bytes, _)| *bytes).sum();
        // New memory may take half of what is free; for more, what is kept goes first.
        if free().is_none_or(|free| missing > free / 2) {
            self.0.borrow_mut().clear();
        }
        sizes.iter().zip(kept).map(|(&bytes, kept)| kept.map_or_else(|| Memory::new(bytes), Ok)).collect()
    }

    /// Keeps memory that a plan no longer needs.
    pub fn keep(&self, memory: Vec<Memory>) {
        self.0.borrow_mut().extend(memory);
    }

    fn find(&self, bytes: u64) -> Option<Memory> {
        let mut spare = self.0.borrow_mut();
        let index = spare.iter().position(|memory| memory.bytes as u64 == bytes)?;
        Some(spare.swap_remove(index))
    }
}

/// Bytes of memory that there are, and that are free now within the limit of our control group; blank when the system does not say.
#[must_use]
pub fn total_and_free() -> Option<(u64, u64)> {
    let mut system = System::new().ok()?;
    system.refresh_memory();
    let (mut total, mut free) = (system.total_memory(), system.available_memory());
    if let Some(limits) = system.cgroup_limits() {
        total = total.min(limits.total_memory);
        free = free.min(limits.free_memory);
    }
    (total > 0).then_some((total, free))
}

/// Bytes that may be asked for now.
#[must_use]
pub fn free() -> Option<u64> {
    total_and_free().map(|(_, free)| free.saturating_sub(RESERVE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_buffer_is_zeroed_and_begins_with_a_huge_page() {
        let mut memory = Memory::new((4 << 20) + 12).expect("4 MiB");
        assert_eq!(memory.view::<u32>().len(), (1 << 20) + 3);
        assert!(memory.view::<u32>().iter().all(|word| *word == 0));
        assert_eq!(memory.view::<u8>().as_ptr().addr() % HUGE, 0);
        memory.view_mut::<u32>()[7] = 9;
        assert_eq!(memory.view::<u32>()[6..9], [0, 9, 0]);
    }

    #[test]
    fn what_no_machine_has_is_refused() {
        for bytes in [u64::MAX, u64::MAX / 2, 1 << 62, i64::MAX as u64] {
            assert!(matches!(Memory::new(bytes), Err(Fault::OutOfMemory { .. })), "{bytes}");
        }
    }

    #[test]
    fn an_empty_buffer_is_empty() {
        assert!(Memory::new(0).expect("nothing").view::<u32>().is_empty());
    }

    #[test]
    fn memory_is_given_again_for_the_same_size_only() {
        let spare = Spare::default();
        let mut first = spare.take(&[4096, 8192]).expect("12 KiB");
        let places: Vec<_> = first.iter().map(|memory| memory.view::<u8>().as_ptr()).collect();
        first[0].view_mut::<u8>()[0] = 7;
        spare.keep(first);
        let again = spare.take(&[8192, 100, 4096]).expect("12 KiB and a little");
        assert_eq!([again[0].view::<u8>().as_ptr(), again[2].view::<u8>().as_ptr()], [places[1], places[0]]);
        assert_eq!((again[1].view::<u8>().len(), again[1].view::<u8>()[0]), (100, 0));
    }

    #[test]
    fn more_than_is_free_is_refused_with_figures() {
        let spare = Spare::default();
        let taken = spare.take(&[1 << 50, u64::MAX]);
        assert!(matches!(taken, Err(Fault::OutOfMemory { needed: u64::MAX, free: Some(_) })), "{taken:?}");
    }

    #[test]
    fn free_memory_is_part_of_all_memory() {
        let (total, free) = total_and_free().expect("this system tells");
        assert!(0 < free && free <= total);
    }
}
