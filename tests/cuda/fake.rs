//! The fake driver, put where a program looks for the real one.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// A folder with the fake in it, and what it is to be.
pub struct Fake {
    folder: PathBuf,
    variables: Vec<(&'static str, String)>,
}

impl Fake {
    /// For one test, by its name; `chip` as the fake reads it.
    pub fn new(name: &str, chip: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cuda").join(name);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        // Not by these names in the build's own folder: Cargo puts that on the path of every test.
        for file in ["libcuda.so", "libcuda.so.1"] {
            std::fs::copy(library(), folder.join(file)).expect("the fake was built with this test");
        }
        Self { variables: vec![("ASSAY_FAKE_CUDA", chip.into())], folder }
    }

    /// Plans a failure.
    pub fn failing(mut self, script: &str) -> Self {
        self.variables.push(("ASSAY_FAKE_FAULT", script.into()));
        self
    }

    /// Gives the PTX that machine code was made of.
    pub fn with_ptx(mut self, folder: &Path) -> Self {
        self.variables.push(("ASSAY_FAKE_PTX", folder.display().to_string()));
        self
    }

    /// An old driver without a call: its name is overwritten where the library lists what it exports.
    pub fn without(self, call: &str) -> Self {
        let mut bytes = std::fs::read(library()).expect("the fake was built with this test");
        let whole = |text: &str| [b"\0", text.as_bytes(), b"\0"].concat();
        let (name, other) = (whole(call), whole(&format!("x{}", &call[1..])));
        let mut found = 0;
        for at in 0..bytes.len() - name.len() {
            if bytes[at..].starts_with(&name) {
                bytes[at..at + name.len()].copy_from_slice(&other);
                found += 1;
            }
        }
        assert!(found > 0, "{call} is not among the fake's calls");
        for file in ["libcuda.so", "libcuda.so.1"] {
            std::fs::write(self.folder.join(file), &bytes).expect("writes");
        }
        self
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    /// The program, with this driver and nothing else that the environment may say to it.
    pub fn assay(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_assay"));
        for name in ["ASSAY_SUITE", "ASSAY_BACKEND", "ASSAY_OUTPUT", "ASSAY_NVML_LIB", "ASSAY_FAKE_FAULT", "ASSAY_FAKE_PTX"] {
            command.env_remove(name);
        }
        command.env("LD_LIBRARY_PATH", &self.folder).env("ASSAY_FAKE_LOG", self.path("log"));
        for (name, value) in &self.variables {
            command.env(name, value);
        }
        command
    }

    /// `assay run` on the CUDA backend; the record is at [`Self::record`].
    pub fn run(&self, arguments: &[&str]) -> Output {
        let record = self.path("run.jsonl");
        self.assay().args(["run", "--backend", "cuda", "--force", "-o"]).arg(record).args(arguments).output().expect("starts")
    }

    pub fn record(&self) -> assay::record::Document {
        assay::record::read(&self.path("run.jsonl")).expect("a record")
    }

    /// What the driver tells of itself.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Planned failures that no process met: a script that names a call which is never made passes every test.
    pub fn unfired(&self) -> Vec<String> {
        let log = self.log();
        let planned = log.lines().filter_map(|line| line.strip_prefix("planned "));
        planned.filter(|script| !self.fired(script)).map(Into::into).collect()
    }

    /// Whether a planned failure has happened.
    pub fn fired(&self, script: &str) -> bool {
        self.log().lines().any(|line| line.strip_prefix("fired ") == Some(script))
    }
}

/// The library as it was built, beside this test.
fn library() -> PathBuf {
    let test = std::env::current_exe().expect("a path");
    test.with_file_name(format!("{}fake_cuda{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX))
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
