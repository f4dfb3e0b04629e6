//! A turn of a warp, an instruction at a time.

use super::Cluster;
use crate::Fault;
use crate::launch::Schedule;
use crate::op::{Instruction, Join, Op, Source};
use crate::warp::{Group, Wait, lanes};

/// What comes after an instruction.
#[derive(Clone, Copy)]
pub(super) enum Flow {
    Next,
    /// These lanes go on there, the others at the next instruction.
    Jump(u32, u32),
    /// These lanes end.
    Exit(u32),
    /// The instruction is to be tried again after the wait.
    Wait(Wait),
    /// It has done its part, and is over after the wait.
    Arrived(Wait),
}

impl Cluster<'_> {
    /// A few instructions of a warp.
    pub(super) fn turn(&mut self, warp: usize) -> Result<(), Fault> {
        let length = match self.options.schedule {
            Schedule::RoundRobin => 512,
            Schedule::Random => 1 + self.random.below(24),
            Schedule::Priorities | Schedule::Starved(_) => 1 + self.random.below(256),
        };
        self.warps[warp].turns += 1;
        for _ in 0..length {
            let Some(group) = self.group_to_run(warp) else {
                break;
            };
            self.step(warp, group)?;
        }
        Ok(())
    }

    /// The group that is furthest behind, so that branches meet again; in every eighth turn the one that is furthest ahead, so that
    /// none can spin for ever on what another would do.
    fn group_to_run(&self, warp: usize) -> Option<usize> {
        let this = &self.warps[warp];
        let ready = (0..this.groups.len()).filter(|group| self.is_ready(warp, this.groups[*group].wait));
        let pc = |group: &usize| this.groups[*group].pc;
        if this.turns % 8 == 7 { ready.max_by_key(pc) } else { ready.min_by_key(pc) }
    }

    fn step(&mut self, warp: usize, at: usize) -> Result<(), Fault> {
        let kernel = self.kernel;
        let group = &mut self.warps[warp].groups[at];
        let wait = group.wait.take();
        let (pc, lanes_here) = (group.pc, group.mask);
        if let Some(Wait::Barrier { .. } | Wait::Cluster { .. }) = wait {
            group.pc += 1;
            self.passed(warp, wait);
            self.warps[warp].merge();
            return Ok(());
        }
        let Some(instruction) = kernel.program.get(pc as usize) else {
            return Err(Fault::Broken(format!("warp {warp} runs past the last instruction")));
        };
        self.steps += 1;
        if self.steps > self.options.steps {
            return Err(Fault::StepLimit(self.steps - 1));
        }
        let mask = lanes_here & self.guard(warp, instruction);
        let flow = if mask == 0 {
            Flow::Next
        } else {
            self.counters.instructions += 1;
            let done = self.initialised(warp, mask, instruction).and_then(|()| self.execute(warp, at, mask, instruction));
            done.map_err(|fault| self.located(fault, warp, instruction))?
        };
        if matches!(flow, Flow::Next) {
            let written = &mut self.warps[warp].written;
            let unwritten = |from: &u32| if instruction.uses.moves { !written[*from as usize] & mask } else { 0 };
            let still = instruction.uses.reads.iter().fold(0, |lanes, from| lanes | unwritten(from));
            for register in &instruction.uses.writes {
                written[*register as usize] = (written[*register as usize] | mask) & !still;
            }
        }
        self.follow(warp, at, flow).map_err(|fault| self.located(fault, warp, instruction))
    }

    /// Refuses registers that nothing was ever written to.
    fn initialised(&self, warp: usize, mask: u32, instruction: &Instruction) -> Result<(), Fault> {
        let written = &self.warps[warp].written;
        let guard = instruction.guard.iter().map(|(register, _)| register);
        let reads = if instruction.uses.moves { &[][..] } else { &instruction.uses.reads };
        match reads.iter().chain(guard).find(|register| written[**register as usize] & mask != mask) {
            None => self.not_in_flight(warp, instruction),
            Some(register) => Err(Fault::Broken(format!("register {register} of the kernel is read before it is written"))),
        }
    }

    fn guard(&self, warp: usize, instruction: &Instruction) -> u32 {
        let Some((register, inverted)) = instruction.guard else {
            return u32::MAX;
        };
        let values = &self.warps[warp].registers[register as usize];
        let set = (0..32).fold(0_u32, |mask, lane| mask | (values[lane] as u32 & 1) << lane);
        if inverted { !set } else { set }
    }

    fn follow(&mut self, warp: usize, at: usize, flow: Flow) -> Result<(), Fault> {
        let this = &mut self.warps[warp];
        let group = &mut this.groups[at];
        group.timed_out = false;
        match flow {
            Flow::Next => group.pc += 1,
            Flow::Jump(target, taken) => {
                let rest = group.mask & !taken;
                let next = group.pc + 1;
                (group.pc, group.mask) = (target, taken);
                if rest != 0 {
                    this.groups.push(Group { pc: next, mask: rest, wait: None, timed_out: false });
                }
            }
            Flow::Exit(lanes) => {
                group.mask &= !lanes;
                group.pc += 1;
                if group.mask == 0 {
                    this.groups.swap_remove(at);
                }
                if this.groups.is_empty() {
                    self.ended(warp)?;
                }
            }
            Flow::Wait(wait) | Flow::Arrived(wait) => group.wait = Some(wait),
        }
        if self.warps[warp].groups.len() > 1 {
            self.warps[warp].merge();
        }
        Ok(())
    }

    /// A warp's last thread has ended.
    fn ended(&mut self, warp: usize) -> Result<(), Fault> {
        let this = &self.warps[warp];
        self.blocks[this.block].running -= 1;
        if !this.bulk.is_empty() {
            return Err(Fault::Broken("it ends while a bulk store may still read its shared memory".into()));
        }
        if !this.matrices.pending.is_empty() {
            return Err(Fault::Broken("it ends with a wgmma that is not waited for".into()));
        }
        if !this.tensor.loads.is_empty() {
            return Err(Fault::Broken("it ends with a load from tensor memory that is not waited for".into()));
        }
        let block = &self.blocks[this.block];
        let left = block.tensor.as_ref().map_or(0, |memory| memory.left());
        if block.running == 0 && left > 0 {
            return Err(Fault::Broken(format!("its block ends with {left} columns of tensor memory that it has not given back")));
        }
        Ok(())
    }

    /// Says where.
    fn located(&self, fault: Fault, warp: usize, instruction: &Instruction) -> Fault {
        let place = self.blocks[self.warps[warp].block].place;
        let number = self.warps[warp].number;
        let at = format!(" (line {} `{}`, block {place:?}, warp {number})", instruction.line, instruction.opcode);
        match fault {
            Fault::Broken(why) if !why.contains("(line ") => Fault::Broken(why + &at),
            Fault::Race(why) => Fault::Race(why + &at),
            other => other,
        }
    }

    fn execute(&mut self, warp: usize, group: usize, mask: u32, instruction: &Instruction) -> Result<Flow, Fault> {
        match &instruction.op {
            Op::Lanewise { .. } => Ok(self.lanewise(warp, mask, &instruction.op)),
            Op::Compare { test, d, opposite, a, b, join } => {
                let (a, b) = (self.value(warp, *a), self.value(warp, *b));
                let other = join.map(|(join, c, negate)| (join, self.value(warp, c), negate));
                for lane in lanes(mask) {
                    let found = test(a[lane], b[lane]);
                    let joined = |found: bool| match &other {
                        None => found,
                        Some((join, c, negate)) => {
                            let c = (c[lane] != 0) != *negate;
                            match join {
                                Join::And => found && c,
                                Join::Or => found || c,
                                Join::Xor => found != c,
                            }
                        }
                    };
                    self.set(warp, *d, lane, u64::from(joined(found)));
                    self.set(warp, *opposite, lane, u64::from(joined(!found)));
                }
                Ok(Flow::Next)
            }
            Op::Branch(target) => Ok(Flow::Jump(*target, mask)),
            Op::Exit => Ok(Flow::Exit(mask)),
            Op::Trap => Err(Fault::Broken("the kernel trapped".into())),
            Op::Nothing => Ok(Flow::Next),
            Op::Convert { .. } | Op::Pack { .. } | Op::Unpack { .. } => self.reshape(warp, mask, &instruction.op),
            Op::Load { .. } | Op::Store { .. } | Op::Atomic { .. } => self.access(warp, mask, &instruction.op),
            Op::CopyAsync { .. }
            | Op::CopyCommit
            | Op::CopyWait(_)
            | Op::Bulk(_)
            | Op::BulkCommit
            | Op::BulkWait(_)
            | Op::FenceProxy => self.copy(warp, mask, instruction),
            Op::Barrier { .. } | Op::ClusterArrive | Op::ClusterWait | Op::Mbarrier { .. } | Op::SetRegisters { .. } => {
                self.synchronise(warp, group, mask, &instruction.op)
            }
            Op::Tensor(op, pair) => self.tensor(warp, group, mask, (op, *pair), instruction.line),
            Op::Shuffle { .. } | Op::Vote { .. } | Op::Elect { .. } | Op::WarpSync { .. } | Op::ActiveMask { .. } => {
                self.exchange(warp, group, mask, &instruction.op)
            }
            _ => self.matrix(warp, group, mask, instruction),
        }
    }

    fn lanewise(&mut self, warp: usize, mask: u32, op: &Op) -> Flow {
        let Op::Lanewise { run, d, keep, s, flops } = op else {
            return Flow::Next;
        };
        let mut result = self.warps[warp].registers[*d as usize];
        let mut others = [[0; 32]; 4];
        for (other, source) in others.iter_mut().zip(s) {
            if !matches!(source, Source::Register(_) | Source::Value(0)) {
                *other = self.value(warp, *source);
            }
        }
        let registers = &self.warps[warp].registers;
        let sources = std::array::from_fn(|at| match s[at] {
            Source::Register(register) => &registers[register as usize],
            _ => &others[at],
        });
        run(sources, mask, &mut result);
        self.warps[warp].registers[*d as usize] = result.map(|value| value & keep);
        self.counters.flops += u64::from(flops * mask.count_ones());
        Flow::Next
    }

    /// Whether these lanes are together; the wait for those that are missing otherwise.
    pub(super) fn together(&self, warp: usize, group: usize, members: u32) -> Result<Option<Flow>, Fault> {
        let this = &self.warps[warp];
        let ended = members & !this.live();
        if ended != 0 {
            return Err(Fault::Broken(format!("it needs lanes {members:#x}, of which {ended:#x} have ended")));
        }
        let here = this.groups[group].mask;
        Ok((here & members != members).then_some(Flow::Wait(Wait::Converge(members))))
    }

    /// The same for an instruction that all threads of a warp must execute together.
    pub(super) fn aligned(&self, warp: usize, group: usize, mask: u32) -> Result<Option<Flow>, Fault> {
        let all = self.warps[warp].all;
        let apart = self.together(warp, group, all)?;
        if apart.is_none() && mask != all {
            return Err(Fault::Broken(format!("only lanes {mask:#x} execute what all of a warp must execute together")));
        }
        Ok(apart)
    }
}
