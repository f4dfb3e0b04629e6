//! Columns that line up, under titles that cut them into sections, on paper of a given width.

use super::Paper;
use unicode_width::UnicodeWidthStr;

/// Where a column's text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
    /// Right, and close to the column before, whose figures it qualifies.
    Close,
}

#[derive(Clone, Debug)]
enum Row {
    /// Across all columns, under a blank line.
    Title(String),
    Cells(Vec<String>),
}

/// Rows of cells under a head; a column without any text is left out.
#[derive(Clone, Debug)]
pub struct Table {
    paper: Paper,
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Row>,
}

impl Table {
    #[must_use]
    pub fn new(paper: Paper, columns: &[(&'static str, Align)]) -> Self {
        Self { paper, columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Begins a section. The title is printed as it is.
    pub fn title(&mut self, title: String) {
        self.rows.push(Row::Title(title));
    }

    /// Adds a row; missing cells are blank.
    pub fn row(&mut self, cells: &[String]) {
        self.rows.push(Row::Cells(cells.iter().map(|cell| self.paper.text(cell)).collect()));
    }

    /// The head and the rows as lines of at most `width` columns, without trailing blanks. A first cell that would make them
    /// wider gets a line of its own; nothing is cut.
    #[must_use]
    pub fn lines(&self, width: usize) -> Vec<String> {
        let head: Vec<String> = self.columns.iter().map(|(name, _)| self.paper.text(name)).collect();
        let cells = || self.rows.iter().filter_map(|row| if let Row::Cells(cells) = row { Some(cells) } else { None });
        let widest = |column: usize| cells().filter_map(|cells| cells.get(column)).map(|cell| cell.width()).max().unwrap_or(0);
        let mut used: Vec<(usize, usize)> = (0..self.columns.len())
            .map(|column| (column, widest(column)))
            .filter(|(column, widest)| *column == 0 || *widest > 0)
            .map(|(column, widest)| (column, widest.max(head[column].width())))
            .collect();
        let others: usize = used.iter().skip(1).map(|&(column, width)| self.gap(column) + width).sum();
        let room = width.saturating_sub(others);
        used[0].1 = used[0].1.min(room);
        let mut lines = vec![self.line(&head, &used)];
        for row in &self.rows {
            match row {
                Row::Title(title) => lines.extend([String::new(), title.clone()]),
                Row::Cells(cells) if cells.first().is_some_and(|first| first.width() > used[0].1) => {
                    lines.push(cells[0].clone());
                    let rest: Vec<String> = std::iter::once(String::new()).chain(cells.iter().skip(1).cloned()).collect();
                    lines.push(self.line(&rest, &used));
                }
                Row::Cells(cells) => lines.push(self.line(cells, &used)),
            }
        }
        lines
    }

    /// The same as a table of GitHub's Markdown; a column without any text is left out.
    #[must_use]
    pub fn markdown(&self) -> String {
        let cells = || self.rows.iter().filter_map(|row| if let Row::Cells(cells) = row { Some(cells) } else { None });
        let told = |column: &usize| *column == 0 || cells().any(|cells| cells.get(*column).is_some_and(|cell| !cell.is_empty()));
        let used: Vec<usize> = (0..self.columns.len()).filter(told).collect();
        let plain = |text: &str| text.trim().replace('|', "\\|").replace('<', "&lt;");
        let row = |cell: &dyn Fn(usize) -> String| {
            let cells: Vec<String> = used.iter().map(|&column| cell(column)).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let mut text = row(&|column| plain(self.columns[column].0));
        text.push_str(&row(&|column| if self.columns[column].1 == Align::Left { "---" } else { "---:" }.to_owned()));
        for cells in cells() {
            text.push_str(&row(&|column| plain(cells.get(column).map_or("", String::as_str))));
        }
        text
    }

    fn gap(&self, column: usize) -> usize {
        if self.columns[column].1 == Align::Close { 1 } else { 2 }
    }

    fn line(&self, cells: &[String], used: &[(usize, usize)]) -> String {
        let mut line = String::new();
        for &(column, width) in used {
            if column > 0 {
                line.push_str(&" ".repeat(self.gap(column)));
            }
            line.push_str(&pad(cells.get(column).map_or("", String::as_str), width, self.columns[column].1));
        }
        line.trim_end().to_owned()
    }
}

/// `text` with blanks up to `width` columns of the terminal.
#[must_use]
pub fn pad(text: &str, width: usize, align: Align) -> String {
    let blanks = " ".repeat(width.saturating_sub(text.width()));
    match align {
        Align::Left => format!("{text}{blanks}"),
        Align::Right | Align::Close => format!("{blanks}{text}"),
    }
}

/// Parts with `mark` and a blank between, on as many lines of at most `width` columns as they need; lines after the first are
/// indented. A part is never broken.
#[must_use]
pub fn wrapped(parts: &[String], mark: &str, width: usize) -> String {
    let mut text = String::new();
    let mut column = 0;
    for (index, part) in parts.iter().enumerate() {
        let last = index + 1 == parts.len();
        let length = part.width() + if last { 0 } else { mark.width() };
        if index > 0 && column + 1 + length > width {
            text.push_str("\n  ");
            column = 2;
        } else if index > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(part);
        text.push_str(if last { "" } else { mark });
        column += length;
    }
    text
}

/// A sentence on as many lines as it needs.
#[must_use]
pub fn folded(sentence: &str, width: usize) -> String {
    let words: Vec<String> = sentence.split_whitespace().map(str::to_owned).collect();
    wrapped(&words, "", width)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAPER: Paper = Paper { unicode: true };

    fn cells(cells: &[&str]) -> Vec<String> {
        cells.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn columns_line_up_and_empty_ones_are_left_out() {
        let mut table =
            Table::new(PAPER, &[("name", Align::Left), ("empty", Align::Left), ("MHz", Align::Right), ("", Align::Close)]);
        table.row(&cells(&["a", "", "10", "±1%"]));
        table.title("more".into());
        table.row(&cells(&["long name"]));
        assert_eq!(table.lines(40), ["name       MHz", "a           10 ±1%", "", "more", "long name"]);
    }

    #[test]
    fn a_name_too_long_stands_above_its_figures_and_is_not_cut() {
        let mut table = Table::new(PAPER, &[("", Align::Left), ("rate", Align::Right)]);
        table.row(&cells(&["a name that is far too long", "12345"]));
        table.row(&cells(&["short", "1"]));
        let lines = table.lines(16);
        assert_eq!(lines, ["            rate", "a name that is far too long", "           12345", "short          1"]);
    }

    #[test]
    fn wide_characters_count_twice() {
        assert_eq!(pad("測", 4, Align::Left), "測  ");
    }

    #[test]
    fn parts_are_wrapped_and_never_broken() {
        assert_eq!(wrapped(&cells(&["one", "two", "a-long-part"]), ",", 9), "one, two,\n  a-long-part");
        assert_eq!(folded("one two  three", 8), "one two\n  three");
        assert_eq!(wrapped(&[], ",", 9), "");
    }
}
