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

/// A set of algorithms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Those {
    #[default]
    None,
    One(u64),
    All,
}

impl Those {
    pub fn contain(self, algorithm: u64) -> bool {
        self == Self::All || self == Self::One(algorithm)
    }
}

/// See the head of this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Script {
    pub version: usize,
    pub count: u64,
    pub best: u64,
    pub pace: u64,
    pub none: bool,
    pub wrong: Those,
    pub fails: Those,
    pub tf32: bool,
}

impl Default for Script {
    fn default() -> Self {
        Self { version: 120_805, count: 20, best: 7, pace: 100, none: false, wrong: Those::None, fails: Those::None, tf32: false }
    }
}

impl Script {
    /// From the environment; a test that says nothing sensible ends here.
    pub fn find() -> Self {
        let text = std::env::var("ASSAY_FAKE_LT").unwrap_or_default();
        Self::parse(&text).unwrap_or_else(|why| {
            eprintln!("fake cuBLASLt: ASSAY_FAKE_LT: {why}");
            std::process::abort()
        })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut script = Self::default();
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            let number = || value.parse::<u64>().map_err(|_| format!("{word}: not a number"));
            let those = || if value == "all" { Ok(Those::All) } else { number().map(Those::One) };
            match key {
                "version" => script.version = number()? as usize,
                "count" => script.count = number()?,
                "best" => script.best = number()?,
                "pace" => script.pace = number()?,
                "none" => script.none = true,
                "wrong" => script.wrong = those()?,
                "fails" => script.fails = those()?,
                "tf32" => script.tf32 = true,
                _ => return Err(format!("{word}: no such word")),
            }
        }
        Ok(script)
    }
}

#[test]
fn a_script_is_read_or_refused() {
    let script = Script::parse("version=130100, count=3,best=1,wrong=all,fails=2,tf32").unwrap();
    assert_eq!((script.version, script.count, script.best, script.tf32), (130_100, 3, 1, true));
    assert!(script.wrong.contain(9) && script.fails.contain(2) && !script.fails.contain(3));
    assert_eq!(Script::parse(""), Ok(Script::default()));
    assert!(Script::parse("best=x").is_err() && Script::parse("worse").is_err());
}
