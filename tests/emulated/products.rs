//! The jobs of the kernels that multiply matrices: exact sums of small integers, and the hash of every part of every tile.

use crate::job::{Argument, Claim, Contents, Job, equals, filled};
use crate::stems::{Macros, constant};
use assay::{dtype::Dtype, plan};
use simt::Geometry;
use simt::tensor::map::TensorMap;
use simt::tensor::number::{BF16, E4M3, E5M2, F16};
use simt::tensor::shared::Swizzle;
use std::sync::Arc;

const SEED: u32 = 0x7e50;
/// A hash that no tile has here.
pub const STALE: u64 = 7;
/// What the log of differences holds before any is logged.
pub const UNLOGGED: u64 = u64::MAX;
/// Slots before those of the tiles (kernels/tiles.cuh).
pub const LOGGED: usize = 7;

/// How a kernel goes about it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum By {
    Lanes,
    DoubleTensor,
    Warp,
    Warpgroup,
    Tensor,
}

impl By {
    /// Whether blocks persist and matrices come by tensor maps.
    pub fn by_maps(self) -> bool {
        matches!(self, Self::Warpgroup | Self::Tensor)
    }
}

/// A kernel's format, tile and warps.
#[derive(Clone)]
pub struct Kernel {
    pub by: By,
    pub input: Dtype,
    pub tile: (u64, u64),
    pub warps: (u64, u64),
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
        "matmul_tcgen05" => By::Tensor,
        _ => return None,
    };
    let named = |name: &str| assay::dtype::DTYPES.iter().find(|row| row.name == name).map(|row| row.dtype);
    let input = match macros.get("REAL").map(String::as_str) {
        Some("double") => Dtype::Fp64,
        Some(_) => Dtype::Fp32,
        None => named(&macros["INPUT"])?,
    };
    let tile_m = if by.by_maps() { 128 } else { constant(macros, "TILE_M") };
    let warps = match by {
        By::Warpgroup => (8, 1),
        By::Tensor => (4, 1),
        _ => (constant(macros, "WARPS_M"), constant(macros, "WARPS_N")),
    };
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
pub struct Product {
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
    pub fn words(&self, by: By, row: u64, column: u64) -> Vec<u8> {
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
    pub fn output(&self) -> Dtype {
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
        self.by == By::Warp || self.by.by_maps()
    }

    /// Steps of k that pass through shared memory together.
    fn slab(&self) -> u64 {
        match self.by {
            By::DoubleTensor => 16,
            By::Lanes | By::Warp => 64 / self.input.bytes(),
            By::Warpgroup | By::Tensor => 128 / self.input.bytes(),
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
            By::Warpgroup | By::Tensor if self.macros["STAGES"] == "1" => vec![(m + 72, n + 40, slab + 16), (m, n, 3 * slab)],
            By::Warpgroup | By::Tensor => {
                let many = (constant(&self.macros, "STAGES") + 2) * slab;
                // By tcgen05 the places of sums are a ring as well, which takes more tiles to go round; and a row beyond whole tiles.
                let first = if self.by == By::Tensor { (m * self.cluster + 1, n * 5, 16) } else { (m * 3, n * 2, 2 * slab) };
                let mut shapes = vec![first, (m + 72, n + 40, slab + 16), (m, n, many), (8, 8, 16)];
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
        let threads = match self.by {
            By::Warpgroup => 384,
            By::Tensor => 192,
            _ => 32 * self.warps.0 * self.warps.1,
        };
        let blocks = match self.by {
            By::Warpgroup | By::Tensor => self.cluster * (down.div_ceil(self.cluster) * across).clamp(1, 2),
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
        if !self.by.by_maps() {
            return [0, 1, 2].into_iter().map(Argument::Buffer).chain(counts).collect();
        }
        let (input, output) = (self.input.bytes() as u32, self.output().bytes() as u32);
        let maps = [
            Self::map(0, input, (m, k), self.tile.0),
            Self::map(1, input, (n, k), self.tile.1 / self.cluster),
            Self::map(2, output, (m, n), if self.by == By::Tensor { 32 } else { 64 }),
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
                filled(1 + LOGGED + slots, move |at| match at {
                    0 => 0,
                    at if at <= LOGGED => UNLOGGED,
                    _ => before,
                }),
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
        let down_padded = if self.by.by_maps() { down.next_multiple_of(self.cluster) } else { down };
        let flops = 2 * down_padded * tile_m * across * tile_n * k.next_multiple_of(self.slab());
        let read = match self.by {
            // Rows outside are read as the last one.
            By::Warp => down * across * (tile_m + tile_n) * k,
            // The blocks of a cluster share what they read of B.
            By::Warpgroup | By::Tensor => m * k * across + n * k * down.div_ceil(self.cluster),
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
            looks: false,
            conflict_free: whole || self.by != By::Lanes,
        }
    }
}
