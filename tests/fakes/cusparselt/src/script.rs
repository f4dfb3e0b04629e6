//! What the library is to be: `ASSAY_FAKE_SPARSE`, words with commas between them.
//!
//! - `version=0.7.1`: what it says of itself; 0.8.1 by default.
//! - `count=6`: algorithms that it has for a product; none of them with `none`.
//! - `best=4`: the fastest of them.
//! - `wrong=3` or `wrong=all`: algorithms whose result has one wrong element.
//! - `fails=3` or `fails=all`: algorithms that do not run.
//! - `crude`: what is compressed is what the matrix was when it was first compressed.

/// A set of algorithms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Those {
    #[default]
    None,
    One(i32),
    All,
}

impl Those {
    pub fn contain(self, algorithm: i32) -> bool {
        self == Self::All || self == Self::One(algorithm)
    }
}

/// See the head of this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Script {
    pub version: [i32; 3],
    pub count: i32,
    pub best: i32,
    pub wrong: Those,
    pub fails: Those,
    pub crude: bool,
}

impl Default for Script {
    fn default() -> Self {
        Self { version: [0, 8, 1], count: 6, best: 4, wrong: Those::None, fails: Those::None, crude: false }
    }
}

impl Script {
    /// From the environment; a test that says nothing sensible ends here.
    pub fn find() -> Self {
        let text = std::env::var("ASSAY_FAKE_SPARSE").unwrap_or_default();
        Self::parse(&text).unwrap_or_else(|why| {
            eprintln!("fake cuSPARSELt: ASSAY_FAKE_SPARSE: {why}");
            std::process::abort()
        })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut script = Self::default();
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            let number = |text: &str| text.parse::<i32>().map_err(|_| format!("{word}: not a number"));
            let those = || if value == "all" { Ok(Those::All) } else { number(value).map(Those::One) };
            match key {
                "version" => {
                    let parts = value.split('.').map(number).collect::<Result<Vec<_>, _>>()?;
                    script.version = parts.try_into().map_err(|_| format!("{word}: three numbers"))?;
                }
                "count" => script.count = number(value)?,
                "none" => script.count = 0,
                "best" => script.best = number(value)?,
                "wrong" => script.wrong = those()?,
                "fails" => script.fails = those()?,
                "crude" => script.crude = true,
                _ => return Err(format!("{word}: no such word")),
            }
        }
        Ok(script)
    }
}

#[test]
fn a_script_is_read_or_refused() {
    let script = Script::parse("version=0.7.1, count=3,best=1,wrong=all,fails=2,crude").unwrap();
    assert_eq!((script.version, script.count, script.best, script.crude), ([0, 7, 1], 3, 1, true));
    assert!(script.wrong.contain(9) && script.fails.contain(2) && !script.fails.contain(3));
    assert_eq!(Script::parse(""), Ok(Script::default()));
    assert!(Script::parse("best=x").is_err() && Script::parse("worse").is_err() && Script::parse("version=1.2").is_err());
}
