//! What the interpreter takes instructions to do, held against references written apart and against outputs recorded on hardware.
//!
//! `tests/conformance/build` compiles the kernels; `results/conformance/*.json` are what `gpu-checks conformance` printed on machines
//! with a GPU, each one document.

mod bits;
mod floats;
mod moves;
mod products;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use simt::tensor::{map::TensorMap, shared::Swizzle};
use simt::{Geometry, Memory, Module, Options};
use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// Seed of the inputs; `gpu-checks` has the same.
const SEED: u32 = 0xc0de;
/// What the output holds before a launch.
const BEFORE: u32 = u32::MAX;
const SCHEDULES: u32 = 12;

/// A kernel as `tests/conformance/build` lists it.
#[derive(Clone, Debug, Deserialize)]
struct Kernel {
    name: String,
    block: u32,
    cluster: u32,
    shared: u32,
    #[serde(rename = "in")]
    inputs: usize,
    #[serde(rename = "out")]
    outputs: usize,
    map: Option<[u32; 6]>,
    over: Option<String>,
    images: Vec<Image>,
}

#[derive(Clone, Debug, Deserialize)]
struct Image {
    machine: String,
    ptx: String,
}

#[derive(Deserialize)]
struct Index {
    kernels: Vec<Kernel>,
}

/// What `gpu-checks conformance` prints, as much of it as is compared.
#[derive(Deserialize)]
struct Recorded {
    device: String,
    seed: u32,
    kernels: Vec<Output>,
}

#[derive(Deserialize)]
struct Output {
    name: String,
    words: Option<String>,
    sha256: Option<String>,
    skipped: Option<String>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("conformance")
}

/// The kernels, compiled once a run.
fn kernels() -> &'static [Kernel] {
    static KERNELS: OnceLock<Vec<Kernel>> = OnceLock::new();
    KERNELS.get_or_init(|| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conformance/build");
        let built = Command::new(script).arg(folder()).output().expect("python3 runs");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let text = std::fs::read_to_string(folder().join("index.json")).expect("just written");
        serde_json::from_str::<Index>(&text).expect("as written").kernels
    })
}

/// The input words of a kernel.
fn input(kernel: &Kernel) -> Vec<u32> {
    (0..kernel.inputs as u64).map(|at| assay::plan::first(SEED, at)).collect()
}

fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn map([element, rows, columns, box_rows, box_columns, swizzle]: [u32; 6], address: u64) -> Vec<u8> {
    let map = TensorMap {
        element,
        address,
        dimensions: vec![columns.into(), rows.into()],
        strides: vec![u64::from(columns * element)],
        sides: vec![box_columns, box_rows],
        swizzle: match swizzle {
            0 => Swizzle::None,
            32 => Swizzle::B32,
            64 => Swizzle::B64,
            _ => Swizzle::B128,
        },
    };
    map.encode().expect("a valid map").to_vec()
}

/// The output words of one launch in the interpreter.
fn interpreted(kernel: &Kernel, image: &Image, options: &Options) -> Result<Vec<u32>, String> {
    let text = std::fs::read_to_string(folder().join(&image.ptx)).map_err(|error| error.to_string())?;
    let module = Module::parse(&text).map_err(|error| error.to_string())?;
    let code = module.kernel(&kernel.name).ok_or("no such entry")?;
    let mut memory = Memory::new();
    let mut place = |words: &[u32]| {
        let at = memory.allocate(words.len() * 4);
        memory.bytes_mut(at, words.len() * 4).expect("just allocated").copy_from_slice(&bytes(words));
        at
    };
    let (from, to) = (place(&input(kernel)), place(&vec![BEFORE; kernel.outputs]));
    let mut parameters = [from.to_le_bytes(), to.to_le_bytes()].concat();
    if let (Some(fields), Some(parameter)) = (kernel.map, code.parameters.get(2)) {
        parameters.resize(parameter.offset as usize, 0);
        parameters.extend(map(fields, if kernel.over.as_deref() == Some("out") { to } else { from }));
    }
    let linear = Geometry::linear(kernel.cluster, kernel.block);
    let geometry = Geometry { cluster: [kernel.cluster, 1, 1], dynamic_shared: kernel.shared, ..linear };
    simt::launch(code, &geometry, &parameters, &mut memory, options).map_err(|fault| fault.to_string())?;
    let found = memory.bytes(to, kernel.outputs * 4).map_err(|fault| fault.to_string())?;
    Ok(found.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect())
}

/// What a kernel must give, from the manual's definitions alone.
fn reference(kernel: &Kernel) -> Option<Vec<u32>> {
    let words = input(kernel);
    moves::reference(kernel, &words)
        .or_else(|| products::reference(&kernel.name, &words))
        .or_else(|| floats::reference(&kernel.name, &words))
        .or_else(|| bits::reference(&kernel.name, &words))
}

