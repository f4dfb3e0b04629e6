//! Matrix products for the fake of a vendor's library: computed on the driver's memory, in the order of a stream.

use crate::{
    compressed::expanded,
    driver::Driver,
    execute::{Launched, NEVER},
    launch::Cost,
    status::Status,
};

/// One product, by columns: `result[rows, columns] = left · right` over `depth`, or `leftᵀ · right`.
#[derive(Clone, Copy, Debug)]
pub struct Product([u64; 14]);

impl From<[u64; 14]> for Product {
    /// Addresses of left, right and result; `cudaDataType` of inputs and result; whether left is transposed; rows, columns, depth; time
    /// in ten-thousandths of what the chip's rate needs; whether one element is to be wrong; addresses of the scales of blocks of both
    /// inputs, where they have four bits; whether right was compressed (see [`crate::compressed`]).
    fn from(words: [u64; 14]) -> Self {
        Self(words)
    }
}

/// Bytes, bits of the exponent and of the fraction of a format, by its `cudaDataType`.
pub fn format(kind: u64) -> Option<(usize, u32, u32)> {
    Some(match kind {
        0 => (4, 8, 23),
        1 => (8, 11, 52),
        2 => (2, 5, 10),
        14 => (2, 8, 7),
        28 => (1, 4, 3),
        29 => (1, 5, 2),
        3 => (1, 0, 7),
        10 => (4, 0, 31),
        _ => return None,
    })
}

/// e2m1, two to a byte.
const FP4: u64 = 33;
/// Elements along depth that share a scale, and the sides of a tile of scales.
const BLOCK: usize = 16;
const TILE: (usize, usize) = (128, 4);

fn halves(bytes: &[u8]) -> Vec<f64> {
    const MAGNITUDES: [f64; 8] = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];
    let of = |bits: u8| if bits & 8 == 0 { MAGNITUDES[bits as usize] } else { -MAGNITUDES[bits as usize & 7] };
    bytes.iter().flat_map(|byte| [of(byte & 15), of(byte >> 4)]).collect()
}

/// Where the scale of a row's block lies, as the library's documentation draws it: tiles of 128 rows by 4 blocks, one behind another, in
/// each of which rows that are 32 apart lie together.
fn scale_at(row: usize, block: usize, blocks: usize) -> usize {
    let tile = row / TILE.0 * blocks.div_ceil(TILE.1) + block / TILE.1;
    tile * TILE.0 * TILE.1 + row % 32 * 16 + row % TILE.0 / 32 * 4 + block % TILE.1
}

fn decoded(bytes: &[u8], (size, exponent, fraction): (usize, u32, u32)) -> Vec<f64> {
    let one = |bytes: &[u8]| {
        let bits = bytes.iter().rev().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        let width = 8 * size as u32;
        if exponent == 0 {
            return ((bits << (64 - width)) as i64 >> (64 - width)) as f64;
        }
        let field = bits >> fraction & ((1 << exponent) - 1);
        let part = bits & ((1 << fraction) - 1);
        let whole = if field == 0 { part } else { part | 1 << fraction };
        let power = field.max(1) as i32 - ((1 << (exponent - 1)) - 1) - fraction as i32;
        let sign = if bits >> (width - 1) == 1 { -1.0 } else { 1.0 };
        sign * whole as f64 * 2.0_f64.powi(power)
    };
    bytes.chunks_exact(size).map(one).collect()
}

/// The nearest number of a format, ties to even.
fn encoded(value: f64, (size, exponent, fraction): (usize, u32, u32)) -> u64 {
    match (exponent, size) {
        (0, _) => value as i64 as u64,
        (_, 8) => value.to_bits(),
        (_, 4) => u64::from((value as f32).to_bits()),
        _ => {
            let offset = (1 << (exponent - 1)) - 1;
            let binade = ((value.abs().to_bits() >> 52) as i32 - 1023).max(1 - offset);
            let steps = (value.abs() / 2.0_f64.powi(binade - fraction as i32)).round_ties_even() as u64;
            // A fraction that rounds up past its end carries into the exponent, which is what is wanted.
            let bits = steps + (((binade + offset - 1) as u64) << fraction);
            let most = ((1_u64 << exponent) - 1) << fraction;
            bits.min(most) | u64::from(value.is_sign_negative()) << (8 * size - 1)
        }
    }
}

