//! Exchange within a warp: shuffles, votes, elections (PTX ISA, shfl.sync, vote.sync, elect.sync).

use super::Cluster;
use super::step::Flow;
use crate::Fault;
use crate::op::{Op, ShuffleMode, Source, VoteKind};
use crate::warp::lanes;

impl Cluster<'_> {
    pub(super) fn exchange(&mut self, warp: usize, group: usize, mask: u32, op: &Op) -> Result<Flow, Fault> {
        let members = match op {
            Op::Shuffle { members, .. } | Op::Vote { members, .. } | Op::Elect { members, .. } | Op::WarpSync { members } => {
                self.members(warp, mask, *members)?
            }
            _ => mask,
        };
        if let Some(wait) = self.together(warp, group, members)? {
            return Ok(wait);
        }
        match op {
            Op::Shuffle { mode, d, valid, a, b, clamp, .. } => {
                let (a, b, clamp) = (self.value(warp, *a), self.value(warp, *b), self.value(warp, *clamp));
                for lane in lanes(mask) {
                    let (from, inside) = shuffle_source(*mode, lane as u32, b[lane] as u32, clamp[lane] as u32);
                    if mask >> from & 1 == 0 {
                        return Err(Fault::Broken(format!("lane {lane} reads lane {from}, which takes no part")));
                    }
                    self.set(warp, *d, lane, a[from as usize]);
                    self.set(warp, *valid, lane, u64::from(inside));
                }
            }
            Op::Vote { kind, d, a, negate, .. } => {
                let a = self.value(warp, *a);
                let yes = lanes(mask).filter(|lane| (a[*lane] != 0) != *negate).fold(0_u32, |set, lane| set | 1 << lane);
                let result = match kind {
                    VoteKind::All => u64::from(yes == mask),
                    VoteKind::Any => u64::from(yes != 0),
                    VoteKind::Uniform => u64::from(yes == mask || yes == 0),
                    VoteKind::Ballot => u64::from(yes),
                };
                lanes(mask).for_each(|lane| self.set(warp, Some(*d), lane, result));
            }
            Op::Elect { d, elected, .. } => {
                let leader = members.trailing_zeros() as usize;
                for lane in lanes(mask) {
                    self.set(warp, *d, lane, leader as u64);
                    self.set(warp, Some(*elected), lane, u64::from(lane == leader));
                }
            }
            Op::ActiveMask { d } => lanes(mask).for_each(|lane| self.set(warp, Some(*d), lane, u64::from(mask))),
            _ => {}
        }
        Ok(Flow::Next)
    }

    /// The member mask, the same in all lanes and naming each of them.
    fn members(&self, warp: usize, mask: u32, source: Source) -> Result<u32, Fault> {
        let values = self.value(warp, source);
        let first = values[mask.trailing_zeros() as usize] as u32;
        if lanes(mask).any(|lane| values[lane] as u32 != first || first >> lane & 1 == 0) {
            return Err(Fault::Broken(format!("a member mask of {first:#x} for lanes {mask:#x}")));
        }
        Ok(first)
    }
}

/// The lane that is read, and whether it lies in range (PTX ISA, shfl.sync, pseudo code of shfl.sync).
fn shuffle_source(mode: ShuffleMode, lane: u32, b: u32, clamp: u32) -> (u32, bool) {
    let (bound, segment) = (clamp & 0x1f, clamp >> 8 & 0x1f);
    let (b, least) = (b & 0x1f, lane & segment);
    let most = least | bound & !segment;
    let (from, inside) = match mode {
        ShuffleMode::Up => (lane.wrapping_sub(b), lane as i32 - b as i32 >= most as i32),
        ShuffleMode::Down => (lane + b, lane + b <= most),
        ShuffleMode::Butterfly => (lane ^ b, lane ^ b <= most),
        ShuffleMode::Index => (least | b & !segment, least | b & !segment <= most),
    };
    (if inside { from } else { lane }, inside)
}

#[test]
fn shuffles_follow_the_manual() {
    assert_eq!(shuffle_source(ShuffleMode::Butterfly, 5, 16, 0x1f), (21, true));
    assert_eq!(shuffle_source(ShuffleMode::Down, 30, 4, 0x1f), (30, false));
    assert_eq!(shuffle_source(ShuffleMode::Up, 2, 3, 0), (2, false));
    assert_eq!(shuffle_source(ShuffleMode::Up, 7, 3, 0), (4, true));
    assert_eq!(shuffle_source(ShuffleMode::Index, 9, 3, 0x181f), (11, true));
}