fn different(found: &[u32], right: &[u32]) -> Option<String> {
    let wrong = found.iter().zip(right).position(|(found, right)| found != right);
    match wrong {
        _ if found.len() != right.len() => Some(format!("{} words where there should be {}", found.len(), right.len())),
        None => None,
        Some(at) => Some(format!("word {at} is {:#010x} where {:#010x} is right", found[at], right[at])),
    }
}

/// Everything that is wrong with a kernel's output in the interpreter.
fn alarms(kernel: &Kernel, right: &[u32]) -> Vec<String> {
    let mut found = Vec::new();
    for image in &kernel.images {
        for number in 0..SCHEDULES {
            let wrong = match interpreted(kernel, image, &Options::schedule(number, 1)) {
                Err(why) => Some(why),
                Ok(words) => different(&words, right),
            };
            found.extend(wrong.map(|why| format!("{} for {} under schedule {number}: {why}", kernel.name, image.machine)));
            if !found.is_empty() {
                break;
            }
        }
    }
    found
}

#[test]
fn the_interpreter_gives_what_the_manual_says_under_every_schedule() {
    let mut wrong = Vec::new();
    for kernel in kernels() {
        match reference(kernel) {
            None => wrong.push(format!("{}: no reference is written for it", kernel.name)),
            Some(right) => wrong.extend(alarms(kernel, &right)),
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(kernels().len() >= 30, "only {} kernels", kernels().len());
}

/// What differs between a recorded run on hardware and the references, which the interpreter meets.
fn disagreements(recorded: &Recorded) -> Vec<String> {
    let mut found = Vec::new();
    if recorded.seed != SEED {
        return vec![format!("{}: recorded with seed {:#x}; record it anew", recorded.device, recorded.seed)];
    }
    for kernel in kernels() {
        let Some(output) = recorded.kernels.iter().find(|output| output.name == kernel.name) else {
            found.push(format!("{}: {} was not run", recorded.device, kernel.name));
            continue;
        };
        let (Some(words), Some(sha256)) = (&output.words, &output.sha256) else {
            let silent = output.skipped.is_none();
            found.extend(silent.then(|| format!("{}: {} gives no words and no reason", recorded.device, kernel.name)));
            continue;
        };
        let words: Vec<u32> = (0..words.len() / 8)
            .map(|at| u32::from_str_radix(&words[at * 8..at * 8 + 8], 16).expect("words in hexadecimal digits"))
            .collect();
        let whole = hash(&words);
        let right = reference(kernel).unwrap_or_default();
        let wrong = if &whole == sha256 { different(&words, &right) } else { Some("its hash is another's".into()) };
        found.extend(wrong.map(|why| format!("{}: {}: {why}", recorded.device, kernel.name)));
    }
    found
}

fn hash(words: &[u32]) -> String {
    Sha256::digest(bytes(words)).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[test]
fn hardware_gives_what_the_interpreter_gives() {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("results/conformance");
    let files = std::fs::read_dir(&place).map(|entries| entries.filter_map(Result::ok).map(|entry| entry.path()).collect());
    for path in files.unwrap_or_else(|_| Vec::<PathBuf>::new()) {
        let text = std::fs::read_to_string(&path).expect("a committed file");
        let recorded: Recorded = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let wrong = disagreements(&recorded);
        assert!(wrong.is_empty(), "{}:\n{}", path.display(), wrong.join("\n"));
    }
}

/// Shows that a difference between machines would be noticed: one wrong bit in one word, or a kernel that is missing.
#[test]
fn a_planted_disagreement_is_noticed() {
    let output = |kernel: &Kernel, flip: u32| {
        let mut words = reference(kernel).expect("a reference");
        words[1] ^= flip;
        Output {
            name: kernel.name.clone(),
            words: Some(words.iter().fold(String::new(), |text, word| text + &format!("{word:08x}"))),
            sha256: Some(hash(&words)),
            skipped: None,
        }
    };
    let machine = |flip: u32, skip: usize| Recorded {
        device: "planted".into(),
        seed: SEED,
        kernels: kernels()
            .iter()
            .skip(skip)
            .enumerate()
            .map(|(at, kernel)| output(kernel, if at == 3 { flip } else { 0 }))
            .collect(),
    };
    assert_eq!(disagreements(&machine(0, 0)), Vec::<String>::new());
    assert_eq!(disagreements(&machine(1, 0)).len(), 1);
    assert_eq!(disagreements(&machine(0, 1)).len(), 1);
}
