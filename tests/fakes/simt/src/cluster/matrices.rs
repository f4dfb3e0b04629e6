//! Matrix instructions: ldmatrix, stmatrix, mma (PTX ISA, Warp-Level Matrix Instructions).

use super::Cluster;
use super::access::{Place, bank_turns};
use super::step::Flow;
use crate::Fault;
use crate::op::{Address, Element, Instruction, Lanes, Op, Product, Source};
use crate::tensor::{fragment, number};

/// A matrix by rows.
pub(super) enum Matrix {
    Float(Vec<f32>),
    Integer(Vec<i32>),
    Double(Vec<f64>),
}

impl Cluster<'_> {
    pub(super) fn matrix(&mut self, warp: usize, group: usize, mask: u32, instruction: &Instruction) -> Result<Flow, Fault> {
        if let Some(flow) = self.aligned(warp, group, mask)? {
            return Ok(flow);
        }
        match &instruction.op {
            Op::LoadMatrix { d, from, transpose } => self.load_matrix(warp, d, from, *transpose)?,
            Op::StoreMatrix { to, from, transpose } => self.store_matrix(warp, to, from, *transpose)?,
            Op::Multiply { product, d, a, b, c } => self.multiply(warp, *product, d, [a, b, c])?,
            other => self.warpgroup(warp, other, instruction.line)?,
        }
        Ok(Flow::Next)
    }

    /// Where the eight rows of a matrix are: lanes 8 i and up give those of matrix i.
    fn matrix_rows(&mut self, warp: usize, addresses: &Lanes, matrix: usize) -> Result<[Place; 8], Fault> {
        let mut rows = [Place::Parameter(0); 8];
        for (row, place) in rows.iter_mut().enumerate() {
            let address = addresses[matrix * 8 + row];
            *place = self.place(warp, crate::op::Space::Generic, address, 16)?;
            if !matches!(place, Place::Shared(..)) {
                return Err(Fault::Broken("the rows of a matrix lie in shared memory".into()));
            }
        }
        self.counters.bank_turns += bank_turns(&addresses[matrix * 8..matrix * 8 + 8], 16);
        self.counters.bank_turns_ideal += 1;
        Ok(rows)
    }

    /// Addresses as generic ones.
    fn row_addresses(&self, warp: usize, address: &Address) -> Lanes {
        let window = if address.space == crate::op::Space::Generic { 0 } else { crate::address::SHARED_WINDOW };
        self.addresses(warp, address).map(|address| address.wrapping_add(window))
    }

    fn load_matrix(&mut self, warp: usize, d: &[u32], from: &Address, transpose: bool) -> Result<(), Fault> {
        let addresses = self.row_addresses(warp, from);
        for (matrix, register) in d.iter().enumerate() {
            let mut bytes = [[0; 16]; 8];
            for (row, place) in self.matrix_rows(warp, &addresses, matrix)?.into_iter().enumerate() {
                if let Place::Shared(block, offset) = place {
                    let actor = self.order.actor(warp).owned();
                    self.note_read(block, offset, 16, &actor)?;
                    bytes[row].copy_from_slice(&self.blocks[block].bytes[offset as usize..][..16]);
                }
            }
            for lane in 0..32 {
                let half = |half: u32| {
                    let (row, column) = fragment::matrix8(lane, half, transpose);
                    let at = column as usize * 2;
                    u64::from(u16::from_le_bytes([bytes[row as usize][at], bytes[row as usize][at + 1]]))
                };
                self.set(warp, Some(*register), lane as usize, half(0) | half(1) << 16);
            }
        }
        Ok(())
    }

    fn store_matrix(&mut self, warp: usize, to: &Address, from: &[Source], transpose: bool) -> Result<(), Fault> {
        let addresses = self.row_addresses(warp, to);
        for (matrix, source) in from.iter().enumerate() {
            let values = self.value(warp, *source);
            let mut bytes = [[0; 16]; 8];
            for lane in 0..32 {
                for half in 0..2 {
                    let (row, column) = fragment::matrix8(lane, half, transpose);
                    let element = (values[lane as usize] >> (16 * half)) as u16;
                    bytes[row as usize][column as usize * 2..][..2].copy_from_slice(&element.to_le_bytes());
                }
            }
            for (row, place) in self.matrix_rows(warp, &addresses, matrix)?.into_iter().enumerate() {
                if let Place::Shared(block, offset) = place {
                    let actor = self.order.actor(warp).owned();
                    self.note_write(block, offset, 16, &actor)?;
                    self.generic_write(warp, block, offset, &bytes[row]);
                }
            }
        }
        Ok(())
    }

    fn multiply(&mut self, warp: usize, product: Product, d: &[u32], [a, b, c]: [&[Source]; 3]) -> Result<(), Fault> {
        let Product { m, n, k, .. } = product;
        let a = self.gather(warp, a, product.a, (m, k), |lane, element, held| fragment::a(lane, element, held, m));
        let b = self.gather(warp, b, product.b, (k, n), fragment::b);
        let mut c = self.gather(warp, c, product.d, (m, n), |lane, element, _| fragment::d(lane, element));
        multiply_add(product, (m, n, k), &a, &b, &mut c)?;
        self.scatter(warp, d, product.d, n, &c);
        self.counters.tensor_flops += 2 * u64::from(m) * u64::from(n) * u64::from(k);
        Ok(())
    }

    /// A matrix from the registers of a warp.
    pub(super) fn gather(
        &self,
        warp: usize,
        sources: &[Source],
        element: Element,
        (rows, columns): (u32, u32),
        at: impl Fn(u32, u32, u32) -> (u32, u32),
    ) -> Matrix {
        let held = (32 / element.bits()).max(1);
        let mut bits = vec![0; (rows * columns) as usize];
        for (register, source) in sources.iter().enumerate() {
            let values = self.value(warp, *source);
            for lane in 0..32 {
                for within in 0..held {
                    let (row, column) = at(lane, register as u32 * held + within, held);
                    let shifted = values[lane as usize] >> (within * element.bits());
                    bits[(row * columns + column) as usize] = shifted & crate::op::ones(element.bits());
                }
            }
        }
        Matrix::decode(element, &bits)
    }

    /// The accumulator back into registers.
    pub(super) fn scatter(&mut self, warp: usize, d: &[u32], element: Element, columns: u32, matrix: &Matrix) {
        let held = (32 / element.bits()).max(1);
        for (register, number) in d.iter().zip(0..) {
            for lane in 0..32 {
                let value = (0..held).fold(0, |value, within| {
                    let (row, column) = fragment::d(lane, number * held + within);
                    value | matrix.encode(element, (row * columns + column) as usize) << (within * element.bits())
                });
                self.set(warp, Some(*register), lane as usize, value);
            }
        }
    }
}

