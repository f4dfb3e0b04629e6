//! Devices times plans: each machine in a worker process of its own, every entry to a sink as it is born.
//!
//! The parent never loads CUDA, Vulkan or a vendor's library. A hang, a sticky error or a crash of a driver costs the entry it
//! struck: the worker is ended, the entry says what happened, and a fresh worker goes on with the next: with the next kernel, where the
//! driver did not return from the launch of one.

mod again;
mod budget;
mod child;
mod contention;
mod event;
mod faults;
mod gate;
mod listing;
pub mod look;
mod replay;
mod tape;
mod together;
mod tuning;
mod vigil;
mod watch;
pub mod worker;

pub use event::{Contenders, Look, Options, Seen};

pub use listing::{is_seen_alone, list, list_with};
pub use replay::replay;
pub use together::carry_out_together;
pub use tuning::Tune;
pub use watch::watch;

use crate::{
    record::{Decline, Device, Entry, Outcome, Work, Workload},
    telemetry::KERNEL_LOG,
    units::Nanos,
    workload::{SUITES, Suite},
};
use again::Hung;
use anyhow::{Result, bail};
use child::{Child, Heard};
use event::{Event, Job, Order};
use faults::Watch;
use gate::Pass;
use std::{
    collections::VecDeque,
    path::Path,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use together::Lane;
use vigil::Vigil;

/// Opening a device takes this long at the most.
const OPENING: Duration = Duration::from_mins(1);
/// How often it is seen whether a person wants to stop.
const LOOK: Duration = Duration::from_millis(100);
/// How often one that waits at the start gate is looked after.
const LOOK_AT_GATE: Duration = Duration::from_millis(5);

/// The suite of that name, with a time of its own where one is given.
#[must_use]
pub fn suite(name: &str, time: Option<Nanos>) -> Option<Suite> {
    let suite = *SUITES.iter().find(|suite| suite.name == name)?;
    Some(Suite { sustained: time.unwrap_or(suite.sustained), ..suite })
}

/// A workload to measure, and the time that its suite gives it.
#[derive(Clone, Debug)]
pub struct Item {
    pub id: String,
    pub target: Nanos,
    /// A decision hangs on it.
    pub sustained: bool,
}

/// What is to be measured on one device.
#[derive(Clone, Debug)]
pub struct Task {
    pub device: Device,
    /// Ids of devices that are opened with it, for what several do at once.
    pub peers: Vec<String>,
    /// In the order in which they are measured.
    pub workloads: Vec<Item>,
    pub suite: Suite,
    pub footprint: Option<u64>,
    pub seed: u32,
    pub options: Options,
}

/// What happens while a task is carried out.
pub enum News {
    /// A measurement begins.
    Begin(Workload),
    /// Its rate has fallen lastingly, while it goes on.
    Fell {
        device: String,
        workload: Workload,
        decline: Decline,
    },
    Entry(Box<Entry>),
}

/// Carries a task out, telling `news` of every step. `interrupted` is looked at often; once true, what was measured is kept.
///
/// # Errors
/// Those of `news`, which end the task, and when no worker can be started.
pub fn carry_out(task: &Task, interrupted: &dyn Fn() -> bool, news: &mut dyn FnMut(News) -> Result<()>) -> Result<()> {
    work_off(task, None, interrupted, news)
}

/// The same; from a start gate, where there is one.
fn work_off(
    task: &Task,
    lane: Option<&Lane>,
    interrupted: &dyn Fn() -> bool,
    news: &mut dyn FnMut(News) -> Result<()>,
) -> Result<()> {
    let begin = Instant::now();
    let mut left: VecDeque<String> = task.workloads.iter().map(|item| item.id.clone()).collect();
    let (mut unopened, mut silenced, mut hung) = (0, 0, Hung::default());
    let log = task.options.kernel_log.as_deref().unwrap_or(KERNEL_LOG);
    let mut watch = Watch::new(&task.device, Path::new(log));
    while !left.is_empty() && !interrupted() {
        let job = Job {
            backend: task.device.backend.clone(),
            devices: std::iter::once(listing::address(&task.device)).chain(task.peers.iter().cloned()).collect(),
            suite: task.suite.name.into(),
            time: Some(task.suite.sustained),
            footprint: task.footprint,
            seed: task.seed,
            workloads: left.iter().cloned().collect(),
            spent: begin.elapsed().into(),
            budget: task.suite.budget,
            together: lane.is_some(),
            hung: hung.clone(),
            options: task.options.clone(),
        };
        let mut attendance = Attendance {
            task,
            lane,
            left: &mut left,
            watch: &mut watch,
            hung: &mut hung,
            again: None,
            begun: None,
            launching: None,
            within: Duration::ZERO,
            at_gate: false,
            doing: String::new(),
            heard: false,
            stopping: false,
            unopened,
            silenced,
        };
        if let Some(lane) = lane {
            lane.sets_out();
        }
        let environment = listing::environment(task.options.cublaslt_library.as_deref(), Some(&task.device));
        attendance.attend(&mut Child::start_with("measure", &job, environment)?, interrupted, news)?;
        (unopened, silenced) = (attendance.unopened, attendance.silenced);
    }
    Ok(())
}

/// One worker's life.
struct Attendance<'a> {
    task: &'a Task,
    lane: Option<&'a Lane<'a>>,
    left: &'a mut VecDeque<String>,
    watch: &'a mut Watch,
    /// Variants that did not finish.
    hung: &'a mut Hung,
    /// The workload of which the next entry is not the last.
    again: Option<String>,
    begun: Option<(Device, Workload, Work)>,
    /// What is launched, and whether another variant may be tried should it never end.
    launching: Option<(Workload, Work, bool)>,
    /// What the measurement that has begun may take.
    within: Duration,
    /// It waits for its start.
    at_gate: bool,
    /// What the measurement that has begun was doing when it was last heard of.
    doing: String,
    /// An entry came of this worker.
    heard: bool,
    stopping: bool,
    /// Workers in a row, before this one, that were lost before they measured anything.
    unopened: u32,
    /// Workers in a row that were ended in the midst of a launch, with no result in between: the device may be to blame for all of them.
    silenced: usize,
}

