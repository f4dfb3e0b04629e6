//! The WGSL kernels on whatever adapter this machine has, each against the host's own arithmetic, bit by bit.
//!
//! Without an adapter the tests say so and pass; with `ASSAY_REQUIRE_WGPU=1` they fail instead.
#![cfg(feature = "wgpu")]

mod plans;

use assay::{
    contract::{Fault, Machine, Prepared, Unsupported},
    device::wgpu,
    dtype::Dtype,
    plan::{
        Arg::{Buffer as B, Count as N},
        Buffer, Fold, Pass, Plan, Role, Submit, VariantKind,
    },
    record::Kind,
    units::Nanos,
};
use plans::{SEED, chain, expected, folded, matmul, plan, streams};
use std::time::{Duration, Instant};

/// The first adapter, with bindings no larger than `largest` bytes.
fn machine(largest: u64) -> Option<Box<dyn Machine>> {
    let listing = wgpu::probe();
    let Some(device) = listing.devices.first() else {
        let why = listing.absent.expect("a listing without devices says why");
        assert!(std::env::var("ASSAY_REQUIRE_WGPU").as_deref() != Ok("1"), "ASSAY_REQUIRE_WGPU=1, but {why}");
        eprintln!("NOT TESTED: {why}");
        return None;
    };
    Some(wgpu::open_limited(std::slice::from_ref(&device.id), largest).expect("a listed adapter opens"))
}

fn run(prepared: &mut dyn Prepared, variant: usize, launches: u32) {
    prepared.start(variant, launches).expect("started");
    let limit = Instant::now() + Duration::from_mins(2);
    while !prepared.finished().expect("no fault") {
        assert!(Instant::now() < limit, "the launches do not end");
        std::thread::sleep(Duration::from_micros(200));
    }
}

fn all(prepared: &mut dyn Prepared, buffer: usize, planned: &Buffer) -> Vec<f64> {
    prepared.sample(buffer, &(0..planned.elements).collect::<Vec<_>>()).expect("sampled")
}

/// Every variant of a plan, exact in every element and in both folds.
fn verify(machine: &dyn Machine, plan: &Plan) {
    let variants = machine.variants(plan);
    assert!(variants.len() >= 2 && variants.last().expect("some").kind == VariantKind::Slow);
    assert_eq!(machine.supports(plan), Ok(()));
    let mut prepared = machine.prepare(plan, &variants).expect("prepared");
    let (output, wanted) = (plan.check.output, expected(plan, Pass::Exact));
    let buffer = &plan.buffers[output];
    for (index, variant) in variants.iter().enumerate() {
        prepared.fill(Pass::Exact).expect("filled");
        run(prepared.as_mut(), index, 2);
        let name = format!("{} {} {:?}", plan.key.operation, variant.name, plan.buffers);
        assert!(all(prepared.as_mut(), output, buffer) == wanted, "{name}");
        for fold in [Fold::Bits, Fold::Values] {
            let host: Vec<u32> = [1, SEED].iter().map(|&seed| folded(buffer, &wanted, fold, seed)).collect();
            assert_eq!(prepared.fold(output, fold, &[1, SEED]).expect("folded"), host, "{name} {fold:?}");
        }
    }
}

#[test]
fn a_listing_tells_what_an_adapter_is_or_why_there_is_none() {
    let listing = wgpu::probe();
    assert_eq!(listing.backend, "wgpu");
    assert_eq!(listing.devices.is_empty(), listing.absent.as_ref().is_some_and(|why| !why.is_empty()));
    for device in &listing.devices {
        assert!(matches!(device.kind, Kind::Gpu | Kind::Software) && !device.model.is_empty() && device.api.is_some());
        assert!(device.facts.contains_key("max_binding_bytes") && device.bus.as_deref() != Some(""));
    }
    assert!(matches!(wgpu::open(&["wgpu:999".into()]), Err(Fault::Failed { .. })));
    assert!(matches!(wgpu::open(&[]), Err(Fault::Failed { .. })));
}

