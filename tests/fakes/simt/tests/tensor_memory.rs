//! The rules of the tensor cores' memory, each broken in a kernel of a few lines: one product of a block, loaded and stored.

mod support;

use simt::{Fault, Geometry, Options, Timing};
use support::{run_with, text};

/// 128 threads; A of 128 rows and B of 16 rows of 32 bytes are bf16 ones, so that every sum is 16. Each part may be replaced.
#[derive(Clone, Copy)]
struct Parts {
    allocate: &'static str,
    multiply: &'static str,
    commit: &'static str,
    wait: &'static str,
    load: &'static str,
    arrive: &'static str,
    free: &'static str,
}

const RIGHT: Parts = Parts {
    allocate: "@%p1 tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 [%r10], 32;",
    multiply: "@%p0 tcgen05.mma.cta_group::1.kind::f16 [%r11], %rd3, %rd4, %r12, %p2;",
    commit: "@%p0 tcgen05.commit.cta_group::1.mbarrier::arrive::one.shared::cluster.b64 [%r13];",
    wait: "WAIT: mbarrier.try_wait.parity.shared::cta.b64 %p3, [%r13], 0;\n@!%p3 bra WAIT;\ntcgen05.fence::after_thread_sync;",
    load: "tcgen05.ld.sync.aligned.32x32b.x2.b32 {%r20, %r21}, [%r14];\ntcgen05.wait::ld.sync.aligned;",
    arrive: "tcgen05.fence::before_thread_sync;\nbar.sync 0;",
    free: "@%p1 tcgen05.dealloc.cta_group::1.sync.aligned.b32 %r11, 32;",
};

impl Parts {
    fn run(&self, options: &Options) -> Result<Vec<u32>, Fault> {
        let shape = (16 / 8) << 17 | (128 / 16) << 24 | 1 << 4 | 1 << 7 | 1 << 10;
        // Without a swizzle: eight rows of 16 bytes lie together, then the next eight rows, and the second half of k behind them all.
        let operand = |halves: u64| 1_u64 << 46 | (halves >> 4) << 16 | (128 >> 4) << 32;
        let (a, b) = (operand(2048), operand(256));
        let Self { allocate, multiply, commit, wait, load, arrive, free } = self;
        let body = format!(
            "mov.u32 %r1, data;\nshl.b32 %r2, %r0, 5;\nadd.s32 %r2, %r1, %r2;\nmov.u32 %r3, 0x3f803f80;
             st.shared.v4.u32 [%r2], {{%r3, %r3, %r3, %r3}};\nst.shared.v4.u32 [%r2+16], {{%r3, %r3, %r3, %r3}};
             setp.lt.u32 %p4, %r0, 16;\n@%p4 st.shared.v4.u32 [%r2+4096], {{%r3, %r3, %r3, %r3}};\n@%p4 st.shared.v4.u32 [%r2+4112], {{%r3, %r3, %r3, %r3}};
             fence.proxy.async.shared::cta;\nmov.u32 %r10, place;\nmov.u32 %r13, barrier;
             setp.eq.u32 %p0, %r0, 0;\nsetp.lt.u32 %p1, %r0, 32;\nsetp.ne.u32 %p2, %r0, %r0;
             @%p0 mbarrier.init.shared::cta.b64 [%r13], 1;\n{allocate}\nbar.sync 0;\ntcgen05.fence::after_thread_sync;\nld.shared.u32 %r11, [%r10];
             shr.u32 %r4, %r1, 4;\ncvt.u64.u32 %rd5, %r4;\nor.b64 %rd3, %rd5, {a};\nadd.s64 %rd5, %rd5, 256;\nor.b64 %rd4, %rd5, {b};
             mov.u32 %r12, {shape};\n{multiply}\n{commit}\n{wait}
             and.b32 %r5, %r0, 96;\nshl.b32 %r5, %r5, 16;\nadd.s32 %r14, %r11, %r5;\n{load}
             mov.b32 %f1, %r21;\ncvt.rzi.u32.f32 %r22, %f1;\nst.global.u32 [%rd1], %r22;\n{arrive}\n{free}\n",
        );
        let shared = ".shared .align 1024 .b8 data[4608];\n.shared .align 8 .b64 barrier;\n.shared .align 4 .b32 place;\n";
        let text = text(shared, &body).replace("sm_90a", "sm_100a");
        run_with(&text, &Geometry::linear(1, 128), options).map(|(out, _)| out)
    }

    /// What is wrong in the interpreter's words, whenever products take place.
    fn fault(&self) -> Vec<String> {
        let timings = [Timing::AtIssue, Timing::Late, Timing::Random];
        let run = |matrices| self.run(&Options { matrices, ..Options::default() });
        timings.map(|timing| run(timing).map_or_else(|fault| fault.to_string(), |_| "right".into())).into()
    }
}

#[test]
fn a_product_is_loaded_lane_by_lane_whenever_it_takes_place() {
    for number in 0..12 {
        assert_eq!(RIGHT.run(&Options::schedule(number, 7)), Ok(vec![16; 128]), "schedule {number}");
    }
}

#[test]
fn every_rule_that_is_broken_is_named() {
    const NO_FENCE: &str = "WAIT: mbarrier.try_wait.parity.shared::cta.b64 %p3, [%r13], 0;\n@!%p3 bra WAIT;";
    for (what, parts, said) in [
        (
            "allocation",
            Parts { allocate: "@%p1 tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 [%r10], 48;", ..RIGHT },
            "a power of two",
        ),
        ("leak", Parts { free: "", ..RIGHT }, "32 columns of tensor memory that it has not given back"),
        (
            "release",
            Parts { free: "@%p1 tcgen05.dealloc.cta_group::1.sync.aligned.b32 %r11, 64;", ..RIGHT },
            "not what was allocated",
        ),
        (
            "lanes",
            Parts { load: "tcgen05.ld.sync.aligned.32x32b.x2.b32 {%r20, %r21}, [%r11];\ntcgen05.wait::ld.sync.aligned;", ..RIGHT },
            "where its warp reaches",
        ),
        (
            "registers",
            Parts { load: "tcgen05.ld.sync.aligned.32x32b.x2.b32 {%r20, %r21}, [%r14];", ..RIGHT },
            "belongs to a load that is not waited for",
        ),
        ("fence after", Parts { wait: NO_FENCE, ..RIGHT }, "nothing orders the two"),
        ("fence before", Parts { arrive: "bar.sync 0;", ..RIGHT }, "nothing orders the two"),
        (
            "adding",
            Parts { multiply: "@%p0 tcgen05.mma.cta_group::1.kind::f16 [%r11], %rd3, %rd4, %r12, %p0;", ..RIGHT },
            "which nothing has written",
        ),
        (
            "formats",
            Parts { multiply: "@%p0 tcgen05.mma.cta_group::1.kind::i8 [%r11], %rd3, %rd4, %r12, %p2;", ..RIGHT },
            "formats that kind I8 does not have",
        ),
        ("commit", Parts { commit: "", ..RIGHT }, "mbarrier"),
    ] {
        let found = parts.fault();
        assert!(found.iter().all(|fault| fault.contains(said)), "{what}: {found:#?}");
    }
}

#[test]
fn a_missing_wait_is_seen_whenever_the_product_takes_place() {
    let parts = Parts { wait: "tcgen05.fence::after_thread_sync;", ..RIGHT };
    for fault in parts.fault() {
        assert!(fault.contains("nothing orders the two") || fault.contains("which nothing has written"), "{fault}");
    }
}
