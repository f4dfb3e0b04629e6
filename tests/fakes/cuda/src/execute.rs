//! Executing launches, and those that are remembered.

use crate::{
    driver::{Driver, Handle},
    launch::{self, Cost, End, Shape},
    memory::Content,
    script::What,
    status::Status,
    work::{LAUNCH_NANOSECONDS, Launch},
};
use std::collections::BTreeMap;

/// Contents that are kept for launches to be repeated.
const REMEMBERED_BYTES: usize = 256 << 20;

/// What a launch did to a state of the memory that it met before.
struct Remembered {
    cost: Cost,
    writes: Vec<Content>,
}

/// Module, kernel, shape, parameters, and the state of all memory.
pub type Launched = (Handle, String, Shape, Vec<u8>, [u8; 32]);
/// No module has this number.
pub const NEVER: Handle = 0;

/// Launches that need not be executed again. A kernel is a function of its code, shape, parameters and of all memory; where all of
/// these are as they were, it would do what it did.
#[derive(Default)]
pub struct Memo {
    met: BTreeMap<Launched, Remembered>,
    /// What each kernel was seen to write, for a flip to have a target.
    outputs: BTreeMap<(Handle, String, Vec<u8>), Vec<u64>>,
    bytes: usize,
    pub interpreted: u64,
    pub repeated: u64,
}

impl Driver {
    /// Runs a kernel; the nanoseconds that it took.
    ///
    /// # Errors
    /// What becomes of the device, or of the launch.
    pub fn execute(&mut self, device: u32, stream: Handle, launch: &Launch) -> Result<f64, Status> {
        match launch.planned {
            Some(What::Illegal) => return Err(Status::ILLEGAL_ADDRESS),
            Some(What::Hangs) => return Err(Status::HANGS),
            _ => {}
        }
        let host = self.host_memory(launch);
        if !host.is_empty() {
            self.beside_the_host(launch, &host)?;
            // It may have waited for what the host did last.
            if let Some(stream) = self.streams.get_mut(&stream) {
                stream.clock = stream.clock.max(self.host);
            }
            return Ok(LAUNCH_NANOSECONDS);
        }
        let cost = self.repeat_or_run(device, launch).map_err(|end| self.fault(end))?;
        if launch.planned == Some(What::Flips) {
            self.flip(launch);
        }
        let chip = &self.chip;
        let busy = [
            (cost.read + cost.written) as f64 / chip.bandwidth(),
            cost.flops as f64 / chip.rate(),
            cost.turns as f64 / chip.turns(),
        ];
        let pace = self.paces.get(&launch.module).copied().unwrap_or(1.0);
        Ok((LAUNCH_NANOSECONDS + busy.into_iter().fold(0.0, f64::max) * 1e9) * pace)
    }

    /// What becomes of a launch that ended so, with words in the log.
    fn fault(&mut self, end: End) -> Status {
        let (status, words) = match end {
            End::Illegal(words) => (Status::ILLEGAL_ADDRESS, words),
            End::Failed(words) => (Status::LAUNCH_FAILED, words),
            End::Never(words) => (Status::HANGS, words),
        };
        self.log.write(&format!("fault {words}"));
        status
    }

    /// Parameters that point to pinned memory of the host: where they stand, and the memory behind them.
    fn host_memory(&self, launch: &Launch) -> Vec<(usize, usize, usize)> {
        let found = |(index, word): (usize, &[u8; 8])| {
            let address = u64::from_le_bytes(*word) as usize;
            let (begin, held) = self.pinned.range(..=address).next_back()?;
            (address < begin + held.len()).then(|| (8 * index, address, begin + held.len() - address))
        };
        launch.parameters.as_chunks().0.iter().enumerate().filter_map(found).collect()
    }

