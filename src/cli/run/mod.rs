//! `assay run`: the main job. Finds accelerators, measures them, writes a record.

mod choose;
mod progress;
mod replay;

use super::{Ending, now, unwritable, writable};
use crate::{
    capacity, console,
    measure::CAP,
    record::{Device, Document, End, Entry, Header, Line, Node, Outcome, SCHEMA, Software, Writer},
    report::{self, Paper},
    runner::{self, Item, News, Options, Task},
    store, telemetry,
    units::{Nanos, parse_bytes},
    workload::{SUITES, Suite},
};
use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, ValueEnum, builder::PossibleValuesParser};
use progress::Progress;
use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

/// Benchmarks the accelerators of this machine with verified kernels and writes a record
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  assay run                                        every accelerator, within a minute each
  assay run --suite standard -o node7.jsonl        ten minutes a device, into a file
  assay run --suite soak --time 10m --only 'matmul/*'
  assay run --backend replay --trace trace.jsonl --precision 1%
  assay run --backend cpu --only 'stream/*' --json | jq '.entries[].rate'")]
pub struct Arguments {
    /// How much time to spend
    #[arg(long, env = "ASSAY_SUITE", default_value = "quick", value_parser = PossibleValuesParser::new(SUITES.iter().map(|s| s.name)))]
    suite: String,
    /// Length of a soak, for example 10m or 2h, shared by its workloads
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    time: Option<Nanos>,
    /// End a sustained measurement once its 95 % interval is this narrow to either side, after 30 s at the latest
    #[arg(long, value_name = "0.5%|1%", value_parser = parse_precision)]
    precision: Option<f64>,
    /// Begin a launch each TIME, for example 2ms, whether or not the one before is done, and tell how long each took from then
    #[arg(long, value_name = "TIME", value_parser = parse_pace, conflicts_with_all = ["trace", "precision"])]
    pace: Option<Nanos>,
    /// Devices by id, UUID or bus address, as `assay devices` lists them; all of the chosen backend by default
    #[arg(long, value_name = "DEVICE")]
    device: Vec<String>,
    /// Auto takes CUDA, else a GPU by wgpu, else the CPU
    #[arg(long, env = "ASSAY_BACKEND", value_enum, default_value_t = Backend::Auto)]
    backend: Backend,
    /// Trace to replay, in the format assay.trace/1
    #[arg(long, value_name = "FILE", required_if_eq("backend", "replay"), conflicts_with_all = ["device", "only", "footprint", "time"])]
    trace: Option<PathBuf>,
    /// Workloads by glob over their ids, for example 'matmul/*'
    #[arg(long, value_name = "GLOB")]
    only: Vec<String>,
    /// File for the record; the user's data folder by default
    #[arg(short, long, env = "ASSAY_OUTPUT", value_name = "FILE")]
    output: Option<PathBuf>,
    /// Overwrite an existing record
    #[arg(long, requires = "output")]
    force: bool,
    /// Print one JSON document instead of a table
    #[arg(long)]
    json: bool,
    /// Bytes of each stream array, for example 256MiB, instead of max(4 x last cache, min(1 GiB, memory / 8))
    #[arg(long, value_name = "SIZE", value_parser = parse_footprint)]
    footprint: Option<u64>,
    /// Seed of the inputs
    #[arg(long, default_value_t = 1)]
    seed: u32,
    /// Show nothing while measuring
    #[arg(short, long)]
    quiet: bool,
    /// No progress bar; one plain line for each entry
    #[arg(long)]
    no_progress: bool,
    /// NVML library to load instead of the driver's own
    #[arg(long, env = "ASSAY_NVML_LIB", value_name = "PATH")]
    nvml_lib: Option<String>,
    /// cuBLASLt to hold products against instead of the one that is found
    #[arg(long, env = "ASSAY_CUBLASLT_LIB", value_name = "PATH", value_parser = super::existing)]
    cublaslt_lib: Option<String>,
    /// Kernels to measure: ours with the vendor's library in turns, ours alone, or every candidate and slow twin
    #[arg(long, value_enum, default_value_t = Kernels::Pair)]
    kernels: Kernels,
    /// Whether to choose among our kernels on the device: on chips that are not known yet, anew, or never
    #[arg(long, value_enum, default_value_t = Tuning::Auto)]
    tuning: Tuning,
    /// Log of the kernel to find the driver's faults in, instead of /dev/kmsg
    #[arg(long, env = "ASSAY_KERNEL_LOG", value_name = "PATH")]
    kernel_log: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Backend {
    Auto,
    Cuda,
    Wgpu,
    Cpu,
    /// A recorded trace, in virtual time
    Replay,
}

/// Which kernels carry a workload out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kernels {
    /// The best of ours, in turns with the vendor's library where there is one
    Pair,
    /// The best of ours alone
    Own,
    /// Every candidate, its slow twin, and the vendor's library, in turns
    All,
}

