//! tcgen05: the tensor cores' own memory, and products from shared memory into it (PTX ISA, TensorCore 5th Generation Family Instructions).
//!
//! Products and commits of a warp form a queue, in whose order they take place, at once or as late as can be. For products and loads what a
//! warp knows of others counts up to its last `fence::after_thread_sync` alone, and what it loaded is known to others only after
//! `fence::before_thread_sync`, so that a missing fence is a race. Allocations are ordinary accesses.

use super::Cluster;
use super::access::{OwnedActor, Place};
use super::matrices::{Matrix, multiply_add};
use super::step::Flow;
use crate::Fault;
use crate::launch::Timing;
use crate::op::{Address, Element, Product, Source, Space, TensorOp};
use crate::order::{Clock, Started};
use crate::tensor::instruction::{Format, Instruction};
use crate::tensor::memory::{At, LANES, REACH, TensorMemory};
use crate::tensor::shared::Descriptor;
use crate::warp::lanes;

/// Bytes along k of a product.
const STEP: u32 = 32;

/// What a warp set in motion.
#[derive(Default)]
pub(crate) struct Tensor {
    queue: std::collections::VecDeque<(u32, Queued)>,
    pub(crate) loads: Vec<PendingLoad>,
    /// What the warp knew at its last fence after meeting others.
    known: Clock,
    /// The last of its loads that it waited for.
    waited: u32,
    /// By lane: the step of its last product.
    last: [u32; 32],
}

/// With the line where it was begun.
enum Queued {
    Multiply(Multiplication),
    /// An arrival at every target, a block and an offset there.
    Commit(Vec<(usize, u32)>, Clock),
}

struct Multiplication {
    how: Instruction,
    d: At,
    a: Descriptor,
    b: Descriptor,
    accumulate: bool,
    started: Started,
}

pub(crate) struct PendingLoad {
    pub(crate) d: Vec<u32>,
    from: At,
    started: Started,
    done: bool,
    line: u32,
}

