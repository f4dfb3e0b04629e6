//! Cache: the stream kernels over footprints from the first cache to memory.
//!
//! A footprint is that of each array over all units together; a launch goes over it as often as it takes to move
//! a fixed number of bytes, so that launches are long enough to be timed one by one wherever the data lies.

use super::{Choice, footprint, is_gpu, stream};
use crate::{plan::Plan, record::Device};

const SMALLEST: u64 = 32 << 10;
const OPERATIONS: [&str; 2] = ["read", "triad"];

/// Blocks of a unit that sum what they hold in shared memory.
const SHARED_BLOCKS: u64 = 4;

/// A ladder of footprints for each operation, and on GPUs of ours their shared memory; every fourth size in the quick suite, every size in the standard one.
pub fn plans(device: &Device, choice: &Choice) -> Vec<Plan> {
    let top = footprint(device, choice);
    let step = if choice.suite.thorough { 2 } else { 4 };
    let rungs =
        || std::iter::successors(Some(SMALLEST), move |bytes| Some(bytes * step)).take_while(move |bytes| *bytes <= top / 2);
    OPERATIONS
        .into_iter()
        .filter_map(stream::operation)
        .flat_map(|operation| rungs().map(move |bytes| rung(operation, bytes, device, choice.seed)))
        .chain(shared(device, choice.seed))
        .collect()
}

fn shared(device: &Device, seed: u32) -> Option<Plan> {
    let units = device.units.filter(|_| device.backend == "cuda")?;
    Some(rung(&stream::SHARED, u64::from(units) * SHARED_BLOCKS * stream::SHARED_PIECE, device, seed))
}

fn rung(operation: &'static stream::Operation, bytes: u64, device: &Device, seed: u32) -> Plan {
    let moved: u64 = if is_gpu(device) { 2 << 30 } else { 128 << 20 };
    stream::plan("cache", operation, bytes, (moved / bytes).max(1), device, seed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{record::Kind, workload::SUITES};

    #[test]
    fn the_ladder_climbs_from_the_first_cache_to_memory() {
        let device = Device { memory_bytes: Some(24 << 30), ..Device::new("x:0", "x", Kind::Cpu, "x") };
        let ladder = |suite| plans(&device, &Choice { suite: SUITES[suite], footprint: None, seed: 1 });
        let shapes: Vec<_> =
            ladder(0).iter().filter(|plan| plan.key.operation == "read").map(|plan| plan.key.shape.clone()).collect();
        assert_eq!(shapes, ["32KiB", "128KiB", "512KiB", "2MiB", "8MiB", "32MiB", "128MiB", "512MiB"]);
        assert!(ladder(1).len() > ladder(0).len());
        assert!(ladder(0).iter().all(|plan| plan.work.bytes.0 >= 128 << 20));
    }
}
