//! A warp: registers, and groups of lanes that are at the same instruction.

use crate::cluster::tensor_memory::Tensor;
use crate::op::{Lanes, Wgmma};
use crate::order::Started;
use crate::text::Class;
use std::rc::Rc;

/// What a group of lanes waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// These lanes at the same instruction.
    Converge(u32),
    /// The opening of a barrier of its block, after so many.
    Barrier { id: u32, opened: u32 },
    /// The opening of the cluster's barrier, after so many.
    Cluster { opened: u32 },
    /// The end of an mbarrier's phase.
    Mbarrier { block: usize, offset: u32, phase: u64 },
    /// So many free registers in its block.
    Registers(u32),
}

/// Lanes at the same instruction.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub pc: u32,
    pub mask: u32,
    pub wait: Option<Wait>,
    /// A wait that may time out is to do so.
    pub timed_out: bool,
}

/// A copy of a few bytes from global to shared memory that a lane started.
#[derive(Clone, Debug)]
pub(crate) struct LaneCopy {
    pub lane: u32,
    /// By number, counted by the lane's commits.
    pub group: u32,
    pub to: u32,
    pub from: u64,
    pub bytes: u32,
    /// Bytes that are read; the rest is zeros.
    pub size: u32,
    pub started: Rc<Started>,
    pub line: u32,
}

/// A bulk store that is not waited for.
#[derive(Clone, Debug)]
pub(crate) struct BulkGroup {
    pub lane: u32,
    pub group: u32,
    /// Number in the cluster's queue of bulk operations.
    pub operation: u64,
    pub step: u32,
}

/// A matrix multiplication under way: this warp's sixteen rows.
#[derive(Clone, Debug)]
pub(crate) struct PendingWgmma {
    pub wgmma: Box<Wgmma>,
    pub group: u32,
    /// Values at issue.
    pub a: u64,
    pub b: u64,
    pub accumulate: bool,
    pub started: Started,
    pub done: bool,
    pub line: u32,
}

#[derive(Default)]
pub(crate) struct Matrices {
    pub pending: Vec<PendingWgmma>,
    /// Groups committed.
    pub committed: u32,
    /// A fence orders earlier register accesses before the next multiplication.
    pub fenced: bool,
    /// Multiplications issued, for comparing the warps of a warpgroup.
    pub issued: u32,
}

pub(crate) struct Warp {
    /// Rank of its block in the cluster.
    pub block: usize,
    /// Number in its block.
    pub number: u32,
    pub registers: Vec<Lanes>,
    /// By register: the lanes that have written it.
    pub written: Vec<u32>,
    pub groups: Vec<Group>,
    /// Lanes that have threads.
    pub all: u32,
    /// With whether it took place.
    pub copies: Vec<(LaneCopy, bool)>,
    pub copies_committed: [u32; 32],
    pub bulk: Vec<BulkGroup>,
    pub bulk_committed: [u32; 32],
    pub matrices: Matrices,
    pub tensor: Tensor,
    /// Registers a thread may use.
    pub budget: u32,
    /// Places (block, 16 bytes) whose generic writes are not fenced.
    pub unfenced: Vec<(usize, u32)>,
    /// Under schedules that know importance.
    pub priority: u64,
    /// Turns taken.
    pub turns: u64,
    /// The cluster barrier's openings at this warp's arrival there.
    pub cluster_arrived: Option<u32>,
}

impl Warp {
    pub(crate) fn new(block: usize, number: u32, threads: u32, classes: &[Class], budget: u32) -> Self {
        let all = if threads >= 32 { u32::MAX } else { (1 << threads) - 1 };
        let poison = |class: &Class| match class {
            Class::Predicate => [1; 32],
            Class::Bits(bits) => [u64::MAX >> (64 - (*bits).min(64)); 32],
        };
        Self {
            block,
            number,
            registers: classes.iter().map(poison).collect(),
            written: vec![0; classes.len()],
            groups: vec![Group { pc: 0, mask: all, wait: None, timed_out: false }],
            all,
            copies: Vec::new(),
            copies_committed: [0; 32],
            bulk: Vec::new(),
            bulk_committed: [0; 32],
            matrices: Matrices::default(),
            tensor: Tensor::default(),
            budget,
            unfenced: Vec::new(),
            priority: 0,
            turns: 0,
            cluster_arrived: None,
        }
    }

    pub(crate) fn ended(&self) -> bool {
        self.groups.is_empty()
    }

    /// Lanes that have not ended.
    pub(crate) fn live(&self) -> u32 {
        self.groups.iter().fold(0, |all, group| all | group.mask)
    }

    /// Joins groups at the same instruction, unless one of them waits for what it has already set in motion.
    pub(crate) fn merge(&mut self) {
        let mut at = 0;
        while at < self.groups.len() {
            let joinable = |group: &Group| matches!(group.wait, None | Some(Wait::Converge(_)));
            let twin = (at + 1..self.groups.len()).find(|other| {
                self.groups[*other].pc == self.groups[at].pc && joinable(&self.groups[*other]) && joinable(&self.groups[at])
            });
            match twin {
                Some(other) => {
                    let other = self.groups.swap_remove(other);
                    self.groups[at].mask |= other.mask;
                    self.groups[at].wait = None;
                }
                None => at += 1,
            }
        }
    }
}

/// The numbers of the set bits.
pub(crate) fn lanes(mask: u32) -> impl Iterator<Item = usize> {
    (0..32).filter(move |lane| mask >> lane & 1 == 1)
}
