//! Atomics: how many additions the units beside the caches make, each of which must not be lost to another.
//!
//! To neighbouring words of L2, where they rarely meet; to one word, where they all do; and to words of a block's shared memory. Nobody
//! waits for what was there before. An addition is counted once, whatever it takes.

use super::{Choice, oracle};
use crate::{
    dtype::{Dtype, Precision},
    plan::{Arg, Buffer, Check, Op, Pass, Plan, Role, Step, Submit, WorkloadKey, first},
    record::{Device, Kind, RateUnit, Work},
    units::binary,
};

/// Words that a block adds to, its threads, and how far they move on after each pass (see the kernels).
const REGION: u64 = 4096;
const THREADS: u64 = 256;
const TURN: u64 = 32;
/// Blocks to a unit.
const BLOCKS: u64 = 4;

/// A row an operation.
struct Operation {
    name: &'static str,
    stem: &'static str,
    /// Additions to a word, or of a thread where all add to the same: enough for some tenths of a millisecond.
    times: u64,
}

const OPERATIONS: &[Operation] = &[
    Operation { name: "spread", stem: "atomic_spread", times: 256 },
    Operation { name: "shared", stem: "atomic_shared", times: 1024 },
    Operation { name: "one", stem: "atomic_one", times: 8 },
];

/// A plan an operation, as large as the device has units.
pub fn plans(device: &Device, choice: &Choice) -> Vec<Plan> {
    let Some(units) = device.units.filter(|_| device.backend == "cuda") else { return Vec::new() };
    let blocks = u64::from(units) * BLOCKS;
    // A fake interprets every one of them.
    let times = |operation: &Operation| if device.kind == Kind::Fake { 2 } else { operation.times };
    OPERATIONS.iter().map(|operation| plan(operation, blocks, times(operation), device, choice.seed)).collect()
}

fn plan(operation: &Operation, blocks: u64, times: u64, device: &Device, seed: u32) -> Plan {
    let words = blocks * REGION;
    let one = operation.stem == "atomic_one";
    let adds = times * if one { blocks * THREADS } else { words };
    let buffers = if one {
        vec![Buffer::vector(Dtype::Uint32, 96, Role::Side), Buffer::vector(Dtype::Uint32, 1, Role::Out)]
    } else {
        vec![Buffer::vector(Dtype::Uint32, words, Role::Out)]
    };
    let counts = [if one { blocks } else { words }, times, u64::from(seed)].map(Arg::Count);
    let args = (0..buffers.len()).map(Arg::Buffer).chain(counts).collect();
    let check = |element, fold| Check { output: buffers.len() - 1, element, fold, bound: 0, tolerance: 0.0, relative: 0.0 };
    Plan {
        key: WorkloadKey {
            family: "atomics",
            operation: operation.name,
            precision: Dtype::Uint32.to_string(),
            shape: if one { format!("{adds}") } else { binary(words * Dtype::Uint32.bytes()) },
        },
        precision: Precision::uniform(Dtype::Uint32),
        work: Work { items: adds, ..Work::default() },
        unit: RateUnit::Items,
        places: vec![device.id.clone()],
        program: vec![Step { stream: 0, op: Op::Kernel { stem: operation.stem, args } }],
        submit: Submit::Stream,
        check: if one {
            check(|plan, _, _| f64::from(grown(plan)), |plan, seed| oracle::vector(1, seed, |_| grown(plan)))
        } else {
            check(
                |plan, _: Pass, word| f64::from(spread(plan, word)),
                |plan, seed| oracle::vector(plan.buffers[0].elements, seed, |word| spread(plan, word)),
            )
        },
        buffers,
        also: Vec::new(),
        seed,
        sustained: false,
    }
}

/// Additions to a word, or of a thread.
fn times(plan: &Plan) -> u64 {
    let words = plan.buffers[0].elements;
    plan.work.items / if plan.buffers.len() > 1 { threads(plan) } else { words.max(1) }
}

/// All threads of a launch that adds to one word.
fn threads(plan: &Plan) -> u64 {
    let Op::Kernel { args, .. } = &plan.program[0].op else { return 1 };
    let blocks = args.iter().find_map(|arg| if let Arg::Count(blocks) = arg { Some(*blocks) } else { None });
    blocks.unwrap_or(1).max(1) * THREADS
}

/// What one word grows to: thread t adds 2 t + 1, and the first n odd numbers are n².
fn grown(plan: &Plan) -> u32 {
    let all = threads(plan) as u32;
    plan.seed.wrapping_add((times(plan) as u32).wrapping_mul(all.wrapping_mul(all)))
}

/// What a word of many grows to: in each pass another thread of its block, a warp further back, adds to it.
fn spread(plan: &Plan, word: u64) -> u32 {
    let value = |pass: u64| 2 * ((word % THREADS + THREADS - pass * TURN % THREADS) % THREADS) + 1;
    let (round, passes) = (THREADS / TURN, times(plan));
    let sum = |passes: u64| (0..passes).map(value).sum::<u64>();
    let whole = sum(round).wrapping_mul(passes / round).wrapping_add(sum(passes % round));
    first(plan.seed, word).wrapping_add(whole as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::SUITES;

    fn on(kind: Kind) -> Vec<Plan> {
        let device = Device { units: Some(3), ..Device::new("cuda:0", "cuda", kind, "x") };
        plans(&device, &Choice { suite: SUITES[0], footprint: None, seed: 7 })
    }

    #[test]
    fn every_addition_is_counted_and_in_the_output() {
        let plans = on(Kind::Gpu);
        let ids: Vec<_> = plans.iter().map(|plan| plan.key.id()).collect();
        assert_eq!(ids, ["atomics/uint32/spread/192KiB", "atomics/uint32/shared/192KiB", "atomics/uint32/one/24576"]);
        assert_eq!(plans.iter().map(|plan| plan.work.items).collect::<Vec<_>>(), [49_152 * 256, 49_152 * 1024, 3_072 * 8]);
        let one = (0..3_072_u32).fold(7_u32, |sum, thread| sum.wrapping_add(8 * (2 * thread + 1)));
        assert_eq!((plans[2].check.element)(&plans[2], Pass::Exact, 0), f64::from(one));
    }

    #[test]
    fn a_word_is_added_to_by_each_warp_in_turn() {
        let plan = &on(Kind::Fake)[0];
        for word in [0, 31, 32, 255, 4_095, 40_000] {
            // Threads whose place is this word's in the first pass and in the second.
            let (now, next) = (word % 256, (word + 224) % 256);
            let sum = first(7, word).wrapping_add((2 * now + 1 + 2 * next + 1) as u32);
            assert_eq!(spread(plan, word), sum, "{word}");
        }
    }
}
