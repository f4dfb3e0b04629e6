//! A sheet as a list of leaves, so that a terminal and Markdown show the same.

use super::{HEADING, Paper, WIDTH, table::Table};

/// A part of a sheet.
#[derive(Clone, Debug)]
pub enum Leaf {
    /// A heading, and what stands under it in one line.
    Head(String, String),
    Table(Table),
    /// Sentences, one a line.
    Says(Vec<String>),
}

/// For a terminal, as text with styles.
#[must_use]
pub fn as_text(leaves: &[Leaf], paper: Paper) -> String {
    let mut text = String::new();
    for leaf in leaves {
        if !text.is_empty() && !matches!(leaf, Leaf::Says(_)) {
            text.push('\n');
        }
        match leaf {
            Leaf::Head(head, under) => {
                let head = format!("{HEADING}{}{HEADING:#}", paper.text(head));
                push(&mut text, &[head, paper.text(under)]);
            }
            Leaf::Table(table) => push(&mut text, &table.lines(WIDTH)),
            Leaf::Says(lines) => push(&mut text, &lines.iter().map(|line| paper.text(line)).collect::<Vec<_>>()),
        }
    }
    text
}

/// As GitHub's Markdown.
#[must_use]
pub fn as_markdown(leaves: &[Leaf]) -> String {
    let mut text = String::new();
    let plain = |words: &str| words.replace('<', "&lt;").replace('*', "\\*").replace('_', "\\_");
    for leaf in leaves {
        if !text.is_empty() {
            text.push('\n');
        }
        match leaf {
            Leaf::Head(head, under) => push(&mut text, &[format!("## {}", plain(head)), String::new(), plain(under)]),
            Leaf::Table(table) => text.push_str(&table.markdown()),
            Leaf::Says(lines) => {
                push(&mut text, &lines.iter().map(|line| format!("- {}", plain(line.trim()))).collect::<Vec<_>>());
            }
        }
    }
    text
}

fn push(text: &mut String, lines: &[String]) {
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
}
