//! One tiny plan of each kind goes through the same `measure`, on a machine of which every launch is written down beforehand.

mod scripted;

use assay::{
    contract::{Clock, Fault},
    dtype::{Dtype, Precision},
    measure::{Context, Profile, Readings, measure},
    plan::{Arg, Buffer, COLUMN, Check, Op, Pass, Place, Plan, ROW, Role, Step, Submit, Variant, VariantKind, WorkloadKey, weight},
    record::{Decline, Entry, Outcome, RateUnit, Reading, Status, Work},
    units::{Bytes, Flops, Megahertz, Milliwatts, Nanos},
};
use scripted::{Script, Scripted};
use std::cell::RefCell;

const MILLISECOND: u64 = 1_000_000;
const ELEMENTS: u64 = 64;

/// Output element `e` is twice input element `e`.
fn twice(plan: &Plan, pass: Pass, element: u64) -> f64 {
    2.0 * plan.input(0, pass, element)
}

fn fold_of_twice(plan: &Plan, seed: u32) -> u32 {
    (0..ELEMENTS).fold(0, |sum, e| {
        let value = (twice(plan, Pass::Exact, e) as i64 as u32).wrapping_mul(weight(seed ^ ROW, e));
        sum.wrapping_add(value.wrapping_mul(weight(seed ^ COLUMN, 0)))
    })
}

/// A plan whose only kernel doubles a vector.
fn plan(operation: &'static str) -> Plan {
    let args = vec![Arg::Buffer(0), Arg::Buffer(1), Arg::Count(ELEMENTS)];
    Plan {
        key: WorkloadKey { family: "tiny", operation, precision: "fp64".into(), shape: "64".into() },
        precision: Precision::uniform(Dtype::Fp64),
        work: Work { flops: Flops(1_000), bytes: Bytes(2 * 8 * ELEMENTS), items: 10 },
        unit: RateUnit::Bytes,
        places: vec!["scripted:0".into()],
        buffers: vec![Buffer::vector(Dtype::Fp64, ELEMENTS, Role::In), Buffer::vector(Dtype::Fp64, ELEMENTS, Role::Out)],
        program: vec![Step { stream: 0, op: Op::Kernel { stem: "twice", args } }],
        submit: Submit::Stream,
        check: Check { output: 1, element: twice, fold: fold_of_twice, bound: 6, tolerance: 0.0, relative: 0.0 },
        also: Vec::new(),
        seed: 1,
        sustained: false,
    }
}

const PROFILE: Profile = Profile { burst: Nanos(300 * MILLISECOND), sustained: Nanos(5_000 * MILLISECOND), precision: None };

fn run(machine: &Scripted, plan: &Plan, variants: &[Variant]) -> Vec<Entry> {
    measure(machine, plan, variants, &Context::unwatched(PROFILE))
}

fn alone(machine: &Scripted, plan: &Plan) -> Entry {
    run(machine, plan, &[Variant::own("a")]).remove(0)
}

fn burst(entry: &Entry) -> f64 {
    entry.rate.as_ref().and_then(|rate| rate.burst).expect("a burst").value
}

#[test]
fn a_plain_plan_is_verified_then_timed() {
    let machine = Scripted::new(|_, _| MILLISECOND);
    let entry = alone(&machine, &plan("plain"));
    assert_eq!((entry.outcome, &entry.reason), (Outcome::Measured, &None));
    assert!((burst(&entry) * 1e-3 / (2.0 * 8.0 * ELEMENTS as f64) - 1.0).abs() < 1e-12, "{}", burst(&entry));
    let calls = machine.calls.borrow();
    assert_eq!(calls[..6], ["prepare 1", "fill Exact", "start 0", "fill Random", "start 0", "start 0"].map(String::from));
    let (verified, sampling) = (entry.verified.expect("verified"), entry.sampling.expect("sampling"));
    assert!(verified.passed && verified.hashed >= 1 && verified.launches == 300, "{verified:?}");
    assert_eq!((sampling.stopped_by.as_str(), sampling.launches), ("time", 300));
    assert!(sampling.outside < 0.01);
    assert_eq!(entry.latency.expect("latency").service.expect("per launch").count, 300);
    assert_eq!(entry.rate.expect("rate").status, Status::BurstOnly);
}

