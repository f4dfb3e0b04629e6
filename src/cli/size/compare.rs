//! `assay size compare`: two plans under the same scenarios.

use super::{Form, Progress, draw, input};
use crate::{
    cli::Ending,
    files, report,
    reserve::{self, ANSWER, Case, Contender, Effort, Line, Problem},
};
use anyhow::{Context, Result, anyhow};
use clap::Args;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Holds two plans against each other under the same scenarios
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  assay size compare case.json cautious.json
  assay size compare a.answer.json b.answer.json --scenarios case.json

Each of the two is a case, whose best plan is taken, or an answer as `assay size --json` prints it, whose plan belongs to the case
that gives the scenarios. Exit codes: 0 compared, 2 bad input")]
pub struct Arguments {
    /// A case or an answer
    first: PathBuf,
    /// A case or an answer
    second: PathBuf,
    /// Case whose scenarios, discount rate and penalty both are held to; the first of the two that is a case, when absent
    #[arg(long, value_name = "CASE")]
    scenarios: Option<PathBuf>,
    /// Also draw how likely each costs how much, as an SVG file in this folder
    #[arg(long, value_name = "FOLDER")]
    pictures: Option<PathBuf>,
    #[command(flatten)]
    form: Form,
}

/// What an answer says of its plan.
#[derive(Deserialize)]
struct Answered {
    schema: String,
    plan: Vec<Line>,
}

/// # Errors
/// When the input cannot be read, is ill-formed, or the two do not fit together.
pub fn run(arguments: &Arguments) -> Result<Ending> {
    let given = [&arguments.first, &arguments.second].map(|path| read(path));
    let [first, second] = given;
    let both = [first?, second?];
    let scenarios = match &arguments.scenarios {
        Some(path) => input::given(path)?.case,
        None => both.iter().find_map(Given::case).cloned().context("both are answers; name their case by --scenarios")?,
    };
    let _progress = Progress::new("seeking plans", 0, !arguments.form.no_progress);
    let paths = [&arguments.first, &arguments.second];
    let [first, second] = [0, 1].map(|at| contender(paths[at], &both[at], &scenarios));
    let (first, second) = (first?, second?);
    let versus = reserve::versus(&first, &second);
    if let Some(folder) = &arguments.pictures {
        draw(folder, &[("compare.svg", report::rivals(&first, &second))])?;
    }
    arguments.form.print(&report::versus(&versus, &first.problem, arguments.form.paper()), &versus)?;
    Ok(Ending::Good)
}

enum Given {
    Case(Box<Case>),
    Plan(Vec<Line>),
}

impl Given {
    fn case(&self) -> Option<&Case> {
        if let Self::Case(case) = self { Some(case) } else { None }
    }
}

fn read(path: &Path) -> Result<Given> {
    let text = files::text(path).with_context(|| format!("{} cannot be read", path.display()))?;
    match serde_json::from_str::<Answered>(&text) {
        Ok(answer) if answer.schema == ANSWER => Ok(Given::Plan(answer.plan)),
        _ => Ok(Given::Case(Box::new(input::given(path)?.case))),
    }
}

fn contender(path: &Path, given: &Given, scenarios: &Case) -> Result<Contender> {
    let name = path.file_stem().map_or_else(|| path.display().to_string(), |stem| stem.to_string_lossy().into_owned());
    let wrong = |says: &dyn std::fmt::Display| anyhow!("{}: {says}", path.display());
    let (problem, plan): (Problem, _) = match given {
        Given::Plan(lines) => {
            let problem = scenarios.problem().map_err(|error| wrong(&error))?;
            let plan = reserve::plan_of(&problem, lines).map_err(|says| wrong(&says))?;
            (problem, plan)
        }
        Given::Case(case) => {
            let own = case.problem().map_err(|error| wrong(&error))?;
            if (own.periods, &own.classes) != (scenarios.periods, &scenarios.classes) {
                let says = format!(
                    "it has {} months of {}; the scenarios have {} of {}",
                    own.periods,
                    own.classes.join(", "),
                    scenarios.periods,
                    scenarios.classes.join(", ")
                );
                return Err(wrong(&says));
            }
            let plan = reserve::solve(&own, Effort::default())?.plan;
            (reserve::under(case, scenarios).problem().map_err(|error| wrong(&error))?, plan)
        }
    };
    let evaluation = reserve::evaluate(&problem, &plan);
    Ok(Contender { name, problem, plan, evaluation })
}
