//! A cluster under way: its blocks, its warps, and who runs next.

mod access;
mod copies;
mod exchange;
mod matrices;
mod step;
mod synchronise;
pub(crate) mod tensor_memory;
mod tensors;
mod values;
mod warpgroup;

use crate::barrier::Barrier;
use crate::block::Block;
use crate::launch::{Geometry, Options, Schedule, Timing};
use crate::order::Order;
use crate::random::Random;
use crate::warp::{Wait, Warp};
use crate::{Counters, Fault, Kernel, Memory};
use copies::BulkOperation;
use std::collections::VecDeque;
use std::fmt::Write as _;

/// Registers of a multiprocessor, all of them one block's where a kernel moves registers between warps.
const REGISTERS: u32 = 65_536;
/// Most registers of a thread.
const MOST_REGISTERS: u32 = 255;
/// Waits that are timed out one after another without any going on, a warp, before it is a deadlock.
const TIMEOUTS: u32 = 3;

/// All blocks of a cluster live together; a wait is a condition that is looked at again.
pub(crate) struct Cluster<'a> {
    kernel: &'a Kernel,
    geometry: &'a Geometry,
    parameters: &'a [u8],
    memory: &'a mut Memory,
    options: &'a Options,
    /// Its place among the clusters.
    place: [u32; 3],
    blocks: Vec<Block>,
    warps: Vec<Warp>,
    order: Order,
    barrier: Barrier,
    bulk: VecDeque<BulkOperation>,
    bulk_issued: u64,
    /// Whether two blocks multiply together by tcgen05, once one of its instructions has said so.
    pairs: Option<bool>,
    /// By block and warpgroup: descriptors of the multiplications issued.
    descriptors: Vec<Vec<(u64, u64)>>,
    random: Random,
    counters: Counters,
    steps: u64,
    last: usize,
    /// Waits timed out since anything went on.
    timeouts: u32,
}

impl<'a> Cluster<'a> {
    pub(crate) fn new(
        kernel: &'a Kernel,
        geometry: &'a Geometry,
        parameters: &'a [u8],
        memory: &'a mut Memory,
        options: &'a Options,
        place: [u32; 3],
    ) -> Self {
        let (threads, ranks) = (geometry.threads(), geometry.blocks_of_cluster());
        let warps_of_block = threads.div_ceil(32);
        let order = Order::new((warps_of_block * ranks) as usize);
        let [x, y, _] = geometry.cluster;
        let blocks = (0..ranks).map(|rank| {
            let within = [rank % x, rank / x % y, rank / x / y];
            let at = [0, 1, 2].map(|axis| place[axis] * geometry.cluster[axis] + within[axis]);
            let (fixed, dynamic) = (kernel.static_shared, geometry.dynamic_shared);
            Block::new(at, rank, options.shared_shift, fixed, dynamic, warps_of_block, order.actors())
        });
        let budget = (REGISTERS / (warps_of_block * 32)).min(MOST_REGISTERS) & !7;
        let warps = (0..ranks).flat_map(|rank| {
            (0..warps_of_block)
                .map(move |number| Warp::new(rank as usize, number, threads - number * 32, &kernel.registers, budget))
        });
        let seed = place.iter().fold(options.seed, |seed, one| seed.wrapping_mul(0x100_0000_01b3) ^ u64::from(*one));
        let mut random = Random::new(seed);
        let mut warps: Vec<Warp> = warps.collect();
        for warp in &mut warps {
            warp.priority = random.next();
        }
        let groups = (ranks * warps_of_block.div_ceil(4)) as usize;
        Self {
            kernel,
            geometry,
            parameters,
            memory,
            options,
            place,
            blocks: blocks.collect(),
            warps,
            order,
            barrier: Barrier::default(),
            bulk: VecDeque::new(),
            bulk_issued: 0,
            pairs: None,
            descriptors: vec![Vec::new(); groups],
            random,
            counters: Counters::default(),
            steps: 0,
            last: 0,
            timeouts: 0,
        }
    }

    /// Runs every warp to its end.
    pub(crate) fn run(mut self, counters: &mut Counters) -> Result<(), Fault> {
        while self.warps.iter().any(|warp| !warp.ended()) {
            self.background()?;
            match self.next_warp() {
                Some(warp) => self.turn(warp)?,
                None if self.perform_oldest()? => {}
                None if self.time_out() => {}
                None => return Err(Fault::Deadlock(self.who_waits())),
            }
        }
        if let Some(left) = self.bulk.front() {
            return Err(Fault::Broken(format!("line {}: still under way when the kernel ended", left.line)));
        }
        if let Some(line) = self.tensor_left() {
            return Err(Fault::Broken(format!("line {line}: still under way when the kernel ended")));
        }
        counters.add(&self.counters);
        Ok(())
    }

    /// Some of what may happen at any time.
    fn background(&mut self) -> Result<(), Fault> {
        if self.options.copies == Timing::Random && self.random.once_in(4) {
            self.perform_any_bulk()?;
            self.perform_any_copy()?;
        }
        if self.options.matrices == Timing::Random && self.random.once_in(4) {
            self.perform_any_product()?;
            self.perform_any_tensor()?;
        }
        Ok(())
    }

