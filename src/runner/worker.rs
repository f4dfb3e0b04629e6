//! The worker's side: the only process that loads CUDA, Vulkan or a vendor's library.

use super::{
    event::{Contenders, Event, Job, Look, Options, Order, Seen},
    tape::Taped,
    tuning::{Chosen, Tuning},
};
use crate::{
    contract::{Backend, Clock, Listing, Machine, Monotonic, Unsupported},
    device::BACKENDS,
    measure::{self, Context, Profile, Readings},
    plan::{Plan, Variant, VariantKind},
    record::{Device, Entry, Kind, Neighbours, Outcome, RateUnit, Vitals},
    telemetry::{Monitor, Pace, Sampler, Sources},
    units::Nanos,
    workload::{self, Choice, Suite},
};
use std::{
    cell::Cell,
    collections::HashMap,
    io::{BufRead, Write},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

/// The parent asked for an end.
static STOP: AtomicBool = AtomicBool::new(false);

/// A driver has at least this long to answer a look.
const SHORTEST: Duration = Duration::from_millis(200);
/// How often the parent hears that this process runs.
const BEAT: Duration = Duration::from_secs(1);
/// A measurement may be silent this long beyond its own time: preparing and verifying the largest plans takes well under it.
const SILENCE: Nanos = Nanos(120_000_000_000);

fn tell(event: &Event) {
    // A parent that no longer listens is gone, and this process ends with its input.
    if let Ok(mut text) = serde_json::to_string(event) {
        text.push('\n');
        let mut output = std::io::stdout().lock();
        let _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
    }
}

/// Reads the first line and goes on listening for orders. The end of input is the end of the parent: nobody is left to measure for.
fn receive<T: serde::de::DeserializeOwned>() -> Result<T, String> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(|error| error.to_string())?;
    std::thread::spawn(|| {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if serde_json::from_str::<Order>(&line).is_ok_and(|order| order == Order::Stop) {
                STOP.store(true, Ordering::Relaxed);
            }
        }
        std::process::exit(0);
    });
    serde_json::from_str(&line).map_err(|error| error.to_string())
}

fn backend(name: &str) -> Option<&'static Backend> {
    BACKENDS.iter().find(|backend| backend.name == name)
}

/// Lists the devices of the backend named on standard input.
pub fn list() {
    let listing = match receive::<String>() {
        Ok(name) => {
            backend(&name).map_or_else(|| absent(&name, "not built into this program"), |backend| described((backend.probe)()))
        }
        Err(why) => absent("", &why),
    };
    tell(&Event::Listed { listing });
    tell(&Event::Done);
}

/// Adds to GPUs what their driver's management library knows. Where there is none they stay as the backend saw them.
fn described(mut listing: Listing) -> Listing {
    if listing.devices.iter().any(|device| device.kind == Kind::Gpu) {
        let sources = Sources::open(None);
        for device in &mut listing.devices {
            let _ = sources.describe(device);
        }
    }
    listing
}

fn absent(backend: &str, why: &str) -> Listing {
    Listing { backend: backend.into(), absent: Some(why.into()), ..Listing::default() }
}

/// Tells the parent again and again that this process runs. A driver that hangs does not end that; being stopped does.
fn show_life() {
    std::thread::spawn(|| {
        loop {
            tell(&Event::Alive);
            std::thread::sleep(BEAT);
        }
    });
}

/// Looks at the devices named on standard input.
pub fn watch() {
    show_life();
    match receive::<Look>() {
        Ok(look) => look_on(&look),
        Err(why) => tell(&Event::Broken { why }),
    }
    tell(&Event::Done);
}

fn look_on(look: &Look) {
    let sources = Sources::open(look.nvml_library.as_deref().map(Path::new));
    let mut monitors: Vec<_> = look.devices.iter().map(|device| (&device.id, sources.monitor(device))).collect();
    let (pace, within) = (if look.all { Pace::All } else { Pace::Often }, Duration::from(look.interval).clamp(SHORTEST, BEAT));
    let clock = Monotonic::default();
    for count in 1.. {
        let begin = clock.now();
        let see = |(id, monitor): &mut (&String, Result<Monitor, String>)| match monitor {
            Ok(monitor) => Seen { id: id.clone(), vitals: monitor.read(pace, within), absent: None },
            Err(why) => Seen { id: id.clone(), vitals: Vitals::new(), absent: Some(why.clone()) },
        };
        tell(&Event::Looked { seen: monitors.iter_mut().map(see).collect() });
        if look.count == Some(count) || STOP.load(Ordering::Relaxed) {
            break;
        }
        clock.wait_until(begin + look.interval);
    }
}

