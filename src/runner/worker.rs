//! The worker's side: the only process that loads CUDA, Vulkan or a vendor's library.

use super::{
    again::{Hung, Tries},
    budget::Budget,
    contention::{self, Contention},
    event::{Contenders, Event, Job, Options, Order},
    faults,
    tape::Taped,
    tuning::Tuning,
};
use crate::{
    contract::{Backend, Clock, Fault, Machine, Monotonic},
    device::BACKENDS,
    measure::{self, Context, Launching, Phase, Profile, Readings},
    plan::{Plan, Variant},
    record::{Device, Entry, Outcome, RateUnit},
    telemetry::{Sampler, Sources},
    units::{Celsius, Nanos},
    workload::Suite,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    io::{BufRead, Write},
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The parent asked for an end.
pub(super) static STOP: AtomicBool = AtomicBool::new(false);
/// All is told: the process ends of itself.
static DONE: AtomicBool = AtomicBool::new(false);
/// What the parent said to one that waits at the start gate.
static PASS: Mutex<Option<Order>> = Mutex::new(None);

/// How often the parent hears that this process runs.
pub(super) const BEAT: Duration = Duration::from_secs(1);
/// How often one at the start gate looks for its order.
const GLANCE: Duration = Duration::from_millis(1);
/// A measurement may be silent this long beyond its own time: preparing and verifying the largest plans takes well under it.
const SILENCE: Nanos = Nanos(120_000_000_000);

pub(super) fn tell(event: &Event) {
    DONE.fetch_or(matches!(event, Event::Done), Ordering::Relaxed);
    // A parent that no longer listens is gone, and this process ends with its input.
    if let Ok(mut text) = serde_json::to_string(event) {
        text.push('\n');
        let mut output = std::io::stdout().lock();
        let _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
    }
}

/// Reads the first line and goes on listening for orders. The end of input is the end of the parent: nobody is left to measure for.
pub(super) fn receive<T: serde::de::DeserializeOwned>() -> Result<T, String> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(|error| error.to_string())?;
    std::thread::spawn(|| {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            match serde_json::from_str::<Order>(&line) {
                Ok(Order::Stop) => STOP.store(true, Ordering::Relaxed),
                Ok(pass) => *PASS.lock().unwrap_or_else(PoisonError::into_inner) = Some(pass),
                Err(_) => {}
            }
        }
        if !DONE.load(Ordering::Relaxed) {
            leave();
        }
    });
    serde_json::from_str(&line).map_err(|error| error.to_string())
}

/// Ends this process without a word to any library: one whose driver hangs might wait for it for ever.
fn leave() -> ! {
    let _ = kill(Pid::this(), Signal::SIGKILL);
    std::process::exit(0)
}

/// Has the system end this process when its parent does, even where it stands still and cannot see its input end.
pub(super) fn die_with_parent() {
    #[cfg(target_os = "linux")]
    {
        let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
    }
}

pub(super) fn backend(name: &str) -> Option<&'static Backend> {
    BACKENDS.iter().find(|backend| backend.name == name)
}

