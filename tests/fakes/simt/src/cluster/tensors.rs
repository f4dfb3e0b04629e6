//! What asynchronous operations do to memory, and tensor copies (PTX ISA, Tensors; cp.async.bulk.tensor).

use super::Cluster;
use super::access::{OwnedActor, Place};
use super::copies::{BulkOperation, Target};
use crate::Fault;
use crate::op::{Source, Space};
use crate::order::Started;
use crate::tensor::map::{ENCODED, Row, TensorMap};

/// Swizzles exchange chunks of so many bytes.
const CHUNK: u32 = 16;

impl Cluster<'_> {
    /// Bytes of a load are there: the mbarrier counts them.
    pub(super) fn arrived(&mut self, block: usize, barrier: u32, bytes: u32, started: &Started) -> Result<(), Fault> {
        let end = started.end();
        let counted = self.mbarrier_at(block, barrier)?.complete(bytes, &end);
        counted.map_err(|why| Fault::Broken(format!("mbarrier {barrier:#x} of block {block}: {why}")))
    }

    pub(super) fn async_write(&mut self, block: usize, offset: u32, data: &[u8], actor: &OwnedActor) -> Result<(), Fault> {
        if self.blocks[block].running == 0 {
            return Err(Fault::Broken(format!("it writes to block {block}, which has ended")));
        }
        self.note_write(block, offset, data.len() as u32, actor)?;
        self.blocks[block].bytes[offset as usize..][..data.len()].copy_from_slice(data);
        Ok(())
    }

    /// A read that ordinary stores are visible to only after a proxy fence by their writer.
    pub(super) fn check_async_read(&mut self, block: usize, offset: u32, bytes: u32, actor: &OwnedActor) -> Result<(), Fault> {
        for granule in offset / 16..(offset + bytes).div_ceil(16) {
            let writer = self.blocks[block].unfenced[granule as usize];
            if writer != 0 {
                let (writer, byte) = (writer - 1, granule * 16);
                return Err(Fault::Broken(format!(
                    "it reads shared byte {byte:#x} of block {block}, which warp {writer} wrote without a fence.proxy.async after it"
                )));
            }
        }
        self.note_read(block, offset, bytes, actor)
    }

    pub(super) fn async_read(&mut self, block: usize, offset: u32, bytes: u32, actor: &OwnedActor) -> Result<Vec<u8>, Fault> {
        self.check_async_read(block, offset, bytes, actor)?;
        Ok(self.blocks[block].bytes[offset as usize..][..bytes as usize].to_vec())
    }
}

impl Cluster<'_> {
    /// The map at an address, in the parameters or in global memory.
    pub(super) fn tensor_map(&self, warp: usize, lane: usize, map: Source) -> Result<TensorMap, Fault> {
        let address = self.value(warp, map)[lane];
        let bytes = match self.place(warp, Space::Generic, address, 64)? {
            Place::Global(address) => Some(self.memory.bytes(address, ENCODED)?),
            Place::Parameter(offset) => self.parameters.get(offset as usize..offset as usize + ENCODED),
            Place::Shared(..) => None,
        };
        let map = bytes.filter(|_| address.is_multiple_of(64)).and_then(TensorMap::decode);
        map.ok_or_else(|| Fault::Broken(format!("there is no tensor map at {address:#x}")))
    }

    pub(super) fn coordinates(&self, warp: usize, lane: usize, sources: &[Source]) -> Vec<i32> {
        sources.iter().map(|source| self.value(warp, *source)[lane] as i32).collect()
    }

    pub(super) fn tensor_load(
        &mut self,
        operation: &BulkOperation,
        targets: &[Target],
        coordinates: &[i32],
        map: &TensorMap,
    ) -> Result<(), Fault> {
        let actor = operation.started.actor().owned();
        held_rank(map, coordinates)?;
        for row in map.rows(coordinates) {
            let mut data = vec![0; map.row_bytes() as usize];
            let inside = row.inside.start as usize..row.inside.end as usize;
            if !inside.is_empty() {
                let from = self.memory.bytes(row.address + u64::from(row.inside.start), inside.len())?;
                self.counters.global_read += inside.len() as u64;
                data[inside].copy_from_slice(from);
            }
            for target in targets {
                for chunk in (0..map.row_bytes()).step_by(CHUNK as usize) {
                    let to = self.swizzled(target.block, target.offset, &row, chunk, map);
                    self.async_write(target.block, to, &data[chunk as usize..][..CHUNK as usize], &actor)?;
                }
            }
        }
        for target in targets {
            self.arrived(target.owner, target.barrier, map.box_bytes(), &operation.started)?;
        }
        Ok(())
    }

    pub(super) fn tensor_store(
        &mut self,
        actor: &OwnedActor,
        (block, offset): (usize, u32),
        coordinates: &[i32],
        map: &TensorMap,
    ) -> Result<(), Fault> {
        held_rank(map, coordinates)?;
        for row in map.rows(coordinates) {
            for chunk in (0..map.row_bytes()).step_by(CHUNK as usize) {
                let from = self.swizzled(block, offset, &row, chunk, map);
                let data = self.async_read(block, from, CHUNK, actor)?;
                let (begin, end) = (row.inside.start.max(chunk), row.inside.end.min(chunk + CHUNK));
                if begin < end {
                    let inside = &data[(begin - chunk) as usize..(end - chunk) as usize];
                    self.memory.bytes_mut(row.address + u64::from(begin), inside.len())?.copy_from_slice(inside);
                    self.counters.global_written += inside.len() as u64;
                }
            }
        }
        Ok(())
    }

    /// Where a chunk of a box lies in a block: the pattern follows the shared address, not the box.
    fn swizzled(&self, block: usize, offset: u32, row: &Row, chunk: u32, map: &TensorMap) -> u32 {
        let base = self.blocks[block].base;
        map.swizzle.apply(base + offset + row.offset + chunk) - base
    }
}

fn held_rank(map: &TensorMap, coordinates: &[i32]) -> Result<(), Fault> {
    if map.sides.len() == coordinates.len() {
        return Ok(());
    }
    Err(Fault::Broken(format!("{} coordinates for a map of rank {}", coordinates.len(), map.sides.len())))
}
