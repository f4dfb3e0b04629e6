//! Where the peak went, entry by entry: from the physical peak down to the sustained rate.

use super::{HEADING, Paper, WIDTH, table::folded};
use crate::{
    judge,
    record::{Entry, Ledger, Loss},
    units::scaled,
};
use std::fmt::Write;

/// A section of the sheet; empty where no entry has a ledger.
pub fn ledgers(entries: &[&Entry], paper: Paper) -> String {
    let mut text = String::new();
    let all: Vec<Entry> = entries.iter().copied().cloned().collect();
    for (entry, ledger) in entries.iter().filter_map(|entry| Some((entry, judge::explain_beside(entry, &all)?))) {
        let unit = entry.rate.as_ref().map_or("", |rate| rate.unit.symbol());
        let id = format!("{}@{}", entry.workload.id, entry.workload.variant);
        let head = format!("{id}: {} ({})", scaled(ledger.peak, unit), ledger.basis);
        let _ = writeln!(text, "{}", folded(&paper.text(&head), WIDTH));
        for (part, what) in lines(&ledger, unit) {
            let what = folded(&paper.text(&what), WIDTH - 12).replace('\n', &format!("\n{:12}", ""));
            let _ = writeln!(text, "{part:>9} %  {what}");
        }
    }
    if text.is_empty() { text } else { format!("\n{HEADING}where the peak went{HEADING:#}\n{text}") }
}

/// Percentages and what they are of; a line that is unknown shows its bound.
fn lines(ledger: &Ledger, unit: &str) -> Vec<(String, String)> {
    let percent = |fraction: f64| format!("{:.1}", fraction * 100.0);
    let line = |loss: &Loss| match (loss.fraction, loss.at_most) {
        (Some(fraction), _) => (percent(fraction), format!("{}: {}", loss.cause, loss.evidence)),
        (None, Some(bound)) => (format!("0..{}", percent(bound)), format!("{}, unknown: {}", loss.cause, loss.evidence)),
        (None, None) => ("?".into(), format!("{}, unknown: {}", loss.cause, loss.evidence)),
    };
    let reached = (percent(ledger.measured / ledger.peak), format!("sustained: {}", scaled(ledger.measured, unit)));
    ledger.losses.iter().map(line).chain([reached]).collect()
}
