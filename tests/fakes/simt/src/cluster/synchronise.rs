//! Barriers, mbarriers and the pool of registers (PTX ISA, Parallel Synchronization; setmaxnreg).

use super::Cluster;
use super::access::Place;
use super::step::Flow;
use crate::Fault;
use crate::barrier::Mbarrier;
use crate::op::{MbarrierOp, Op, Source};
use crate::warp::{Wait, lanes};

/// One in so many waits that would have to wait fails at once instead.
const SPURIOUS: u64 = 2;

impl Cluster<'_> {
    pub(super) fn synchronise(&mut self, warp: usize, group: usize, mask: u32, op: &Op) -> Result<Flow, Fault> {
        match op {
            Op::Barrier { wait, aligned, id, threads } => {
                if *aligned && let Some(flow) = self.aligned(warp, group, mask)? {
                    return Ok(flow);
                }
                self.barrier_of_block(warp, mask, *wait, *id, *threads)
            }
            Op::ClusterArrive => {
                if let Some(flow) = self.aligned(warp, group, mask)? {
                    return Ok(flow);
                }
                if self.warps[warp].cluster_arrived.is_some() {
                    return Err(Fault::Broken("it arrives twice at the cluster's barrier without waiting".into()));
                }
                self.warps[warp].cluster_arrived = Some(self.barrier.opened);
                let known = self.order.release(warp);
                self.barrier.arrive(mask.count_ones(), self.cluster_threads(), &known).map_err(Fault::Broken)?;
                Ok(Flow::Next)
            }
            Op::ClusterWait => {
                if let Some(flow) = self.aligned(warp, group, mask)? {
                    return Ok(flow);
                }
                let arrived = self.warps[warp].cluster_arrived.take();
                let opened =
                    arrived.ok_or_else(|| Fault::Broken("it waits at the cluster's barrier without having arrived".into()))?;
                Ok(Flow::Arrived(Wait::Cluster { opened }))
            }
            Op::Mbarrier { at, op } => {
                let addresses = self.addresses(warp, at);
                let mut places = [(0, 0); 32];
                for lane in lanes(mask) {
                    places[lane] = match self.place(warp, at.space, addresses[lane], 8)? {
                        Place::Shared(block, offset) => (block, offset),
                        _ => return Err(Fault::Broken("an mbarrier lies in shared memory".into())),
                    };
                }
                self.mbarrier(warp, group, mask, &places, op)
            }
            Op::SetRegisters { grow, count } => {
                if let Some(flow) = self.aligned(warp, group, mask)? {
                    return Ok(flow);
                }
                self.set_registers(warp, *grow, *count)
            }
            _ => Ok(Flow::Next),
        }
    }

    fn barrier_of_block(&mut self, warp: usize, mask: u32, wait: bool, id: Source, threads: Option<Source>) -> Result<Flow, Fault> {
        let lane = mask.trailing_zeros() as usize;
        let id = self.value(warp, id)[lane] as u32;
        let needed = threads.map_or(self.geometry.threads(), |threads| self.value(warp, threads)[lane] as u32);
        if id > 15 || (threads.is_some() && (needed == 0 || !needed.is_multiple_of(32))) {
            return Err(Fault::Broken(format!("barrier {id} for {needed} threads")));
        }
        let known = self.order.release(warp);
        let block = self.warps[warp].block;
        let barrier = &mut self.blocks[block].barriers[id as usize];
        let opened = barrier.opened;
        barrier.arrive(mask.count_ones(), needed, &known).map_err(|why| Fault::Broken(format!("barrier {id}: {why}")))?;
        Ok(if wait { Flow::Arrived(Wait::Barrier { id, opened }) } else { Flow::Next })
    }

    /// A barrier let the warp through.
    pub(super) fn passed(&mut self, warp: usize, wait: Option<Wait>) {
        self.counters.barriers += 1;
        self.timeouts = 0;
        let block = self.warps[warp].block;
        let known = match wait {
            Some(Wait::Barrier { id, .. }) => &self.blocks[block].barriers[id as usize].known,
            _ => &self.barrier.known,
        };
        self.order.acquire(warp, known);
    }

    fn mbarrier(
        &mut self,
        warp: usize,
        group: usize,
        mask: u32,
        places: &[(usize, u32); 32],
        op: &MbarrierOp,
    ) -> Result<Flow, Fault> {
        if let MbarrierOp::Test { done, phase, parity, blocking } = op {
            return self.test(warp, group, mask, places, (*done, *phase, *parity, *blocking));
        }
        let known = self.order.release(warp);
        let actors = self.order.actors();
        for lane in lanes(mask) {
            let (block, offset) = places[lane];
            match op {
                MbarrierOp::Init { count } => {
                    let count = self.value(warp, *count)[lane] as u32;
                    let fresh = Mbarrier::new(count, actors).map_err(Fault::Broken)?;
                    if self.blocks[block].mbarriers.insert(offset, fresh).is_some() {
                        return Err(Fault::Broken(format!("the mbarrier at {offset:#x} is initialised twice")));
                    }
                }
                MbarrierOp::Invalidate => {
                    self.mbarrier_at(block, offset)?;
                    self.blocks[block].mbarriers.remove(&offset);
                }
                MbarrierOp::Arrive { count, expect, state } => {
                    let count = self.value(warp, *count)[lane] as u32;
                    let expect = expect.map(|bytes| self.value(warp, bytes)[lane] as u32);
                    let barrier = self.mbarrier_at(block, offset)?;
                    let phase = barrier.phase;
                    let arrived = expect.map_or(Ok(()), |bytes| barrier.expect(bytes)).and_then(|()| barrier.arrive(count, &known));
                    arrived.map_err(|why| Fault::Broken(format!("mbarrier {offset:#x} of block {block}: {why}")))?;
                    self.set(warp, *state, lane, phase);
                }
                MbarrierOp::Expect { bytes } => {
                    let bytes = self.value(warp, *bytes)[lane] as u32;
                    self.mbarrier_at(block, offset)?.expect(bytes).map_err(Fault::Broken)?;
                }
                MbarrierOp::Complete { bytes } => {
                    let bytes = self.value(warp, *bytes)[lane] as u32;
                    self.mbarrier_at(block, offset)?.complete(bytes, &known).map_err(Fault::Broken)?;
                }
                MbarrierOp::Test { .. } => {}
            }
        }
        Ok(Flow::Next)
    }

    pub(super) fn mbarrier_at(&mut self, block: usize, offset: u32) -> Result<&mut Mbarrier, Fault> {
        self.blocks[block]
            .mbarriers
            .get_mut(&offset)
            .ok_or_else(|| Fault::Broken(format!("the mbarrier at {offset:#x} of block {block} is not initialised")))
    }

    fn test(
        &mut self,
        warp: usize,
        group: usize,
        mask: u32,
        places: &[(usize, u32); 32],
        (done, phase, parity, blocking): (u32, Source, bool, bool),
    ) -> Result<Flow, Fault> {
        let phases = self.value(warp, phase);
        let gives_up = self.options.spurious && self.random.once_in(SPURIOUS);
        let gives_up = gives_up || self.warps[warp].groups[group].timed_out;
        let mut over = [false; 32];
        for lane in lanes(mask) {
            let (block, offset) = places[lane];
            let now = self.mbarrier_at(block, offset)?.phase;
            if parity && phases[lane] > 1 {
                return Err(Fault::Broken(format!("{} is no parity", phases[lane])));
            }
            over[lane] = if parity { now & 1 != phases[lane] } else { now > phases[lane] };
            if !over[lane] && blocking && !gives_up {
                return Ok(Flow::Wait(Wait::Mbarrier { block, offset, phase: now }));
            }
        }
        for lane in lanes(mask) {
            let (block, offset) = places[lane];
            if over[lane] {
                let known = self.mbarrier_at(block, offset)?.known.clone();
                self.order.acquire(warp, &known);
                self.timeouts = 0;
            }
            self.set(warp, Some(done), lane, u64::from(over[lane]));
        }
        Ok(Flow::Next)
    }

    /// Registers go to and come from a pool of the block's; an increase waits until there are enough.
    fn set_registers(&mut self, warp: usize, grow: bool, count: u32) -> Result<Flow, Fault> {
        let this = &mut self.warps[warp];
        let block = &mut self.blocks[this.block];
        if !count.is_multiple_of(8) || !(24..=256).contains(&count) || grow == (count < this.budget) && count != this.budget {
            let budget = this.budget;
            return Err(Fault::Broken(format!("{count} registers a thread, from {budget}")));
        }
        if grow {
            let more = (count - this.budget) * 32;
            if block.free_registers < more {
                return Ok(Flow::Wait(Wait::Registers(more)));
            }
            block.free_registers -= more;
        } else {
            block.free_registers += (this.budget - count) * 32;
        }
        this.budget = count;
        Ok(Flow::Next)
    }
}
