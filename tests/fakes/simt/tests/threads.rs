//! Branches, exchange within a warp, barriers: what threads of a block do together.

mod support;

use simt::{Fault, Geometry, Module, Options};
use support::{run, run_with, text};

#[test]
fn branches_part_and_meet_again() {
    let body = "setp.lt.u32 %p0, %r0, 10;\n@%p0 bra LOW;\nmov.u32 %r1, 7;\nbra.uni JOIN;\nLOW:\nmov.u32 %r1, 3;\nJOIN:\n\
                activemask.b32 %r2;\nxor.b32 %r1, %r1, %r2;\nst.global.u32 [%rd1], %r1;";
    let out = run("", body, 32).unwrap();
    for (thread, word) in out.iter().enumerate() {
        assert_eq!(*word ^ u32::MAX, if thread < 10 { 3 } else { 7 }, "thread {thread}");
    }
}

#[test]
fn loops_end_lane_by_lane() {
    let body =
        "mov.u32 %r1, 0;\nAGAIN:\nadd.u32 %r1, %r1, 2;\nsetp.lt.u32 %p0, %r1, %r0;\n@%p0 bra AGAIN;\nst.global.u32 [%rd1], %r1;";
    let out = run("", body, 40).unwrap();
    assert!(out.iter().enumerate().all(|(thread, word)| *word == ((thread as u32).div_ceil(2) * 2).max(2)), "{out:?}");
}

#[test]
fn a_loop_without_end_is_cut() {
    let options = Options { steps: 1000, ..Options::default() };
    let fault = run_with(&text("", "AGAIN:\nbra AGAIN;"), &Geometry::linear(1, 32), &options).unwrap_err();
    assert_eq!(fault, Fault::StepLimit(1000));
}

#[test]
fn a_warp_exchanges_votes_and_elects() {
    let body = "shfl.sync.bfly.b32 %r1, %r0, 16, 31, -1;\nsetp.gt.u32 %p0, %r0, 29;\nvote.sync.ballot.b32 %r2, %p0, -1;\n\
                elect.sync %r3|%p1, -1;\nadd.u32 %r1, %r1, %r2;\n@%p1 add.u32 %r1, %r1, 100;\nst.global.u32 [%rd1], %r1;";
    let out = run("", body, 32).unwrap();
    let want = |thread: u32| (thread ^ 16).wrapping_add(0xc000_0000).wrapping_add(if thread == 0 { 100 } else { 0 });
    assert!((0..32).all(|thread| out[thread as usize] == want(thread)), "{out:x?}");
}

#[test]
fn a_shuffle_waits_for_the_lanes_it_names() {
    let apart =
        "setp.lt.u32 %p0, %r0, 16;\n@%p0 bra LOW;\nshfl.sync.idx.b32 %r1, %r0, 0, 31, -1;\nLOW:\nst.global.u32 [%rd1], %r1;";
    let Fault::Deadlock(who) = run("", apart, 32).unwrap_err() else {
        panic!("the lanes that went on and ended must be missed");
    };
    assert!(who.contains("16 threads of warp 0") && who.contains("lanes 0xffffffff to come"), "{who}");
}

const SHARED: &str = ".shared .align 16 .b8 s[4096];";
const EXCHANGE: [&str; 3] = [
    "mov.u32 %r2, s;\nshl.b32 %r3, %r0, 2;\nadd.u32 %r3, %r2, %r3;\nst.shared.u32 [%r3], %r0;",
    "bar.sync 0;",
    "xor.b32 %r4, %r0, 32;\nshl.b32 %r4, %r4, 2;\nadd.u32 %r4, %r2, %r4;\nld.shared.u32 %r5, [%r4];\nst.global.u32 [%rd1], %r5;",
];

#[test]
fn a_barrier_orders_shared_memory_and_its_absence_is_a_race() {
    let out = run(SHARED, &EXCHANGE.join("\n"), 64).unwrap();
    assert!(out.iter().enumerate().all(|(thread, word)| *word == thread as u32 ^ 32));
    for number in 0..12 {
        let options = Options::schedule(number, 5);
        let without = text(SHARED, &[EXCHANGE[0], EXCHANGE[2]].join("\n"));
        let fault = run_with(&without, &Geometry::linear(1, 64), &options).unwrap_err();
        assert!(matches!(&fault, Fault::Race(why) if why.contains("nothing orders")), "schedule {number}: {fault}");
    }
}

