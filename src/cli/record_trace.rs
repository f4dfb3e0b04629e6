//! `assay record-trace`: one workload's launches and sensor readings as a file, to be replayed elsewhere.

use super::Ending;
use crate::{
    console,
    measure::{CAP, PRECISION},
    plan::Plan,
    record::{Device, Entry, Outcome},
    report,
    runner::{self, Contenders, Item, News, Options, Task},
    units::{Nanos, scaled},
    workload::{self, Choice},
};
use anyhow::{Context, Error, Result, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

/// Suite whose workloads may be recorded; its times are not used.
const SUITE: &str = "standard";

/// Measures one workload and writes a trace of it, for a bug report; replay it with `assay run --backend replay --trace FILE`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  assay record-trace --device cuda:0 --workload 'matmul/bf16*' -o trace.jsonl
  assay record-trace --device cpu:0 --workload 'stream/fp64/triad/*' --time 10s -o trace.jsonl
  assay run --backend replay --trace trace.jsonl")]
pub struct Arguments {
    /// Device by id, UUID or bus address, as `assay devices` lists it
    #[arg(long, value_name = "DEVICE")]
    device: String,
    /// Workload by id or by a glob that means one alone, for example 'matmul/bf16*'
    #[arg(long, value_name = "GLOB")]
    workload: String,
    /// Measure for so long; by default until the rate is known to within 0.5 %, 30 s at most
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    time: Option<Nanos>,
    /// File for the trace
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Overwrite an existing file
    #[arg(long)]
    force: bool,
    /// Bytes of each stream array, for example 256MiB
    #[arg(long, value_name = "SIZE", value_parser = crate::units::parse_bytes)]
    footprint: Option<u64>,
    /// Seed of the inputs
    #[arg(long, default_value_t = 1)]
    seed: u32,
    /// Print the entry that was measured as JSON
    #[arg(long)]
    json: bool,
    /// Say what is measured in a line, also on a terminal
    #[arg(long)]
    no_progress: bool,
    /// NVML library to load instead of the driver's own
    #[arg(long, env = "ASSAY_NVML_LIB", value_name = "PATH")]
    nvml_lib: Option<String>,
}

fn parse_time(text: &str) -> Result<Nanos, String> {
    super::parse_time(text, 1.0)
}

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// # Errors
/// Bad input, before anything is measured; a worker that cannot be started.
pub fn run(arguments: &Arguments) -> Result<Ending> {
    writable(&arguments.output, arguments.force)?;
    let task = task(arguments)?;
    ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::Relaxed)).context("catching Ctrl-C")?;
    let mut measured: Option<Entry> = None;
    let mut waits = None;
    runner::carry_out(&task, &|| INTERRUPTED.load(Ordering::Relaxed), &mut |news| {
        match news {
            News::Begin(workload) => {
                let seconds = task.suite.sustained.seconds();
                let doing = format!("measuring {} on {}, {seconds:.0} s at most", workload.id, task.device.id);
                waits = Some(Waits::begin(doing, arguments.no_progress));
            }
            News::Fell { .. } => {}
            News::Entry(entry) => (measured, waits) = (Some(*entry), None),
        }
        Ok(())
    })?;
    let Some(entry) = measured else { return Ok(Ending::Interrupted) };
    told(arguments, &entry)?;
    Ok(match entry.outcome {
        Outcome::Measured if INTERRUPTED.load(Ordering::Relaxed) => Ending::Interrupted,
        Outcome::Measured => Ending::Good,
        Outcome::Skipped => Ending::Nothing,
        Outcome::Failed | Outcome::Invalid => Ending::Bad,
    })
}

/// What a person sees meanwhile: on a terminal how long it has taken, elsewhere a line.
struct Waits(ProgressBar);

impl Waits {
    fn begin(doing: String, plain: bool) -> Self {
        let bar = if plain { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
        if bar.is_hidden() {
            console::tell(format_args!("assay: {doing}"));
        } else if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}: {elapsed}") {
            bar.set_style(style);
            bar.set_message(doing);
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Self(bar)
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn told(arguments: &Arguments, entry: &Entry) -> Result<()> {
    if entry.outcome != Outcome::Measured {
        let reason = entry.reason.as_deref().unwrap_or("no reason is known");
        console::tell(format_args!("assay: no trace was written: {reason}"));
    }
    if arguments.json {
        console::print(report::entry_json(entry)? + "\n")?;
    } else if entry.outcome == Outcome::Measured {
        let rate = entry.rate.as_ref();
        let rate = rate.and_then(|rate| Some(scaled(rate.best()?.value, rate.unit.symbol()))).unwrap_or_default();
        let launches = entry.sampling.as_ref().map_or(0, |sampling| sampling.launches);
        console::print(format_args!("{}: {launches} launches of {}, {rate}\n", arguments.output.display(), entry.workload.id))?;
    }
    Ok(())
}

fn task(arguments: &Arguments) -> Result<Task> {
    let listings = runner::list();
    let all: Vec<&Device> = listings.iter().flat_map(|listing| &listing.devices).collect();
    let device = Device::named(&arguments.device, &all).map_err(Error::msg)?.clone();
    let time = arguments.time.unwrap_or(CAP);
    let suite = runner::suite(SUITE, Some(time)).with_context(|| format!("no suite `{SUITE}`"))?;
    let plans = workload::plans(&device, &Choice { suite, footprint: arguments.footprint, seed: arguments.seed });
    let id = one(&plans, &arguments.workload)?;
    let options = Options {
        nvml_library: arguments.nvml_lib.clone(),
        // A trace is of one kernel throughout.
        contenders: Contenders::Own,
        precision: arguments.time.is_none().then_some(PRECISION),
        trace: Some(absolute(&arguments.output)?),
        ..Options::default()
    };
    let workloads = vec![Item { id, target: time, sustained: true }];
    Ok(Task { device, peers: Vec::new(), suite, workloads, footprint: arguments.footprint, seed: arguments.seed, options })
}

/// The one workload that a glob means.
fn one(plans: &[Plan], glob: &str) -> Result<String> {
    // To the library a slash ends what `*` may take in, and no id has a colon.
    let colons = |text: &str| text.replace('/', ":");
    let means = |plan: &&Plan| plan.key.id() == glob || fast_glob::glob_match(colons(glob), colons(&plan.key.id()));
    let found: Vec<&Plan> = plans.iter().filter(means).collect();
    let ids: Vec<String> = found.iter().map(|plan| plan.key.id()).collect();
    match &found[..] {
        [plan] if plan.sustained => Ok(plan.key.id()),
        [plan] => bail!("--workload {}: it is measured in bursts only, and a trace is of a sustained rate", plan.key.id()),
        [] => bail!("--workload {glob}: no such workload; `assay run --suite standard` measures those that there are"),
        _ => bail!("--workload {glob}: {} workloads, and a trace holds one: {}", ids.len(), ids.join(", ")),
    }
}

/// As a worker finds it, whatever its folder is.
fn absolute(path: &Path) -> Result<String> {
    let path = std::path::absolute(path).with_context(|| path.display().to_string())?;
    path.into_os_string().into_string().map_err(|path| Error::msg(format!("{}: not UTF-8; name another file", path.display())))
}

/// Looked at before devices are, so that a bad path costs no time.
fn writable(path: &Path, force: bool) -> Result<()> {
    if path.exists() && !force {
        bail!("{}: exists; name another file, or overwrite it with --force", path.display());
    }
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => {
            bail!("{}: no such folder for the trace; make it, or name another with -o FILE", folder.display())
        }
        _ => Ok(()),
    }
}