#[test]
fn a_variant_pair_takes_turns_and_tells_the_ratio() {
    let machine = Scripted::new(|variant, _| if variant == 0 { MILLISECOND } else { 2 * MILLISECOND });
    let entries = run(&machine, &plan("pair"), &[Variant::own("a"), Variant::own("b")]);
    let pair = entries[0].pair.as_ref().expect("a pair");
    assert!((pair.ratio.value - 2.0).abs() < 1e-9 && pair.pairs >= 3, "{pair:?}");
    assert_eq!(pair.with, "tiny/fp64/pair/64@b");
    assert!((entries[1].pair.as_ref().expect("a pair").ratio.value - 0.5).abs() < 1e-9);
    let calls = machine.calls.borrow();
    let starts: Vec<_> = calls.iter().filter(|call| call.starts_with("start")).skip(4).collect();
    assert!(starts.windows(2).all(|two| two[0] != two[1]), "turns: {starts:?}");
    // Each has its own time in sixteen turns, and does not end in turns of one launch for the other's.
    assert!((2 * 15..=2 * 18).contains(&starts.len()), "{} turns", starts.len());
    assert!(entries.iter().all(|entry| entry.verified.as_ref().is_some_and(|v| v.hashed >= 1)));
}

#[test]
fn a_vendor_library_is_a_variant_and_never_the_oracle() {
    let machine = Scripted::new(|variant, _| if variant == 0 { 10 * MILLISECOND } else { 9 * MILLISECOND });
    let vendor = Variant { name: "library".into(), kind: VariantKind::Vendor };
    let entries = run(&machine, &plan("vendor"), &[Variant::own("a"), vendor]);
    assert_eq!(entries[1].workload.variant, "library");
    assert!((entries[0].pair.as_ref().expect("a pair").ratio.value - 0.9).abs() < 1e-9);
    assert!(entries.iter().all(|entry| entry.verified.as_ref().is_some_and(|v| v.passed)));
}

#[test]
fn a_pointer_chase_is_told_in_seconds_a_hop() {
    let chase = Plan { unit: RateUnit::Seconds, ..plan("chase") };
    let entry = alone(&Scripted::new(|_, _| MILLISECOND), &chase);
    assert!((burst(&entry) - 1e-4).abs() < 1e-12, "ten hops a millisecond");
}

#[test]
fn a_graph_chain_counts_its_items_and_batches_have_no_percentiles() {
    let chain = Plan { submit: Submit::Graph(10), unit: RateUnit::Items, ..plan("graph") };
    let machine = Scripted { batch: 8, ..Scripted::new(|_, _| MILLISECOND) };
    let entry = alone(&machine, &chain);
    assert!((burst(&entry) - 1e4).abs() < 1e-6);
    let latency = entry.latency.expect("latency");
    assert_eq!((latency.per.as_str(), latency.service), ("batch of 8", None));
}

#[test]
fn copies_run_both_ways_at_once_and_between_two_devices() {
    let step = |stream, from, to| Step { stream, op: Op::Copy { from, to } };
    let both = Plan {
        places: vec!["scripted:0".into(), "scripted:1".into()],
        buffers: vec![
            Buffer { place: Place::Pinned(Some(0)), ..Buffer::vector(Dtype::Fp64, ELEMENTS, Role::In) },
            Buffer { place: Place::Device(1), ..Buffer::vector(Dtype::Fp64, ELEMENTS, Role::Out) },
            Buffer { place: Place::Pageable, ..Buffer::vector(Dtype::Fp64, ELEMENTS, Role::Side) },
        ],
        program: vec![step(0, 0, 1), step(1, 1, 2)],
        ..plan("copies")
    };
    assert_eq!(alone(&Scripted::new(|_, _| MILLISECOND), &both).outcome, Outcome::Measured);
    let elsewhere = Plan { places: vec!["scripted:7".into()], ..both };
    assert_eq!(alone(&Scripted::new(|_, _| MILLISECOND), &elsewhere).outcome, Outcome::Skipped);
}

