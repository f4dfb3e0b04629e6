//! Tensor maps, by which the copy engines of sm_90 know a matrix, and arguments of kernels, which may be such maps.

// Raw driver calls; each block gives its reason.
#![allow(unsafe_code)]

use super::{
    geometry,
    launch::{fault, has},
};
use crate::{
    contract::Fault,
    plan::{Arg, Buffer, Configuration},
};
use cudarc::driver::sys;

/// An argument of a kernel: eight bytes, or a whole tensor map. Aligned as the driver's header wants maps: to 64 bytes, from CUDA 13 on
/// to 128.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(128))]
pub struct Argument([u64; 16]);

impl Argument {
    /// An address, a count or a double.
    #[must_use]
    pub fn word(word: u64) -> Self {
        let mut words = [0; 16];
        words[0] = word;
        Self(words)
    }

    /// Inputs and outputs of devices that sum together, as kernels/all_reduce.cu lays them out.
    #[must_use]
    pub fn peers(devices: usize, address: impl Fn(usize) -> u64) -> Self {
        let (mut words, devices) = ([0; 16], devices.min(geometry::PEERS));
        for device in 0..devices {
            words[device] = address(device);
            words[geometry::PEERS + device] = address(devices + device);
        }
        Self(words)
    }

    /// A map of a matrix, to be filled in by the driver.
    ///
    /// # Errors
    /// [`Fault`] with the driver's words, or where it is older than CUDA 12.0 and knows no maps.
    pub fn map(matrix: &Matrix) -> Result<Self, Fault> {
        const DOING: &str = "describing a matrix to the copy engines";
        const BOX_BYTES: u32 = 128;
        if !has("cuTensorMapEncodeTiled") {
            return Err(Fault::failed(DOING, "the NVIDIA driver is too old: CUDA 12.0 is needed"));
        }
        let Matrix { address, element, rows, columns, height } = *matrix;
        let dtype = match element {
            1 => sys::CUtensorMapDataType::CU_TENSOR_MAP_DATA_TYPE_UINT8,
            2 => sys::CUtensorMapDataType::CU_TENSOR_MAP_DATA_TYPE_UINT16,
            4 => sys::CUtensorMapDataType::CU_TENSOR_MAP_DATA_TYPE_UINT32,
            other => return Err(Fault::failed(DOING, format!("elements of {other} bytes"))),
        };
        let mut map = Self([0; 16]);
        let (extent, pitch) = ([columns, rows], [columns * u64::from(element)]);
        let (sides, steps) = ([BOX_BYTES / element, height], [1, 1]);
        // SAFETY: an argument is as large as a map, and as aligned; it and the arrays, which are as long as the rank of two says, are
        // locals that outlive the call; the driver refuses what
        // does not fit, and reads nothing at the address.
        let status = unsafe {
            sys::cuTensorMapEncodeTiled(
                (&raw mut map).cast(),
                dtype,
                2,
                std::ptr::without_provenance_mut(address as usize),
                extent.as_ptr(),
                pitch.as_ptr(),
                sides.as_ptr(),
                steps.as_ptr(),
                sys::CUtensorMapInterleave::CU_TENSOR_MAP_INTERLEAVE_NONE,
                sys::CUtensorMapSwizzle::CU_TENSOR_MAP_SWIZZLE_128B,
                sys::CUtensorMapL2promotion::CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                sys::CUtensorMapFloatOOBfill::CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE,
            )
        };
        status.result().map_err(|error| fault(DOING, error))?;
        Ok(map)
    }
}

/// What a kernel is launched with: some products take maps of their matrices, and C once more as it is; others words alone.
///
/// # Errors
/// [`Fault`] where the driver cannot describe a matrix.
pub fn arguments(
    kernel: &str,
    configuration: &Configuration,
    args: &[Arg],
    buffers: &[Buffer],
    address: impl Fn(usize) -> u64,
) -> Result<Vec<Argument>, Fault> {
    let mut packed = Vec::with_capacity(8);
    let mut rest = args;
    if let Some(heights) = geometry::boxes(kernel, configuration) {
        for (arg, height) in args.iter().zip(heights) {
            let Arg::Buffer(index) = *arg else { return Err(Fault::failed("packing arguments", "a matrix is expected")) };
            let Some(Buffer { dtype, elements, columns, .. }) = buffers.get(index).copied() else {
                return Err(Fault::failed("packing arguments", format!("no buffer {index}")));
            };
            let (element, rows) = (dtype.bytes() as u32, elements / columns.max(1));
            packed.push(Argument::map(&Matrix { address: address(index), element, rows, columns, height })?);
        }
        rest = args.get(2..).unwrap_or_default();
    }
    for arg in rest {
        match arg {
            Arg::Peers(devices) => packed.push(Argument::peers(*devices, &address)),
            word => packed.extend(geometry::pack(std::slice::from_ref(word), &address).into_iter().map(Argument::word)),
        }
    }
    Ok(packed)
}

/// A row-major matrix in device memory, copied in boxes of 128 bytes times `height` rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Matrix {
    pub address: u64,
    /// Bytes.
    pub element: u32,
    pub rows: u64,
    pub columns: u64,
    pub height: u32,
}

/// Clusters of a kernel that can be at work at the same time; blank where the driver does not say.
#[must_use]
pub fn resident_clusters(function: sys::CUfunction, blocks: u32, threads: u32, shared: u32) -> Option<u32> {
    if !has("cuOccupancyMaxActiveClusters") {
        return None;
    }
    let mut attribute = sys::CUlaunchAttribute {
        id: sys::CUlaunchAttributeID::CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION,
        pad: [0; 4],
        value: sys::CUlaunchAttributeValue {
            clusterDim: sys::CUlaunchAttributeValue_union__bindgen_ty_1 { x: blocks, y: 1, z: 1 },
        },
    };
    let configuration = sys::CUlaunchConfig {
        gridDimX: blocks,
        gridDimY: 1,
        gridDimZ: 1,
        blockDimX: threads,
        blockDimY: 1,
        blockDimZ: 1,
        sharedMemBytes: shared,
        hStream: std::ptr::null_mut(),
        attrs: &raw mut attribute,
        numAttrs: 1,
    };
    let mut clusters = 0;
    // SAFETY: the function is loaded; the configuration and its one attribute are locals that outlive the call.
    let status = unsafe { sys::cuOccupancyMaxActiveClusters(&raw mut clusters, function, &raw const configuration) };
    status.result().ok().and_then(|()| u32::try_from(clusters).ok()).filter(|clusters| *clusters > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_has_room_for_a_map_where_kernels_expect_it() {
        assert_eq!((size_of::<Argument>(), align_of::<Argument>()), (128, 128));
        let words = Argument::word(0x0102_0304_0506_0708);
        assert_eq!(words.0[0], 0x0102_0304_0506_0708);
        assert!(words.0[1..].iter().all(|word| *word == 0));
        let peers = Argument::peers(2, |index| 0x100 + index as u64);
        assert_eq!((peers.0[..3].to_vec(), peers.0[8..11].to_vec()), (vec![0x100, 0x101, 0], vec![0x102, 0x103, 0]));
    }
}
