//! Columns that line up.

/// Where a column's text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// Rows of cells under a head; a column without any text is left out.
#[derive(Clone, Debug, Default)]
pub struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    #[must_use]
    pub fn new(columns: &[(&'static str, Align)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; missing cells are blank.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The head and the rows as lines without trailing blanks.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let head: Vec<String> = self.columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        let cell = |row: &Vec<String>, column: usize| row.get(column).map_or("", String::as_str).to_owned();
        let width = |column: usize| self.rows.iter().map(|row| cell(row, column).chars().count()).max().unwrap_or(0);
        let used: Vec<(usize, usize)> = (0..self.columns.len())
            .map(|column| (column, width(column)))
            .filter(|(_, width)| *width > 0)
            .map(|(column, width)| (column, width.max(head[column].chars().count())))
            .collect();
        let line = |row: &Vec<String>| {
            let cells: Vec<String> =
                used.iter().map(|&(column, width)| pad(&cell(row, column), width, self.columns[column].1)).collect();
            cells.join("  ").trim_end().to_owned()
        };
        std::iter::once(&head).chain(&self.rows).map(line).collect()
    }
}

fn pad(text: &str, width: usize, align: Align) -> String {
    let blanks = " ".repeat(width.saturating_sub(text.chars().count()));
    match align {
        Align::Left => format!("{text}{blanks}"),
        Align::Right => format!("{blanks}{text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_empty_ones_are_left_out() {
        let mut table = Table::new(&[("name", Align::Left), ("empty", Align::Left), ("±", Align::Right)]);
        table.row(vec!["a".into(), String::new(), "10 %".into()]);
        table.row(vec!["long name".into()]);
        assert_eq!(table.lines(), ["name          ±", "a          10 %", "long name"]);
    }
}
