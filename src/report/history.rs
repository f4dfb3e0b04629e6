//! Histories for a person's eyes, and as one JSON document.

use super::{HEADING, Paper, WIDTH, check::change, table::folded};
use crate::{
    judge::{self, Difference},
    units,
};
use serde::Serialize;
use std::fmt::Write;

/// Columns of a picture.
const COLUMNS: usize = 80;
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const PLAIN: [char; 8] = ['_', '.', '-', '~', '=', '+', '*', '#'];

/// A change, and what else changed where it may have happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Changed {
    pub change: judge::history::Change,
    pub differences: Vec<Difference>,
}

/// One series with its changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub series: String,
    pub metric: String,
    /// Blank where it is not told.
    pub unit: String,
    pub higher_is_better: bool,
    /// When each point was measured.
    pub at: Vec<String>,
    pub values: Vec<f64>,
    pub changes: Vec<Changed>,
    /// Neighbours go together so much that changes may be none.
    pub wanders: bool,
}

/// Every series that changed, as a picture with its changes below; then how many did not.
#[must_use]
pub fn history(lines: &[Line], paper: Paper) -> String {
    let mut text = String::new();
    for line in lines.iter().filter(|line| !line.changes.is_empty()) {
        let last = line.values.last().copied().unwrap_or(0.0);
        let now = if line.unit.is_empty() { format!("{last}") } else { units::scaled(last, &line.unit) };
        let head = format!("{} {}: {} points, now {now}", line.series, line.metric, line.values.len());
        let _ = writeln!(text, "{HEADING}{}{HEADING:#}", paper.text(&head));
        let (picture, marks) = picture(line, paper);
        let _ = writeln!(text, "  {picture}\n  {marks}");
        for Changed { change: found, differences } in &line.changes {
            let what = format!(
                "{} at {} (point {}, between {} and {}): {} .. {}",
                change(found.ratio.value),
                line.at[found.index],
                found.index,
                found.first,
                found.last,
                change(found.ratio.low),
                change(found.ratio.high)
            );
            let also = differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            let also = if also.is_empty() { also } else { format!("; there changed {also}") };
            let _ = writeln!(text, "  {}", folded(&paper.text(&format!("{what}{also}")), WIDTH - 2).replace('\n', "\n  "));
        }
        if line.wanders {
            let _ = writeln!(
                text,
                "  {}",
                folded("its points go together with their neighbours: it wanders, and a change may be none", WIDTH - 2)
            );
        }
        text.push('\n');
    }
    let quiet = lines.iter().filter(|line| line.changes.is_empty()).count();
    let _ = writeln!(text, "{} series, {quiet} without a change", lines.len());
    text
}

/// Medians of as many points as fit a column, and below them a mark where a new level begins.
fn picture(line: &Line, paper: Paper) -> (String, String) {
    let columns = COLUMNS.min(line.values.len());
    let column = |at: usize| at * columns / line.values.len();
    let signs = if paper.unicode { BLOCKS } else { PLAIN };
    let mut levels: Vec<Vec<f64>> = vec![Vec::new(); columns];
    for (at, value) in line.values.iter().enumerate() {
        levels[column(at)].push(*value);
    }
    let medians: Vec<f64> = levels
        .into_iter()
        .map(|mut values| {
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        })
        .collect();
    let (low, high) = medians.iter().fold((f64::INFINITY, 0.0_f64), |(low, high), value| (low.min(*value), high.max(*value)));
    let span = (high - low).max(f64::MIN_POSITIVE);
    let picture = medians.iter().map(|value| signs[(((value - low) / span * 8.0) as usize).min(7)]).collect();
    let mut marks = vec![' '; columns];
    for Changed { change: found, .. } in &line.changes {
        let slower = found.ratio.value < 1.0;
        marks[column(found.index)] = match (paper.unicode, slower) {
            (true, true) => '▼',
            (true, false) => '▲',
            (false, true) => 'v',
            (false, false) => '^',
        };
    }
    (picture, marks.into_iter().collect::<String>().trim_end().to_owned())
}

#[derive(Serialize)]
struct Document<'a> {
    changes: Vec<Row<'a>>,
    series: Vec<Summary<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    series: &'a str,
    metric: &'a str,
    /// First point of the new level, from 0, in the order of time.
    index: usize,
    at: &'a str,
    first: usize,
    last: usize,
    /// As performance: below 1 is slower, for times too.
    ratio: f64,
    low: f64,
    high: f64,
    p: f64,
    before: usize,
    after: usize,
    differences: &'a [Difference],
}

#[derive(Serialize)]
struct Summary<'a> {
    series: &'a str,
    metric: &'a str,
    unit: &'a str,
    higher_is_better: bool,
    points: usize,
    changes: usize,
    /// Neighbours go together so much that its changes may be none.
    wanders: bool,
}

/// One JSON document; a row a change, and a row a series.
///
/// # Errors
/// None that a history can cause; serde's own.
pub fn history_json(lines: &[Line]) -> serde_json::Result<String> {
    let changes = lines.iter().flat_map(|line| line.changes.iter().map(move |changed| row(line, changed))).collect();
    let series = lines.iter().map(|line| Summary {
        series: &line.series,
        metric: &line.metric,
        unit: &line.unit,
        higher_is_better: line.higher_is_better,
        points: line.values.len(),
        changes: line.changes.len(),
        wanders: line.wanders,
    });
    serde_json::to_string_pretty(&Document { changes, series: series.collect() })
}

fn row<'a>(line: &'a Line, Changed { change, differences }: &'a Changed) -> Row<'a> {
    let judge::history::Change { index, first, last, ratio, p, before, after } = *change;
    Row {
        series: &line.series,
        metric: &line.metric,
        index,
        at: &line.at[index],
        first,
        last,
        ratio: ratio.value,
        low: ratio.low,
        high: ratio.high,
        p,
        before,
        after,
        differences,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::history;

    #[test]
    fn a_drop_is_drawn_where_it_happened() {
        let values: Vec<f64> = (0..40).map(|at| if at < 20 { 100.0 } else { 90.0 } + f64::from(at % 3) * 0.1).collect();
        let changes = history::changes(&values, true).into_iter().map(|change| Changed { change, differences: Vec::new() });
        let line = Line {
            series: "s".into(),
            metric: "m".into(),
            unit: String::new(),
            higher_is_better: true,
            at: (0..40).map(|at| at.to_string()).collect(),
            changes: changes.collect(),
            wanders: false,
            values,
        };
        let text = anstream::adapter::strip_str(&history(std::slice::from_ref(&line), Paper { unicode: false })).to_string();
        let marks = text.lines().nth(2).expect("marks");
        assert_eq!(marks.find('v'), Some(2 + 20), "{text}");
        assert!(text.contains("-10 %") && text.ends_with("1 series, 0 without a change\n"), "{text}");
    }
}
