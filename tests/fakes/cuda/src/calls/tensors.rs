//! Tensor maps: what the driver packs into 128 bytes for the copy engines.

use super::{Pointer, export, give, taken};
use crate::status::Status;
use simt::tensor::{map::TensorMap, shared::Swizzle};
use std::ffi::{c_uint, c_void};

/// Bytes of an element, by `CUtensorMapDataType`.
const ELEMENTS: [u32; 13] = [1, 2, 4, 4, 8, 8, 2, 4, 8, 2, 4, 4, 4];
/// By `CUtensorMapSwizzle`.
const SWIZZLES: [Swizzle; 4] = [Swizzle::None, Swizzle::B32, Swizzle::B64, Swizzle::B128];

/// An array of the caller's.
fn array<const BYTES: usize, T>(from: *const T, count: u32, number: fn([u8; BYTES]) -> T) -> Result<Vec<T>, Status> {
    let bytes = taken(from.cast::<c_void>(), count as usize * BYTES)?;
    Ok(bytes.as_chunks::<BYTES>().0.iter().map(|one| number(*one)).collect())
}

export! {
    fn cuTensorMapEncodeTiled[Nothing](
        _driver, out: *mut [u8; 128], element: c_uint, rank: c_uint, address: Pointer, dimensions: *const u64, strides: *const u64,
        sides: *const u32, steps: *const u32, interleave: c_uint, swizzle: c_uint, _promotion: c_uint, fill: c_uint
    ) {
        let (Some(element), Some(swizzle)) = (ELEMENTS.get(element as usize), SWIZZLES.get(swizzle as usize)) else {
            return Err(Status::INVALID_VALUE);
        };
        if !(1..=5).contains(&rank) || !(out as usize).is_multiple_of(64) {
            return Err(Status::INVALID_VALUE);
        }
        // The real driver takes these; no kernel of the house asks for them, so that the copies know nothing of them.
        if interleave != 0 || fill != 0 || array(steps, rank, u32::from_le_bytes)?.iter().any(|step| *step != 1) {
            return Err(Status::NOT_SUPPORTED);
        }
        let map = TensorMap {
            element: *element,
            address: address as u64,
            dimensions: array(dimensions, rank, u64::from_le_bytes)?,
            strides: if rank > 1 { array(strides, rank - 1, u64::from_le_bytes)? } else { Vec::new() },
            sides: array(sides, rank, u32::from_le_bytes)?,
            swizzle: *swizzle,
        };
        give(out, map.encode().map_err(|_| Status::INVALID_VALUE)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(align(64))]
    struct Map([u8; 128]);

    fn encode(address: u64, swizzle: u32, side: u32) -> (i32, Option<TensorMap>) {
        let mut map = Map([0; 128]);
        let (dimensions, strides, sides, steps) = ([256_u64, 100], [512_u64], [side, 64_u32], [1_u32, 1]);
        let status = cuTensorMapEncodeTiled(
            &raw mut map.0,
            9,
            2,
            address as Pointer,
            dimensions.as_ptr(),
            strides.as_ptr(),
            sides.as_ptr(),
            steps.as_ptr(),
            0,
            swizzle,
            0,
            0,
        );
        (status, TensorMap::decode(&map.0))
    }

    #[test]
    fn a_map_is_packed_and_bad_ones_are_refused() {
        let (status, map) = encode(0x7_0000_0000_0000, 3, 64);
        let map = map.expect("a map");
        assert_eq!((status, map.element, map.swizzle, map.sides), (0, 2, Swizzle::B128, vec![64, 64]));
        assert_eq!((map.dimensions, map.strides), (vec![256, 100], vec![512]));
        assert_eq!([encode(8, 3, 64).0, encode(0, 3, 128).0, encode(0, 4, 64).0], [1; 3]);
    }
}
