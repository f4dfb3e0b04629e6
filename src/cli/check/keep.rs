//! The baseline's file, which several pipelines may renew at once: none loses what another has taken in.

use super::super::{baseline, console, files};
use crate::judge::Baseline;
use anyhow::{Context, Result};
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, ErrorKind},
    os::unix::fs::MetadataExt,
    path::Path,
};

/// A baseline, and the lock on its file where it is to be written.
pub struct Kept {
    pub baseline: Option<Baseline>,
    _lock: Option<File>,
}

/// Reads a baseline; nothing where there is no such file. Where it is to be written, others wait until this process is done with it.
///
/// # Errors
/// When it cannot be read, or not be written where it is to be.
pub fn kept(path: &Path, to_write: bool) -> Result<Kept> {
    let lock = if to_write { locked(path).with_context(|| path.display().to_string())? } else { None };
    Ok(Kept { baseline: baseline(path)?, _lock: lock })
}

fn locked(path: &Path) -> io::Result<Option<File>> {
    loop {
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            console::tell(format_args!("{}: another process renews it; waiting", path.display()));
        }
        match file.lock() {
            // Not every file system can; then it is as good as it gets.
            Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(Some(file)),
            done => done?,
        }
        // Whoever had it before may have put another file in its place.
        let (mine, there) = (file.metadata()?, fs::metadata(path));
        if there.is_ok_and(|there| (there.dev(), there.ino()) == (mine.dev(), mine.ino())) {
            return Ok(Some(file));
        }
    }
}

/// Writes a baseline that there was not; `false` where another process has begun it meanwhile.
///
/// # Errors
/// When it cannot be written.
pub fn begin(path: &Path, text: &str) -> Result<bool> {
    let place = files::place(path);
    let hidden = place.with_extension(format!("begun.{}", std::process::id()));
    let begun = fs::write(&hidden, text).and_then(|()| match fs::hard_link(&hidden, &place) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        // Not every file system has links.
        Err(_) => fs::rename(&hidden, &place).map(|()| true),
        Ok(()) => Ok(true),
    });
    // Gone where it was renamed; the first error is the one to tell.
    let _ = fs::remove_file(&hidden);
    begun.with_context(|| path.display().to_string())
}
