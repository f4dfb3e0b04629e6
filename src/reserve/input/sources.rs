//! Where every figure of a case comes from, so that whatever is said of it can cite its input.

use serde::Serialize;

/// How a figure is known. What is published or assumed stands beside every figure that is made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// By a record of our own kernels, firm.
    Measured,
    /// By published rates of a card, not of this one.
    Published,
    /// By a row of the price card.
    Card,
    /// Written in the plan, with or without a source.
    Stated,
    /// From a history.
    Forecast,
}

/// A figure of the case and its origin.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Source {
    /// What it is, for example `CU of p5 for serve-chat`.
    pub figure: String,
    /// What it belongs to: the name of a type, offer, class or scenario; empty for the plan itself.
    pub of: String,
    pub value: f64,
    pub unit: String,
    pub grade: Grade,
    /// The file that says it, and the line.
    pub file: String,
    pub line: Option<usize>,
    /// How it came about: the key, the card's row, the record's device, the formula.
    pub how: String,
}

impl Source {
    /// The origin in a line, for what has room for no more.
    #[must_use]
    pub fn cite(&self) -> String {
        let line = self.line.map_or_else(String::new, |line| format!(":{line}"));
        format!("{}{line}, {}", self.file, self.how)
    }
}