impl Attendance<'_> {
    fn attend(
        &mut self,
        child: &mut Child,
        interrupted: &dyn Fn() -> bool,
        news: &mut dyn FnMut(News) -> Result<()>,
    ) -> Result<()> {
        let mut vigil = Vigil::new(Instant::now(), OPENING);
        loop {
            if interrupted() && !self.stopping {
                self.stopping = true;
                child.stop();
            }
            let heard = child.listen(if self.at_gate { LOOK_AT_GATE } else { LOOK });
            self.let_pass(child, &mut vigil);
            vigil.look(Instant::now(), matches!(heard, Heard::Event(_)));
            match heard {
                Heard::Event(Event::Begin { device, workload, work, within }) => {
                    self.within = within.into();
                    vigil.expect(Instant::now(), self.within);
                    self.doing.clear();
                    news(News::Begin(workload.clone()))?;
                    self.begun = Some((*device, workload, work));
                }
                Heard::Event(Event::Phase { doing }) => self.doing = doing,
                Heard::Event(Event::Launching { workload, work, again }) => self.launching = Some((workload, work, again)),
                Heard::Event(Event::Launched) => self.launching = None,
                Heard::Event(Event::Fell { workload, decline }) => news(self.fell(workload, decline))?,
                Heard::Event(Event::Ready) => self.comes(&mut vigil),
                Heard::Event(Event::Watches) => self.watch.by_nvml(),
                Heard::Event(Event::Xid { number }) => self.watch.told(number),
                Heard::Event(Event::Again { workload }) => {
                    self.hung.add(&workload.id, &workload.variant);
                    self.again = Some(workload.id);
                }
                Heard::Event(Event::Entry { entry }) => {
                    vigil.expect(Instant::now(), OPENING);
                    self.ended(*entry, news)?;
                }
                Heard::Event(Event::Broken { why }) => return self.nothing_opened(&why, news),
                Heard::Event(Event::Done) => {
                    // A driver may have something to put in order when its process ends.
                    child.end();
                    return Ok(());
                }
                Heard::Event(Event::Listed { .. } | Event::Looked { .. } | Event::Alive) => {}
                Heard::Silence => {
                    if let Some(why) = vigil.lost(Instant::now()) {
                        let end = child.kill();
                        return self.silenced(&format!("the worker {why}, and {end}"), news);
                    }
                }
                Heard::Gone(how) => return self.struck(&how, news),
            }
        }
    }

    /// A measurement has ended; its workload is done unless another kernel is to be tried.
    fn ended(&mut self, entry: Entry, news: &mut dyn FnMut(News) -> Result<()>) -> Result<()> {
        self.is_through(&entry.workload.id);
        (self.begun, self.launching) = (None, None);
        (self.heard, self.unopened) = (true, 0);
        if matches!(entry.outcome, Outcome::Measured | Outcome::Invalid) {
            self.silenced = 0;
        }
        self.tell(entry, news)
    }

    fn is_through(&mut self, workload: &str) {
        if self.again.take().is_none_or(|id| id != workload) {
            self.left.retain(|id| id != workload);
        }
    }

    fn fell(&self, workload: Workload, decline: Decline) -> News {
        News::Fell { device: self.task.device.id.clone(), workload, decline }
    }

    /// It comes to the gate, and the others may have all of their measurement before them.
    fn comes(&mut self, vigil: &mut Vigil) {
        self.at_gate = true;
        vigil.expect(Instant::now(), self.within);
        if let Some(lane) = self.lane {
            lane.comes();
        }
    }

    /// Tells a worker at the gate what becomes of it, once that is known.
    fn let_pass(&mut self, child: &mut Child, vigil: &mut Vigil) {
        let Some(pass) = self.lane.filter(|_| self.at_gate).and_then(Lane::pass) else { return };
        let order = match pass {
            Pass::Go { at, devices } => {
                let begins = SystemTime::now() + at.saturating_duration_since(Instant::now());
                let at = begins.duration_since(UNIX_EPOCH).map_or(0, |since| Nanos::from(since).0);
                Order::Go { at, devices }
            }
            Pass::Late { by } => {
                let why = format!("it came to the start gate {:.1} s after the other devices had begun", by.as_secs_f64());
                Order::Miss { outcome: Outcome::Failed, why }
            }
            Pass::Alone => Order::Miss { outcome: Outcome::Skipped, why: "no other device came to the start gate".into() },
        };
        child.say(&order);
        self.at_gate = false;
        vigil.expect(Instant::now(), self.within);
    }

    /// The worker never spoke again and was ended. Where it did so in the midst of a launch, that variant did not finish: it costs its own
    /// entry, and the next may be tried.
    fn silenced(&mut self, how: &str, news: &mut dyn FnMut(News) -> Result<()>) -> Result<()> {
        let Some((workload, _, again)) = &self.launching else { return self.struck(how, news) };
        self.hung.add(&workload.id, &workload.variant);
        self.silenced += 1;
        self.again = (*again && self.silenced < again::MOST).then(|| workload.id.clone());
        self.struck(how, news)
    }

    /// The worker is gone: the entry it was at says so, that of the variant which it launched where it launched one. A worker that was lost
    /// before it got to any is charged to the next workload; when the one after it is lost there too, the device cannot be opened. One that
    /// broke in between has cost nothing, and the next goes on.
    fn struck(&mut self, how: &str, news: &mut dyn FnMut(News) -> Result<()>) -> Result<()> {
        let doing = match (&self.begun, self.doing.as_str()) {
            (None, _) => "kernels were tried",
            (_, "") => "beginning",
            (_, doing) => doing,
        };
        let reason = format!("{how}, while {doing}");
        let (begun, launched) = (self.begun.take(), self.launching.take().map(|(workload, work, _)| (workload, work)));
        let device = begun.as_ref().map_or(&self.task.device, |(device, ..)| device).clone();
        let Some((workload, work)) = launched.or(begun.map(|(_, workload, work)| (workload, work))) else {
            if self.heard {
                return Ok(());
            }
            self.unopened += 1;
            return match self.unopened {
                1 => self.not_tried(&format!("{how}, while opening the device"), news),
                _ => self.nothing_opened(how, news),
            };
        };
        self.is_through(&workload.id);
        self.unopened = 0;
        self.tell(Entry::without(device, workload, work, Outcome::Failed, reason), news)
    }

    /// Every workload that is left fails for the same reason; it is told once, and no further worker is tried.
    fn nothing_opened(&mut self, why: &str, news: &mut dyn FnMut(News) -> Result<()>) -> Result<()> {
        let device = &self.task.device.id;
        let others = self.left.len().saturating_sub(1);
        let reason = format!("{device} could not be opened, {others} more workloads were not tried: {why}");
        self.not_tried(&reason, news)?;
        self.left.clear();
        Ok(())
    }

    /// The next workload fails before it began.
    fn not_tried(&mut self, reason: &str, news: &mut dyn FnMut(News) -> Result<()>) -> Result<()> {
        let Some(id) = self.left.pop_front() else { bail!("{}: {reason}", self.task.device.id) };
        let mut parts = id.splitn(3, '/').map(str::to_owned);
        let family = parts.next().unwrap_or_default();
        let workload = Workload {
            precision: parts.next().unwrap_or_default(),
            shape: parts.next().unwrap_or_default(),
            operation: family.clone(),
            variant: "none".into(),
            family,
            id,
        };
        let entry = Entry::without(self.task.device.clone(), workload, Work::default(), Outcome::Failed, reason.to_owned());
        self.tell(entry, news)
    }

    /// Hands an entry out, with the faults that the driver reported around it.
    fn tell(&mut self, mut entry: Entry, news: &mut dyn FnMut(News) -> Result<()>) -> Result<()> {
        self.watch.settle(&mut entry);
        self.at_gate = false;
        // A worker that sees one device alone calls it the first.
        entry.device.id.clone_from(&self.task.device.id);
        if let Some(lane) = self.lane {
            lane.leaves(&entry.workload.id);
            if entry.outcome != Outcome::Measured {
                entry.load = format!("together({})", lane.devices);
            }
        }
        news(News::Entry(Box::new(entry)))
    }
}