    /// Something asynchronous, copies or products first as it comes. False where there is nothing to perform.
    fn perform_oldest(&mut self) -> Result<bool, Fault> {
        if self.random.once_in(2) && self.perform_oldest_tensor()? {
            return Ok(true);
        }
        Ok(self.perform_oldest_bulk()? || self.perform_oldest_tensor()?)
    }

    /// The warp whose turn it is, if any can go on.
    fn next_warp(&mut self) -> Option<usize> {
        let count = self.warps.len();
        let from = match self.options.schedule {
            Schedule::RoundRobin => self.last + 1,
            Schedule::Random => self.random.below(count as u64) as usize,
            Schedule::Priorities | Schedule::Starved(_) => return self.most_important(),
        };
        let found = (0..count).map(|step| (from + step) % count).find(|warp| self.can_run(*warp));
        self.last = found.unwrap_or(self.last);
        found
    }

    fn most_important(&mut self) -> Option<usize> {
        if self.random.once_in(64) {
            let warp = self.random.below(self.warps.len() as u64) as usize;
            self.warps[warp].priority = self.random.next();
        }
        let starved = |warp: &Warp| matches!(self.options.schedule, Schedule::Starved(rank) if rank as usize == warp.block);
        let able = (0..self.warps.len()).filter(|warp| self.can_run(*warp));
        able.max_by_key(|warp| (!starved(&self.warps[*warp]), self.warps[*warp].priority))
    }

    fn can_run(&self, warp: usize) -> bool {
        self.warps[warp].groups.iter().any(|group| self.is_ready(warp, group.wait))
    }

    fn is_ready(&self, warp: usize, wait: Option<Wait>) -> bool {
        let block = self.warps[warp].block;
        match wait {
            None => true,
            Some(Wait::Converge(_)) => false,
            Some(Wait::Barrier { id, opened }) => self.blocks[block].barriers[id as usize].opened > opened,
            Some(Wait::Cluster { opened }) => self.barrier.opened > opened,
            Some(Wait::Mbarrier { block, offset, phase }) => {
                self.blocks[block].mbarriers.get(&offset).is_none_or(|barrier| barrier.phase > phase)
            }
            Some(Wait::Registers(count)) => self.blocks[block].free_registers >= count,
        }
    }

    /// Lets one wait that may do so time out; none where all did so in vain.
    fn time_out(&mut self) -> bool {
        let waiting: Vec<(usize, usize)> = (0..self.warps.len())
            .flat_map(|warp| (0..self.warps[warp].groups.len()).map(move |group| (warp, group)))
            .filter(|(warp, group)| matches!(self.warps[*warp].groups[*group].wait, Some(Wait::Mbarrier { .. })))
            .collect();
        if waiting.is_empty() || self.timeouts >= TIMEOUTS * waiting.len() as u32 {
            return false;
        }
        let (warp, group) = waiting[self.timeouts as usize % waiting.len()];
        self.timeouts += 1;
        let group = &mut self.warps[warp].groups[group];
        (group.wait, group.timed_out) = (None, true);
        true
    }

    /// For a deadlock: everybody and what they wait for.
    fn who_waits(&self) -> String {
        let mut text = String::new();
        for (number, warp) in self.warps.iter().enumerate() {
            for group in &warp.groups {
                let at = self.kernel.program.get(group.pc as usize).map_or(0, |instruction| instruction.line);
                let lanes = group.mask.count_ones();
                let _ = write!(text, "{lanes} threads of warp {number} (block {}) at line {at} wait for ", warp.block);
                let _ = match group.wait {
                    None => write!(text, "nothing"),
                    Some(Wait::Converge(members)) => write!(text, "lanes {members:#x} to come to the same instruction"),
                    Some(Wait::Barrier { id, .. }) => {
                        let barrier = &self.blocks[warp.block].barriers[id as usize];
                        write!(text, "barrier {id} ({} of {} threads there)", barrier.arrived, barrier.needed.unwrap_or(0))
                    }
                    Some(Wait::Cluster { .. }) => {
                        write!(text, "the cluster's barrier ({} of {} threads there)", self.barrier.arrived, self.cluster_threads())
                    }
                    Some(Wait::Mbarrier { block, offset, phase }) => {
                        let state =
                            self.blocks[block].mbarriers.get(&offset).map_or("gone".into(), super::barrier::Mbarrier::describe);
                        write!(text, "mbarrier {offset:#x} of block {block} parity {} ({state})", phase & 1)
                    }
                    Some(Wait::Registers(count)) => {
                        write!(text, "{count} registers ({} free)", self.blocks[warp.block].free_registers)
                    }
                };
                text.push_str("; ");
            }
        }
        text
    }

    fn cluster_threads(&self) -> u32 {
        self.geometry.threads() * self.geometry.blocks_of_cluster()
    }
}
