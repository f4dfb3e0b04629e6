//! The start gate: devices that are measured together begin at one time.
//!
//! A device comes to the gate once its kernels are loaded and its results verified. The gate opens when all have come that have the
//! workload before them. A device that is a second behind the slowest of the others (or half of what that one needed, where this is
//! longer) is not waited for; its entry says so. Every time is given, so that all of it can be tested.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::{Duration, Instant},
};

/// A device that is not there so long after the others is not waited for.
const PATIENCE: Duration = Duration::from_secs(1);
/// From the opening of the gate to the start: every worker has heard of it by then.
const NOTICE: Duration = Duration::from_millis(50);

/// What becomes of a device at the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// It starts at that time, with so many devices in all.
    Go { at: Instant, devices: usize },
    /// The gate had opened so long before.
    Late { by: Duration },
    /// No other device came.
    Alone,
}

/// Where a device stands.
struct Lane {
    /// Workloads before it, in order.
    left: VecDeque<String>,
    /// When it set out for the first of them.
    since: Instant,
    /// When it came to the gate for it.
    ready: Option<Instant>,
}

/// The gate of all workloads, one after the other.
pub struct Gate {
    lanes: Vec<Lane>,
    /// By workload: who starts, and when.
    opened: BTreeMap<String, (BTreeSet<usize>, Instant)>,
}

impl Gate {
    /// Every device with its workloads.
    pub fn new(workloads: impl IntoIterator<Item = Vec<String>>, now: Instant) -> Self {
        let lane = |left: Vec<String>| Lane { left: left.into(), since: now, ready: None };
        Self { lanes: workloads.into_iter().map(lane).collect(), opened: BTreeMap::new() }
    }

    /// A device's worker begins; what the one before it had reached is lost.
    pub fn sets_out(&mut self, lane: usize, now: Instant) {
        let lane = &mut self.lanes[lane];
        (lane.since, lane.ready) = (now, None);
    }

    /// A device is at the gate.
    pub fn comes(&mut self, lane: usize, now: Instant) {
        self.lanes[lane].ready.get_or_insert(now);
    }

    /// A device is done with a workload, one way or another.
    pub fn leaves(&mut self, lane: usize, workload: &str, now: Instant) {
        let lane = &mut self.lanes[lane];
        lane.left.retain(|id| id != workload);
        (lane.since, lane.ready) = (now, None);
    }

    /// A device takes no further part.
    pub fn gives_up(&mut self, lane: usize) {
        self.lanes[lane].left.clear();
    }

    /// What becomes of a device at the gate; nothing yet where it must wait.
    pub fn pass(&mut self, lane: usize, now: Instant) -> Option<Pass> {
        let workload = self.lanes[lane].left.front().cloned()?;
        if !self.opened.contains_key(&workload) {
            let starts = self.opens(&workload, now)?;
            self.opened.insert(workload.clone(), (starts, now + NOTICE));
        }
        let (starts, at) = &self.opened[&workload];
        Some(if !starts.contains(&lane) {
            Pass::Late { by: now.saturating_duration_since(*at) }
        } else if starts.len() == 1 {
            Pass::Alone
        } else {
            Pass::Go { at: *at, devices: starts.len() }
        })
    }

