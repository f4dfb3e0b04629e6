//! Not a call of the driver's: what the fake of a vendor's library asks for instead of launching kernels.

use super::{Pointer, export};
use crate::{
    status::Status,
    work::{Event, Work},
};

export! {
    fn assayFakeProduct[Context](driver, stream: Pointer, words: *const [u64; 14]) {
        let stream = driver.stream(stream)?;
        // SAFETY: the fake library passes a pointer to its words.
        let words = unsafe { words.as_ref() }.ok_or(Status::INVALID_VALUE)?;
        driver.enqueue(stream, Work::Product((*words).into()))
    }
    fn assayFakeCompression[Context](driver, stream: Pointer, words: *const [u64; 4]) {
        let stream = driver.stream(stream)?;
        // SAFETY: the fake library passes a pointer to its words.
        let words = unsafe { words.as_ref() }.ok_or(Status::INVALID_VALUE)?;
        driver.enqueue(stream, Work::Compression((*words).into()))
    }
    fn assayFakeSum[Context](driver, streams: *const Pointer, pairs: *const [u64; 2], ranks: usize, elements: usize) {
        // SAFETY: the fake library passes as many streams and pairs of addresses as it says.
        let (streams, pairs) = unsafe { (std::slice::from_raw_parts(streams, ranks), std::slice::from_raw_parts(pairs, ranks)) };
        // Nobody has the whole before all are there: the first does the work, and the others wait for it.
        let streams = streams.iter().map(|stream| driver.stream(*stream)).collect::<Result<Vec<_>, _>>()?;
        let (first, others) = streams.split_first().ok_or(Status::INVALID_VALUE)?;
        for other in others {
            let event = driver.handle();
            driver.events.insert(event, Event::default());
            driver.enqueue(*other, Work::Record(event))?;
            driver.enqueue(*first, Work::Wait(event, 1))?;
        }
        driver.enqueue(*first, Work::Sum(pairs.iter().map(|[from, to]| (*from, *to)).collect(), elements))?;
        let done = driver.handle();
        driver.events.insert(done, Event::default());
        driver.enqueue(*first, Work::Record(done))?;
        others.iter().try_for_each(|other| driver.enqueue(*other, Work::Wait(done, 1)))
    }
}