/// Carries out the job on standard input.
pub fn measure() {
    show_life();
    if let Err(why) = receive::<Job>().and_then(|job| carry_out(&job)) {
        tell(&Event::Broken { why });
    }
    tell(&Event::Done);
}

fn carry_out(job: &Job) -> Result<(), String> {
    let backend = backend(&job.backend).ok_or_else(|| format!("no backend `{}`", job.backend))?;
    let suite = job.suite().ok_or_else(|| format!("no suite `{}`", job.suite))?;
    let machine = (backend.open)(&job.devices).map_err(|fault| fault.to_string())?;
    let choice = Choice { suite, footprint: job.footprint, seed: job.seed };
    let mut plans: HashMap<String, Plan> =
        workload::plans(&machine.devices()[0], &choice).into_iter().map(|plan| (plan.key.id(), plan)).collect();
    let sources = Sources::open(job.options.nvml_library.as_deref().map(Path::new));
    let mut device = machine.devices()[0].clone();
    // Without a management library the device stays as the backend saw it, and without sensors telemetry stays blank.
    let _ = sources.describe(&mut device);
    if sources.watch(&device, |number| tell(&Event::Xid { number })).is_ok() {
        tell(&Event::Watches);
    }
    let sampler = sources.probe(&device).ok().and_then(|probe| Sampler::start(probe, machine.clock(), Sampler::PERIOD).ok());
    let begin = machine.clock().now();
    let tuning = Tuning::new(&device, job.options.tune);
    let mut worker = Worker {
        tuning,
        machine: machine.as_ref(),
        sources: &sources,
        device,
        sampler,
        suite,
        options: &job.options,
        contenders: job.options.contenders,
        rates: HashMap::new(),
        begin,
        spent: job.spent,
        broken: Cell::new(false),
    };
    for id in &job.workloads {
        let plan = plans.remove(id).ok_or_else(|| format!("the opened device has no workload `{id}`"))?;
        for entry in worker.measure(&plan) {
            tell(&Event::Entry { entry: Box::new(entry) });
        }
        if worker.broken.get() {
            // Whatever would be tidied up may wait for work that never ends; the next worker is a new process.
            tell(&Event::Done);
            std::process::exit(0);
        }
        if STOP.load(Ordering::Relaxed) {
            break;
        }
    }
    Ok(())
}

/// Who takes turns on a workload.
struct Contention {
    variants: Vec<Variant>,
    /// Says why the vendor's library is not among them.
    unpaired: Option<Entry>,
    chosen: Option<Chosen>,
}

struct Worker<'a> {
    machine: &'a dyn Machine,
    sources: &'a Sources,
    /// As the backend and the management library know it.
    device: Device,
    sampler: Option<Sampler>,
    suite: Suite,
    options: &'a Options,
    contenders: Contenders,
    tuning: Tuning,
    /// Best rate seen, by family and precision, to foresee what a launch takes.
    rates: HashMap<(&'static str, String), f64>,
    begin: Nanos,
    spent: Nanos,
    /// The device is of no more use to this process.
    broken: Cell<bool>,
}