#[test]
fn a_barrier_that_some_never_reach_is_a_deadlock_by_name() {
    let body = "setp.lt.u32 %p0, %r0, 32;\n@%p0 bra END;\nbar.sync 3, 64;\nEND:\nst.global.u32 [%rd1], %r0;";
    let Fault::Deadlock(who) = run("", body, 64).unwrap_err() else {
        panic!("a deadlock is expected");
    };
    assert!(who.contains("warp 1") && who.contains("barrier 3 (32 of 64 threads there)"), "{who}");
    let Fault::Broken(why) = run("", "setp.lt.u32 %p0, %r0, 3;\n@%p0 bar.sync 0;", 32).unwrap_err() else {
        panic!("a barrier for part of a warp is expected to be refused");
    };
    assert!(why.contains("only lanes 0x7"), "{why}");
}

#[test]
fn named_barriers_count_arrivals_and_waits() {
    let body = "setp.ge.u32 %p0, %r0, 32;\n@%p0 bra WAIT;\nmov.u32 %r1, s;\nst.shared.u32 [%r1], 42;\nbar.arrive 1, 64;\nbra END;\n\
                WAIT:\nbar.sync 1, 64;\nmov.u32 %r1, s;\nld.shared.u32 %r2, [%r1];\nst.global.u32 [%rd1], %r2;\nEND:";
    let out = run(SHARED, &body.replace("st.shared", "setp.eq.u32 %p1, %r0, 0;\n@%p1 st.shared"), 64).unwrap();
    assert!(out[32..].iter().all(|word| *word == 42), "{out:?}");
}

#[test]
fn stray_accesses_are_named() {
    let global = run("", "st.global.u32 [%rd1+4], %r0;", 32).unwrap_err();
    assert!(matches!(global, Fault::IllegalAddress { bytes: 4, .. }), "{global}");
    let shared = run(SHARED, "mov.u32 %r2, s;\nst.shared.u32 [%r2+4096], %r0;", 32).unwrap_err();
    assert!(matches!(&shared, Fault::Broken(why) if why.contains("beyond the 4096")), "{shared}");
    let apart = run("", "st.global.v4.u32 [%rd1], {%r0, %r0, %r0, %r0};", 32).unwrap_err();
    assert!(matches!(&apart, Fault::Broken(why) if why.contains("no multiple")), "{apart}");
}

#[test]
fn what_is_not_supported_is_refused_by_name_and_line() {
    for (body, word) in [
        ("tanh.approx.f32 %f0, %f1;", "tanh.approx.f32"),
        ("add.ftz.f32 %f0, %f0, %f1;", "add.ftz.f32"),
        ("add.u32 %r0, %rd0, 1;", "64 bits where 32"),
        ("add.u32 %r0, %r1;", "too few"),
        ("add.u32 %r0, %r1, %r2, %r3;", "too many"),
        ("mov.u32 %r0, %nothere;", "%nothere"),
        ("add.u32 %r0, %q1, 1;", "not declared"),
    ] {
        let error = Module::parse(&text("", body)).unwrap_err();
        assert!(error.to_string().contains(word) && error.line > 10, "{body}: {error}");
    }
}

#[test]
fn arithmetic_and_bytes_are_counted() {
    let body = "cvt.rn.f32.u32 %f0, %r0;\nfma.rn.f32 %f1, %f0, %f0, %f0;\nadd.f32 %f1, %f1, %f0;\nst.global.f32 [%rd1], %f1;";
    let (out, counters) = run_with(&text("", body), &Geometry::linear(3, 64), &Options::default()).unwrap();
    assert_eq!(f32::from_bits(out[5]), 35.0);
    assert_eq!((counters.flops, counters.global_written, counters.global_read), (3 * 192, 768, 0));
}
