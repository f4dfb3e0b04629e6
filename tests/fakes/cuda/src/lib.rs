//! A CUDA driver without a GPU: the calls that are made of one, over kernels that an interpreter executes.
//!
//! Built as a library under any name; to be found as the driver it is copied as both `libcuda.so` and `libcuda.so.1` into a folder
//! that `LD_LIBRARY_PATH` names. Without `ASSAY_FAKE_CUDA` it knows no device, so that the mere file invents none. Variables:
//!
//! - `ASSAY_FAKE_CUDA`: the chips, see [`chip::Chip`].
//! - `ASSAY_FAKE_PTX`: a folder of PTX by the hash of the machine code made of it, see [`image`].
//! - `ASSAY_FAKE_FAULT`: failures, see [`script`].
//! - `ASSAY_FAKE_PACE`: kernels that take longer, see [`pace`].
//! - `ASSAY_FAKE_LOG`: a file to which is told what happened, see [`log`].

mod calls;
#[cfg(test)]
mod checks;
mod chip;
mod compressed;
mod driver;
mod execute;
mod image;
mod launch;
mod log;
mod memory;
mod pace;
mod product;
mod script;
mod spans;
mod status;
mod work;