#[test]
fn a_paced_plan_is_told_from_the_intended_start() {
    // Every tenth launch takes three periods: those after it wait, and only the response time shows that.
    let paced = Plan { submit: Submit::Paced(Nanos(2 * MILLISECOND)), ..plan("paced") };
    let machine = Scripted::new(|_, index| if index % 10 == 9 { 6 * MILLISECOND } else { MILLISECOND });
    let latency = alone(&machine, &paced).latency.expect("latency");
    let (service, response) = (latency.service.expect("service"), latency.response.expect("response"));
    assert!(service.p50.0.abs_diff(MILLISECOND) < 2_000);
    assert!(response.p90.0 > 2 * service.p50.0, "{response:?}");
    assert_eq!(response.count, service.count);
}

#[test]
fn a_backlog_is_carried_from_slice_to_slice() {
    // Launches take twice the period: after 150 of them the last is 150 periods late, whatever the harness did meanwhile.
    let paced = Plan { submit: Submit::Paced(Nanos(MILLISECOND)), ..plan("overload") };
    let latency = alone(&Scripted::new(|_, _| 2 * MILLISECOND), &paced).latency.expect("latency");
    let (service, response) = (latency.service.expect("service"), latency.response.expect("response"));
    let expected = (service.count + 1) * MILLISECOND;
    assert!(response.max.0.abs_diff(expected) < expected / 50, "{} launches, {response:?}", service.count);
    assert!(service.count > 100 && service.max.0 < 2_010_000, "{service:?}");
}

#[test]
fn a_measurement_that_its_sensors_speak_against_goes_on_and_is_not_steady() {
    let long = Plan { sustained: true, ..plan("gate") };
    let measured = |clock: fn(u64) -> u32| {
        let readings = |from: Nanos, to: Nanos| {
            let each = (from.0 / 100_000_000..to.0 / 100_000_000).map(|tenth| Reading {
                at: Nanos(tenth * 100_000_000),
                sm_mhz: Some(Megahertz(clock(tenth))),
                ..Reading::default()
            });
            Readings { source: "nvml", readings: each.collect(), ..Readings::default() }
        };
        let profile = Profile { burst: Nanos(0), sustained: Nanos(0), precision: None }.precise(0.005);
        let context = Context { readings: &readings, ..Context::unwatched(profile) };
        measure(&Scripted::new(|_, _| MILLISECOND), &long, &[Variant::own("a")], &context).remove(0)
    };
    let calm = measured(|_| 1_500);
    let (rate, sampling) = (calm.rate.expect("a rate"), calm.sampling.expect("sampling"));
    assert_eq!((rate.status, sampling.stopped_by.as_str()), (Status::Steady, "precision"));
    assert!(sampling.seconds < 12.0 && calm.gate.is_some_and(|gate| gate.against.is_empty()));
    let sinking = measured(|tenth| 1_500 - (tenth / 4) as u32);
    let (rate, sampling) = (sinking.rate.expect("a rate"), sinking.sampling.expect("sampling"));
    assert_eq!((rate.status, rate.steady, sampling.stopped_by.as_str()), (Status::NotSteady, false, "time"));
    let gate = sinking.gate.expect("sensors");
    assert!(sampling.seconds >= 30.0 && gate.against.len() == 1 && gate.checked.contains("clock"), "{gate:?}");
}

#[test]
fn a_replayed_trace_gives_burst_and_sustained_apart() {
    // Two seconds of boost, then a third slower; what the trace holds is what is told.
    let machine = Scripted::new(|_, index| if index < 2_000 { MILLISECOND } else { 3 * MILLISECOND / 2 });
    let entry = alone(&machine, &Plan { sustained: true, ..plan("replay") });
    let rate = entry.rate.expect("rate");
    let sustained = rate.sustained.expect("five seconds");
    let (burst, bytes) = (rate.burst.expect("burst").value, 2.0 * 8.0 * ELEMENTS as f64);
    assert!((burst - bytes / 1e-3).abs() < 1.0);
    let expected = bytes / 1.5e-3;
    assert!(
        (sustained.value / expected - 1.0).abs() < 0.01 && sustained.low < expected && expected < sustained.high,
        "{sustained:?}"
    );
    assert!(sustained.p05 <= sustained.p95);
    assert_eq!((rate.status, rate.steady), (Status::Budget, false));
    let discarded = entry.sampling.expect("sampling").discarded;
    assert!((1.9..2.1).contains(&discarded), "{discarded} s of boost are left out");
}

