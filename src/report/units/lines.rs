//! What a run was worth, in the few lines that end its sheet.

use crate::{
    capacity::{Appraisal, Unit},
    report::{HEADING, Paper, WIDTH, figure, table::folded},
};
use std::fmt::Write;

/// A line a device: classes that have a figure, and how many are withheld for which reasons.
#[must_use]
pub fn unit_lines(appraisal: &Appraisal, paper: Paper) -> String {
    let Appraisal { definition, reference, .. } = appraisal;
    let mark = if reference.provisional { ", provisional" } else { "" };
    let mut text =
        format!("\n{HEADING}capacity units{HEADING:#} {definition}@{}{mark}; `assay units RECORD` says more\n", reference.name);
    for device in &appraisal.devices {
        let told: Vec<String> = device.units.iter().filter_map(told).collect();
        let told = if told.is_empty() { "none".into() } else { told.join(", ") };
        let mut line = format!("{} {told}", device.subject.device);
        let mut codes: Vec<(&str, usize)> = Vec::new();
        for code in device.units.iter().filter_map(|unit| unit.typical.code()) {
            match codes.iter_mut().find(|(other, _)| *other == code) {
                Some((_, count)) => *count += 1,
                None => codes.push((code, 1)),
            }
        }
        if !codes.is_empty() {
            let codes: Vec<String> = codes.iter().map(|(code, count)| format!("{count} {code}")).collect();
            let _ = write!(line, "; withheld: {}", codes.join(", "));
        }
        let _ = writeln!(text, "  {}", folded(&paper.text(&line), WIDTH - 2).replace('\n', "\n  "));
    }
    text
}

/// `stream 1.03 (firm 1.01)`
fn told(unit: &Unit) -> Option<String> {
    let half = unit.low.zip(unit.high).map_or(0.0, |(low, high)| (high - low) / 2.0);
    let value = unit.typical.value.filter(|_| unit.typical.reason.is_none())?;
    let firm = unit.firm.value.map(|firm| format!(" (firm {})", figure::digits(firm, half))).unwrap_or_default();
    Some(format!("{} {}{firm}", unit.class, figure::digits(value, half)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capacity::{self, Question};

    #[test]
    fn what_has_a_figure_is_told_and_what_has_none_is_counted() {
        let vectors = capacity::given(
            r#"{"name": "x:0", "hbm.triad": {"typical": 3.3e12, "firm": 3e12, "low": 3.29e12, "high": 3.31e12}}"#,
            "x",
        );
        let text = unit_lines(&capacity::appraise_rates(&vectors.expect("rates"), &Question::default()), Paper { unicode: false });
        assert!(text.contains("x:0 stream 1.100 (firm 1.000); withheld: 14 missing"), "{text}");
        assert!(text.contains("cu/1@REF-0, provisional"), "{text}");
    }
}
