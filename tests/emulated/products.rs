//! The jobs of the kernels that multiply matrices: exact sums of small integers, and the hash of every part of every tile.

use crate::job::{Argument, Claim, Contents, Expected, Job, equals, filled};
use crate::stems::{Macros, constant};
use assay::{dtype::Dtype, plan};
use simt::tensor::map::TensorMap;
use simt::tensor::number::{BF16, E4M3, E5M2, F16};
use simt::tensor::shared::Swizzle;
use simt::{Geometry, tensor::fragment};
use std::{collections::BTreeSet, sync::Arc};

const SEED: u32 = 0x7e50;
/// A hash that no tile has here.
const STALE: u64 = 7;
/// Slots before those of the tiles (kernels/tiles.cuh).
const LOGGED: usize = 7;

/// How a kernel goes about it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Lanes,
    DoubleTensor,
    Warp,
    Warpgroup,
}

/// A kernel's format, tile and warps.
#[derive(Clone)]
struct Kernel {
    by: By,
    input: Dtype,
    tile: (u64, u64),
    warps: (u64, u64),
    cluster: u64,
    shared: u32,
    macros: Macros,
}

/// The jobs of a kernel; `None` for one that multiplies no matrices.
pub fn jobs(stem: &str, macros: &Macros) -> Option<Vec<Job>> {
    let by = match stem {
        "matmul" => By::Lanes,
        "matmul_dmma" => By::DoubleTensor,
        "matmul_mma" => By::Warp,
        "matmul_wgmma" => By::Warpgroup,
        _ => return None,
    };
    let named = |name: &str| assay::dtype::DTYPES.iter().find(|row| row.name == name).map(|row| row.dtype);
    let input = match macros.get("REAL").map(String::as_str) {
        Some("double") => Dtype::Fp64,
        Some(_) => Dtype::Fp32,
        None => named(&macros["INPUT"])?,
    };
    let tile_m = if by == By::Warpgroup { 128 } else { constant(macros, "TILE_M") };
    let warps = if by == By::Warpgroup { (8, 1) } else { (constant(macros, "WARPS_M"), constant(macros, "WARPS_N")) };
    let kernel = Kernel {
        by,
        input,
        tile: (tile_m, constant(macros, "TILE_N")),
        warps,
        cluster: constant(macros, "CLUSTER").max(1),
        shared: constant(macros, "SHARED") as u32,
        macros: macros.clone(),
    };
    Some(kernel.shapes().into_iter().map(|(m, n, k)| kernel.job(m, n, k, false)).chain([kernel.job(8, 8, 16, true)]).collect())
}

/// The pattern of a value in a format, lowest byte first.
pub fn encoded(dtype: Dtype, value: f64) -> Vec<u8> {
    match dtype {
        Dtype::Fp64 => value.to_le_bytes().to_vec(),
        Dtype::Fp32 | Dtype::Tf32 => (value as f32).to_le_bytes().to_vec(),
        Dtype::Fp16 => (F16.encode(value as f32, false) as u16).to_le_bytes().to_vec(),
        Dtype::Bf16 => (BF16.encode(value as f32, false) as u16).to_le_bytes().to_vec(),
        Dtype::E4m3 => vec![E4M3.encode(value as f32, false) as u8],
        Dtype::E5m2 => vec![E5M2.encode(value as f32, false) as u8],
        Dtype::Fp4 => {
            let magnitude =
                [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0].iter().position(|known| *known == value.abs()).expect("of the format");
            vec![magnitude as u8 | u8::from(value.is_sign_negative() && magnitude > 0) << 3]
        }
        Dtype::Int8 => vec![value as i8 as u8],
        Dtype::Int32 | Dtype::Uint32 => (value as i32).to_le_bytes().to_vec(),
    }
}

fn small(buffer: u32, at: u64) -> i32 {
    plan::small(plan::buffer_seed(SEED, buffer), at)
}

/// A product of small integers.
struct Product {
    output: Dtype,
    m: u64,
    n: u64,
    sums: Vec<i32>,
}

impl Product {
    fn new(kernel: &Kernel, (m, n, k): (u64, u64, u64)) -> Self {
        let a: Vec<i32> = (0..m * k).map(|at| small(0, at) * kernel.scale()).collect();
        // By rows of n, whichever way B lies.
        let b: Vec<i32> = if kernel.along_k() {
            (0..n * k).map(|at| small(1, at)).collect()
        } else {
            (0..n * k).map(|at| small(1, at % k * n + at / k)).collect()
        };
        let row = |matrix: &[i32], row: u64| matrix[(row * k) as usize..][..k as usize].to_vec();
        let sum = |at: u64| row(&a, at / n).iter().zip(&row(&b, at % n)).map(|(a, b)| a * b).sum();
        Self { output: kernel.output(), m, n, sums: (0..m * n).map(sum).collect() }
    }

