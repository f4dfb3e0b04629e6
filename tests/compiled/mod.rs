//! The images that the program ships, and the PTX that their machine code was made of; for every test that executes it.

use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// The repository, from whichever of its crates this is compiled in.
fn root() -> &'static Path {
    let mut folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    folders.find(|folder| folder.join("kernels/compiled").is_dir()).expect("the kernels lie in the repository")
}

/// Stem, configuration and image of every image of a kind, `cubin` or `ptx`, as the manifest has them.
pub fn images(kind: &str) -> Vec<(String, Value, Value)> {
    let text = std::fs::read_to_string(root().join("kernels/compiled/manifest.json")).expect("the manifest is committed");
    let manifest: Value = serde_json::from_str(&text).expect("the manifest is JSON");
    let mut found = Vec::new();
    for (stem, entry) in manifest["stems"].as_object().expect("stems") {
        for config in entry["configs"].as_array().expect("configurations") {
            let images = config["images"].as_array().expect("images").iter().filter(|image| image["kind"] == kind);
            found.extend(images.map(|image| (stem.clone(), config.clone(), image.clone())));
        }
    }
    found
}

/// The name by which an image is known everywhere.
pub fn hash(image: &Value) -> &str {
    image["sha256"].as_str().expect("a hash")
}

/// A folder of PTX by the hash of the machine code made of it; `kernels/build` fills it where any is missing.
pub fn ptx() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ptx");
        let whole = || images("cubin").iter().all(|(_, _, image)| folder.join(format!("{}.ptx", hash(image))).is_file());
        if !whole() {
            let built = Command::new(root().join("kernels/build")).args(["--check", "--ptx"]).arg(&folder).output();
            let built = built.expect("python3 runs");
            assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
            assert!(whole(), "kernels/build --ptx does not give what kernels/compiled was made of");
        }
        folder
    })
}