/// When kernels are chosen on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Tuning {
    /// On a GPU that neither this program's table nor an earlier run knows
    Auto,
    /// Now, whatever is known
    Anew,
    /// Never
    Off,
}

/// How often a person asked to stop.
static INTERRUPTS: AtomicUsize = AtomicUsize::new(0);

fn interrupted() -> bool {
    INTERRUPTS.load(Ordering::Relaxed) > 0
}

fn parse_time(text: &str) -> Result<Nanos, String> {
    super::parse_time(text, 1.0)
}

fn parse_pace(text: &str) -> Result<Nanos, String> {
    super::parse_time(text, 1e-5).map(|pace| Nanos(pace.0 / 1_000 * 1_000))
}

fn parse_precision(text: &str) -> Result<f64, String> {
    match text {
        "0.5%" => Ok(0.005),
        "1%" => Ok(0.01),
        _ => Err(format!("`{text}` is no precision that is kept; there are 0.5% and 1%")),
    }
}

fn parse_footprint(text: &str) -> Result<u64, String> {
    match parse_bytes(text)? {
        bytes if bytes < 1 << 20 => Err(format!("`{text}` is too small for a memory measurement; at least 1MiB")),
        bytes => Ok(bytes),
    }
}

/// # Errors
/// Bad input, before anything is written; a disk that fails, after what was measured is kept.
pub fn run(arguments: &Arguments) -> Result<Ending> {
    if let Some(trace) = &arguments.trace {
        return replay::run(arguments, trace);
    }
    let suite = suite(arguments)?;
    if let Some(path) = &arguments.output {
        writable(path, arguments.force)?;
    }
    let listings = runner::list_with(arguments.cublaslt_lib.as_deref());
    let (mut tasks, shared) = choose::tasks(arguments, suite, &listings)?;
    let at_once = choose::together(&mut tasks);
    tasks.extend(shared);
    let header = header(suite.name, telemetry::node(), listings.into_iter().flat_map(|listing| listing.devices).collect());
    let path = arguments.output.clone().map_or_else(|| store::new_record(&header.started_at, &header.id), Ok)?;
    let mut writer = Writer::create(&path, arguments.force, header.clone()).map_err(|error| unwritable(&path, &error))?;
    ctrlc::set_handler(|| {
        // The second time in a row nobody wants to wait; every entry so far is on the disk.
        if INTERRUPTS.fetch_add(1, Ordering::Relaxed) > 0 {
            std::process::exit(Ending::Interrupted as i32);
        }
    })
    .context("catching Ctrl-C")?;
    let mut document = Document { header, end: None, entries: Vec::new(), warnings: Vec::new() };
    let mut progress = Progress::new(&tasks, &at_once, arguments.quiet, arguments.no_progress);
    let measured = measure(&tasks, &at_once, &mut writer, &mut document, &mut progress);
    progress.finish();
    measured?;
    let end = end(&document.entries);
    writer.line(&Line::End(end.clone())).map_err(|error| kept(&path, document.entries.len(), &error))?;
    document.end = Some(end);
    show(arguments, &document, &path)?;
    Ok(ending(&document.entries))
}

