//! Where runs live when no file is named: a folder of the user's.

use anyhow::{Context, Result};
use directories::ProjectDirs;
use std::path::PathBuf;

/// A new record's path in the user's data folder (`$XDG_DATA_HOME/assay/runs` or its like), which is made when it is missing.
///
/// # Errors
/// When there is no home, or the folder cannot be made; the message names `-o`.
pub fn new_record(started_at: &str, id: &str) -> Result<PathBuf> {
    const WAY_OUT: &str = "name a file for the record with -o FILE";
    let folder = ProjectDirs::from("", "", "assay").with_context(|| format!("no home folder; {WAY_OUT}"))?.data_dir().join("runs");
    std::fs::create_dir_all(&folder).with_context(|| format!("{}: cannot be made; {WAY_OUT}", folder.display()))?;
    let stamp: String = started_at.chars().filter(char::is_ascii_alphanumeric).take(15).collect();
    let unique = id.rsplit('-').next().unwrap_or(id);
    Ok(folder.join(format!("{stamp}-{unique}.jsonl")))
}
