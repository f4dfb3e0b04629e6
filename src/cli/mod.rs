//! The command line: one file a subcommand, with its arguments and one `run`; no file here imports another.
//!
//! Data go to stdout, everything else to stderr. Exit codes: 0 done and good; 1 a bad verdict; 2 bad input or usage; 3 nothing
//! could be measured or judged; 130 interrupted.

mod completions;
mod devices;
mod man;
mod run;
mod schema;
mod show;
mod units;
mod watch;
mod worker;

use crate::units::Nanos;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Measures what accelerators sustain, with kernels whose results are verified in the same run.
#[derive(Debug, Parser)]
#[command(name = "assay", version, about, arg_required_else_help = true, propagate_version = true)]
#[command(after_help = "Examples:
  assay run                       measure every accelerator, within a minute each
  assay show run.jsonl            read a record again
  assay devices --health          what there is to measure, and whether it is fit
  assay watch                     clocks, power and temperature, again and again

Exit codes: 0 done and good, 1 a bad verdict, 2 bad input or usage, 3 nothing could be measured, 130 interrupted")]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Devices(devices::Arguments),
    Run(run::Arguments),
    Show(show::Arguments),
    Units(units::Arguments),
    Watch(watch::Arguments),
    Schema(schema::Arguments),
    Completions(completions::Arguments),
    Man(man::Arguments),
    #[command(hide = true)]
    Worker(worker::Arguments),
}

/// A time as a person writes it, of at least `shortest` seconds and at most a week.
fn parse_time(text: &str, shortest: f64) -> Result<Nanos, String> {
    let time: jiff::SignedDuration = text.parse().map_err(|_| format!("`{text}` is no time; write for example 90s, 10m or 2h"))?;
    let seconds = time.as_secs_f64();
    if (shortest..=7.0 * 24.0 * 3600.0).contains(&seconds) {
        return Ok(Nanos::from_seconds(seconds));
    }
    Err(format!("`{text}` is not between {shortest}s and 7 days"))
}

/// How a command ended, other than by an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Ending {
    Good = 0,
    Bad = 1,
    Nothing = 3,
    Interrupted = 130,
}

/// Runs the command; an error is one message on stderr and exit code 2.
#[must_use]
pub fn run(arguments: Arguments) -> ExitCode {
    let ending = match arguments.command {
        Command::Devices(arguments) => devices::run(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Show(arguments) => show::run(&arguments),
        Command::Units(arguments) => units::run(&arguments),
        Command::Watch(arguments) => watch::run(&arguments),
        Command::Schema(arguments) => schema::run(&arguments),
        Command::Completions(arguments) => completions::run(&arguments),
        Command::Man(arguments) => man::run(&arguments),
        Command::Worker(arguments) => Ok(worker::run(&arguments)),
    };
    match ending {
        Ok(ending) => ExitCode::from(ending as u8),
        Err(error) => {
            // A reader that went away (`assay show … | head`) is no error of ours.
            if error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe) {
                return ExitCode::SUCCESS;
            }
            eprintln!("assay: {error:#}");
            ExitCode::from(2)
        }
    }
}
