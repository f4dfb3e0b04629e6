//! How matrices lie in shared memory: swizzles, and the descriptors by which wgmma finds its operands (PTX ISA, Asynchronous
//! Warpgroup-Level Matrix Shared Memory Layout).

/// How 16-byte chunks are exchanged within rows of 128 bytes, so that a column of them spreads over all banks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swizzle {
    None,
    B32,
    B64,
    B128,
}

impl Swizzle {
    /// Bytes within which chunks are exchanged.
    #[must_use]
    pub fn span(self) -> u32 {
        match self {
            Self::None => 16,
            Self::B32 => 32,
            Self::B64 => 64,
            Self::B128 => 128,
        }
    }

    /// The address at which hardware keeps what lies at `address`: bits 4 and up are crossed with bits 7 and up (PTX ISA,
    /// Swizzling Modes).
    #[must_use]
    pub fn apply(self, address: u32) -> u32 {
        address ^ (address >> 7 & (self.span() / 16 - 1)) << 4
    }
}

/// A matrix descriptor (PTX ISA, Matrix Descriptor Format).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Bytes, as are the offsets.
    pub start: u32,
    pub leading: u32,
    pub stride: u32,
    pub swizzle: Swizzle,
}

impl Descriptor {
    /// # Errors
    /// In words, for what is reserved or not supported here.
    pub fn decode(bits: u64) -> Result<Self, String> {
        let field = |low: u32| (bits >> low & 0x3fff) as u32 * 16;
        if bits >> 49 & 7 != 0 {
            return Err("a matrix descriptor with a base offset is not supported".into());
        }
        if bits & (3 << 14 | 3 << 30 | 7 << 46 | 0x3ff << 52) != 0 {
            return Err(format!("the matrix descriptor {bits:#x} sets bits that are reserved"));
        }
        let swizzle = [Swizzle::None, Swizzle::B128, Swizzle::B64, Swizzle::B32][(bits >> 62) as usize];
        Ok(Self { start: field(0), leading: field(16), stride: field(32), swizzle })
    }

    /// The same for tcgen05, which names swizzles otherwise (PTX ISA, tcgen05, Shared memory descriptor).
    ///
    /// # Errors
    /// In words, for what is reserved or not supported here.
    pub fn decode_tensor(bits: u64) -> Result<Self, String> {
        let field = |low: u32| (bits >> low & 0x3fff) as u32 * 16;
        if bits >> 46 & 7 != 1 || bits & (3 << 14 | 3 << 30 | 0xff << 53) != 0 {
            return Err(format!("the shared memory descriptor {bits:#x} has not what is fixed in its reserved bits"));
        }
        if bits >> 49 & 0xf != 0 {
            return Err("a base offset and a leading dimension by its address are not supported".into());
        }
        let swizzle = match bits >> 61 {
            0 => Swizzle::None,
            2 => Swizzle::B128,
            4 => Swizzle::B64,
            6 => Swizzle::B32,
            other => return Err(format!("the swizzle {other} is not supported")),
        };
        Ok(Self { start: field(0), leading: field(16), stride: field(32), swizzle })
    }

