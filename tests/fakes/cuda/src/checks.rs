//! The driver held to what the real one does with queues, events, clocks and errors.

use crate::{
    driver::{Driver, Handle},
    launch::{Code, Shape},
    script::What,
    status::Status,
    work::{Event, Launch, Stream, Work},
};
use std::sync::Arc;

/// Adds one to every word of a buffer of `n`.
pub const INCREMENT: &str = "
.version 7.0
.target sm_70
.address_size 64
.visible .entry increment(.param .u64 at, .param .u64 n)
{
    .reg .pred %p<2>;
    .reg .b32 %r<6>;
    .reg .b64 %rd<6>;
    ld.param.u64 %rd1, [at];
    ld.param.u64 %rd2, [n];
    mov.u32 %r1, %tid.x;
    cvt.u64.u32 %rd3, %r1;
    setp.ge.u64 %p1, %rd3, %rd2;
    @%p1 bra DONE;
    cvta.to.global.u64 %rd4, %rd1;
    mul.wide.u32 %rd5, %r1, 4;
    add.s64 %rd4, %rd4, %rd5;
    ld.global.u32 %r2, [%rd4];
    add.s32 %r2, %r2, 1;
    st.global.u32 [%rd4], %r2;
DONE:
    ret;
}
";

struct Bench {
    driver: Driver,
    streams: [Handle; 2],
    events: [Handle; 2],
    code: Arc<Code>,
    buffer: u64,
}

const WORDS: usize = 8;

impl Bench {
    fn new(chip: &str) -> Self {
        let mut driver = Driver::new(chip.parse().expect("a chip"));
        let streams = [driver.handle(), driver.handle()];
        let events = [driver.handle(), driver.handle()];
        for handle in streams {
            driver.streams.insert(handle, Stream { apart: true, ..Stream::default() });
        }
        for handle in events {
            driver.events.insert(handle, Event { timed: true, ..Event::default() });
        }
        let buffer = driver.memory.allocate(0, 4 * WORDS as u64, 1 << 20).expect("room");
        let code = Arc::new(Code::parse(INCREMENT).unwrap_or_else(|(line, why)| panic!("line {line}: {why}")));
        let mut bench = Self { driver, streams, events, code, buffer };
        bench.give(0, Work::Set { address: buffer, pattern: vec![0], bytes: 4 * WORDS });
        bench.driver.advance(streams[0]);
        bench
    }

    fn give(&mut self, stream: usize, work: Work) {
        assert_eq!(self.driver.enqueue(self.streams[stream], work), Ok(()));
    }

    /// A launch over the first `n` words.
    fn launch(&mut self, stream: usize, n: u64, planned: Option<What>) {
        let parameters = [self.buffer.to_le_bytes(), n.to_le_bytes()].concat();
        let shape = Shape { grid: [1; 3], block: [32, 1, 1], cluster: [1; 3], dynamic_shared: 0 };
        let (code, kernel) = (self.code.clone(), "increment".into());
        self.give(stream, Work::Launch(Box::new(Launch { code, module: 1, kernel, shape, parameters, planned })));
    }

    fn first(&self) -> u32 {
        u32::from_le_bytes(self.driver.memory.read(self.buffer, 4).expect("held").try_into().expect("four"))
    }
}

#[test]
fn work_that_is_put_off_is_done_when_it_is_waited_for() {
    let mut bench = Bench::new("90,mode=deferred");
    bench.launch(0, 1, None);
    assert_eq!(bench.first(), 0);
    bench.driver.advance(bench.streams[1]);
    assert_eq!(bench.first(), 0, "another stream waits for nothing of this one");
    bench.driver.advance(bench.streams[0]);
    assert_eq!(bench.first(), 1);
    let mut bench = Bench::new("90");
    bench.launch(0, 1, None);
    assert_eq!(bench.first(), 1, "at once where nothing is put off");
}

