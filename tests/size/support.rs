//! What tests of the command share: folders, files, and the program.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// A folder of a test's own, emptied.
pub fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("plan-{name}"));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    folder
}

/// A plan file of a test's own.
pub fn written(name: &str, plan: &str) -> PathBuf {
    let path = folder(name).join("plan.toml");
    std::fs::write(&path, plan).expect("a temporary file");
    path
}

pub fn assay(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_assay")).args(arguments).output().expect("starts")
}

pub fn size(arguments: &[&str]) -> Output {
    assay(&[&["size"], arguments].concat())
}

/// Standard output of a command that must end so.
pub fn run(arguments: &[&str], code: Option<i32>) -> String {
    let output = assay(arguments);
    assert_eq!(output.status.code(), code, "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub fn utf8(path: &Path) -> &str {
    path.to_str().expect("utf-8")
}
