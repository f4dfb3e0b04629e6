//! What the library is to be: `ASSAY_FAKE_SPARSE`, words with commas between them.
//!
//! - `version=0.7.1`: what it says of itself; 0.8.1 by default.
//! - `count=6`: algorithms that it has for a product; none of them with `none`.
//! - `best=4`: the fastest of them.
//! - `wrong=3` or `wrong=all`: algorithms whose result has one wrong element.
//! - `fails=3` or `fails=all`: algorithms that do not run.
//! - `crude`: what is compressed is what the matrix was when it was first compressed.

use crate::common::{Script, Those, Word};

/// See the head of this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Library {
    pub version: [i32; 3],
    pub count: i32,
    pub best: i32,
    pub wrong: Those,
    pub fails: Those,
    pub crude: bool,
}

impl Default for Library {
    fn default() -> Self {
        Self { version: [0, 8, 1], count: 6, best: 4, wrong: Those::None, fails: Those::None, crude: false }
    }
}

impl Script for Library {
    fn take(&mut self, word: Word) -> Result<(), String> {
        match word.key {
            "version" => {
                let parts = word.value.split('.').map(str::parse).collect::<Result<Vec<_>, _>>().ok();
                self.version = parts.and_then(|parts| parts.try_into().ok()).ok_or_else(|| word.wrong("not three numbers"))?;
            }
            "count" => self.count = word.number()?,
            "none" => self.count = 0,
            "best" => self.best = word.number()?,
            "wrong" => self.wrong = word.those()?,
            "fails" => self.fails = word.those()?,
            "crude" => self.crude = true,
            _ => return Err(word.wrong("no such word")),
        }
        Ok(())
    }
}

#[test]
fn a_script_is_read_or_refused() {
    let script = Library::parse("version=0.7.1, count=3,best=1,wrong=all,fails=2,crude").unwrap();
    assert_eq!((script.version, script.count, script.best, script.crude), ([0, 7, 1], 3, 1, true));
    assert!(script.wrong.contain(9) && script.fails.contain(2) && !script.fails.contain(3));
    assert_eq!(Library::parse(""), Ok(Library::default()));
    assert!(Library::parse("best=x").is_err() && Library::parse("worse").is_err() && Library::parse("version=1.2").is_err());
}