#[test]
fn a_wait_for_an_event_orders_two_streams() {
    let mut bench = Bench::new("90,mode=deferred");
    let (event, buffer) = (bench.events[0], bench.buffer);
    bench.give(0, Work::Set { address: buffer, pattern: vec![7, 0, 0, 0], bytes: 4 });
    bench.give(0, Work::Record(event));
    bench.give(1, Work::Wait(event, 1));
    bench.launch(1, 1, None);
    bench.driver.advance(bench.streams[1]);
    assert_eq!(bench.first(), 8);
}

#[test]
fn pinned_memory_is_read_when_the_copy_takes_place() {
    let mut bench = Bench::new("90,mode=deferred");
    let mut pinned = vec![1_u8, 0, 0, 0].into_boxed_slice();
    let (address, host) = (bench.buffer, pinned.as_mut_ptr());
    bench.give(0, Work::FromPinned { address, host: host as usize, bytes: 4 });
    // SAFETY: it lives until the end of this test, and nobody else has it.
    unsafe { host.write(9) };
    bench.driver.advance(bench.streams[0]);
    assert_eq!((bench.first(), pinned.len()), (9, 4));
}

#[test]
fn time_is_that_of_the_chip() {
    let mut bench = Bench::new("90,sms=2");
    let [begin, end] = bench.events;
    bench.give(0, Work::Record(begin));
    bench.launch(0, 8, None);
    bench.give(0, Work::Record(end));
    let took = bench.driver.events[&end].at - bench.driver.events[&begin].at;
    // Eight words in and out at 32 bytes a nanosecond, after the launch.
    assert_eq!(took, 2000.0 + 64.0 / 32.0);
}

#[test]
fn what_would_do_the_same_again_is_not_executed_again() {
    let mut bench = Bench::new("90");
    bench.launch(0, 0, None);
    bench.launch(0, 0, None);
    assert_eq!((bench.driver.memo.interpreted, bench.driver.memo.repeated), (1, 1));
    // One that changes what it reads never meets the same memory.
    for expected in 1..=3 {
        bench.launch(0, 8, None);
        assert_eq!(bench.first(), expected);
    }
    assert_eq!((bench.driver.memo.interpreted, bench.driver.memo.repeated), (4, 1));
    // Back to where it began: known, and done all the same.
    let address = bench.buffer;
    bench.give(0, Work::Set { address, pattern: vec![0], bytes: 4 * WORDS });
    bench.launch(0, 8, None);
    assert_eq!((bench.first(), bench.driver.memo.repeated), (1, 2));
}

#[test]
fn an_error_sticks_and_empties_the_queue() {
    let mut bench = Bench::new("90,mode=deferred");
    bench.launch(0, 1 << 20, Some(What::Illegal));
    bench.launch(0, 1, None);
    bench.driver.advance(bench.streams[0]);
    assert_eq!((bench.driver.poison(0), bench.first()), (Some(Status::ILLEGAL_ADDRESS), 0));
    assert!(bench.driver.streams[&bench.streams[0]].queue.is_empty());
}

/// Waits until the word at an address is one, or until the device's timer has gone on by `n`; tells the next word by zero that it waited
/// in vain.
const WAIT: &str = "
.version 7.0
.target sm_70
.address_size 64
.visible .entry increment(.param .u64 at, .param .u64 n)
{
    .reg .pred %p<3>;
    .reg .b32 %r<3>;
    .reg .b64 %rd<6>;
    ld.param.u64 %rd1, [at];
    ld.param.u64 %rd2, [n];
    cvta.to.global.u64 %rd1, %rd1;
    mov.u64 %rd3, %globaltimer;
LOOK:
    ld.relaxed.sys.global.u32 %r1, [%rd1];
    setp.eq.u32 %p1, %r1, 1;
    @%p1 bra DONE;
    mov.u64 %rd4, %globaltimer;
    sub.s64 %rd4, %rd4, %rd3;
    setp.lt.u64 %p2, %rd4, %rd2;
    @%p2 bra LOOK;
    mov.u32 %r2, 0;
    st.relaxed.sys.global.u32 [%rd1+4], %r2;
DONE:
    ret;
}
";

