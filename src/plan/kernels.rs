//! The CUDA kernels that the binary carries, compiled ahead by `kernels/build`.

/// Hash over all CUDA kernels in the binary; blank where none is carried.
#[must_use]
pub fn kernels_hash() -> Option<String> {
    None
}
