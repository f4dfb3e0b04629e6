//! `assay size init`: a plan to begin with, which solves as it stands.

use crate::{
    cli::{Ending, apart, unwritable, writable},
    console, files,
    reserve::input,
};
use anyhow::Result;
use clap::Args;
use input::{Card, TEMPLATE};
use std::path::{Path, PathBuf};

/// Writes a plan to begin with: every key with its unit, and figures that solve as they stand
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  assay size init > plan.toml
  assay size init -o plan.toml --prices card.csv")]
pub struct Arguments {
    /// Write the plan here instead of printing it
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Also write the price card that is shipped, to edit it; the plan then names it
    #[arg(long, value_name = "FILE", requires = "output")]
    prices: Option<PathBuf>,
    /// Overwrite files that are there
    #[arg(long)]
    force: bool,
}

/// # Errors
/// When a file is there already, or cannot be written.
pub fn run(arguments: &Arguments) -> Result<Ending> {
    let Arguments { output, prices, force } = arguments;
    let Some(output) = output else {
        console::print(TEMPLATE)?;
        return Ok(Ending::Good);
    };
    let outputs: Vec<(&str, &Path)> = std::iter::once(("--output", output))
        .chain(prices.iter().map(|path| ("--prices", path)))
        .map(|(name, path)| (name, path.as_path()))
        .collect();
    apart(&outputs, &[])?;
    outputs.iter().try_for_each(|(_, path)| writable(path, *force))?;
    let mut plan = TEMPLATE.to_owned();
    if let Some(prices) = prices {
        write(prices, Card::shipped_text())?;
        let name = toml_text(&seen_from(output, prices));
        let named = |line: &str| if line.starts_with("# prices = ") { format!("prices = {name}") } else { line.to_owned() };
        plan = plan.lines().map(|line| named(line) + "\n").collect();
    }
    write(output, &plan)?;
    Ok(Ending::Good)
}

fn write(path: &Path, text: &str) -> Result<()> {
    files::write_whole(path, text).map_err(|error| unwritable(path, &error))
}

/// The card's path as the plan must name it: by itself where both lie in one folder, else from the root.
fn seen_from(plan: &Path, card: &Path) -> String {
    match card.file_name() {
        Some(name) if plan.parent() == card.parent() => name.to_string_lossy().into_owned(),
        _ => std::path::absolute(card).unwrap_or_else(|_| card.to_path_buf()).to_string_lossy().into_owned(),
    }
}

/// Text between quotes, as TOML has it.
fn toml_text(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_beside_the_plan_is_named_by_itself() {
        assert_eq!(seen_from(Path::new("plan.toml"), Path::new("card.csv")), "card.csv");
        assert_eq!(seen_from(Path::new("a/plan.toml"), Path::new("/b/card.csv")), "/b/card.csv");
        assert_eq!(toml_text(r#"C:\a"b"#), r#""C:\\a\"b""#);
    }
}
