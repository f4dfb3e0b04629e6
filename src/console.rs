//! What a command says: what it was asked for on stdout, everything else on stderr.

use anyhow::{Context, Result};
use serde::Serialize;
use std::{
    fmt::Display,
    io::{self, ErrorKind, Write},
};

/// Prints as it is.
///
/// # Errors
/// When stdout cannot be written. A reader that went away (`assay show … | head`) is none: the command ends as it would have.
pub fn print(text: impl Display) -> Result<()> {
    on_stdout(io::stdout().lock(), text)
}

/// Prints with colours, where stdout shows them.
///
/// # Errors
/// As [`print()`].
pub fn print_styled(text: impl Display) -> Result<()> {
    on_stdout(anstream::stdout().lock(), text)
}

/// Prints as JSON.
///
/// # Errors
/// As [`print()`].
pub fn print_json(value: &impl Serialize) -> Result<()> {
    print(serde_json::to_string_pretty(value)? + "\n")
}

fn on_stdout(mut stdout: impl Write, text: impl Display) -> Result<()> {
    match write!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("stdout cannot be written"),
    }
}

/// Says a line on stderr. Where nobody can read it, it is lost, and nothing else is: a measurement goes on, a verdict stands.
pub fn tell(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fails(ErrorKind);

    impl Write for Fails {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    #[test]
    fn a_reader_that_went_away_is_no_error_and_a_full_disk_is() {
        assert!(on_stdout(Fails(ErrorKind::BrokenPipe), "text").is_ok());
        let full = on_stdout(Fails(ErrorKind::StorageFull), "text").expect_err("nothing was written");
        assert!(format!("{full:#}").starts_with("stdout cannot be written: "), "{full:#}");
    }
}
