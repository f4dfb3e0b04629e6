//! Records for people and for programs: every form in its own file. Nothing here measures or judges; it shows.

mod json;
mod sheet;
mod table;

pub use json::json;
pub use sheet::{brief, sheet};
pub use table::{Align, Table};

/// What the reader's terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paper {
    /// Block characters; else bars are made of `#`.
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
}
