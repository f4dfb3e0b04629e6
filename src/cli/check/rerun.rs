//! Another look: what was inconclusive is measured again, by `assay run` itself, so that nothing differs from the look before.

use crate::{
    console,
    judge::{Check, pair},
    record::{self, Document},
    store,
};
use anyhow::{Context, Result, bail};
use std::{
    collections::BTreeSet,
    process::{Command, Stdio},
};

/// Arguments of a run that decide what is measured, and are kept.
const KEPT: [&str; 5] = ["--footprint", "--precision", "--seed", "--time", "--nvml-lib"];

/// The record of another run of what is inconclusive; nothing where none could be measured.
///
/// # Errors
/// When it cannot be measured here, saying why.
pub fn again(check: &Check, last: Option<&Document>, look: usize, quiet: bool) -> Result<Option<Document>> {
    let Some(last) = last.filter(|last| last.header.assay.imported.is_none() && last.header.suite != "replay") else {
        bail!(
            "--rerun measures again what `assay run` measured; the runs given are of something else, measure them again yourself"
        );
    };
    let (devices, workloads) = wanted(check);
    if workloads.is_empty() {
        return Ok(None);
    }
    if !quiet {
        console::tell(format_args!("look {look}: {} workloads are measured again", workloads.len()));
    }
    let path = store::new_record(&super::now(), &uuid::Uuid::now_v7().to_string())?;
    let mut command = Command::new(std::env::current_exe().context("finding this program")?);
    command.arg("run").args(["--suite", &last.header.suite]).arg("-o").arg(&path).args(kept(&last.header.command));
    for device in &devices {
        command.args(["--device", device]);
    }
    for workload in &workloads {
        command.args(["--only", workload]);
    }
    if quiet {
        command.arg("--quiet");
    }
    let ended = command.stdout(Stdio::null()).status().context("measuring again")?;
    match ended.code() {
        // 1: something failed or was wrong, which the record tells of and the check judges.
        Some(0 | 1) => Ok(Some(record::read(&path)?)),
        Some(3) => Ok(None),
        _ => bail!("measuring again failed ({ended}), as said above"),
    }
}

/// Devices and workloads of rows that are inconclusive. The measurement of one cannot be told from a glob: ids have none of its signs.
fn wanted(check: &Check) -> (BTreeSet<String>, BTreeSet<String>) {
    let rows = || check.rows.iter().filter(|row| row.compared.judged.verdict == pair::Verdict::Inconclusive);
    let workload = |metric: &str| metric.split('@').next().unwrap_or(metric).to_owned();
    (rows().map(|row| row.id.clone()).collect(), rows().map(|row| workload(&row.compared.metric.name)).collect())
}

/// Pairs of an argument and its value that are kept of a command line, however it joined them.
fn kept(command: &[String]) -> Vec<String> {
    let mut kept = Vec::new();
    for (at, word) in command.iter().enumerate() {
        let (name, joined) = word.split_once('=').map_or((word.as_str(), None), |(name, value)| (name, Some(value.to_owned())));
        let value = joined.or_else(|| command.get(at + 1).cloned());
        if let Some(value) = value.filter(|_| KEPT.contains(&name)) {
            kept.extend([name.to_owned(), value]);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_decides_what_is_measured_is_kept_of_a_command_line() {
        let command = ["assay", "run", "--footprint=4MiB", "-o", "x", "--seed", "7", "--force", "--only", "stream/*"];
        assert_eq!(kept(&command.map(str::to_owned)), ["--footprint", "4MiB", "--seed", "7"]);
        assert!(kept(&["--seed".to_owned()]).is_empty());
    }
}