#[test]
fn inputs_are_the_generators_and_outputs_are_poisoned() {
    let Some(machine) = machine(u64::MAX) else { return };
    let n = 10_003;
    let buffers = vec![
        Buffer::vector(Dtype::Fp32, n, Role::In),
        Buffer::vector(Dtype::Uint32, n, Role::In),
        Buffer::vector(Dtype::Uint32, n, Role::Out),
    ];
    let plan = plan("write", buffers, vec![B(2), N(n), N(1)]);
    let mut prepared = machine.prepare(&plan, &[]).expect("prepared");
    for pass in [Pass::Exact, Pass::Random, Pass::Zeros] {
        prepared.fill(pass).expect("filled");
        for buffer in [0, 1] {
            let host: Vec<f64> = (0..n).map(|e| plan.input(buffer, pass, e)).collect();
            assert!(all(prepared.as_mut(), buffer, &plan.buffers[buffer]) == host, "buffer {buffer}, {pass:?}");
        }
        assert!(all(prepared.as_mut(), 2, &plan.buffers[2]).iter().all(|word| *word == f64::from(0xA5A5_A5A5_u32)));
    }
}

#[test]
fn streams_are_exact_on_whole_and_ragged_sizes() {
    let Some(machine) = machine(u64::MAX) else { return };
    for (n, segments, passes) in [(65_536, 16, 1), (40_000, 8, 3), (12_345, 5, 2), (3, 1, 1), (1, 1, 1)] {
        for plan in streams(n, segments, passes) {
            verify(machine.as_ref(), &plan);
        }
    }
}

#[test]
fn chains_are_exact_in_one_submission_and_in_one_each() {
    let Some(machine) = machine(u64::MAX) else { return };
    for submit in [Submit::Graph(1), Submit::Stream] {
        for length in [2, 300] {
            verify(machine.as_ref(), &chain(length, submit));
        }
        let plan = chain(100, submit);
        let mut prepared = machine.prepare(&plan, &machine.variants(&plan)[..1]).expect("prepared");
        prepared.fill(Pass::Random).expect("filled");
        run(prepared.as_mut(), 0, 20);
        let spans = prepared.spans().expect("timed");
        assert_eq!(spans.iter().map(|span| span.launches).sum::<u32>(), 20);
        assert!(spans.iter().all(|span| span.took > Nanos(0)));
        eprintln!("{submit:?}: {} ns a dispatch", spans.iter().map(|span| span.took.0).sum::<u64>() / 2000);
    }
    let mut short = chain(9, Submit::Graph(1));
    short.buffers[1].elements = 8;
    assert!(machine.supports(&short).expect_err("refused").to_string().contains("9 elements of a buffer of 8"));
}

#[test]
fn every_block_of_a_product_is_checked_and_a_wrong_one_is_found() {
    let Some(machine) = machine(u64::MAX) else { return };
    for [m, n, k] in [[128, 64, 64], [132, 260, 80], [257, 130, 67]] {
        let plan = matmul(m, n, k);
        let product = plan.product().expect("a product");
        let mut prepared = machine.prepare(&plan, &machine.variants(&plan)[..1]).expect("prepared");
        prepared.fill(Pass::Random).expect("filled");
        run(prepared.as_mut(), 0, 1);
        let right = prepared.residual(7).expect("looked").expect("deep enough");
        let (down, across) = product.blocks();
        assert_eq!(right.len() as u64, down * across);
        assert!(right.iter().all(|off| *off < 0.01), "{m}x{n}x{k}: {right:?}");
        assert_ne!(right, prepared.residual(8).expect("looked").expect("deep enough"), "other signs round otherwise");
        // A bit of the last element's exponent.
        prepared.flip(2, (m * n - 1) * 32 + 28).expect("flipped");
        let wrong = prepared.residual(7).expect("looked").expect("deep enough");
        let (last, others) = wrong.split_last().expect("blocks");
        assert!(*last > 0.1 && others == &right[..others.len()], "{m}x{n}x{k}: {wrong:?}");
    }
    let shallow = matmul(64, 64, 20);
    let mut prepared = machine.prepare(&shallow, &machine.variants(&shallow)[..1]).expect("prepared");
    assert_eq!(prepared.residual(7).expect("looked"), None, "single precision would say more of itself than of the product");
}

