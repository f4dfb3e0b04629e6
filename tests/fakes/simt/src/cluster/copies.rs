//! Asynchronous copies: a few bytes a lane, and in bulk (PTX ISA, Asynchronous copy).

use super::Cluster;
use super::access::Place;
use super::step::Flow;
use crate::Fault;
use crate::launch::Timing;
use crate::op::{Address, Bulk, Instruction, Op, Source, Space};
use crate::order::Started;
use crate::tensor::map::TensorMap;
use crate::tensor::shared::Swizzle;
use crate::warp::{BulkGroup, LaneCopy, lanes};
use std::rc::Rc;

/// A bulk copy that a lane started.
pub(super) struct BulkOperation {
    number: u64,
    pub(super) line: u32,
    pub(super) started: Started,
    kind: BulkKind,
}

/// Where a load goes in a block, and the mbarrier that counts it.
pub(super) struct Target {
    pub block: usize,
    pub offset: u32,
    /// Of the same block, or of the other of a pair.
    pub owner: usize,
    pub barrier: u32,
}

enum BulkKind {
    Load { targets: Vec<Target>, from: Place, bytes: u32 },
    Store { to: u64, from: (usize, u32), bytes: u32 },
    TensorLoad { targets: Vec<Target>, coordinates: Vec<i32>, map: TensorMap },
    TensorStore { from: (usize, u32), coordinates: Vec<i32>, map: TensorMap },
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
            Op::BulkWait(pending) => self.bulk_wait(warp, mask, *pending)?,
            Op::FenceProxy => {
                let writer = warp as u16 + 1;
                for (block, granule) in std::mem::take(&mut self.warps[warp].unfenced) {
                    let unfenced = &mut self.blocks[block].unfenced[granule as usize];
                    *unfenced = if *unfenced == writer { 0 } else { *unfenced };
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

    fn start_bulk(&mut self, warp: usize, lane: usize, bulk: &Bulk, begun: u32) -> Result<(), Fault> {
        let started = self.order.start(warp);
        let one = |this: &Self, address: &Address| this.addresses(warp, address)[lane];
        let kind = match bulk {
            Bulk::Load { to, from, bytes, barrier, multicast } => {
                let bytes = self.value(warp, *bytes)[lane] as u32;
                let (target, source) = (one(self, to), one(self, from));
                bulk_rules(&[target, source], bytes)?;
                let from = self.place(warp, from.space, source, bytes)?;
                let targets = self.targets(warp, lane, (target, bytes), (one(self, barrier), false), *multicast)?;
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
            Bulk::TensorLoad { to, map, coordinates, barrier, multicast, pair } => {
                let map = self.tensor_map(warp, lane, *map)?;
                let target = one(self, to);
                tensor_rules(&map, target)?;
                let targets = self.targets(warp, lane, (target, map.box_bytes()), (one(self, barrier), *pair), *multicast)?;
                BulkKind::TensorLoad { targets, coordinates: self.coordinates(warp, lane, coordinates), map }
            }
            Bulk::TensorStore { map, coordinates, from } => {
                let map = self.tensor_map(warp, lane, *map)?;
                let source = one(self, from);
                tensor_rules(&map, source)?;
                let Place::Shared(block, offset) = self.place(warp, from.space, source, map.box_bytes())? else {
                    return Err(Fault::Broken("the source is not in shared memory".into()));
                };
                BulkKind::TensorStore { from: (block, offset), coordinates: self.coordinates(warp, lane, coordinates), map }
            }
        };
        self.counters.bulk_bytes += u64::from(kind.bytes());
        self.bulk_issued += 1;
        let number = self.bulk_issued;
        if matches!(kind, BulkKind::Store { .. } | BulkKind::TensorStore { .. }) {
            let group = self.warps[warp].bulk_committed[lane];
            let entry = BulkGroup { lane: lane as u32, group, operation: number, step: started.step };
            self.warps[warp].bulk.push(entry);
        }
        let operation = BulkOperation { number, line: begun, started, kind };
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
        (barrier, pair): (u64, bool),
        multicast: Option<Source>,
    ) -> Result<Vec<Target>, Fault> {
        let (Place::Shared(block, offset), Place::Shared(owner, barrier)) =
            (self.place(warp, Space::ClusterShared, target, bytes)?, self.place(warp, Space::ClusterShared, barrier, 8)?)
        else {
            return Err(Fault::Broken("target and mbarrier lie in shared memory".into()));
        };
        let Some(mask) = multicast else {
            if owner != block && !(pair && owner ^ 1 == block) {
                return Err(Fault::Broken(format!("it writes to block {block} and counts at an mbarrier of block {owner}")));
            }
            return Ok(vec![Target { block, offset, owner, barrier }]);
        };
        let mask = self.value(warp, mask)[lane] as u32;
        if mask == 0 || mask >> self.blocks.len() != 0 || pair {
            return Err(Fault::Broken(format!("a multicast to blocks {mask:#x} of a cluster of {}", self.blocks.len())));
        }
        Ok(lanes(mask).map(|rank| Target { block: rank, offset, owner: rank, barrier }).collect())
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
                for target in targets {
                    self.async_write(target.block, target.offset, &data, &actor)?;
                    self.arrived(target.owner, target.barrier, *bytes, &operation.started)?;
                }
            }
            BulkKind::TensorLoad { targets, coordinates, map } => self.tensor_load(operation, targets, coordinates, map)?,
            BulkKind::TensorStore { from, coordinates, map } => self.tensor_store(&actor, *from, coordinates, map)?,
            BulkKind::Store { to, from: (block, offset), bytes } => {
                let data = self.async_read(*block, *offset, *bytes, &actor)?;
                self.memory.bytes_mut(*to, data.len())?.copy_from_slice(&data);
                self.counters.global_written += u64::from(*bytes);
            }
        }
        Ok(())
    }
}

impl BulkKind {
    fn bytes(&self) -> u32 {
        match self {
            Self::Load { bytes, .. } | Self::Store { bytes, .. } => *bytes,
            Self::TensorLoad { map, .. } | Self::TensorStore { map, .. } => map.box_bytes(),
        }
    }
}

/// A swizzled box repeats its pattern over rows as long as the span; others are not proven against hardware.
fn tensor_rules(map: &TensorMap, shared: u64) -> Result<(), Fault> {
    if !shared.is_multiple_of(128) {
        return Err(Fault::Broken(format!("a box at shared address {shared:#x}, which is no multiple of 128")));
    }
    if map.swizzle != Swizzle::None && map.row_bytes() != map.swizzle.span() {
        return Err(Fault::Broken(format!(
            "rows of {} bytes with a swizzle of {} are not supported",
            map.row_bytes(),
            map.swizzle.span()
        )));
    }
    Ok(())
}

fn bulk_rules(addresses: &[u64], bytes: u32) -> Result<(), Fault> {
    if !bytes.is_multiple_of(16) || addresses.iter().any(|address| address % 16 != 0) {
        return Err(Fault::Broken(format!("{bytes} bytes between {addresses:x?}: all must be multiples of 16")));
    }
    Ok(())
}

impl Fault {
    /// Adds where the operation that went wrong had been started.
    pub(super) fn begun_at(self, line: u32) -> Self {
        let at = format!(", begun (line {line})");
        match self {
            Self::Broken(why) => Self::Broken(why + &at),
            Self::Race(why) => Self::Race(why + &at),
            other => other,
        }
    }
}
