//! Threads that measure: one on each physical core, kept for as long as the machine is open.
//!
//! Launches are separated by a barrier that spins, since waking a sleeping thread takes longer than a small launch. The first
//! member reads the clock as it leaves each barrier: a launch lasts from one barrier to the next, so that no time lies between.

use crate::{
    contract::{Clock, Fault, Span},
    units::Nanos,
};
use core_affinity::CoreId;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::{
    ops::Range,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Looks at a barrier before the core is offered to others: some microseconds. On a machine with fewer free cores than members,
/// the one that is waited for may need this very core.
const PATIENCE: u32 = 4_096;

/// A thread on each core.
#[derive(Debug)]
pub struct Team {
    pool: ThreadPool,
    size: usize,
}

impl Team {
    /// # Errors
    /// [`Fault::Failed`] when the system gives no more threads.
    pub fn new(cores: Vec<usize>) -> Result<Self, Fault> {
        let size = cores.len();
        let pin = move |member: usize| {
            // Where pinning is refused the scheduler places the thread, and results merely vary more.
            let _ = core_affinity::set_for_current(CoreId { id: cores[member] });
        };
        let name = |member| format!("core {member}");
        let pool = ThreadPoolBuilder::new().num_threads(size).thread_name(name).start_handler(pin).build();
        Ok(Self { pool: pool.map_err(|error| Fault::failed("starting a thread on each core", error))?, size })
    }

    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Gives each part to a member, the first to the first; parts beyond the team's size are not worked on. Results in order.
    pub fn each<P: Send, R: Send>(&self, parts: Vec<P>, work: impl Fn(P) -> R + Sync) -> Vec<R> {
        let parts: Vec<_> = parts.into_iter().map(|part| Mutex::new(Some(part))).collect();
        let member = |context: rayon::BroadcastContext| {
            let part = parts.get(context.index())?.lock().unwrap_or_else(PoisonError::into_inner).take()?;
            Some(work(part))
        };
        self.pool.broadcast(member).into_iter().flatten().collect()
    }

    /// Launches `work` on all parts together, `launches` times over; when each launch ran.
    pub fn launch<P: Send>(
        &self,
        parts: Vec<P>,
        launches: u32,
        clock: &(impl Clock + Sync),
        work: impl Fn(&mut P) + Sync,
    ) -> Vec<Span> {
        self.launch_chain(parts, (launches, 1), clock, |part, _| work(part))
    }

    /// The same of launches that are so many kernels each, which are told apart by their number: no kernel begins before all members
    /// have ended the one before.
    pub fn launch_chain<P: Send>(
        &self,
        parts: Vec<P>,
        (launches, kernels): (u32, usize),
        clock: &(impl Clock + Sync),
        work: impl Fn(&mut P, usize) + Sync,
    ) -> Vec<Span> {
        let barrier = Barrier::new(parts.len().min(self.size));
        let parts = parts.into_iter().enumerate().collect();
        let member = |(index, mut part): (usize, P)| {
            let mut spans = Vec::with_capacity(if index == 0 { launches as usize } else { 0 });
            barrier.wait();
            let mut begin = clock.now();
            for _ in 0..launches {
                for kernel in 0..kernels {
                    work(&mut part, kernel);
                    barrier.wait();
                }
                if index == 0 {
                    let end = clock.now();
                    spans.push(Span { begin, took: end.since(begin).max(Nanos(1)), launches: 1, intended: None });
                    begin = end;
                }
            }
            spans
        };
        self.each(parts, member).into_iter().next().unwrap_or_default()
    }
}

/// `count` things in contiguous shares for `members`, each a multiple of `grain` but the last; empty shares are left out.
#[must_use]
pub fn shares(count: usize, members: usize, grain: usize) -> Vec<Range<usize>> {
    let (grain, members) = (grain.max(1), members.max(1));
    let grains = count.div_ceil(grain);
    let edge = |member: usize| (grains * member / members * grain).min(count);
    (0..members).map(|member| edge(member)..edge(member + 1)).filter(|share| !share.is_empty()).collect()
}

/// A slice cut into the pieces that [`shares`] names.
#[must_use]
pub fn cut<'a, T>(mut slice: &'a mut [T], shares: &[Range<usize>]) -> Vec<&'a mut [T]> {
    let mut pieces = Vec::with_capacity(shares.len());
    for share in shares {
        let (piece, rest) = slice.split_at_mut(share.len());
        pieces.push(piece);
        slice = rest;
    }
    pieces
}

/// Lets nobody go before all have come.
struct Barrier {
    size: usize,
    arrived: AtomicUsize,
    round: AtomicUsize,
}

impl Barrier {
    fn new(size: usize) -> Self {
        Self { size, arrived: AtomicUsize::new(0), round: AtomicUsize::new(0) }
    }

    fn wait(&self) {
        let round = self.round.load(Ordering::Acquire);
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == self.size {
            self.arrived.store(0, Ordering::Relaxed);
            self.round.store(round.wrapping_add(1), Ordering::Release);
            return;
        }
        let mut looks = 0_u32;
        while self.round.load(Ordering::Acquire) == round {
            if looks < PATIENCE {
                looks += 1;
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Monotonic;

    #[test]
    fn shares_cover_everything_once_in_whole_grains() {
        for (count, members, grain) in [(0, 2, 8), (1, 4, 8), (7, 2, 1), (1000, 3, 16), (64, 64, 1), (100, 7, 64)] {
            let shares = shares(count, members, grain);
            assert!(shares.len() <= members && shares.iter().all(|share| share.start % grain == 0 && !share.is_empty()));
            assert_eq!(shares.iter().cloned().flatten().collect::<Vec<_>>(), (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn pieces_follow_their_shares() {
        let mut numbers = [0, 1, 2, 3, 4];
        let pieces = cut(&mut numbers, &[0..2, 2..5]);
        assert_eq!((pieces[0].to_vec(), pieces[1].to_vec()), (vec![0, 1], vec![2, 3, 4]));
    }

    /// More members than this machine has cores, so that some must yield.
    #[test]
    fn no_launch_begins_before_all_members_ended_the_one_before() {
        let team = Team::new(vec![0; 5]).expect("five threads");
        let (counts, furthest, clock) = ([const { AtomicUsize::new(0) }; 5], AtomicUsize::new(0), Monotonic::default());
        let work = |member: &mut usize| {
            let mine = counts[*member].fetch_add(1, Ordering::SeqCst) + 1;
            for other in &counts {
                furthest.fetch_max(other.load(Ordering::SeqCst).abs_diff(mine), Ordering::SeqCst);
            }
        };
        let spans = team.launch((0..5).collect(), 50, &clock, work);
        assert_eq!((spans.len(), furthest.load(Ordering::SeqCst)), (50, 1));
        assert!(spans.windows(2).all(|pair| pair[0].end() <= pair[1].begin), "launches follow each other");
        assert!(counts.iter().all(|count| count.load(Ordering::SeqCst) == 50));
    }

    #[test]
    fn results_come_in_the_order_of_parts() {
        let team = Team::new(vec![0, 0, 0]).expect("three threads");
        assert_eq!(team.each(vec![5, 6, 7], |part| part * 2), [10, 12, 14]);
        assert_eq!(team.each(vec![1], |part| part), [1]);
    }
}