#[test]
fn matmul_is_exact_on_whole_and_ragged_sizes() {
    let Some(machine) = machine(u64::MAX) else { return };
    for [m, n, k] in
        [[128, 128, 16], [256, 128, 64], [132, 260, 36], [130, 129, 37], [5, 7, 3], [1, 1, 1], [1, 300, 500], [257, 4, 9]]
    {
        verify(machine.as_ref(), &matmul(m, n, k));
    }
}

#[test]
fn arrays_span_bindings() {
    let Some(machine) = machine(4_096) else { return };
    for (n, segments, passes) in [(4_096, 64, 1), (10_000, 50, 3), (9_999, 99, 2)] {
        for plan in streams(n, segments, passes) {
            verify(machine.as_ref(), &plan);
        }
    }
    let ragged =
        plan("write", vec![Buffer::matrix(Dtype::Uint32, 77, 131, Role::Out)], vec![B(0), N(77 * 131), N(u64::from(SEED))]);
    verify(machine.as_ref(), &ragged);
    let large = machine.supports(&matmul(64, 64, 64)).expect_err("a matrix may not span bindings");
    assert!(large.to_string().contains("16384 bytes"), "{large}");
    assert!(machine.supports(&streams(8_192, 2, 1)[0]).is_err(), "a segment may not span bindings");
}

/// A software adapter may cut loops short without a word; then a sum would be too small.
#[test]
fn long_loops_run_to_their_end() {
    let Some(machine) = machine(u64::MAX) else { return };
    for (n, segments, passes) in [(1 << 20, 64, 150), (1 << 21, 16, 3), (1 << 14, 2, 1_000)] {
        verify(machine.as_ref(), &streams(n, segments, passes)[0]);
    }
    verify(machine.as_ref(), &matmul(3, 5, 20_001));
}

#[test]
fn random_inputs_stay_within_rounding() {
    let Some(machine) = machine(u64::MAX) else { return };
    let mut plans = streams(8_192, 8, 1);
    plans.push(matmul(140, 70, 300));
    for plan in plans {
        let variants = machine.variants(&plan);
        let mut prepared = machine.prepare(&plan, &variants).expect("prepared");
        let wanted = expected(&plan, Pass::Random);
        for (index, variant) in variants.iter().enumerate() {
            prepared.fill(Pass::Random).expect("filled");
            run(prepared.as_mut(), index, 1);
            let got = all(prepared.as_mut(), plan.check.output, &plan.buffers[plan.check.output]);
            let worst = got.iter().zip(&wanted).map(|(got, wanted)| (got - wanted).abs()).fold(0.0, f64::max);
            assert!(worst < 2e-3, "{} {}: {worst}", plan.key.operation, variant.name);
        }
    }
}

#[test]
fn a_flipped_bit_changes_the_fold_and_nothing_else_does() {
    let Some(machine) = machine(8_192) else { return };
    let plan = &streams(10_000, 100, 1)[5];
    let mut prepared = machine.prepare(plan, &machine.variants(plan)).expect("prepared");
    prepared.fill(Pass::Random).expect("filled");
    run(prepared.as_mut(), 0, 1);
    let seeds: Vec<u32> = (0..5).collect();
    let before = prepared.fold(2, Fold::Bits, &seeds).expect("folded");
    run(prepared.as_mut(), 0, 3);
    assert_eq!(prepared.fold(2, Fold::Bits, &seeds).expect("folded"), before, "launches repeat");
    for bit in [0, 31, 32 * 9_999 + 22] {
        prepared.flip(2, bit).expect("flipped");
        let after = prepared.fold(2, Fold::Bits, &seeds).expect("folded");
        assert!(after.iter().zip(&before).all(|(after, before)| after != before), "bit {bit}");
        prepared.flip(2, bit).expect("flipped back");
        assert_eq!(prepared.fold(2, Fold::Bits, &seeds).expect("folded"), before);
    }
    assert!(prepared.flip(2, 32 * 10_000).is_err() && prepared.sample(9, &[0]).is_err());
}