/// A kernel waits for pinned memory: what the host writes, what the kernel wrote, and when the event behind it took place.
fn waited(chip: &str, opens: bool) -> (bool, u32, f64) {
    let mut bench = Bench::new(chip);
    bench.code = Arc::new(Code::parse(WAIT).unwrap_or_else(|(line, why)| panic!("line {line}: {why}")));
    let held = vec![9_u8; 8].into_boxed_slice();
    let host = held.as_ptr() as usize;
    bench.driver.pinned.insert(host, held);
    bench.buffer = host as u64;
    bench.launch(0, 1_000_000_000, None);
    bench.give(0, Work::Record(bench.events[0]));
    // Another stream waits for the one that waits.
    bench.give(1, Work::Wait(bench.events[0], 1));
    bench.driver.advance(bench.streams[1]);
    let waits = bench.driver.events[&bench.events[0]].done == 0;
    if opens {
        bench.driver.pinned.get_mut(&host).expect("held")[..4].copy_from_slice(&1_u32.to_le_bytes());
    }
    bench.driver.host = 5_000.0;
    bench.driver.advance(bench.streams[0]);
    let told = bench.driver.pinned[&host][4..].try_into().expect("four");
    assert_eq!(bench.driver.poison(0), None);
    (waits, u32::from_le_bytes(told), bench.driver.events[&bench.events[0]].at)
}

#[test]
fn a_kernel_that_waits_for_the_host_holds_up_what_is_behind_it() {
    const LEFT: u32 = 0x0909_0909;
    for mode in ["immediate", "deferred"] {
        let (waits, told, at) = waited(&format!("90,mode={mode}"), true);
        assert_eq!((waits, told, at), (true, LEFT, 7_000.0), "{mode}: it went on when the host had opened");
        assert_eq!(waited(&format!("90,mode={mode}"), false), (true, LEFT, 0.0), "{mode}: it waits");
    }
    let (waits, told, _) = waited("90,mode=blocking", true);
    assert_eq!((waits, told), (false, 0), "where the host itself waits, the kernel gives up");
}

#[test]
fn an_access_outside_is_found_by_the_interpreter() {
    let mut bench = Bench::new("90");
    bench.launch(0, 9, None);
    assert_eq!(bench.driver.poison(0), Some(Status::ILLEGAL_ADDRESS));
}

#[test]
fn work_that_hangs_holds_up_its_stream_alone() {
    let mut bench = Bench::new("90");
    let [before, after] = bench.events;
    bench.give(0, Work::Record(before));
    bench.launch(0, 1, Some(What::Hangs));
    bench.give(0, Work::Record(after));
    bench.launch(1, 1, None);
    let done = |event: &Event| event.done == event.asked;
    assert!(done(&bench.driver.events[&before]) && !done(&bench.driver.events[&after]));
    assert_eq!((bench.first(), bench.driver.poison(0)), (1, None));
}

#[test]
fn a_flip_hits_what_was_written() {
    let mut bench = Bench::new("90");
    bench.launch(0, 8, Some(What::Flips));
    let bytes = bench.driver.memory.read(bench.buffer, 4 * WORDS).expect("held");
    assert_eq!(bytes.iter().map(|byte| byte.count_ones()).sum::<u32>(), 8 + 1);
}

#[test]
fn the_null_stream_takes_turns_with_those_that_do_not_run_beside_it() {
    let mut bench = Bench::new("90,mode=deferred");
    let beside = bench.streams[1];
    bench.driver.streams.get_mut(&bench.streams[0]).expect("made").apart = false;
    bench.launch(0, 1, None);
    bench.launch(1, 1, None);
    assert_eq!(bench.driver.enqueue(Driver::null(0), Work::Record(bench.events[0])), Ok(()));
    assert_eq!(bench.first(), 1, "the one before is done, the one beside is not");
    bench.driver.advance(beside);
    assert_eq!(bench.first(), 2);
}
