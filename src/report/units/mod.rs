//! What devices are worth: as a table, as the lines that end a run, and in the forms that schedulers and cost tools take.

mod exports;
mod lines;
mod table;

pub use exports::{Export, Statistic, export};
pub use lines::unit_lines;
pub use table::{Shown, units};
