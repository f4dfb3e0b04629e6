//! Memory of the host that copies begin or end in, and the copies.

// Raw driver calls and memory that the device writes; each block gives its reason.
#![allow(unsafe_code)]

use super::{
    launch::{Memory, fault, has},
    numa,
};
use crate::{
    contract::Fault,
    plan::{Buffer, Fold, Pass, Place, value, weight},
};
use cudarc::driver::{CudaContext, CudaStream, result, sys};
use memmap2::MmapMut;
use rayon::prelude::*;
use std::{
    ptr::NonNull,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

/// Bytes that a thread fills or folds at a time; a multiple of every format's size.
const PIECE: usize = 1 << 20;

/// A buffer, wherever it lies.
pub enum Storage {
    Device(Memory),
    Host(Host),
}

/// Memory of the host: pinned, so that the copy engines reach it by themselves, or as the allocator gives it.
pub struct Host {
    context: Arc<CudaContext>,
    start: NonNull<u8>,
    bytes: usize,
    owner: Owner,
    /// The node that it was asked for on.
    node: Option<u32>,
}

/// Whose memory of the host is.
#[expect(dead_code, reason = "they own what `start` points to")]
enum Owner {
    /// Pinned by the driver, wherever it took it from.
    Driver,
    /// Ours, and pinned by the driver.
    Registered(MmapMut),
    Pageable(Vec<u8>),
}

impl Storage {
    /// # Errors
    /// [`Fault::OutOfMemory`], or the driver's words.
    pub fn allocate(context: &Arc<CudaContext>, buffer: &Buffer) -> Result<Self, Fault> {
        match buffer.place {
            Place::Device(_) => Memory::allocate(context, buffer.bytes()).map(Self::Device),
            Place::Pinned(Some(node)) if has("cuMemHostRegister_v2") && has("cuMemHostUnregister") => {
                Host::on_node(context, buffer.bytes(), node).map(Self::Host)
            }
            Place::Pinned(_) => Host::pinned(context, buffer.bytes()).map(Self::Host),
            Place::Pageable => Host::pageable(context, buffer.bytes()).map(Self::Host),
        }
    }

    /// Memory of a device.
    #[must_use]
    pub fn memory(&self) -> Option<&Memory> {
        if let Self::Device(memory) = self { Some(memory) } else { None }
    }

    /// As a kernel's argument.
    #[must_use]
    pub fn address(&self) -> u64 {
        match self {
            Self::Device(memory) => memory.address(),
            Self::Host(host) => host.start.as_ptr() as u64,
        }
    }

    /// Sets every byte; of the host's memory at once, when nothing may be under way there.
    ///
    /// # Errors
    /// [`Fault`] with the driver's words.
    pub fn set(&mut self, byte: u8, stream: &CudaStream) -> Result<(), Fault> {
        match self {
            Self::Device(memory) => memory.set(byte, stream)?,
            Self::Host(host) => host.bytes_mut().fill(byte),
        }
        Ok(())
    }

    /// Reads bytes. The caller has seen the work that writes them end.
    ///
    /// # Errors
    /// [`Fault`] outside the allocation, or with the driver's words.
    pub fn read(&self, offset: u64, to: &mut [u8]) -> Result<(), Fault> {
        match self {
            Self::Device(memory) => memory.read(offset, to),
            Self::Host(host) => {
                let from = host.bytes().get(offset as usize..).and_then(|rest| rest.get(..to.len())).ok_or_else(outside)?;
                to.copy_from_slice(from);
                Ok(())
            }
        }
    }

    /// Writes bytes.
    ///
    /// # Errors
    /// [`Fault`] outside the allocation, or with the driver's words.
    pub fn write(&mut self, offset: u64, from: &[u8]) -> Result<(), Fault> {
        match self {
            Self::Device(memory) => memory.write(offset, from),
            Self::Host(host) => {
                let to = host.bytes_mut().get_mut(offset as usize..).and_then(|rest| rest.get_mut(..from.len()));
                to.ok_or_else(outside)?.copy_from_slice(from);
                Ok(())
            }
        }
    }
}

fn outside() -> Fault {
    Fault::failed("reading or writing memory", "outside of the allocation")
}

impl Host {
    fn pageable(context: &Arc<CudaContext>, bytes: u64) -> Result<Self, Fault> {
        let out = || Fault::OutOfMemory { needed: bytes, free: None };
        let size = usize::try_from(bytes.max(1)).map_err(|_| out())?;
        let mut owner = Vec::new();
        owner.try_reserve_exact(size).map_err(|_| out())?;
        owner.resize(size, 0);
        let start = NonNull::new(owner.as_mut_ptr()).ok_or_else(out)?;
        Ok(Self { context: context.clone(), start, bytes: size, owner: Owner::Pageable(owner), node: None })
    }

    /// Pinned where a node's processors touched it first.
    fn on_node(context: &Arc<CudaContext>, bytes: u64, node: u32) -> Result<Self, Fault> {
        let out = || Fault::OutOfMemory { needed: bytes, free: None };
        let size = usize::try_from(bytes.max(1)).map_err(|_| out())?;
        let mut owner = MmapMut::map_anon(size).map_err(|_| out())?;
        numa::on_node(node, || owner.fill(0));
        let start = NonNull::new(owner.as_mut_ptr()).ok_or_else(out)?;
        context.bind_to_thread().map_err(|error| fault("binding the device", error))?;
        // SAFETY: the mapping is that long, is not registered yet, and lives until it is unregistered.
        unsafe { sys::cuMemHostRegister_v2(start.as_ptr().cast(), size, 0) }
            .result()
            .map_err(|error| fault("pinning memory", error))?;
        Ok(Self { context: context.clone(), start, bytes: size, owner: Owner::Registered(owner), node: Some(node) })
    }

    /// Share of its pages on the node that it was asked for on; blank where it was not, or where the kernel does not tell.
    pub fn local(&self) -> Option<f64> {
        numa::share(self.start.as_ptr() as usize, self.node?)
    }

    fn pinned(context: &Arc<CudaContext>, bytes: u64) -> Result<Self, Fault> {
        let out = || Fault::OutOfMemory { needed: bytes, free: None };
        let size = usize::try_from(bytes.max(1)).map_err(|_| out())?;
        context.bind_to_thread().map_err(|error| fault("binding the device", error))?;
        // SAFETY: the context is current on this thread.
        let start = unsafe { result::malloc_host(size, 0) }.map_err(|error| fault("pinning memory", error))?;
        let start = NonNull::new(start.cast::<u8>()).ok_or_else(out)?;
        // SAFETY: the driver gave so many bytes; they are made known values before any reference to them is.
        unsafe { start.as_ptr().write_bytes(0, size) };
        Ok(Self { context: context.clone(), start, bytes: size, owner: Owner::Driver, node: None })
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: the allocation is that long and initialised, and copies into it have been seen to end.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.bytes) }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and no copy out of it is under way either; the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.bytes) }
    }

    /// Writes the generator's values, on all cores.
    pub fn fill(&mut self, buffer: &Buffer, seed: u32, pass: Pass) {
        let size = buffer.dtype.bytes() as usize;
        let each = |(piece, bytes): (usize, &mut [u8])| {
            let first = piece * (PIECE / size);
            for (index, element) in bytes.chunks_exact_mut(size).enumerate() {
                let number = value(buffer.dtype, pass, seed, buffer.gap, (first + index) as u64);
                // Words alone are moved to and from the host.
                element.copy_from_slice(&(number as u32).to_le_bytes()[..size]);
            }
        };
        self.bytes_mut().par_chunks_mut(PIECE).enumerate().for_each(each);
    }

    /// The fold of its words, which are a vector, so that values and bits differ in their weights alone.
    #[must_use]
    pub fn fold(&self, fold: Fold, seed: u32) -> u32 {
        let (of, times) = match fold {
            Fold::Bits => (seed, 1),
            Fold::Values => (seed ^ crate::plan::ROW, weight(seed ^ crate::plan::COLUMN, 0)),
        };
        let each = |(piece, bytes): (usize, &[u8])| {
            let first = (piece * (PIECE / 4)) as u64;
            let words = bytes.as_chunks::<4>().0.iter().zip(first..);
            words.fold(0_u32, |sum, (word, at)| sum.wrapping_add(u32::from_le_bytes(*word).wrapping_mul(weight(of, at))))
        };
        self.bytes().par_chunks(PIECE).enumerate().map(each).reduce(|| 0, u32::wrapping_add).wrapping_mul(times)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let bound = self.context.bind_to_thread();
        let start = self.start.as_ptr().cast();
        let freed = bound.and_then(|()| match &self.owner {
            // SAFETY: the driver gave it, it is freed once, and the work that used it has been seen to end.
            Owner::Driver => unsafe { result::free_host(start) },
            // SAFETY: it was registered, and is once unregistered, after the work that used it has been seen to end.
            Owner::Registered(_) => unsafe { sys::cuMemHostUnregister(start) }.result(),
            Owner::Pageable(_) => Ok(()),
        });
        self.context.record_err(freed);
    }
}

