//! What the fakes of the vendor's libraries of products share: a script of words with commas between them, and a line in the log.

use std::{io::Write, str::FromStr};

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

/// `key` or `key=value`.
#[derive(Clone, Copy)]
pub struct Word<'a> {
    pub key: &'a str,
    pub value: &'a str,
}

impl Word<'_> {
    pub fn number<T: FromStr>(self) -> Result<T, String> {
        self.value.parse().map_err(|_| self.wrong("not a number"))
    }

    pub fn those(self) -> Result<Those, String> {
        if self.value == "all" { Ok(Those::All) } else { self.number().map(Those::One) }
    }

    pub fn wrong(self, why: &str) -> String {
        format!("{}={}: {why}", self.key, self.value)
    }
}

/// What its words make of a script.
pub trait Script: Default {
    fn take(&mut self, word: Word) -> Result<(), String>;

    fn parse(text: &str) -> Result<Self, String> {
        let mut script = Self::default();
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            script.take(Word { key, value })?;
        }
        Ok(script)
    }

    /// From the environment; a test that says nothing sensible ends here.
    fn find(variable: &str) -> Self {
        let text = std::env::var(variable).unwrap_or_default();
        Self::parse(&text).unwrap_or_else(|why| {
            eprintln!("{variable}: {why}");
            std::process::abort()
        })
    }
}

/// Tells the log what was done.
pub fn tell(what: &str) {
    let Some(path) = std::env::var_os("ASSAY_FAKE_LOG") else { return };
    if let Ok(mut file) = std::fs::OpenOptions::new().append(true).create(true).open(path) {
        // A log that cannot be written shows in the test that reads it.
        let _ = file.write_all(format!("{what}\n").as_bytes());
    }
}