    /// A kernel that sees memory of the host, and may wait for the host: where it does not end soon it has done nothing yet, and begins
    /// anew when the host makes its next call. Where each call of the host waits for its work, the kernel waits in vain.
    fn beside_the_host(&mut self, launch: &Launch, host: &[(usize, usize, usize)]) -> Result<(), Status> {
        let Launch { code, kernel, shape, .. } = launch;
        let mut parameters = launch.parameters.clone();
        let mut lent = Vec::new();
        for (at, address, bytes) in host {
            let shown = self.memory.raw.allocate(*bytes);
            // SAFETY: the range was found within a pinned allocation, which lives until it is freed under the driver's lock.
            let from = unsafe { std::slice::from_raw_parts(*address as *const u8, *bytes) };
            self.memory.raw.bytes_mut(shown, *bytes).map_err(|_| Status::ILLEGAL_ADDRESS)?.copy_from_slice(from);
            parameters[*at..at + 8].copy_from_slice(&shown.to_le_bytes());
            lent.push((shown, *address, *bytes));
        }
        let options = launch::beside_the_host(&self.chip);
        let outcome = launch::run(code, kernel, *shape, &parameters, &mut self.memory.raw, &options);
        for (shown, address, bytes) in lent {
            if outcome.is_ok() {
                let from = self.memory.raw.bytes(shown, bytes).map_err(|_| Status::ILLEGAL_ADDRESS)?;
                // SAFETY: as above.
                unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), address as *mut u8, bytes) };
            }
            self.memory.raw.free(shown).map_err(|_| Status::ILLEGAL_ADDRESS)?;
        }
        match outcome {
            Ok(_) => Ok(()),
            Err(End::Never(_)) => Err(Status::WAITS),
            Err(end) => Err(self.fault(end)),
        }
    }

    fn repeat_or_run(&mut self, device: u32, launch: &Launch) -> Result<Cost, End> {
        let met = (launch.module, launch.kernel.clone(), launch.shape, launch.parameters.clone(), self.memory.state());
        if let Some(cost) = self.recall(&met) {
            return Ok(cost);
        }
        let before = self.memory.hashes();
        let Launch { code, kernel, shape, parameters, .. } = launch;
        let joined = self.joined.iter().filter(|(from, _)| *from == device).map(|(_, to)| *to);
        let reached: Vec<u32> = std::iter::once(device).chain(joined).collect();
        let hidden = self.memory.beyond(&reached);
        let hidden = self.memory.raw.hide(hidden.into_iter());
        let outcome = launch::run(code, kernel, *shape, parameters, &mut self.memory.raw, &launch::options(&self.chip));
        self.memory.raw.show(hidden);
        let writes = self.memory.changes(&before);
        let cost = outcome?;
        self.log.write(&format!("ran {kernel} {} operations {} read {} written", cost.flops, cost.read, cost.written));
        self.memo.interpreted += 1;
        let outputs = self.memo.outputs.entry((launch.module, kernel.clone(), parameters.clone())).or_default();
        for content in &writes {
            if !outputs.contains(&content.address) {
                outputs.push(content.address);
            }
        }
        self.remember(met, cost, writes);
        Ok(cost)
    }

    /// Does again what is known to come of a launch; its cost.
    pub fn recall(&mut self, met: &Launched) -> Option<Cost> {
        let known = self.memo.met.get(met)?;
        known.writes.iter().for_each(|content| self.memory.restore(content));
        self.memo.repeated += 1;
        Some(known.cost)
    }

    /// Keeps what came of a launch.
    pub fn remember(&mut self, met: Launched, cost: Cost, writes: Vec<Content>) {
        self.memo.bytes += writes.iter().map(Content::len).sum::<usize>();
        if self.memo.bytes > REMEMBERED_BYTES {
            self.memo.bytes = 0;
            self.memo.met.clear();
        }
        self.memo.met.insert(met, Remembered { cost, writes });
    }

    /// Turns one bit in the middle of what the kernel was seen to write.
    fn flip(&mut self, launch: &Launch) {
        let written = self.memo.outputs.get(&(launch.module, launch.kernel.clone(), launch.parameters.clone()));
        let target = written.and_then(|written| written.first().copied()).and_then(|address| self.memory.raw.allocation(address));
        let Some((address, bytes)) = target else {
            self.log.write(&format!("fault {} wrote nothing that a bit could be flipped in", launch.kernel));
            return;
        };
        // The second-highest bit of a word is one of the exponent in every format.
        let at = address + ((bytes / 2) | 7).min(bytes - 1);
        if let Ok(byte) = self.memory.write(at, 1) {
            byte[0] ^= 0x40;
        }
    }
}
