//! What a sizing stands on: every figure of a plan with the file and line that say it, and how it came about.

use super::{
    Paper,
    size_leaves::Leaf,
    table::{Align, Table},
};
use crate::reserve::input;
use input::{Grade, Planned, Source};

/// The inputs.
#[must_use]
pub fn inputs(planned: &Planned, paper: Paper) -> Vec<Leaf> {
    let right = Align::Right;
    let mut table =
        Table::new(paper, &[("input", Align::Left), ("", right), (" ", Align::Left), ("by", Align::Left), ("at", Align::Left)]);
    for source in &planned.sources {
        table.row(&[
            paper.text(&source.figure),
            figure(source.value),
            source.unit.clone(),
            grade(source.grade).into(),
            paper.text(&place(source)),
        ]);
    }
    let calendar = format!("month 1 is {}; amounts in {}", planned.start, planned.currency);
    vec![Leaf::Says(vec![calendar]), Leaf::Table(table), Leaf::Says(vec!["how each came about: --json, `inputs`".into()])]
}

fn figure(value: f64) -> String {
    if value >= 1000.0 { format!("{value:.0}") } else { format!("{value:.4}") }
}

fn place(source: &Source) -> String {
    source.line.map_or_else(|| source.file.clone(), |line| format!("{}:{line}", source.file))
}

fn grade(grade: Grade) -> &'static str {
    match grade {
        Grade::Measured => "measured",
        Grade::Published => "published",
        Grade::Card => "price card",
        Grade::Stated => "stated",
        Grade::Forecast => "forecast",
    }
}
