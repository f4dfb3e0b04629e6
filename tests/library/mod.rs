//! Libraries of this workspace that stand in for a driver's, as they were built beside the test.

use std::{
    env::consts::{DLL_PREFIX, DLL_SUFFIX},
    path::PathBuf,
};

/// The file of a library, by its crate's name.
pub fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a path");
    test.with_file_name(format!("{DLL_PREFIX}{name}{DLL_SUFFIX}"))
}

/// The library as an old driver has it, without a call: its name is overwritten where the library lists what it exports.
pub fn without(library: &str, call: &str) -> Vec<u8> {
    let mut bytes = std::fs::read(built(library)).expect("it was built with this test");
    let whole = |text: &str| [b"\0", text.as_bytes(), b"\0"].concat();
    let (name, other) = (whole(call), whole(&format!("x{}", &call[1..])));
    let mut found = 0;
    for at in 0..bytes.len() - name.len() {
        if bytes[at..].starts_with(&name) {
            bytes[at..at + name.len()].copy_from_slice(&other);
            found += 1;
        }
    }
    assert!(found > 0, "{call} is not among the calls of {library}");
    bytes
}