impl Cluster<'_> {
    pub(super) fn tensor(
        &mut self,
        warp: usize,
        group: usize,
        mask: u32,
        (op, pair): (&TensorOp, Option<bool>),
        line: u32,
    ) -> Result<Flow, Fault> {
        if let Some(pair) = pair {
            self.agree_on_pairs(warp, pair)?;
        }
        let of_a_thread =
            matches!(op, TensorOp::FenceBefore | TensorOp::FenceAfter | TensorOp::Commit { .. } | TensorOp::Multiply { .. });
        if !of_a_thread && let Some(flow) = self.aligned(warp, group, mask)? {
            return Ok(flow);
        }
        match op {
            TensorOp::Allocate { to, columns } => self.tensor_allocate(warp, to, *columns)?,
            TensorOp::Relinquish => self.tensor_memory(warp).close(),
            TensorOp::Free { at, columns } => self.tensor_free(warp, *at, *columns)?,
            TensorOp::FenceBefore => self.order.waited(warp, self.warps[warp].tensor.waited),
            TensorOp::FenceAfter => self.warps[warp].tensor.known = self.order.actor(warp).knows.to_vec(),
            TensorOp::Commit { barrier, blocks } => {
                for lane in lanes(mask) {
                    let commit = self.commit(warp, lane, barrier, *blocks)?;
                    self.enqueue(warp, line, commit)?;
                }
            }
            TensorOp::Multiply { .. } => {
                for lane in lanes(mask) {
                    let product = self.multiplication(warp, lane, op)?;
                    self.enqueue(warp, line, product)?;
                }
            }
            TensorOp::Load { d, from } => {
                let from = At::new(self.same(warp, *from)? as u32);
                let first = self.warps[warp].number % 4 * REACH;
                if from.lane != first {
                    return Err(Fault::Broken(format!(
                        "lane {} of tensor memory where its warp reaches {first} and up",
                        from.lane
                    )));
                }
                let started = self.tensor_start(warp);
                self.warps[warp].tensor.loads.push(PendingLoad { d: d.clone(), from, started, done: false, line });
                if self.options.matrices == Timing::AtIssue {
                    self.perform_load(warp, self.warps[warp].tensor.loads.len() - 1)?;
                }
            }
            TensorOp::WaitLoad => self.wait_loads(warp)?,
        }
        Ok(Flow::Next)
    }

    /// All of a kernel's instructions say the same, and a block that is one of two has the other.
    fn agree_on_pairs(&mut self, warp: usize, pair: bool) -> Result<(), Fault> {
        if *self.pairs.get_or_insert(pair) != pair {
            return Err(Fault::Broken("another instruction of the kernel says otherwise whether two blocks do it together".into()));
        }
        if pair && self.warps[warp].block ^ 1 >= self.blocks.len() {
            return Err(Fault::Broken("there is no second block in the cluster".into()));
        }
        Ok(())
    }

    /// A value that all lanes must agree on.
    fn same(&self, warp: usize, source: Source) -> Result<u64, Fault> {
        let values = self.value(warp, source);
        if values.iter().any(|value| *value != values[0]) {
            return Err(Fault::Broken("its lanes differ in an operand".into()));
        }
        Ok(values[0])
    }

    fn tensor_memory(&mut self, warp: usize) -> &mut TensorMemory {
        let actors = self.order.actors();
        self.blocks[self.warps[warp].block].tensor.get_or_insert_with(|| Box::new(TensorMemory::new(actors)))
    }

    fn tensor_allocate(&mut self, warp: usize, to: &Address, columns: Source) -> Result<(), Fault> {
        let (columns, high) = (self.same(warp, columns)? as u32, self.options.shared_shift > 0);
        let Place::Shared(block, offset) = self.place(warp, Space::Shared, self.addresses(warp, to)[0], 4)? else {
            return Err(Fault::Broken("the place of an address is in shared memory".into()));
        };
        let first = self.tensor_memory(warp).allocate(columns, high).map_err(Fault::Broken)?;
        let actor = self.order.actor(warp).owned();
        self.note_write(block, offset, 4, &actor)?;
        self.generic_write(warp, block, offset, &first.to_le_bytes());
        self.note_tensor(block, At::new(first), (LANES, columns), &actor, true)
    }

    fn tensor_free(&mut self, warp: usize, at: Source, columns: Source) -> Result<(), Fault> {
        let (at, columns) = (At::new(self.same(warp, at)? as u32), self.same(warp, columns)? as u32);
        let actor = self.order.actor(warp).owned();
        self.tensor_memory(warp).free(at, columns).map_err(Fault::Broken)?;
        self.note_tensor(self.warps[warp].block, at, (LANES, columns), &actor, true)
    }

    /// An asynchronous operation that knows what its warp knew at its last fence.
    fn tensor_start(&mut self, warp: usize) -> Started {
        let mut started = self.order.start(warp);
        let known = &self.warps[warp].tensor.known;
        started.knows = if known.is_empty() { vec![0; self.order.actors()] } else { known.clone() };
        started
    }

    fn note_tensor(
        &mut self,
        block: usize,
        at: At,
        (rows, columns): (u32, u32),
        actor: &OwnedActor,
        writes: bool,
    ) -> Result<(), Fault> {
        let memory = self.blocks[block].tensor.as_mut().ok_or_else(|| Fault::Broken("no tensor memory is allocated".into()))?;
        let Some(conflict) = memory.note(at, rows, columns, &actor.borrowed(), writes) else {
            return Ok(());
        };
        if !self.options.races {
            return Ok(());
        }
        let (this, other) = (self.order.name(actor.number), self.order.name(conflict.other));
        let (does, did) = (if writes { "writes" } else { "reads" }, if conflict.wrote { "wrote" } else { "read" });
        Err(Fault::Race(format!("{this} {does} tensor memory of block {block} that {other} {did}, and nothing orders the two")))
    }

    fn enqueue(&mut self, warp: usize, line: u32, queued: Queued) -> Result<(), Fault> {
        self.warps[warp].tensor.queue.push_back((line, queued));
        if self.options.matrices == Timing::AtIssue { self.perform_queued(warp).map(|_| ()) } else { Ok(()) }
    }

    fn commit(&mut self, warp: usize, lane: usize, barrier: &Address, blocks: Option<Source>) -> Result<Queued, Fault> {
        let address = self.addresses(warp, barrier)[lane];
        let targets = self.targets(warp, lane, (address, 8), (address, false), blocks)?.into_iter();
        let mut known = self.order.release(warp);
        let own = &mut known[self.order.asynchronous(warp)];
        *own = (*own).max(self.warps[warp].tensor.last[lane]);
        Ok(Queued::Commit(targets.map(|target| (target.block, target.offset)).collect(), known))
    }

    fn multiplication(&mut self, warp: usize, lane: usize, op: &TensorOp) -> Result<Queued, Fault> {
        let TensorOp::Multiply { kind, d, a, b, how, accumulate } = op else {
            return Err(Fault::Broken("no product".into()));
        };
        let value = |source: &Source| self.value(warp, *source)[lane];
        let how = Instruction::decode(*kind, value(how) as u32, self.pairs == Some(true)).map_err(Fault::Broken)?;
        let descriptor = |source: &Source| Descriptor::decode_tensor(value(source)).map_err(Fault::Broken);
        let (a, b) = (descriptor(a)?, descriptor(b)?);
        let (d, accumulate) = (At::new(value(d) as u32), value(accumulate) != 0);
        let started = self.tensor_start(warp);
        self.warps[warp].tensor.last[lane] = started.step;
        Ok(Queued::Multiply(Multiplication { how, d, a, b, accumulate, started }))
    }

    /// The oldest of a warp's queue. False where there is none.
    fn perform_queued(&mut self, warp: usize) -> Result<bool, Fault> {
        let Some((line, queued)) = self.warps[warp].tensor.queue.pop_front() else {
            return Ok(false);
        };
        let done = match &queued {
            Queued::Multiply(product) => self.perform_multiplication(warp, product),
            Queued::Commit(targets, known) => targets.iter().try_for_each(|(block, offset)| {
                if self.blocks[*block].running == 0 {
                    return Err(Fault::Broken(format!("it arrives at block {block}, which has ended")));
                }
                let arrived = self.mbarrier_at(*block, *offset)?.arrive(1, known);
                arrived.map_err(|why| Fault::Broken(format!("mbarrier {offset:#x} of block {block}: {why}")))
            }),
        };
        done.map(|()| true).map_err(|fault| fault.begun_at(line))
    }

    /// Something of some warp, at any time.
    pub(super) fn perform_any_tensor(&mut self) -> Result<(), Fault> {
        let warp = self.random.below(self.warps.len() as u64) as usize;
        match self.warps[warp].tensor.loads.iter().position(|load| !load.done) {
            Some(at) => self.perform_load(warp, at),
            None => self.perform_queued(warp).map(|_| ()),
        }
    }

    /// Where nothing else can go on. False where there is nothing to perform.
    pub(super) fn perform_oldest_tensor(&mut self) -> Result<bool, Fault> {
        for warp in 0..self.warps.len() {
            if self.perform_queued(warp)? {
                self.timeouts = 0;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The line of something that nobody saw the end of.
    pub(super) fn tensor_left(&self) -> Option<u32> {
        self.warps.iter().find_map(|warp| warp.tensor.queue.front().map(|(line, _)| *line))
    }

    /// The blocks that multiply: one alone, or both of a pair, the even one first.
    fn multiplying(&self, warp: usize) -> Vec<usize> {
        let block = self.warps[warp].block;
        if self.pairs == Some(true) { vec![block & !1, block | 1] } else { vec![block] }
    }

    /// Elements of an operand by rows, of which each of the blocks holds a part.
    fn parts(
        &mut self,
        blocks: &[usize],
        actor: &OwnedActor,
        from: (Descriptor, Element, bool),
        (rows, k): (u32, u32),
    ) -> Result<Vec<u64>, Fault> {
        let mut all = Vec::with_capacity((rows * k) as usize);
        for block in blocks {
            all.extend(self.operand(*block, actor, from, (0, rows / blocks.len() as u32), k)?);
        }
        Ok(all)
    }

    fn perform_multiplication(&mut self, warp: usize, one: &Multiplication) -> Result<(), Fault> {
        let Instruction { m, n, a, b, d, .. } = one.how;
        let (a, b, d) = (element(a), element(b), element(d));
        let k = STEP * 8 / a.bits();
        let (blocks, actor) = (self.multiplying(warp), one.started.actor().owned());
        let left = self.parts(&blocks, &actor, (one.a, a, one.how.transpose_a), (m, k))?;
        // B comes by rows of n; the product takes it by rows of k.
        let by_n = self.parts(&blocks, &actor, (one.b, b, one.how.transpose_b), (n, k))?;
        let by_k: Vec<u64> = (0..k * n).map(|at| by_n[(at % n * k + at / n) as usize]).collect();
        let (mut left, mut right) = (Matrix::decode(a, &left), Matrix::decode(b, &by_k));
        if one.how.negate_a {
            left.negate();
        }
        if one.how.negate_b {
            right.negate();
        }
        let mut sums = Vec::with_capacity((m * n) as usize);
        for block in &blocks {
            sums.extend(self.sums(*block, one)?);
            self.note_tensor(*block, one.d, (LANES, n), &actor, true)?;
        }
        let mut sums = Matrix::decode(d, &sums);
        let product = Product { m, n, k, a, b, d, saturate: one.how.saturate };
        multiply_add(product, (m, n, k), &left, &right, &mut sums)?;
        for (block, first) in blocks.iter().zip((0..m).step_by(LANES as usize)) {
            let Some(memory) = self.blocks[*block].tensor.as_mut() else { continue };
            for at in 0..LANES * n {
                let value = sums.encode(d, (first * n + at) as usize);
                memory.write(at / n, one.d.column + at % n, value as u32);
            }
        }
        self.counters.tensor_flops += 2 * u64::from(m) * u64::from(n) * u64::from(k);
        Ok(())
    }

    /// What a block's rows of a product hold before it: nothing where it begins anew.
    fn sums(&self, block: usize, one: &Multiplication) -> Result<Vec<u64>, Fault> {
        let n = one.how.n;
        let memory = self.blocks[block].tensor.as_ref().ok_or_else(|| Fault::Broken("no tensor memory is allocated".into()))?;
        memory.check(one.d, LANES, n).map_err(Fault::Broken)?;
        if !one.accumulate {
            return Ok(vec![0; (LANES * n) as usize]);
        }
        let old = |at: u32| memory.read(at / n, one.d.column + at % n).map(u64::from);
        (0..LANES * n).map(old).collect::<Result<_, String>>().map_err(Fault::Broken)
    }

    fn perform_load(&mut self, warp: usize, at: usize) -> Result<(), Fault> {
        let load = &mut self.warps[warp].tensor.loads[at];
        if std::mem::replace(&mut load.done, true) {
            return Ok(());
        }
        let (d, from, line, actor) = (load.d.clone(), load.from, load.line, load.started.actor().owned());
        let columns = d.len() as u32;
        let done = self.tensor_memory(warp).check(from, REACH, columns).map_err(Fault::Broken);
        let block = self.warps[warp].block;
        let done = done.and_then(|()| self.note_tensor(block, from, (REACH, columns), &actor, false));
        done.map_err(|fault| fault.begun_at(line))?;
        for (register, column) in d.iter().zip(from.column..) {
            for lane in 0..REACH {
                let value = self.tensor_memory(warp).read(from.lane + lane, column);
                let value = value.map_err(|why| Fault::Broken(why).begun_at(line))?;
                self.set(warp, Some(*register), lane as usize, u64::from(value));
            }
        }
        Ok(())
    }

    fn wait_loads(&mut self, warp: usize) -> Result<(), Fault> {
        for at in 0..self.warps[warp].tensor.loads.len() {
            self.perform_load(warp, at)?;
        }
        let tensor = &mut self.warps[warp].tensor;
        tensor.waited = tensor.loads.last().map_or(tensor.waited, |load| load.started.step);
        tensor.loads.clear();
        Ok(())
    }
}

fn element(format: Format) -> Element {
    match format {
        Format::F16 => Element::F16,
        Format::Bf16 => Element::Bf16,
        Format::Tf32 => Element::Tf32,
        Format::E4m3 => Element::E4m3,
        Format::E5m2 => Element::E5m2,
        Format::U8 => Element::U8,
        Format::S8 => Element::S8,
        Format::F32 => Element::F32,
        Format::S32 => Element::S32,
    }
}
