//! What the slots of a product must hold: the hash of every part of every tile, from what each lane stores in which order.

use crate::job::Expected;
use crate::products::{By, Kernel, LOGGED, Product, STALE, UNLOGGED};
use simt::tensor::fragment;
use std::{collections::BTreeSet, sync::Arc};

impl Kernel {
    /// What the slots must hold after a launch.
    pub fn hashed(&self, product: Arc<Product>, (down, across): (u64, u64), changed: bool) -> Expected {
        let kernel = self.clone();
        let warps = (self.warps.0 * self.warps.1) as usize;
        Box::new(move |bytes| {
            let slots: Vec<[u32; 2]> = bytes.as_chunks::<8>().0.iter().map(|slot| bytemuck::pod_read_unaligned(slot)).collect();
            let count = (down * across) as usize * warps;
            let most = simt::Options::default().multiprocessors;
            let used = if changed { LOGGED.min(count) } else { 0 };
            let unlogged = slots[1 + used..=LOGGED].iter().all(|slot| bytemuck::cast::<_, u64>(*slot) == UNLOGGED);
            if !unlogged || slots[1..=used].iter().any(|[_, unit]| *unit >= most) {
                return Err(format!("{:x?} are logged, of which {used} should be", &slots[1..=LOGGED]));
            }
            if changed {
                let logged = slots[1..=LOGGED.min(count)].iter().map(|[slot, _]| *slot as usize);
                let mut distinct: Vec<usize> = logged.filter(|slot| *slot < count).collect();
                distinct.sort_unstable();
                distinct.dedup();
                let kept = slots[1 + LOGGED..].iter().all(|slot| *slot == [STALE as u32, 0]);
                return if slots[0][0] as usize == count && distinct.len() == LOGGED.min(count) && kept {
                    Ok(())
                } else {
                    Err(format!("{} of {count} differences counted, {distinct:?} logged", slots[0][0]))
                };
            }
            let wrong = (0..count).find(|at| {
                let tile = (*at / warps) as u64;
                let origin = (tile / across * kernel.tile.0, tile % across * kernel.tile.1);
                slots[1 + LOGGED + at][0] != kernel.hash(&product, origin, (at % warps) as u64)
            });
            // A block's warps are on one unit; blocks that do not persist have a tile each.
            let units = |at: usize| slots[1 + LOGGED + at][1];
            let apart = (0..count).find(|at| units(*at) != units(at / warps * warps));
            let distinct: BTreeSet<u32> = (0..count).map(units).collect();
            let expected = (down * across) as usize;
            let strange = !kernel.by.by_maps() && distinct.len() != expected.min(most as usize);
            match wrong {
                _ if apart.is_some() || strange => Err(format!("units {distinct:?} of {expected} tiles, {apart:?}")),
                _ if slots[0][0] != 0 => Err(format!("{} differences on a first launch", slots[0][0])),
                Some(at) => Err(format!("part {at} has the hash {:#x}", slots[1 + LOGGED + at][0])),
                None => Ok(()),
            }
        })
    }

    /// The hash of what a warp stores of a tile: words in a lane's order, lanes together.
    fn hash(&self, product: &Product, (row, column): (u64, u64), warp: u64) -> u32 {
        let lane = |lane: u32| {
            let words = self.stored(lane).into_iter().flat_map(|(r, c)| {
                let (down, right) = self.origin(warp);
                product.words(self.by, row + down + r, column + right + c)
            });
            let bytes: Vec<u8> = words.collect();
            let sum = bytes
                .as_chunks::<4>()
                .0
                .iter()
                .fold(0_u32, |sum, word| sum.wrapping_add(u32::from_le_bytes(*word)).wrapping_mul(0x9e37_79b1));
            sum.wrapping_mul(lane * 2 + 1)
        };
        match (0..32).map(lane).fold(0_u32, u32::wrapping_add) {
            0 => 1,
            sum => sum,
        }
    }

    /// The first row and column of a warp within its tile.
    fn origin(&self, warp: u64) -> (u64, u64) {
        let ((tile_m, tile_n), (warps_m, warps_n)) = (self.tile, self.warps);
        (warp / warps_n * (tile_m / warps_m), warp % warps_n * (tile_n / warps_n))
    }

    /// The elements that a lane stores, from its warp's first on, in the order in which it hashes them.
    fn stored(&self, lane: u32) -> Vec<(u64, u64)> {
        let (rows, columns) = (self.tile.0 / self.warps.0, self.tile.1 / self.warps.1);
        let (group, place) = (u64::from(lane / 4), u64::from(lane % 4));
        let pair = |row: u64, column: u64| [(row, column), (row, column + 1)];
        match self.by {
            By::Lanes => {
                let wide = 16 / self.input.bytes();
                let (r, c) = (lane >> 1 & 1 | lane >> 4 << 1, lane & 1 | (lane >> 2 & 3) << 1);
                let vectors = columns / (8 * wide);
                let one = |r: u64, v: u64| (0..wide).map(move |l| (r, v * 8 * wide + u64::from(c) * wide + l));
                (0..rows / 4).flat_map(|i| (0..vectors).flat_map(move |v| one(u64::from(r) + i * 4, v))).collect()
            }
            By::DoubleTensor => (0..rows / 16)
                .flat_map(|i| {
                    (0..columns / 8)
                        .flat_map(move |j| (0..2).flat_map(move |half| pair(i * 16 + half * 8 + group, j * 8 + place * 2)))
                })
                .collect(),
            // Neighbouring lanes have exchanged halves of two products.
            By::Warp if self.output().bytes() == 2 => {
                let four = |row: u64, column: u64| (0..4).map(move |l| (row, column + l));
                let column = move |j: u64| (2 * j + place % 2) * 8 + place / 2 * 4;
                (0..rows / 8).flat_map(|half| (0..columns / 16).flat_map(move |j| four(half * 8 + group, column(j)))).collect()
            }
            By::Warp => (0..rows / 8)
                .flat_map(|half| (0..columns / 8).flat_map(move |j| pair(half * 8 + group, j * 8 + place * 2)))
                .collect(),
            // A lane has a row.
            By::Tensor => (0..columns).map(|column| (u64::from(lane), column)).collect(),
            By::Warpgroup => {
                let held = (0..columns * 16 / 32).map(|element| fragment::d(lane, element as u32));
                held.map(|(row, column)| (u64::from(row), u64::from(column))).collect()
            }
        }
    }
}
