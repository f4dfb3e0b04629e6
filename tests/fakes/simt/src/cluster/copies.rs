//! Asynchronous copies: a few bytes a lane, and in bulk (PTX ISA 9.7.9.25).

use super::Cluster;
use super::access::Place;
use super::step::Flow;
use crate::Fault;
use crate::launch::Timing;
use crate::op::{Address, Bulk, Instruction, Op, Source, Space};
use crate::order::Started;
use crate::warp::{BulkGroup, LaneCopy, lanes};
use std::rc::Rc;

/// A bulk copy that a lane started.
pub(super) struct BulkOperation {
    number: u64,
    pub(super) line: u32,
    started: Started,
    kind: BulkKind,
}

enum BulkKind {
    /// To every target: a block, an offset there, and an mbarrier of that block.
    Load {
        targets: Vec<(usize, u32, u32)>,
        from: Place,
        bytes: u32,
    },
    Store {
        to: u64,
        from: (usize, u32),
        bytes: u32,
    },
}

impl Cluster<'_> {
    pub(super) fn copy(&mut self, warp: usize, mask: u32, instruction: &Instruction) -> Result<Flow, Fault> {
        match &instruction.op {
            Op::CopyAsync { to, from, bytes, size } => self.copy_async(warp, mask, (to, from, *bytes, *size), instruction.line)?,
            Op::CopyCommit => lanes(mask).for_each(|lane| self.warps[warp].copies_committed[lane] += 1),
            Op::CopyWait(pending) => self.copy_wait(warp, mask, *pending)?,
            Op::Bulk(bulk) => {
                for lane in lanes(mask) {
                    self.start_bulk(warp, lane, bulk, instruction.line)?;
                }
            }
            Op::BulkCommit => lanes(mask).for_each(|lane| self.warps[warp].bulk_committed[lane] += 1),
            Op::BulkWait { pending, .. } => self.bulk_wait(warp, mask, *pending)?,
            Op::FenceProxy => {
                let mark = warp as u16 + 1;
                for (block, granule) in std::mem::take(&mut self.warps[warp].unfenced) {
                    let unfenced = &mut self.blocks[block].unfenced[granule as usize];
                    *unfenced = if *unfenced == mark { 0 } else { *unfenced };
                }
            }
            _ => {}
        }
        Ok(Flow::Next)
    }

    fn copy_async(
        &mut self,
        warp: usize,
        mask: u32,
        (to, from, bytes, size): (&Address, &Address, u32, Option<Source>),
        line: u32,
    ) -> Result<(), Fault> {
        let (targets, sources) = (self.addresses(warp, to), self.addresses(warp, from));
        let sizes = size.map(|size| self.value(warp, size));
        let started = Rc::new(self.order.start(warp));
        for lane in lanes(mask) {
            let Place::Shared(_, to) = self.place(warp, to.space, targets[lane], bytes)? else {
                return Err(Fault::Broken("the target is not in shared memory".into()));
            };
            self.place(warp, from.space, sources[lane], bytes)?;
            let size = sizes.map_or(bytes, |sizes| sizes[lane] as u32);
            if size > bytes {
                return Err(Fault::Broken(format!("{size} bytes are read where {bytes} are written")));
            }
            let group = self.warps[warp].copies_committed[lane];
            let copy = LaneCopy { lane: lane as u32, group, to, from: sources[lane], bytes, size, started: started.clone(), line };
            self.warps[warp].copies.push((copy, false));
            if self.options.copies == Timing::AtIssue {
                self.perform_copy(warp, self.warps[warp].copies.len() - 1)?;
            }
        }
        Ok(())
    }

    fn perform_copy(&mut self, warp: usize, at: usize) -> Result<(), Fault> {
        let (copy, done) = &mut self.warps[warp].copies[at];
        if std::mem::replace(done, true) {
            return Ok(());
        }
        let copy = copy.clone();
        let block = self.warps[warp].block;
        let mut data = vec![0; copy.bytes as usize];
        if copy.size > 0 {
            data[..copy.size as usize].copy_from_slice(self.memory.bytes(copy.from, copy.size as usize)?);
        }
        self.counters.global_read += u64::from(copy.size);
        let wrote = self.note_write(block, copy.to, copy.bytes, &copy.started.actor().owned());
        wrote.map_err(|fault| fault.begun_at(copy.line))?;
        self.generic_write(warp, block, copy.to, &data);
        Ok(())
    }

    /// Performs and forgets what the lanes wait for.
    fn copy_wait(&mut self, warp: usize, mask: u32, pending: Option<u32>) -> Result<(), Fault> {
        let committed = self.warps[warp].copies_committed;
        let awaited = |copy: &LaneCopy| {
            mask >> copy.lane & 1 == 1 && pending.is_none_or(|pending| copy.group + pending < committed[copy.lane as usize])
        };
        for at in 0..self.warps[warp].copies.len() {
            let copy = &self.warps[warp].copies[at].0;
            if awaited(copy) {
                let step = copy.started.step;
                self.perform_copy(warp, at)?;
                self.order.waited(warp, step);
            }
        }
        self.warps[warp].copies.retain(|(copy, _)| !awaited(copy));
        Ok(())
    }

    pub(super) fn perform_any_copy(&mut self) -> Result<(), Fault> {
        let warp = self.random.below(self.warps.len() as u64) as usize;
        let count = self.warps[warp].copies.len() as u64;
        if count == 0 {
            return Ok(());
        }
        let chosen = self.random.below(count) as usize;
        self.perform_copy(warp, chosen)
    }

    fn start_bulk(&mut self, warp: usize, lane: usize, bulk: &Bulk, line: u32) -> Result<(), Fault> {
        let started = self.order.start(warp);
        let one = |this: &Self, address: &Address| this.addresses(warp, address)[lane];
        let kind = match bulk {
            Bulk::Load { to, from, bytes, barrier, multicast } => {
                let bytes = self.value(warp, *bytes)[lane] as u32;
                let (target, source) = (one(self, to), one(self, from));
                bulk_rules(&[target, source], bytes)?;
                let from = self.place(warp, from.space, source, bytes)?;
                let targets = self.targets(warp, lane, (target, bytes), one(self, barrier), *multicast)?;
                BulkKind::Load { targets, from, bytes }
            }
            Bulk::Store { to, from, bytes } => {
                let bytes = self.value(warp, *bytes)[lane] as u32;
                let (to, source) = (one(self, to), one(self, from));
                bulk_rules(&[to, source], bytes)?;
                let Place::Shared(block, offset) = self.place(warp, from.space, source, bytes)? else {
                    return Err(Fault::Broken("the source is not in shared memory".into()));
                };
                BulkKind::Store { to, from: (block, offset), bytes }
            }
            Bulk::TensorLoad { .. } | Bulk::TensorStore { .. } => return Err(Fault::Broken("tensor".into())),
        };
        self.counters.bulk_bytes += u64::from(kind.bytes());
        self.bulk_issued += 1;
        let number = self.bulk_issued;
        if matches!(kind, BulkKind::Store { .. }) {
            let group = self.warps[warp].bulk_committed[lane];
            let entry = BulkGroup { lane: lane as u32, group, operation: number, step: started.step };
            self.warps[warp].bulk.push(entry);
        }
        let operation = BulkOperation { number, line, started, kind };
        if self.options.copies == Timing::AtIssue {
            return self.perform_bulk(&operation);
        }
        self.bulk.push_back(operation);
        Ok(())
    }

    /// The blocks that a load writes to: the one that the address names, or all in the mask, at the same offsets there.
    pub(super) fn targets(
        &self,
        warp: usize,
        lane: usize,
        (target, bytes): (u64, u32),
        barrier: u64,
        multicast: Option<Source>,
    ) -> Result<Vec<(usize, u32, u32)>, Fault> {
        let (Place::Shared(block, offset), Place::Shared(owner, barrier)) =
            (self.place(warp, Space::ClusterShared, target, bytes)?, self.place(warp, Space::ClusterShared, barrier, 8)?)
        else {
            return Err(Fault::Broken("target and mbarrier lie in shared memory".into()));
        };
        let Some(mask) = multicast else {
            if owner != block {
                return Err(Fault::Broken(format!("it writes to block {block} and counts at an mbarrier of block {owner}")));
            }
            return Ok(vec![(block, offset, barrier)]);
        };
        let mask = self.value(warp, mask)[lane] as u32;
        if mask == 0 || mask >> self.blocks.len() != 0 {
            return Err(Fault::Broken(format!("a multicast to blocks {mask:#x} of a cluster of {}", self.blocks.len())));
        }
        Ok(lanes(mask).map(|rank| (rank, offset, barrier)).collect())
    }

    fn bulk_wait(&mut self, warp: usize, mask: u32, pending: u32) -> Result<(), Fault> {
        let committed = self.warps[warp].bulk_committed;
        let awaited = |group: &BulkGroup| mask >> group.lane & 1 == 1 && group.group + pending < committed[group.lane as usize];
        let (over, left): (Vec<_>, Vec<_>) = std::mem::take(&mut self.warps[warp].bulk).into_iter().partition(awaited);
        self.warps[warp].bulk = left;
        for group in over {
            if let Some(at) = self.bulk.iter().position(|operation| operation.number == group.operation) {
                self.perform_bulk_at(at)?;
            }
            self.order.waited(warp, group.step);
        }
        Ok(())
    }

    fn perform_bulk_at(&mut self, at: usize) -> Result<(), Fault> {
        match self.bulk.remove(at) {
            Some(operation) => self.perform_bulk(&operation).map_err(|fault| fault.begun_at(operation.line)),
            None => Ok(()),
        }
    }

    pub(super) fn perform_any_bulk(&mut self) -> Result<(), Fault> {
        let count = self.bulk.len() as u64;
        if count == 0 {
            return Ok(());
        }
        let chosen = self.random.below(count) as usize;
        self.perform_bulk_at(chosen)
    }

    /// Where nothing else can go on. False where there is nothing to perform.
    pub(super) fn perform_oldest_bulk(&mut self) -> Result<bool, Fault> {
        if self.bulk.is_empty() {
            return Ok(false);
        }
        self.timeouts = 0;
        self.perform_bulk_at(0).map(|()| true)
    }

    fn perform_bulk(&mut self, operation: &BulkOperation) -> Result<(), Fault> {
        let actor = operation.started.actor().owned();
        match &operation.kind {
            BulkKind::Load { targets, from, bytes } => {
                let data = match *from {
                    Place::Global(address) => {
                        self.counters.global_read += u64::from(*bytes);
                        self.memory.bytes(address, *bytes as usize)?.to_vec()
                    }
                    Place::Shared(block, offset) => self.async_read(block, offset, *bytes, &actor)?,
                    Place::Parameter(_) => return Err(Fault::Broken("parameters cannot be copied in bulk".into())),
                };
                for (block, offset, barrier) in targets {
                    self.async_write(*block, *offset, &data, &actor)?;
                    self.arrived(*block, *barrier, *bytes, &operation.started)?;
                }
            }
            BulkKind::Store { to, from: (block, offset), bytes } => {
                let data = self.async_read(*block, *offset, *bytes, &actor)?;
                self.memory.bytes_mut(*to, data.len())?.copy_from_slice(&data);
                self.counters.global_written += u64::from(*bytes);
            }
        }
        Ok(())
    }

    /// Bytes of a load are there: the mbarrier counts them.
    fn arrived(&mut self, block: usize, barrier: u32, bytes: u32, started: &Started) -> Result<(), Fault> {
        let end = started.end();
        let counted = self.mbarrier_at(block, barrier)?.complete(bytes, &end);
        counted.map_err(|why| Fault::Broken(format!("mbarrier {barrier:#x} of block {block}: {why}")))
    }

    fn async_write(&mut self, block: usize, offset: u32, data: &[u8], actor: &super::access::OwnedActor) -> Result<(), Fault> {
        if self.blocks[block].running == 0 {
            return Err(Fault::Broken(format!("it writes to block {block}, which has ended")));
        }
        self.note_write(block, offset, data.len() as u32, actor)?;
        self.blocks[block].bytes[offset as usize..][..data.len()].copy_from_slice(data);
        Ok(())
    }

    /// A read that ordinary stores are visible to only after a proxy fence by their writer.
    pub(super) fn async_read(
        &mut self,
        block: usize,
        offset: u32,
        bytes: u32,
        actor: &super::access::OwnedActor,
    ) -> Result<Vec<u8>, Fault> {
        for granule in offset / 16..(offset + bytes).div_ceil(16) {
            let writer = self.blocks[block].unfenced[granule as usize];
            if writer != 0 {
                let (writer, byte) = (writer - 1, granule * 16);
                return Err(Fault::Broken(format!(
                    "it reads shared byte {byte:#x} of block {block}, which warp {writer} wrote without a fence.proxy.async after it"
                )));
            }
        }
        self.note_read(block, offset, bytes, actor)?;
        Ok(self.blocks[block].bytes[offset as usize..][..bytes as usize].to_vec())
    }
}

impl BulkKind {
    fn bytes(&self) -> u32 {
        match self {
            Self::Load { bytes, .. } | Self::Store { bytes, .. } => *bytes,
        }
    }
}

fn bulk_rules(addresses: &[u64], bytes: u32) -> Result<(), Fault> {
    if bytes % 16 != 0 || addresses.iter().any(|address| address % 16 != 0) {
        return Err(Fault::Broken(format!("{bytes} bytes between {addresses:x?}: all must be multiples of 16")));
    }
    Ok(())
}

impl Fault {
    /// Adds where the operation that went wrong had been started.
    fn begun_at(self, line: u32) -> Self {
        let at = format!(", begun (line {line})");
        match self {
            Self::Broken(why) => Self::Broken(why + &at),
            Self::Race(why) => Self::Race(why + &at),
            other => other,
        }
    }
}
