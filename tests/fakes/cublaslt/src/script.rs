//! What the library is to be: `ASSAY_FAKE_LT`, words with commas between them.
//!
//! - `version=130100`: what it says of itself; 120805 by default.
//! - `count=20`: algorithms that it knows for a product.
//! - `best=7`: the fastest of them. It is never proposed first, unless it is 0.
//! - `pace=80`: time of the fastest, in hundredths of what the chip's rate would need.
//! - `none`: it knows no algorithm.
//! - `wrong=3` or `wrong=all`: algorithms whose result has one wrong element.
//! - `fails=3` or `fails=all`: algorithms that do not run.
//! - `tf32`: what is asked for in fp32 is done in TF32, and says so.

use crate::common::{Script, Those, Word};

/// See the head of this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Library {
    pub version: usize,
    pub count: u64,
    pub best: u64,
    pub pace: u64,
    pub none: bool,
    pub wrong: Those,
    pub fails: Those,
    pub tf32: bool,
}

impl Default for Library {
    fn default() -> Self {
        Self { version: 120_805, count: 20, best: 7, pace: 100, none: false, wrong: Those::None, fails: Those::None, tf32: false }
    }
}

impl Script for Library {
    fn take(&mut self, word: Word) -> Result<(), String> {
        match word.key {
            "version" => self.version = word.number()?,
            "count" => self.count = word.number()?,
            "best" => self.best = word.number()?,
            "pace" => self.pace = word.number()?,
            "none" => self.none = true,
            "wrong" => self.wrong = word.those()?,
            "fails" => self.fails = word.those()?,
            "tf32" => self.tf32 = true,
            _ => return Err(word.wrong("no such word")),
        }
        Ok(())
    }
}

#[test]
fn a_script_is_read_or_refused() {
    let script = Library::parse("version=130100, count=3,best=1,wrong=all,fails=2,tf32").unwrap();
    assert_eq!((script.version, script.count, script.best, script.tf32), (130_100, 3, 1, true));
    assert!(script.wrong.contain(9) && script.fails.contain(2) && !script.fails.contain(3));
    assert_eq!(Library::parse(""), Ok(Library::default()));
    assert!(Library::parse("best=x").is_err() && Library::parse("worse").is_err());
}
