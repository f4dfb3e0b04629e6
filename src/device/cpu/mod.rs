//! The CPU as an accelerator: all physical cores of the machine behind the contract, always there.
//!
//! The figures are the baseline that a card is held against, so they must be what the machine can do: threads pinned, one a
//! core; memory in huge pages, touched first where it is used; streaming stores where the output fits no cache.

mod contents;
mod job;
mod kernels;
mod launch;
mod memory;
mod prepared;
mod product;
mod residual;
mod stream;
mod team;
mod topology;

use crate::{
    contract::{Backend, Clock, Fault, Listing, Machine, Monotonic, Prepared, Timer, Unsupported},
    plan::{Plan, Variant},
    record::{Device, Kind},
    units::{Megahertz, Nanos},
};
use job::Job;
use memory::Spare;
use prepared::{Host, Ready};
use std::collections::BTreeMap;
use sysinfo::{CpuRefreshKind, System};
use team::Team;
use topology::Topology;

/// The row of this backend.
pub const BACKEND: Backend = Backend { name: NAME, probe, open };

const NAME: &str = "cpu";
/// There is one device: all cores together.
const ID: &str = "cpu:0";

fn probe() -> Listing {
    Listing { backend: NAME.into(), devices: vec![device(&Topology::read())], ..Listing::default() }
}

fn open(ids: &[String]) -> Result<Box<dyn Machine>, Fault> {
    if ids.len() != 1 || ids[0] != ID {
        return Err(Fault::failed(format!("opening {}", ids.join(", ")), format!("there is {ID} and no other")));
    }
    let topology = Topology::read();
    let team = Team::new(topology.cores.clone())?;
    let clock = Monotonic::default();
    let timer = Timer { name: "host monotonic clock", resolution: resolution(clock), overhead: None, gated: false };
    let last_cache = topology.last_cache_bytes();
    Ok(Box::new(Cpu { devices: [device(&topology)], spare: Spare::default(), last_cache, team, clock, timer }))
}

/// Facts of the CPU.
fn device(topology: &Topology) -> Device {
    let memory = memory::total_and_free();
    let mut facts = BTreeMap::new();
    let threads: Vec<_> = topology.cores.iter().map(ToString::to_string).collect();
    facts.insert("threads".into(), threads.join(","));
    facts.extend(topology.memory_nodes.map(|nodes| ("memory_nodes".into(), nodes.to_string())));
    facts.extend(huge_pages().map(|mode| ("huge_pages".into(), mode)));
    Device {
        memory_bytes: memory.map(|(total, _)| total),
        memory_free_bytes: memory::free(),
        architecture: Some(stream::Level::detect().name().into()),
        units: u32::try_from(topology.cores.len()).ok(),
        caches: topology.caches.clone(),
        boost_mhz: topology.boost_mhz.map(Megahertz),
        precisions: vec!["fp64".into(), "fp32".into()],
        facts,
        ..Device::new(ID, NAME, Kind::Cpu, &model())
    }
}

fn model() -> String {
    let system = System::new().ok().map(|mut system| {
        system.refresh_cpu_list(CpuRefreshKind::nothing());
        system
    });
    let brand = system.and_then(|system| system.cpus().first().map(|cpu| cpu.brand().trim().to_owned()));
    brand.filter(|brand| !brand.is_empty()).unwrap_or_else(|| std::env::consts::ARCH.into())
}

/// When the system gives huge pages: `always`, `madvise` or `never`.
fn huge_pages() -> Option<String> {
    let modes = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").ok()?;
    Some(modes.split_once('[')?.1.split_once(']')?.0.to_owned())
}

/// Smallest step of the clock that was seen.
fn resolution(clock: Monotonic) -> Nanos {
    let times: Vec<_> = (0..1_000).map(|_| clock.now()).collect();
    let steps = times.windows(2).map(|pair| pair[1].since(pair[0])).filter(|step| *step > Nanos(0));
    steps.min().unwrap_or(Nanos(1))
}

/// All cores, opened.
struct Cpu {
    devices: [Device; 1],
    spare: Spare,
    team: Team,
    clock: Monotonic,
    timer: Timer,
    last_cache: u64,
}

