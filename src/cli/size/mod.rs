//! `assay size`: from capacity, demand and prices to a commitment plan with its cost, its risk and what would change it.

mod cited;
mod init;
mod input;

use super::Ending;
use crate::{
    report::{self, Paper},
    reserve::{self, Answer, Effort, Failure, Shape, Swing},
};
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use input::Given;
use serde::Serialize;
use std::{
    io::Write,
    path::{Path, PathBuf},
};

/// Sizes a reservation: what to order, on which terms, when
#[derive(Debug, Args)]
#[command(arg_required_else_help = true, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_help = "Examples:
  assay size init -o plan.toml
  assay size plan.toml
  assay size case.json
  assay size case.json --json | jq .plan
  assay size case.json --explain --pictures pictures
  assay size --generate 5x36x50 --seed 3 > case.json

Exit codes: 0 a plan was found, 1 no plan meets every constraint, 2 bad input")]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Plan (`assay size init` writes one; docs/plan.md), or sizing case (assay-sizing-case/1)
    #[arg(required_unless_present = "generate")]
    file: Option<PathBuf>,
    /// Also say what the cost hangs on, and where the first orders would change; this solves the case a hundred times or more
    #[arg(long)]
    explain: bool,
    /// Also draw cover over time, the spread of cost and, with --explain, its swings, as SVG files in this folder
    #[arg(long, value_name = "FOLDER")]
    pictures: Option<PathBuf>,
    /// Print a random case of this many types, months and scenarios instead, to try things on
    #[arg(long, value_name = "TYPESxMONTHSxSCENARIOS", value_parser = input::shape, conflicts_with_all = ["file", "json", "plain"])]
    generate: Option<(usize, usize, usize)>,
    /// The same seed gives the same case
    #[arg(long, default_value_t = 1, requires = "generate")]
    seed: u64,
    /// Units of the first type that demand takes in the first month
    #[arg(long, default_value_t = 50, requires = "generate", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    fleet: u32,
    /// Print one JSON document instead of a table
    #[arg(long)]
    json: bool,
    /// Only ASCII, whatever the terminal can show
    #[arg(long, conflicts_with = "json")]
    plain: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Arguments),
}

/// # Errors
/// When the input cannot be read or is ill-formed, saying where.
pub fn run(arguments: &Arguments) -> Result<Ending> {
    if let Some(Command::Init(arguments)) = &arguments.command {
        return init::run(arguments);
    }
    if let Some((types, periods, scenarios)) = arguments.generate {
        let case = reserve::generate(arguments.seed, Shape { types, periods, scenarios, fleet: arguments.fleet as usize });
        writeln!(std::io::stdout().lock(), "{}", serde_json::to_string_pretty(&case)?)?;
        return Ok(Ending::Good);
    }
    let file = arguments.file.as_deref().context("name a plan or a sizing case")?;
    let Given { case, problem, planned } = input::given(file)?;
    let (answer, solved) = match reserve::answer(&problem, Effort::default()) {
        Ok(answered) => answered,
        Err(Failure::Infeasible) => {
            bail!("{}: its limits leave no plan at all, not even that of no orders", file.display())
        }
        Err(failure) => return Err(failure.into()),
    };
    let swings = if arguments.explain { reserve::explain(&case, &reserve::drivers(), Effort::default())? } else { Vec::new() };
    let shown = planned.as_ref().map_or_else(|| problem.clone(), |planned| cited::marked(&problem, planned));
    if let Some(folder) = &arguments.pictures {
        let mut pictures =
            vec![("cover.svg", report::cover(&shown, &solved.plan)), ("costs.svg", report::costs(&shown, &solved.evaluation))];
        pictures.extend(arguments.explain.then(|| ("tornado.svg", report::tornado(&shown, &swings, solved.evaluation.cost))));
        draw(folder, &pictures)?;
    }
    if arguments.json {
        let document = Document { answer: &answer, swings: arguments.explain.then_some(swings.as_slice()) };
        let mut document = serde_json::to_value(&document)?;
        if let Some(planned) = &planned {
            cited::cite(&mut document, planned);
        }
        writeln!(std::io::stdout().lock(), "{}", serde_json::to_string_pretty(&document)?)?;
    } else {
        let paper = if arguments.plain { Paper { unicode: false } } else { Paper::of_environment() };
        let mut out = anstream::stdout().lock();
        write!(out, "{}", report::sizing(&shown, &answer, &solved, paper))?;
        if arguments.explain {
            write!(out, "{}", report::swings(&swings, paper))?;
        }
        if let Some(planned) = &planned {
            write!(out, "{}", report::inputs(planned, paper))?;
        }
    }
    Ok(if answer.feasible { Ending::Good } else { Ending::Bad })
}

/// What `--json` prints.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    answer: &'a Answer,
    #[serde(skip_serializing_if = "Option::is_none")]
    swings: Option<&'a [Swing]>,
}

fn draw(folder: &Path, pictures: &[(&str, String)]) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    for (name, picture) in pictures {
        let path = folder.join(name);
        std::fs::write(&path, picture).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(())
}
