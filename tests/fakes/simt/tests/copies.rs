//! Asynchronous copies, mbarriers, clusters: what goes on beside the threads.

mod support;

use simt::{Fault, Geometry, Options};
use support::{run_with, text};

fn all_schedules(text: &str, geometry: &Geometry) -> Vec<Result<Vec<u32>, Fault>> {
    (0..12).map(|number| run_with(text, geometry, &Options::schedule(number, 9)).map(|(out, _)| out)).collect()
}

const SHARED: &str = ".shared .align 128 .b8 s[1024];\n.shared .align 8 .b8 b[16];";
const INIT: &str = "mov.u32 %r2, s;\nmov.u32 %r3, b;\nsetp.eq.u32 %p0, %r0, 0;\n@%p0 mbarrier.init.shared.b64 [%r3], 1;\n\
                    st.global.u32 [%rd1], %r0;\nbar.sync 0;";
const EXPECT: &str = "@%p0 mbarrier.arrive.expect_tx.shared.b64 _, [%r3], 256;";
const FETCH: &str = "@%p0 cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r2], [%rd0], 256, [%r3];";
const WAIT: &str = "AGAIN:\nmbarrier.try_wait.parity.shared.b64 %p1, [%r3], 0;\n@!%p1 bra AGAIN;";
const USE: &str =
    "shl.b32 %r4, %r0, 2;\nadd.u32 %r4, %r2, %r4;\nld.shared.u32 %r5, [%r4];\nadd.u32 %r5, %r5, 1;\nst.global.u32 [%rd1], %r5;";

#[test]
fn a_bulk_copy_is_counted_by_its_mbarrier() {
    let whole = text(SHARED, &[INIT, EXPECT, FETCH, WAIT, USE].join("\n"));
    for out in all_schedules(&whole, &Geometry::linear(1, 64)) {
        assert_eq!(out.unwrap(), (1..=64).collect::<Vec<u32>>());
    }
}

#[test]
fn a_wrong_byte_count_is_a_deadlock_that_says_so() {
    let wrong = text(SHARED, &[INIT, &EXPECT.replace("256", "272"), FETCH, WAIT, USE].join("\n"));
    for found in all_schedules(&wrong, &Geometry::linear(1, 64)) {
        let Err(Fault::Deadlock(who)) = found else {
            panic!("a deadlock is expected, not {found:?}");
        };
        assert!(who.contains("parity 0") && who.contains("16 bytes missing"), "{who}");
    }
}

#[test]
fn a_missing_wait_or_retry_is_caught() {
    let unawaited = text(SHARED, &[INIT, EXPECT, FETCH, USE].join("\n"));
    let no_retry = text(SHARED, &[INIT, EXPECT, FETCH, &WAIT.replace("@!%p1 bra AGAIN;", ""), USE].join("\n"));
    for kernel in [unawaited, no_retry] {
        let found = all_schedules(&kernel, &Geometry::linear(1, 64));
        assert!(found.iter().any(|out| matches!(out, Err(Fault::Race(_)))), "{found:?}");
    }
}

#[test]
fn an_mbarrier_must_be_initialised_and_not_overrun() {
    let fresh = text(SHARED, "mov.u32 %r3, b;\nmbarrier.arrive.shared.b64 _, [%r3];");
    let twice = text(SHARED, &[INIT, "mbarrier.arrive.shared.b64 _, [%r3];\nst.shared.u32 [%r3], %r0;"].join("\n"));
    for (kernel, word) in [(fresh, "not initialised"), (twice, "part of the mbarrier")] {
        let found = run_with(&kernel, &Geometry::linear(1, 32), &Options::default()).unwrap_err();
        assert!(matches!(&found, Fault::Broken(why) if why.contains(word)), "{found}");
    }
}

#[test]
fn a_store_needs_the_proxy_fence_and_its_wait() {
    let fill = "mov.u32 %r2, s;\nshl.b32 %r4, %r0, 2;\nadd.u32 %r4, %r2, %r4;\nst.shared.u32 [%r4], %r0;";
    let fence = "fence.proxy.async.shared::cta;";
    let send = "bar.sync 0;\nsetp.eq.u32 %p0, %r0, 0;\n@%p0 cp.async.bulk.global.shared::cta.bulk_group [%rd0], [%r2], 256;\n\
                @%p0 cp.async.bulk.commit_group;";
    let wait = "@%p0 cp.async.bulk.wait_group.read 0;";
    for out in all_schedules(&text(SHARED, &[fill, fence, send, wait].join("\n")), &Geometry::linear(1, 64)) {
        assert_eq!(out.unwrap(), (0..64).collect::<Vec<u32>>());
    }
    for found in all_schedules(&text(SHARED, &[fill, send, wait].join("\n")), &Geometry::linear(1, 64)) {
        assert!(matches!(&found, Err(Fault::Broken(why)) if why.contains("fence.proxy.async")), "{found:?}");
    }
    for found in all_schedules(&text(SHARED, &[fill, fence, send].join("\n")), &Geometry::linear(1, 64)) {
        assert!(matches!(&found, Err(Fault::Broken(why)) if why.contains("may still read")), "{found:?}");
    }
}

