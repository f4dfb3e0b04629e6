//! Records for people and for programs: every form in its own file. Nothing here measures or judges; it shows.

mod bencher;
mod chart;
mod check;
mod compare;
mod figure;
mod history;
mod json;
mod junit;
mod ledger;
mod markdown;
mod native;
mod peers;
mod prometheus;
mod rates;
mod sheet;
mod size;
mod size_compare;
mod size_inputs;
mod size_leaves;
mod size_pictures;
mod svg;
mod table;
mod trend;
mod units;
mod validation;
mod vitals;

pub use bencher::{bencher, bigger_is_better};
pub use check::{Around, check, check_json};
pub use compare::{compare, compare_json};
pub use history::{Changed, Line, history, history_json};
pub use json::{entry_json, json};
pub use junit::junit;
pub use markdown::markdown;
pub use native::native;
pub use peers::{Fleet, peers, peers_json};
pub use prometheus::prometheus;
pub use sheet::{brief, fell, sheet};
pub use size::{sizing, swings};
pub use size_compare::{replay, replayed, versus};
pub use size_inputs::inputs;
pub use size_leaves::{Leaf, as_markdown, as_text};
pub use size_pictures::{costs, cover, rivals, tornado};
pub use units::{Export, Shown, Statistic, export, unit_lines, units};
pub use validation::{calibration, validation};
pub use vitals::{health, look};

use anstyle::Style;

/// Columns of the reader's terminal that a sheet may use.
const WIDTH: usize = 100;
const HEADING: Style = Style::new().bold();

/// What the reader's terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paper {
    /// Block characters and signs; else ASCII alone.
    pub unicode: bool,
}

impl Paper {
    /// By the locale of the environment, as POSIX orders it.
    #[must_use]
    pub fn of_environment() -> Self {
        let locale =
            ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
        let named = |locale: String| locale.to_ascii_lowercase().replace('-', "").contains("utf8");
        Self { unicode: locale.is_some_and(named) }
    }

    /// Text of a record as it may be printed: a file from elsewhere must not reach the terminal's controls.
    fn text(self, text: &str) -> String {
        let harmless = text.chars().map(|c| match c {
            '\n' | '\t' => ' ',
            c if c.is_control() => '?',
            c => c,
        });
        if self.unicode {
            return harmless.collect();
        }
        let mut ascii = String::with_capacity(text.len());
        for c in harmless {
            match c {
                '±' => ascii.push_str("+-"),
                'µ' => ascii.push('u'),
                '✓' => ascii.push('y'),
                c => ascii.push(if c.is_ascii() { c } else { '?' }),
            }
        }
        ascii
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_never_reach_the_terminal_and_ascii_is_ascii() {
        let hostile = "a\u{1b}[2J\r\nb µs ±1 ®";
        assert_eq!(Paper { unicode: true }.text(hostile), "a?[2J? b µs ±1 ®");
        assert_eq!(Paper { unicode: false }.text(hostile), "a?[2J? b us +-1 ?");
    }
}