#[test]
fn every_planted_fault_ends_in_the_right_entry() {
    for (script, outcome, word) in [
        (Script::Wrong, Outcome::Invalid, "element 0"),
        (Script::Unwritten(5), Outcome::Invalid, "element 5"),
        (Script::Flip(100), Outcome::Invalid, "silent corruption"),
        (Script::Hang(50), Outcome::Failed, "did not finish"),
        (Script::Lost(50), Outcome::Failed, "lost"),
        (Script::OutOfMemory, Outcome::Failed, "out of memory"),
        (Script::Unsupported, Outcome::Skipped, "--footprint"),
    ] {
        let machine = Scripted { script, ..Scripted::new(|_, _| MILLISECOND) };
        let entry = alone(&machine, &plan("fault"));
        assert_eq!(entry.outcome, outcome, "{script:?}");
        assert!(entry.reason.as_deref().is_some_and(|reason| reason.contains(word)), "{script:?}: {:?}", entry.reason);
    }
}

#[test]
fn a_fault_after_which_the_machine_is_of_no_use_is_told() {
    for (script, is_final) in [(Script::Hang(0), true), (Script::Lost(0), true), (Script::OutOfMemory, false)] {
        let machine = Scripted { script, ..Scripted::new(|_, _| MILLISECOND) };
        let told = RefCell::new(Vec::new());
        let ended = |fault: &Fault, _: Option<&Variant>| told.borrow_mut().push(fault.is_final());
        let profile = Profile { burst: Nanos(MILLISECOND), sustained: Nanos(MILLISECOND), precision: None };
        let context = Context { ended: &ended, ..Context::unwatched(profile) };
        let entries = measure(&machine, &plan("told"), &[Variant::own("a")], &context);
        assert_eq!(entries[0].outcome, Outcome::Failed);
        assert_eq!(told.into_inner(), [is_final], "{script:?}");
    }
}

/// Should the process never speak again, whoever listened knows which variant was launched.
#[test]
fn who_is_launched_is_told_before_and_taken_back_after_unless_it_never_ends() {
    for (script, hangs) in [(Script::Sound, false), (Script::Lost(0), false), (Script::Hang(0), true), (Script::Hang(70), true)] {
        for submit in [Submit::Stream, Submit::Paced(Nanos(2 * MILLISECOND))] {
            let machine = Scripted { script, ..Scripted::new(|_, _| MILLISECOND) };
            let told = RefCell::new(Vec::new());
            let context = Context {
                profile: Profile { burst: Nanos(100 * MILLISECOND), sustained: Nanos(MILLISECOND), precision: None },
                interrupted: &|| false,
                readings: &|_, _| Readings::default(),
                expected: None,
                ended: &|_, _| {},
                phase: &|_| {},
                launching: &|variant| told.borrow_mut().push(variant.map(|variant| variant.name.clone())),
                fell: &|_, _| {},
            };
            let variants = [Variant::own("0"), Variant::own("1")];
            let entries = measure(&machine, &Plan { submit, ..plan("launching") }, &variants, &context);
            assert_eq!(entries.len(), 2);
            let (told, calls) = (told.into_inner(), machine.calls.borrow());
            let last = calls.iter().filter_map(|call| call.strip_prefix("start ")).next_back().filter(|_| hangs);
            assert_eq!(told.last().and_then(Option::as_deref), last, "{script:?} {submit:?}");
            let (launched, ended): (Vec<_>, Vec<_>) = told.iter().partition(|variant| variant.is_some());
            assert_eq!(launched.len(), ended.len() + usize::from(hangs), "{told:?}");
        }
    }
}

