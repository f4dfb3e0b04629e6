//! Reading what `assay size` is given, a plan or a case, with the line of whatever is wrong.

use crate::{
    console, files,
    reserve::{Case, Problem, Wrong, input},
};
use anyhow::{Context, Result, anyhow};
use input::Planned;
use std::path::Path;

/// What is to be sized.
pub struct Given {
    pub case: Case,
    pub problem: Problem,
    /// Calendar, currency and origins of figures, where a plan file was read.
    pub planned: Option<Planned>,
}

/// Reads a plan file (`.toml`) or a sizing case.
///
/// # Errors
/// When the file cannot be read, or what is wrong in which line.
pub fn given(path: &Path) -> Result<Given> {
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml")) { plan(path) } else { case(path) }
}

fn plan(path: &Path) -> Result<Given> {
    let planned = input::plan(path)?;
    let text = files::text(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let problem = planned.case.problem().map_err(|wrong| anyhow!("{}{}: {wrong}", path.display(), line(&text, &wrong)))?;
    Ok(Given { case: planned.case.clone(), problem, planned: Some(planned) })
}

/// Fields that are not known are told on stderr: a misspelt constraint must not pass in silence.
fn case(path: &Path) -> Result<Given> {
    let name = path.display();
    let text = files::text(path).with_context(|| format!("{name} cannot be read"))?;
    let mut unknown = Vec::new();
    let mut json = serde_json::Deserializer::from_str(&text);
    let case: Case = serde_ignored::deserialize(&mut json, |field| unknown.push(field.to_string()))
        .map_err(|error| anyhow!("{name}, line {}: {error}", error.line()))?;
    json.end().map_err(|error| anyhow!("{name}, line {}: {error}", error.line()))?;
    let problem = case.problem().map_err(|wrong| anyhow!("{name}{}: {wrong}", line(&text, &wrong)))?;
    for field in unknown {
        console::tell(format_args!("assay: warning: {name}: field {field} is not known and does nothing"));
    }
    Ok(Given { case, problem, planned: None })
}

/// The size of a generated case, as `5x36x50`.
///
/// # Errors
/// A sentence that shows what is understood.
pub fn shape(text: &str) -> Result<(usize, usize, usize), String> {
    let numbers: Option<Vec<usize>> = text.split('x').map(|number| number.parse().ok()).collect();
    match numbers.as_deref() {
        Some(&[types @ 1..=200, months @ 1..=600, scenarios @ 1..=2_000]) => Ok((types, months, scenarios)),
        _ => Err(format!("`{text}` is no size; write for example 5x36x50: at most 200 types, 600 months and 2000 scenarios")),
    }
}

/// Where the thing that is wrong stands first.
fn line(text: &str, wrong: &Wrong) -> String {
    let at = wrong.near.as_ref().and_then(|near| text.lines().position(|line| line.contains(near)));
    at.map_or_else(String::new, |at| format!(", line {}", at + 1))
}
