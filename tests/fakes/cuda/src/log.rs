//! The file that tells a test what happened in here: `ASSAY_FAKE_LOG`. Lines are appended, so that several processes share it.

use std::{fs::OpenOptions, io::Write, path::PathBuf};

/// Where to write, if anywhere.
#[derive(Clone, Debug, Default)]
pub struct Log(Option<PathBuf>);

impl Log {
    pub fn from_environment() -> Self {
        Self(std::env::var_os("ASSAY_FAKE_LOG").map(PathBuf::from))
    }

    /// What processes have written so far.
    pub fn text(&self) -> String {
        self.0.as_ref().and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default()
    }

    /// Appends whole lines in one write.
    pub fn write(&self, lines: &str) {
        let opened = self.0.as_ref().map(|path| OpenOptions::new().append(true).create(true).open(path));
        if let Some(Ok(mut file)) = opened {
            // A log that cannot be written shows in the test that reads it.
            let _ = file.write_all(format!("{lines}\n").as_bytes());
        }
    }
}
