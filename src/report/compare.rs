//! A comparison for a person's eyes, and as one JSON document.

use super::{
    HEADING, Paper, WIDTH,
    check::{because, change, over_time, sparse},
    table::{Align, Table, folded},
};
use crate::{
    judge::{Compared, Difference, pair},
    record::Ratio,
};
use serde::Serialize;
use std::fmt::Write;

const COLUMNS: [(&str, Align); 6] = [
    ("", Align::Left),
    ("verdict", Align::Left),
    ("change", Align::Right),
    ("95 % interval", Align::Right),
    ("could see", Align::Right),
    ("slower │ faster", Align::Left),
];
/// Columns of an interval's picture to either side of no change.
const ARM: usize = 12;

/// The whole comparison, what is not ok first.
#[must_use]
pub fn compare(compared: &[Compared], verdict: pair::Verdict, terms: &pair::Terms, paper: Paper) -> String {
    let mut rows: Vec<&Compared> = compared.iter().collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.judged.verdict));
    let widest = rows.iter().flat_map(|row| [row.judged.ratio.low, row.judged.ratio.high]).map(|ratio| (ratio - 1.0).abs());
    let scale = widest.fold(2.0 * terms.margin, f64::max);
    let mut table = Table::new(paper, &COLUMNS);
    for row in &rows {
        let judged = &row.judged;
        let range = format!("{} .. {}", change(judged.ratio.low), change(judged.ratio.high));
        let cells = [
            row.label(),
            judged.verdict.name().into(),
            change(judged.ratio.value),
            range,
            change(1.0 - judged.detectable),
            bar(judged.ratio, scale, paper),
        ];
        table.row(&cells);
    }
    let mut text = String::new();
    table.lines(WIDTH).iter().filter(|_| !rows.is_empty()).for_each(|line| _ = writeln!(text, "{line}"));
    let sparse = sparse(rows.iter().map(|row| &row.judged));
    for line in rows.iter().flat_map(|row| remarks(row, terms.margin)).chain(sparse) {
        let _ = writeln!(text, "{}", folded(&paper.text(&line), WIDTH));
    }
    let runs = rows.iter().map(|row| (row.judged.baseline_runs, row.judged.candidate_runs)).max().unwrap_or((0, 0));
    let counted = format!("{} metrics, at most {} runs against {}", rows.len(), runs.0, runs.1);
    let harmless = change(1.0 - terms.margin).trim_start_matches('-').to_owned();
    let _ = writeln!(text, "{HEADING}verdict{HEADING:#} {}: {counted}; a loss of {harmless} is harmless", verdict.name());
    text
}

/// The interval as a bar about no change, with the ratio itself marked.
fn bar(ratio: Ratio, scale: f64, paper: Paper) -> String {
    let place = |ratio: f64| {
        let column = ((ratio - 1.0) / scale * ARM as f64).round().clamp(-(ARM as f64), ARM as f64);
        (column + ARM as f64) as usize
    };
    let (low, value, high) = (place(ratio.low), place(ratio.value), place(ratio.high));
    let [middle, line, mark] = if paper.unicode { ['│', '─', '●'] } else { ['|', '-', 'o'] };
    let sign = |column: usize| match column {
        column if column == value => mark,
        column if column == ARM => middle,
        column if (low..=high).contains(&column) => line,
        _ => ' ',
    };
    (0..=2 * ARM).map(sign).collect::<String>().trim_end().to_owned()
}

/// What a row cannot say in its cells.
fn remarks(row: &Compared, margin: f64) -> Vec<String> {
    let told = |all: &[Difference]| all.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let mut lines = Vec::new();
    let name = row.label();
    if let Some(cause) = row.judged.cause {
        lines.push(format!("{name}: {}", because(cause)));
    }
    if row.judged.by_levels {
        lines.push(format!("{name}: both sides jump between two levels alike; level is compared with level"));
    }
    lines.extend(over_time(&row.judged, margin).map(|what| format!("{name}: {what}")));
    if row.judged.verdict == pair::Verdict::Incomparable {
        lines.push(format!("{name}: {}; --across compares all the same", told(&row.judged.differences)));
    } else if !row.judged.differences.is_empty() {
        lines.push(format!("{name}: compared across {}", told(&row.judged.differences)));
    }
    if row.judged.verdict == pair::Verdict::Regressed && !row.notes.is_empty() {
        lines.push(format!("{name}: what else differs: {}", told(&row.notes)));
    }
    lines
}

#[derive(Serialize)]
struct Document<'a> {
    verdict: pair::Verdict,
    margin: f64,
    pairs: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    metric: &'a str,
    unit: &'a str,
    higher_is_better: bool,
    device: &'a str,
    figure: &'static str,
    load: Option<&'a str>,
    verdict: pair::Verdict,
    /// As performance: lower is slower, for times too.
    ratio: f64,
    low: f64,
    high: f64,
    /// The same of work over time, in which slow blocks count in full.
    over_time: Option<Ratio>,
    p: f64,
    p_adjusted: f64,
    detectable: f64,
    baseline_runs: usize,
    candidate_runs: usize,
    baseline_sessions: usize,
    candidate_sessions: usize,
    /// Of these, those that both sides have.
    shared_sessions: usize,
    spread: f64,
    by_levels: bool,
    per_clock: Option<Ratio>,
    cause: Option<pair::Cause>,
    differences: &'a [Difference],
    notes: &'a [Difference],
}

/// One JSON document; a row a metric, in the order of the baseline.
///
/// # Errors
/// None that a comparison can cause; serde's own.
pub fn compare_json<'a>(compared: &'a [Compared], verdict: pair::Verdict, terms: &pair::Terms) -> serde_json::Result<String> {
    let row = |row: &'a Compared| Row::<'a> {
        metric: &row.metric.name,
        unit: &row.metric.unit,
        higher_is_better: row.metric.higher_is_better,
        device: &row.device,
        figure: row.figure.name(),
        load: row.load.as_deref(),
        verdict: row.judged.verdict,
        ratio: row.judged.ratio.value,
        low: row.judged.ratio.low,
        high: row.judged.ratio.high,
        over_time: row.judged.over_time,
        p: row.judged.p,
        p_adjusted: row.judged.p_adjusted,
        detectable: row.judged.detectable,
        baseline_runs: row.judged.baseline_runs,
        candidate_runs: row.judged.candidate_runs,
        baseline_sessions: row.judged.baseline_sessions,
        candidate_sessions: row.judged.candidate_sessions,
        shared_sessions: row.judged.shared_sessions,
        spread: row.judged.spread.sd,
        by_levels: row.judged.by_levels,
        per_clock: row.judged.per_clock,
        cause: row.judged.cause,
        differences: &row.judged.differences,
        notes: &row.notes,
    };
    let pairs = compared.iter().map(row).collect();
    serde_json::to_string_pretty(&Document { verdict, margin: terms.margin, pairs })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_drawn_about_no_change() {
        let ratio = |low, value, high| Ratio { value, low, high };
        let unicode = Paper { unicode: true };
        assert_eq!(bar(ratio(0.96, 0.97, 0.98), 0.04, unicode), "───●───     │");
        assert_eq!(bar(ratio(0.99, 1.0, 1.01), 0.04, Paper { unicode: false }), format!("{}---o---", " ".repeat(9)));
    }
}
