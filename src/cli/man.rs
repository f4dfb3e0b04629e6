//! `assay man`: manual pages from the same words that `--help` shows.

use super::Ending;
use crate::console;
use anyhow::{Context, Result};
use clap::{Args, CommandFactory};
use clap_mangen::Man;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Prints the manual page, or writes those of all commands
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  assay man | man -l -
  assay man --dir ~/.local/share/man/man1")]
pub struct Arguments {
    /// Folder to write a page for each command into, made where it is missing
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// # Errors
/// When stdout or the folder cannot be written.
pub fn run(arguments: &Arguments) -> Result<Ending> {
    if let Some(folder) = &arguments.dir {
        write_all(folder)?;
    } else {
        let mut page = Vec::new();
        Man::new(super::Arguments::command()).render(&mut page)?;
        console::print(String::from_utf8_lossy(&page))?;
    }
    Ok(Ending::Good)
}

/// One page for the program and one for each command that a person would type.
fn write_all(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
    clap_mangen::generate_to(super::Arguments::command(), folder)
        .with_context(|| format!("{}: cannot be written", folder.display()))
}
