//! Tensor maps: how a box of a tensor in global memory lies in shared memory (PTX ISA, Tensors; CUDA driver API,
//! cuTensorMapEncodeTiled).

use super::shared::Swizzle;
use std::ops::Range;

/// First bytes of an encoded map. Its layout is ours: NVIDIA does not document its own.
const MAGIC: &[u8; 8] = b"SIMTMAP1";
/// Bytes of an encoded map.
pub const ENCODED: usize = 128;

/// A tiled tensor map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorMap {
    /// Bytes of an element.
    pub element: u32,
    /// Of the first element.
    pub address: u64,
    /// Elements in each dimension, the fastest first; one to five of them.
    pub dimensions: Vec<u64>,
    /// Bytes from one element to the next, in each dimension but the first.
    pub strides: Vec<u64>,
    /// Elements of a box in each dimension.
    pub sides: Vec<u32>,
    pub swizzle: Swizzle,
}

/// A row of a box: what is contiguous in both memories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Offset in the box.
    pub offset: u32,
    /// Global address of the row's first byte, which may lie outside of the tensor.
    pub address: u64,
    /// Bytes of the row that lie inside; a load fills the others with zeros, a store leaves them out.
    pub inside: Range<u32>,
}

impl TensorMap {
    /// The map as a kernel's parameter.
    ///
    /// # Errors
    /// In words, for what `cuTensorMapEncodeTiled` refuses.
    pub fn encode(&self) -> Result<[u8; ENCODED], String> {
        self.check()?;
        let mut bytes = Vec::with_capacity(ENCODED);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&[self.element as u8, self.dimensions.len() as u8, self.swizzle as u8, 0]);
        bytes.extend_from_slice(&self.address.to_le_bytes());
        for at in 0..5 {
            // 2^32 elements are allowed, and 1 is the least: one less fits 32 bits.
            let less_one = self.dimensions.get(at).map_or(0, |dimension| (dimension - 1) as u32);
            bytes.extend_from_slice(&less_one.to_le_bytes());
            bytes.extend_from_slice(&(self.sides.get(at).copied().unwrap_or(0) as u16).to_le_bytes());
            bytes.extend_from_slice(&self.strides.get(at).copied().unwrap_or(0).to_le_bytes());
        }
        bytes.resize(ENCODED, 0);
        bytes.try_into().map_err(|_| "an encoded map is longer than it may be".into())
    }

    fn check(&self) -> Result<(), String> {
        let rank = self.dimensions.len();
        let inner = u64::from(self.element) * u64::from(self.sides.first().copied().unwrap_or(0));
        let rules = [
            (
                (1..=5).contains(&rank) && self.sides.len() == rank && self.strides.len() + 1 == rank,
                "rank 1 to 5, with as many sides",
            ),
            (matches!(self.element, 1 | 2 | 4 | 8), "elements of 1, 2, 4 or 8 bytes"),
            (self.address.is_multiple_of(16), "an address that is a multiple of 16"),
            (self.dimensions.iter().all(|one| (1..=1 << 32).contains(one)), "dimensions of 1 to 2^32"),
            (
                self.strides.iter().all(|one| one % 16 == 0 && *one < 1 << 40 && *one > 0),
                "strides that are multiples of 16, below 2^40",
            ),
            (self.sides.iter().all(|one| (1..=256).contains(one)), "boxes of 1 to 256 a side"),
            (inner % 16 == 0, "rows of a box that are multiples of 16 bytes"),
            (
                self.swizzle == Swizzle::None || inner <= u64::from(self.swizzle.span()),
                "rows of a box no longer than the swizzle's span",
            ),
        ];
        match rules.iter().find(|(holds, _)| !holds) {
            None => Ok(()),
            Some((_, rule)) => Err(format!("a tensor map needs {rule}: {self:?}")),
        }
    }

    /// The map that was encoded; `None` for any other bytes.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; ENCODED] = bytes.try_into().ok()?;
        let rank = usize::from(bytes[9]);
        if &bytes[..8] != MAGIC || !(1..=5).contains(&rank) {
            return None;
        }
        let swizzle = *[Swizzle::None, Swizzle::B32, Swizzle::B64, Swizzle::B128].get(usize::from(bytes[10]))?;
        let number =
            |at: usize, length: usize| bytes[at..at + length].iter().rev().fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
        let field = |at: usize| 20 + at * 14;
        Some(Self {
            element: u32::from(bytes[8]),
            address: number(12, 8),
            dimensions: (0..rank).map(|at| number(field(at), 4) + 1).collect(),
            sides: (0..rank).map(|at| number(field(at) + 4, 2) as u32).collect(),
            strides: (0..rank - 1).map(|at| number(field(at) + 6, 8)).collect(),
            swizzle,
        })
    }

    /// Bytes of a row of a box.
    #[must_use]
    pub fn row_bytes(&self) -> u32 {
        self.element * self.sides[0]
    }

    /// Bytes of a box in shared memory; what an mbarrier counts, parts outside of the tensor included.
    #[must_use]
    pub fn box_bytes(&self) -> u32 {
        self.element * self.sides.iter().product::<u32>()
    }

    /// The rows of the box whose first element is at `coordinates`, which may be negative or beyond the tensor.
    pub fn rows<'a>(&'a self, coordinates: &'a [i32]) -> impl Iterator<Item = Row> + 'a {
        let count: u32 = self.sides[1..].iter().product();
        (0..count).map(move |number| {
            let mut rest = number;
            let mut address = self.address as i64 + i64::from(coordinates[0]) * i64::from(self.element);
            let mut inside = true;
            for (at, coordinate) in coordinates.iter().enumerate().skip(1) {
                let place = i64::from(*coordinate) + i64::from(rest % self.sides[at]);
                rest /= self.sides[at];
                inside &= (0..self.dimensions[at] as i64).contains(&place);
                address = address.wrapping_add(place.wrapping_mul(self.strides[at - 1] as i64));
            }
            let first = (-i64::from(coordinates[0])).clamp(0, i64::from(self.sides[0]));
            let last = (self.dimensions[0] as i64 - i64::from(coordinates[0])).clamp(first, i64::from(self.sides[0]));
            let bytes = |elements: i64| elements as u32 * self.element;
            let inside = if inside { bytes(first)..bytes(last) } else { 0..0 };
            Row { offset: number * self.row_bytes(), address: address as u64, inside }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::shared::Descriptor;
    use super::*;

    fn matrix(rows: u64, columns: u64, sides: [u32; 2], swizzle: Swizzle) -> TensorMap {
        TensorMap {
            element: 2,
            address: 0x7_0000_0000_0000,
            dimensions: vec![columns, rows],
            strides: vec![columns * 2],
            sides: sides.to_vec(),
            swizzle,
        }
    }

    #[test]
    fn a_map_survives_its_encoding() {
        let map = matrix(1 << 32, 4096, [64, 128], Swizzle::B128);
        let encoded = map.encode().unwrap();
        assert_eq!(TensorMap::decode(&encoded), Some(map));
        assert_eq!(TensorMap::decode(&[0; ENCODED]), None);
        assert_eq!(TensorMap::decode(&encoded[..64]), None);
    }

    // CUDA driver API, cuTensorMapEncodeTiled: each rule by what breaks it.
    #[test]
    fn what_the_driver_refuses_is_refused() {
        let good = matrix(64, 64, [64, 64], Swizzle::B128);
        assert!(good.encode().is_ok());
        for bad in [
            TensorMap { address: good.address + 8, ..good.clone() },
            TensorMap { strides: vec![120], ..good.clone() },
            TensorMap { sides: vec![64, 257], ..good.clone() },
            TensorMap { sides: vec![128, 64], ..good.clone() },
            TensorMap { sides: vec![4, 64], ..good.clone() },
            TensorMap { dimensions: vec![0, 64], ..good.clone() },
            TensorMap { strides: vec![], ..good.clone() },
        ] {
            assert!(bad.encode().is_err(), "{bad:?}");
        }
    }

    // PTX ISA, Tensors, out-of-boundary access: what lies outside is filled with zeros, and counted.
    #[test]
    fn edges_are_cut() {
        let map = matrix(5, 40, [32, 4], Swizzle::None);
        let rows: Vec<Row> = map.rows(&[16, 3]).collect();
        assert_eq!(rows[0], Row { offset: 0, address: map.address + 3 * 80 + 32, inside: 0..48 });
        assert_eq!((rows[1].inside.clone(), rows[2].inside.clone()), (0..48, 0..0));
        let left: Vec<Row> = map.rows(&[-8, -1]).collect();
        assert_eq!((left[0].inside.clone(), left[1].inside.clone()), (0..0, 16..64));
        assert_eq!(map.box_bytes(), 256);
    }

    // A box that TMA wrote with a swizzle is what a K-major descriptor of the same swizzle reads.
    #[test]
    fn a_box_is_what_a_descriptor_reads() {
        for (swizzle, columns) in [(Swizzle::B128, 64), (Swizzle::B64, 32), (Swizzle::B32, 16)] {
            let map = matrix(64, columns, [columns as u32, 64], swizzle);
            let descriptor = Descriptor { start: 4096, leading: 16, stride: 8 * swizzle.span(), swizzle };
            for row in map.rows(&[0, 0]) {
                let r = row.offset / map.row_bytes();
                for k in 0..columns as u32 {
                    let written = swizzle.apply(4096 + row.offset + k * 2 / 16 * 16) + k * 2 % 16;
                    assert_eq!(descriptor.address(r, k, 2, false), written, "{swizzle:?} row {r} k {k}");
                }
            }
        }
    }
}