#[test]
fn every_launch_is_timed_once_and_in_order() {
    let Some(machine) = machine(u64::MAX) else { return };
    let plan = &streams(1 << 20, 64, 1)[2];
    let variants = machine.variants(plan);
    let mut prepared = machine.prepare(plan, &variants).expect("prepared");
    prepared.fill(Pass::Random).expect("filled");
    let mut last = Nanos(0);
    for launches in [1, 7, 2_500] {
        let before = Instant::now();
        run(prepared.as_mut(), 0, launches);
        let waited = Nanos::from(before.elapsed());
        let spans = prepared.spans().expect("timed");
        assert_eq!(spans.iter().map(|span| span.launches).sum::<u32>(), launches);
        assert!(spans.iter().map(|span| span.took).sum::<Nanos>() <= waited + Nanos(1_000_000));
        for span in &spans {
            assert!(span.took > Nanos(0) && span.begin + Nanos(1_000) >= last, "{spans:?}");
            last = span.end();
        }
    }
    assert!(prepared.spans().expect("none left").is_empty());
    assert!(prepared.timer().resolution > Nanos(0) && !prepared.timer().name.is_empty());
    let identities: Vec<String> = (0..variants.len()).map(|variant| prepared.identity(variant)).collect();
    assert!(identities.iter().all(|identity| identity.starts_with("wgsl:") && identity.len() == 21));
    assert_ne!(identities.first(), identities.last());
}

#[test]
fn the_slow_twin_is_slower() {
    let Some(machine) = machine(u64::MAX) else { return };
    let mut plans = streams(1 << 22, 1 << 10, 1);
    plans.push(matmul(256, 256, 256));
    plans.push(chain(100, Submit::Graph(1)));
    for plan in plans {
        let variants = machine.variants(&plan);
        let mut prepared = machine.prepare(&plan, &[variants[0].clone(), variants[variants.len() - 1].clone()]).expect("prepared");
        prepared.fill(Pass::Random).expect("filled");
        let mut best = || {
            let mut best = [u64::MAX; 2];
            for round in 0..10 {
                run(prepared.as_mut(), round % 2, 1);
                let took = prepared.spans().expect("timed")[0].took.0;
                best[round % 2] = best[round % 2].min(took);
            }
            eprintln!("{}: {} against {} ns", plan.key.operation, best[0], best[1]);
            best[1] as f64 > best[0] as f64 * 1.1
        };
        // Other tests run beside this one, and may take the memory that both wait for; a clock that is broken is so each time.
        assert!((0..10).any(|_| best()), "{}: the slow twin is as fast", plan.key.operation);
    }
}

#[test]
fn what_cannot_run_is_refused_with_its_reason() {
    let Some(machine) = machine(u64::MAX) else { return };
    let refused = |plan: &Plan| machine.supports(plan).expect_err("refused");
    let copy = |dtype, n| {
        plan("copy", vec![Buffer::vector(dtype, 8, Role::In), Buffer::vector(dtype, 8, Role::Out)], vec![B(0), B(1), N(n)])
    };
    assert_eq!(refused(&copy(Dtype::Fp64, 8)), Unsupported::Precision("fp64".into()));
    assert!(machine.supports(&copy(Dtype::Fp32, 8)).is_ok());
    assert!(refused(&copy(Dtype::Fp32, 9)).to_string().contains("9 elements of a buffer of 8"));
    assert_eq!(refused(&plan("chase", vec![], vec![])), Unsupported::Stem("chase".into()));
    assert!(refused(&plan("copy", vec![], vec![B(0), B(1), N(1)])).to_string().contains("no buffer 0"));
    assert!(refused(&streams(10, 3, 1)[0]).to_string().contains("10 elements in 3 segments"));
    assert!(refused(&streams(10, 5, 0)[0]).to_string().contains("0 passes"));
    assert!(refused(&Plan { submit: Submit::Paced(Nanos(1)), ..streams(8, 2, 1).remove(2) }).to_string().contains("pace"));
    if machine.devices()[0].usable_bytes().is_some() {
        assert!(matches!(refused(&streams(1 << 50, 1 << 30, 1)[2]), Unsupported::Memory { .. }));
    }
    let mut graph = Plan { submit: Submit::Graph(3), ..streams(8, 2, 1).remove(2) };
    graph.places.clear();
    let mut prepared = machine.prepare(&graph, &machine.variants(&graph)).expect("a graph is its steps again and again");
    run(prepared.as_mut(), 0, 1);
    assert!(prepared.start(99, 1).is_err());
}