#[test]
fn small_copies_come_at_their_wait() {
    let start = "st.global.u32 [%rd1], %r0;\nmov.u32 %r2, s;\nshl.b32 %r4, %r0, 2;\nadd.u32 %r4, %r2, %r4;\n\
                 cp.async.ca.shared.global [%r4], [%rd1], 4;\ncp.async.commit_group;";
    let end = "ld.shared.u32 %r5, [%r4];\nadd.u32 %r5, %r5, 1;\nst.global.u32 [%rd1], %r5;";
    for out in all_schedules(&text(SHARED, &[start, "cp.async.wait_group 0;", end].join("\n")), &Geometry::linear(1, 64)) {
        assert_eq!(out.unwrap(), (1..=64).collect::<Vec<u32>>());
    }
    for wait in ["", "cp.async.wait_group 1;"] {
        let found = run_with(&text(SHARED, &[start, wait, end].join("\n")), &Geometry::linear(1, 64), &Options::default());
        assert!(found.as_ref().map_or_else(|fault| matches!(fault, Fault::Race(_)), |(out, _)| out[0] != 1), "{found:?}");
    }
}

/// Each block writes its rank into the other's shared memory.
const NEIGHBOUR: &str = "mov.u32 %r1, %cluster_ctarank;\nxor.b32 %r2, %r1, 1;\nmov.u32 %r3, s;\nmapa.shared::cluster.u32 %r4, %r3, %r2;\n\
                         setp.eq.u32 %p0, %r0, 0;";
const SEND: &str = "@%p0 st.shared::cluster.u32 [%r4], %r1;";
const MEET: &str = "barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;";
const RECEIVE: &str = "ld.shared.u32 %r5, [%r3];\nmul.lo.u32 %r6, %r1, 32;\nmul.wide.u32 %rd2, %r6, 4;\nadd.s64 %rd1, %rd1, %rd2;\n\
                       st.global.u32 [%rd1], %r5;";

fn pair() -> Geometry {
    Geometry { cluster: [2, 1, 1], ..Geometry::linear(2, 32) }
}

#[test]
fn blocks_of_a_cluster_reach_each_other() {
    for out in all_schedules(&text(SHARED, &[NEIGHBOUR, MEET, SEND, MEET, RECEIVE].join("\n")), &pair()) {
        let out = out.unwrap();
        assert!(out[..32].iter().all(|word| *word == 1) && out[32..].iter().all(|word| *word == 0), "{out:?}");
    }
}

#[test]
fn a_missing_cluster_barrier_is_caught() {
    let no_meeting = all_schedules(&text(SHARED, &[NEIGHBOUR, SEND, RECEIVE].join("\n")), &pair());
    assert!(no_meeting.iter().all(Result::is_err), "{no_meeting:?}");
    let stray = text(SHARED, &[&NEIGHBOUR.replace("xor.b32 %r2, %r1, 1", "add.u32 %r2, %r1, 1"), SEND].join("\n"));
    assert!(matches!(run_with(&stray, &pair(), &Options::default()), Err(Fault::Broken(_))));
}

#[test]
fn registers_come_from_a_pool() {
    // 384 threads begin with 168 registers each; what two warpgroups give, the third may take.
    for (kept, fits) in [(40, true), (160, false)] {
        let give = format!("setp.lt.u32 %p0, %r0, 128;\n@%p0 bra FIRST;\nsetmaxnreg.dec.sync.aligned.u32 {kept};\nbra END;\n");
        let take = "FIRST:\nsetmaxnreg.inc.sync.aligned.u32 240;\nEND:\nst.global.u32 [%rd1], %r0;";
        let found = run_with(&text("", &(give + take)), &Geometry::linear(1, 384), &Options::default());
        let as_expected = match &found {
            Ok(_) => fits,
            Err(Fault::Deadlock(who)) => !fits && who.contains("registers"),
            Err(_) => false,
        };
        assert!(as_expected, "{kept}: {found:?}");
    }
}
