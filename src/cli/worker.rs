//! `assay worker`: the hidden side of `run` and `devices`, where drivers are loaded.

use super::Ending;
use crate::runner::{look, worker};
use clap::{Args, ValueEnum};

/// Does what the parent process asks on standard input
#[derive(Debug, Args)]
pub struct Arguments {
    task: Task,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Task {
    List,
    Measure,
    Watch,
}

/// What goes wrong is told to the parent, not by the exit code.
pub fn run(arguments: &Arguments) -> Ending {
    match arguments.task {
        Task::List => look::list(),
        Task::Measure => worker::measure(),
        Task::Watch => look::look(),
    }
    Ending::Good
}
