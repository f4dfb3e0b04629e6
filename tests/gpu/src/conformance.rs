//! The conformance kernels on this device: inputs from a seed, outputs as they are.

use crate::driver::{Device, Words, launch, load, open, tensor_map};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    fmt::Write,
    io::Read,
    path::Path,
    process::{Command, Stdio},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Seed of the inputs; the test that holds the interpreter against a record has the same.
const SEED: u32 = 0xc0de;
/// What the output holds before a launch.
const BEFORE: u32 = u32::MAX;
/// How long one kernel may take, with the start of its process and of the driver.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long all may take. A hung device hangs every later kernel too; what was answered must be printed before `tests/gpu/run`
/// ends this program.
const WHOLE: Duration = Duration::from_secs(90);

#[derive(Deserialize)]
struct Index {
    kernels: Vec<Kernel>,
}

/// A kernel as `tests/conformance/build` lists it.
#[derive(Deserialize)]
struct Kernel {
    name: String,
    arch: String,
    block: u32,
    cluster: u32,
    shared: u32,
    #[serde(rename = "in")]
    inputs: u64,
    #[serde(rename = "out")]
    outputs: usize,
    map: Option<[u32; 6]>,
    over: Option<String>,
    images: Vec<Image>,
    /// PTX for architectures that have no image of their own.
    later: Option<String>,
}

#[derive(Deserialize)]
struct Image {
    machine: String,
    cubin: String,
}

impl Kernel {
    /// The image for a device: its own machine code, else PTX for later ones.
    fn image(&self, capability: i32) -> Option<&str> {
        let own = |image: &&Image| image.machine.trim_end_matches('a') == capability.to_string();
        let least: i32 = self.arch.trim_end_matches('a').parse().ok()?;
        let later = self.later.as_deref().filter(|_| capability >= least);
        self.images.iter().find(own).map(|image| image.cubin.as_str()).or(later)
    }

    fn outputs(&self, device: &Device, folder: &Path, image: &str) -> Result<Vec<u32>> {
        let function = load(&folder.join(image), &self.name)?;
        let words: Vec<u32> = (0..self.inputs).map(|at| assay::plan::first(SEED, at)).collect();
        let (from, to) = (Words::holding(&words)?, Words::holding(&vec![BEFORE; self.outputs])?);
        let over = if self.over.as_deref() == Some("out") { to.address } else { from.address };
        let map = self.map.map(|fields| tensor_map(fields, over)).transpose()?;
        launch(device, &function, (self.cluster, self.block, self.shared), &[from.address, to.address], map.as_ref())?;
        device.stream.synchronize().map_err(|error| anyhow::anyhow!("the driver said {:?}", error.0))?;
        to.read()
    }

    /// What it makes of its input, and on what.
    fn document(&self, device: &Device, folder: &Path) -> Value {
        let mut document = self.answered(device, folder);
        document["on"] = json!({ "device": device.name, "capability": device.capability, "driver": device.driver });
        document
    }

    fn answered(&self, device: &Device, folder: &Path) -> Value {
        let Some(image) = self.image(device.capability) else {
            return json!({ "name": self.name, "skipped": format!("made for sm_{} and not for sm_{}", self.arch, device.capability) });
        };
        match self.outputs(device, folder, image) {
            Err(error) => json!({ "name": self.name, "image": image, "failed": format!("{error:#}") }),
            Ok(words) => {
                let text = words.iter().fold(String::new(), |mut text, word| {
                    let _ = write!(text, "{word:08x}");
                    text
                });
                let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
                let sha256 = Sha256::digest(&bytes).iter().fold(String::new(), |mut text, byte| {
                    let _ = write!(text, "{byte:02x}");
                    text
                });
                json!({ "name": self.name, "image": image, "words": text, "sha256": sha256 })
            }
        }
    }
}

fn index(folder: &Path) -> Result<Index> {
    let path = folder.join("index.json");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).context("reading the list of kernels")
}

/// One kernel's output.
pub fn one(folder: &Path, name: &str) -> Result<Value> {
    let index = index(folder)?;
    let kernel = index.kernels.iter().find(|kernel| kernel.name == name).with_context(|| format!("no kernel {name}"))?;
    Ok(kernel.document(&open()?, folder))
}

/// Everything that a process writes, read beside it: a full pipe would hold it up.
fn read(mut from: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // A pipe that breaks leaves what came before, and the document in it is then seen to be cut off.
        let _ = from.read_to_end(&mut bytes);
        bytes
    })
}

/// The document that a process prints, if it ends in time. One that does not is killed and not waited for: with a hung kernel the
/// driver may keep it from ending at all.
fn apart(command: &mut Command, patience: Duration) -> Result<Value> {
    let deadline = Instant::now() + patience;
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let said = child.stdout.take().map(read);
    let complained = child.stderr.take().map(read);
    while child.try_wait()?.is_none() {
        if Instant::now() >= deadline {
            child.kill()?;
            bail!("it did not end within {patience:.0?} and was killed");
        }
        thread::sleep(Duration::from_millis(5));
    }
    let whole = |reader: Option<JoinHandle<Vec<u8>>>| reader.and_then(|reader| reader.join().ok()).unwrap_or_default();
    serde_json::from_slice(&whole(said)).with_context(|| String::from_utf8_lossy(&whole(complained)).trim().to_owned())
}

/// One kernel's output from a process of its own: a device that one kernel broke is of no use to the next.
fn answer(folder: &Path, name: &str, left: Duration) -> Result<Value> {
    if left.is_zero() {
        bail!("it was not run: those before it took all the time");
    }
    apart(Command::new(std::env::current_exe()?).arg("conformance").arg(folder).arg(name), left.min(PATIENCE))
}

/// Every kernel's output. This process opens no device: behind a kernel that hangs it would wait for ever, and where a device is one
/// process's alone it would keep the others out.
pub fn document(folder: &Path) -> Result<Value> {
    let begin = Instant::now();
    let mut kernels: Vec<Value> = index(folder)?
        .kernels
        .iter()
        .map(|kernel| {
            answer(folder, &kernel.name, WHOLE.saturating_sub(begin.elapsed()))
                .unwrap_or_else(|error| json!({ "name": kernel.name, "failed": format!("{error:#}") }))
        })
        .collect();
    let on = kernels.iter_mut().filter_map(|kernel| kernel.as_object_mut()?.remove("on")).collect::<Vec<_>>();
    let on = on.first().with_context(|| format!("no kernel's process could open the device: {}", kernels[0]["failed"]))?;
    Ok(json!({
        "schema": "assay.conformance/1",
        "device": on["device"],
        "capability": on["capability"],
        "driver": on["driver"],
        "seed": SEED,
        "kernels": kernels,
    }))
}

#[test]
fn a_process_that_hangs_is_killed_and_named() {
    let begin = Instant::now();
    let hung = apart(Command::new("sleep").arg("60"), Duration::from_millis(50)).unwrap_err();
    assert_eq!(hung.to_string(), "it did not end within 50ms and was killed");
    assert!(begin.elapsed() < Duration::from_secs(20));
    assert_eq!(apart(Command::new("echo").arg("[1]"), PATIENCE).expect("a document"), json!([1]));
    assert!(answer(Path::new("nowhere"), "none", Duration::ZERO).unwrap_err().to_string().contains("not run"));
}