/// Words in pinned memory by which host and device tell each other things while both are at work.
pub struct Words(Host);

impl Words {
    /// So many words, all zero.
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`], or the driver's words.
    pub fn new(context: &Arc<CudaContext>, count: usize) -> Result<Self, Fault> {
        Host::pinned(context, (count * size_of::<u32>()) as u64).map(Self)
    }

    /// As a kernel's argument: the device reaches them at the address at which the host does (unified addressing).
    #[must_use]
    pub fn address(&self) -> u64 {
        self.0.start.as_ptr() as u64
    }

    #[expect(clippy::cast_ptr_alignment, reason = "the driver aligns what it allocates to pages")]
    fn word(&self, index: usize) -> &AtomicU32 {
        assert!((index + 1) * size_of::<u32>() <= self.0.bytes, "no word {index}");
        // SAFETY: the allocation holds that many words, aligned; nobody touches them but by atomic accesses.
        unsafe { AtomicU32::from_ptr(self.0.start.as_ptr().cast::<u32>().add(index)) }
    }

    #[must_use]
    pub fn get(&self, index: usize) -> u32 {
        self.word(index).load(Ordering::Acquire)
    }

    pub fn set(&self, index: usize, value: u32) {
        self.word(index).store(value, Ordering::Release);
    }
}

/// A copy of one whole buffer into another, in the order of its stream. Both must live until it is seen to end.
pub struct Copy {
    from: Side,
    to: Side,
    bytes: usize,
}

enum Side {
    Device(u64, Arc<CudaContext>),
    Host(NonNull<u8>),
}

impl Copy {
    #[must_use]
    pub fn new(from: &Storage, to: &Storage, bytes: u64) -> Self {
        let side = |storage: &Storage| match storage {
            Storage::Device(memory) => Side::Device(memory.address(), memory.context().clone()),
            Storage::Host(host) => Side::Host(host.start),
        };
        Self { from: side(from), to: side(to), bytes: bytes as usize }
    }

    /// # Errors
    /// [`Fault`] with the driver's words.
    pub fn enqueue(&self, stream: &CudaStream) -> Result<(), Fault> {
        let (bytes, stream) = (self.bytes, stream.cu_stream());
        // SAFETY: both sides were allocated with at least so many bytes, live as long as the plan is prepared, and are not touched by
        // the host while work is under way; the stream lives as long as it is borrowed.
        let asked = unsafe {
            match (&self.from, &self.to) {
                (Side::Host(from), Side::Device(to, _)) => {
                    result::memcpy_htod_async(*to, std::slice::from_raw_parts(from.as_ptr(), bytes), stream)
                }
                (Side::Device(from, _), Side::Host(to)) => {
                    result::memcpy_dtoh_async(std::slice::from_raw_parts_mut(to.as_ptr(), bytes), *from, stream)
                }
                (Side::Device(from, one), Side::Device(to, other)) if one.cu_ctx() == other.cu_ctx() => {
                    result::memcpy_dtod_async(*to, *from, bytes, stream)
                }
                (Side::Device(from, one), Side::Device(to, other)) => {
                    result::memcpy_peer_async(other.cu_ctx(), *to, one.cu_ctx(), *from, bytes, stream)
                }
                (Side::Host(_), Side::Host(_)) => return Err(Fault::failed("copying", "from host to host")),
            }
        };
        asked.map_err(|error| fault("copying", error))
    }
}
