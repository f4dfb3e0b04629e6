//! The fake driver, put where a program looks for the real one.

use crate::library;
use assay::record::{Document, Entry};
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
        let fake = Self { variables: vec![("ASSAY_FAKE_CUDA", chip.into())], folder };
        // Not by these names in the build's own folder: Cargo puts that on the path of every test.
        for file in ["libcuda.so", "libcuda.so.1"] {
            fake.put("fake_cuda", file);
        }
        fake
    }

    /// Puts a fake into the folder under a name.
    fn put(&self, built: &str, file: &str) {
        let path = self.path(file);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::copy(library::built(built), path).expect("the fake was built with this test");
    }

    /// Plans a failure.
    pub fn failing(mut self, script: &str) -> Self {
        self.variables.push(("ASSAY_FAKE_FAULT", script.into()));
        self
    }

    /// Puts the fake of NVML beside it, to which the script happens.
    pub fn with_nvml(mut self, script: &str) -> Self {
        self.put("fake_nvml", "libnvidia-ml.so.1");
        self.variables.push(("ASSAY_FAKE_NVML", script.into()));
        self.with_folder("ASSAY_NVML_LIB", "libnvidia-ml.so.1")
    }

    /// Puts the fake of cuBLASLt beside it under a version's name, to which the script happens.
    pub fn with_cublaslt(mut self, file: &str, script: &str) -> Self {
        self.put("fake_cublaslt", file);
        self.variables.push(("ASSAY_FAKE_LT", script.into()));
        self
    }

    /// Puts the fake of cuSPARSELt beside it under a name, to which the script happens.
    pub fn with_cusparselt(mut self, file: &str, script: &str) -> Self {
        self.put("fake_cusparselt", file);
        self.variables.push(("ASSAY_FAKE_SPARSE", script.into()));
        self
    }

    /// Puts the fake of NCCL beside it, to which the script happens.
    pub fn with_nccl(mut self, script: &str) -> Self {
        self.put("fake_nccl", "libnccl.so.2");
        self.variables.push(("ASSAY_FAKE_NCCL", script.into()));
        self
    }

    /// Sets a variable of the environment to a path in its folder.
    pub fn with_folder(mut self, variable: &'static str, folder: &str) -> Self {
        self.variables.push((variable, self.path(folder).display().to_string()));
        self
    }

    /// Makes kernels slower, by the beginning of their code's hash.
    pub fn with_pace(mut self, pace: &str) -> Self {
        self.variables.push(("ASSAY_FAKE_PACE", pace.into()));
        self
    }

    /// Names a file as the kernel's log.
    pub fn with_kernel_log(mut self) -> Self {
        let path = self.path("kmsg");
        std::fs::write(&path, "6,1,1,-;NVRM: Xid (PCI:0000:01:00): 79, before the run\n").expect("writes");
        self.variables.push(("ASSAY_KERNEL_LOG", path.display().to_string()));
        self
    }

    /// Gives the PTX that machine code was made of.
    pub fn with_ptx(mut self, folder: &Path) -> Self {
        self.variables.push(("ASSAY_FAKE_PTX", folder.display().to_string()));
        self
    }

    /// An old driver without a call.
    pub fn without(self, call: &str) -> Self {
        let bytes = library::without("fake_cuda", call);
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
        for name in [
            "ASSAY_SUITE",
            "ASSAY_BACKEND",
            "ASSAY_OUTPUT",
            "ASSAY_NVML_LIB",
            "ASSAY_CUBLASLT_LIB",
            "ASSAY_CUSPARSELT_LIB",
            "ASSAY_FAKE_FAULT",
            "ASSAY_FAKE_PTX",
            "ASSAY_FAKE_LT",
            "ASSAY_FAKE_NCCL",
            "ASSAY_FAKE_SPARSE",
            "ASSAY_FAKE_PACE",
            "CUDA_HOME",
            "CUDA_PATH",
            "VIRTUAL_ENV",
        ] {
            command.env_remove(name);
        }
        command
            .env("LD_LIBRARY_PATH", &self.folder)
            .env("ASSAY_FAKE_LOG", self.path("log"))
            .env("XDG_CACHE_HOME", self.path("cache"));
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

    /// The entries of a run that ends with this code.
    pub fn entries(&self, arguments: &[&str], code: i32) -> Vec<Entry> {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(code), "{}\n{}\n{}", text(&output.stderr), text(&output.stdout), self.log());
        self.record().entries
    }

    /// The line of `assay devices` about a library.
    pub fn listed(&self, library: &str, arguments: &[&str]) -> String {
        let lines = text(&self.assay().arg("devices").args(arguments).output().expect("starts").stdout);
        lines.lines().find(|line| line.contains(library)).unwrap_or_else(|| panic!("{lines}")).to_owned()
    }

    pub fn record(&self) -> Document {
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

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub fn reason(entry: &Entry) -> &str {
    entry.reason.as_deref().unwrap_or_default()
}