    /// Who starts, if the gate opens now.
    fn opens(&self, workload: &str, now: Instant) -> Option<BTreeSet<usize>> {
        let is_next = |lane: &Lane| lane.left.front().is_some_and(|id| id == workload);
        let expected = || self.lanes.iter().enumerate().filter(|(_, lane)| lane.left.iter().any(|id| id == workload));
        let come = || expected().filter(|(_, lane)| is_next(lane)).filter_map(|(index, lane)| Some((index, lane, lane.ready?)));
        let needed = |(_, lane, ready): (usize, &Lane, Instant)| ready.saturating_duration_since(lane.since);
        let longest = come().map(needed).max()?;
        let patience = PATIENCE.max(longest / 2);
        let last = come().map(|(_, _, ready)| ready).max()?;
        let starts: BTreeSet<usize> = come().map(|(index, ..)| index).collect();
        // One that is at an earlier workload has not set out for this one, and is waited for.
        let is_late = |lane: &Lane| is_next(lane) && now >= (lane.since + longest + patience).max(last + PATIENCE);
        expected().all(|(index, lane)| starts.contains(&index) || is_late(lane)).then_some(starts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(begin: Instant, milliseconds: u64) -> Instant {
        begin + Duration::from_millis(milliseconds)
    }

    fn gate(workloads: &[&[&str]], begin: Instant) -> Gate {
        Gate::new(workloads.iter().map(|ids| ids.iter().map(ToString::to_string).collect()), begin)
    }

    #[test]
    fn all_start_at_one_time_once_the_last_has_come() {
        let begin = Instant::now();
        let mut gate = gate(&[&["a", "b"], &["a", "b"], &["b"]], begin);
        gate.comes(0, after(begin, 400));
        gate.comes(2, after(begin, 410));
        assert_eq!((gate.pass(0, after(begin, 500)), gate.pass(2, after(begin, 500))), (None, None));
        gate.comes(1, after(begin, 900));
        let go = Some(Pass::Go { at: after(begin, 1_000), devices: 2 });
        assert_eq!((gate.pass(1, after(begin, 950)), gate.pass(0, after(begin, 955))), (go, go));
        // The third has had b before it all along, and waits until the others set out for it and come.
        gate.leaves(0, "a", after(begin, 31_000));
        assert_eq!(gate.pass(2, after(begin, 31_400)), None);
        gate.leaves(1, "a", after(begin, 31_200));
        gate.comes(0, after(begin, 31_500));
        gate.comes(1, after(begin, 31_700));
        assert_eq!(gate.pass(2, after(begin, 31_710)), Some(Pass::Go { at: after(begin, 31_760), devices: 3 }));
    }

    #[test]
    fn one_that_never_comes_is_waited_for_a_second_and_is_late_when_it_does() {
        let begin = Instant::now();
        let mut gate = gate(&[&["a"], &["a"], &["a"]], begin);
        gate.comes(0, after(begin, 300));
        gate.comes(1, after(begin, 500));
        assert_eq!(gate.pass(0, after(begin, 1_499)), None);
        let go = Some(Pass::Go { at: after(begin, 1_550), devices: 2 });
        assert_eq!((gate.pass(0, after(begin, 1_500)), gate.pass(1, after(begin, 1_510))), (go, go));
        gate.comes(2, after(begin, 3_550));
        assert_eq!(gate.pass(2, after(begin, 3_550)), Some(Pass::Late { by: Duration::from_secs(2) }));
    }

    #[test]
    fn where_preparing_takes_long_so_does_patience() {
        let begin = Instant::now();
        let mut gate = gate(&[&["a"], &["a"]], begin);
        gate.comes(0, after(begin, 8_000));
        assert_eq!(gate.pass(0, after(begin, 11_900)), None);
        assert!(gate.pass(0, after(begin, 12_000)).is_some());
    }

    #[test]
    fn one_that_failed_or_gave_up_is_not_waited_for() {
        let begin = Instant::now();
        let mut gate = gate(&[&["a"], &["a"], &["a"]], begin);
        gate.comes(0, after(begin, 100));
        gate.leaves(1, "a", after(begin, 150));
        assert_eq!(gate.pass(0, after(begin, 160)), None);
        gate.gives_up(2);
        assert_eq!(gate.pass(0, after(begin, 170)), Some(Pass::Alone));
    }

    #[test]
    fn a_worker_that_was_lost_at_the_gate_must_come_again() {
        let begin = Instant::now();
        let mut gate = gate(&[&["a"], &["a"]], begin);
        gate.comes(0, after(begin, 100));
        gate.sets_out(0, after(begin, 200));
        gate.comes(1, after(begin, 250));
        assert_eq!(gate.pass(1, after(begin, 260)), None);
        gate.comes(0, after(begin, 400));
        assert!(gate.pass(1, after(begin, 410)).is_some_and(|pass| matches!(pass, Pass::Go { devices: 2, .. })));
    }
}