fn suite(arguments: &Arguments) -> Result<Suite> {
    if arguments.time.is_some() && arguments.suite != "soak" {
        bail!("--time is the length of a soak; add --suite soak, or leave it out");
    }
    if arguments.precision.is_some() && arguments.suite == "soak" {
        bail!("a soak takes its time, however precise it becomes; leave out --precision, or choose another suite");
    }
    let time = arguments.time.or(arguments.precision.map(|_| CAP));
    runner::suite(&arguments.suite, time).with_context(|| format!("no suite `{}`", arguments.suite))
}

fn header(suite: &str, node: Node, devices: Vec<Device>) -> Header {
    Header {
        schema: SCHEMA.into(),
        id: uuid::Uuid::now_v7().to_string(),
        started_at: now(),
        assay: Software::this(crate::plan::kernels_hash()),
        node,
        devices,
        suite: suite.into(),
        // The program by its name: where it lay is nobody's affair.
        command: std::iter::once("assay".to_owned()).chain(std::env::args().skip(1)).collect(),
    }
}

fn kept(path: &Path, entries: usize, error: &std::io::Error) -> anyhow::Error {
    anyhow!("{}: {error}. The run ended there; {entries} entries are kept in the record", path.display())
}

/// Every device alone, one after the other; then all of them at once.
fn measure(tasks: &[Task], at_once: &[Task], writer: &mut Writer, document: &mut Document, progress: &mut Progress) -> Result<()> {
    let mut news = |news: News| {
        match news {
            News::Begin(workload) => progress.begin(&workload),
            News::Fell { device, workload, decline } => progress.fell(&device, &workload, &decline),
            News::Entry(entry) => {
                let line = Line::Entry(entry);
                let written = writer.line(&line);
                written.map_err(|error| kept(writer.path(), document.entries.len(), &error))?;
                if let Line::Entry(entry) = line {
                    progress.entry(&entry);
                    document.entries.push(*entry);
                }
            }
        }
        Ok(())
    };
    for task in tasks {
        runner::carry_out(task, &interrupted, &mut news)?;
    }
    if at_once.is_empty() || interrupted() {
        return Ok(());
    }
    runner::carry_out_together(at_once, &interrupted, &mut news)
}

fn count(entries: &[Entry], outcome: Outcome) -> u64 {
    entries.iter().filter(|entry| entry.outcome == outcome).count() as u64
}

fn end(entries: &[Entry]) -> End {
    End {
        ended_at: now(),
        measured: count(entries, Outcome::Measured),
        skipped: count(entries, Outcome::Skipped),
        failed: count(entries, Outcome::Failed),
        invalid: count(entries, Outcome::Invalid),
        interrupted: interrupted(),
    }
}

fn ending(entries: &[Entry]) -> Ending {
    if interrupted() {
        Ending::Interrupted
    } else if entries.iter().any(|entry| matches!(entry.outcome, Outcome::Failed | Outcome::Invalid)) {
        Ending::Bad
    } else if count(entries, Outcome::Measured) == 0 {
        Ending::Nothing
    } else {
        Ending::Good
    }
}

fn show(arguments: &Arguments, document: &Document, path: &Path) -> Result<()> {
    if arguments.json {
        console::print(report::json(document)? + "\n")?;
    } else {
        let paper = Paper::of_environment();
        // A replay, and an adapter that is software, is worth nothing, and says so when it is asked.
        let worth = capacity::appraise(document, &capacity::Question::default()).ok();
        let worth = worth.map(|worth| report::unit_lines(&worth, paper)).unwrap_or_default();
        console::print_styled(report::sheet(document, paper) + &worth)?;
    }
    console::tell(format_args!("record: {}", path.display()));
    Ok(())
}
