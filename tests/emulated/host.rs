//! The host's side of a launch: the shipped packing of arguments and grids, and the same with a bug in it, each compiled on its own and
//! asked how it would launch the jobs; the kernels then show whether it was right.

use crate::job::{Argument, Job, Outcome};
use crate::planted::{index, read};
use crate::shipped::texts;
use crate::stems::jobs;
use simt::{Geometry, Module, Options};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Instructions after which a launch is taken to run for ever.
const STEPS: u64 = 4_000_000;
/// Multiprocessors of the device that is packed for.
const UNITS: u32 = 2;
/// Stands for the address of a buffer, by number.
const PLACEHOLDER: u64 = 0x1111_0000_0000;

/// Answers lines of `stem config argument…` by lines of `blocks threads word…`.
const MAIN: &str = r#"
fn main() {
    for line in std::io::stdin().lines().map_while(Result::ok) {
        let mut words = line.split(' ');
        let (stem, config) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let args: Vec<Arg> = words
            .filter_map(|word| {
                let (kind, value) = word.split_at(1);
                Some(match kind {
                    "b" => Arg::Buffer(value.parse().ok()?),
                    "c" => Arg::Count(value.parse().ok()?),
                    _ => Arg::Real(f64::from_bits(value.parse().ok()?)),
                })
            })
            .collect();
        let configuration = assay::plan::kernel(stem).and_then(|kernel| kernel.configuration(config)).expect("known");
        let packed = pack(&args, |index| 0x1111_0000_0000 + index as u64);
        match grid(stem, configuration, &args, UNITS) {
            Ok(blocks) => print!("{blocks} {}", threads(stem, configuration)),
            Err(_) => print!("0 0"),
        }
        packed.iter().for_each(|word| print!(" {word}"));
        println!();
    }
}
"#;

/// Compiles the host's file as a program.
fn compiled(name: &str, source: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("host");
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    let code = source.split("#[cfg(test)]").next().unwrap_or("").replace("crate::{", "assay::{").replace("//!", "//");
    let (file, program) = (folder.join(format!("{name}.rs")), folder.join(name));
    std::fs::write(&file, format!("{code}\nconst UNITS: u32 = {UNITS};\n{MAIN}")).expect("writes");
    let dependencies = std::env::current_exe().expect("a path").parent().expect("a folder").to_owned();
    let newest = |prefix: &str| {
        let files = std::fs::read_dir(&dependencies).expect("a folder").filter_map(Result::ok).map(|entry| entry.path());
        let found = files.filter(|path| {
            path.extension().is_some_and(|kind| kind == "rlib")
                && path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix))
        });
        found.max_by_key(|path| path.metadata().and_then(|data| data.modified()).ok()).expect("the library of this very build")
    };
    let done = Command::new("rustc")
        .args(["--edition", "2024", "-A", "warnings", "--crate-name", "host", "-o"])
        .arg(&program)
        .arg("--extern")
        .arg(format!("assay={}", newest("libassay-").display()))
        .arg("-L")
        .arg(&dependencies)
        .arg(&file)
        .output()
        .expect("rustc runs");
    assert!(done.status.success(), "{name}: {}", String::from_utf8_lossy(&done.stderr));
    program
}

/// What the host says to each line.
fn answers(program: &Path, lines: &str) -> Vec<Vec<u64>> {
    let mut child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("starts");
    child.stdin.take().expect("piped").write_all(lines.as_bytes()).expect("reads");
    let output = child.wait_with_output().expect("ends");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().map(|line| line.split(' ').map(|word| word.parse().expect("a number")).collect()).collect()
}

/// Kernels by stem in their first configuration, with the jobs that are no windows on a larger launch.
fn subjects() -> Vec<(String, String, Module, Vec<Job>)> {
    let (texts, macros) = texts();
    let mut found: BTreeMap<String, (String, String)> = BTreeMap::new();
    for ((stem, config, text), whom) in texts {
        // Tensor maps are encoded by the driver, and tables of peers are laid out, in another file.
        let first = stem != "matmul_wgmma"
            && stem != "all_reduce"
            && assay::plan::kernel(&stem).is_some_and(|kernel| kernel.configs[0].name == config);
        if first && whom.iter().any(|architecture| architecture == "90a") {
            found.insert(stem, (config, text));
        }
    }
    let subject = |(stem, (config, text)): (String, (String, String))| {
        let all = jobs(&stem, &macros[&(stem.clone(), config.clone())]).expect("known");
        let module = Module::parse(&text).expect("a right kernel");
        (stem, config, module, all.into_iter().filter(|job| job.window.is_none()).take(4).collect())
    };
    found.into_iter().map(subject).collect()
}

fn line(stem: &str, config: &str, job: &Job) -> String {
    let factor = 3.25_f64.to_bits();
    let words = job.arguments.iter().filter_map(|argument| match argument {
        Argument::Buffer(number) => Some(format!("b{number}")),
        // `scale` and `triad` take a factor, by whatever copies; jobs of the others carry one that no parameter is there for.
        Argument::Word(word) if *word == factor => {
            ["scale", "triad"].iter().any(|taker| stem.starts_with(taker)).then(|| format!("r{word}"))
        }
        Argument::Word(word) => Some(format!("c{word}")),
        Argument::Structure(_) => None,
    });
    format!("{stem} {config} {}\n", words.collect::<Vec<_>>().join(" "))
}

/// The first job that goes wrong when it is launched as the host says.
fn first_failure(program: &Path, subjects: &[(String, String, Module, Vec<Job>)]) -> Option<(String, Outcome)> {
    let lines: String =
        subjects.iter().flat_map(|(stem, config, _, jobs)| jobs.iter().map(|job| line(stem, config, job))).collect();
    let mut answers = answers(program, &lines).into_iter();
    for (stem, _, module, jobs) in subjects {
        for job in jobs {
            let said = answers.next().expect("an answer a line");
            let linear = Geometry::linear(said[0] as u32, said[1] as u32);
            let geometry = Geometry { dynamic_shared: job.geometry.dynamic_shared, ..linear };
            let arguments = said[2..].iter().map(|word| match word.checked_sub(PLACEHOLDER) {
                Some(number) if number < job.buffers.len() as u64 => Argument::Buffer(number as usize),
                _ => Argument::Word(*word),
            });
            let outcome =
                job.launched(geometry, &arguments.collect::<Vec<_>>(), module, &Options { steps: STEPS, ..Options::default() });
            if !matches!(outcome, Outcome::Right(_)) {
                return Some((format!("{stem}: {}", job.name), outcome));
            }
        }
    }
    None
}

#[test]
fn bugs_of_the_host_are_caught_by_the_kernels() {
    let subjects = subjects();
    let shipped = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/device/cuda/geometry.rs")).expect("the source");
    if let Some((job, outcome)) = first_failure(&compiled("shipped", &shipped), &subjects) {
        panic!("the shipped packing fails: {job}: {outcome}");
    }
    let mutants = index().host;
    assert!(mutants.len() >= 7, "only {} mutants", mutants.len());
    for (number, mutant) in mutants.iter().enumerate() {
        let program = compiled(&format!("mutant{number}"), &read(&mutant.source).expect("just written"));
        match first_failure(&program, &subjects) {
            None => panic!("{} is not caught", mutant.name),
            Some((job, outcome)) => {
                let caught = mutant.caught.iter().any(|one| one == outcome.mechanism());
                assert!(caught, "{} is caught as {} by {job}: {outcome}", mutant.name, outcome.mechanism());
            }
        }
    }
}
