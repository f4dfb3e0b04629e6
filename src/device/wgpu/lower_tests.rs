//! Dispatches of small and large plans, on a GPU and on a software adapter.

use super::{
    super::{
        kernels::CONFIGS,
        limits::{LARGEST_BINDING, MOST_ITERATIONS, RESIDENT},
    },
    *,
};
use crate::{
    dtype::Precision,
    plan::{Buffer, Check, Role, Step, WorkloadKey},
    record::{RateUnit, Work},
    units::{Bytes, Flops},
};

fn plan(stem: &'static str, buffers: Vec<Buffer>, args: Vec<Arg>) -> Plan {
    Plan {
        key: WorkloadKey { family: "test", operation: stem, precision: "fp32".into(), shape: "small".into() },
        precision: Precision::uniform(Dtype::Fp32),
        work: Work { flops: Flops(0), bytes: Bytes(0), items: 0 },
        unit: RateUnit::Bytes,
        places: vec![],
        buffers,
        program: vec![Step { stream: 0, op: Op::Kernel { stem, args } }],
        submit: Submit::Stream,
        check: Check { output: 0, element: |_, _, _| 0.0, fold: |_, _| 0, bound: 0, tolerance: 0.0, relative: 0.0 },
        also: Vec::new(),
        seed: 1,
        sustained: false,
    }
}

fn triad(n: u64, passes: u64) -> Plan {
    let input = Buffer::vector(Dtype::Fp32, n, Role::In);
    let args = [Arg::Buffer(0), Arg::Buffer(1), Arg::Buffer(2), Arg::Count(n), Arg::Count(passes), Arg::Real(3.0)];
    plan("triad", vec![input, input, Buffer::vector(Dtype::Fp32, n, Role::Out)], args.to_vec())
}

fn matmul(n: u64) -> Plan {
    let matrix = Buffer::matrix(Dtype::Fp32, n, n, Role::In);
    let args = [Arg::Buffer(0), Arg::Buffer(1), Arg::Buffer(2), Arg::Count(n), Arg::Count(n), Arg::Count(n)];
    plan("matmul", vec![matrix; 3], args.to_vec())
}

const GPU: Limits = Limits { binding: LARGEST_BINDING, threads: 1024, memory: 32_768, cores: None };
const SOFTWARE: Limits = Limits { binding: 128 << 20, threads: 1024, memory: 32_768, cores: Some(2) };

fn dispatches(plan: &Plan, limits: &Limits, variant: &str) -> Vec<Dispatch> {
    lower(plan, limits, variant).expect("lowered").remove(0).dispatches
}

#[test]
fn passes_over_a_small_footprint_share_a_dispatch_of_few_workgroups() {
    let small = dispatches(&triad(1 << 16, 1_000), &GPU, "vec4x4");
    assert_eq!((small.len(), small[0].scalars[2], u64::from(small[0].groups[0]) <= RESIDENT), (1, 1_000, true));
    let large = dispatches(&triad(1 << 24, 4), &GPU, "vec4x4");
    assert_eq!((large.len(), large[0].scalars[2], large[0].groups[0]), (4, 1, 4_096));
}

#[test]
fn no_thread_of_a_software_adapter_loops_too_often() {
    for (n, passes) in [(1 << 13, 4_096), (1 << 20, 32), (1 << 24, 2), (1 << 28, 1)] {
        let all = dispatches(&triad(n, passes), &SOFTWARE, "narrow");
        let pieces = (n * 4).div_ceil(SOFTWARE.binding);
        assert_eq!(all.iter().map(|dispatch| u64::from(dispatch.scalars[2])).sum::<u64>(), passes * pieces);
        for dispatch in all {
            let [_, chunk, passes, ..] = dispatch.scalars[..] else { panic!("five scalars") };
            assert!(u64::from(chunk / 32) * u64::from(passes) < MOST_ITERATIONS, "{n} {passes}");
        }
    }
    assert!(lower(&triad(1 << 20, 1 << 40), &SOFTWARE, "narrow").is_err());
}

#[test]
fn long_products_are_cut_into_bands_that_cover_every_row() {
    for (plan, limits, variant) in
        [(matmul(16_384), GPU, "t128x128"), (matmul(2_048), SOFTWARE, "reg4x4"), (matmul(100), GPU, "slow")]
    {
        let rows = u64::from(CONFIGS.iter().find(|c| c.stem == "matmul" && c.name == variant).expect("a row").rows());
        let mut next = 0;
        for dispatch in dispatches(&plan, &limits, variant) {
            let (n, row, tall) = (u64::from(dispatch.scalars[1]), u64::from(dispatch.scalars[3]), u64::from(dispatch.groups[1]));
            assert_eq!(row, next);
            assert!(2 * n * n * tall * rows <= limits.operations() || tall == 1);
            next += tall * rows;
        }
        assert!(next >= plan.buffers[0].columns && next < plan.buffers[0].columns + rows);
    }
}

#[test]
fn whole_sizes_need_no_guards() {
    let whole = |n| lower(&matmul(n), &GPU, "t128x128").expect("lowered")[0].constants.clone();
    assert_eq!(whole(256), [("WHOLE", 1.0)]);
    assert_eq!(whole(260), [("WHOLE", 0.0)]);
}
