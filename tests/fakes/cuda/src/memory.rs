//! The devices' memory: what is held, by whom, and a hash of each content, by which a state is recognised.

use crate::status::Status;
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, sync::Arc};

/// A driver hands memory out in grains.
const GRAIN: u64 = 512;

type Hash = [u8; 32];

struct Held {
    device: u32,
    bytes: u64,
    /// Of the content; none after a write.
    hash: Option<Hash>,
}

/// An allocation's content at some time.
#[derive(Clone)]
pub struct Content {
    pub address: u64,
    bytes: Arc<[u8]>,
    hash: Hash,
}

impl Content {
    pub fn len(&self) -> usize {
        self.bytes.len()
    }
}

/// Memory of all devices; addresses are unique over them.
#[derive(Default)]
pub struct Memory {
    pub raw: simt::Memory,
    held: BTreeMap<u64, Held>,
}

impl Memory {
    /// Bytes that a device has given away.
    pub fn used(&self, device: u32) -> u64 {
        self.held.values().filter(|held| held.device == device).map(|held| held.bytes.next_multiple_of(GRAIN)).sum()
    }

    /// # Errors
    /// `OUT_OF_MEMORY`, and `INVALID_VALUE` for nothing.
    pub fn allocate(&mut self, device: u32, bytes: u64, total: u64) -> Result<u64, Status> {
        if bytes == 0 {
            return Err(Status::INVALID_VALUE);
        }
        let rounded = bytes.checked_next_multiple_of(GRAIN).ok_or(Status::OUT_OF_MEMORY)?;
        if self.used(device).checked_add(rounded).is_none_or(|all| all > total) {
            return Err(Status::OUT_OF_MEMORY);
        }
        let address = self.raw.allocate(bytes as usize);
        self.held.insert(address, Held { device, bytes, hash: None });
        Ok(address)
    }

    /// # Errors
    /// `INVALID_VALUE` where no allocation begins.
    pub fn free(&mut self, address: u64) -> Result<(), Status> {
        self.held.remove(&address).ok_or(Status::INVALID_VALUE)?;
        self.raw.free(address).map_err(|_| Status::INVALID_VALUE)
    }

    /// # Errors
    /// `INVALID_VALUE` outside an allocation.
    pub fn read(&self, address: u64, length: usize) -> Result<&[u8], Status> {
        self.raw.bytes(address, length).map_err(|_| Status::INVALID_VALUE)
    }

    /// # Errors
    /// `INVALID_VALUE` outside an allocation.
    pub fn write(&mut self, address: u64, length: usize) -> Result<&mut [u8], Status> {
        let (begin, _) = self.raw.allocation(address).ok_or(Status::INVALID_VALUE)?;
        if let Some(held) = self.held.get_mut(&begin) {
            held.hash = None;
        }
        self.raw.bytes_mut(address, length).map_err(|_| Status::INVALID_VALUE)
    }

    /// Allocations of devices that are not among these.
    pub fn beyond(&self, reached: &[u32]) -> Vec<u64> {
        self.held.iter().filter(|(_, held)| !reached.contains(&held.device)).map(|(address, _)| *address).collect()
    }

    /// Device that holds an address.
    pub fn device_of(&self, address: u64) -> Option<u32> {
        let (begin, _) = self.raw.allocation(address)?;
        self.held.get(&begin).map(|held| held.device)
    }

    /// Hash of everything that is held and where.
    pub fn state(&mut self) -> Hash {
        let mut all = Sha256::new();
        for (address, held) in &mut self.held {
            let raw = &self.raw;
            let hash = held
                .hash
                .get_or_insert_with(|| Sha256::digest(raw.bytes(*address, held.bytes as usize).unwrap_or_default()).into());
            all.update(address.to_le_bytes());
            all.update(*hash);
        }
        all.finalize().into()
    }

    /// Hash of each allocation; [`Self::state`] has just been asked for.
    pub fn hashes(&self) -> BTreeMap<u64, Hash> {
        self.held.iter().filter_map(|(address, held)| Some((*address, held.hash?))).collect()
    }

    /// A kernel ran: contents that are no longer as in `before`.
    pub fn changes(&mut self, before: &BTreeMap<u64, Hash>) -> Vec<Content> {
        self.held.values_mut().for_each(|held| held.hash = None);
        self.state();
        let changed = |(address, held): (&u64, &Held)| {
            let hash = held.hash.filter(|hash| before.get(address) != Some(hash))?;
            let bytes = self.raw.bytes(*address, held.bytes as usize).ok()?;
            Some(Content { address: *address, bytes: bytes.into(), hash })
        };
        self.held.iter().filter_map(changed).collect()
    }

    /// Writes a content that this allocation once had.
    pub fn restore(&mut self, content: &Content) {
        if let Some(held) = self.held.get_mut(&content.address)
            && let Ok(bytes) = self.raw.bytes_mut(content.address, content.bytes.len())
        {
            bytes.copy_from_slice(&content.bytes);
            held.hash = Some(content.hash);
        }
    }
}

#[test]
fn memory_has_an_end() {
    let mut memory = Memory::default();
    let first = memory.allocate(0, 513, 2048).unwrap();
    assert_eq!(memory.used(0), 1024);
    assert_eq!(memory.allocate(0, 1025, 2048), Err(Status::OUT_OF_MEMORY));
    assert!(memory.allocate(1, 1025, 2048).is_ok(), "another device has its own");
    assert_eq!((memory.free(first), memory.free(first)), (Ok(()), Err(Status::INVALID_VALUE)));
    assert_eq!(memory.used(0), 0);
    assert!(memory.read(first, 1).is_err() && memory.write(first, 1).is_err());
}

#[test]
fn a_state_is_recognised_and_restored() {
    let mut memory = Memory::default();
    let (a, b) = (memory.allocate(0, 8, 4096).unwrap(), memory.allocate(0, 8, 4096).unwrap());
    let before = memory.state();
    let hashes = memory.hashes();
    memory.write(b, 8).unwrap()[3] = 1;
    let after = memory.state();
    assert_ne!(before, after);
    let changes = memory.changes(&hashes);
    assert_eq!(changes.iter().map(|content| content.address).collect::<Vec<_>>(), [b]);
    memory.write(b, 8).unwrap()[3] = 9;
    memory.restore(&changes[0]);
    assert_eq!(memory.state(), after);
    memory.write(a, 1).unwrap();
    assert_eq!(memory.state(), after, "writing the same is no change");
}
