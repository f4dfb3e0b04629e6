//! Matrices of which two of each four neighbours are zero, as the fake of a vendor's library keeps them: the two others of each four in
//! their order, row after row, and behind all of them a byte for each four that says where they lay.

use crate::{driver::Driver, product::format, status::Status};

/// What is to be compressed.
#[derive(Clone, Copy, Debug)]
pub struct Compression {
    from: u64,
    to: u64,
    kind: u64,
    elements: u64,
}

impl From<[u64; 4]> for Compression {
    /// Addresses of the matrix and of what becomes of it, its `cudaDataType`, its elements.
    fn from([from, to, kind, elements]: [u64; 4]) -> Self {
        Self { from, to, kind, elements }
    }
}

/// Of more than two that are not zero, the first two are kept: as on hardware, what was not pruned is lost.
fn compressed(bytes: &[u8], size: usize) -> Vec<u8> {
    let (mut values, mut places) = (Vec::with_capacity(bytes.len() / 2), Vec::with_capacity(bytes.len() / size / 4));
    for four in bytes.chunks_exact(4 * size) {
        let element = |at: usize| &four[at * size..(at + 1) * size];
        let mut kept: Vec<usize> = (0..4).filter(|at| element(*at).iter().any(|byte| *byte != 0)).take(2).collect();
        let spare: Vec<usize> = (0..4).filter(|at| !kept.contains(at)).take(2 - kept.len()).collect();
        kept.extend(spare);
        kept.sort_unstable();
        values.extend(kept.iter().flat_map(|at| element(*at)));
        places.push(kept.iter().map(|at| 1 << at).sum::<u8>());
    }
    [values, places].concat()
}

/// The matrix that was compressed.
///
/// # Errors
/// `INVALID_VALUE` outside of memory, or where nothing was compressed.
pub fn expanded(driver: &Driver, address: u64, (rows, depth): (usize, usize), size: usize) -> Result<Vec<u8>, Status> {
    let fours = rows * depth / 4;
    let bytes = driver.memory.read(address, fours * (2 * size + 1))?;
    let (values, places) = bytes.split_at(fours * 2 * size);
    let mut whole = vec![0; rows * depth * size];
    for ((four, pair), place) in whole.chunks_exact_mut(4 * size).zip(values.chunks_exact(2 * size)).zip(places) {
        if place.count_ones() != 2 || *place > 15 {
            return Err(Status::INVALID_VALUE);
        }
        for (at, value) in (0..4).filter(|at| place >> at & 1 == 1).zip(pair.chunks_exact(size)) {
            four[at * size..(at + 1) * size].copy_from_slice(value);
        }
    }
    Ok(whole)
}

impl Driver {
    /// Compresses a matrix; the bytes that were moved.
    ///
    /// # Errors
    /// `INVALID_VALUE` outside of memory, or for a format that is not known.
    pub fn compress(&mut self, Compression { from, to, kind, elements }: Compression) -> Result<usize, Status> {
        let (size, ..) = format(kind).ok_or(Status::INVALID_VALUE)?;
        let bytes = compressed(self.memory.read(from, elements as usize * size)?, size);
        self.memory.write(to, bytes.len())?.copy_from_slice(&bytes);
        Ok(bytes.len() + elements as usize * size)
    }
}

#[test]
fn two_of_four_come_back_and_a_third_is_lost() {
    let mut driver = Driver::new("90".parse().expect("a chip"));
    let matrix: [u8; 16] = [0, 7, 0, 9, 1, 0, 0, 0, 0, 0, 0, 0, 5, 6, 0, 8];
    let mut hold = |bytes: &[u8]| {
        let address = driver.memory.allocate(0, bytes.len() as u64, 1 << 20).expect("room");
        driver.memory.write(address, bytes.len()).expect("held").copy_from_slice(bytes);
        address
    };
    let (from, to) = (hold(&matrix), hold(&[0xA5; 12]));
    assert!(expanded(&driver, to, (2, 8), 1).is_err(), "nothing was compressed yet");
    assert_eq!(driver.compress([from, to, 3, 16].into()).expect("compresses"), 16 + 12);
    let whole = expanded(&driver, to, (2, 8), 1).expect("expands");
    assert_eq!(whole, [0, 7, 0, 9, 1, 0, 0, 0, 0, 0, 0, 0, 5, 6, 0, 0]);
}