impl Product {
    /// The words as a kernel's parameters would be, by which a launch is recognised.
    pub fn parameters(&self) -> Vec<u8> {
        self.0.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// Nanoseconds that it takes.
    pub fn time(&self, rate: f64) -> f64 {
        let [.., rows, columns, depth, part, _, _, _, compressed] = self.0;
        // What is compressed is multiplied twice as fast.
        let operations = if compressed == 1 { 1.0 } else { 2.0 };
        operations * rows as f64 * columns as f64 * depth as f64 / rate * 1e9 * part as f64 / 10_000.0
    }

    fn compute(&self, driver: &Driver) -> Result<Vec<u8>, Status> {
        let [left, right, _, input, output, transposed, rows, columns, depth, _, wrong, of_left, of_right, compressed] = self.0;
        let to = format(output).ok_or(Status::INVALID_VALUE)?;
        let (m, n, k) = (rows as usize, columns as usize, depth as usize);
        let (a, b) = if input == FP4 {
            (blocks(driver, (left, of_left), m, k)?, blocks(driver, (right, of_right), n, k)?)
        } else {
            let from = format(input).ok_or(Status::INVALID_VALUE)?;
            let read = |address, elements: usize| Ok(decoded(driver.memory.read(address, elements * from.0)?, from));
            let right =
                if compressed == 1 { decoded(&expanded(driver, right, (n, k), from.0)?, from) } else { read(right, k * n)? };
            (read(left, m * k)?, right)
        };
        let mut bytes = Vec::with_capacity(m * n * to.0);
        for column in b.chunks_exact(k) {
            let mut sums = vec![0.0; m];
            if transposed == 1 {
                let dot = |row: &[f64]| row.iter().zip(column).map(|(a, b)| a * b).sum();
                sums.iter_mut().zip(a.chunks_exact(k)).for_each(|(sum, row)| *sum = dot(row));
            } else {
                for (part, b) in a.chunks_exact(m).zip(column) {
                    sums.iter_mut().zip(part).for_each(|(sum, a)| *sum += a * b);
                }
            }
            bytes.extend(sums.iter().flat_map(|sum| encoded(*sum, to).to_le_bytes().into_iter().take(to.0)));
        }
        if wrong == 1 {
            // The second-highest bit of an element is one of the exponent in every format that has one.
            let at = (bytes.len() / 2) / to.0 * to.0 + to.0 - 1;
            bytes[at] ^= 0x40;
        }
        Ok(bytes)
    }
}

/// A matrix of four bits an element, each row scaled block by block.
fn blocks(driver: &Driver, (address, scales): (u64, u64), rows: usize, depth: usize) -> Result<Vec<f64>, Status> {
    const UE4M3: (usize, u32, u32) = (1, 4, 3);
    let blocks = depth.div_ceil(BLOCK);
    let scales = decoded(driver.memory.read(scales, rows.next_multiple_of(TILE.0) * blocks.next_multiple_of(TILE.1))?, UE4M3);
    let values = halves(driver.memory.read(address, rows * depth / 2)?).into_iter().enumerate();
    Ok(values.map(|(at, value)| value * scales[scale_at(at / depth, at % depth / BLOCK, blocks)]).collect())
}

impl Driver {
    /// Single-precision sums over all inputs, into all outputs.
    ///
    /// # Errors
    /// `INVALID_VALUE` outside of memory.
    pub fn sum(&mut self, ranks: &[(u64, u64)], elements: usize) -> Result<(), Status> {
        let mut sums = vec![0.0_f32; elements];
        for (from, _) in ranks {
            let bytes = self.memory.read(*from, 4 * elements)?;
            let values = bytes.as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word));
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        }
        let bytes: Vec<u8> = sums.iter().flat_map(|sum| sum.to_le_bytes()).collect();
        ranks.iter().try_for_each(|(_, to)| self.memory.write(*to, bytes.len()).map(|held| held.copy_from_slice(&bytes)))
    }

    /// Multiplies, or remembers what came of the same product on the same memory; the nanoseconds that it took.
    ///
    /// # Errors
    /// `ILLEGAL_ADDRESS` outside of memory.
    pub fn multiply(&mut self, product: &Product) -> Result<f64, Status> {
        let met: Launched = (NEVER, "product".into(), crate::launch::Shape::default(), product.parameters(), self.memory.state());
        if self.recall(&met).is_none() {
            let before = self.memory.hashes();
            let bytes = product.compute(self).map_err(|_| Status::ILLEGAL_ADDRESS)?;
            let written = self.memory.write(product.0[2], bytes.len()).map_err(|_| Status::ILLEGAL_ADDRESS)?;
            written.copy_from_slice(&bytes);
            let writes = self.memory.changes(&before);
            self.remember(met, Cost::default(), writes);
        }
        Ok(product.time(self.chip.rate()))
    }
}