impl Machine for Cpu {
    fn devices(&self) -> &[Device] {
        &self.devices
    }

    fn supports(&self, plan: &Plan) -> Result<(), Unsupported> {
        let needed = plan.bytes_allocated();
        if let Some(free) = self.spare.free()
            && needed > free
        {
            return Err(Unsupported::Memory { needed, free });
        }
        Job::of(plan).map(|_| ())
    }

    fn variants(&self, plan: &Plan) -> Vec<Variant> {
        let known = Job::of(plan).is_ok();
        if known { vec![Variant::own("native"), Variant::slow("slow")] } else { Vec::new() }
    }

    fn prepare(&self, plan: &Plan, variants: &[Variant]) -> Result<Box<dyn Prepared + '_>, Fault> {
        let job = Job::of(plan).map_err(|unsupported| Fault::failed(plan.key.id(), unsupported))?;
        let Self { team, spare, clock, timer, last_cache, .. } = self;
        let host = Host { team, spare, clock: *clock, timer: *timer, last_cache: *last_cache };
        Ok(Box::new(Ready::new(host, job, plan, variants)?))
    }

    fn clock(&self) -> &dyn Clock {
        &self.clock
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dtype::{Dtype, Precision},
        plan::{Arg, Buffer, Check, Fold, Op, Pass, Role, Step, Submit, VariantKind, WorkloadKey, weyl},
        record::{RateUnit, Work},
        units::{Bytes, Flops},
    };

    fn plan(stem: &'static str, buffers: Vec<Buffer>, args: Vec<Arg>) -> Plan {
        Plan {
            key: WorkloadKey { family: "test", operation: stem, precision: "any".into(), shape: "ragged".into() },
            precision: Precision::uniform(Dtype::Fp64),
            work: Work { flops: Flops(0), bytes: Bytes(0), items: 0 },
            unit: RateUnit::Bytes,
            places: vec![ID.into()],
            check: Check {
                output: buffers.len() - 1,
                element: |_, _, _| 0.0,
                fold: |_, _| 0,
                bound: 0,
                tolerance: 0.0,
                relative: 0.0,
            },
            buffers,
            program: vec![Step { stream: 0, op: Op::Kernel { stem, args } }],
            submit: Submit::Stream,
            also: Vec::new(),
            seed: 11,
            sustained: false,
        }
    }

    /// A plan of `inputs` vectors in and one out, all of `n` elements.
    fn vectors(stem: &'static str, dtype: Dtype, (inputs, n): (usize, u64), scalars: &[Arg]) -> Plan {
        let mut buffers = vec![Buffer::vector(dtype, n, Role::In); inputs];
        buffers.push(Buffer::vector(dtype, n, Role::Out));
        let args = (0..=inputs).map(Arg::Buffer).chain([Arg::Count(n)]).chain(scalars.iter().copied()).collect();
        plan(stem, buffers, args)
    }

    fn cpu() -> Box<dyn Machine> {
        open(&[ID.into()]).expect("a CPU is always there")
    }

    /// Runs the exact pass in every variant and holds each element of the output to `want`.
    fn holds(plan: &Plan, want: impl Fn(&Plan, u64) -> f64) {
        let machine = cpu();
        let variants = machine.variants(plan);
        assert_eq!(variants.iter().map(|variant| variant.kind).collect::<Vec<_>>(), [VariantKind::Own, VariantKind::Slow]);
        let mut ready = machine.prepare(plan, &variants).expect("a small plan");
        let output = plan.buffers.len() - 1;
        let all: Vec<u64> = (0..plan.buffers[output].elements).collect();
        for variant in 0..variants.len() {
            ready.fill(Pass::Exact).expect("filled");
            ready.start(variant, 3).expect("started");
            assert!(ready.finished().expect("finished"));
            assert_eq!(ready.spans().expect("times").len(), 3);
            let found = ready.sample(output, &all).expect("sampled");
            let wrong = all.iter().zip(&found).find(|(e, found)| want(plan, **e) != **found);
            assert_eq!(wrong, None, "{} in variant {variant}", plan.key.operation);
        }
    }

    #[test]
    fn elementwise_stems_are_exact_on_whole_and_ragged_sizes() {
        let real = Arg::Real(3.0);
        for (dtype, n) in [(Dtype::Fp64, 4_096), (Dtype::Fp64, 1_003), (Dtype::Fp32, 65_537), (Dtype::Fp32, 1), (Dtype::Fp64, 5)] {
            let a = |plan: &Plan, e| plan.input(0, Pass::Exact, e);
            let b = |plan: &Plan, e| plan.input(1, Pass::Exact, e);
            holds(&vectors("copy", dtype, (1, n), &[]), a);
            holds(&vectors("scale", dtype, (1, n), &[real]), |plan, e| 3.0 * a(plan, e));
            holds(&vectors("add", dtype, (2, n), &[]), |plan, e| a(plan, e) + b(plan, e));
            holds(&vectors("triad", dtype, (2, n), &[Arg::Count(2), real]), |plan, e| a(plan, e) + 3.0 * b(plan, e));
        }
    }

    #[test]
    fn a_written_pattern_is_the_weyl_sequence() {
        for n in [4_096, 1_003, 65_537, 1] {
            holds(&vectors("write", Dtype::Uint32, (0, n), &[Arg::Count(11)]), |_, e| f64::from(weyl(11, e)));
        }
    }

    #[test]
    fn reductions_are_exact_for_every_number_of_segments() {
        for (segments, length) in [(1, 4_096), (2, 64), (7, 143), (64, 1)] {
            let n = segments * length;
            let over = move |p: u64| p * length..(p + 1) * length;
            let args = |inputs: usize, rest: &[u64]| {
                (0..=inputs).map(Arg::Buffer).chain(rest.iter().map(|count| Arg::Count(*count))).collect::<Vec<_>>()
            };
            let words = vec![Buffer::vector(Dtype::Uint32, n, Role::In), Buffer::vector(Dtype::Uint32, segments, Role::Out)];
            holds(&plan("read", words, args(1, &[n, segments, 3])), |plan, p| {
                let sum = over(p).fold(0_u32, |sum, e| sum.wrapping_add(plan.input(0, Pass::Exact, e) as u32));
                f64::from(sum.wrapping_mul(3))
            });
            let real = |elements, role| Buffer::vector(Dtype::Fp32, elements, role);
            let reals = vec![real(n, Role::In), real(n, Role::In), real(segments, Role::Out)];
            holds(&plan("dot", reals, args(2, &[n, segments])), |plan, p| {
                over(p).map(|e| plan.input(0, Pass::Exact, e) * plan.input(1, Pass::Exact, e)).sum()
            });
        }
    }

    #[test]
    fn a_chain_is_exact_and_each_kernel_waits_for_the_one_before() {
        let chain = |length: u64| {
            let buffers = vec![Buffer::vector(Dtype::Uint32, 1, Role::In), Buffer::vector(Dtype::Uint32, length, Role::Out)];
            let link = |index| Op::Kernel { stem: "link", args: vec![Arg::Buffer(0), Arg::Buffer(1), Arg::Count(index)] };
            let program = (0..length).map(|index| Step { stream: 0, op: link(index) }).collect();
            Plan { program, submit: Submit::Graph(1), ..plan("link", buffers, Vec::new()) }
        };
        for length in [2, 1_000] {
            holds(&chain(length), |plan, e| f64::from((plan.input(0, Pass::Exact, 0) as u32).wrapping_add(e as u32 + 1)));
        }
        let machine = cpu();
        let refused = |plan: Plan| machine.supports(&plan).expect_err("refused").to_string();
        assert!(refused(Plan { submit: Submit::Stream, ..chain(9) }).contains("graph"));
        let mut out_of_order = chain(9);
        out_of_order.program.swap(3, 4);
        assert!(refused(out_of_order).contains("one step"));
        let mut short = chain(9);
        short.buffers[1].elements = 8;
        assert!(refused(short).contains("too short"));
    }

    #[test]
    fn products_are_exact_on_whole_and_ragged_shapes() {
        for (dtype, m, n, k) in
            [(Dtype::Fp64, 64, 64, 64), (Dtype::Fp32, 33, 70, 129), (Dtype::Fp64, 1, 50, 3), (Dtype::Fp32, 200, 1, 8)]
        {
            let matrix = |rows, columns, role| Buffer::matrix(dtype, rows, columns, role);
            let buffers = vec![matrix(m, k, Role::In), matrix(k, n, Role::In), matrix(m, n, Role::Out)];
            let counts = [m, n, k].map(Arg::Count);
            let args = (0..3).map(Arg::Buffer).chain(counts).collect();
            holds(&plan("matmul", buffers, args), |plan, e| {
                let term = |i| plan.input(0, Pass::Exact, e / n * k + i) * plan.input(1, Pass::Exact, i * n + e % n);
                (0..k).map(term).sum()
            });
        }
    }

    #[test]
    fn a_plan_that_does_not_fit_itself_is_refused_in_words() {
        let machine = cpu();
        let refused = |plan: &Plan| machine.supports(plan).expect_err("refused").to_string();
        let mut short = vectors("copy", Dtype::Fp64, (1, 64), &[]);
        short.buffers[1].elements = 63;
        assert!(refused(&short).contains("too short"));
        assert!(refused(&vectors("copy", Dtype::Fp64, (1, 0), &[])).contains("empty"));
        assert!(refused(&vectors("triad", Dtype::Fp64, (2, 64), &[])).contains("triad"));
        assert!(refused(&vectors("sort", Dtype::Fp64, (1, 64), &[])).contains("sort"));
        assert!(refused(&vectors("copy", Dtype::Bf16, (1, 64), &[])).contains("bf16"));
        let mut in_place = vectors("copy", Dtype::Fp64, (1, 64), &[]);
        in_place.program[0].op = Op::Kernel { stem: "copy", args: vec![Arg::Buffer(1), Arg::Buffer(1), Arg::Count(64)] };
        assert!(refused(&in_place).contains("its own input"));
        let graph = Plan { submit: Submit::Graph(4), ..vectors("copy", Dtype::Fp64, (1, 64), &[]) };
        assert!(refused(&graph).contains("graph") && machine.variants(&graph).is_empty());
    }

    #[test]
    fn memory_that_is_not_there_is_an_error_with_figures() {
        let machine = cpu();
        let plan = vectors("copy", Dtype::Fp64, (1, 1 << 50), &[]);
        assert!(matches!(machine.supports(&plan), Err(Unsupported::Memory { needed, free }) if needed > free));
        assert!(matches!(machine.prepare(&plan, &machine.variants(&plan)), Err(Fault::OutOfMemory { free: Some(_), .. })));
    }

    #[test]
    fn a_flipped_bit_changes_the_fold_and_unknown_places_are_faults() {
        let machine = cpu();
        let plan = vectors("copy", Dtype::Fp64, (1, 1_003), &[]);
        let mut ready = machine.prepare(&plan, &machine.variants(&plan)).expect("a small plan");
        ready.fill(Pass::Random).expect("filled");
        let before = ready.fold(1, Fold::Bits, &[1, 2]).expect("folded");
        ready.flip(1, 1_003 * 64 - 1).expect("the last bit");
        assert_ne!(ready.fold(1, Fold::Bits, &[1, 2]).expect("folded"), before);
        assert!(ready.flip(1, 1_003 * 64).is_err() && ready.flip(2, 0).is_err());
        assert!(ready.sample(0, &[1_003]).is_err() && ready.fold(9, Fold::Bits, &[1]).is_err() && ready.start(2, 1).is_err());
    }

    #[test]
    fn the_probe_knows_this_machine() {
        let listing = probe();
        let device = &listing.devices[0];
        assert_eq!((device.id.as_str(), device.kind, listing.absent), (ID, Kind::Cpu, None));
        assert!(device.units.is_some_and(|units| units >= 1) && !device.model.is_empty());
        assert!(device.memory_bytes >= device.memory_free_bytes && device.memory_free_bytes > Some(0));
        assert_eq!(device.precisions, ["fp64", "fp32"]);
    }
}
