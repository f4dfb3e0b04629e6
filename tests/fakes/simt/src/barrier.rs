//! Barriers and mbarriers as state machines (PTX ISA, bar and barrier; mbarrier).

use crate::order::{Clock, join};

/// One of a block's sixteen barriers.
#[derive(Clone, Default)]
pub(crate) struct Barrier {
    pub arrived: u32,
    pub needed: Option<u32>,
    /// How often it opened.
    pub opened: u32,
    arriving: Clock,
    /// What those know whom it let through.
    pub known: Clock,
}

impl Barrier {
    /// `threads` of `needed` arrive.
    pub(crate) fn arrive(&mut self, threads: u32, needed: u32, known: &[u32]) -> Result<(), String> {
        if self.needed.is_some_and(|before| before != needed) {
            return Err(format!("{needed} threads where others of the same barrier said {:?}", self.needed));
        }
        self.needed = Some(needed);
        self.arrived += threads;
        self.arriving.resize(known.len(), 0);
        join(&mut self.arriving, known);
        if self.arrived > needed {
            return Err(format!("{} threads arrived where {needed} are expected", self.arrived));
        }
        if self.arrived == needed {
            self.opened += 1;
            self.known = std::mem::take(&mut self.arriving);
            (self.arrived, self.needed) = (0, None);
        }
        Ok(())
    }
}

/// Arrivals that an mbarrier can count: 2^20 - 1.
const MOST: u32 = (1 << 20) - 1;

/// An mbarrier object.
#[derive(Clone, Debug)]
pub(crate) struct Mbarrier {
    count: u32,
    pending: u32,
    bytes: i64,
    /// Phases that are over; its parity is that of the phase under way.
    pub phase: u64,
    arriving: Clock,
    /// What those know who saw the last phase end.
    pub known: Clock,
}

impl Mbarrier {
    pub(crate) fn new(count: u32, actors: usize) -> Result<Self, String> {
        if count == 0 || count > MOST {
            return Err(format!("an mbarrier counts 1 to {MOST} arrivals, not {count}"));
        }
        let nothing = vec![0; actors];
        Ok(Self { count, pending: count, bytes: 0, phase: 0, arriving: nothing.clone(), known: nothing })
    }

    pub(crate) fn arrive(&mut self, count: u32, known: &[u32]) -> Result<(), String> {
        if count == 0 || count > self.pending {
            return Err(format!("{count} arrivals where {} of {} are pending in phase {}", self.pending, self.count, self.phase));
        }
        self.pending -= count;
        join(&mut self.arriving, known);
        self.end_phase();
        Ok(())
    }

    pub(crate) fn expect(&mut self, bytes: u32) -> Result<(), String> {
        self.count_bytes(i64::from(bytes))
    }

    /// Bytes have come.
    pub(crate) fn complete(&mut self, bytes: u32, known: &[u32]) -> Result<(), String> {
        join(&mut self.arriving, known);
        self.count_bytes(-i64::from(bytes))?;
        self.end_phase();
        Ok(())
    }

    fn count_bytes(&mut self, bytes: i64) -> Result<(), String> {
        self.bytes += bytes;
        if self.bytes.unsigned_abs() > u64::from(MOST) {
            return Err(format!("{} bytes are awaited, beyond what an mbarrier counts", self.bytes));
        }
        Ok(())
    }

    fn end_phase(&mut self) {
        if self.pending == 0 && self.bytes == 0 {
            self.phase += 1;
            self.pending = self.count;
            self.known.clone_from(&self.arriving);
        }
    }

    /// For a deadlock's report.
    pub(crate) fn describe(&self) -> String {
        format!("phase {}, {} of {} arrivals missing, {} bytes missing", self.phase, self.pending, self.count, self.bytes)
    }
}

#[test]
fn a_phase_ends_with_the_last_arrival_and_the_last_byte() {
    let mut barrier = Mbarrier::new(2, 2).unwrap();
    barrier.expect(64).unwrap();
    barrier.arrive(1, &[3, 0]).unwrap();
    barrier.arrive(1, &[0, 5]).unwrap();
    assert_eq!((barrier.phase, barrier.known.clone()), (0, vec![0, 0]));
    assert!(barrier.arrive(1, &[0, 0]).unwrap_err().contains("0 of 2 are pending"));
    barrier.complete(64, &[0, 0]).unwrap();
    assert_eq!((barrier.phase, barrier.known.clone()), (1, vec![3, 5]));
    barrier.arrive(2, &[0, 0]).unwrap();
    assert_eq!(barrier.phase, 2);
    assert!(Mbarrier::new(0, 2).is_err() && barrier.expect(1 << 20).is_err());
}

#[test]
fn a_barrier_opens_when_all_are_there() {
    let mut barrier = Barrier::default();
    barrier.arrive(32, 64, &[1, 0]).unwrap();
    assert_eq!(barrier.opened, 0);
    assert!(barrier.clone().arrive(32, 96, &[0, 0]).is_err() && barrier.clone().arrive(64, 64, &[0, 0]).is_err());
    barrier.arrive(32, 64, &[0, 2]).unwrap();
    assert_eq!((barrier.opened, barrier.known), (1, vec![1, 2]));
}
