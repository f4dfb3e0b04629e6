//! What GPUs do in a buyer's units, a line a figure, and below it what each was reckoned with.

use super::{
    HEADING, Paper, WIDTH,
    table::{Align, Table, folded},
};
use crate::capacity::Native;
use std::fmt::Write;

#[must_use]
pub fn native(found: &Native, paper: Paper) -> String {
    let Native { model, gpu, gpus, rates, width, copies, .. } = found;
    let mut text = String::new();
    let head = format!("{} on {gpus} {}", paper.text(model), paper.text(gpu));
    let _ = writeln!(text, "{HEADING}{head}{HEADING:#}: {copies} copies, each on {width}");
    let _ = writeln!(text, "{}\n", folded(&format!("rates: {}", paper.text(rates)), WIDTH));
    let columns = [("", Align::Left), ("value", Align::Right), ("unit", Align::Left), ("bounds", Align::Left)];
    let mut table = Table::new(paper, &columns);
    let mut notes: Vec<String> = Vec::new();
    for figure in &found.figures {
        let value = match (figure.value, figure.bound) {
            (Some(value), _) => short(value),
            (None, Some((side, bound))) => format!("{side} {}", short(bound)),
            (None, None) => "none".to_owned(),
        };
        let bounds = figure.low.zip(figure.high).map(|(low, high)| format!("{} to {}", short(low), short(high)));
        table.row(&[figure.name.to_owned(), value, figure.unit.to_owned(), bounds.unwrap_or_default()]);
        let note = figure.reason.as_ref().map_or_else(|| figure.by.clone(), |reason| format!("{}: {reason}", figure.name));
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
    for line in table.lines(WIDTH) {
        let _ = writeln!(text, "{line}");
    }
    text.push('\n');
    for note in notes {
        let _ = writeln!(text, "{}", folded(&paper.text(&note), WIDTH));
    }
    text
}

/// Three digits.
fn short(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let digits = (2.0 - value.abs().max(1e-9).log10().floor()).clamp(0.0, 6.0) as usize;
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_or_all_before_the_point() {
        assert_eq!([0.0, 0.012_34, 1.234_5, 56.78, 12_345.6].map(short), ["0", "0.0123", "1.23", "56.8", "12346"]);
    }
}