    /// The words of an element; outside of the matrix zero, or what its last row and column hold.
    fn words(&self, by: By, row: u64, column: u64) -> Vec<u8> {
        let inside = row < self.m && column < self.n;
        let (row, column) = (row.min(self.m - 1), column.min(self.n - 1));
        let value = if inside || by == By::Warp { self.sums[(row * self.n + column) as usize] } else { 0 };
        encoded(self.output, f64::from(value))
    }

    fn bytes(&self) -> Vec<u8> {
        self.sums.iter().flat_map(|sum| encoded(self.output, f64::from(*sum))).collect()
    }
}

impl Kernel {
    fn output(&self) -> Dtype {
        match self.input {
            Dtype::E4m3 | Dtype::E5m2 => Dtype::Bf16,
            Dtype::Int8 => Dtype::Int32,
            Dtype::Tf32 => Dtype::Fp32,
            other => other,
        }
    }

    /// What elements of A are multiples of, so that sums in double precision use the lower half of their significands.
    fn scale(&self) -> i32 {
        if self.input == Dtype::Fp64 { 1_000_003 } else { 1 }
    }

    /// Whether both operands lie along k.
    fn along_k(&self) -> bool {
        matches!(self.by, By::Warp | By::Warpgroup)
    }

    /// Steps of k that pass through shared memory together.
    fn slab(&self) -> u64 {
        match self.by {
            By::DoubleTensor => 16,
            By::Lanes | By::Warp => 64 / self.input.bytes(),
            By::Warpgroup => 128 / self.input.bytes(),
        }
    }

    /// Whole and ragged in every direction, more slabs than are under way together and fewer, more than one band of tiles.
    fn shapes(&self) -> Vec<(u64, u64, u64)> {
        let ((m, n), slab) = (self.tile, self.slab());
        match self.by {
            By::Lanes => {
                let mut shapes = vec![
                    (m * 9, n * 2, 16),
                    (2 * m, n, 96),
                    (m + 3, n * 2 + 5, 70),
                    (m - 5, n - 4, 16),
                    (1, 1, 1),
                    (m, n, 0),
                    // Whole but for one side: rows that 16 bytes do not divide, a slab that is cut.
                    (m, n + 1, 16),
                    (m, n, slab * 3 / 2),
                ];
                // An edge through each of the rows and columns that a thread holds.
                shapes.extend([29, 30, 31, 33, 34, 35].map(|n| (m, n, 5)));
                shapes.extend([2, 7, 11, 14, 19, 22, 26, 31, 98].map(|m| (m, 9, 23)));
                shapes
            }
            By::DoubleTensor => vec![(m * 9, n, 16), (m, n * 2, 112), (m + 3, n + 6, 42), (m - 5, n - 34, 2), (1, 2, 2), (m, n, 0)],
            // The last slab is cut after each of its chunks.
            By::Warp if n <= 64 => {
                vec![(m * 9, n * 2, slab), (m, n, 3 * slab + 16), (m + 3, n + 8, 2 * slab - 16), (m - 9, n - 24, 16)]
            }
            By::Warp => vec![(m, n, 6 * slab), (m + 3, n + 40, slab + 16), (m - 9, n - 24, 16), (2, 8, 5 * slab)],
            // Tile counts even, odd and one; a group that is not full; several turns a block, several clusters, and one without work.
            By::Warpgroup if self.macros["STAGES"] == "1" => vec![(m + 72, n + 40, slab + 16), (m, n, 3 * slab)],
            By::Warpgroup => {
                let mut shapes = vec![(m * 3, n * 2, 2 * slab), (m + 72, n + 40, slab + 16), (m, n, 6 * slab), (8, 8, 16)];
                // One group of tiles and the beginning of the next.
                let rows = constant(&self.macros, "GROUP") * self.cluster * m;
                shapes.extend((self.input == Dtype::Bf16 && n == 256).then_some((rows + m, 2 * n, 16)));
                shapes
            }
        }
    }

    fn tiles(&self, m: u64, n: u64) -> (u64, u64) {
        (m.div_ceil(self.tile.0), n.div_ceil(self.tile.1))
    }

    fn geometry(&self, m: u64, n: u64) -> Geometry {
        let (down, across) = self.tiles(m, n);
        let threads = if self.by == By::Warpgroup { 384 } else { 32 * self.warps.0 * self.warps.1 };
        let blocks = match self.by {
            By::Warpgroup => self.cluster * (down.div_ceil(self.cluster) * across).clamp(1, 2),
            _ => down * across,
        };
        let linear = Geometry::linear(blocks as u32, threads as u32);
        Geometry { cluster: [self.cluster as u32, 1, 1], dynamic_shared: self.shared, ..linear }
    }

