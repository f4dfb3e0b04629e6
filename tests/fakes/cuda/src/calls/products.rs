//! Not a call of the driver's: what the fake of a vendor's library asks for instead of launching kernels.

use super::{Pointer, export};
use crate::{status::Status, work::Work};

export! {
    fn assayFakeProduct[Context](driver, stream: Pointer, words: *const [u64; 11]) {
        let stream = driver.stream(stream)?;
        // SAFETY: the fake library passes a pointer to its words.
        let words = unsafe { words.as_ref() }.ok_or(Status::INVALID_VALUE)?;
        driver.enqueue(stream, Work::Product((*words).into()))
    }
}