#[test]
fn a_lasting_fall_is_told_while_the_measurement_goes_on() {
    // Launches of 100 ms, give or take 2, and 3 % slower from the 2,000th on; the 4,000th alone takes a second.
    let machine = Scripted::new(|_, index| {
        let varied = 98 * MILLISECOND + index.wrapping_mul(0x9e37_79b9_7f4a_7c15) % (4 * MILLISECOND);
        match index {
            4_000 => 10 * varied,
            0..2_000 => varied,
            _ => varied / 100 * 103,
        }
    });
    let told = RefCell::new(Vec::new());
    let fell = |variant: &Variant, fall: &Decline| told.borrow_mut().push((variant.clone(), *fall, machine.clock.now().seconds()));
    let profile = Profile { burst: Nanos(MILLISECOND), sustained: Nanos(600_000 * MILLISECOND), precision: None };
    let context = Context { fell: &fell, ..Context::unwatched(profile) };
    let soak = Plan { sustained: true, ..plan("soak") };
    let entry = measure(&machine, &soak, &[Variant::own("a")], &context).remove(0);
    assert_eq!((entry.outcome, entry.declines.len()), (Outcome::Measured, 1), "{:?}", entry.declines);
    let told = told.into_inner();
    let [(_, decline, at)] = &told[..] else { panic!("told once: {told:?}") };
    assert!(
        (decline.at.value - entry.declines[0].at.value).abs() < 5.0 && (decline.ratio.value - 0.97).abs() < 0.005,
        "{decline:?}"
    );
    assert!(*at > 200.0 && *at < 240.0, "told {at} s after the begin, and it fell after 200 s");
}

#[test]
fn an_exact_pass_that_cannot_be_exact_is_refused() {
    let mut inexact = plan("inexact");
    inexact.check.bound = Dtype::Fp64.exact_integers() + 1;
    assert_eq!(alone(&Scripted::new(|_, _| MILLISECOND), &inexact).outcome, Outcome::Invalid);
}

#[test]
fn a_rate_above_the_physical_peak_is_invalid() {
    let mut machine = Scripted::new(|_, _| MILLISECOND);
    machine.devices[0].bus_bits = Some(1);
    machine.devices[0].memory_mhz = Some(Megahertz(4));
    let of = |family| Plan { key: WorkloadKey { family, ..plan("peak").key }, ..plan("peak") };
    assert_eq!(alone(&machine, &of("stream")).outcome, Outcome::Invalid, "1.02 MB/s on a bus of 1 MB/s");
    assert_eq!(alone(&machine, &of("cache")).outcome, Outcome::Measured, "a cache gives more than the bus");
    machine.devices[0].memory_mhz = Some(Megahertz(5));
    assert_eq!(alone(&machine, &of("stream")).outcome, Outcome::Measured);
}

#[test]
fn a_launch_longer_than_the_suite_allows_is_skipped_with_figures() {
    let entry = alone(&Scripted::new(|_, _| 2_000 * MILLISECOND), &plan("long"));
    assert_eq!(entry.outcome, Outcome::Skipped);
    let reason = entry.reason.expect("a reason");
    assert!(reason.contains("2.000 s") && reason.contains("1.200 s") && reason.contains("--suite"), "{reason}");
}

#[test]
fn interruption_keeps_what_was_measured_and_telemetry_joins_by_time() {
    let machine = Scripted::new(|_, _| MILLISECOND);
    let readings = |from: Nanos, to: Nanos| Readings {
        source: "script",
        readings: vec![
            Reading { at: from, power_mw: Some(Milliwatts(300_000)), ..Reading::default() },
            Reading { at: to + Nanos(1), power_mw: Some(Milliwatts(500_000)), ..Reading::default() },
        ],
        ..Readings::default()
    };
    let context = Context { interrupted: &|| true, readings: &readings, ..Context::unwatched(PROFILE) };
    let entry = measure(&machine, &plan("stop"), &[Variant::own("a")], &context).remove(0);
    assert_eq!((entry.outcome, entry.reason.as_deref()), (Outcome::Measured, Some("interrupted")));
    let telemetry = entry.telemetry.expect("telemetry");
    assert_eq!((telemetry.source.as_str(), telemetry.watts.map(|w| w.mean)), ("script", Some(400.0)));
    assert_eq!(entry.series[0].watts, Some(300.0));
}
