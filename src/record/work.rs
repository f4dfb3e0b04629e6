//! What a launch does, and the name that it goes by.

use crate::units::{Bytes, Flops};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Work of one launch, declared once by the workload; rates are derived from it and never stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Work {
    /// Operations; a multiply-add counts two. Zero where only memory is the subject.
    pub flops: Flops,
    /// Every byte read plus every byte written, by the algorithm (the convention of STREAM);
    /// cache line fills that the hardware adds are loss.
    pub bytes: Bytes,
    /// Hops, launches or messages; zero where neither is the subject.
    pub items: u64,
}

/// The name of a measurement. With the device and the kernel's bits it is the identity of a number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Workload {
    /// `family/precision/operation/shape`; the operation is left out where it is the family's name.
    pub id: String,
    pub family: String,
    pub operation: String,
    /// Which kernel: a stem's named configuration, or a library.
    pub variant: String,
    /// `input.accumulate.output`, or one format where nothing is accumulated.
    pub precision: String,
    pub shape: String,
}