/// Tells the parent again and again that this process runs. A driver that hangs does not end that; being stopped does.
pub(super) fn show_life() {
    die_with_parent();
    std::thread::spawn(|| {
        loop {
            tell(&Event::Alive);
            std::thread::sleep(BEAT);
        }
    });
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
    let started = Monotonic::default();
    let backend = backend(&job.backend).ok_or_else(|| format!("no backend `{}`", job.backend))?;
    let suite = job.suite().ok_or_else(|| format!("no suite `{}`", job.suite))?;
    let machine = (backend.open)(&job.devices).map_err(|fault| fault.to_string())?;
    let suite = suite.on(machine.devices()[0].kind);
    let mut plans = job.plans(suite, machine.devices());
    let sources = Sources::open(job.options.nvml_library.as_deref().map(Path::new));
    let mut device = machine.devices()[0].clone();
    // Without a management library the device stays as the backend saw it, and without sensors telemetry stays blank.
    let _ = sources.describe(&mut device);
    if sources.watch(&device, |number| tell(&Event::Xid { number })).is_ok() {
        tell(&Event::Watches);
    }
    let sampler = sources.probe(&device).ok().and_then(|probe| Sampler::start(probe, machine.clock(), Sampler::PERIOD).ok());
    let tuning = Tuning::new(&device, job.options.tune);
    let mut worker = Worker {
        tuning,
        machine: machine.as_ref(),
        sources: &sources,
        device,
        sampler,
        suite,
        options: &job.options,
        // All are to be under one load throughout.
        contenders: if job.together { Contenders::Own } else { job.options.contenders },
        precision: job.options.precision.filter(|_| !job.together),
        together: job.together,
        started_with: Cell::new(None),
        missed: RefCell::new(None),
        rates: HashMap::new(),
        started,
        budget: Budget::new(suite, job.spent),
        broken: Cell::new(false),
        stuck: RefCell::new(None),
        hung: &job.hung,
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
    precision: Option<f64>,
    /// Measurements begin at a gate.
    together: bool,
    /// Devices that began the measurement together.
    started_with: Cell<Option<usize>>,
    /// Why the measurement did not begin, and how its entry ends.
    missed: RefCell<Option<(Outcome, String)>>,
    /// Best rate seen, by family and precision, to foresee what a launch takes.
    rates: HashMap<(&'static str, String), f64>,
    started: Monotonic,
    budget: Budget,
    /// The device is of no more use to this process.
    broken: Cell<bool>,
    /// The variant that did not finish.
    stuck: RefCell<Option<Variant>>,
    /// Those that did not before.
    hung: &'a Hung,
}

impl Worker<'_> {
    fn measure(&mut self, plan: &Plan) -> Vec<Entry> {
        let tries = Tries::new(self.hung, plan, self.machine.variants(plan), self.together);
        let launching = |variant: Option<&Variant>| tell_of_launch(plan, &tries, variant);
        let tuning = (&mut self.tuning, &launching as Launching);
        let contention = Contention::of(plan, (self.machine, &self.device), self.contenders, tuning, &tries);
        let device = self.device.clone();
        if let Some(lost) = self.lost_in_tuning(plan, &tries) {
            return vec![lost];
        }
        let Some(variant) = contention.variants.first() else {
            let unsupported = self.machine.supports(plan).err().map(|why| why.to_string());
            let reason = unsupported.or_else(|| tries.said()).unwrap_or_else(|| "no kernel for it".into());
            let workload = plan.key.with(&Variant::own("none"));
            return vec![Entry::without(device, workload, plan.work, Outcome::Skipped, reason)];
        };
        let profile = self.profile();
        let workload = plan.key.with(variant);
        // Whoever asks for a precision, or for every candidate, waits for it.
        let refused = self.budget.refuses(profile.target(plan), plan.sustained, self.started.now());
        if let Some(reason) = refused.filter(|_| self.precision.is_none() && self.contenders != Contenders::All) {
            return vec![Entry::without(device, workload, plan.work, Outcome::Skipped, reason)];
        }
        let within = SILENCE + Nanos(4 * contention.variants.len() as u64 * profile.target(plan).0);
        tell(&Event::Begin { device: Box::new(device), workload, work: plan.work, within });
        let begin = self.started.now();
        let before = self.sources.others(&self.device);
        let taped = Taped::new(self.machine);
        let entries = self.carried_out((plan, &tries), &contention.variants, profile, &taped);
        let mut entries = self.explained((plan, &tries), entries, contention);
        let after = self.sources.others(&self.device);
        let lost = self.sources.lost(&self.device);
        let neighbours = before.zip(after).map(|(before, after)| before.until(after));
        for entry in &mut entries {
            entry.neighbours = neighbours;
            if let Some(why) = &lost {
                faults::lost(entry, why);
            }
            self.complete(entry, plan, &taped);
        }
        let launching = entries.iter().filter_map(|entry| entry.sampling.as_ref()).map(|sampling| sampling.seconds).sum();
        self.budget.needed(self.started.now().since(begin).since(Nanos::from_seconds(launching)));
        self.with_start(entries)
    }

    /// The entries of the variants, in their order.
    fn carried_out(&self, (plan, tries): (&Plan, &Tries), variants: &[Variant], profile: Profile, taped: &Taped) -> Vec<Entry> {
        let context = Context {
            profile,
            interrupted: &|| STOP.load(Ordering::Relaxed) || self.missed.borrow().is_some(),
            readings: &|from, to| self.readings(from, to),
            expected: self.expected(plan),
            ended: &|fault, variant| {
                self.broken.set(self.broken.get() || fault.is_final());
                self.stuck.replace(variant.filter(|_| matches!(fault, Fault::Hung(_))).cloned());
            },
            phase: &|phase| self.enters(phase),
            launching: &|variant| tell_of_launch(plan, tries, variant),
            fell: &|variant, decline| tell(&Event::Fell { workload: plan.key.with(variant), decline: *decline }),
        };
        let machine: &dyn Machine = if self.options.trace.is_some() { taped } else { self.machine };
        let mut entries = measure::measure(machine, plan, variants, &context);
        // What a library cannot prepare must not cost our own kernel its measurement.
        if contention::is_lost_to_the_vendor(variants, &entries) && !self.broken.get() {
            let own = &variants[..variants.len() - 1];
            entries = measure::measure(machine, plan, own, &context).into_iter().chain(entries.pop()).collect();
        }
        entries
    }

    /// The entry of a kernel that did not finish when it was tried, where one was tried.
    fn lost_in_tuning(&mut self, plan: &Plan, tries: &Tries) -> Option<Entry> {
        let (variant, fault) = self.tuning.stuck.take()?;
        self.broken.set(true);
        let workload = plan.key.with(&variant);
        if tries.go_on_without(&variant) {
            tell(&Event::Again { workload: workload.clone() });
        }
        let reason = format!("{fault}, when kernels were tried");
        Some(Entry::without(self.device.clone(), workload, plan.work, Outcome::Failed, reason))
    }

    /// Adds how the kernel was chosen, and who is not among the entries. Where a variant did not finish and another one may be tried, its
    /// entry alone is left: the others are measured then.
    fn explained(&self, (plan, tries): (&Plan, &Tries), mut entries: Vec<Entry>, contention: Contention) -> Vec<Entry> {
        let Contention { chosen, unpaired, .. } = contention;
        if let Some(stuck) = self.stuck.take().filter(|stuck| tries.go_on_without(stuck)) {
            tell(&Event::Again { workload: plan.key.with(&stuck) });
            entries.retain(|entry| entry.workload.variant == stuck.name);
            return entries;
        }
        if let Some(ours) = entries.first_mut() {
            let said = tries.said().or_else(|| chosen.and_then(|chosen| chosen.said()));
            ours.counters.extend(chosen.into_iter().flat_map(|chosen| chosen.counters()));
            ours.reason = ours.reason.take().or(said);
        }
        entries.extend(unpaired);
        entries
    }

    /// A phase begins: that of timing at the gate, where there is one.
    fn enters(&self, phase: Phase) {
        if phase == Phase::Time && self.together {
            self.wait_for_start();
        }
        tell(&Event::Phase { doing: phase.doing().into() });
    }

    /// Adds to an entry what only this side knows, and writes its trace where one is wanted.
    fn complete(&mut self, entry: &mut Entry, plan: &Plan, taped: &Taped) {
        entry.device = self.device.clone();
        self.learn(plan, entry);
        if let Some(path) = &self.options.trace
            && let Err(why) = taped.write(Path::new(path), entry, &|from, to| self.readings(from, to).readings)
        {
            entry.reason = Some(entry.reason.take().unwrap_or(why));
            entry.outcome = if entry.outcome == Outcome::Measured { Outcome::Failed } else { entry.outcome };
        }
    }

    /// Comes to the start gate and waits until it is told to start, at a time that all are told, or not to.
    fn wait_for_start(&self) {
        *PASS.lock().unwrap_or_else(PoisonError::into_inner) = None;
        tell(&Event::Ready);
        loop {
            let order = PASS.lock().unwrap_or_else(PoisonError::into_inner).take();
            match order {
                Some(Order::Go { at, devices }) => {
                    self.started_with.set(Some(devices));
                    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| Nanos::from(since).0);
                    // Whoever sets the system's clock meanwhile delays nobody for long.
                    let rest = Nanos(at.saturating_sub(now).min(Nanos::from(BEAT).0));
                    return self.started.wait_exactly_until(self.started.now() + rest);
                }
                Some(Order::Miss { outcome, why }) => return *self.missed.borrow_mut() = Some((outcome, why)),
                Some(Order::Stop) | None => {}
            }
            if STOP.load(Ordering::Relaxed) {
                return *self.missed.borrow_mut() = Some((Outcome::Skipped, "interrupted at the start gate".into()));
            }
            std::thread::sleep(GLANCE);
        }
    }

    /// Says of entries how many devices began together; of those that did not begin, why.
    fn with_start(&self, entries: Vec<Entry>) -> Vec<Entry> {
        let (with, missed) = (self.started_with.take(), self.missed.take());
        let each = |mut entry: Entry| {
            if let Some((outcome, why)) = &missed {
                return Entry::without(entry.device, entry.workload, entry.work, *outcome, why.clone());
            }
            if let Some(devices) = with {
                entry.load = format!("together({devices})");
            }
            entry
        };
        entries.into_iter().map(each).collect()
    }

    fn profile(&self) -> Profile {
        let profile = Profile { burst: self.suite.burst, sustained: self.suite.sustained, precision: None };
        self.precision.map_or(profile, |precision| profile.precise(precision))
    }

    fn readings(&self, from: Nanos, to: Nanos) -> Readings {
        let slowdown = self.device.facts.get("celsius_slowdown").and_then(|fact| fact.parse().ok()).map(Celsius);
        let taken = |sampler: &Sampler| Readings { source: sampler.source(), readings: sampler.between(from, to), slowdown };
        self.sampler.as_ref().map(taken).unwrap_or_default()
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

/// Leaves word of what is launched, should the driver never return; and that it has ended.
fn tell_of_launch(plan: &Plan, tries: &Tries, variant: Option<&Variant>) {
    let launching =
        |variant| Event::Launching { workload: plan.key.with(variant), work: plan.work, again: tries.go_on_without(variant) };
    tell(&variant.map_or(Event::Launched, launching));
}

/// What a plan does in a second, where more is better: a time an item is turned into items.
fn counted(plan: &Plan) -> RateUnit {
    if plan.unit == RateUnit::Seconds { RateUnit::Items } else { plan.unit }
}
