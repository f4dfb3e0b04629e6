//! How wrong the serving model is: of published figures, and of the rows that its constants were fitted to.

use super::{
    HEADING, Paper, WIDTH,
    table::{Align, Table},
};
use crate::capacity::{Answer, Bounds, Calibration, Constants, Engine, Errors};
use std::{collections::BTreeMap, fmt::Write};

const INTERVAL: &str = "within: share of published figures between predicted / 1.25 and predicted * 1.25";
/// Share of error that one mark of a bar stands for.
const MARK: f64 = 0.02;
const LONGEST: f64 = 20.0;
/// Upper over lower bound from which the rows are said to leave a constant open.
const OPEN: f64 = 3.0;
/// A share from which on it is as good as the whole.
const CEILING: f64 = 0.999;

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

/// Constants of each engine with their bounds, how well they hold their own rows, and how well rows that were left out.
#[must_use]
pub fn calibration(found: &Calibration, paper: Paper) -> String {
    let mut text = String::new();
    for (Engine { engine, rows, fitted, constants }, Bounds { low, high, .. }) in found.constants.iter().zip(&found.bounds) {
        let head = [("constant", Align::Left), ("value", Align::Right), ("by the rows alone", Align::Left)];
        let mut table = Table::new(paper, &head);
        for (name, value) in named(constants) {
            let [low, high] = [low, high].map(|of| named(of).into_iter().find(|(other, _)| *other == name).map_or(0.0, |of| of.1));
            let open = match () {
                () if value > CEILING => "  at its ceiling",
                () if high / low > OPEN => "  left open by the rows",
                () => "",
            };
            let shown = |value: f64| if value < 0.01 { format!("{:.2} µs", value * 1e6) } else { format!("{value:.3}") };
            let bounds = format!("{} to {}{open}", shown(low), shown(high));
            table.row(&[name.to_owned(), shown(value), bounds]);
        }
        let lines = table.lines(WIDTH).join("\n");
        let _ = writeln!(text, "{HEADING}{}{HEADING:#}, {rows} rows, fitted {fitted}\n{lines}\n", paper.text(engine));
    }
    let left = [("of a model and GPU left out", &found.errors_left_out), ("of an engine left out", &found.errors_engine_left_out)];
    let left = left.into_iter().filter_map(|(name, errors)| Some((name, errors.as_ref()?)));
    let lines = [("of these rows", &found.errors)].into_iter().chain(left);
    text + &format!("{}\n{INTERVAL}\n", errors("time per output token", lines, paper))
}

fn named(of: &Constants) -> [(&'static str, f64); 7] {
    [
        ("gemm", of.gemm),
        ("attention", of.attention),
        ("prefill", of.prefill),
        ("layer", of.layer),
        ("all_reduce", of.all_reduce),
        ("request", of.request),
        ("narrow", of.narrow),
    ]
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
        let left = Some(Errors { mean: 9.0, ..found });
        let found =
            Calibration { constants: vec![], bounds: vec![], errors: found, errors_left_out: left, errors_engine_left_out: None };
        let text = calibration(&found, Paper { unicode: false });
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
            note: None,
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
