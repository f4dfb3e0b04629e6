//! Memory of a plan: anonymous maps in huge pages, asked for only when they fit.
//!
//! Ordinary pages cost a walk of the page table every 4 KiB, which shows in every stream kernel; most systems give huge pages
//! only to those who ask. Pages are touched first by the thread that uses them, so that they lie on its memory node.

use crate::contract::Fault;
use bytemuck::Pod;
use memmap2::{MmapMut, MmapOptions};
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

/// Bytes that a plan may ask for now.
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
    fn free_memory_is_part_of_all_memory() {
        let (total, free) = total_and_free().expect("this system tells");
        assert!(0 < free && free <= total);
    }
}
