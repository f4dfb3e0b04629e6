//! Matrix instructions.

use super::Cluster;
use super::step::Flow;
use crate::Fault;
use crate::op::Instruction;

impl Cluster<'_> {
    pub(super) fn matrix(&mut self, _warp: usize, _group: usize, _mask: u32, instruction: &Instruction) -> Result<Flow, Fault> {
        Err(Fault::Broken(format!("`{}` is not supported", instruction.opcode)))
    }
    pub(super) fn perform_any_product(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}
