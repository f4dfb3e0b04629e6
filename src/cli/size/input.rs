//! Reading what `assay size` is given, with the line of whatever is wrong.

use crate::reserve::{Case, Problem, Wrong};
use anyhow::{Context, Result, anyhow};
use std::path::Path;

/// Reads a sizing case. Fields that are not known are told on stderr: a misspelt constraint must not pass in silence.
///
/// # Errors
/// When the file cannot be read, or what is wrong in which line.
pub fn problem(path: &Path) -> Result<(Case, Problem)> {
    let name = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("{name} cannot be read"))?;
    let mut unknown = Vec::new();
    let mut json = serde_json::Deserializer::from_str(&text);
    let case: Case = serde_ignored::deserialize(&mut json, |field| unknown.push(field.to_string()))
        .map_err(|error| anyhow!("{name}, line {}: {error}", error.line()))?;
    json.end().map_err(|error| anyhow!("{name}, line {}: {error}", error.line()))?;
    let problem = case.problem().map_err(|wrong| anyhow!("{name}{}: {wrong}", line(&text, &wrong)))?;
    for field in unknown {
        eprintln!("assay: warning: {name}: field {field} is not known and does nothing");
    }
    Ok((case, problem))
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
