//! How wrong the serving model is: of published figures, and of the rows that its constants were fitted to.

use super::{
    Paper, WIDTH,
    table::{Align, Table},
};
use crate::capacity::{Answer, Engine, Errors};
use std::{collections::BTreeMap, fmt::Write};

const INTERVAL: &str = "within: share of published figures between predicted / 1.25 and predicted * 1.25";
/// Share of error that one mark of a bar stands for.
const MARK: f64 = 0.02;
const LONGEST: f64 = 20.0;

/// Errors of each group of answers, and why the others were not answered.
#[must_use]
pub fn validation(answers: &[Answer], groups: &BTreeMap<String, Errors>, paper: Paper) -> String {
    let mut text = errors("", groups.iter().map(|(name, errors)| (name.as_str(), errors)), paper);
    let answered = answers.iter().filter(|answer| answer.predicted.is_some()).count();
    let _ = writeln!(text, "\n{INTERVAL}\n{answered} of {} rows answered", answers.len());
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    answers.iter().filter_map(|answer| answer.skipped.as_deref()).for_each(|reason| *reasons.entry(reason).or_default() += 1);
    for (reason, count) in reasons {
        let _ = writeln!(text, "{count:>6}  {}", paper.text(reason));
    }
    text
}

/// Constants of each engine, how well they hold their own rows, and how well rows of a model and GPU that were left out.
#[must_use]
pub fn calibration(engines: &[Engine], within: &Errors, unseen: Option<&Errors>, paper: Paper) -> String {
    let head = ["rows", "gemm", "attn", "prefill", "layer", "reduce", "request"].map(|name| (name, Align::Right));
    let columns: Vec<_> = [("engine", Align::Left)].into_iter().chain(head).collect();
    let mut table = Table::new(paper, &columns);
    for Engine { engine, rows, constants } in engines {
        let shares = [constants.gemm, constants.attention, constants.prefill].map(|share| format!("{share:.3}"));
        let times = [constants.layer, constants.all_reduce, constants.request].map(|seconds| format!("{:.1} µs", seconds * 1e6));
        let cells: Vec<String> = [engine.clone(), rows.to_string()].into_iter().chain(shares).chain(times).collect();
        table.row(&cells);
    }
    let lines = [("of these rows", within)].into_iter().chain(unseen.map(|errors| ("of a model and GPU left out", errors)));
    format!("{}\n\n{}\n{INTERVAL}\n", table.lines(WIDTH).join("\n"), errors("time per output token", lines, paper))
}

fn errors<'a>(title: &'static str, lines: impl Iterator<Item = (&'a str, &'a Errors)>, paper: Paper) -> String {
    let head = ["rows", "mean", "median", "within"].map(|name| (name, Align::Right));
    let columns: Vec<_> = [(title, Align::Left)].into_iter().chain(head).chain([("mean error", Align::Left)]).collect();
    let mut table = Table::new(paper, &columns);
    for (name, errors) in lines {
        let percent = [errors.mean, errors.median, errors.coverage].map(|share| format!("{:.1}%", 100.0 * share));
        let bar = "#".repeat((errors.mean / MARK).round().clamp(1.0, LONGEST) as usize);
        let cells: Vec<String> = [name.to_owned(), errors.rows.to_string()].into_iter().chain(percent).chain([bar]).collect();
        table.row(&cells);
    }
    table.lines(WIDTH).join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_stand_in_columns_with_a_bar() {
        let found = Errors { rows: 8, mean: 0.1, median: 0.0525, coverage: 0.875 };
        let text = calibration(&[], &found, Some(&Errors { mean: 9.0, ..found }), Paper { unicode: false });
        let line = text.lines().find(|line| line.starts_with("of these rows")).expect("a line");
        assert_eq!(line.split_whitespace().skip(3).collect::<Vec<_>>(), ["8", "10.0%", "5.2%", "87.5%", "#####"]);
        assert!(text.contains(&"#".repeat(20)) && !text.contains(&"#".repeat(21)));
    }

    #[test]
    fn reasons_are_counted_and_cannot_reach_the_terminal() {
        let skipped = Answer {
            id: "a".into(),
            predicted: None,
            published: 1.0,
            unit: "ms".into(),
            bound: None,
            skipped: Some("dtype `\u{1b}[2J`".into()),
            low: None,
            high: None,
            constants: None,
            hardware: String::new(),
            rest: String::new(),
            metric: String::new(),
        };
        let text = validation(&[skipped.clone(), skipped], &BTreeMap::new(), Paper { unicode: false });
        assert!(text.contains("0 of 2 rows answered\n     2  dtype `?[2J`\n"), "{text}");
    }
}