impl Worker<'_> {
    fn measure(&mut self, plan: &Plan) -> Vec<Entry> {
        let Contention { variants, unpaired, chosen } = self.contenders(plan);
        let device = self.device.clone();
        let Some(variant) = variants.first() else {
            let reason = self.machine.supports(plan).err().map_or_else(|| "no kernel for it".into(), |why| why.to_string());
            let workload = plan.key.with(&Variant::own("none"));
            return vec![Entry::without(device, workload, plan.work, Outcome::Skipped, reason)];
        };
        let profile = self.profile();
        let workload = plan.key.with(variant);
        if let Some(reason) = self.out_of_time() {
            return vec![Entry::without(device, workload, plan.work, Outcome::Skipped, reason)];
        }
        let within = SILENCE + Nanos(4 * variants.len() as u64 * profile.target(plan).0);
        tell(&Event::Begin { device: Box::new(device), workload, work: plan.work, within });
        let context = Context {
            profile,
            interrupted: &|| STOP.load(Ordering::Relaxed),
            readings: &|from, to| self.readings(from, to),
            expected: self.expected(plan),
            ended: &|fault| self.broken.set(self.broken.get() || fault.is_final()),
            phase: &|phase| tell(&Event::Phase { doing: phase.doing().into() }),
        };
        let before = self.sources.others(&self.device);
        let taped = Taped::new(self.machine);
        let machine: &dyn Machine = if self.options.trace.is_some() { &taped } else { self.machine };
        let mut entries = measure::measure(machine, plan, &variants, &context);
        // What a library cannot prepare must not cost our own kernel its measurement.
        if variants.last().is_some_and(is_vendors) && entries.iter().all(failed) && !self.broken.get() {
            let own = &variants[..variants.len() - 1];
            entries = measure::measure(machine, plan, own, &context).into_iter().chain(entries.pop()).collect();
        }
        if let (Some(chosen), Some(ours)) = (chosen, entries.first_mut()) {
            ours.counters.extend(chosen.counters());
            ours.reason = ours.reason.take().or(chosen.said());
        }
        entries.extend(unpaired);
        let neighbours = before.zip(self.sources.others(&self.device)).map(|(before, after)| Neighbours { before, after });
        for entry in &mut entries {
            entry.neighbours = neighbours;
            entry.device = self.device.clone();
            self.learn(plan, entry);
            if let Some(path) = &self.options.trace
                && let Err(why) = taped.write(Path::new(path), entry, &|from, to| self.readings(from, to).readings)
            {
                entry.reason = Some(entry.reason.take().unwrap_or(why));
                entry.outcome = if entry.outcome == Outcome::Measured { Outcome::Failed } else { entry.outcome };
            }
        }
        entries
    }

    /// The variants to measure, the vendor's last, and an entry that says why it is not among them. That a library is not there at
    /// all is said where a decision hangs on the figure; what it refuses is said everywhere.
    fn contenders(&mut self, plan: &Plan) -> Contention {
        let variants = self.machine.variants(plan);
        let all = self.contenders == Contenders::All;
        let (mut variants, chosen) = if all { (variants, None) } else { self.tuning.prefer(self.machine, plan, variants) };
        variants.truncate(if all { usize::MAX } else { 1 });
        if self.contenders == Contenders::Own || variants.is_empty() {
            return Contention { variants, unpaired: None, chosen };
        }
        let mut unpaired = None;
        match self.machine.vendor(plan) {
            Some(Ok(vendor)) => variants.push(vendor),
            Some(Err(Unsupported::Absent(_))) if !plan.sustained => {}
            Some(Err(why)) => {
                let workload = plan.key.with(&Variant { name: "vendor".into(), kind: VariantKind::Vendor });
                let entry = Entry::without(self.device.clone(), workload, plan.work, Outcome::Skipped, why.to_string());
                unpaired = Some(entry);
            }
            None => {}
        }
        Contention { variants, unpaired, chosen }
    }

    fn profile(&self) -> Profile {
        let profile = Profile { burst: self.suite.burst, sustained: self.suite.sustained, precision: None };
        self.options.precision.map_or(profile, |precision| profile.precise(precision))
    }

    fn readings(&self, from: Nanos, to: Nanos) -> Readings {
        let taken = |sampler: &Sampler| Readings { source: sampler.source(), readings: sampler.between(from, to) };
        self.sampler.as_ref().map(taken).unwrap_or_default()
    }

    fn out_of_time(&self) -> Option<String> {
        // Whoever asks for a precision, or for every candidate, waits for it.
        let patient = self.options.precision.is_some() || self.contenders == Contenders::All;
        let budget = self.suite.budget.filter(|_| !patient)?;
        let spent = self.spent + self.machine.clock().now().since(self.begin);
        let name = self.suite.name;
        (spent > budget)
            .then(|| format!("the {name} suite's {budget} for a device are spent. Use --only to choose, or --suite standard"))
    }

    fn expected(&self, plan: &Plan) -> Option<Nanos> {
        let rate = self.rates.get(&(plan.key.family, plan.key.precision.clone()))?;
        Some(Nanos::from_seconds(counted(plan).rate(&plan.work, 1, 1.0) / rate))
    }

    fn learn(&mut self, plan: &Plan, entry: &Entry) {
        if let Some(burst) = entry.rate.as_ref().and_then(|rate| rate.burst) {
            let rate = if plan.unit == RateUnit::Seconds { 1.0 / burst.value } else { burst.value };
            let best = self.rates.entry((plan.key.family, plan.key.precision.clone())).or_default();
            *best = best.max(rate);
        }
    }
}

fn is_vendors(variant: &Variant) -> bool {
    variant.kind == VariantKind::Vendor
}

fn failed(entry: &Entry) -> bool {
    entry.outcome == Outcome::Failed
}

/// What a plan does in a second, where more is better: a time an item is turned into items.
fn counted(plan: &Plan) -> RateUnit {
    if plan.unit == RateUnit::Seconds { RateUnit::Items } else { plan.unit }
}
