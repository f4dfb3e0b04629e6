//! wgmma: a warpgroup's asynchronous matrix multiplications (PTX ISA, Asynchronous Warpgroup Level Matrix Instructions).
//!
//! Each of the four warps computes its own sixteen rows, from shared memory as it is when the multiplication takes place.

use super::Cluster;
use super::access::OwnedActor;
use super::matrices::{Matrix, multiply_add};
use crate::Fault;
use crate::address::RANK_SHIFT;
use crate::launch::Timing;
use crate::op::{Element, Instruction, Op, Source, Wgmma};
use crate::tensor::fragment;
use crate::tensor::shared::Descriptor;
use crate::warp::PendingWgmma;

/// Rows of a warp.
const ROWS: u32 = 16;

impl Cluster<'_> {
    pub(super) fn warpgroup(&mut self, warp: usize, op: &Op, line: u32) -> Result<(), Fault> {
        match op {
            Op::WgmmaFence => self.warps[warp].matrices.fenced = true,
            Op::WgmmaCommit => self.warps[warp].matrices.committed += 1,
            Op::WgmmaWait(pending) => self.wgmma_wait(warp, *pending)?,
            Op::Wgmma(wgmma) => self.start_wgmma(warp, wgmma, line)?,
            _ => return Err(Fault::Broken("this instruction is not supported".into())),
        }
        Ok(())
    }

    fn start_wgmma(&mut self, warp: usize, wgmma: &Wgmma, line: u32) -> Result<(), Fault> {
        let uniform = |this: &Self, source: Source| {
            let values = this.value(warp, source);
            if values.iter().all(|value| *value == values[0]) {
                Ok(values[0])
            } else {
                Err(Fault::Broken("its lanes differ in a descriptor".into()))
            }
        };
        let a = wgmma.a.as_ref().map_or(Ok(0), |source| uniform(self, *source))?;
        let b = uniform(self, wgmma.b)?;
        let accumulate = uniform(self, wgmma.accumulate)? != 0;
        self.same_descriptors(warp, (a, b))?;
        if !self.warps[warp].matrices.fenced {
            return Err(Fault::Broken("no wgmma.fence orders the registers before it".into()));
        }
        let written = &self.warps[warp].written;
        if let Some(register) = wgmma.d.iter().find(|register| accumulate && written[**register as usize] != u32::MAX) {
            return Err(Fault::Broken(format!("register {register} of the kernel is added to before it is written")));
        }
        let started = self.order.start(warp);
        let matrices = &mut self.warps[warp].matrices;
        let group = matrices.committed;
        let wgmma = Box::new(wgmma.clone());
        matrices.pending.push(PendingWgmma { wgmma, group, a, b, accumulate, started, done: false, line });
        let at = matrices.pending.len() - 1;
        if self.options.matrices == Timing::AtIssue { self.perform_wgmma(warp, at) } else { Ok(()) }
    }

    /// The four warps of a warpgroup must say the same.
    fn same_descriptors(&mut self, warp: usize, found: (u64, u64)) -> Result<(), Fault> {
        let groups = self.geometry.threads().div_ceil(128) as usize;
        let this = &mut self.warps[warp];
        let log = &mut self.descriptors[this.block * groups + this.number as usize / 4];
        let at = this.matrices.issued as usize;
        this.matrices.issued += 1;
        match log.get(at) {
            None => log.push(found),
            Some(others) if *others == found => {}
            Some(others) => {
                return Err(Fault::Broken(format!("descriptors {found:x?} where another warp of the warpgroup has {others:x?}")));
            }
        }
        Ok(())
    }

    fn wgmma_wait(&mut self, warp: usize, pending: u32) -> Result<(), Fault> {
        let committed = self.warps[warp].matrices.committed;
        let awaited = |one: &PendingWgmma| one.group + pending < committed;
        for at in 0..self.warps[warp].matrices.pending.len() {
            let one = &self.warps[warp].matrices.pending[at];
            if awaited(one) {
                let step = one.started.step;
                self.perform_wgmma(warp, at)?;
                self.order.waited(warp, step);
            }
        }
        let matrices = &mut self.warps[warp].matrices;
        matrices.pending.retain(|one| !awaited(one));
        if matrices.pending.is_empty() {
            matrices.fenced = false;
        }
        Ok(())
    }

    /// The oldest multiplication of some warp: they stay in order.
    pub(super) fn perform_any_product(&mut self) -> Result<(), Fault> {
        let warp = self.random.below(self.warps.len() as u64) as usize;
        match self.warps[warp].matrices.pending.iter().position(|one| !one.done) {
            Some(at) => self.perform_wgmma(warp, at),
            None => Ok(()),
        }
    }

    fn perform_wgmma(&mut self, warp: usize, at: usize) -> Result<(), Fault> {
        let one = &mut self.warps[warp].matrices.pending[at];
        if std::mem::replace(&mut one.done, true) {
            return Ok(());
        }
        let one = one.clone();
        self.perform(warp, &one).map_err(|fault| fault.begun_at(one.line))
    }

    fn perform(&mut self, warp: usize, one: &PendingWgmma) -> Result<(), Fault> {
        let wgmma = &one.wgmma;
        let (n, k) = (wgmma.product.n, wgmma.product.k);
        let first = self.warps[warp].number % 4 * ROWS;
        let (block, actor) = (self.warps[warp].block, one.started.actor().owned());
        let descriptor = |bits: u64| Descriptor::decode(bits).map_err(Fault::Broken);
        let mut a = match &wgmma.a {
            Ok(_) => {
                let from = (descriptor(one.a)?, wgmma.product.a, wgmma.transpose_a);
                let read = self.operand(block, &actor, from, (first, ROWS), k)?;
                Matrix::decode(wgmma.product.a, &read)
            }
            Err(registers) => {
                let sources: Vec<Source> = registers.iter().map(|register| Source::Register(*register)).collect();
                self.gather(warp, &sources, wgmma.product.a, (ROWS, k), |lane, element, held| {
                    fragment::a(lane, element, held, ROWS)
                })
            }
        };
        // B comes by rows of n; the product takes it by rows of k.
        let by_n = self.operand(block, &actor, (descriptor(one.b)?, wgmma.product.b, wgmma.transpose_b), (0, n), k)?;
        let by_k: Vec<u64> = (0..k * n).map(|at| by_n[(at % n * k + at / n) as usize]).collect();
        let mut b = Matrix::decode(wgmma.product.b, &by_k);
        if wgmma.negate_a {
            a.negate();
        }
        if wgmma.negate_b {
            b.negate();
        }
        let sources: Vec<Source> = wgmma.d.iter().map(|register| Source::Register(*register)).collect();
        let mut d = if one.accumulate {
            self.gather(warp, &sources, wgmma.product.d, (ROWS, n), |lane, element, _| fragment::d(lane, element))
        } else {
            Matrix::decode(wgmma.product.d, &vec![0; (ROWS * n) as usize])
        };
        multiply_add(wgmma.product, (ROWS, n, k), &a, &b, &mut d)?;
        self.scatter(warp, &wgmma.d, wgmma.product.d, n, &d);
        self.counters.tensor_flops += 2 * u64::from(ROWS) * u64::from(n) * u64::from(k);
        Ok(())
    }

    /// Elements of an operand in shared memory, by rows of k.
    pub(super) fn operand(
        &mut self,
        block: usize,
        actor: &OwnedActor,
        (descriptor, element, along_rows): (Descriptor, Element, bool),
        (first, rows): (u32, u32),
        k: u32,
    ) -> Result<Vec<u64>, Fault> {
        let bytes = element.bits() / 8;
        let rank = (block as u64) << RANK_SHIFT;
        let addresses: Vec<u32> = (0..rows * k).map(|at| descriptor.address(first + at / k, at % k, bytes, along_rows)).collect();
        let mut chunks: Vec<u32> = addresses.iter().map(|address| address / 16 * 16).collect();
        chunks.sort_unstable();
        chunks.dedup();
        for chunk in chunks {
            let (_, offset) = self.shared_place(rank | u64::from(chunk), 16)?;
            self.check_async_read(block, offset, 16, actor)?;
        }
        let block = &self.blocks[block];
        let base = (block.base & ((1 << RANK_SHIFT) - 1)) as usize;
        Ok(addresses
            .iter()
            .map(|address| {
                let from = &block.bytes[*address as usize - base..][..bytes as usize];
                from.iter().rev().fold(0_u64, |value, byte| value << 8 | u64::from(*byte))
            })
            .collect())
    }

    /// Registers that a multiplication or a load under way writes, or reads, belong to it until it is waited for.
    pub(super) fn not_in_flight(&self, warp: usize, instruction: &Instruction) -> Result<(), Fault> {
        let loads = &self.warps[warp].tensor.loads;
        let mut touched = instruction.uses.reads.iter().chain(&instruction.uses.writes);
        if !loads.is_empty()
            && let Some(register) = touched.find(|register| loads.iter().any(|load| load.d.contains(register)))
        {
            return Err(Fault::Broken(format!("register {register} of the kernel belongs to a load that is not waited for")));
        }
        let pending = &self.warps[warp].matrices.pending;
        if pending.is_empty() || matches!(instruction.op, Op::Wgmma(_)) {
            return Ok(());
        }
        let touched = |register: &u32| {
            pending.iter().any(|one| one.wgmma.d.contains(register))
                || instruction.uses.writes.contains(register)
                    && pending.iter().any(|one| one.wgmma.a.as_ref().is_err_and(|registers| registers.contains(register)))
        };
        match instruction.uses.reads.iter().chain(&instruction.uses.writes).find(|register| touched(register)) {
            None => Ok(()),
            Some(register) => {
                Err(Fault::Broken(format!("register {register} of the kernel belongs to a wgmma that is not waited for")))
            }
        }
    }
}
