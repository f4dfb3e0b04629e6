//! The tensor cores' memory of a block: 128 lanes of 512 columns of 32 bits, of which it allocates columns (PTX ISA, Tensor Memory).

use crate::order::{Actor, Conflict, Shadow};

pub(crate) const LANES: u32 = 128;
pub(crate) const COLUMNS: u32 = 512;
/// Lanes that a warp reaches.
pub(crate) const REACH: u32 = 32;
/// Columns that are allocated together at the least.
const LEAST: u32 = 32;

/// An address: the lane in its upper half, the column in its lower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct At {
    pub lane: u32,
    pub column: u32,
}

impl At {
    pub(crate) fn new(address: u32) -> Self {
        Self { lane: address >> 16, column: address & 0xffff }
    }
}

pub(crate) struct TensorMemory {
    /// By lane, then column; nothing where nothing was written since the allocation.
    cells: Vec<Option<u32>>,
    /// First column and count.
    allocated: Vec<(u32, u32)>,
    /// Whether the block gave up the right to allocate.
    closed: bool,
    /// The last accesses, for the lanes of a warp in a column.
    shadow: Shadow,
}

impl TensorMemory {
    pub(crate) fn new(actors: usize) -> Self {
        let words = COLUMNS * (LANES / REACH);
        Self {
            cells: vec![None; (LANES * COLUMNS) as usize],
            allocated: Vec::new(),
            closed: false,
            shadow: Shadow::new(words as usize * 4, actors),
        }
    }

    /// The first column of `count` free ones: the lowest, or `high` the highest, for nobody may count on either.
    pub(crate) fn allocate(&mut self, count: u32, high: bool) -> Result<u32, String> {
        check_count(count)?;
        if self.closed {
            return Err("it allocates after it gave up the right to".into());
        }
        let free = |first: &u32| self.allocated.iter().all(|(begin, length)| first + count <= *begin || begin + length <= *first);
        let mut places = (0..COLUMNS / count).map(|place| place * count);
        let found = if high { places.rfind(free) } else { places.find(free) };
        let first = found.ok_or_else(|| format!("it waits for {count} columns for ever: {:?} are taken", self.allocated))?;
        self.allocated.push((first, count));
        for lane in 0..LANES {
            self.cells[(lane * COLUMNS + first) as usize..][..count as usize].fill(None);
        }
        Ok(first)
    }

    pub(crate) fn close(&mut self) {
        self.closed = true;
    }

    pub(crate) fn free(&mut self, at: At, count: u32) -> Result<(), String> {
        check_count(count)?;
        let found = self.allocated.iter().position(|one| at.lane == 0 && *one == (at.column, count));
        let found = found.ok_or_else(|| format!("{count} columns from {at:?} are not what was allocated: {:?}", self.allocated))?;
        self.allocated.remove(found);
        Ok(())
    }

    /// Columns that are not given back.
    pub(crate) fn left(&self) -> u32 {
        self.allocated.iter().map(|(_, count)| count).sum()
    }

    /// Refuses lanes that do not exist and columns that are not allocated.
    pub(crate) fn check(&self, at: At, lanes: u32, columns: u32) -> Result<(), String> {
        let held = |(begin, count): &(u32, u32)| *begin <= at.column && at.column + columns <= begin + count;
        if at.lane + lanes > LANES || !self.allocated.iter().any(held) {
            return Err(format!("{lanes} lanes of {columns} columns from {at:?}, of which {:?} are allocated", self.allocated));
        }
        Ok(())
    }

    pub(crate) fn read(&self, lane: u32, column: u32) -> Result<u32, String> {
        let cell = self.cells[(lane * COLUMNS + column) as usize];
        cell.ok_or_else(|| format!("it reads lane {lane} of column {column}, which nothing has written"))
    }

    pub(crate) fn write(&mut self, lane: u32, column: u32, value: u32) {
        self.cells[(lane * COLUMNS + column) as usize] = Some(value);
    }

    /// Holds an access against those before it, which nothing may leave unordered.
    pub(crate) fn note(&mut self, at: At, lanes: u32, columns: u32, actor: &Actor<'_>, writes: bool) -> Option<Conflict> {
        let parts = at.lane / REACH..(at.lane + lanes).div_ceil(REACH);
        let words = parts.flat_map(|part| (at.column..at.column + columns).map(move |column| part * COLUMNS + column));
        let mut conflict = None;
        for word in words {
            let found = if writes { self.shadow.write(word as usize, actor) } else { self.shadow.read(word as usize, actor) };
            conflict = conflict.or(found);
        }
        conflict
    }
}

fn check_count(count: u32) -> Result<(), String> {
    if !count.is_power_of_two() || !(LEAST..=COLUMNS).contains(&count) {
        return Err(format!("{count} columns: a power of two from {LEAST} to {COLUMNS} is needed"));
    }
    Ok(())
}

#[test]
fn columns_are_given_and_given_back() {
    let mut memory = TensorMemory::new(2);
    assert!(memory.allocate(48, false).is_err() && memory.allocate(16, false).is_err() && memory.allocate(1024, false).is_err());
    assert_eq!((memory.allocate(128, false), memory.allocate(128, true)), (Ok(0), Ok(384)));
    assert!(memory.allocate(512, false).unwrap_err().contains("for ever"));
    assert_eq!(memory.left(), 256);
    let at = |column| At { lane: 0, column };
    assert!(memory.check(at(0), 128, 128).is_ok() && memory.check(at(400), 128, 112).is_ok());
    for (lane, column, lanes, columns) in [(0, 0, 128, 129), (0, 128, 128, 1), (96, 0, 33, 1), (0, 256, 32, 256)] {
        assert!(memory.check(At { lane, column }, lanes, columns).is_err(), "{lane} {column}");
    }
    assert!(memory.free(at(0), 64).is_err() && memory.free(At { lane: 32, column: 0 }, 128).is_err());
    assert_eq!((memory.free(at(384), 128), memory.left()), (Ok(()), 128));
    memory.close();
    assert!(memory.allocate(32, false).unwrap_err().contains("gave up"));
}

#[test]
fn what_was_written_before_an_allocation_is_gone() {
    let mut memory = TensorMemory::new(2);
    assert_eq!(memory.allocate(32, false), Ok(0));
    memory.write(5, 7, 9);
    assert_eq!((memory.read(5, 7), memory.read(5, 8).is_err()), (Ok(9), true));
    assert_eq!((memory.free(At { lane: 0, column: 0 }, 32), memory.allocate(32, false)), (Ok(()), Ok(0)));
    assert!(memory.read(5, 7).is_err());
}
