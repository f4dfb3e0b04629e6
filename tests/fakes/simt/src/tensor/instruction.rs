//! What a product by the tensor cores of sm_100 is told of its formats and shape (PTX ISA, tcgen05, Instruction descriptor).

/// What a kind of product multiplies, each with its own list of formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    F16,
    Tf32,
    F8f6f4,
    I8,
}

/// A format of an operand or of the sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    F16,
    Bf16,
    Tf32,
    E4m3,
    E5m2,
    U8,
    S8,
    F32,
    S32,
}

/// A descriptor of a product without sparsity and block scales.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    pub m: u32,
    pub n: u32,
    pub a: Format,
    pub b: Format,
    pub d: Format,
    pub saturate: bool,
    pub negate_a: bool,
    pub negate_b: bool,
    /// Whether the operand lies along its rows (MN-major) and not along k.
    pub transpose_a: bool,
    pub transpose_b: bool,
}

impl Instruction {
    /// # Errors
    /// In words, for what is reserved, does not go with the kind, or is not supported here.
    pub fn decode(kind: Kind, bits: u32, pair: bool) -> Result<Self, String> {
        let field = |low: u32, width: u32| bits >> low & ((1 << width) - 1);
        let flag = |low: u32| field(low, 1) == 1;
        if field(6, 1) != 0 || field(23, 1) != 0 || field(29, 1) != 0 {
            return Err(format!("the instruction descriptor {bits:#x} sets bits that are reserved"));
        }
        if field(0, 3) != 0 || field(30, 2) != 0 {
            return Err("sparse operands and shifts are not supported".into());
        }
        let none = || format!("the instruction descriptor {bits:#x} names formats that kind {kind:?} does not have");
        let operand = |low: u32| Self::operand(kind, field(low, 3)).ok_or_else(none);
        let found = Self {
            m: field(24, 5) * 16,
            n: field(17, 6) * 8,
            a: operand(7)?,
            b: operand(10)?,
            d: Self::sum(kind, field(4, 2)).ok_or_else(none)?,
            saturate: flag(3),
            negate_a: flag(13),
            negate_b: flag(14),
            transpose_a: flag(15),
            transpose_b: flag(16),
        };
        found.check(kind, pair).map(|()| found)
    }

    fn operand(kind: Kind, code: u32) -> Option<Format> {
        Some(match (kind, code) {
            (Kind::F16, 0) => Format::F16,
            (Kind::F16, 1) => Format::Bf16,
            (Kind::Tf32, 2) => Format::Tf32,
            (Kind::F8f6f4, 0) => Format::E4m3,
            (Kind::F8f6f4, 1) => Format::E5m2,
            (Kind::I8, 0) => Format::U8,
            (Kind::I8, 1) => Format::S8,
            _ => return None,
        })
    }

    /// Sums in f16 are left out.
    fn sum(kind: Kind, code: u32) -> Option<Format> {
        match (kind, code) {
            (Kind::I8, 2) => Some(Format::S32),
            (Kind::F16 | Kind::Tf32 | Kind::F8f6f4, 1) => Some(Format::F32),
            _ => None,
        }
    }

    /// Of the shapes (PTX ISA, tcgen05, Matrix Shape) the interpreter knows those of 128 rows a block.
    fn check(&self, kind: Kind, pair: bool) -> Result<(), String> {
        let Self { m, n, .. } = *self;
        let wide = matches!(self.a, Format::F16 | Format::Bf16);
        let (rows, step) = if pair { (256, 32) } else { (128, 16) };
        if m != rows || !(step..=256).contains(&n) || !n.is_multiple_of(step) {
            return Err(format!("products of {m} rows and {n} columns are not supported"));
        }
        if (self.transpose_a || self.transpose_b) && !wide {
            return Err("only operands of 16 bits may lie along their rows here".into());
        }
        if kind == Kind::I8 && (self.negate_a || self.negate_b) || kind != Kind::I8 && self.saturate {
            return Err(format!("kind {kind:?} cannot be told so"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // PTX ISA, Instruction descriptor, table for kinds tf32, f16, f8f6f4 and i8: D 4-5, A 7-9, B 10-12, N / 8 17-22, M / 16 24-28.
    #[test]
    fn descriptors_are_read_as_specified() {
        let shape = (256 / 8) << 17 | (128 / 16) << 24;
        let bf16 = Instruction::decode(Kind::F16, 1 << 4 | 1 << 7 | 1 << 10 | shape, false).unwrap();
        assert_eq!((bf16.m, bf16.n, bf16.a, bf16.b, bf16.d), (128, 256, Format::Bf16, Format::Bf16, Format::F32));
        let int8 = Instruction::decode(Kind::I8, 2 << 4 | 1 << 7 | shape, false).unwrap();
        assert_eq!((int8.a, int8.b, int8.d), (Format::S8, Format::U8, Format::S32));
        let turned = Instruction::decode(Kind::F16, 1 << 4 | 1 << 13 | 1 << 16 | shape, false).unwrap();
        assert_eq!((turned.negate_a, turned.negate_b, turned.transpose_a, turned.transpose_b), (true, false, false, true));
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        let shape = (128 / 8) << 17 | (128 / 16) << 24;
        let float = 1 << 4;
        for (kind, bits) in [
            (Kind::F16, float | 2 << 7 | shape),
            (Kind::Tf32, float | 2 << 7 | shape),
            (Kind::F16, 2 << 4 | shape),
            (Kind::I8, float | shape),
            (Kind::F16, float | 1 << 6 | shape),
            (Kind::F16, float | 1 << 2 | shape),
            (Kind::F16, float | 1 << 3 | shape),
            (Kind::F8f6f4, float | 1 << 15 | shape),
            (Kind::F16, float | (128 / 8) << 17 | (64 / 16) << 24),
            (Kind::F16, float | 1 << 17 | (128 / 16) << 24),
            (Kind::F16, float | (264 / 8) << 17 | (128 / 16) << 24),
        ] {
            assert!(Instruction::decode(kind, bits, false).is_err(), "{kind:?} {bits:#x}");
        }
        assert!(Instruction::decode(Kind::Tf32, float | 2 << 7 | 2 << 10 | shape, false).is_ok());
        let pair = |m: u32, n: u32| Instruction::decode(Kind::F16, float | (n / 8) << 17 | (m / 16) << 24, true).is_ok();
        assert_eq!([pair(256, 32), pair(256, 256), pair(128, 32), pair(256, 48)], [true, true, false, false]);
    }
}