impl Matrix {
    /// From the patterns of its elements.
    pub(super) fn decode(element: Element, bits: &[u64]) -> Self {
        let floats = |decode: &dyn Fn(u32) -> f32| Self::Float(bits.iter().map(|bits| decode(*bits as u32)).collect());
        match element {
            Element::F64 => Self::Double(bits.iter().map(|bits| f64::from_bits(*bits)).collect()),
            Element::F32 => floats(&f32::from_bits),
            // The hardware reads no more of a word than tf32 has.
            Element::Tf32 => floats(&|bits| f32::from_bits(bits & !0x1fff)),
            Element::F16 => floats(&|bits| number::F16.decode(bits)),
            Element::Bf16 => floats(&|bits| number::BF16.decode(bits)),
            Element::E4m3 => floats(&|bits| number::E4M3.decode(bits)),
            Element::E5m2 => floats(&|bits| number::E5M2.decode(bits)),
            Element::S8 => Self::Integer(bits.iter().map(|bits| i32::from(*bits as i8)).collect()),
            Element::U8 => Self::Integer(bits.iter().map(|bits| i32::from(*bits as u8)).collect()),
            Element::S32 => Self::Integer(bits.iter().map(|bits| *bits as i32).collect()),
        }
    }

    pub(super) fn encode(&self, element: Element, at: usize) -> u64 {
        match (self, element) {
            (Self::Double(values), _) => values[at].to_bits(),
            (Self::Integer(values), _) => u64::from(values[at] as u32),
            (Self::Float(values), Element::F16) => u64::from(number::F16.encode(values[at], false)),
            (Self::Float(values), _) => u64::from(values[at].to_bits()),
        }
    }

    /// All elements with the other sign.
    pub(super) fn negate(&mut self) {
        match self {
            Self::Float(values) => values.iter_mut().for_each(|value| *value = -*value),
            Self::Double(values) => values.iter_mut().for_each(|value| *value = -*value),
            Self::Integer(values) => values.iter_mut().for_each(|value| *value = -*value),
        }
    }
}

/// C += A B, one product after another along k. Products of narrow floats are exact in f32; their sum is rounded at every step, which
/// tensor cores do otherwise, so that only sums that are exact agree with hardware.
pub(super) fn multiply_add(
    product: Product,
    (m, n, k): (u32, u32, u32),
    a: &Matrix,
    b: &Matrix,
    c: &mut Matrix,
) -> Result<(), Fault> {
    let shape = (m as usize, n as usize, k as usize);
    match (a, b, c) {
        (Matrix::Float(a), Matrix::Float(b), Matrix::Float(c)) => each(shape, a, b, c, |a, b, c| a * b + c),
        (Matrix::Double(a), Matrix::Double(b), Matrix::Double(c)) => each(shape, a, b, c, f64::mul_add),
        (Matrix::Integer(a), Matrix::Integer(b), Matrix::Integer(c)) if product.saturate => {
            each(shape, a, b, c, |a, b, c| c.saturating_add(a * b));
        }
        (Matrix::Integer(a), Matrix::Integer(b), Matrix::Integer(c)) => each(shape, a, b, c, |a, b, c| c.wrapping_add(a * b)),
        _ => return Err(Fault::Broken("matrices of types that do not go together".into())),
    }
    Ok(())
}

fn each<T: Copy>((m, n, k): (usize, usize, usize), a: &[T], b: &[T], c: &mut [T], multiply_add: impl Fn(T, T, T) -> T) {
    for row in 0..m {
        let sums = &mut c[row * n..(row + 1) * n];
        for step in 0..k {
            let left = a[row * k + step];
            for (sum, right) in sums.iter_mut().zip(&b[step * n..(step + 1) * n]) {
                *sum = multiply_add(left, *right, *sum);
            }
        }
    }
}