#[test]
fn numbers_come_back_from_every_format() {
    for kind in [0, 1, 2, 14, 28, 29, 3, 10] {
        let format = format(kind).unwrap();
        for value in [0.0, 1.0, -3.0, 100.0] {
            // The narrowest has no 100.
            let value = if format.2 == 2 && value == 100.0 {
                96.0
            } else if format.2 == 3 && value == 100.0 {
                104.0
            } else {
                value
            };
            let bytes = encoded(value, format).to_le_bytes();
            assert_eq!(decoded(&bytes[..format.0], format), [value], "{kind}");
        }
    }
    assert_eq!(encoded(257.0, format(14).unwrap()), 0x4380, "a tie goes to the even one");
    assert_eq!(encoded(1e9, format(2).unwrap()), 0x7c00);
}

#[test]
fn a_product_is_that_of_its_matrices() {
    let mut driver = Driver::new("90".parse().expect("a chip"));
    let mut hold = |values: &[f32]| {
        let address = driver.memory.allocate(0, 4 * values.len() as u64, 1 << 20).expect("room");
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        driver.memory.write(address, bytes.len()).expect("held").copy_from_slice(&bytes);
        address
    };
    // By columns: [1 3; 2 4] and [5 7; 6 8].
    let (a, b, c) = (hold(&[1.0, 2.0, 3.0, 4.0]), hold(&[5.0, 6.0, 7.0, 8.0]), hold(&[0.0; 4]));
    for (transposed, wanted) in [(0, [23.0, 34.0, 31.0, 46.0]), (1, [17.0, 39.0, 23.0, 53.0])] {
        let product = Product([a, b, c, 0, 0, transposed, 2, 2, 2, 20_000, 0, 0, 0, 0]);
        let took = driver.multiply(&product).expect("multiplies");
        let bytes = driver.memory.read(c, 16).expect("held");
        assert_eq!(decoded(bytes, format(0).unwrap()), wanted);
        assert_eq!(took, 16.0 / driver.chip.rate() * 1e9 * 2.0);
    }
}

#[test]
fn blocks_of_four_bits_have_scales_of_their_own() {
    let mut driver = Driver::new("100".parse().expect("a chip"));
    // Two rows of 32: ones, then twos; the second block of the second row counts twice.
    let (rows, depth) = (2, 32);
    let mut hold = |bytes: &[u8]| {
        let address = driver.memory.allocate(0, bytes.len() as u64, 1 << 20).expect("room");
        driver.memory.write(address, bytes.len()).expect("held").copy_from_slice(bytes);
        address
    };
    let values = hold(&[[0x22; 16], [0x44; 16]].concat());
    let mut scales = vec![0x38; 128 * 4];
    scales[16 + 1] = 0x40;
    let (scales, short) = (hold(&scales), hold(&[0x38; 64]));
    let read = blocks(&driver, (values, scales), rows, depth).expect("there");
    assert_eq!((read[0], read[31], read[32], read[63]), (1.0, 1.0, 2.0, 4.0));
    assert!(blocks(&driver, (values, short), rows, depth).is_err(), "scales are in whole tiles");
    assert_eq!([scale_at(33, 0, 8), scale_at(128, 5, 8), scale_at(1, 3, 8)], [20, 1024 + 512 + 1, 19]);
}