    /// A row-major matrix in boxes of 128 bytes with the 128-byte swizzle.
    fn map(buffer: usize, element: u32, (rows, columns): (u64, u64), height: u64) -> Argument {
        Argument::Structure(Box::new(move |addresses| {
            let map = TensorMap {
                element,
                address: addresses[buffer],
                dimensions: vec![columns, rows],
                strides: vec![columns * u64::from(element)],
                sides: vec![128 / element, height as u32],
                swizzle: Swizzle::B128,
            };
            map.encode().expect("a valid map").to_vec()
        }))
    }

    fn arguments(&self, (m, n, k): (u64, u64, u64)) -> Vec<Argument> {
        let counts = [Argument::Word(m), Argument::Word(n), Argument::Word(k), Argument::Buffer(3)];
        if self.by != By::Warpgroup {
            return [0, 1, 2].into_iter().map(Argument::Buffer).chain(counts).collect();
        }
        let (input, output) = (self.input.bytes() as u32, self.output().bytes() as u32);
        let maps = [
            Self::map(0, input, (m, k), self.tile.0),
            Self::map(1, input, (n, k), self.tile.1 / self.cluster),
            Self::map(2, output, (m, n), 64),
            Argument::Buffer(2),
        ];
        maps.into_iter().chain(counts).collect()
    }

    /// With `changed` the slots hold other hashes, as if the launch before had stored something else.
    fn job(&self, m: u64, n: u64, k: u64, changed: bool) -> Job {
        let product = Arc::new(Product::new(self, (m, n, k)));
        let (down, across) = self.tiles(m, n);
        let slots = (down * across * self.warps.0 * self.warps.1) as usize;
        let before = if changed { STALE } else { 0 };
        let bytes = product.bytes();
        let length = bytes.len();
        let input = |buffer: u32, count: u64| {
            let scale = if buffer == 0 { self.scale() } else { 1 };
            Contents::Filled((0..count).flat_map(|at| encoded(self.input, f64::from(small(buffer, at) * scale))).collect())
        };
        Job {
            name: format!("{m}x{n}x{k}{}", if changed { " again, and otherwise" } else { "" }),
            geometry: self.geometry(m, n),
            buffers: vec![
                input(0, m * k),
                input(1, n * k),
                Contents::Poison(length),
                filled(1 + LOGGED + slots, move |at| if at > LOGGED { before } else { 0 }),
            ],
            window: None,
            arguments: self.arguments((m, n, k)),
            expected: vec![(2, equals(move |at| bytes[at])), (3, self.hashed(product, (down, across), changed))],
            claim: (!changed).then(|| self.claim((m, n, k), slots as u64)),
        }
    }

    fn claim(&self, (m, n, k): (u64, u64, u64), slots: u64) -> Claim {
        let (down, across) = self.tiles(m, n);
        let (tile_m, tile_n) = self.tile;
        // Edges are padded with zeros, in shared memory only.
        let down_padded = if self.by == By::Warpgroup { down.next_multiple_of(self.cluster) } else { down };
        let flops = 2 * down_padded * tile_m * across * tile_n * k.next_multiple_of(self.slab());
        let read = match self.by {
            // Rows outside are read as the last one.
            By::Warp => down * across * (tile_m + tile_n) * k,
            // The blocks of a cluster share what they read of B.
            By::Warpgroup => m * k * across + n * k * down.div_ceil(self.cluster),
            // Each tile reads its rows of A and its columns of B once.
            _ => m * k * across + k * n * down,
        };
        // Lanes that leave a ragged edge one by one ask for less at once.
        let whole = m % tile_m + n % tile_n + k % self.slab() == 0;
        Claim {
            flops: if self.by == By::Lanes { flops } else { 0 },
            tensor_flops: if self.by == By::Lanes { 0 } else { flops },
            read: read * self.input.bytes() + slots * 4,
            written: m * n * self.output().bytes() + slots * 8,
            conflict_free: whole || self.by != By::Lanes,
        }
    }

    /// What the slots must hold after a launch.
    fn hashed(&self, product: Arc<Product>, (down, across): (u64, u64), changed: bool) -> Expected {
        let kernel = self.clone();
        let warps = (self.warps.0 * self.warps.1) as usize;
        Box::new(move |bytes| {
            let slots: Vec<[u32; 2]> = bytes.as_chunks::<8>().0.iter().map(|slot| bytemuck::pod_read_unaligned(slot)).collect();
            let count = (down * across) as usize * warps;
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
            let most = simt::Options::default().multiprocessors as usize;
            let expected = (down * across) as usize;
            let strange = kernel.by != By::Warpgroup && distinct.len() != expected.min(most);
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
            By::Warpgroup => {
                let held = (0..columns * 16 / 32).map(|element| fragment::d(lane, element as u32));
                held.map(|(row, column)| (u64::from(row), u64::from(column))).collect()
            }
        }
    }
}
