//! Registers, special registers, and instructions that only move or convert them.

use super::Cluster;
use super::step::Flow;
use crate::Fault;
use crate::op::convert::{Conversion, Rounding, Scalar, plain};
use crate::op::{Lanes, Op, Source, Special, ones};
use crate::tensor::number::{self, Format};
use crate::warp::lanes;

/// What the device's timer says when a launch begins: nanoseconds of a day long after its first.
const STARTED: u64 = 1_700_000_000_000_000_000;

impl Cluster<'_> {
    pub(super) fn value(&self, warp: usize, source: Source) -> Lanes {
        let this = &self.warps[warp];
        match source {
            Source::Register(register) => this.registers[register as usize],
            Source::Value(value) => [value; 32],
            Source::Shared(offset) => [u64::from(self.blocks[this.block].base + offset); 32],
            Source::DynamicShared => {
                let block = &self.blocks[this.block];
                [u64::from(block.base + block.dynamic); 32]
            }
            Source::Parameter(offset) => [u64::from(offset); 32],
            Source::Special(special) => self.special(warp, special),
        }
    }

    /// Writes one lane of a register, if there is one.
    pub(super) fn set(&mut self, warp: usize, register: Option<u32>, lane: usize, value: u64) {
        if let Some(register) = register {
            self.warps[warp].registers[register as usize][lane] = value;
        }
    }

    fn special(&self, warp: usize, special: Special) -> Lanes {
        let this = &self.warps[warp];
        let block = &self.blocks[this.block];
        let shape = self.geometry.block;
        let all = |value: u32| [u64::from(value); 32];
        let each = |value: fn(u32) -> u32| std::array::from_fn(|lane| u64::from(value(lane as u32)));
        let within = |axis: usize| block.place[axis] % self.geometry.cluster[axis];
        match special {
            Special::Thread(axis) => std::array::from_fn(|lane| {
                let linear = this.number * 32 + lane as u32;
                u64::from([linear % shape[0], linear / shape[0] % shape[1], linear / shape[0] / shape[1]][axis])
            }),
            Special::BlockShape(axis) => all(shape[axis]),
            Special::Block(axis) => all(block.place[axis]),
            Special::GridShape(axis) => all(self.geometry.grid[axis]),
            Special::BlockInCluster(axis) => all(within(axis)),
            Special::ClusterShape(axis) => all(self.geometry.cluster[axis]),
            Special::ClusterRank => all(this.block as u32),
            Special::ClusterBlocks => all(self.geometry.blocks_of_cluster()),
            Special::Cluster(axis) => all(self.place[axis]),
            Special::Clusters(axis) => all(self.geometry.grid[axis] / self.geometry.cluster[axis]),
            Special::Lane => each(|lane| lane),
            Special::Warp => all(this.number),
            Special::Warps => all(self.geometry.threads().div_ceil(32)),
            Special::Multiprocessor => {
                let [x, y, z] = block.place;
                let number = x + self.geometry.grid[0] * (y + self.geometry.grid[1] * z);
                all(number % self.options.multiprocessors)
            }
            Special::Multiprocessors => all(self.options.multiprocessors),
            Special::Clock => [self.steps; 32],
            Special::GlobalTimer => [STARTED + self.steps * self.options.tick; 32],
            Special::LaneMask(0) => each(|lane| 1 << lane),
            Special::LaneMask(1) => each(|lane| (1 << lane) - 1),
            Special::LaneMask(2) => each(|lane| u32::MAX >> (31 - lane)),
            Special::LaneMask(3) => each(|lane| !(u32::MAX >> (31 - lane))),
            Special::LaneMask(_) => each(|lane| !((1 << lane) - 1)),
            Special::DynamicSharedBytes => all(self.geometry.dynamic_shared),
            Special::GridId => all(0),
        }
    }

    /// Conversions, and several narrow values as one wide one.
    pub(super) fn reshape(&mut self, warp: usize, mask: u32, op: &Op) -> Result<Flow, Fault> {
        match op {
            Op::Convert { conversion, d, width, a, b } => {
                let (a, b) = (self.value(warp, *a), b.map(|b| self.value(warp, b)));
                for lane in lanes(mask) {
                    let found = converted(a[lane], b.map(|b| b[lane]), *conversion);
                    let found = found.ok_or_else(|| Fault::Broken("this conversion is not supported".into()))?;
                    self.set(warp, Some(*d), lane, found & ones(*width));
                }
            }
            Op::Pack { d, parts, bits } => {
                let parts: Vec<Lanes> = parts.iter().map(|part| self.value(warp, *part)).collect();
                for lane in lanes(mask) {
                    let whole = parts.iter().rev().fold(0_u64, |whole, part| whole << (bits % 64) | part[lane]);
                    self.set(warp, Some(*d), lane, whole);
                }
            }
            Op::Unpack { parts, a, bits } => {
                let whole = self.value(warp, *a);
                for lane in lanes(mask) {
                    for (number, part) in parts.iter().enumerate() {
                        self.set(warp, *part, lane, whole[lane] >> (number as u32 * bits) & ones(*bits));
                    }
                }
            }
            _ => {}
        }
        Ok(Flow::Next)
    }
}

/// A conversion of one or two values, narrow floats included. Of two, the first becomes the upper half.
fn converted(a: u64, b: Option<u64>, conversion: Conversion) -> Option<u64> {
    let Conversion { to, from, rounding, saturate } = conversion;
    let single = |bits: u64| f32::from_bits(bits as u32);
    let encoded = |format: Format, bits: u64| u64::from(format.encode(single(bits), saturate));
    match (to, from) {
        (Scalar::F32, Scalar::F16) => Some(u64::from(number::F16.decode(a as u32 & 0xffff).to_bits())),
        (Scalar::F32, Scalar::Bf16) => Some(u64::from(number::BF16.decode(a as u32 & 0xffff).to_bits())),
        (Scalar::F16, Scalar::F32) => Some(encoded(number::F16, a)),
        (Scalar::Bf16, Scalar::F32) => Some(encoded(number::BF16, a)),
        (Scalar::Tf32, Scalar::F32) if rounding == Rounding::NearestAway => Some(u64::from(number::tf32_nearest_away(single(a)))),
        (Scalar::Tf32, Scalar::F32) => Some(encoded(number::TF32, a) << 13),
        (Scalar::F16x2, Scalar::F32) => Some(encoded(number::F16, a) << 16 | encoded(number::F16, b?)),
        (Scalar::Bf16x2, Scalar::F32) => Some(encoded(number::BF16, a) << 16 | encoded(number::BF16, b?)),
        (Scalar::E4m3x2, Scalar::F32) => Some(encoded(number::E4M3, a) << 8 | encoded(number::E4M3, b?)),
        (Scalar::E5m2x2, Scalar::F32) => Some(encoded(number::E5M2, a) << 8 | encoded(number::E5M2, b?)),
        (Scalar::F16x2, Scalar::E4m3x2) => Some(unpacked(number::E4M3, a)),
        (Scalar::F16x2, Scalar::E5m2x2) => Some(unpacked(number::E5M2, a)),
        _ if b.is_none() => plain(a, conversion),
        _ => None,
    }
}

/// Two 8-bit floats as two of 16 bits.
fn unpacked(format: Format, pair: u64) -> u64 {
    let half = |bits: u64| u64::from(number::F16.encode(format.decode(bits as u32 & 0xff), false));
    half(pair >> 8) << 16 | half(pair)
}
