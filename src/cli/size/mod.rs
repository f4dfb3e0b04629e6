//! `assay size`: from capacity, demand and prices to a commitment plan with its cost, its risk and what would change it.

mod backtest;
mod cited;
mod compare;
mod init;
mod input;
mod progress;

use super::Ending;
use crate::{
    console, files,
    report::{self, Paper},
    reserve::{self, Answer, Case, Effort, Failure, Figures, Problem, Shape, Solved, Swing},
};
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use input::Given;
use progress::Progress;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Solutions that swings take about.
const SWINGS: u64 = 180;

/// Sizes a reservation: what to order, on which terms, when
#[derive(Debug, Args)]
#[command(arg_required_else_help = true, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_help = "Examples:
  assay size init -o plan.toml
  assay size plan.toml
  assay size case.json --json | jq .plan
  assay size case.json --explain --pictures pictures
  assay size compare case.json other.json       which of two plans costs and risks less
  assay size backtest history.csv --offers case.json   what planning would have cost, month by month
  assay size --generate 5x36x50 --seed 3 > case.json

Exit codes: 0 a plan was found, 1 no plan meets every constraint, 2 bad input")]
pub struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
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
    #[arg(long, value_name = "TYPESxMONTHSxSCENARIOS", value_parser = input::shape)]
    #[arg(conflicts_with_all = ["file", "json", "plain", "markdown"])]
    generate: Option<(usize, usize, usize)>,
    /// The same seed gives the same case
    #[arg(long, default_value_t = 1, requires = "generate")]
    seed: u64,
    /// Units of the first type that demand takes in the first month
    #[arg(long, default_value_t = 50, requires = "generate", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    fleet: u32,
    #[command(flatten)]
    form: Form,
}

/// In which form an answer is printed.
#[derive(Debug, Args)]
struct Form {
    /// Print one JSON document instead of a table
    #[arg(long)]
    json: bool,
    /// Print Markdown
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
    /// Only ASCII, whatever the terminal can show
    #[arg(long, conflicts_with_all = ["json", "markdown"])]
    plain: bool,
    /// No bar on the terminal
    #[arg(long)]
    no_progress: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    Init(init::Arguments),
    Compare(compare::Arguments),
    Backtest(backtest::Arguments),
}

impl Form {
    fn paper(&self) -> Paper {
        // Markdown is a file's, not a terminal's.
        if self.plain {
            Paper { unicode: false }
        } else if self.markdown {
            Paper { unicode: true }
        } else {
            Paper::of_environment()
        }
    }

    /// Prints leaves, or the document that says the same.
    fn print(&self, leaves: &[report::Leaf], document: &impl Serialize) -> Result<()> {
        if self.json {
            console::print_json(document)?;
        } else if self.markdown {
            console::print(report::as_markdown(leaves))?;
        } else {
            console::print_styled(report::as_text(leaves, self.paper()))?;
        }
        Ok(())
    }
}

/// # Errors
/// When the input cannot be read or is ill-formed, saying where.
pub fn run(arguments: &Arguments) -> Result<Ending> {
    match &arguments.action {
        Some(Action::Init(arguments)) => return init::run(arguments),
        Some(Action::Compare(arguments)) => return compare::run(arguments),
        Some(Action::Backtest(arguments)) => return backtest::run(arguments),
        None => {}
    }
    if let Some((types, periods, scenarios)) = arguments.generate {
        let case = reserve::generate(arguments.seed, Shape { types, periods, scenarios, fleet: arguments.fleet as usize });
        console::print_json(&case)?;
        return Ok(Ending::Good);
    }
    let file = arguments.file.as_deref().context("name a plan or a sizing case")?;
    sized(&input::given(file)?, arguments)
}

/// Solves a case and prints what it comes to.
fn sized(given: &Given, arguments: &Arguments) -> Result<Ending> {
    let form = &arguments.form;
    let problem = &given.problem;
    let planned = given.planned.as_ref();
    let case = &planned.map_or_else(|| given.case.clone(), |planned| cited::sourced(&given.case, planned));
    let shown = &planned.map_or_else(|| problem.clone(), |planned| cited::marked(problem, planned));
    let (answer, solved, figures) = {
        let _progress = Progress::new("seeking a plan", 0, !form.no_progress);
        let (answer, solved, known) = answered(case, problem)?;
        let figures = reserve::figures(case, shown, &solved, known.as_deref(), Effort::default())?;
        (answer, solved, figures)
    };
    let swings = if arguments.explain {
        let progress = Progress::new("solutions made", SWINGS, !form.no_progress);
        reserve::explain(case, &answer.plan, &reserve::drivers(), Effort::default(), &|| progress.step())?
    } else {
        Vec::new()
    };
    let document = Document {
        answer: &answer,
        figures: answer.feasible.then_some(&figures),
        swings: arguments.explain.then_some(swings.as_slice()),
    };
    let mut document = serde_json::to_value(&document)?;
    if let Some(planned) = planned {
        cited::cite(&mut document, planned);
    }
    let told = planned.map_or_else(|| figures.clone(), |planned| cited::labelled(figures.clone(), planned));
    let mut leaves = report::sizing(shown, &answer, &told, form.paper());
    if arguments.explain {
        leaves.extend(report::swings(&swings, form.paper()));
    }
    if let Some(planned) = planned {
        leaves.extend(report::inputs(planned, form.paper()));
    }
    form.print(&leaves, &document)?;
    // The answer took its time, and stands whatever becomes of its pictures.
    if let Some(folder) = &arguments.pictures {
        let mut pictures =
            vec![("cover.svg", report::cover(shown, &solved.plan)), ("costs.svg", report::costs(shown, &solved.evaluation))];
        pictures.extend(arguments.explain.then(|| ("tornado.svg", report::tornado(shown, &swings, solved.evaluation.cost))));
        draw(folder, &pictures)?;
    }
    Ok(if answer.feasible { Ending::Good } else { Ending::Bad })
}

fn answered(case: &Case, problem: &Problem) -> Result<(Answer, Solved, Option<Vec<f64>>)> {
    match reserve::answer_with(problem, Effort::default()) {
        Ok(answered) => Ok(answered),
        Err(Failure::Infeasible) => bail!("{}: its limits leave no plan at all, not even that of no orders", case.id),
        Err(failure) => Err(failure.into()),
    }
}

/// What `--json` prints.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    answer: &'a Answer,
    #[serde(skip_serializing_if = "Option::is_none")]
    figures: Option<&'a Figures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    swings: Option<&'a [Swing]>,
}

fn draw(folder: &Path, pictures: &[(&str, String)]) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    for (name, picture) in pictures {
        let path = folder.join(name);
        files::write_whole(&path, picture).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(())
}