    /// Where the element of row `row` (of M or N) and column `k` lies, `bytes` wide: along k (K-major), or along the rows (MN-major,
    /// 16-bit elements only). Core matrices are 8 x 16 bytes (PTX ISA, Strides).
    #[must_use]
    pub fn address(&self, row: u32, k: u32, bytes: u32, along_rows: bool) -> u32 {
        let (fast, slow) = if along_rows { (row, k) } else { (k, row) };
        let (chunk, within) = (fast * bytes / 16, fast * bytes % 16);
        let span = self.swizzle.span();
        let linear = match (self.swizzle, along_rows) {
            (Swizzle::None, false) => chunk * self.leading + slow % 8 * 16 + slow / 8 * self.stride,
            (Swizzle::None, true) => chunk * self.stride + slow % 8 * 16 + slow / 8 * self.leading,
            (_, false) => chunk * 16 + slow % 8 * span + slow / 8 * self.stride,
            (_, true) => chunk * 16 % span + chunk * 16 / span * self.leading + slow % 8 * span + slow / 8 * self.stride,
        };
        self.swizzle.apply(self.start.wrapping_add(linear)) + within
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // PTX ISA, Swizzling Modes, figures: in 128B mode, chunk c of row r of a 1024-byte pattern is kept at c xor r; in 64B mode
    // at c xor (r / 2 mod 4), in 32B mode at c xor (r / 4 mod 2), rows being as long as the span.
    #[test]
    fn chunks_are_exchanged_as_drawn() {
        for (swizzle, rows_of_128) in [(Swizzle::B128, 1), (Swizzle::B64, 2), (Swizzle::B32, 4)] {
            let chunks = swizzle.span() / 16;
            for row in 0..8 {
                for chunk in 0..chunks {
                    let drawn = row * swizzle.span() + (chunk ^ (row / rows_of_128 % chunks)) * 16;
                    assert_eq!(swizzle.apply(row * swizzle.span() + chunk * 16), drawn, "{swizzle:?} row {row} chunk {chunk}");
                }
            }
        }
    }

    #[test]
    fn a_swizzle_undoes_itself() {
        for swizzle in [Swizzle::None, Swizzle::B32, Swizzle::B64, Swizzle::B128] {
            assert!((0..4096).all(|address| swizzle.apply(swizzle.apply(address)) == address));
        }
    }

    // PTX ISA, Matrix Descriptor Format: bits 0 to 13 start, 16 to 29 leading, 32 to 45 stride, each without its low four bits; 62 and 63: 1 is
    // 128-byte, 2 is 64-byte, 3 is 32-byte swizzling.
    #[test]
    fn descriptors_are_read_as_specified() {
        let bits = 1 << 62 | 64 << 32 | 1 << 16 | 0x40;
        let found = Descriptor::decode(bits).unwrap();
        assert_eq!(found, Descriptor { start: 0x400, leading: 16, stride: 1024, swizzle: Swizzle::B128 });
        assert_eq!(Descriptor::decode(3 << 62).unwrap().swizzle, Swizzle::B32);
        assert!(Descriptor::decode(1 << 49).is_err() && Descriptor::decode(1 << 14).is_err());
    }

    // PTX ISA, tcgen05, Shared memory descriptor: 46 to 48 are 0b001; 61 to 63: 2 is 128-byte, 4 is 64-byte, 6 is 32-byte swizzling.
    #[test]
    fn descriptors_of_tcgen05_are_read_as_specified() {
        let rest = 1 << 46 | 64 << 32 | 1 << 16 | 0x40;
        let found = Descriptor::decode_tensor(2 << 61 | rest).unwrap();
        assert_eq!(found, Descriptor { start: 0x400, leading: 16, stride: 1024, swizzle: Swizzle::B128 });
        let swizzles = [0, 4, 6].map(|name| Descriptor::decode_tensor(name << 61 | rest).unwrap().swizzle);
        assert_eq!(swizzles, [Swizzle::None, Swizzle::B64, Swizzle::B32]);
        for bad in
            [1 << 61 | rest, 7 << 61 | rest, rest & !(1 << 46), rest | 1 << 49, rest | 1 << 52, rest | 1 << 55, rest | 1 << 14]
        {
            assert!(Descriptor::decode_tensor(bad).is_err(), "{bad:#x}");
        }
    }

    // PTX ISA, Leading Dimension Byte Offset and Stride Dimension Byte Offset: K-major, 128-byte swizzle, bf16: row 9, k 8 is the second chunk of row 1 of the second group of eight.
    #[test]
    fn k_major_rows_are_a_span_long() {
        let descriptor = Descriptor { start: 0, leading: 16, stride: 1024, swizzle: Swizzle::B128 };
        assert_eq!(descriptor.address(9, 8, 2, false), (1024 + 128));
        assert_eq!(descriptor.address(2, 3, 2, false), 256 + 2 * 16 + 6);
        // A step of 16 along k is 32 bytes of the start address.
        let next = Descriptor { start: 32, ..descriptor };
        assert_eq!(next.address(5, 4, 2, false), descriptor.address(5, 20, 2, false));
    }

    // PTX ISA, Strides: without swizzle a core matrix is 128 contiguous bytes; the leading offset goes along k, the stride along rows.
    #[test]
    fn core_matrices_without_swizzle_are_contiguous() {
        let descriptor = Descriptor { start: 0, leading: 2048, stride: 128, swizzle: Swizzle::None };
        assert_eq!(descriptor.address(9, 8, 2, false), 128 + 16 + 2048);
        assert_eq!(descriptor.address(9, 8, 2, true), 128 + 2048 + 2);
    }

    // MN-major, 128-byte swizzle: 64 elements along the rows lie side by side, the next 64 a leading offset away; eight steps of k are
    // eight rows of 128 bytes, the next eight a stride away.
    #[test]
    fn mn_major_rows_run_along_the_rows_of_the_matrix() {
        let descriptor = Descriptor { start: 0, leading: 8192, stride: 1024, swizzle: Swizzle::B128 };
        assert_eq!(descriptor.address(64 + 9, 10, 2, true), 8192 + 1024 + 2 * 128 + (1 ^ 2) * 16 + 2);
    }
}
