//! The kernels that the program carries, and the PTX that their machine code was made of.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// A folder of PTX by the hash of the machine code made of it; made anew where the kernels have changed.
pub fn ptx() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ptx");
        let whole = || hashes("cubin").iter().all(|hash| folder.join(format!("{hash}.ptx")).is_file());
        if !whole() {
            let status =
                Command::new(root.join("kernels/build")).args(["--check", "--ptx"]).arg(&folder).status().expect("Python runs");
            assert!(status.success() && whole(), "kernels/build --ptx does not give what kernels/compiled was made of");
        }
        folder
    })
}

fn manifest() -> serde_json::Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels/compiled/manifest.json");
    serde_json::from_str(&std::fs::read_to_string(path).expect("committed")).expect("JSON")
}

/// Every image of the manifest.
fn images() -> Vec<serde_json::Value> {
    let array = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
    let manifest = manifest();
    let stems = manifest["stems"].as_object().expect("stems");
    stems.values().flat_map(|stem| array(&stem["configs"])).flat_map(|config| array(&config["images"])).collect()
}

fn hashes(kind: &str) -> Vec<String> {
    let wanted = images().into_iter().filter(|image| image["kind"] == kind);
    wanted.map(|image| image["sha256"].as_str().expect("a hash").to_owned()).collect()
}

/// Whether an image is the newest base for a compute capability.
pub fn is_base(hash: &str, capability: &str) -> bool {
    let base = if capability < "80" { "70" } else { "80" };
    images().iter().any(|image| image["sha256"] == hash && image["kind"] == "ptx" && image["architecture"] == base)
}
