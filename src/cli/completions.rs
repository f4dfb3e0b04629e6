//! `assay completions`: what a shell needs to complete a command line.

use super::Ending;
use crate::console;
use anyhow::Result;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

/// Prints completions for a shell
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  assay completions bash > ~/.local/share/bash-completion/completions/assay
  assay completions fish > ~/.config/fish/completions/assay.fish
  assay completions zsh > \"${fpath[1]}/_assay\"")]
pub struct Arguments {
    /// Shell to complete in
    shell: Shell,
}

/// # Errors
/// When stdout cannot be written.
pub fn run(arguments: &Arguments) -> Result<Ending> {
    console::print(String::from_utf8_lossy(&script(arguments.shell)))?;
    Ok(Ending::Good)
}

/// Made in memory: the generator panics where it cannot write, and a reader that went away is no reason to.
fn script(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut super::Arguments::command(), "assay", &mut script);
    script
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn every_shell_learns_the_commands() {
        for shell in Shell::value_variants() {
            let script = String::from_utf8(script(*shell)).expect("text");
            assert!(["show", "schema", "run", "devices"].iter().all(|name| script.contains(name)), "{shell}");
        }
    }
}
